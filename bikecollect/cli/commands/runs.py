"""``bikecollect runs``: the history of runs, and all that is known of a slot."""

import re
import time
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import click

from bikecollect.cli.options import Shared, say, say_json
from bikecollect.cli.render import runs as screens
from bikecollect.cli.timeparse import moment
from bikecollect.core.errors import Outcome, UsageError
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot
from bikecollect.setup.settings import Settings
from bikecollect.storage.ledger_reader import History

RUN_ID = 8
WEEK = 7


class _ListByDefault(click.Group):
    """A group whose own arguments are those of ``list``, unless a command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` before arguments that begin with no command."""
        if not args or (
            args[0] not in self.commands and args[0] not in {"-h", "--help"}
        ):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def runs() -> None:
    """List runs (`runs list` or just `runs`), or show one slot (`runs show`)."""


@runs.command("list")
@click.argument("system_ids", nargs=-1, metavar="[SYSTEM]...")
@click.option("--system", multiple=True, help="The same as SYSTEM; repeatable.")
@click.option(
    "--since", default="24h", show_default=True, help="2026-11-22, 10:05, 7d."
)
@click.option("--until", help="The same; up to now by default.")
@click.option("--outcome", multiple=True, help="Only runs that ended so; repeatable.")
@click.option("--failed", is_flag=True, help="Only runs that did not go well.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="At most so many.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
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
) -> None:
    """List the runs of each SYSTEM, the newest first."""
    settings = ctx.ensure_object(Shared).settings()
    zones, names = _zones(settings), settings.chosen((*system_ids, *system))
    words, now = _words(outcome, failed=failed), time.time()
    found: list[Run] = []
    for name in names:
        begin = Slot(int(moment(since, zones[name], now)))
        end = Slot(int(moment(until, zones[name], now))) if until else None
        history = _history(settings, name)
        found += history.runs(begin, end, outcomes=words, limit=limit + 1)
    found.sort(key=lambda run: (-run.slot, run.system_id, -run.started))
    shown = found[:limit]
    if form == "json":
        say_json("".join(f"{screens.as_json(r, zones[r.system_id])}\n" for r in shown))
    else:
        say(screens.table(shown, dict(zones), many=len(names) > 1))
    if len(found) > limit:
        click.echo(f"... and more; see --limit, now {limit}", err=True)


@runs.command("show")
@click.argument("slot")
@click.option("--system", help="Where several are set up: of which.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def show(ctx: click.Context, *, slot: str, system: str | None, form: str) -> None:
    """Show all that is known of SLOT: a time (2026-11-22T10:05, 10:05) or a run's id.

    A time of day is the latest of the last week that has a run. Shown are its runs
    with their stages, tries, notices and log lines; its block; its payload.
    """
    settings = ctx.ensure_object(Shared).settings()
    zones, said = _zones(settings), False
    for name in settings.chosen([system] if system else []):
        history = _history(settings, name)
        at, found = _found(settings, history, name, slot)
        known = screens.Slotted(
            system_id=name,
            slot=at,
            zone=zones[name],
            runs=found,
            block=history.block(at),
            payloads=history.payloads(at),
            logs={each.run_id: history.log_lines(each.run_id) for each in found},
        )
        if not (found or known.block or known.payloads):
            continue
        if form == "json":
            say_json(
                "".join(f"{screens.as_json(each, zones[name])}\n" for each in found)
            )
        else:
            say(("\n" if said else "") + screens.show(known))
        said = True
    if not said:
        raise UsageError(
            f"no run is known for {slot}; see: bikecollect runs --since 7d"
        )


def _found(
    settings: Settings, history: History, name: str, text: str
) -> tuple[Slot, list[Run]]:
    """Return the slot that *text*, a moment or a run's id, names, and its runs."""
    if re.fullmatch(f"[0-9a-f]{{{RUN_ID}}}", text):
        runs = history.run(text)
        return (runs[0].slot if runs else Slot(-1)), runs
    at, now = Slot(-1), time.time()
    # A time of day may be meant that was no run's yet today: go back by a day.
    days = range(WEEK) if re.fullmatch(r"\d{1,2}:\d\d", text) else range(1)
    for day in days:
        seen = moment(text, _zones(settings)[name], now - day * DAY)
        slot = Slot(int(seen) // settings.seconds * settings.seconds)
        at = slot if day == 0 else at
        if runs := history.runs(slot, Slot(slot + 1)):
            return slot, runs
    return at, []


def _words(outcome: Sequence[str], *, failed: bool) -> list[str]:
    """Return the outcomes that are asked for, none for all."""
    known = [each.value for each in Outcome]
    for each in outcome:
        if each not in known:
            raise UsageError(
                f'no outcome is called "{each}"; known: {", ".join(known)}'
            )
    return [*outcome, *(o.value for o in Outcome if failed and o.exit_code)]


def _zones(settings: Settings) -> dict[str, ZoneInfo]:
    return {name: ZoneInfo(each.timezone) for name, each in settings.systems.items()}


def _history(settings: Settings, name: str) -> History:
    return History(name, settings.data / name)
