"""The fuzzed functions: every reader of foreign bytes, and what it promises.

Each target takes any bytes. Whatever they are, only our own errors may come out of a
reader, and what it understood must be written and read back as it was. A broken
promise is an AssertionError or a foreign exception.
"""

import csv
import gzip
import io
import json
import math
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from urllib3.util import parse_url

from bikecollect.archive import day_csv
from bikecollect.cli.timeparse import days, moment
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core.errors import BikecollectError, PayloadError, SettingsError
from bikecollect.core.payload import Check, Document, Memory, Payload
from bikecollect.core.run import Run, from_json
from bikecollect.core.slots import Slot, iso
from bikecollect.core.snapshot import (
    Snapshot,
    StationInformation,
    StationStatus,
    VehicleStatus,
)
from bikecollect.core.timeline.grid import Grid
from bikecollect.feeds import Feed
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.gbfs.discovery import fingerprint, without_secrets
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.http import redirects, urls
from bikecollect.feeds.http.access import Access, Scope
from bikecollect.feeds.http.networks import is_local_name, numeric
from bikecollect.feeds.http.response.body import CODINGS, read_body
from bikecollect.feeds.http.response.headers import date
from bikecollect.feeds.http.retry import retry_after
from bikecollect.feeds.http.urls import plain
from bikecollect.feeds.imported import station_rows, vehicle_rows
from bikecollect.feeds.mapped import Mapped, validate
from bikecollect.feeds.reading.json_payload import decode
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import MAX_COUNT
from bikecollect.feeds.youbike import YouBike
from bikecollect.setup import loader
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage.csv_format import (
    DERIVED,
    Format,
    information_header,
    information_lines,
    read_information,
)
from bikecollect.storage.csv_store import Store
from bikecollect.storage.payload_store import Payloads, name_of

ZONE = ZoneInfo("Asia/Taipei")
SLOT = Slot(1_795_276_800)
LATEST = 4_000_000_000.0
"""No moment that a table or a folder names is later."""
FORMAT = Format(ZONE, (DERIVED["occupancy"],))
FILE = "station_status/2026-11-22.csv"
LIST = "station_information.csv"
VEHICLE = VehicleStatus("v", 25.0, 121.5, "car", True, None, 900, 0.5, "1", SLOT)
MAPPING = {
    "stations": "data.0.list",
    "station_id": "id",
    "num_vehicles_available": "bikes.now",
    "num_docks_available": "docks",
    "capacity": "size",
    "name": "name",
    "lat": "at.0",
    "lon": "at.1",
    "is_renting": "open",
    "last_reported": "when",
    "last_updated": "time",
}
BREAK = b"\0"
"""Parts the documents of one input; no JSON holds it."""


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for one input, in memory where the machine has such a place."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def target_json(data: bytes) -> None:
    """Decode JSON, or reject it; valid JSON can be written as such."""
    with suppress(PayloadError):
        json.dumps(decode(data))


def target_youbike(data: bytes) -> None:
    """Read the pages of a YouBike feed."""
    _reads(YouBike("https://example.org/?page=1&size=6", ZONE), data, "page-0")


def target_gbfs(data: bytes) -> None:
    """Read the documents of a GBFS system, in the order of its requests."""
    _reads(Gbfs("https://example.org/gbfs.json", ZONE, "en"), data, "station_status")


def target_citybikes(data: bytes) -> None:
    """Read a network of CityBikes."""
    _reads(CityBikes("https://example.org/"), data, "network")


def target_mapped(data: bytes) -> None:
    """Read a feed by a mapping."""
    _reads(Mapped("https://example.org/", ZONE, MAPPING), data, "feed")


def target_imported(data: bytes) -> None:
    """Read rows that came from another archive."""
    with suppress(PayloadError):
        _rows_come_back(station_rows.read(data))
    with suppress(PayloadError):
        vehicles = vehicle_rows.read(data)
        written = vehicle_rows.write(vehicles.statuses, vehicles.flags)
        assert vehicle_rows.read(written).statuses == vehicles.statuses


def target_payload(data: bytes) -> None:
    """Open a file of the inbox: a payload that can be committed, or damaged."""
    _opens(data)
    about, _, body = data.partition(BREAK)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("page-0.json", body)
        box.writestr("fetch.json", about)
    _opens(packed.getvalue())


def target_day(data: bytes) -> None:
    """Read a day's file without its ledger: complete blocks are read unchanged."""
    with folder() as root:
        (root / FILE).parent.mkdir()
        (root / FILE).write_bytes(data)
        store = Store(root)
        tail = store.tail(FILE, 0, (), ())
        assert 0 <= tail.cut <= len(data)
        for group in tail.groups:
            assert store.crc(group.span) == group.span.crc
            assert all(len(row) == len(tail.groups[0].rows[0]) for row in group.rows)
        with suppress(BikecollectError):
            columns = day_csv.columns_of(store.header(FILE))
            pieces = [
                day_csv.Piece(member.slot, columns, store.text(member.span))
                for member in tail.groups
            ]
            rows = sum(group.length for group in tail.groups)
            assert day_csv.total(day_csv.lines(pieces, columns)).rows == rows
        with suppress(BikecollectError):
            for snapshot in FolderSource(root, Grid.of(300), LATEST).snapshots():
                assert snapshot.slot % 300 == 0


def target_stations(data: bytes) -> None:
    """Read the list of stations: a line is a version, or skipped."""
    with folder() as root:
        (root / LIST).write_bytes(data)
        for group in Store(root).tail(LIST, 0, (), ()).groups:
            for row in group.rows:
                with suppress(ValueError):
                    _versions_come_back(read_information(row))


def target_note(data: bytes) -> None:
    """Read the note of a run that is over: a run, or a ValueError."""
    with suppress(ValueError):
        run = from_json(data.decode())
        assert from_json(run.to_json()) == run


def target_settings(data: bytes) -> None:
    """Load a settings file: settings that can be used, or a SettingsError."""
    with folder() as root:
        path = root / "bikecollect.toml"
        path.write_bytes(data)
        path.chmod(0o600)
        loader.read_alert_settings(str(path))
        with suppress(SettingsError):
            settings = loader.load(str(path))
            assert all(isinstance(secret, str) for secret in settings.secrets)
            assert settings.seconds > 0
            assert settings.data.is_absolute()


def target_header(data: bytes) -> None:
    """Read Retry-After and Date: a valid time, or None."""
    text = data.decode("latin-1")
    wait = retry_after(text, 1.8e9)
    stamp = date({"Date": text, "Age": text}, 1.8e9)
    assert wait is None or (wait > 0 and math.isfinite(wait))
    assert stamp is None or math.isfinite(stamp)


def target_body(data: bytes) -> None:
    """Read a body by each coding: complete and within its limits, or rejected."""
    for coding in CODINGS:
        stream = io.BytesIO(data)
        with suppress(BikecollectError):
            read, wire = read_body(
                lambda _, stream=stream: stream.read(7),  # type: ignore[misc]
                encoding=coding,
                length=len(data),
                wire_bytes=len(data),
                inflated_bytes=5_000,
            )
            assert wire == len(data)
            assert len(read) <= 5_000


def target_credentials(data: bytes) -> None:
    """Request an address that a feed names: no secret is sent to a foreign host."""
    text = data.decode("utf-8", "surrogateescape")
    url = "https://me:word-of-mine@example.org/gbfs.json?key=key-of-mine"
    scope = Scope(Access(url, {"X-Api-Key": "header-of-mine"}))
    with suppress(ValueError, BikecollectError):
        request = scope.with_keys(urls.parse(urls.joined(url, text)))
        sent = unquote(f"{request.text} {scope.headers(request)}")
        ours = (request.scheme, request.host, request.port) == (
            "https",
            "example.org",
            443,
        )
        assert ours == ("header-of-mine" in sent)
        secrets = ("word-of-mine", "key-of-mine", "header-of-mine")
        assert ours or not any(secret in sent for secret in secrets)


def target_stamp(data: bytes) -> None:
    """Read a publisher's stamp: a second of this century, or None."""
    form, _, text = data.decode("utf-8", "surrogateescape").rpartition("\0")
    try:
        validate({**MAPPING, "stamp_format": form})
    except SettingsError:
        form = ""
    for stamps in (Stamps(ZONE, form), Stamps(UTC)):
        values: list[object] = [text]
        with suppress(ValueError, RecursionError):
            values.append(json.loads(text))
        for value in values:
            seconds = stamps(value)
            assert seconds is None or 1_104_537_600 <= seconds <= 4_102_444_800


def target_moment(data: bytes) -> None:
    """Read a time of the command line: a number of seconds, or a UsageError."""
    with suppress(BikecollectError):
        text = data.decode("utf-8", "surrogateescape")
        assert math.isfinite(moment(text, ZONE, 1.8e9))
        days(None, text, ZONE, 1.8e9)


def target_address(data: bytes) -> None:
    """Parse an address: the host that is checked is the host that is requested."""
    text = data.decode("utf-8", "surrogateescape")
    base = urls.parse("https://example.org/gbfs.json")
    for shown in (urls.plain(text), urls.shown(text)):
        assert shown.isascii()
        assert len(shown) <= 300
    fingerprint(without_secrets(text, base.text))
    with suppress(ValueError):
        url = urls.parse(urls.joined(base.text, text))
        assert urls.parse(url.text) == url._replace(user="")
        parts = parse_url(url.text)
        host = (parts.host or "").strip("[]").replace("%25", "%")
        assert (host, parts.port or urls.PORTS[url.scheme]) == (url.host, url.port)
        numeric(url.host)
        is_local_name(url.host)
    with suppress(BikecollectError):
        redirects.target(base, text, 302, policy="same-site")


def target_table(data: bytes) -> None:
    """Read another archive's CSV: whole snapshots, or one of our errors."""
    with folder() as root:
        path = root / "table.csv"
        path.write_bytes(data)
        with suppress(BikecollectError):
            for snapshot in TableSource([path], ZONE, Grid.of(300), LATEST).snapshots():
                assert snapshot.slot % 300 == 0
                _rows_come_back(Snapshot(snapshot.statuses))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    name.removeprefix("target_"): value
    for name, value in list(globals().items())
    if name.startswith("target_")
}


def _opens(data: bytes) -> None:
    with folder() as root:
        (root / "inbox").mkdir()
        payload = Payload((), "city", SLOT, "0" * 8, 0.0)
        (root / "inbox" / name_of(payload)).write_bytes(data)
        store = Payloads(root)
        (name,) = store.waiting()
        with suppress(PayloadError):
            opened = store.open(name)
            assert name_of(opened) == name
            assert all(type(document.body) is bytes for document in opened.documents)
            assert all(type(document.name) is str for document in opened.documents)
            assert math.isfinite(opened.fetched_at)
            iso(opened.fetched_at, ZONE)


def _reads(feed: Feed, data: bytes, main: str) -> None:
    """Let *feed* fetch the documents in *data*, and read them."""
    bodies = data.split(BREAK)[:8]
    with suppress(PayloadError):
        _rows_come_back(feed.read((Document(main, bodies[0]),)))
    waiting = iter(bodies)

    def get(
        name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        return Document(name, next(waiting, b""), plain(url))

    with suppress(BikecollectError):
        fetched = feed.fetch(get, Memory(now=1.8e9))
        _rows_come_back(feed.read(fetched.documents))


def _rows_come_back(snapshot: Snapshot) -> None:
    """Write the rows of *snapshot*, and read them by every reader."""
    for status in snapshot.statuses:
        assert all(c is None or 0 <= c <= MAX_COUNT for c in status[1:7])
    known = {row.station_id: row for row in snapshot.information}
    block = FORMAT.block(SLOT, float(SLOT), snapshot.statuses, known)
    assert block.rows == len(snapshot.statuses)
    assert block.troubles == ()
    with folder() as root:
        store = Store(root)
        store.append(FILE, 0, FORMAT.header, block.text)
        if snapshot.statuses:
            (group,) = store.tail(FILE, 0, (), ()).groups
            assert group.span.end == len(FORMAT.header) + len(block.text)
            (collected,) = FolderSource(root, Grid.of(300), LATEST).snapshots()
            filled = [_filled(status, known) for status in snapshot.statuses]
            assert list(collected.statuses) == filled
        for version in snapshot.information:
            assert _versions_come_back(version) == version


def _filled(status: StationStatus, known: Mapping[str, StationInformation]) -> object:
    about = known.get(status.station_id)
    if status.capacity is None and about is not None:
        return status._replace(capacity=about.capacity)
    return status


def _versions_come_back(version: StationInformation) -> StationInformation:
    """Check that *version* is read back as it was written."""
    written = information_lines(SLOT, ZONE, [version])
    (row,) = csv.reader(io.StringIO(written.decode("utf-8"), newline=""))
    read = read_information(row)
    assert information_lines(SLOT, ZONE, [read]) == written
    return read


def _seeds() -> Mapping[str, list[bytes]]:
    """Return good inputs of each target, from which the bad ones are made."""
    city = City(3)
    gbfs = dialects.gbfs(city, 1.8e9, "https://example.org")
    youbike = dialects.youbike(city, 1.8e9)
    read = YouBike("https://example.org/", ZONE).read((Document("page-0", youbike),))
    known = {row.station_id: row for row in read.information}
    day = FORMAT.header + FORMAT.block(SLOT, 1.8e9, read.statuses, known).text
    listed = information_header() + information_lines(SLOT, ZONE, read.information)
    station = {"id": "a", "bikes": {"now": 3}, "docks": 4, "at": [25.0, 121.5]}
    network = {"id": "n", "free_bikes": 1, "empty_slots": 5, "extra": {"slots": 9}}
    return {
        "json": [youbike, b'{"a": [1, 2.5e3, "\\ud83d\\ude00", null, true]}'],
        "youbike": [youbike, b'{"retVal": ' + youbike + b"}"],
        "gbfs": [
            gbfs["station_status"],
            BREAK.join(
                gbfs[name]
                for name in (
                    *("gbfs", "station_status", "station_information"),
                    "vehicle_types",
                )
            ),
        ],
        "citybikes": [json.dumps({"network": {"stations": [network]}}).encode()],
        "mapped": [json.dumps({"data": [{"list": [station]}], "time": 1.7e9}).encode()],
        "imported": [
            station_rows.write(read.statuses),
            vehicle_rows.write([VEHICLE], ["no-stations"], 1_800_000_000),
        ],
        "payload": [_packed(youbike), _about(_packed(youbike))],
        "address": [
            b"https://me:word@example.org:8443/gbfs.json?key=1#x",
            b"http://[fe80::1%25eth0]:80/a?b=c",
            b"//example.org/../x",
        ],
        "day": [day],
        "stations": [listed],
        "note": [Run("0" * 8, "city", SLOT, 1.8e9).to_json().encode()],
        "settings": [SETTINGS.encode()],
        "header": [b"120", b"Sun, 06 Nov 1994 08:49:37 GMT"],
        "body": [gzip.compress(youbike, mtime=0), zlib.compress(youbike)],
        "credentials": [
            b"http://example.org/s?key=key-of-mine",
            b"https://x:word-of-mine@evil.org/header-of-mine?a=key%2Dof-mine&b=1",
            b"//example.org:443/s",
        ],
        "stamp": [b"2026-11-22 10:05:00", b"%d.%m.%Y %H:%M\x0022.11.2026 10:05"],
        "moment": [b"2026-11-22T10:05+08:00", b"24h", b"10:05"],
        "table": [TABLE.encode()],
    }


def _packed(body: bytes) -> bytes:
    with folder() as root:
        document = Document("page-0", body, "https://example.org/")
        payload = Payload((document,), "city", SLOT, "0" * 8, 1.8e9)
        Payloads(root).accept(payload)
        return (root / "inbox" / name_of(payload)).read_bytes()


def _about(packed: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(packed)) as box:
        return box.read("fetch.json") + BREAK + box.read("page-0.json")


SETTINGS = """data_dir = "/srv/bikes"
interval = "1min"
[systems.city]
feed = "mapped"
url = "https://example.org/"
timezone = "Asia/Taipei"
columns = ["hour"]
headers = {Authorization = "word"}
[systems.city.mapping]
station_id = "id"
num_vehicles_available = "bikes"
[mail]
host = "localhost"
sender = "a@example.org"
to = ["b@example.org"]
[tell]
webhook = "https://example.org/hook"
command = ["true"]
mute = ["drift"]
[keep]
payload_days = 3
"""
TABLE = """collect_time,sno,Quantity,\
available_rent_bikes,available_return_bikes,act,infoTime
2026-11-22 10:05:01,500101001,28,7,20,1,2026-11-22 10:04:31
2026-11-22 10:05:01,500101002,10,1,9,0,2026-11-22 10:04:31
2026-11-22 10:10:01,500101001,28,6.0,21,1,2026-11-22 10:09:31
"""
SEEDS = _seeds()
TOKENS = (
    *(b"", b"0", b"-1", b"-0.0", b"1e400", b"1e-400", b"NaN", b"1" * 5_000),
    *(b"99999999999999999999", b"null", b"true", b'"', b'\\"', b"\\", b"[" * 3_000),
    *(b"]", b"{", b"}", b",", b":", b"\n", b"\r", b"\r\n", b"\0", b"\x1b[2J", b"\x7f"),
    *(b'"\\ud800"', b"\\u0000", b"\\u2028", b"\\u202e", b"\\u0085", b"\xe2\x80\xa8"),
    *(b"\xc2\x85", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"2026-13-45T99:99:99"),
    *(b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"=cmd()"),
    *(b'"a":1,"a":2', b"http://[", b"//@:0/", b"x" * 70_000, b"../../etc/passwd"),
)
