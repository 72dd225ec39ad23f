"""``bikecollect publish``: a dataset that can be cited."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.datasets import STATUS
from bikecollect.archive.query import duckdb_engine, views
from bikecollect.archive.query.view_source import ANY, ViewedSystem
from bikecollect.cli.completion import complete_configured
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared, folder_option
from bikecollect.cli.output_file import make_listable, placed
from bikecollect.cli.printing import complain, say
from bikecollect.cli.publishing import dataset_folder
from bikecollect.cli.publishing.authors import Author, author, doi
from bikecollect.cli.publishing.description import Dataset
from bikecollect.cli.publishing.readme import readme
from bikecollect.cli.publishing.tables import (
    PUBLISHED,
    READABLE,
    TableWriter,
    WrittenTable,
    counted_days,
    parquet_path,
)
from bikecollect.cli.timeparse import days, warn_of_times
from bikecollect.core import process
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, bounds, local_days
from bikecollect.core.text import count_of, local_minute, size
from bikecollect.core.timeline.grid import Grid
from bikecollect.core.timeline.interval import interval_text
from bikecollect.core.timeline.zones import DAY, in_turn
from bikecollect.reports import evidence
from bikecollect.reports.coverage import Account
from bikecollect.reports.data_dictionary import PACKAGE
from bikecollect.reports.export import PUBLIC_SOURCE
from bikecollect.setup.catalogue.publishers import (
    Publisher,
    publisher_in,
    unknown_license,
)
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import MARKER, SystemFolder
from bikecollect.storage.files import marker
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.damage import check_present, lost_data
from bikecollect.wiring import history

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAMED_DAY = re.compile(r"\d{4}-\d\d-\d\d")
SOURCES = (
    "SELECT {source}, count(*) FROM slots WHERE source <> ''"
    " AND date >= CAST(? AS DATE) AND date < CAST(? AS DATE)"
    " GROUP BY 1 ORDER BY 2 DESC, 1"
)
Range = tuple[str, str]


@click.command()
@click.argument(
    "system_id", required=False, metavar="[SYSTEM]", shell_complete=complete_configured
)
@click.option("--since", help="The first day: 2026-11-22, 30d; default: all.")
@click.option("--until", help="The last day; default: yesterday.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "both"]),
    default="csv",
    show_default=True,
    help="Format of the tables.",
)
@click.option(
    "--author",
    "authors",
    multiple=True,
    metavar="NAME",
    help='Author to be cited: "Family, Given", or a group; an ORCID may follow. '
    "Repeatable.",
)
@click.option(
    "--doi", "identifier", metavar="DOI", help="DOI reserved for the dataset."
)
@click.option("--force", is_flag=True, help="Replace an earlier dataset in FOLDER.")
@folder_option("Folder of the dataset.")
@click.pass_context
def publish(
    ctx: click.Context,
    *,
    system_id: str | None,
    since: str | None,
    until: str | None,
    form: str,
    authors: tuple[str, ...],
    identifier: str | None,
    force: bool,
    folder: Path,
) -> None:
    """Write a dataset that can be cited, checked and deposited.

    Its tables are the rows of all stations, the versions of stations, the slots and
    gaps with their causes, runs and coverage. It also contains a README with the
    methods, datapackage.json (Frictionless), CITATION.cff, .zenodo.json, checksums, and
    a certificate for each day. `bikecollect verify FOLDER` checks it and needs no
    settings.

    The days are verified first; if files disagree, nothing is published.
    """
    writers = [author(text) for text in authors]
    reserved = doi(identifier) if identifier else ""
    settings = ctx.ensure_object(Shared).settings()
    name = _only(settings, system_id)
    span = _span(settings, name, since, until)
    with progress("verifying the days ..."):
        collected = _certificates(settings, name, span)
    publisher = publisher_in(settings, name)
    with dataset_folder.placed_folder(folder, force=force) as aside:
        with progress("writing the dataset ..."):
            dataset = _write(
                settings, name, span, form=form, folder=aside, collected=collected
            )
        dataset = replace(dataset, authors=writers or dataset.authors, doi=reserved)
        _document(aside, dataset)
    _report(folder, dataset, publisher, has_author=bool(authors))


def _only(settings: Settings, system_id: str | None) -> str:
    """Return the system to publish; raises UsageError if there are several."""
    names = settings.chosen([system_id] if system_id else [])
    if len(names) > 1:
        raise UsageError(f"name one system of {', '.join(names)}: each is a dataset")
    return names[0]


def _span(settings: Settings, name: str, since: str | None, until: str | None) -> Range:
    """Return the first day and the day after the last one, both with data."""
    check_present(settings.system_folder(name), ledger=True)
    zone, now = history.zone(settings, name), time.time()
    ends = History(name, settings.data / name).ends()
    if ends is None:
        if lost := lost_data(settings.system_folder(name)):
            raise StorageError(lost)
        raise UsageError(
            f"{name} has no data to publish yet; see: bikecollect status {name}"
        )
    first, newest = (datetime.fromtimestamp(slot, zone).date() for slot in ends)
    today = datetime.fromtimestamp(now, zone).date()
    warn_of_times(since, until)
    asked = days(since, until, zone, now)
    begin = max(asked[0], first.isoformat())
    end = min(asked[1] if until else today.isoformat(), (newest + DAY).isoformat())
    if begin >= end:
        raise UsageError(
            f"{name} has no closed day in that range; its data are from {first} to "
            f"{newest} (to include today, which is not over: --until {today})"
        )
    return begin, end


def _certificates(settings: Settings, name: str, span: Range) -> dict[str, str]:
    """Return the collector's sha256 of each day; raises StorageError for damage."""
    times = Times(time.time, time.monotonic, process.Stop())
    verifier = history.verifier(settings, name, times, deep=False)
    results = list(replace(verifier, since=span[0], until=span[1]).run())
    wrong = [f for f in results if isinstance(f, Finding) and _concerns(f, span)]
    if wrong:
        raise StorageError(
            f"{name} {wrong[0].where}: {wrong[0].what} "
            f"({count_of(len(wrong), 'finding')}; see: bikecollect verify {name})"
        )
    return {
        result.date: result.summary.sha256
        for result in results
        if isinstance(result, Certificate)
    }


def _concerns(finding: Finding, span: Range) -> bool:
    """Return whether *finding* concerns the days of *span*, or no single day."""
    day = NAMED_DAY.search(finding.where)
    return day is None or span[0] <= day[0] < span[1]


def _write(
    settings: Settings,
    name: str,
    span: Range,
    *,
    form: str,
    folder: Path,
    collected: dict[str, str],
) -> Dataset:
    """Write the tables and certificates to *folder*; return the dataset."""
    viewed = history.shown(settings, name)
    (folder / "data").mkdir()
    make_listable(folder / "data")
    with ExitStack() as stack:
        files = {
            what: stack.enter_context(placed(folder / parquet_path(what), READABLE))
            for what in (PUBLISHED if form != "csv" else ())
        }
        db = stack.enter_context(_connected(settings, viewed, files.values()))
        counts = counted_days(db, *span)
        if not counts:
            raise UsageError(
                f"no station of {name} was seen in that range, and single vehicles are "
                f"not published; see: bikecollect backfill-report {name}"
            )
        writer = TableWriter(db, folder, name, viewed.system.zone, *span, counts)
        written = []
        if form != "parquet":
            written = _write_csv(writer, name, folder, collected)
        written += [writer.parquet(what, fd) for what, fd in files.items()]
        sql = SOURCES.format(source=PUBLIC_SOURCE)
        sources = Counter(dict(db.execute(sql, span).fetchall()))
    tables = [dataset_folder.with_checksum(folder, table) for table in written]
    return _described(settings, viewed.system, span, tables, sources)


def _connected(
    settings: Settings, viewed: ViewedSystem, files: Iterable[int]
) -> AbstractContextManager["DuckDBPyConnection"]:
    """Return a connection with the views to publish, that may open only *files*."""
    return views.connected(
        settings.data,
        [viewed],
        also=[duckdb_engine.descriptor(fd) for fd in files],
        fails_on=ANY,
        tables=frozenset(PUBLISHED),
    )


def _described(
    settings: Settings,
    system: SystemFolder,
    span: Range,
    tables: Sequence[WrittenTable],
    sources: Counter[str],
) -> Dataset:
    """Return the dataset of *tables*, with what its documents say of *system*."""
    name, zone = system.system_id, system.zone
    begin, end = (bounds(day, zone)[0] for day in span)
    zones = (system.zone_on(day) for day, *_ in local_days(begin, end, zone))
    publisher = publisher_in(settings, name)
    account = evidence.read_account(system, begin, end, now=time.time())
    ended = system.is_over and account.until < end and not system.is_demo
    last = account.judged[-1].slot if ended else Slot(0)
    lost = marker.lost_by(system.path / MARKER)
    return Dataset(
        system_id=name,
        zone=in_turn(zones),
        first=span[0],
        last=(date.fromisoformat(span[1]) - DAY).isoformat(),
        created=datetime.now(UTC).date().isoformat(),
        publisher=publisher,
        authors=[Author(publisher.name or publisher.title)],
        account=account,
        tables=tables,
        sources=sources,
        slots=_lengths(system.grid, account),
        has_vehicles=system.vehicles.ledger.exists(),
        stopped=local_minute(last, zone, last) if ended else "",
        lost_before=local_minute(lost.end, zone) if lost and not lost.first else "",
    )


def _lengths(grid: Grid, account: Account) -> str:
    """Return the lengths of the slots of *account*, and since when each one holds."""
    text = interval_text(grid.interval_at(account.since))
    for before, after in pairwise(grid.periods):
        is_change = after.interval != before.interval
        if is_change and account.since < after.since < account.until:
            since = local_minute(after.since, account.zone, after.since)
            text += f", and of {interval_text(after.interval)} from {since} on"
    return text


def _write_csv(
    writer: TableWriter, name: str, folder: Path, collected: dict[str, str]
) -> list[WrittenTable]:
    """Write the tables as CSV, and the certificates of their days."""
    status, summaries = writer.status_csv()
    certificates = [
        Certificate(name, day, summary, "dataset") for day, summary in summaries.items()
    ]
    text = dataset_folder.certificate_lines(certificates, collected)
    dataset_folder.write_text(folder / dataset_folder.CERTIFICATES, text)
    return [status, *(writer.csv(what) for what in PUBLISHED if what != STATUS)]


def _document(folder: Path, dataset: Dataset) -> None:
    """Write the documents of *dataset* to *folder*, the checksums last."""
    for name, text in (
        (PACKAGE, dataset.data_package()),
        (dataset_folder.CITATION, dataset.citation()),
        (dataset_folder.ZENODO, dataset.zenodo()),
        (dataset_folder.README, readme(dataset)),
    ):
        dataset_folder.write_text(folder / name, text)
    dataset_folder.write_sums(folder)


def _report(
    folder: Path, dataset: Dataset, publisher: Publisher, *, has_author: bool
) -> None:
    """Print a summary of the dataset, and what is missing in it."""
    total = sum(path.stat().st_size for path in _files(folder))
    rows = dataset.tables[0].rows
    say(
        f"{folder}: {dataset.first} to {dataset.last}, {rows:,} rows of stations, "
        f"{size(total)}\nTo check it: bikecollect verify {folder}\n"
    )
    if dataset.lost_before:
        complain(
            f"the dataset says that data from before {dataset.lost_before} were lost"
        )
    if not publisher.has_license:
        complain(unknown_license(dataset.system_id, "the dataset says"))
    if not has_author:
        complain(
            "without --author the publisher of the data is named as the author of the "
            'dataset; to name yourself: --author "Last, First"'
        )
        return
    for writer in dataset.authors:
        if " " in writer.name and not writer.family:
            text = f'"{writer.name}" is cited as a group; a person: --author'
            complain(f'{text} "Last, First"')


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
