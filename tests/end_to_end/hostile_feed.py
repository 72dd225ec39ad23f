"""A feed that answers each slot as planned: correctly, or like an attacker.

Run as a program: ``python hostile_feed.py PORT NOTE``. NOTE is a file of JSON that is
read at each request: the moment, and the kind of answer of each system, empty for a
good one. A kind is what `kinds` names.
"""

import gzip
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

CITY = City(20)
Deed = Callable[[socket.socket, str], None]
"""What is done to a peer that asked for a path."""
MIB = 1_048_576
LIST = "the list of stations"
YOUBIKE = {
    "station_id": "sno",
    "name": "sna",
    "num_bikes_available": "available_rent_bikes",
    "num_docks_available": "available_return_bikes",
    "last_reported": "infoTime",
}
"""The names of GBFS' fields in YouBike's documents."""
HASH_MODULUS = 2**61 - 1
"""All multiples of it hash alike, as integers."""


def reply(
    body: bytes, status: str = "200 OK", *headers: str, packed: bool = False
) -> bytes:
    """Return a complete HTTP response."""
    body = gzip.compress(body, 1) if packed else body
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        *(("Content-Encoding: gzip",) if packed else ()),
        *headers,
        "Connection: close\r\n\r\n",
    ]
    return "\r\n".join(lines).encode("utf-8") + body


def system_of(path: str) -> str:
    """Return the system whose feed has *path*."""
    return "gbfs" if path.startswith("/gbfs") else "youbike"


def stations(system: str, listed: Iterable[Mapping[str, Any]], **more: Any) -> bytes:
    """Return *listed*, in GBFS' names, as the document of *system*."""
    return document(system, json.dumps([*listed]), **more)


def document(system: str, listed: str, **more: Any) -> bytes:
    """Return the document of *system* with the stations *listed*, JSON in GBFS' names.

    Names are replaced in the text: to encode all stations again takes longer.
    """
    if system == "gbfs":
        head = {"last_updated": 1, "ttl": 60, "version": "2.3"}
        return _with_list(listed, {**head, "data": {"stations": LIST}, **more})
    for name, own in YOUBIKE.items():
        listed = listed.replace(f'"{name}": ', f'"{own}": ')
    return _with_list(listed, {"retVal": LIST, **more} if more else LIST)


def _with_list(listed: str, document: object) -> bytes:
    return json.dumps(document).replace(f'"{LIST}"', listed, 1).encode()


def station(number: int = 0, **more: Any) -> dict[str, Any]:
    """Return a station that can be read, with *more*."""
    return {
        "station_id": f"h{number}",
        "num_bikes_available": 1,
        "num_docks_available": 1,
        **more,
    }


def few(**more: Any) -> Callable[[str], bytes]:
    """Return a function that returns three stations with *more*."""
    return lambda system: stations(system, [station(n, **more) for n in range(3)])


def each_with(name: str, value: Callable[[int], Any], number: int) -> Deed:
    """Return an action that sends *number* stations whose *name* is *value*'s."""
    return many(lambda n: station(n, **{name: value(n)}), number)


def many(make: Callable[[int], Mapping[str, Any]], number: int) -> Deed:
    """Return an action that sends *number* stations that *make* returns."""

    @cache
    def listed() -> str:
        return json.dumps([make(n) for n in range(number)])

    return sends(lambda system: document(system, listed()), packed=True)


def sends(
    make: Callable[[str], bytes] | bytes,
    status: str = "200 OK",
    *headers: str,
    packed: bool = False,
) -> Deed:
    """Return an action that answers with the body that *make* returns for a system."""

    @cache
    def made(system: str) -> bytes:
        body = make if isinstance(make, bytes) else make(system)
        return reply(body, status, *headers, packed=packed)

    return lambda peer, path: peer.sendall(made(system_of(path)))


def raw(data: bytes, times: int = 1) -> Deed:
    """Return an action that sends *data*, so many *times*, and disconnects."""

    def deed(peer: socket.socket, path: str) -> None:
        for _ in range(times):
            peer.sendall(data)

    return deed


def lists(url: str, number: int = 1, name: str = "x") -> Deed:
    """Return an action that sends a gbfs.json with *url*; everything else is 404."""
    feeds = [{"name": "station_status", "url": url}]
    feeds += [{"name": f"{name}{n}", "url": url} for n in range(number)]
    discovery = json.dumps({"data": {"en": {"feeds": feeds}}}).encode()

    def deed(peer: socket.socket, path: str) -> None:
        there = path in {"/gbfs/gbfs.json", "/youbike"}
        peer.sendall(reply(discovery) if there else reply(b"", "404 Not Found"))

    return deed


def pages(peer: socket.socket, path: str) -> None:
    """Send one of many announced pages, all different."""
    listed = [station(n, name=f"{path} {n} {'x' * 900}") for n in range(1_000)]
    peer.sendall(reply(stations(system_of(path), listed, total=99_000)))


OK = b"HTTP/1.1 200 OK\r\n"
EVIL = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2066\x9b31m\r\n2026-11-22 CRITICAL forged"


@cache
def bomb() -> bytes:
    """Return few bytes that are unpacked to many."""
    return gzip.compress(bytes(64 * MIB), 9)


@cache
def costly() -> Mapping[str, Deed]:
    """Return the actions of an attacker that may cost much, by name."""
    return {
        # What costs CPU or memory.
        "colliding stamps": each_with(
            "last_reported", lambda n: 7 + n * HASH_MODULUS, 60_000
        ),
        "450,000 stations": many(station, 450_000),
        "gzip bomb": raw(
            OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + bomb()
        ),
        "empty objects": sends(b"[" + b"{}," * (8 * MIB // 3) + b"{}]", packed=True),
        "empty objects, inside": sends(
            b'{"data": {"stations": [' + b"{}," * (MIB) + b"{}]}}", packed=True
        ),
        "empty lists": sends(b"[" + b"[]," * (8 * MIB // 3) + b"[]]"),
        "nested lists": sends(b"[" + b"[[[[]]]]," * MIB + b"[]]"),
        "deep nesting": sends(b"[" * 200_000),
        "deep objects": sends(b'{"data":' * 200_000),
        "colliding members": sends(
            lambda _: json.dumps({str(n * 7): n for n in range(200_000)}).encode()
        ),
        "one id, 90,000 times": each_with("station_id", lambda _: "same", 90_000),
        "pages without end": pages,
        "a body without end": raw(OK + b"\r\n" + b"[" * MIB, 40),
        # What costs disk.
        "a feed's name of 20 MiB": lists("http://127.0.0.1:1/x", 1, "n" * (20 * MIB)),
        "100,000 feeds": lists("http://127.0.0.1:1/x", 100_000),
        "a field's name of 20 MiB": sends(few(**{"f" * (20 * MIB): 1}), packed=True),
        "200,000 fields": sends(
            few(**{f"field{n}": n for n in range(70_000)}), packed=True
        ),
        "long names": sends(
            few(name="n" * 70_000, address="a" * 2_000_000), packed=True
        ),
        "long ids": each_with("station_id", lambda n: f"{n}" * 131_073, 5),
        "many station lists": each_with("name", lambda n: f"{n} {'n' * 200}", 3_000),
    }


@cache
def kinds() -> Mapping[str, Deed]:
    """Return all actions of an attacker, by name."""
    return {
        **costly(),
        # What acts on screens, logs, mails, files.
        "escapes in names": sends(few(name=EVIL, address=EVIL, region_id=EVIL)),
        "escapes in ids": each_with("station_id", lambda n: f"{EVIL}{n}", 3),
        "escapes in fields": sends(few(**{EVIL: 1, f"{EVIL}2": 2})),
        "escapes without stations": sends(json.dumps({EVIL: {EVIL: EVIL}}).encode()),
        "escapes in a feed's name": lists("http://127.0.0.1:1/x", 3, EVIL),
        "formulas": sends(few(name="=cmd|' /C calc'!A0", address="@SUM(1)")),
        "rows in an id": each_with(
            "station_id",
            lambda n: f'{n}"\n2026-11-22T00:00:00+08:00,,forged,9,,9,,,,,,,\n',
            3,
        ),
        "paths in ids": each_with("station_id", lambda n: f"../../../etc/passwd{n}", 3),
        # Redirects, and addresses that are none of the feed's.
        "a redirect with a bomb": raw(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Encoding: gzip\r\n"
            b"Connection: close\r\n\r\n" + bomb()
        ),
        "a redirect to loopback": sends(b"", "302 Found", "Location: http://[::1]:22/"),
        "a redirect inside": sends(
            b"", "301 Moved", "Location: http://169.254.169.254/"
        ),
        "a redirect to nowhere": sends(b"", "307 Temporary Redirect"),
        "a redirect with escapes": sends(
            b"", "302 Found", "Location: http://e\x1b[2J.example\u202e/"
        ),
        "a long redirect": sends(
            b"", "302 Found", f"Location: http://x/{'y' * 60_000}"
        ),
        "feeds inside": lists("http://169.254.169.254/latest/meta-data/"),
        "feeds on loopback": lists("http://localhost:22/"),
        "feeds nowhere": lists("http://["),
        "feeds in files": lists("file:///etc/passwd"),
        # What is no answer, or none that was asked for.
        "not found": sends(b"not here", "404 Not Found"),
        "gone": sends(b"", "410 Gone"),
        "forbidden": sends(b"who are you", "403 Forbidden"),
        "rate limit": sends(b"", "429 Too Many Requests", "Retry-After: 20"),
        "endless rate limit": sends(
            b"", "429 Too Many Requests", f"Retry-After: {10**30}"
        ),
        "garbled rate limit": sends(
            b"", "429 Too Many Requests", "Retry-After: \u202esoon"
        ),
        "a large error": sends(bytes(4 * MIB), "500 Internal Server Error"),
        "no content": sends(b"", "204 No Content"),
        "an endless header": raw(
            OK + b"".join(b"X-%d: y\r\n" % n for n in range(9_000)), 9
        ),
        "a header of 1 MiB": raw(OK + b"X: " + b"y" * MIB + b"\r\n\r\n[]"),
        "another protocol": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        "nothing": raw(b""),
        "half a body": raw(OK + b"Content-Length: 1000\r\n\r\n[{"),
        "another encoding": sends(b"x", "200 OK", "Content-Encoding: br"),
        "a strange length": raw(OK + b"Content-Length: -5\r\n\r\n[]"),
        "broken chunks": raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n"),
        # What is no feed.
        "a page": sends(b"<!DOCTYPE html><html><title>Log in</title></html>"),
        "null": sends(b"null"),
        "blanks": sends(b" " * MIB),
        "not a number": sends(b'{"data": {"stations": [NaN, Infinity]}}'),
        "huge integers": sends(b'[{"sno": %s}]' % (b"9" * 100_000)),
        "another charset": sends("[{'é'}]".encode("latin-1")),
        "surrogates": sends(few(name="\ud800", **{"\udfff": "\ud800\udc00\ud800"})),
        "surrogate ids": each_with("station_id", lambda n: f"\ud800{n}", 3),
        "wrong types": sends(
            lambda system: stations(
                system,
                [
                    station(0, station_id=[]),
                    station(1, num_bikes_available={}),
                    station(2, num_docks_available="many", name=[None, {"text": 7}]),
                    station(3, last_reported=1e308, lat="north", lon=[], capacity=-1),
                ],
            )
        ),
        "not stations": sends(b'{"data": {"stations": [1, null, "x", [], true, 2.5]}}'),
        "an object of stations": sends(b'{"data": {"stations": {"a": 1, "b": null}}}'),
        "stamps to come": each_with("last_reported", lambda _: 253_402_300_799, 3),
        "a list without stations": sends(b'{"data": {"stations": []}}'),
    }


def good(moment: float, base: str, path: str) -> bytes:
    """Return the good document at *path*, as of *moment*."""
    if path == "/youbike":
        return dialects.youbike(CITY, moment)
    documents = dialects.gbfs(CITY, moment, f"{base}/gbfs")
    return documents[path.removeprefix("/gbfs/").removesuffix(".json")]


def answer(peer: socket.socket, note: Path, base: str) -> None:
    """Answer the one request of *peer*, as *note* says."""
    words = peer.recv(65_536).split(b" ", 2)
    path = words[1].decode("latin-1") if len(words) > 1 else ""
    plan = json.loads(note.read_text(encoding="utf-8"))
    kind = plan["kinds"][system_of(path)]
    if kind:
        kinds()[kind](peer, path)
    else:
        peer.sendall(reply(good(plan["moment"], base, path), packed=True))


def main() -> None:
    """Serve until the process is killed."""
    port, note = int(sys.argv[1]), Path(sys.argv[2])
    kinds()
    with socket.create_server(("127.0.0.1", port), backlog=50) as listener:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

        def serve(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                answer(peer, note, f"http://127.0.0.1:{port}")

        while True:
            peer, _ = listener.accept()
            threading.Thread(target=serve, args=(peer,), daemon=True).start()


if __name__ == "__main__":
    main()
