"""``bikecollect export``: write tables to files."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

import click

from bikecollect.archive.query import duckdb_engine, views
from bikecollect.archive.query.view_source import ANY, ViewedSystem
from bikecollect.cli.completion import complete_station, systems_argument
from bikecollect.cli.exporting import data_package, workbook
from bikecollect.cli.forms import Forms
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared, mirror_option, output_option
from bikecollect.cli.output_file import format_of, is_stream, placed, text_file
from bikecollect.cli.printing import complain
from bikecollect.cli.printing import output as standard
from bikecollect.cli.reporting.viewed_systems import viewed
from bikecollect.cli.timeparse import FIRST_DAY, LAST_DAY, days, warn_of_times
from bikecollect.core.errors import UsageError
from bikecollect.core.text import count_of
from bikecollect.reports.data_dictionary import PACKAGE, resource
from bikecollect.reports.export import WHATS, Exporter, ExportRequest
from bikecollect.reports.runner import VEHICLES
from bikecollect.storage.data_folder import VEHICLE_STATUS
from bikecollect.wiring import history

TABLES = (
    "station_status",
    "vehicle_status",
    "stations",
    "slots",
    "gaps",
    "runs",
    "coverage",
    "profile",
)
FAR = "2199-12-31"
"""Later days count as this one west of Greenwich, see `timeparse.moment`."""
FRACTIONS = {
    "occupancy": workbook.PERCENT,
    "current_fuel_percent": workbook.PERCENT,
    "uptime": workbook.TENTHS,
    "awake": workbook.TENTHS,
}
"""Formats of a workbook's columns with fractions; own columns have none."""
FORMS = ("csv", "jsonl", "parquet", "xlsx")


@click.command()
@systems_argument
@click.option(
    "--what",
    type=click.Choice(TABLES),
    metavar="TABLE",
    default="station_status",
    show_default=True,
    help=f"One of {', '.join(TABLES)}. coverage: slots of each station and day; "
    "profile: sums of each station and hour.",
)
@click.option("--since", help="The first day: 2026-11-22, 30d; default: all.")
@click.option("--until", help="The last day; default: all.")
@click.option(
    "--station",
    multiple=True,
    help="Only this station id; repeatable.",
    shell_complete=complete_station,
)
@click.option(
    "--names/--no-names",
    default=None,
    help="Add name, region, lat, lon of stations; default: on a terminal.",
)
@click.option(
    "--excel-safe",
    is_flag=True,
    help="Write CSV that spreadsheets read as UTF-8, without formulas. They still read "
    "ids such as 007 as numbers, and times as text: prefer -o FILE.xlsx.",
)
@click.option(
    "--format",
    "form",
    type=Forms(FORMS),
    help="Default: by the name of the output, else csv; json is jsonl.",
)
@mirror_option
@output_option
@click.pass_context
def export(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    what: str,
    since: str | None,
    until: str | None,
    station: tuple[str, ...],
    names: bool | None,
    excel_safe: bool,
    form: str | None,
    mirror: bool,
    output: Path | None,
) -> int:
    """Write a table as CSV, JSON lines, Parquet or .xlsx.

    The table has the history of each SYSTEM. As CSV, the station_status of one system
    is the text of its daily files, sorted by slot and station; `verify` certifies its
    sha256. A datapackage.json beside the output file describes the columns of all
    exports in that folder; if another program wrote it, it is kept, and the description
    is FILE.datapackage.json.
    """
    if station and "station_id" not in WHATS[what]:
        raise UsageError(f"--station does not apply to {what}, which has no stations")
    settings = ctx.ensure_object(Shared).settings()
    form = _form(form, output, excel_safe=excel_safe)
    chosen = settings.chosen(system_ids)
    tables = {"slots" if what == "gaps" else what, "stations"}
    warn_of_times(since, until)
    zone = history.zone(settings, chosen[0])
    first, end = span = days(since, until, zone, time.time())
    data, systems, code = viewed(settings, chosen, tables, mirror=mirror, span=span)
    zones = {shown.system_id: shown.system.zone for shown in systems}
    request = ExportRequest(
        what=what,
        systems=zones,
        since=first,
        until=end,
        stations=station,
        names=sys.stdout.isatty() and output is None if names is None else names,
        excel_safe=excel_safe,
        with_system=len(chosen) > 1,
    )
    exporter = _write(data, systems, request, form, output)
    if output is not None and not is_stream(output):
        described = _describe(exporter, request, form, output)
        if sys.stderr.isatty():
            written = (
                f"{count_of(exporter.rows, 'row')}, {output.stat().st_size:,} bytes"
            )
            complain(f"{written}: {output}\nits columns are described in {described}")
    return code


def _write(
    data: Path,
    systems: Sequence[ViewedSystem],
    request: ExportRequest,
    form: str,
    output: Path | None,
) -> Exporter:
    """Write the export to *output* completely or not at all; None is stdout."""
    with ExitStack() as stack:
        fd = None if output is None else stack.enter_context(placed(output))
        also = [] if fd is None else [duckdb_engine.descriptor(fd)]
        view = views.connected(
            data, systems, also=also, fails_on=ANY, tables=request.tables
        )
        with progress("reading the history ..."):
            db = stack.enter_context(view)
        if fd is not None:
            stack.enter_context(progress("writing the export ..."))
        exporter = Exporter(db, request)
        exporter.refuse_unknown_stations()
        if fd is not None and form == "parquet":
            exporter.parquet(fd)
        elif fd is not None and form == "xlsx":
            batches = exporter.records(datetime.fromtimestamp)
            rows, zones = chain.from_iterable(batches), request.systems
            header = exporter.header()
            workbook.write(
                fd, request.what, header, rows, zones=zones, formats=FRACTIONS
            )
        else:
            parts = exporter.csv() if form == "csv" else exporter.jsonl()
            with standard() if fd is None else text_file(fd) as out:
                out.writelines(_checked(parts, exporter, request))
        _refuse_nothing(exporter, request)
        return exporter


def _checked(
    parts: Iterator[str], exporter: Exporter, request: ExportRequest
) -> Iterator[str]:
    """Yield *parts*; raise UsageError before the first one if there is no row."""
    begin = list(islice(parts, 2))
    _refuse_nothing(exporter, request)
    yield from begin
    yield from parts


def _refuse_nothing(exporter: Exporter, request: ExportRequest) -> None:
    """Raise UsageError for a range or a station without any row.

    A table of what has happened, such as the gaps, may be empty if the range has slots.
    """
    limits = []
    if request.since > FIRST_DAY:
        is_late = request.since >= FAR
        limits.append("after 2199" if is_late else f"from {request.since}")
    if request.until < LAST_DAY:
        last = date.fromisoformat(request.until) - timedelta(days=1)
        limits.append(f"to {last}")
    if request.stations:
        limits.append(f"of station {', '.join(request.stations)}")
    if exporter.rows or (request.what == "gaps" and exporter.has_slots()):
        return
    if request.what == VEHICLE_STATUS:
        text = " ".join(["no rows", *(limits or ["of", request.what])])
        raise UsageError(f"{text}\n{VEHICLES}", lines=True)
    text = " ".join(["no rows", *(limits or ["of", request.what, "yet"])])
    raise UsageError(f"{text}; see: bikecollect backfill-report")


def _form(form: str | None, output: Path | None, *, excel_safe: bool) -> str:
    form = format_of(form, output, "csv")
    if excel_safe and form != "csv":
        raise UsageError("--excel-safe is for --format csv")
    return form


def _describe(
    exporter: Exporter, request: ExportRequest, form: str, path: Path
) -> Path:
    """Describe the exported file *path*; return the path of the description."""
    mine = resource(
        request.what,
        path.name,
        form,
        exporter.columns,
        systems=2 if request.has_system_id else 1,
    )
    place = data_package.describe(path, mine)
    if place != path.with_name(PACKAGE):
        what = f"{PACKAGE} belongs to another program and is not overwritten"
        complain(f"{what}; see {place}")
    return place
