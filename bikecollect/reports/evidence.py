"""Read the evidence about past slots from a system's folder."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from operator import itemgetter
from pathlib import Path
from typing import Any

from bikecollect.core import process
from bikecollect.core.blocks import Block
from bikecollect.core.causes import Cause, SeenRun
from bikecollect.core.errors import BikecollectError, Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.process import Clock
from bikecollect.core.slots import DAY, EARLIEST, LATEST, Slot, SlotState, state_of
from bikecollect.reports.coverage import (
    Account,
    Coverage,
    Evidence,
    Judged,
    account,
    end_of_slots,
    judge,
    last_of,
)
from bikecollect.storage.alert_ledger import OF_DOUBTED, RUN
from bikecollect.storage.data_folder import (
    INBOX,
    KEPT,
    PAYLOADS,
    REJECTED,
    SystemFolder,
    is_marked,
)
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import slot_of
from bikecollect.storage.runs import unrecorded
from bikecollect.storage.runs.noted import running_runs
from bikecollect.storage.runs.vehicle_slots import vehicle_slots

RUNS = f"SELECT {RUN} FROM runs WHERE slot >= ? AND slot < ? ORDER BY started"
BEFORE = f"SELECT {RUN} FROM runs WHERE slot < ? ORDER BY slot DESC LIMIT 1"
AFTER = f"SELECT {RUN} FROM runs WHERE slot >= ? ORDER BY slot LIMIT 1"
COLUMNS = (
    'b.file, b.start, b."end", b.crc32, b.rows, b.sha256, b.fetched_at,'
    " b.last_updated, b.run_id, b.uptime, b.boot_id, b.source"
)
BLOCKS = (
    f"SELECT b.slot, {COLUMNS},"
    " CASE WHEN b.flags = '' THEN coalesce(r.flags, '') ELSE b.flags END"
    " FROM slot_blocks AS b LEFT JOIN runs AS r ON r.run_id = b.run_id"
    " WHERE b.slot >= ? AND b.slot < ?"
)
"""In ledgers of an older schema the flags of a block are stored with its run."""
STATES = "SELECT slot, flags, {} FROM slot_blocks WHERE slot >= ? AND slot < ?"
FLAGGED = "SELECT run_id, flags FROM runs WHERE flags <> ''"

MAX_TRIED = 600
"""Maximum slots whose payloads are read for a report: two days, half a minute."""
BlockReader = Callable[[History, Slot, Slot], dict[Slot, Block]]
"""Returns the blocks of the slots between two."""
UNTOLD = frozenset({Cause.NOT_COLLECTING, Cause.RUNNING})
"""Causes of missing slots of which nobody is told by a later run."""
SLOT, STARTED = itemgetter(0), itemgetter(1)
"""The first two fields of a `SeenRun`: a year has 100,000 runs."""


def _blocks(history: History, since: Slot, until: Slot) -> dict[Slot, Block]:
    """Return the blocks of the slots from *since* to before *until*."""
    blocks = map(Block.from_row, history.select(BLOCKS, since, until))
    return {block.slot: block for block in blocks}


def read(
    history: History,
    folder: Path,
    since: Slot,
    until: Slot,
    now: SeenRun | None = None,
    *,
    read_blocks: BlockReader = _blocks,
    incidents: Sequence[Incident] = (),
) -> Evidence:
    """Return the evidence for the slots from *since* to before *until*.

    *now* is the present moment: its uptime shows whether the machine was off or asleep
    since the last run. *read_blocks* reads the blocks. *incidents* are those that the
    ledger does not have yet. Raises StorageError.
    """
    noted = [
        SeenRun(r.slot, r.started, outcome, r.cause, r.boot_id, r.uptime, r.awake)
        for r in (*history.killed_runs(), *running_runs(folder))
        for outcome in [r.outcome.value if r.outcome else Cause.RUNNING.value]
    ]
    with history.session():
        rows = [
            *history.select(BEFORE, since),
            *history.select(RUNS, since, until),
            *history.select(AFTER, until),
        ]
        rows += history.packed_runs(since, until, SeenRun._fields)
        recorded = [*map(SeenRun._make, rows)]
        near = since - DAY, until + DAY
        noted += map(SeenRun._make, history.select(OF_DOUBTED, *near))
        blocks = read_blocks(history, since, until)
        failing, silencing = unrecorded.causes(history, since, incidents)
        first = history.first_collected()
    runs = [*_within(recorded, since, until), *noted, *([now] if now else [])]
    return Evidence(
        first=first,
        runs=sorted(runs, key=STARTED),
        blocks=blocks,
        spare={s: p[-1][0] for s, p in _payloads(folder / PAYLOADS).items()},
        failing=failing,
        silencing=silencing,
    )


def _states(history: History, since: Slot, until: Slot) -> dict[Slot, Block]:
    """Return blocks for the slots of `_blocks`, but only with their flags.

    Slots with the same flags share a block. This takes a sixth of the time, and years
    of them fit into memory.
    """
    flags_by_run = dict(history.select(FLAGGED))
    sql = STATES.format("run_id" if flags_by_run else "''")
    blocks: dict[str, Block] = {}
    blocks_by_slot = {}
    for slot, own_flags, run_id in history.select(sql, since, until):
        flags = own_flags or flags_by_run.get(run_id, "")
        block = blocks.get(flags)
        if block is None:
            block = blocks[flags] = Block(Slot(0), flags=flags)
        blocks_by_slot[slot] = block
    return blocks_by_slot


def _within(runs: Sequence[SeenRun], since: Slot, until: Slot) -> Iterator[SeenRun]:
    """Yield the *runs* of the slots, the last run before and the first after them."""
    yield from sorted([r for r in runs if r.slot < since], key=SLOT)[-1:]
    yield from [run for run in runs if since <= run.slot < until]
    yield from sorted([r for r in runs if r.slot >= until], key=SLOT)[:1]


def _payloads(folder: Path) -> dict[Slot, list[tuple[str, Path]]]:
    """Return the folders and files of the payloads of each slot.

    The last one of a slot is the most likely to be committed: that of the inbox.
    """
    payloads: dict[Slot, list[tuple[str, Path]]] = {}
    for origin, pattern in (
        (REJECTED, f"{REJECTED}/*.zip"),
        (KEPT, f"{KEPT}/*/*.zip"),
        (INBOX, f"{INBOX}/*.zip"),
    ):
        for path in sorted(folder.glob(pattern)):
            with suppress(ValueError):
                payloads.setdefault(slot_of(path.name), []).append((origin, path))
    return payloads


def _tried(
    evidence: Evidence,
    payloads: Mapping[Slot, Sequence[tuple[str, Path]]],
    can_read: Callable[[Path], bool],
) -> Evidence:
    """Return *evidence* in which only slots with a readable payload can be filled.

    The payloads of the newest `MAX_TRIED` slots are tried.
    """
    spare, unreadable = {}, set()
    slots = sorted(payloads.keys() - evidence.blocks.keys(), reverse=True)
    for slot in slots[:MAX_TRIED]:
        origins = (o for o, path in reversed(payloads[slot]) if can_read(path))
        if origin := next(origins, ""):
            spare[slot] = origin
        else:
            unreadable.add(slot)
    return replace(
        evidence,
        spare=spare,
        unreadable=frozenset(unreadable),
        untried=frozenset(slots[MAX_TRIED:]),
    )


def _without_rejected(evidence: Evidence) -> Evidence:
    """Return *evidence* in which payloads that were rejected once are not tried."""
    rejected = {slot for slot, o in evidence.spare.items() if o == REJECTED}
    spare = {s: o for s, o in evidence.spare.items() if s not in rejected}
    return replace(evidence, spare=spare, untried=frozenset(rejected))


def read_missing(
    system: SystemFolder, seen: Slot, now: SeenRun, incidents: Sequence[Incident]
) -> list[Judged]:
    """Return the missing slots after *seen*, the last one told of, to before *now*.

    Their causes are those of any report. Slots from before the first expected one are
    left out, and those whose run has not ended: it reports them itself. *incidents* are
    those that the ledger does not have yet. If it cannot be read, or may be that of
    another system, all slots are taken as missing; that there was a run at *seen* is
    known, for it was told of: such a ledger is not a lost one.
    """
    since, until = system.grid.next(seen), now.slot
    history = History(system.system_id, system.path)
    told = SeenRun(seen, float(seen), Outcome.COLLECTED.value)
    evidence = Evidence(since, [told, now])
    if is_marked(system.path):
        with suppress(BikecollectError):
            args = history, system.path, since, until, now
            evidence = read(*args, incidents=incidents)
    judged = judge(evidence, system.grid, since, until)
    return [
        item
        for item in judged
        if item.state == SlotState.MISSING and item.cause not in UNTOLD
    ]


def read_account(
    system: SystemFolder,
    since: Slot | None = None,
    until: Slot | None = None,
    *,
    now: float,
    can_read: Callable[[Path], bool] | None = None,
) -> Account:
    """Return the account of *system* up to the last slot that counts at *now*.

    It begins at *since*, but not before the first expected slot, because earlier slots
    were never expected, even if imported. A range that ends before that begins at the
    first imported slot. If *can_read* is given, the payloads of missing slots are
    tried: a slot without a readable payload does not count as fillable. Otherwise those
    that were rejected count as not tried.
    """
    history = History(system.system_id, system.path)
    with history.session():
        first, ends = history.first(), history.ends()
        final = last_of(ends, is_over=system.is_over)
        last = min({now, *final})
        newest = history.newest_block(Slot(int(last) + 1))
        present = {system.grid.at(last), system.grid.floor(last), newest}
        collected = {slot for slot in present if slot and history.block(slot)}
        known = collected | final | history.just_lost(last)
    over = end_of_slots(last, system.grid, known)
    end = min(until or over, over)
    begin = end
    if first is not None and ends is not None:
        earliest = first if first < end else ends[0]
        begin = min(end, max(earliest, since or earliest))
    moment = _present(now)
    evidence = read(history, system.path, begin, end, moment, read_blocks=_states)
    if can_read is not None:
        payloads = _payloads(system.payloads).items()
        missing = {s: files for s, files in payloads if begin <= s < end}
        evidence = _tried(evidence, missing, can_read)
    else:
        evidence = _without_rejected(evidence)
    parts = system.system_id, evidence, system.zone, system.grid
    result = account(*parts, since=begin, until=end)
    return replace(result, vehicles=coverage_of_vehicles(system, result)[2])


def coverage_of_vehicles(
    system: SystemFolder, account: Account
) -> tuple[Slot, Slot, Coverage]:
    """Return the first and last slot of *account* with vehicles expected; coverage."""
    vehicles = vehicle_slots(system, account.since)
    slots = vehicles.expected_of(item.slot for item in account.judged)
    if not slots:
        return account.since, account.since, Coverage()
    collected = len(vehicles.filled & set(slots))
    return slots[0], slots[-1], Coverage(len(slots), collected)


def slot_rows(
    system: SystemFolder,
    begin: Slot,
    end: Slot,
    *,
    clock: Clock = time.time,
) -> Sequence[Sequence[Any]]:
    """Return the rows of the archive's `slots` dataset from *begin* to before *end*.

    Not expected are slots before the first run, those not over yet, and future ones.
    """
    grid, now = system.grid, clock()
    history = History(system.system_id, system.path)
    with history.session():
        evidence = read(history, system.path, begin, end, _present(now))
        first, final = history.first(), last_of(history.ends(), is_over=system.is_over)
        last = min({now, *final})
        known = evidence.blocks.keys() | final | history.just_lost(last)
    first = end if first is None else first
    over = end_of_slots(last, grid, known)
    judged = judge(evidence, grid, max(begin, first), min(end, over))
    by_slot = {item.slot: item for item in judged}
    for slot, block in evidence.blocks.items():  # also those of another interval
        if slot < over:
            by_slot.setdefault(slot, Judged(slot, state_of(block.flags)))
    return [
        _slot_row(by_slot[slot], evidence.blocks.get(slot), system.zone)
        for slot in sorted(by_slot)
    ]


def _slot_row(judged: Judged, block: Block | None, zone: tzinfo) -> tuple[Any, ...]:
    local = datetime.fromtimestamp(judged.slot, zone)
    minute_of_day = local.hour * 60 + local.minute
    hour_of_week = local.weekday() * 24 + local.hour
    head = (judged.slot, minute_of_day, hour_of_week, judged.state, judged.cause)
    if block is None:
        return (*head, 0, "", "", None, None, "", "")
    return (
        *head,
        block.rows,
        block.flags,
        block.source,
        _whole_seconds(block.fetched_at),
        block.last_updated,
        block.sha256,
        block.run_id,
    )


def _present(now: float) -> SeenRun:
    """Return the present moment as evidence of the machine's uptime."""
    return SeenRun(
        Slot(int(now)),
        now,
        boot_id=process.boot_id(),
        uptime=process.uptime(),
        awake=process.awake(),
    )


def _whole_seconds(seconds: float) -> int | None:
    """Return *seconds* as an integer; None if they are out of range for a time."""
    return int(seconds) if EARLIEST <= seconds <= LATEST else None
