"""``bikecollect share``: static pages of a city, for any web space."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from bikecollect.app.basemap import basemap_file
from bikecollect.app.queries.service import DataService
from bikecollect.cli.completion import systems_argument
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.options import Shared, folder_option
from bikecollect.cli.printing import complain, is_on_terminal, say
from bikecollect.cli.reporting.viewed_systems import SkippedDays
from bikecollect.cli.sharing import folder as pages_folder
from bikecollect.cli.sharing.pages import INDEX, RANGE
from bikecollect.cli.timeparse import moment
from bikecollect.core.errors import ExitCode, NotInstalled, UsageError
from bikecollect.core.slots import Slot, day_of
from bikecollect.core.text import size
from bikecollect.setup.catalogue.publishers import publisher_in, unknown_license
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.damage import check_present
from bikecollect.wiring import history

STATION = "SELECT 1 FROM stations LIMIT 1"


class _Choice(NamedTuple):
    """The options that say which pages are written, and whether over others."""

    day: str | None
    week: bool
    live: bool
    force: bool


class _Shared(NamedTuple):
    """The pages written for a system, what they lack, and the code for that.

    Without stations there are no pages.
    """

    paths: Sequence[Path]
    remarks: Sequence[str]
    code: ExitCode = ExitCode.OK


@click.command()
@systems_argument
@click.option("--day", help="The day of the map: 2026-11-22; default: the newest.")
@click.option("--week", is_flag=True, help="A map of each of the last seven days.")
@click.option(
    "--live",
    is_flag=True,
    help="A map of the last 24 hours that updates itself: for a cron line after "
    "`fetch`.",
)
@click.option("--force", is_flag=True, help="Overwrite pages of another program.")
@folder_option("Folder of the pages; of several systems, with a subfolder for each.")
@click.pass_context
def share(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    day: str | None,
    week: bool,
    live: bool,
    force: bool,
    folder: Path,
) -> int:
    """Write static pages: map, week, rankings, coverage.

    Any web space can serve them. They load nothing from other hosts, and name the
    publisher and the licence of the data. Each file is replaced atomically, so that
    visitors never see an incomplete one. To embed a page in another site, use
    FOLDER/index.html?embed=true.
    """
    if bool(day) + week + live > 1:
        raise UsageError("give one of --day, --week and --live")
    if find_spec("numpy") is None:
        raise NotInstalled("share requires numpy; run: pip install 'bikecollect[app]'")
    settings = ctx.ensure_object(Shared).settings()
    names = settings.chosen(system_ids)
    service = DataService(settings)
    attempts, begun = Attempts(names, UsageError), time.monotonic()
    choice, shared = _Choice(day, week, live, force), dict[str, _Shared]()
    with closing(service), pages_folder.complete(folder):
        for name in names:
            place = folder / name if len(names) > 1 else folder
            with attempts.on(name), pages_folder.complete(place):
                _check(service, name, attempts, live=live)
                if len(names) > 1 and not _has_stations(service, name):
                    shared[name] = _Shared([], [])
                    continue
                front = f"../{INDEX}" if len(names) > 1 else ""
                shared[name] = _share(service, name, place, choice, front)
        paths = [path for pages in shared.values() for path in pages.paths]
        unseen = [name for name, pages in shared.items() if not pages.paths]
        if len(names) > 1 and paths:
            pages_folder.prepare(folder, force=force)
            shown = {name: name in unseen for name in names}
            paths.append(pages_folder.write_systems(service, shown, folder))
    if unseen and not (paths or attempts.skipped):
        raise UsageError("no system has stations yet: nothing has been collected")
    summary = _summary(folder, paths, time.monotonic() - begun)
    if not live:
        say(f"{summary}\n" if paths else "")
        _report(unseen, [text for pages in shared.values() for text in pages.remarks])
    elif is_on_terminal():  # else cron would mail it
        _report(unseen, ())
        complain(summary if paths else "nothing was written")
    skipped = (pages.code for pages in shared.values())
    return attempts.code or next(filter(None, skipped), ExitCode.OK)


def _check(service: DataService, name: str, attempts: Attempts, *, live: bool) -> None:
    """Raise an error if the system *name* has no data; report a loss of them."""
    system = service.settings.system_folder(name)
    check_present(system, ledger=True)
    # Live pages show the newest; from cron, a mail every time is too much.
    begin = Slot(int(time.time()) if live else 0)
    attempts.report_loss(system, begin, has_data=service.days(name) is not None)


def _share(
    service: DataService, name: str, place: Path, choice: _Choice, front: str
) -> _Shared:
    """Write the pages of the system *name* to *place*; they link to *front*."""
    last, ended = _last_days(service, name, choice.day)
    pages_folder.prepare(place, force=choice.force)
    if choice.live:
        return _Shared(pages_folder.write_live(service, name, place, front=front), [])
    days = pages_folder.last_days(last) if choice.week else [last]
    end = None if choice.day else service.last_day(name, ended)
    paths = pages_folder.write_days(service, name, place, days, last=end, front=front)
    remarks = list(_remarks(service, name))
    return _Shared(paths, remarks, _warn_of_skipped(service, name, end or last))


def _warn_of_skipped(service: DataService, name: str, end: date) -> ExitCode:
    """Warn of the days that the pages lack, up to *end*; return the exit code."""
    skipped = SkippedDays((end - RANGE).isoformat())
    for day, loss in service.losses(name):
        skipped(name, day, loss)
    skipped.warn()
    return skipped.code


def _report(unseen: Sequence[str], remarks: Sequence[str]) -> None:
    """Report on stderr the systems *unseen*, and *remarks* about the others."""
    for name in unseen:
        complain(f"{name}: no stations yet: it has a line on the front page, no pages")
    for remark in remarks:
        complain(remark)


def _summary(folder: Path, paths: Sequence[Path], seconds: float) -> str:
    bytes_ = size(sum(path.stat().st_size for path in paths))
    return f"{folder / INDEX}: {len(paths)} files, {bytes_}, in {seconds:.1f} s"


def _has_stations(service: DataService, name: str) -> bool:
    """Return whether the system *name* has ever had a station that a map can show."""
    return bool(History(name, service.settings.data / name).select(STATION))


def _last_days(service: DataService, name: str, text: str | None) -> tuple[date, date]:
    """Return the day *text* or, for None, of the newest data; and of the newest run.

    Raises UsageError.
    """
    days, newest = service.days(name), service.newest_day(name)
    if days is None or newest is None:
        raise UsageError(f"{name}: nothing has been collected yet")
    if not text:
        return newest, days[1]
    zone = history.zone(service.settings, name)
    asked = date.fromisoformat(
        day_of(Slot(int(moment(text, zone, service.clock()))), zone)
    )
    if not days[0] <= asked <= newest:
        raise UsageError(f'--day "{text}": {name} has data from {days[0]} to {newest}')
    return asked, days[1]


def _remarks(service: DataService, name: str) -> Iterator[str]:
    """Yield what the pages of the system *name* lack: a basemap, a licence."""
    if problem := basemap_file.problem_of(service.settings.data / name):
        yield f"{name}: {problem}"
    if not publisher_in(service.settings, name).has_license:
        yield f"{name}: {unknown_license(name, 'the pages say')}"
