"""``bikecollect simulate``: a simulated city, served as a live feed."""

import gc
import signal
import time
from collections.abc import Callable

import click

from bikecollect.cli.forms import FunctionT
from bikecollect.cli.printing import say
from bikecollect.core.errors import SettingsError
from bikecollect.simulator.city import MAX_STATIONS, City
from bikecollect.simulator.server import LiveFeed


def city_options(stations: int) -> Callable[[FunctionT], FunctionT]:
    """Return a decorator that adds the options of a city, *stations* by default."""
    number = click.option(
        "--stations",
        type=click.IntRange(1, MAX_STATIONS),
        default=stations,
        show_default=True,
        help="Number of stations.",
    )
    seed = click.option(
        "--seed", default=1, show_default=True, help="Seed of the random city."
    )
    return lambda command: number(seed(command))


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="Port on localhost; default: any free one.",
)
@city_options(stations=300)
def simulate(port: int, stations: int, seed: int) -> None:
    """Serve a simulated city as a live feed on this machine.

    Prints the addresses of its YouBike and GBFS feeds. Ctrl-C stops it.
    """
    gc.enable()
    try:
        live_feed = LiveFeed(City(stations, seed), clock=time.time, port=port)
    except OSError as error:
        reason = f"cannot listen on port {port}: {error.strerror}"
        raise SettingsError(f"{reason}; use another --port") from error
    with live_feed as feed:
        say(f"youbike: {feed.youbike_url}\ngbfs:    {feed.gbfs_url}\n")
        signal.sigwait({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
