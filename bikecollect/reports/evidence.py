"""Evidence for the account of the past, read from a system's folder."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from bikecollect.core.slots import Slot
from bikecollect.reports.coverage import Evidence, Filled, Seen, Trouble
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import slot_of

RUN = "slot, started, outcome, cause, boot_id, uptime, awake"
RUNS = f"SELECT {RUN} FROM runs WHERE slot >= ? AND slot < ? ORDER BY started"  # noqa: S608 - fixed names
BEFORE = f"SELECT {RUN} FROM runs WHERE slot < ? ORDER BY slot DESC LIMIT 1"  # noqa: S608 - fixed names
AFTER = f"SELECT {RUN} FROM runs WHERE slot >= ? ORDER BY slot LIMIT 1"  # noqa: S608 - fixed names
BLOCKS = (
    "SELECT b.slot, b.rows, CASE WHEN b.flags = '' THEN coalesce(r.flags, '')"
    " ELSE b.flags END, b.source, b.fetched_at, b.last_updated, b.sha256, b.run_id"
    " FROM blocks AS b LEFT JOIN runs AS r ON r.run_id = b.run_id"
    " WHERE b.slot >= ? AND b.slot < ?"
)
"""Blocks of an older schema have their flags with their run only."""

SILENCING = frozenset({"disk", "ledger", "settings"})
"""Incidents in which a run may not be able to write down that it was."""


def read(
    history: History, folder: Path, since: Slot, until: Slot, now: Seen | None = None
) -> Evidence:
    """Return the evidence for the slots from *since* to before *until*.

    *now* is this moment, which closes the last gap: what has the machine done since
    the last run? Raises StorageError.
    """
    dead = [
        Seen(r.slot, r.started, "killed", r.cause, r.boot_id, r.uptime, r.awake)
        for r in history.dead()
        if r.outcome is not None
    ]
    rows = [
        *history.select(BEFORE, since),
        *history.select(RUNS, since, until),
        *history.select(AFTER, until),
    ]
    runs = [*map(Seen._make, rows), *dead, *([now] if now else [])]
    blocks = (Filled._make(row) for row in history.select(BLOCKS, since, until))
    troubles = [
        Trouble(each.kind, Slot(each.opened), Slot(each.last))
        for each in history.incidents(since)
        if each.kind in SILENCING
    ]
    return Evidence(
        first=history.first(),
        runs=sorted(runs, key=lambda run: run.started),
        blocks={each.slot: each for each in blocks},
        spare=dict(_spare(folder / "payloads")),
        troubles=troubles,
    )


def _spare(folder: Path) -> Iterable[tuple[Slot, str]]:
    """Yield slots and where a payload of theirs lies; the surest place comes last."""
    for name, pattern in (
        ("rejected", "rejected/*.zip"),
        ("kept", "kept/*/*.zip"),
        ("inbox", "inbox/*.zip"),
    ):
        for stamped, _ in groupby(
            sorted(path.name for path in folder.glob(pattern)),
            key=lambda each: each.partition(".")[0],
        ):
            try:
                yield slot_of(stamped), name
            except ValueError:
                continue
