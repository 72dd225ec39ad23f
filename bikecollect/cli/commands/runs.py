"""``bikecollect runs``: list runs, or show one slot in full detail."""

import re
import time
from collections.abc import Sequence
from operator import itemgetter
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from bikecollect.cli.completion import (
    complete_outcome,
    system_option,
    systems_argument,
)
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.forms import lines_option
from bikecollect.cli.options import Shared, words_in_order
from bikecollect.cli.printing import complain, say, say_json
from bikecollect.cli.render import runs as screens
from bikecollect.cli.timeparse import TIME_OF_DAY, moment, slots
from bikecollect.core.blocks import Block
from bikecollect.core.errors import Outcome, SettingsError, StorageError, UsageError
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, iso
from bikecollect.core.text import suggestion
from bikecollect.reports.evidence import read_account
from bikecollect.setup.settings import Settings
from bikecollect.storage.ledger_reader import END, History
from bikecollect.storage.repair.damage import check_present
from bikecollect.storage.runs.log_lines import log_lines
from bikecollect.storage.runs.noted import running_runs

RUN_ID = 8
RUNNING = "running"
"""The word for a run that has not ended, in place of an outcome."""
WEEK = 7


class _ListByDefault(click.Group):
    """A group that passes its arguments to ``list`` unless a command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` before arguments that do not start with a command."""
        if not args or (
            args[0] not in self.commands and args[0] not in {"-h", "--help"}
        ):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def runs() -> None:
    """List runs, or show one slot in full detail.

    `runs` alone is `runs list` and takes its options, such as --failed and --since 7d:
    see `runs list --help`.
    """


@runs.command("list")
@systems_argument
@system_option
@click.option(
    "--since",
    default="24h",
    show_default=True,
    help="First day or time: 2026-11-22, 10:05, 7d.",
)
@click.option("--until", help="Last day, or the end as a time; default: now.")
@click.option(
    "--outcome",
    multiple=True,
    help="Only this outcome, or running; repeatable.",
    shell_complete=complete_outcome,
)
@click.option("--failed", is_flag=True, help="Only failed runs.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Maximum number of runs; older ones are left out.",
)
@lines_option
@click.pass_context
def listed(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    system: tuple[str, ...],
    since: str,
    until: str | None,
    outcome: tuple[str, ...],
    failed: bool,
    limit: int,
    form: str,
) -> int:
    """List the runs of each SYSTEM, newest first."""
    settings = ctx.ensure_object(Shared).settings()
    zones, names = settings.zones(), _chosen(settings, system_ids, system)
    outcomes, now = _outcomes(outcome, failed=failed), time.time()
    runs_found: list[Run] = []
    attempts = Attempts(names)
    for name in names:
        first, end = slots(since, until, zones[name], now)
        begin = first or Slot(0)
        with attempts.on(name):
            history = _history(settings, name)
            has_data = history.ends() is not None
            folder = settings.system_folder(name)
            attempts.report_loss(folder, begin, end or END, has_data=has_data)
            if RUNNING in outcomes or not (outcomes or form == "json"):
                running = screens.so_far(running_runs(folder.path), now)
                runs_found += [r for r in running if begin <= r.slot < (end or END)]
            if outcomes != [RUNNING]:
                runs_found += history.runs(
                    begin, end, outcomes=outcomes, limit=limit + 1
                )
    runs_found.sort(key=lambda run: (-run.slot, run.system_id, -run.started))
    is_range = until or ctx.get_parameter_source("since") != ParameterSource.DEFAULT
    if not runs_found and not attempts.code:
        if is_range:
            _refuse_empty_range(settings, names, since, until)
        else:
            _name_last_run(settings, names, outcomes)
    shown = runs_found[:limit]
    if form == "json":
        say_json("".join(f"{screens.as_json(r, zones[r.system_id])}\n" for r in shown))
    elif shown or not attempts.code:
        say(screens.table(shown, dict(zones), many=len(names) > 1))
    if len(runs_found) > limit:
        newest = "run is" if limit == 1 else f"{limit} runs are"
        complain(f"only the newest {newest} shown; for older ones: --limit N")
    return attempts.code


def _refuse_empty_range(
    settings: Settings, names: Sequence[str], since: str, until: str | None
) -> None:
    """Raise UsageError if no run of any outcome is in the range."""
    for name in names:
        first, end = slots(since, until, settings.system_folder(name).zone, time.time())
        if _history(settings, name).runs(first or Slot(0), end, limit=1):
            return
    limits = f"since {since}" + (f" until {until}" if until else "")
    raise UsageError(f"no run {limits}; see: bikecollect backfill-report")


def _name_last_run(
    settings: Settings, names: Sequence[str], outcomes: Sequence[str]
) -> None:
    """Print the slot of the last of the wanted runs on stderr, if there is one."""
    last = [
        (run.slot, settings.system_folder(name).zone)
        for name in names
        for run in _history(settings, name).runs(outcomes=outcomes, limit=1)
    ]
    if last:
        slot = iso(*max(last, key=itemgetter(0)))
        complain(
            f"the last such run was of slot {slot}; to list it: --since {slot[:10]}"
        )


def _chosen(
    settings: Settings, system_ids: Sequence[str], system: Sequence[str]
) -> list[str]:
    """Return the systems to list; a mistyped `show` gets a note."""
    try:
        return settings.chosen((*system_ids, *system))
    except SettingsError as error:
        if hint := suggestion(next(iter(system_ids), ""), ["show"], ""):
            error.add_note(f"{hint.capitalize()} see: bikecollect runs show --help")
        raise


@runs.command("show")
@systems_argument
@click.argument("slot")
@system_option
@lines_option
@click.pass_context
def show(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    slot: str,
    system: tuple[str, ...],
    form: str,
) -> int:
    """Show SLOT in full detail.

    SLOT is a time (2026-11-22T10:05, 10:05, 10:05:30) or a run's id. A time of day is
    that of its latest run in the last week. Shows the runs with their stages, requests,
    notices and log lines; the blocks of stations and vehicles; the payloads; of a slot
    that was missed, the cause.
    """
    settings = ctx.ensure_object(Shared).settings()
    zones, shown = settings.zones(), list[screens.Slotted]()
    with words_in_order(settings, (slot,), ("runs", "show", slot, *system_ids)):
        names = settings.chosen((*system_ids, *system))
    attempts = Attempts(names)
    for name in names:
        with attempts.on(name):
            known = _slotted(settings, name, zones[name], slot)
            if known.runs or known.block or known.payloads or known.cause:
                shown.append(known)
    if not shown:
        for name in names:
            attempts.report_loss(settings.system_folder(name), Slot(0))
    if not (shown or attempts.code):
        places = {str(zones[name]) for name in names}
        where = f" in {', '.join(sorted(places))}" if TIME_OF_DAY.match(slot) else ""
        text = f"no run found for {slot}{where}; see: bikecollect runs --since 7d"
        raise UsageError(text)
    if form == "json":
        lines = (
            screens.as_json(run, known.zone) for known in shown for run in known.runs
        )
        say_json("".join(f"{line}\n" for line in lines))
    else:
        say("\n".join(map(screens.show, shown)))
    return attempts.code


def _slotted(
    settings: Settings, name: str, zone: ZoneInfo, slot: str
) -> screens.Slotted:
    """Return what is known of the *slot* of the system *name*."""
    history = _history(settings, name)
    at, slot_runs = _find(settings, history, name, slot)
    block, payloads = history.block(at), history.payloads(at)
    is_empty = not (slot_runs or block or payloads)
    return screens.Slotted(
        system_id=name,
        slot=at,
        zone=zone,
        interval=settings.system_folder(name).grid.interval_at(at),
        runs=slot_runs,
        block=block,
        vehicles=_vehicles(settings, name, at),
        payloads=payloads,
        cause=_cause(settings, name, at) if is_empty else "",
        logs={
            run.run_id: log_lines(settings.data / name, run.run_id) for run in slot_runs
        },
    )


def _cause(settings: Settings, name: str, slot: Slot) -> str:
    """Return why the expected *slot*, of which no run is known, is missing.

    Empty if it was not expected, such as one before the first run.
    """
    system, end = settings.system_folder(name), Slot(slot + 1)
    account = read_account(system, slot, end, now=time.time())
    return next((item.cause for item in account.judged if item.slot == slot), "")


def _vehicles(settings: Settings, name: str, slot: Slot) -> Block | str:
    """Return the block of vehicles of *slot*, or what to say of that it has none."""
    try:
        history = History(name, settings.system_folder(name).vehicles.path)
        block = history.block(slot)
    except StorageError as error:
        return f"Vehicles: {error}"
    return block or "No block of vehicles." * settings.systems[name].vehicles


def _find(
    settings: Settings, history: History, name: str, text: str
) -> tuple[Slot, list[Run]]:
    """Return the slot named by *text* (a time or the id of a run) and its runs."""
    running = screens.so_far(running_runs(settings.data / name), time.time())
    if re.fullmatch(f"[0-9a-f]{{{RUN_ID}}}", text):
        runs = history.run(text)
        runs = runs or [run for run in running if run.run_id == text]
        return (runs[0].slot if runs else Slot(-1)), runs
    at, now, system = Slot(-1), time.time(), settings.system_folder(name)
    # A time of day may have no run yet today: search earlier days, too.
    days = range(WEEK) if TIME_OF_DAY.fullmatch(text) else range(1)
    for day in days:
        try:
            seconds = moment(text, system.zone, now - day * DAY)
        except UsageError as error:
            raise UsageError(f"{error}, or a run's id (dd46a8af)") from error
        slot = system.grid.floor(seconds)
        at = slot if day == 0 else at
        active = [run for run in running if run.slot == slot]
        if runs := [*active, *history.runs(slot, Slot(slot + 1))]:
            return slot, runs
    return at, []


def _outcomes(words: Sequence[str], *, failed: bool) -> list[str]:
    """Return the outcomes to list; empty for all."""
    known = [*(outcome.value for outcome in Outcome), RUNNING]
    for word in words:
        if word not in known:
            raise UsageError(f'unknown outcome "{word}"; known: {", ".join(known)}')
    return [*words, *(o.value for o in Outcome if failed and o.exit_code)]


def _history(settings: Settings, name: str) -> History:
    check_present(settings.system_folder(name), ledger=True)
    return History(name, settings.data / name)
