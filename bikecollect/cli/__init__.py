"""The command line: one module per command, imported when it is called."""

from importlib import import_module

import click

from bikecollect import __version__
from bikecollect.cli.options import Shared

COMMANDS = (
    *("init", "fetch", "status", "runs", "schedule", "doctor", "feeds"),
    *("backfill-report", "backfill", "compact", "verify", "export", "query", "report"),
    *("app", "demo", "simulate"),
)


class _Lazy(click.Group):
    """A group whose commands are modules: a fetch need not import the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, those for the first day first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command *cmd_name*, None for one that is none of ours."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"bikecollect.cli.commands.{name}")
        command: click.Command = getattr(module, name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    help="The settings; default: $BIKECOLLECT_CONFIG, or bikecollect/bikecollect.toml "
    "in your config folder. Never those of the current folder by itself.",
)
@click.option(
    "-v", "--verbose", count=True, help="Say what is done; twice: with tracebacks."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Of what goes to stderr and, where given, of the log file.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(
    ctx: click.Context, config: str | None, verbose: int, log_format: str | None
) -> None:
    """Collect the history of bike-share systems and account for every slot."""
    from bikecollect.cli.log_setup import set_up  # noqa: PLC0415 - not for --help

    set_up(verbose, log_format or "text")
    ctx.obj = Shared(config, log_format)
