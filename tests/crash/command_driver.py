"""One command at a set time with a simulated feed, to be traced."""

import argparse
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from driver import INTERVAL, mutate
from readiness import wait_for_tracer
from world import NOON

from bikecollect.cli import main
from bikecollect.collect.parallel import pool
from bikecollect.core import process
from bikecollect.core.errors import FeedUnavailable
from bikecollect.core.payload import Check, Document
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.storage import lock
from bikecollect.storage.runs import packed
from bikecollect.wiring import collection

STATIONS = 20
BOOTED = NOON - 1_000_000
NAMES = ("station_status", "station_information")
EVENTS = {"open", "os.rename", "os.mkdir", "os.scandir", "os.listdir", "os.remove"}
EVENTS |= {"sqlite3.connect"}
"""Python's audit events of calls that name a file."""


def stations(number: int) -> dict[str, str]:
    """Return the vehicles at each station in run *number*, as texts."""
    return {f"s{i:02}": str((number * 7 + i) % 50) for i in range(STATIONS)}


class Publisher:
    """Answers as the feed does in run *number*; without a number it is down."""

    public_host = ""

    def __init__(self, number: int, moment: float) -> None:
        self.attempts: list[Any] = []
        self._number = number
        self._moment = moment

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        """Return the document called *name*."""
        if not self._number:
            raise FeedUnavailable("http://h/gbfs: HTTP 503")
        feeds = [{"name": known, "url": f"http://h/{known}"} for known in NAMES]
        status = [
            {"station_id": i, "num_bikes_available": int(n), "num_docks_available": 1}
            for i, n in stations(self._number).items()
        ]
        places = [
            {"station_id": i, "name": i, "lat": 25, "lon": 121} for i in stations(1)
        ]
        data: dict[str, Any] = {
            "gbfs": {"en": {"feeds": feeds}},
            "station_status": {"stations": status},
            "station_information": {"stations": places},
        }
        body = {"last_updated": int(self._moment), "data": data[name]}
        return Document(name, json.dumps(body).encode(), url, fetched_at=self._moment)

    def close(self) -> None:
        """Close nothing."""


def set_clock(
    moment: float,
    patch: Callable[[object, str, object], None] = setattr,
    booted: float = BOOTED,
) -> None:
    """Let both clocks of this process begin at *moment*, by the function *patch*.

    The machine was started at *booted*.
    """
    begun, monotonic = time.monotonic(), time.monotonic

    def now() -> float:
        return moment + monotonic() - begun

    def uptime() -> float:
        return now() - booted

    collect = partial(collection.collect, clock=now, uptime=uptime, awake=uptime)
    patch(time, "time", now)
    patch(process, "uptime", uptime)  # else reports compare it with this machine's
    patch(process, "awake", uptime)
    patch(collection, "collect", collect)


def client_of(
    number: int, moment: float, down: Sequence[str] = ()
) -> Callable[[Settings, str, Times, float], Publisher]:
    """Return what makes the client of a system: its feed answers as in run *number*.

    The feeds of the systems in *down* are down.
    """

    def client(
        _settings: Settings, name: str, _times: Times, _seconds: float
    ) -> Publisher:
        return Publisher(0 if name in down else number, moment)

    return client


def fail_files(folder: str, name: str, first: int) -> None:
    """Let calls that name files in *folder* fail with *name* from the *first* on."""
    seen = 0

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in EVENTS or not isinstance(
            arguments[0], str | bytes | os.PathLike
        ):
            return
        path = os.fsdecode(arguments[0])
        if path.startswith(folder):
            seen += 1
            if seen >= first:
                number = getattr(errno, name)
                raise OSError(number, os.strerror(number), path)

    sys.addaudithook(refuse)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--fail", nargs=3, default=())
    parser.add_argument("--pack", action="store_true", help="pack all archived runs")
    parser.add_argument("--hurry", action="store_true", help="do not pause for others")
    parser.add_argument("--down", nargs="*", default=(), help="systems that fail")
    parser.add_argument("--mutant", default="")
    parser.add_argument("--share", type=int, help="systems for which a worker starts")
    parser.add_argument("--traced", default="", help="where a tracer listens")
    parser.add_argument("--call", default="", help="the system call that may fail")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    moment = NOON + options.slot * INTERVAL + 2
    set_clock(moment)
    setattr(collection, "_client", client_of(options.number, moment, options.down))
    mutate(options.mutant)
    pool.SHARE = options.share or pool.SHARE
    if options.pack:
        packed.RECENT = 0
    if options.hurry:
        lock.BREATH = 0
    if options.traced:
        wait_for_tracer(options.traced, options.call)
    process.prepare()
    if options.fail:
        fail_files(options.fail[0], options.fail[1], int(options.fail[2]))
    code = main.run(options.command)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
