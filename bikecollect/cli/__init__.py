"""The command line: one module per command, imported when the command is used."""

import os
import time
from datetime import UTC
from importlib import import_module
from typing import Any

import click

from bikecollect import __version__
from bikecollect.cli.examples import epilog
from bikecollect.cli.options import Shared, shard_option
from bikecollect.cli.printing import Screen, complain
from bikecollect.cli.render.terminal import WIDTH, columns
from bikecollect.core.slots import CLOCK_FLOOR, iso

COMMANDS = {
    "init": "Write a settings file, with or without questions.",
    "config": "Show, check or edit the settings file in use.",
    "fetch": "Collect one snapshot of each SYSTEM into today's file.",
    "status": "Show each SYSTEM's last run, last 24 hours and incidents.",
    "runs": "List runs, or show one slot in full detail.",
    "rename": "Rename the system OLD to NEW, with its data and settings.",
    "schedule": "Show, install or remove the entries of cron or systemd.",
    "doctor": "Check everything that collecting needs; print remedies.",
    "feeds": "List, search, update or show the catalogue; try a feed.",
    "backfill-report": "Report which slots of each SYSTEM are missing, and why.",
    "backfill": "Fill missing slots from payloads or another archive.",
    "compact": "Move closed days of each SYSTEM to the Parquet archive.",
    "push": "Copy the archive of each SYSTEM to an object store.",
    "verify": "Check that files, ledger and checksums agree.",
    "forget": "Accept a loss of data: it is no longer reported.",
    "rebuild": "Rewrite each SYSTEM's list of stations from the ledger.",
    "export": "Write a table as CSV, JSON lines, Parquet or .xlsx.",
    "query": "Run SQL over the open days and the archive.",
    "report": "Run the report NAME; without NAME, list the reports.",
    "share": "Write static pages: map, week, rankings, coverage.",
    "publish": "Write a dataset that can be cited, checked and deposited.",
    "basemap": "Add, list or remove your own map below the stations.",
    "app": "Serve the data app: maps and charts, in a browser.",
    "demo": "Collect a day of a simulated city, without a network.",
    "simulate": "Serve a simulated city as a live feed on this machine.",
}
"""The commands in the order of typical use, with the first sentence of their help."""


class LazyGroup(click.Group):
    """A group that imports the module of a command only when the command is used.

    Therefore these modules may import everything that they need at their top.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command *cmd_name*; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"bikecollect.cli.commands.{name}")
        command: click.Command = getattr(module, name)
        command.epilog = epilog(cmd_name)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Make the help of commands fit a terminal narrower than 80 columns."""
        if (width := columns()) < WIDTH:
            extra.setdefault("terminal_width", width - 1)
        return super().make_context(info_name, args, parent, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command named by *args*; suggest one for a mistyped name.

        `help COMMAND` is read as `COMMAND --help`, also after options.
        """
        if args == ["help"] and ctx.resilient_parsing:
            return None, None, []  # completion: a command follows
        if args[0] == "help":
            args = [*args[1:], "--help"]
        if args[0] == "--help":
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        if args[0] not in COMMANDS:
            # Only for an error.
            from bikecollect.core.text import suggestion, visible
            from bikecollect.reports.registry import REPORTS

            of_report = f', did you mean "report {args[0]}"?' * (args[0] in REPORTS)
            hint = of_report or suggestion(args[0], COMMANDS)
            hint = hint or "; see: bikecollect help"
            ctx.fail(f'unknown command "{visible(args[0])}"{hint}')
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands without importing their modules."""
        width = formatter.width - 6 - max(map(len, COMMANDS))
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, click.Command(name, help=text).get_short_help_str(width))
                    for name, text in COMMANDS.items()
                ]
            )


def _version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's form
    if not wanted:
        return
    click.echo(f"bikecollect {__version__}")
    if ctx.params["verbose"]:
        import sys

        from bikecollect.setup import settings_file

        path = settings_file.find(ctx.params["config"])
        source = path.absolute() if path else "no settings file; using defaults"
        click.echo(f"settings: {source}")
        click.echo(f"Python {sys.version.split()[0]}: {sys.executable}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    is_eager=True,
    help="Settings file; default: $BIKECOLLECT_CONFIG, else "
    "bikecollect/bikecollect.toml in your config folder. A file in the current folder "
    "is not read by default.",
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    is_eager=True,
    help="Print progress; twice: tracebacks, too.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Format of messages on stderr and in the log file.",
)
@shard_option
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_version,
    help="Print the version; with -v the settings file in use, too.",
)
@click.pass_context
def cli(
    ctx: click.Context,
    config: str | None,
    verbose: int,
    log_format: str | None,
    shard: str,
) -> None:
    """Collect the history of bike-share systems and account for every slot.

    `bikecollect help COMMAND` shows the help of a command.
    """
    from bikecollect.cli.log_setup import set_up  # not for --help

    set_up(verbose, log_format or "text")
    if os.environ.get("TERM") == "dumb":
        ctx.color = False
    Screen.config, Screen.shard = config, shard
    ctx.obj = Shared(config, log_format, shard)
    now = time.time()
    if now < CLOCK_FLOOR and ctx.invoked_subcommand != "fetch":  # it reports it itself
        shown = iso(now, UTC)
        complain(
            f"the clock of this machine shows {shown}; set it: newer data are hidden"
        )
