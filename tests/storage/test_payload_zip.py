"""A payload's file: written by `pack`, or rejected before it can do harm."""

import io
import json
import time
import tracemalloc
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from bikecollect.core.payload import Document, Payload
from bikecollect.core.slots import Slot
from bikecollect.storage.payload_zip import pack, unpack

SLOT = Slot(1_795_276_800)
PAYLOAD = Payload(
    (Document("page-0", b"[1]", "https://example.org/", fetched_at=1.7952768e9),),
    "city",
    SLOT,
    "0badcafe",
    1_795_276_802.5,
    notes={"a": "b"},
)


def test_a_payload_is_read_back() -> None:
    """Its documents byte for byte, and the details of the fetch."""
    (document,) = unpack(pack(PAYLOAD)).documents

    assert (document.name, document.body) == ("page-0", b"[1]")
    assert unpack(pack(PAYLOAD)).notes == {"a": "b"}


def test_a_payload_in_another_charset_is_read_back_by_it() -> None:
    """The file has the publisher's bytes; only then it names a charset."""
    sent = '["許功蓋"]'.encode("big5")
    document = Document("page-0", sent).read_by("big5")
    packed = pack(replace(PAYLOAD, documents=(document,)))
    (read,) = unpack(packed).documents
    with zipfile.ZipFile(io.BytesIO(packed)) as box:
        stored = box.read("page-0.json")

    assert (stored, read.received, read.body.decode()) == (sent, sent, '["許功蓋"]')
    assert "charset" not in json.loads(_fetch_json())["documents"][0]


@pytest.mark.parametrize("year", [1970, 1979, 2108, 9999])
def test_a_payload_can_be_written_under_any_clock(
    monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    """A zip has only the years 1980 to 2107; a clock may show 1970."""
    shown = time.struct_time((year, 1, 1, 0, 0, 0, 3, 1, 0))
    monkeypatch.setattr("time.localtime", lambda *_: shown)

    assert unpack(pack(PAYLOAD)).documents[0].body == b"[1]"


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    """A file that inflates a thousand times is read up to the limit only."""
    packed = _zip({"fetch.json": _fetch_json(), "page-0.json": bytes(20_000_000)})

    tracemalloc.start()
    with pytest.raises(ValueError, match="inflates to more than"):
        unpack(packed, most=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(packed) < 50_000
    assert peak < 2_000_000


def test_documents_share_one_limit() -> None:
    """A hundred documents may not have a hundred times as much."""
    files = {f"page-{n}.json": bytes(300_000) for n in range(4)}
    about = _fetch_json(documents=[{"name": n, "body": n} for n in files])

    with pytest.raises(ValueError, match="inflates to more than"):
        unpack(_zip({"fetch.json": about, **files}), most=1_000_000)


def test_an_entry_with_a_wrong_size_is_cut() -> None:
    """The directory says 3 bytes: the rest is not read, and the error is detected."""
    packed = bytearray(
        _zip({"fetch.json": _fetch_json(), "page-0.json": bytes(9_000_000)})
    )
    true, lie = (9_000_000).to_bytes(4, "little"), (3).to_bytes(4, "little")
    packed = bytearray(bytes(packed).replace(true, lie))

    tracemalloc.start()
    with pytest.raises(ValueError, match="CRC"):
        unpack(bytes(packed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"PK\x05\x06" + bytes(17),
        pack(PAYLOAD)[:-30],
        pack(PAYLOAD).replace(b"\x14\x00", b"\xeb\x00"),  # a version to come
        pack(PAYLOAD).replace(b"\x00\x00\x08\x00", b"\x01\x00\x08\x00"),  # encrypted
        pack(PAYLOAD).replace(b"\x08\x00", b"\x63\x00"),  # an unknown method
    ],
)
def test_a_foreign_zip_is_refused(packed: bytes) -> None:
    """Truncated, of another version, encrypted, or compressed by another method."""
    with pytest.raises(ValueError, match=r".+"):
        unpack(packed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slot", "1795276800"),
        ("slot", True),
        ("slot", -1),
        ("slot", 10**30),
        ("fetched_at", "noon"),
        ("fetched_at", 1e300),
        ("fetched_at", None),
        ("uptime", [1]),
        ("run_id", 7),
        ("notes", {"a": 1}),
        ("notes", []),
        ("documents", {}),
        ("documents", [7]),
        ("documents", [{"name": "x", "body": "nowhere.json"}]),
        ("documents", [{"name": [], "body": "page-0.json"}]),
        ("documents", [{"name": "x", "body": "page-0.json", "http_status": "ok"}]),
        ("documents", [{"name": "x", "body": "page-0.json", "date": "now"}]),
        ("documents", [{"name": "x", "body": "page-0.json", "charset": 7}]),
        ("documents", [{"name": "x", "body": "page-0.json", "raw": "[2]"}]),
        ("a_field_to_come", 1),
    ],
)
def test_a_payload_with_values_of_wrong_types_is_refused(name: str, value: Any) -> None:
    """None of them reaches a row, the ledger, or a date."""
    packed = _zip({"fetch.json": _fetch_json(**{name: value}), "page-0.json": b"[1]"})

    with pytest.raises(ValueError, match=r".+"):
        unpack(packed)


@pytest.mark.parametrize("name", ["system_id", "slot", "run_id", "fetched_at"])
def test_a_file_that_names_no_run_is_refused(name: str) -> None:
    """Without its system, slot and run it cannot be committed."""
    about = json.loads(_fetch_json())
    del about[name]
    packed = _zip({"fetch.json": json.dumps(about).encode(), "page-0.json": b"[1]"})

    with pytest.raises(ValueError, match=f"{name} is missing"):
        unpack(packed)


def _fetch_json(**more: Any) -> bytes:
    """Return a fetch.json, with the values of *more*."""
    with zipfile.ZipFile(io.BytesIO(pack(PAYLOAD))) as box:
        return json.dumps({**json.loads(box.read("fetch.json")), **more}).encode()


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as box:
        for name, body in files.items():
            box.writestr(name, body)
    return packed.getvalue()
