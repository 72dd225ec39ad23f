"""One run of one cycle in a separate process, to be killed, failed or traced."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from readiness import wait_for_tracer
from world import NOON, World

from bikecollect.core import process
from bikecollect.core.blocks import Tail
from bikecollect.core.payload import Documents
from bikecollect.core.run import Run
from bikecollect.core.snapshot import Snapshot
from bikecollect.storage import csv_store, payload_store

STATIONS = 10
INTERVAL = 300.0


def stations(number: int) -> dict[str, int]:
    """Return what the feed says in run *number*."""
    return {f"s{i:02}": (number * 7 + i) % 50 for i in range(STATIONS)}


def run(folder: Path, number: int, slot: int, mutant: str = "", deadly: int = 0) -> Run:
    """Run cycle *number* in slot *slot* (counted from noon, may be negative).

    The payload of run *deadly* kills whoever reads it.
    """
    # Another thread's child holds a copy of the lock until it has begun its program.
    world = World(folder, patience=10.0)
    if mutant:
        mutate(mutant)
    world.runs = number - 1
    world.clock.now = NOON + slot * INTERVAL
    world.uptime += slot * INTERVAL
    if deadly:
        read = world.feed.read
        world.feed.read = partial(_read_or_die, read)  # type: ignore[method-assign]
    return world.fetch(stations(number), **{"deadly": True} if number == deadly else {})


def _read_or_die(
    read: Callable[[Documents], Snapshot], documents: Documents
) -> Snapshot:
    if b'"deadly"' in documents[0].body:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(documents)


def mutate(name: str) -> None:
    """Break the product on purpose, to check that the harness detects it."""
    kept = {attribute: getattr(os, attribute) for attribute in dir(os)}
    nothing = SimpleNamespace(**{**kept, "fsync": lambda _fd: None})
    if name == "no-csv-fsync":
        setattr(csv_store, "os", nothing)  # the module's name, not an export
    if name == "no-dir-fsync":
        for module in (payload_store, csv_store):
            setattr(module, "sync_folder", lambda _path: None)
    if name == "trust-ledger-end":
        setattr(
            csv_store.Store,
            "tail",
            lambda _self, file, end, _waiting, _known: Tail(file, (), end, b""),
        )


def main(run: Callable[[argparse.Namespace], Run]) -> None:
    """Do the *run* that the arguments say, and end this process as the program ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("slot", type=int)
    parser.add_argument("--mutant", default="")
    parser.add_argument("--deadly", type=int, default=0)
    parser.add_argument("--traced", default="")
    parser.add_argument("--call", default="")
    options = parser.parse_args()
    if options.traced:
        wait_for_tracer(options.traced, options.call)
    process.prepare()
    ended = run(options)
    sys.stderr.flush()
    os._exit(ended.exit_code)


if __name__ == "__main__":
    main(lambda o: run(o.folder, o.number, o.slot, o.mutant, o.deadly))
