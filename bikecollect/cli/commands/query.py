"""``bikecollect query``: run SQL over the whole history."""

import re
import sys
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from bikecollect.archive.query import duckdb_engine, views
from bikecollect.archive.query.open_rows import fail_for
from bikecollect.archive.query.selection import checked
from bikecollect.archive.query.view_source import ANY, ViewedSystem
from bikecollect.cli.completion import complete_configured
from bikecollect.cli.exporting.query_result import BATCH, QueryResult
from bikecollect.cli.forms import Forms
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared, mirror_option, output_option
from bikecollect.cli.output_file import format_of, placed, say_written
from bikecollect.cli.printing import complain
from bikecollect.cli.reporting.viewed_systems import SkippedDays, viewed
from bikecollect.core.errors import (
    BikecollectError,
    StorageError,
    UsageError,
)
from bikecollect.setup.settings import Settings

if TYPE_CHECKING:
    import duckdb
    from duckdb import DuckDBPyConnection

ZONED = re.compile(
    r"slot_time|to_timestamp|timestamptz|timestamp with time"
    r"|select\s+(distinct\s+)?(\w+\.)?\*|^\s*from\b",
    re.IGNORECASE,
)
"""What in a query gives timestamps, which have one time zone."""
NO_FILES = "No files found"
"""Part of DuckDB's message for a file that a query names and that does not exist."""
GUESS = re.compile(r'(?<=does not exist!)\n *Did you mean "[^"]*"\?')
"""DuckDB's guess at a table, which may be one of its own."""
TABLES = """
  The tables: station_status, slots, coverage, profile, runs, stations;
  of vehicles: vehicle_status, vehicle_slots"""


@click.command()
@click.argument("sql")
@click.option(
    "--system",
    multiple=True,
    help="Only this system; repeatable.",
    shell_complete=complete_configured,
)
@click.option(
    "--format",
    "form",
    type=Forms(["table", "csv", "jsonl", "parquet", "xlsx"]),
    help="Default: by the name of the output, else csv; without output table; json is "
    "jsonl.",
)
@output_option
@click.option(
    "--memory",
    default="",
    help="DuckDB's memory limit, such as 2GB; default: depends on the machine.",
)
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True)
@mirror_option
@click.option(
    "--unrestricted",
    is_flag=True,
    help="Allow any SQL, not only one SELECT: it may read and write all your files, "
    "attach databases, install extensions and use the network. Not for SQL that "
    "others have written.",
)
@click.pass_context
def query(
    ctx: click.Context,
    *,
    sql: str,
    system: tuple[str, ...],
    form: str | None,
    output: Path | None,
    memory: str,
    threads: int,
    mirror: bool,
    unrestricted: bool,
) -> int:
    """Run SQL over the open days and the archive.

    The SQL is DuckDB's; `-` reads it from stdin. The tables are station_status, slots,
    coverage, profile and runs, each with system_id and date, and stations (versions,
    without date); with vehicles also vehicle_status and vehicle_slots. Times are epoch
    seconds; slot_time is the slot as a timestamp, shown in the first system's time
    zone; minute_of_day and hour_of_week are local. Open days have only committed rows.
    The SQL must be one SELECT, which can read only these tables.
    """
    if form == "table" and output is not None:
        raise UsageError("a table is for the screen; for a file: --format csv")
    form = format_of(form, output, "table" if output is None else "csv")
    if memory and not re.fullmatch(r"\d+(\.\d+)?\s*[KMGT]i?B", memory):
        raise UsageError(f'--memory "{memory}": give a size such as 512MB or 2GB')
    text = sys.stdin.read() if sql == "-" else sql
    settings = ctx.ensure_object(Shared).settings()
    names = settings.chosen(system)
    skipped, tables = SkippedDays(), views.tables_in(text)
    data, shown, code = viewed(
        settings, names, tables, mirror=mirror, on_loss=skipped.note_earlier
    )
    zone = settings.systems[names[0]].timezone
    with ExitStack() as stack:
        fd = None if output is None else stack.enter_context(placed(output))
        also = [] if fd is None else [duckdb_engine.descriptor(fd)]
        connect = views.unconfined
        if not unrestricted:
            connect = partial(views.connected, also=also, tables=tables)
        db = connect(
            data,
            shown,
            memory=memory,
            threads=threads,
            timezone=zone,
            on_skip=skipped,
        )
        with progress("reading the history ..."):
            connection = stack.enter_context(db)
        if unrestricted or _touches_lost(data, shown, text, tables, skipped):
            skipped.warn()
        shown_in = _check_zones(settings, names, text)
        zones = dict.fromkeys(shown_in, ZoneInfo(zone))
        text = text.strip().rstrip(";") if unrestricted else checked(connection, text)
        _answer(connection, text, form, fd, zones)
    if output is not None:
        say_written(output)
    return code or skipped.code


def _check_zones(settings: Settings, names: Sequence[str], sql: str) -> Sequence[str]:
    """Return the systems that the times of *sql* are local times of.

    Warn if they are those of *names* in another zone, too.
    """
    zones = {name: settings.systems[name].timezone for name in names}
    first = zones[names[0]]
    other = next((name for name in names if zones[name] != first), None)
    if other is None:
        return names
    if ZONED.search(sql):
        complain(
            f"timestamps are in the time zone of {names[0]} ({first}), those of {other}"
            f" ({zones[other]}) too; choose systems of one zone with --system; date, "
            "minute_of_day and hour_of_week are local to each system"
        )
    return ["(times of all systems)"]


def _touches_lost(
    data: Path,
    systems: Sequence[ViewedSystem],
    sql: str,
    tables: Container[str],
    skipped: SkippedDays,
) -> bool:
    """Return whether *sql* needs what cannot be read: *skipped* days, earlier data."""
    import duckdb  # an extra, and heavy

    if not (skipped.losses or skipped.earlier):
        return False
    lossless = partial(views.connected, fails_on=ANY, tables=tables)
    with lossless(data, systems) as db:
        fail_for(db, skipped.earlier)
        try:
            cursor = db.execute(checked(db, sql))
            while cursor.fetchmany(BATCH):
                continue
        except duckdb.Error:
            return True
    return False


def _answer(
    db: "DuckDBPyConnection",
    sql: str,
    form: str,
    fd: int | None,
    zones: Mapping[str, tzinfo],
) -> None:
    """Print the result of *sql*, or write it to the file *fd*.

    *zones* are those of its times, by system.
    """
    import duckdb  # an extra, and heavy

    try:
        if form == "parquet" and fd is not None:
            duckdb_engine.copy_into(fd, db, sql, duckdb_engine.PARQUET)
            return
        with progress("running the query ..."):
            result = QueryResult(db.execute(sql))
        if fd is None:
            result.print(form)
        else:
            result.write(fd, form, zones)
    except duckdb.Error as error:
        raise _failure(error) from error
    except AttributeError as error:
        raise UsageError("the query gives no rows to write") from error


def _failure(error: "duckdb.Error") -> BikecollectError:
    """Return *error* as a StorageError, or as a UsageError of the query."""
    import duckdb  # an extra, and heavy

    if duckdb_engine.UNREADABLE in str(error):
        return StorageError(duckdb_engine.message(error), cause="archive")
    message = f"the query failed: {str(error).strip()}"
    if isinstance(error, duckdb.CatalogException) and "Table with name" in message:
        message = GUESS.sub(TABLES, message)
    if isinstance(error, duckdb.OutOfMemoryException):
        first = message.partition("\n")[0]
        return StorageError(f"{first}; raise --memory, or ask for fewer days")
    if isinstance(error, duckdb.IOException) and NO_FILES not in message:
        return StorageError(message)
    return UsageError(message, lines=True)
