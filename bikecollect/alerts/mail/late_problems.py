"""What `status --alert --mail` has mailed, and when: each problem only once a day."""

import json
import logging
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY
from bikecollect.core.text import visible
from bikecollect.storage.files import durable

log = logging.getLogger(__name__)

DAMAGE = "damage"
"""The kind of the problems that are known by their text."""
HANG = "hang"
"""The kind of the problem that a disk hangs: only who waits for it sees that."""


def keys(name: str, kind: str, text: str) -> set[str]:
    """Return what a problem is known by: its kind, but each damage by its own text.

    Without the remedies, which change with what can be repaired.
    """
    if kind != DAMAGE:
        return {f"{name} {kind}"}
    whats = (line.partition("; ")[0] for line in text.split("\n"))
    return {f"{name} {kind} {zlib.crc32(what.encode()):08x}" for what in whats}


def read(path: Path) -> dict[str, float]:
    """Return when each problem was mailed, in epoch seconds; empty if unknown."""
    try:
        times = json.loads(path.read_bytes())
        return {name: float(at) for name, at in times.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def still_known(
    mailed: Mapping[str, float],
    current: Collection[str],
    judged: Collection[str],
    now: float,
) -> dict[str, float]:
    """Return what of *mailed* is known on: problems of *current*, or perhaps not over.

    A problem of the systems *judged* is over if it is not in *current*. Those of others
    are kept for a day; so is a disk that hangs, which may do so again and again.

    >>> mailed = {"a run": 900.0, "b run": 900.0, "c run": 900.0, " hang": 900.0}
    >>> still_known(mailed, {"a run"}, {"", "a", "b"}, now=1000.0)
    {'a run': 900.0, 'c run': 900.0, ' hang': 900.0}
    """
    return {
        key: at
        for key, at in mailed.items()
        if key in current or (_may_last(key, judged) and is_recent(mailed, key, now))
    }


def _may_last(key: str, judged: Collection[str]) -> bool:
    name, _, kind = key.partition(" ")
    return name not in judged or kind == HANG


def write(path: Path, mailed: Mapping[str, float]) -> None:
    """Write when each problem was *mailed*; if that fails, it is only logged."""
    try:
        durable.make_folder(path.parent)
        temporary = path.with_suffix(".tmp")
        durable.write_file(temporary, json.dumps(mailed).encode())
        temporary.replace(path)
    except (OSError, StorageError) as error:
        log.warning("cannot write %s: %s", path, error)


def is_recent(mailed: Mapping[str, float], key: str, now: float) -> bool:
    """Return whether the problem *key* was *mailed* within the day before *now*."""
    return 0 <= now - mailed.get(key, 0.0) < DAY


def is_damage_mailed(path: Path, now: float, name: str, text: str) -> bool:
    """Return whether each damage in *text*, of the system *name*, was mailed lately."""
    mailed = read(path)
    lines = "\n".join(map(visible, text.split("\n")))
    return all(is_recent(mailed, key, now) for key in keys(name, DAMAGE, lines))
