"""Write the shared pages of a system to a folder, each atomically."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

from bikecollect.app.queries.service import DataService
from bikecollect.cli.output_file import make_listable, written
from bikecollect.cli.sharing import map_data, pages
from bikecollect.cli.sharing.pages import FILM, INDEX, Link, PageWriter
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.slots import HOUR, day_of
from bikecollect.core.text import clock_minute, count_of
from bikecollect.core.timeline.zones import DAY
from bikecollect.setup.catalogue.publishers import publisher_in

READABLE = 0o644
"""The permissions of pages: a web server reads them."""
DAYS = 7
MARK = f'<meta name="generator" content="{pages.GENERATOR}'
BEGINNING = 4_096
DAY_PAGES = "[0-9]*-[0-9][0-9]-[0-9][0-9].html"


@contextmanager
def complete(folder: Path) -> Iterator[None]:
    """Remove *folder*, if it is new, if the context raises or has left it empty.

    Pages in an older folder remain: each is complete.
    """
    is_new = not folder.exists()
    try:
        yield
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if is_new:
        with suppress(OSError):
            folder.rmdir()


def prepare(folder: Path, *, force: bool) -> None:
    """Create *folder*; raises UsageError if it has pages that are not ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        make_listable(folder)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from error
    for path in _pages_in(folder):
        if not (force or _is_ours(path)):
            raise UsageError(
                f"{path} already exists and was not written by bikecollect "
                "(use --force to overwrite)"
            )


def _pages_in(folder: Path) -> Iterator[Path]:
    """Yield the files in *folder* with names of pages."""
    for name in (INDEX, pages.WEEK, pages.RANKINGS, pages.COVERAGE):
        if (folder / name).exists():
            yield folder / name
    yield from folder.glob(DAY_PAGES)


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as page:
            return MARK in page.read(BEGINNING)
    except OSError:
        return False


def write_days(
    service: DataService,
    name: str,
    folder: Path,
    days: Sequence[date],
    *,
    last: date | None = None,
    front: str = "",
) -> list[Path]:
    """Write the pages with a map of each of *days*, the last as index; return them.

    The other pages end with *last*, by default with the last of *days* that has a map.
    They link to *front*, the front page of several systems, if there is one.
    Days on which no station was seen are skipped; raises UsageError if all are.
    """
    films = list(_films(service, name, days))
    newest = films[-1][0]
    links = [Link(INDEX if day == newest else f"{day}.html", f"{day}") for day in days]
    known = {day for day, _ in films}
    listed = [link for day, link in zip(days, links, strict=True) if day in known]
    end = last or newest
    writer = _writer(service, name, listed, front, since=end - pages.RANGE)
    paths = [
        _put(folder / link.file, writer.map(film, link.file, f"{day:%A}, {day}"))
        for (day, film), link in zip(films, listed, strict=True)
    ]
    return [*paths, *_write_others(writer, folder, end)]


def _films(
    service: DataService, name: str, days: Sequence[date]
) -> Iterator[tuple[date, map_data.CityFilm]]:
    """Yield the film of each of *days* that has one.

    Raises UsageError if none has, StorageError if the last one cannot be read.
    """
    none: UsageError | StorageError | None = None
    is_empty = True
    for day in days:
        try:
            yield day, map_data.film_of_day(service, name, day)
            is_empty = False
        except (UsageError, StorageError) as error:
            none = error
    if is_empty and none:
        raise none


def write_live(
    service: DataService, name: str, folder: Path, *, front: str = ""
) -> list[Path]:
    """Write the map of the last 24 hours, and other pages that are an hour old.

    They link to *front*, the front page of several systems, if there is one. Every five
    minutes only the files of the days on the map are read.
    """
    if newest := service.newest_day(name):
        service.needs_only(newest - DAY)
    film = map_data.film_of_last_hours(service, name)
    system = service.settings.system_folder(name)
    when = clock_minute(film.newest, system.zone, system.interval)
    newest = date.fromisoformat(when[:10])
    writer = _writer(service, name, (), front, since=newest - DAY)
    data = json.dumps({**film.packed(), "when": when})
    paths = [
        _put(folder / FILM, data),
        _put(folder / INDEX, writer.map(film, INDEX, when)),
    ]
    if _is_old(folder / pages.COVERAGE):
        last = service.last_day(name, newest)
        since = last - pages.RANGE
        service.needs_only(since)
        writer = _writer(service, name, (), front, since=since)
        paths += _write_others(writer, folder, last)
    return paths


def _is_old(path: Path) -> bool:
    with suppress(OSError):
        return not 0 <= time.time() - path.stat().st_mtime < HOUR
    return True


def last_days(last: date) -> list[date]:
    """Return the seven days up to *last*."""
    return [last - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def write_systems(
    service: DataService, names: Mapping[str, bool], folder: Path
) -> Path:
    """Write the front page: a line for each of *names* that has pages; return it.

    A system whose value is True has a line without pages, too.
    """
    linked = {name for name in names if (folder / name / INDEX).exists()}
    shown = [name for name, is_new in names.items() if is_new or name in linked]
    return _put(folder / INDEX, pages.systems(service, shown, linked))


def _writer(
    service: DataService, name: str, days: Sequence[Link], front: str, *, since: date
) -> PageWriter:
    """Return the writer of pages with figures of the days from *since* on."""
    publisher = publisher_in(service.settings, name)
    lacking = _lacking(service, name, since)
    return PageWriter(service, name, publisher, days, front, lacking)


def _lacking(service: DataService, name: str, since: date) -> str:
    """Return what is lost of the days from *since* on, empty if nothing."""
    zone = service.settings.system_folder(name).zone
    loss, texts, first = service.loss(name), list[str](), since.isoformat()
    if loss and day_of(loss.since, zone) >= first:
        texts.append(f"all data {loss.when(zone)}")
    if days := {day for day, _ in service.losses(name) if day >= first}:
        texts.append(f"data of {count_of(len(days), 'day')} that cannot be read")
    return f"Missing in all figures: {', and '.join(texts)}." if texts else ""


def _write_others(writer: PageWriter, folder: Path, last: date) -> list[Path]:
    return [
        _put(folder / pages.WEEK, writer.week(last)),
        _put(folder / pages.RANKINGS, writer.rankings(last)),
        _put(folder / pages.COVERAGE, writer.coverage(last)),
    ]


def _put(path: Path, text: str) -> Path:
    with written(path, READABLE) as out:
        out.write(text)
    return path
