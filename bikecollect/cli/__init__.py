"""The command line: one module per command, imported when it is called."""

from importlib import import_module

import click

from bikecollect import __version__
from bikecollect.cli.options import Screen, Shared

COMMANDS = {
    "init": "Write a settings file after a few questions, or without any (--yes).",
    "config": "Show, check or edit the settings file in use.",
    "fetch": "Carry one snapshot of each SYSTEM from its feed into today's file.",
    "status": (
        "Show how each SYSTEM stands: its last run, its last day, and what waits."
    ),
    "runs": "List runs (`runs list` or just `runs`), or show one slot (`runs show`).",
    "schedule": "Show, install or remove the schedule that runs `fetch` in every slot.",
    "doctor": (
        "Check everything needed for collecting; one line per check, with the remedy."
    ),
    "feeds": "List the systems of the catalogue; search, update, show or try a feed.",
    "backfill-report": (
        "Report every expected slot of each SYSTEM's past: what is missing, and why."
    ),
    "backfill": (
        "Fill missing slots of each SYSTEM from its payloads or from another archive."
    ),
    "compact": "Move closed days of each SYSTEM to the archive, as Parquet.",
    "verify": (
        "Check that the files, the ledger and the checksums of each SYSTEM agree."
    ),
    "export": "Write a table of each SYSTEM's history as CSV, JSON lines or Parquet.",
    "query": (
        "Run SQL (DuckDB's; `-` reads it from stdin) over open days and the archive."
    ),
    "report": (
        "Answer the report NAME about each SYSTEM; without NAME, list the reports."
    ),
    "app": "Serve the data app: maps and charts of the history, in a browser.",
    "demo": "Collect a whole day from a simulated city, without any network.",
    "simulate": (
        "Serve a simulated city as a live feed on this machine, until interrupted."
    ),
}
"""The commands, those for the first day first, each with its help's first sentence."""


class LazyGroup(click.Group):
    """A group whose commands are modules: one is imported when it is called.

    So a command's module may import at its top whatever the command needs.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command *cmd_name*, None for one that is none of ours."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"bikecollect.cli.commands.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands without importing them."""
        width = formatter.width - 6 - max(map(len, COMMANDS))
        known = [click.Command(name, help=text) for name, text in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(str(each.name), each.get_short_help_str(width)) for each in known]
            )


def _version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's form
    if not asked:
        return
    click.echo(f"bikecollect {__version__}")
    if ctx.params["verbose"]:
        import sys

        from bikecollect.setup import settings_file

        found = settings_file.find(ctx.params["config"])
        source = found.absolute() if found else "no settings file: the defaults"
        click.echo(f"settings: {source}")
        click.echo(f"Python {sys.version.split()[0]}: {sys.executable}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    is_eager=True,
    help="The settings; default: $BIKECOLLECT_CONFIG, or bikecollect/bikecollect.toml "
    "in your config folder. Never those of the current folder by itself.",
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    is_eager=True,
    help="Say what is done; twice: with tracebacks.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Of what goes to stderr and, where given, of the log file.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_version,
    help="Print the version and end; with -v the settings file in use, too.",
)
@click.pass_context
def cli(
    ctx: click.Context, config: str | None, verbose: int, log_format: str | None
) -> None:
    """Collect the history of bike-share systems and account for every slot."""
    from bikecollect.cli.log_setup import set_up  # not for --help

    set_up(verbose, log_format or "text")
    Screen.config = config
    ctx.obj = Shared(config, log_format)
