"""``bikecollect backfill``: fill missing slots."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import click

from bikecollect.archive.mirror.address import is_address
from bikecollect.archive.mirror.folder import is_mirror
from bikecollect.cli.completion import systems_argument
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.forms import lines_option
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import say, say_json
from bikecollect.cli.render.backfill import as_json, remedy, summary
from bikecollect.cli.render.terminal import columns
from bikecollect.cli.reporting.empty_range import empty_range, why_empty
from bikecollect.cli.timeparse import slots
from bikecollect.collect.backfill import Backfiller
from bikecollect.collect.filling.fillings import MISREAD, Filling
from bikecollect.collect.remedy import for_rejected
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core import process
from bikecollect.core.errors import ExitCode, Interrupted, UsageError
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, bounds
from bikecollect.reports.evidence import read_account
from bikecollect.setup.settings import Settings
from bikecollect.setup.time_zones import is_zone
from bikecollect.storage.ledger_reader import BEGINNING, END
from bikecollect.storage.repair.damage import check_not_gone, check_present
from bikecollect.storage.repair.lost_days import check_archive_mounted, find_lost_days
from bikecollect.wiring import backfilling, history
from bikecollect.wiring.filling.loss_before import LossBefore
from bikecollect.wiring.mirror import mirror_source
from bikecollect.wiring.returned_days import return_days
from bikecollect.wiring.taken_runs import take_over_runs

if TYPE_CHECKING:
    from bikecollect.collect.sources import Source

LAYOUTS = ("bikecollect", "taipei-archive", "youbike-csv", "citybikes")
MIN_BAR, MAX_BAR, BAR_TEXTS = 5, 36, 22
"""Minimum and maximum columns of the progress bar, and columns of texts beside it."""

OF_NAMES = "a CSV of `export --what stations`, of one system, has them"
"""Which list of stations beside the rows of an export is read."""


class _TableOptions(NamedTuple):
    """How the tables of another archive are read: see the options of these names."""

    maps: tuple[str, ...]
    layout: str
    time_zone: tzinfo | None


class _FillOptions(NamedTuple):
    """The options, with which each system is filled."""

    path: str | None
    tables: _TableOptions
    since: str | None
    until: str | None
    dry_run: bool
    force: bool
    prefer_fresh: bool
    form: str


@dataclass
class _Filled:
    """What *filler* has filled from *source*, or from payloads.

    *returned* is the number of days that were put back into the archive, *taken* that
    of runs of the source. *why_empty* is why no slot of the range was expected, if so.
    """

    filler: Backfiller
    source: "Source | None"
    fillings: list[Filling]
    returned: int
    taken: int = 0
    why_empty: str = ""


@click.command()
@systems_argument
@click.option(
    "--from",
    "path",
    type=click.Path(),
    help="Fill from another archive: a bikecollect folder, CSV or Parquet files, or "
    "a mirror's address (s3://bucket/prefix) or folder.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="The layout of the tables; default: by their header.",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Name of a column in the other archive; repeatable.",
)
@click.option(
    "--time-zone",
    "time_zone",
    metavar="NAME",
    help="Time zone of the other archive, for times without an offset; default: "
    "detected, or that of the system.",
)
@click.option("--since", help="The first slot: 2026-11-22, 7d; default: all.")
@click.option("--until", help="The last day, or the end as a time; default: all.")
@click.option(
    "--dry-run", is_flag=True, help="Print what would be done; write nothing."
)
@click.option("--force", is_flag=True, help="Fill even if the archives disagree.")
@click.option(
    "--prefer-fresh",
    is_flag=True,
    help="With --from a bikecollect folder: its fresh blocks replace stale ones here, "
    "unless their day is archived.",
)
@lines_option
@click.pass_context
def backfill(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    path: str | None,
    layout: str | None,
    maps: tuple[str, ...],
    time_zone: str | None,
    since: str | None,
    until: str | None,
    dry_run: bool,
    force: bool,
    prefer_fresh: bool,
    form: str,
) -> int:
    """Fill missing slots from payloads or another archive.

    Rejected payloads of each SYSTEM are tried again (after an upgrade, or with a new
    mapping), and kept ones replace missing or damaged blocks. With --from, slots are
    filled from another archive. A slot that has a block is never overwritten, except a
    stale one with --prefer-fresh. The command may be interrupted: the next call
    continues.
    """
    settings = ctx.ensure_object(Shared).settings()
    names = settings.chosen(system_ids)
    if prefer_fresh and not path:
        raise UsageError("--prefer-fresh requires --from")
    if path and len(names) > 1:
        raise UsageError("--from fills one system: name the SYSTEM")
    stop = process.Stop()
    process.listen(stop)
    times = Times(time.time, time.monotonic, stop)
    tables = _TableOptions(maps, layout or "", _zone(time_zone))
    options = _FillOptions(
        path, tables, since, until, dry_run, force, prefer_fresh, form
    )
    attempts, code, empty = Attempts(names), ExitCode.OK, dict[str, str]()
    for name in names:
        with attempts.on(name):
            filled = _backfill(settings, name, times, options)
            if filled.why_empty:
                empty[name] = filled.why_empty
            if form == "text" and len(empty) < len(names):
                say(_summary(filled))
                code = max(code, _report_lost_days(filled))
            code = _report_rejected(filled, form) or code
    if len(empty) == len(names):
        raise empty_range(empty)
    return attempts.code or code


def _backfill(
    settings: Settings, name: str, times: Times, options: _FillOptions
) -> _Filled:
    """Fill the missing slots of the system *name* by the options."""
    _check_present(settings, name, options.path)
    dry, now = options.dry_run, times.clock()
    begin, end = slots(options.since, options.until, history.zone(settings, name), now)
    span = begin or BEGINNING, END if end is None else end
    source = _source(settings, name, options.path, options.tables, now)
    origin = source.folder if isinstance(source, FolderSource) else None
    returned = return_days(settings, name, source, times, span, dry=dry)
    filler = backfilling.backfiller(
        settings, name, times, span=span, dry=dry, origin=origin
    )
    loss = LossBefore(filler.system)
    filled = _Filled(filler, source, [], returned)
    work = (
        filler.fill_from_source(
            source, force=options.force, prefer_fresh=options.prefer_fresh
        )
        if source
        else filler.fill_from_payloads()
    )
    _fill(filled, work, options.form)
    if isinstance(source, FolderSource) and not dry:
        filled.taken = take_over_runs(settings, name, source, times, span)
    if (options.since or options.until) and not (source or filled.fillings):
        filled.why_empty = _why_empty(filler, span, now)
    if not dry:
        loss.end(filled.fillings, source, now)
    return filled


def _check_present(settings: Settings, name: str, path: str | None) -> None:
    """Raise an error if the data of *name* are gone, and are not to come from *path*.

    Or if its disk, or that of the archive to fill from there, is not mounted.
    """
    system = settings.system_folder(name)
    check_present(system, ledger=False)
    if path:
        check_archive_mounted(system)
    else:
        check_not_gone(system)


def _report_lost_days(filled: _Filled) -> ExitCode:
    """Print the archived days whose slots are not filled before `forget`.

    Return a code for those that the source, if it is a copy, did not put back.
    """
    filler = filled.filler
    lost = find_lost_days(filler.system)
    for damage in lost:
        say(remedy([f"not filled: {damage.text}"]))
    spans = (bounds(day, filler.system.zone) for damage in lost for day in damage.lost)
    is_asked = any(b < filler.until and filler.since < end for b, end in spans)
    is_restore = isinstance(filled.source, FolderSource) and not filler.dry
    return ExitCode.IO if is_restore and is_asked else ExitCode.OK


def _report_rejected(filled: _Filled, form: str) -> ExitCode:
    """Print the settings that fix payloads that were not understood; return a code."""
    rejected = {f.slot for f in filled.fillings if f.what == MISREAD}
    if not rejected:
        return ExitCode.OK
    lines = for_rejected(filled.filler.committer, rejected)
    say(remedy(lines) if lines and form == "text" else "")
    return ExitCode.DATA


def _summary(filled: _Filled) -> str:
    """Return the text about what was filled, and what the source lacks."""
    filler, source = filled.filler, filled.source
    skipped = (source.bad, source.odd) if source else (0, 0)
    lacking = ""
    if isinstance(source, TableSource) and source.is_ours:
        names = f"names of new stations ({OF_NAMES})"
        some = [*(() if source.lists() else (names,)), *source.lacking]
        causes = "why slots are missing there"
        lacking = f"{', '.join(some)} and {causes}" if some else causes
    return summary(
        filler.system.system_id,
        filled.fillings,
        filler.agreement,
        filler.system.zone,
        skipped=skipped,
        taken=(filled.taken, filler.stations.count),
        returned=filled.returned,
        lacking=lacking,
    )


def _source(
    settings: Settings, name: str, path: str | None, tables: _TableOptions, now: float
) -> "Source | None":
    """Open the archive at *path*, a mirror's address or folder, a folder or a file."""
    if not path:
        return None
    if is_mirror(Path(path), name):
        path = f"file://{Path(path).resolve()}"
    if is_address(path):
        return mirror_source(settings, path, name, now)
    return backfilling.source(
        settings,
        name,
        Path(path),
        tables.maps,
        tables.layout,
        times_zone=tables.time_zone,
        now=now,
    )


def _zone(name: str | None) -> tzinfo | None:
    """Return the time zone *name*; raises UsageError for an unknown one."""
    if name is not None and not is_zone(name):
        raise UsageError(f'--time-zone {name}: unknown time zone; try "Asia/Taipei"')
    return ZoneInfo(name) if name else None


def _why_empty(filler: Backfiller, span: tuple[Slot, Slot], now: float) -> str:
    """Return why no slot of *span* can be expected; empty if one was, or may be."""
    if read_account(filler.system, *span, now=now).total.expected:
        return ""
    return why_empty(filler.system, *span, now)


def _fill(filled: _Filled, work: Iterator[Filling], form: str) -> None:
    """Do the *work*, with a progress bar on a terminal; print each slot as JSON.

    If it is interrupted, the text is printed before.
    """
    system = filled.filler.system
    label, quiet = f"{system.system_id}: slots", not sys.stderr.isatty()
    try:
        width = max(MIN_BAR, min(MAX_BAR, columns() - len(label) - BAR_TEXTS))
        with click.progressbar(
            work, label=label, width=width, file=sys.stderr, hidden=quiet
        ) as bar:
            for filling in bar:
                filled.fillings.append(filling)
                if form == "json":
                    say_json(as_json(system.system_id, filling, system.zone))
    except Interrupted:
        if form == "text":
            say(_summary(replace(filled, source=None)))
        raise
