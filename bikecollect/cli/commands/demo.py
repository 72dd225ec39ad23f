"""``bikecollect demo``: collect a simulated city, from feed to report."""

import gc
import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from bikecollect.app.basemap import basemap_file
from bikecollect.cli.commands.backfill_report import account
from bikecollect.cli.commands.simulate import city_options
from bikecollect.cli.printing import Screen, called, complain, is_on_terminal, say
from bikecollect.cli.render import coverage
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import iso
from bikecollect.core.text import count_of
from bikecollect.setup import settings_file
from bikecollect.setup.loader import load
from bikecollect.setup.program import extra_command
from bikecollect.setup.settings import DEMO_MARKER
from bikecollect.simulator import demo as demo_day
from bikecollect.simulator import demo_month, terrain
from bikecollect.simulator.demo import GBFS, STATE, YOUBIKE, ZONE, DemoResult
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.files.known_folders import disregard, known_folders
from bikecollect.storage.files.regular_file import sha256_of

SLOTS = 288
OWN = frozenset({DEMO_MARKER, STATE, settings_file.FILE, ARCHIVE, YOUBIKE, GBFS})
"""What a demo has in its folder."""
DEPTH = 3
"""Levels of the folder whose files are listed; deeper ones, payloads, are counted."""


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Folder for the files; an earlier demo in it is removed first, unless files "
    "of yours are beside its folders.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=1,
    show_default=True,
    help="More than one: the days up to now, in slots of ten minutes, archived, for "
    "the data app.",
)
@city_options(stations=200)
def demo(folder: Path, stations: int, days: int, seed: int) -> None:
    """Collect a day of a simulated city, without a network.

    The city is served on this machine as a YouBike and as a GBFS feed, and collected
    by the real client, inbox, files and ledger. For an hour the feed is down, and for
    half an hour it renames a field. A month (--days 30) takes some minutes.
    Ctrl-C stops the demo and removes its files.
    """
    gc.enable()
    _empty(folder)
    forget_earlier(folder)
    (folder / DEMO_MARKER).parent.mkdir(parents=True, exist_ok=True)
    (folder / DEMO_MARKER).touch()
    logging.getLogger("bikecollect").setLevel(logging.CRITICAL)  # summarised at the end
    try:
        _collect(folder, days, stations, seed)
        settings = folder / settings_file.FILE
        (folder / DEMO_MARKER).write_text(sha256_of(settings), encoding="utf-8")
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)  # nobody wants half a demo
        raise


def _collect(folder: Path, days: int, stations: int, seed: int) -> None:
    """Collect the demo, and print what to do with it."""
    if days > 1:
        _month(folder.absolute(), days, stations, seed)
        return
    label = f"Collecting a day of a city with {count_of(stations, 'station')}"
    with steps(SLOTS, label) as step:
        result = demo_day.collect_a_day(
            folder.absolute(), stations=stations, seed=seed, step=step
        )
    for name in (YOUBIKE, GBFS):
        _add_basemap(folder, name)
    say(_account(result, folder))


def _month(folder: Path, days: int, stations: int, seed: int) -> None:
    """Collect *days* with outages and other faults, and print how to view them."""
    now = time.time()
    length = len(demo_month.slots(days, now))
    city = f"a city with {count_of(stations, 'station')}"
    label = f"Collecting {count_of(days, 'day')} of {city}"
    with steps(length, label) as step:
        demo_month.collect_days(
            folder, now, days=days, stations=stations, seed=seed, step=step
        )
    _add_basemap(folder, YOUBIKE)
    config = str(folder / settings_file.FILE)
    Screen.config = config  # for the commands in the text
    say(coverage.text(account(load(config), YOUBIKE, None, None)))
    say(f"\nOpen the data app:\n  {called(Path(config))} app\n")


@contextmanager
def steps(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Yield a function to call at each of *length* steps, with its number.

    It advances a bar on a terminal, and prints a line for each tenth elsewhere.
    """
    if is_on_terminal():
        with click.progressbar(
            length=length, label=label, width=0, file=sys.stderr
        ) as bar:
            yield lambda _: bar.update(1)
        return

    def step(number: int) -> None:
        tenths = 10 * number // length
        if tenths > 10 * (number - 1) // length:
            click.echo(f"  {10 * tenths} %", err=True)

    click.echo(f"{label} ...", err=True)
    yield step


def _add_basemap(folder: Path, name: str) -> None:
    """Add the water and the roads of the simulated city to the system *name*."""
    stations = basemap_file.stations_of(name, folder / name)
    city = basemap_file.from_geojson(
        terrain.geojson(), Path("simport.geojson"), stations, "Simport, a city of code"
    )
    basemap_file.write(folder / name, city)


def _empty(folder: Path) -> None:
    """Remove an earlier demo from *folder*; raises SettingsError for other files.

    Such as those that a user has put there, or settings that were edited.
    """
    if not folder.exists():
        return
    if others := sorted(_others(folder)):
        more = f" and {len(others) - 1} more" if others[1:] else ""
        raise SettingsError(
            f"{folder} has what is not of a demo: {others[0]}{more}; move it away, or "
            "choose another --folder"
        )
    if any(folder.iterdir()):
        complain(f"replacing the demo in {folder}")
    shutil.rmtree(folder)


def _others(folder: Path) -> Iterator[str]:
    """Yield the names of what is not of a demo in *folder*."""
    marker, settings = folder / DEMO_MARKER, folder / settings_file.FILE
    own = OWN if marker.exists() else frozenset()
    yield from (path.name for path in folder.iterdir() if path.name not in own)
    if own and settings.exists():
        written = marker.read_text(encoding="utf-8")  # empty in earlier versions
        if written and written != sha256_of(settings):
            yield f"{settings.name} (edited)"


def forget_earlier(folder: Path) -> None:
    """Let the systems of an earlier demo in *folder* be no history that is missed."""
    for place in map(Path, known_folders()):
        if place.parent == folder.absolute():
            disregard(place)


def _account(result: DemoResult, folder: Path) -> str:
    """Return what was collected, what is missing and why, and where the files are."""
    zone, lines = ZoneInfo(ZONE), [""]
    for system_id, runs in result.runs.items():
        rows, missing = sum(run.rows for run in runs), result.gaps(system_id)
        collected = len(runs) - sum(gap.slots for gap in missing)
        lines.append(
            f"{system_id}, {result.day}: {collected} of {len(runs)} slots, {rows} rows"
        )
        for gap in missing:
            start, end = iso(gap.start, zone)[11:16], iso(gap.end, zone)[11:16]
            slots = count_of(gap.slots, "slot")
            lines.append(f"  missing {start} to {end}, {slots}: {gap.cause}")
        drift = next((run.error for run in runs if run.cause == "drift"), "")
        lines += wrapped(drift, "  ", "    ")
        lines.append("")
    lines.append("Files:")
    lines += [f"  {line}" for line in _files(folder)]
    lines += ["", "Look at one:", f"  head -3 {_first(folder, result.day)}"]
    config = folder / settings_file.FILE
    span = f"--since {result.day} --until {result.day}"
    lines += ["See the coverage:", f"  {called(config)} backfill-report {span}"]
    lines += reading(config, has_duckdb=find_spec("duckdb") is not None)
    lines.append("")
    return "\n".join(lines)


def reading(config: Path, *, has_duckdb: bool) -> list[str]:
    """Return lines with a report, and the extra that it needs without *has_duckdb*."""
    lines = ["See a report:", f"  {called(config)} report availability"]
    if not has_duckdb:
        lines.insert(0, "Once, for report, export and query, which need DuckDB:")
        lines.insert(1, f"  {extra_command('archive')}")
    return lines


def _files(folder: Path) -> list[str]:
    lines = []
    for path in sorted(folder.rglob("*")):
        depth = len(path.relative_to(folder).parts)
        if path.is_file() and depth <= DEPTH and not path.name.startswith("."):
            lines.append(f"{path.stat().st_size:>12,} bytes  {path}")
    for path in sorted(folder.glob("*/payloads/*")):
        count = sum(1 for _ in path.rglob("*.zip"))
        lines.append(f"{count:>12,} payloads  {path}")
    return lines


def _first(folder: Path, day: str) -> Path:
    return next(iter(sorted(folder.glob(f"*/station_status/{day}.csv"))))
