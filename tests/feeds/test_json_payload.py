"""Hostile JSON affects only its own payload, and a national feed is read."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest

from bikecollect.core import process
from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.feeds import Feed, registry
from bikecollect.feeds.reading.aliases import Aliases, electric
from bikecollect.feeds.reading.defects import commas
from bikecollect.feeds.reading.json_payload import (
    Pace,
    decode,
    excerpt,
    nested,
    objects,
    shape,
    weigh,
)
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.youbike import YouBike

MIB = 1024 * 1024
ALIKE = 2**61 - 1
"""Numbers that differ by it have one hash in CPython."""

PEAK = """
import sys
from bikecollect.feeds.reading.json_payload import _parse, weigh

def memory(name):
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(name))
    return int(line.split()[1]) * 1024

item, size = sys.argv[1].encode(), 1_500_000
body = b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"
weight = weigh(body)
open("/proc/self/clear_refs", "w").write("5")  # proc(5): the peak is reset
before = memory("VmRSS") - len(body)
value = _parse(body)
print(weight, memory("VmHWM") - before)
"""


@pytest.mark.parametrize(
    "item",
    [
        "{}",
        "[]",
        "[1]",
        '{"":1}',
        "1.5",
        '"ab"',
        "[" * 50 + "]" * 50,
        '{"a":' * 30 + "1" + "}" * 30,
        '{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}',
    ],
)
def test_json_takes_no_more_memory_than_estimated(item: str) -> None:
    """The estimate before parsing is an upper limit of what the parser takes."""
    child = subprocess.run(
        [sys.executable, "-c", PEAK, item], capture_output=True, text=True, check=True
    )
    weight, peak = map(int, child.stdout.split())

    assert peak < weight * 1.1 + 4 * MIB


def test_json_with_a_large_estimate_is_not_parsed() -> None:
    """32 MiB of empty objects would be 900 MB."""
    body = b"[" + b"{}," * (11 * MIB) + b"{}]"

    with pytest.raises(PayloadError, match="the response is too large") as caught:
        decode(body)
    assert caught.value.cause == "too-large"


def test_parsing_ends_at_the_memory_limit() -> None:
    """Nested lists with a small estimate that take more than the limit."""
    script = (
        "from bikecollect.feeds.reading.json_payload import decode;"
        "decode(b'[' + b','.join([b'[' * 50 + b']' * 50] * 36_000) + b']')"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )

    assert "3.6 MB of JSON take more memory than available" in child.stderr


def test_json_within_a_text_is_limited_too() -> None:
    """A text of 12 MB that is itself JSON takes more when it is parsed."""
    text = "[" + "{}," * (4 * MIB) + "{}]"

    with pytest.raises(PayloadError, match="the response is too large"):
        nested(text)


@pytest.mark.parametrize("name", ["臺北車站", "\U0001f6b2"])
def test_a_national_feed_is_read(name: str) -> None:
    """26,000 stations with names in any script are not too much."""
    station = {
        "station_id": "nextbike_12345678",
        "name": f"{name} and a street of usual length 17",
        "lat": 52.123456,
        "lon": 13.123456,
        "address": "Straße des 17. Juni 135, 10623 Berlin",
        "capacity": 12,
        "is_virtual_station": False,
        "rental_methods": ["key", "creditcard"],
        "rental_uris": dict.fromkeys(("android", "ios"), "https://x.example/st?id=1"),
    }
    listed = {"data": {"stations": [station] * 26_000}}
    body = json.dumps(listed, ensure_ascii=False).encode()

    assert len(decode(body)["data"]["stations"]) == 26_000


def test_sixty_thousand_vehicles_are_read() -> None:
    """The largest free_bike_status that is known."""
    bike = {
        "bike_id": "0123456789abcdef0123456789abcdef",
        "lat": 52.123456,
        "lon": 13.123456,
        "is_reserved": False,
        "is_disabled": False,
        "vehicle_type_id": "type_1",
        "current_range_meters": 12345.5,
        "rental_uris": dict.fromkeys(("android", "ios"), "https://x.example/b?id=1"),
    }
    body = json.dumps({"data": {"bikes": [bike] * 60_000}}).encode()

    assert len(decode(body)["data"]["bikes"]) == 60_000


def test_the_pages_of_a_payload_are_bounded_together() -> None:
    """Each is small, and all are read together."""
    page = b"[" + b",".join([b"[" * 50 + b"]" * 50] * 4_000) + b"]"
    documents = tuple(Document(f"page-{n}", page) for n in range(10))

    with pytest.raises(PayloadError, match="the pages together are too large"):
        YouBike("http://x.example", UTC).read(documents)


def test_more_than_a_hundred_thousand_stations_are_rejected() -> None:
    """No system has a tenth of them."""
    with pytest.raises(PayloadError, match="100001 stations, more than 100000"):
        objects([{}] * 100_001, "the feed")


def test_stations_with_endless_fields_are_rejected() -> None:
    """The stored shape of a list remains small."""
    stations = [{f"f{n}-{i}": 1 for i in range(30)} for n in range(100)]

    with pytest.raises(PayloadError, match="more than 2000 different fields"):
        Aliases({"name": ("name",)}, stations)
    assert len(shape([{f"f{i}": 1 for i in range(1_000)}, {"x" * 1_000: 1}])) == 200


def stamps() -> None:
    """Read 60,000 stamps whose hashes are alike."""
    read = Stamps(UTC)
    for number in range(60_000):
        read(7 + number * ALIKE)
        read(float(7 + number) * 2.0**61)


def letters() -> None:
    """Look for e-bikes in a text of letters."""
    electric("a" * 300_000)


def quotes() -> None:
    """Look for commas in texts of which none ends."""
    commas.without(b'"' + b'\\"' * 400_000)
    commas.without(b'"\\' * 400_000)


@pytest.mark.parametrize("work", [stamps, letters, quotes])
def test_slow_inputs_are_read_quickly(work: Callable[[], None]) -> None:
    """Numbers with equal hashes, and a text over which a pattern backtracks."""
    run_alone(work)


def run_alone(work: Callable[[], None]) -> None:
    """Run a function of this module in a new process, within 20 s of CPU."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (20, 20));"
        f"from test_json_payload import {work.__name__}; {work.__name__}()"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=Path(__file__).parent
    )


def test_the_time_to_read_a_list_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload that is slow in any other way cannot be read."""
    spent = iter(range(0, 1_000, 15))
    monkeypatch.setattr("time.thread_time", lambda: float(next(spent)))

    with pytest.raises(
        PayloadError, match="reading the stations took more than 20 s"
    ) as caught:
        list(Pace()(range(1_000)))
    assert caught.value.cause == "too-slow"


def allocate_beyond_the_bound() -> None:
    """Raise if the limit has no effect, or remains after its block."""
    before = resource.getrlimit(resource.RLIMIT_DATA)

    with pytest.raises(MemoryError), process.bounded_memory(32 * MIB):
        bytearray(256 * MIB)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(256 * MIB)) == 256 * MIB


def test_memory_beyond_the_bound_is_an_error_that_is_handled() -> None:
    """The limit is restored, so that reporting the error has memory.

    In a process of its own: in one that has freed much memory before, the allocator
    serves a request from that, and no limit is met.
    """
    run_alone(allocate_beyond_the_bound)


def test_an_excerpt_is_short() -> None:
    """Of long texts, long numbers, deep and wide values."""
    wide = {"k" * 99: ["x" * 99, 10**4000, {"a": {"b": {"c": 1}}}, 1, 2, 3]} | {
        str(n): n for n in range(99)
    }

    assert len(excerpt([wide] * 99)) < 300
    assert len(excerpt(wide)) < 300


def test_the_estimate_counts_objects_and_entries() -> None:
    """Two objects with an entry each, in a list."""
    assert weigh(b'[{"a":1},{"a":2}]') == 17 * 3 + 2 * 150 + 100 + 2 * 80 + 40


STATUS = b'{"data": {"stations": [{"station_id": "a", "num_bikes_available": 3}]}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b")]}',\n", b""),
        (b"for(;;);", b""),
        (b"/**/callback(", b");"),
        (b"<br />\n<b>Notice</b>: in /a.php on line 3<br />\n", b""),
        (b"\xef\xbb\xbf\xef\xbb\xbf", b""),
        (b"", b"\n<!-- cached -->"),
        (b"", b";"),
        (b"", b"\0\0"),
        (b"", b"\x1a"),
    ],
)
def test_text_around_the_json_is_ignored_and_reported(
    before: bytes, after: bytes
) -> None:
    """The slot is collected despite a PHP notice or a script guard."""
    document = Document("station_status", before + STATUS + after, "http://h/s")
    snapshot = gbfs_feed().read((document,))

    (station,) = snapshot.statuses
    assert (station.station_id, station.num_vehicles_available) == ("a", 3)
    assert snapshot.findings["text around station_status"] == (
        "station_status has text before or after its JSON, which is ignored"
    )


@pytest.mark.parametrize("body", [STATUS, b"\xef\xbb\xbf\r\n " + STATUS + b" \n"])
def test_white_space_and_a_byte_order_mark_are_no_finding(body: bytes) -> None:
    """They are common and harmless."""
    snapshot = gbfs_feed().read((Document("station_status", body, "http://h/s"),))

    assert [key for key in snapshot.findings if key.startswith("text")] == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (STATUS + b"\n" + STATUS, "not JSON (extra data, line 2, "),
        (STATUS + b"}", "not JSON (extra data, line 1, "),
        (b"<h1>Error [500]</h1>", "a web page (HTML), not JSON"),
        (b"<html><script>x = {}</script></html>", "a web page (HTML), not JSON"),
        (b"<!-- " + b"x" * 3_000 + b" -->" + STATUS * 50, "XML, not JSON"),
        (STATUS[:-20], "not JSON (it ends in the middle, line 1, "),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not JSON (a number with too many digits)"),
        (b"[" * 100_000, "not JSON (nested too deeply)"),
        (b"{\0 \0x", "not JSON (the bytes are not UTF-16-LE)"),
    ],
)
def test_other_text_is_not_json(body: bytes, what: str) -> None:
    """Two documents, a web page, half a document: in words, not in Python's."""
    with pytest.raises(PayloadError, match=f"the response is {re.escape(what)}"):
        decode(body)


def gbfs_feed() -> Feed:
    """Return a GBFS feed as the collector builds it."""
    return registry.build(
        "gbfs",
        url="http://h/gbfs.json",
        timezone=UTC,
        language="",
        mapping={},
        fields={},
        version="",
        interval=300,
        kinds=False,
        vehicles=False,
    )
