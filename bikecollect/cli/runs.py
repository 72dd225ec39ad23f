"""``bikecollect runs``: the history of runs, and all that is known of a slot."""

from typing import TYPE_CHECKING

import click

from bikecollect.cli.options import Shared, say

if TYPE_CHECKING:
    from bikecollect.history import History
    from bikecollect.run import Run
    from bikecollect.settings import Settings

RUN_ID = 8


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
@click.option(
    "--since", default="24h", show_default=True, help="2026-11-22, 10:05, 7d."
)
@click.option("--until", help="The same; up to now by default.")
@click.option("--outcome", multiple=True, help="Only runs that ended so; repeatable.")
@click.option("--failed", is_flag=True, help="Only runs that did not go well.")
@click.option("--limit", default=50, show_default=True, help="At most so many.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def listed(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    since: str,
    until: str | None,
    outcome: tuple[str, ...],
    failed: bool,
    limit: int,
    form: str,
) -> None:
    """List the runs of each SYSTEM, the newest first."""
    import time  # noqa: PLC0415 - not for --help

    from bikecollect import wiring  # noqa: PLC0415 - heavy
    from bikecollect.errors import Outcome, UsageError  # noqa: PLC0415 - only here
    from bikecollect.moments import moment  # noqa: PLC0415 - only here
    from bikecollect.screens import runs as screens  # noqa: PLC0415 - only here
    from bikecollect.slot import Slot  # noqa: PLC0415 - only here

    settings = ctx.ensure_object(Shared).settings()
    words = [each.value for each in Outcome]
    for each in outcome:
        if each not in words:
            raise UsageError(
                f'no outcome is called "{each}"; known: {", ".join(words)}'
            )
    if failed:
        outcome = (*outcome, *(o.value for o in Outcome if o.exit_code))
    zones, names = wiring.zones(settings), settings.chosen(system_ids)
    found: list[Run] = []
    for name in names:
        begin = moment(since, zones[name], time.time())
        end = moment(until, zones[name], time.time()) if until else None
        found += _history(settings, name).runs(
            Slot(int(begin)),
            None if end is None else Slot(int(end)),
            outcomes=outcome,
            limit=limit + 1,
        )
    found.sort(key=lambda run: (-run.slot, run.system_id))
    if form == "json":
        shown = found[:limit]
        say("".join(f"{screens.as_json(r, zones[r.system_id])}\n" for r in shown))
        return
    say(screens.table(found[:limit], dict(zones), many=len(names) > 1))
    if len(found) > limit:
        click.echo(f"... and more; see --limit, now {limit}", err=True)


@runs.command("show")
@click.argument("slot")
@click.option("--system", help="Where several are set up: of which.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def show(ctx: click.Context, *, slot: str, system: str | None, form: str) -> None:
    """Show all that is known of SLOT: a time (2026-11-22T10:05, 10:05) or a run's id.

    Its runs with their stages, tries, notices and log lines; its block; its payload.
    """
    from bikecollect import wiring  # noqa: PLC0415 - heavy
    from bikecollect.errors import UsageError  # noqa: PLC0415 - only here
    from bikecollect.screens import runs as screens  # noqa: PLC0415 - only here

    settings = ctx.ensure_object(Shared).settings()
    zones, said = wiring.zones(settings), False
    for name in settings.chosen([system] if system else []):
        history = _history(settings, name)
        found = _found(settings, history, name, slot)
        if not found:
            continue
        said = True
        if form == "json":
            say("".join(f"{screens.as_json(each, zones[name])}\n" for each in found))
            continue
        known = screens.Slotted(
            system_id=name,
            zone=zones[name],
            runs=found,
            block=history.block(found[0].slot),
            payloads=history.payloads(found[0].slot),
            logs={each.run_id: history.log_lines(each.run_id) for each in found},
        )
        say(screens.show(known))
    if not said:
        raise UsageError(
            f"no run is known for {slot}; see: bikecollect runs --since 7d"
        )


def _found(
    settings: "Settings", history: "History", name: str, slot: str
) -> "list[Run]":
    """Return the runs that *slot*, a moment or a run's id, names."""
    import re  # noqa: PLC0415 - only here
    import time  # noqa: PLC0415 - only here

    from bikecollect import wiring  # noqa: PLC0415 - heavy
    from bikecollect.moments import moment  # noqa: PLC0415 - only here
    from bikecollect.slot import Slot  # noqa: PLC0415 - only here

    if re.fullmatch(f"[0-9a-f]{{{RUN_ID}}}", slot):
        return history.run(slot)
    at = moment(slot, wiring.zones(settings)[name], time.time())
    begin = Slot(int(at) // settings.seconds * settings.seconds)
    return history.runs(begin, Slot(begin + 1))


def _history(settings: "Settings", name: str) -> "History":
    from bikecollect.history import History  # noqa: PLC0415 - only here

    return History(name, settings.data / name)
