"""Evidence for the account of the past, read from a system's folder."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any

from bikecollect.core import process
from bikecollect.core.blocks import Block
from bikecollect.core.causes import SeenRun
from bikecollect.core.process import Clock
from bikecollect.core.slots import EARLIEST, LATEST, Slot, state_of
from bikecollect.reports.coverage import (
    Account,
    Evidence,
    Judged,
    account,
    judge,
)
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import slot_of

RUN = "slot, started, outcome, cause, boot_id, uptime, awake"
RUNS = f"SELECT {RUN} FROM runs WHERE slot >= ? AND slot < ? ORDER BY started"
BEFORE = f"SELECT {RUN} FROM runs WHERE slot < ? ORDER BY slot DESC LIMIT 1"
AFTER = f"SELECT {RUN} FROM runs WHERE slot >= ? ORDER BY slot LIMIT 1"
BLOCKS = (
    'SELECT b.slot, b.file, b.start, b."end", b.crc32, b.rows, b.sha256, b.fetched_at,'
    " b.last_updated, b.run_id, b.uptime, b.boot_id, b.source,"
    " CASE WHEN b.flags = '' THEN coalesce(r.flags, '') ELSE b.flags END"
    " FROM blocks AS b LEFT JOIN runs AS r ON r.run_id = b.run_id"
    " WHERE b.slot >= ? AND b.slot < ?"
)
"""Blocks of an older schema have their flags with their run only."""

SILENCING = frozenset({"disk", "ledger", "settings"})
"""Incidents in which a run may not be able to write down that it was."""


def read(
    history: History, folder: Path, since: Slot, until: Slot, now: SeenRun | None = None
) -> Evidence:
    """Return the evidence for the slots from *since* to before *until*.

    *now* is this moment, which closes the last gap: what has the machine done since
    the last run? Raises StorageError.
    """
    dead = [
        SeenRun(r.slot, r.started, "killed", r.cause, r.boot_id, r.uptime, r.awake)
        for r in history.dead()
        if r.outcome is not None
    ]
    rows = [
        *history.select(BEFORE, since),
        *history.select(RUNS, since, until),
        *history.select(AFTER, until),
    ]
    runs = [*map(SeenRun._make, rows), *dead, *([now] if now else [])]
    blocks = (Block.from_row(row) for row in history.select(BLOCKS, since, until))
    incidents = [each for each in history.incidents(since) if each.kind in SILENCING]
    return Evidence(
        first=history.first(),
        runs=sorted(runs, key=lambda run: run.started),
        blocks={each.slot: each for each in blocks},
        spare=dict(_spare(folder / "payloads")),
        incidents=incidents,
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


def accounted(
    system: SystemFolder,
    since: Slot | None = None,
    until: Slot | None = None,
    *,
    now: float,
) -> Account:
    """Return the account of *system* up to the last slot that is over.

    It begins with the first run where *since* is not said.
    """
    history = History(system.system_id, system.path)
    over = Slot(int(now) // system.interval * system.interval)
    end = min(until or over, over)
    first = since if since is not None else history.first()
    begin = min(end, first if first is not None else end)
    found = read(history, system.path, begin, end, _moment(now))
    return account(
        system.system_id, found, system.zone, system.interval, since=begin, until=end
    )


def slot_rows(
    system: SystemFolder,
    begin: Slot,
    end: Slot,
    *,
    clock: Clock = time.time,
) -> Sequence[Sequence[Any]]:
    """Return the account of the slots from *begin* to before *end*, as the archive's.

    Slots before the first one and those that are not over yet are not expected.
    """
    interval, now = system.interval, clock()
    history = History(system.system_id, system.path)
    found = read(history, system.path, begin, end, _moment(now))
    first = found.first if found.first is not None else end
    newest = max(found.blocks, default=begin)
    over = max(int(now) // interval * interval, newest + interval)
    judged = judge(found, interval, max(begin, first), Slot(min(end, over)))
    by_slot = {each.slot: each for each in judged}
    for slot, block in found.blocks.items():  # also those of another interval
        by_slot.setdefault(slot, Judged(slot, state_of(block.flags)))
    return [
        _slot_row(by_slot[slot], found.blocks.get(slot), system.zone)
        for slot in sorted(by_slot)
    ]


def _slot_row(judged: Judged, block: Block | None, zone: tzinfo) -> tuple[Any, ...]:
    local = datetime.fromtimestamp(judged.slot, zone)
    head = (
        *(judged.slot, local.hour * 60 + local.minute),
        *(local.weekday() * 24 + local.hour, judged.state, judged.cause),
    )
    if block is None:
        return (*head, 0, "", "", None, None, "", "")
    return (
        *(*head, block.rows, block.flags, block.source, _whole(block.fetched_at)),
        *(block.last_updated, block.sha256, block.run_id),
    )


def _moment(now: float) -> SeenRun:
    """Return this moment as evidence of what the machine did since the last run."""
    return SeenRun(
        Slot(int(now)),
        now,
        boot_id=process.boot_id(),
        uptime=process.uptime(),
        awake=process.awake(),
    )


def _whole(seconds: float) -> int | None:
    """Return *seconds* as a whole number, None where they are no moment."""
    return int(seconds) if EARLIEST <= seconds <= LATEST else None
