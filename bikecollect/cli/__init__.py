"""The command line: one module per command."""

import click

from bikecollect import __version__
from bikecollect.cli.demo import demo
from bikecollect.cli.feeds import feeds
from bikecollect.cli.fetch import fetch
from bikecollect.cli.init import init
from bikecollect.cli.options import Shared
from bikecollect.cli.schedule import schedule
from bikecollect.cli.simulate import simulate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    help="The settings; default: $BIKECOLLECT_CONFIG, ./bikecollect.toml, or "
    "bikecollect/bikecollect.toml in your config folder.",
)
@click.option(
    "-v", "--verbose", count=True, help="Say what is done; twice: with tracebacks."
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config: str | None, verbose: int) -> None:
    """Collect the history of bike-share systems and account for every slot."""
    from bikecollect.cli.logs import set_up  # noqa: PLC0415 - not for --help

    set_up(verbose)
    ctx.obj = Shared(config)


for each in (fetch, demo, simulate, schedule, feeds, init):
    cli.add_command(each)
