"""A payload as one file: a zip of the publisher's bytes and of how they came.

Whoever may write to the folder may have put a file there: what is opened is bounded,
and checked, before anything is made of it.
"""

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any

from bikecollect.core.payload import Document, Payload

FETCH = "fetch.json"
LEVEL = 1
"""Of deflate: a payload lives for days, and the five-minute path pays for it."""
MOST_BYTES = 256 * 1024 * 1024
"""Of all documents, inflated: far more than a run fetches."""
MOST_DOCUMENTS = 1_000
PIECE = 65_536
LATEST = 7_258_118_400
"""The year 2200 begins, in epoch seconds."""
FOREIGN = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError),
    *(RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error),
)
"""What zipfile and json raise for files that are not ours: encrypted ones, too."""


def pack(payload: Payload) -> bytes:
    """Return *payload* as the bytes of a zip."""
    about = asdict(replace(payload, documents=()))
    about["documents"] = [
        {**asdict(replace(each, body=b"")), "body": f"{each.name}.json"}
        for each in payload.documents
    ]
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as box:
        for each in payload.documents:
            box.writestr(f"{each.name}.json", each.body)
        box.writestr(FETCH, json.dumps(about, ensure_ascii=False, indent=1))
    return out.getvalue()


def unpack(data: bytes, *, most: int = MOST_BYTES) -> Payload:
    """Return the payload that `pack` made *data* of; raises ValueError otherwise.

    Its documents have *most* bytes together, inflated.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as box:
            return _read(box, most)
    except FOREIGN as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _read(box: zipfile.ZipFile, most: int) -> Payload:
    if len(box.infolist()) > MOST_DOCUMENTS:
        raise ValueError(f"it holds more than {MOST_DOCUMENTS} files")
    about = json.loads(_member(box, FETCH, most))
    listed, documents = about.pop("documents"), []
    if not isinstance(listed, list) or not listed:
        raise ValueError("it lists no documents")
    for each in listed:
        body = _member(box, each["body"], most)
        most -= len(body)
        documents.append(Document(**_checked({**each, "body": body})))
    return Payload(**_checked({**about, "documents": tuple(documents)}))


def _member(box: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return the file called *name*; what its entry says of its size may be a lie."""
    parts = []
    with box.open(name) as opened:
        while part := opened.read(PIECE):  # a larger one is allocated at once
            most -= len(part)
            if most < 0:
                raise ValueError(f"it inflates to more than {MOST_BYTES} bytes")
            parts.append(part)
    return b"".join(parts)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values*, where each is what its name promises; raises ValueError."""
    for name, value in values.items():
        if name in _PROMISES and not _PROMISES[name](value):
            raise ValueError(f"its {name} is {value!r:.60}")
    return values


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 53


def _seconds(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value < LATEST


def _notes(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


_PROMISES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("name", "url", "system_id", "run_id", "boot_id"), _text),
    **dict.fromkeys(("incomplete", "source", "next_url"), _text),
    **dict.fromkeys(("slot", "http_status", "wire_bytes"), _whole),
    **dict.fromkeys(("fetched_at", "uptime"), _seconds),
    "date": lambda value: value is None or _seconds(value),
    "total": lambda value: value is None or _whole(value),
    "notes": _notes,
    "findings": _notes,
}
