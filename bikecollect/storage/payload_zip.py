"""A payload as one file: a zip of the publisher's bytes and the details of the fetch.

Anyone with write access to the folder may have created the file: sizes are limited and
values checked before they are used.
"""

import json
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from bikecollect.core.payload import Document, Payload

FETCH = "fetch.json"
LEVEL = 1
"""The level of deflate: the fastest, because every run compresses a payload and it is
kept only for days."""
MAX_BYTES = 256 * 1024 * 1024
"""Maximum inflated bytes of all documents together: far more than a run fetches."""
MAX_DOCUMENTS = 1_000
REQUIRED = ("system_id", "slot", "run_id", "fetched_at")
PIECE = 65_536
LATEST = 7_258_118_400
"""The beginning of the year 2200, in epoch seconds."""
EARLIEST_TIME, LATEST_TIME = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
FOREIGN = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError),
    *(RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error),
)
"""What zipfile and json raise for foreign or encrypted files."""


def pack(payload: Payload) -> bytes:
    """Return *payload* as the bytes of a zip."""
    entries = list(map(_entry, payload.documents))
    details = {**vars(payload), "documents": entries}
    if not payload.beside:
        del details["beside"]  # versions without it can read nearly all payloads
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for document in payload.documents:
            _add(file, f"{document.name}.json", document.received)
        text = json.dumps(details, ensure_ascii=False, indent=1)
        _add(file, FETCH, text.encode("utf-8"))
    return out.getvalue()


def _entry(document: Document) -> dict[str, Any]:
    """Return the details of *document*; by its charset, if any, it is read again."""
    values = {**vars(document), "body": f"{document.name}.json"}
    del values["raw"]
    if not document.charset:
        del values["charset"]  # versions without it can read nearly all payloads
    return values


def _add(file: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Write *data* as *name*, with the time limited to that of zips: 1980 to 2107."""
    now = time.localtime()[:6]
    info = zipfile.ZipInfo(name, min(max(now, EARLIEST_TIME), LATEST_TIME))
    info.external_attr = 0o600 << 16
    file.writestr(info, data, zipfile.ZIP_DEFLATED, LEVEL)


def unpack(data: bytes, *, most: int = MAX_BYTES) -> Payload:
    """Return the payload in *data*, written by `pack`; raises ValueError otherwise.

    Its documents may have at most *most* bytes together, inflated.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as file:
            return _read(file, most)
    except FOREIGN as error:
        raise ValueError(str(error) or type(error).__name__) from error


def has_document(path: Path, name: str) -> bool:
    """Return whether the zip at *path* lists the document *name*."""
    try:
        with zipfile.ZipFile(path) as file:
            return f"{name}.json" in file.namelist()
    except (OSError, *FOREIGN):
        return False


def _read(file: zipfile.ZipFile, most: int) -> Payload:
    if len(file.infolist()) > MAX_DOCUMENTS:
        raise ValueError(f"contains more than {MAX_DOCUMENTS} files")
    details = json.loads(_read_member(file, FETCH, most))
    entries, documents = details.pop("documents"), []
    if not isinstance(entries, list) or not entries:
        raise ValueError("lists no documents")
    for entry in entries:
        body = _read_member(file, entry["body"], most)
        most -= len(body)
        values = _validated({**entry, "body": body})
        charset = values.pop("charset", "")
        documents.append(Document(**values).read_by(charset))
    if missing := [name for name in REQUIRED if name not in details]:
        raise ValueError(f"{missing[0]} is missing")
    return Payload(**_validated({**details, "documents": tuple(documents)}))


def _read_member(file: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return the content of the member *name*, whose entry may state a wrong size."""
    parts = []
    with file.open(name) as member:
        while part := member.read(PIECE):  # read() allocates the requested size
            most -= len(part)
            if most < 0:
                raise ValueError(f"inflates to more than {MAX_BYTES} bytes")
            parts.append(part)
    return b"".join(parts)


def _validated(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values*; raises ValueError if one has a wrong type or is out of range."""
    for name, value in values.items():
        if name in _VALIDATORS and not _VALIDATORS[name](value):
            raise ValueError(f"{name} is {value!r:.60}")
    return values


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 53


def _is_time(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value < LATEST


def _is_notes(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


_VALIDATORS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("name", "url", "system_id", "run_id", "boot_id"), _is_text),
    **dict.fromkeys(("incomplete", "beside", "source", "next_url"), _is_text),
    "charset": _is_text,
    "raw": lambda _: False,
    **dict.fromkeys(("slot", "http_status", "wire_bytes"), _is_count),
    **dict.fromkeys(("fetched_at", "uptime"), _is_time),
    "date": lambda value: value is None or _is_time(value),
    "total": lambda value: value is None or _is_count(value),
    "notes": _is_notes,
    "findings": _is_notes,
}
