"""``bikecollect fetch``: one cycle."""

import click

from bikecollect.cli.options import Shared, say


@click.command()
@click.argument("system_ids", nargs=-1, metavar="[SYSTEM]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: one object a line and system, for scripts.",
)
@click.option("--dry-run", is_flag=True, help="Fetch and read, but write nothing.")
@click.pass_context
def fetch(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    form: str,
    dry_run: bool,
) -> int:
    """Carry one snapshot of each SYSTEM from its feed into today's file.

    Without SYSTEM all systems of the settings are fetched, side by side; without
    settings, Taipei's YouBike. Prints nothing when all went well.
    """
    from bikecollect import collecting, process, render, wiring  # noqa: PLC0415 - heavy

    settings = ctx.ensure_object(Shared).settings()
    stop = process.Stop()
    process.listen(stop)
    process.arm(settings.seconds)
    runs = collecting.collect(settings, system_ids, stop=stop, dry=dry_run)
    if form == "json":
        say(render.runs_json(runs, wiring.zones(settings)))
    elif dry_run:
        say("".join(f"{render.run_line(run)}\n" for run in runs))
    process.disarm()
    return max(run.exit_code for run in runs)
