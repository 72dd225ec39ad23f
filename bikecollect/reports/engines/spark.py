"""Spark as an engine of the reports, on this machine or on a cluster."""

import json
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.checks.certified_files import (
    ArchiveCheck,
    ListedArchive,
    LocalArchive,
    Unread,
    folders_of_rows,
)
from bikecollect.archive.query.view_source import OnSkip, warn
from bikecollect.core import process
from bikecollect.core.errors import NotInstalled, StorageError
from bikecollect.reports.engines.archive_place import ArchivePlace
from bikecollect.reports.engines.engine_sql import LISTS, SPARK, SparkSql
from bikecollect.reports.engines.scripts import views
from bikecollect.reports.engines.spark_listing import PATH_NOT_FOUND, SparkArchive
from bikecollect.reports.engines.stations_asked import COVERAGE
from bikecollect.reports.registry import Rows
from bikecollect.reports.runner import BATCH, BatchedAnswer
from bikecollect.storage.lock import shared_locks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

STDOUT, STDERR = 1, 2
GIB = 1 << 30
LOCAL = "local[*]"
"""The default master: this machine, with all its cores."""
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # A system called 0123 is not a number.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # Else a view is parsed and analysed wherever a report names it.
    "spark.sql.legacy.storeAnalyzedPlanForView": "true",
    # A file that cannot be read is an error: figures without it would be wrong.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
}
CORES = re.compile(r"local\[(?P<cores>\d+)\b")
"""A master that is this machine, with so many cores."""
LOCAL_SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
"""Settings of a Spark that runs on this machine and accepts no connections."""
PARTITIONS = "spark.sql.shuffle.partitions"
MASTERS = ("local", "spark://", "yarn", "k8s://")
"""How a master begins; Spark's error for another one is that Java does not start."""
NO_SPARK = "Spark is not installed; run: pip install 'bikecollect[spark]'"
NO_JAVA = "Spark requires Java 17 or newer; run: apt install default-jre-headless"
GATEWAY_EXITED = "JAVA_GATEWAY_EXITED"
OUT_OF_MEMORY = "Java heap space"
MORE_MEMORY = (
    "; give it more memory: PYSPARK_SUBMIT_ARGS='--driver-memory 8g pyspark-shell'"
)
SOURCE = re.compile(r".* VIEW (?P<name>\w+) \((?P<schema>.*)\) USING ")
"""The beginning of a statement for a view of files."""
MAX_ERROR = 300
"""Characters of an error of Spark that are shown."""


class Spark:
    """Spark as an `Engine`; *session* has the views."""

    presence = COVERAGE

    def __init__(self, session: "SparkSession") -> None:
        self._session = session

    def register(self, table: str, columns: dict[str, str], rows: Rows) -> None:
        """See `Engine`."""
        typed = SparkSql().typed(columns)
        schema = ", ".join(f"`{name}` {kind}" for name, kind in typed.items())
        with _translated(f"cannot create the table {table}"):
            named = [dict(zip(columns, row, strict=True)) for row in rows]
            _create_table(self._session, table, schema, named)

    def query(self, sql: str) -> tuple[list[str], Rows]:
        """See `Engine`."""
        with _translated("the report failed"):
            frame = self._session.sql(sql)
            return frame.columns, [tuple(row) for row in frame.collect()]

    def stream(self, sql: str) -> BatchedAnswer:
        """See `Engine`."""
        with _translated("the report failed"):
            frame = self._session.sql(sql)
            rows = (tuple(row) for row in frame.toLocalIterator())
            return BatchedAnswer(frame.columns, _batches(rows))


def _batches(rows: Iterator[tuple[object, ...]]) -> Iterator[Rows]:
    with _translated("the report failed"):
        while batch := list(islice(rows, BATCH)):
            yield batch


def _memory() -> dict[str, str]:
    """Return how much memory Java may take: half of what is left, by default 1 GiB.

    `--driver-memory` in `PYSPARK_SUBMIT_ARGS` and the usual files have precedence.
    """
    if os.environ.keys() & {"SPARK_CONF_DIR", "SPARK_DRIVER_MEMORY"}:
        return {}
    left = process.memory_left()
    if left < 4 * GIB:
        return {}
    return {"spark.driver.memory": f"{int(left / 2 / GIB)}g"}


@contextmanager
def connected(
    place: ArchivePlace,
    tables: Collection[str],
    master: str = "",
    *,
    on_skip: OnSkip = warn,
) -> Iterator[Spark]:
    """Yield Spark at *master* with the views of *tables* over the archive at *place*.

    An empty *master* is this machine. A day with a file that does not match its
    certificate is skipped, and *on_skip* is called. Compaction removes no files of a
    local folder meanwhile. Raises NotInstalled, StorageError.
    """
    folder = Path(place.folder)
    folders = folders_of_rows(folder, place.systems) if place.is_local else ()
    with warnings.catch_warnings(), shared_locks(folders):
        # Of PySpark to its developers, on libraries that are not used here.
        warnings.simplefilter("ignore", FutureWarning)
        session = _started(master or LOCAL)
        try:
            with _translated(f"Spark cannot read {place.archive}"):
                unread = _unread(session, place, tables, on_skip)
            _create_views(session, replace(place, unread=unread), tables)
            yield Spark(session)
        finally:
            session.stop()


def _unread(
    session: "SparkSession",
    place: ArchivePlace,
    tables: Collection[str],
    on_skip: OnSkip,
) -> Unread:
    """Return the days that must not be read, by their certificates."""
    archive: ListedArchive = SparkArchive(session, place.archive.rstrip("/"))
    if place.is_local:
        archive = LocalArchive(place.archive)
    check = ArchiveCheck(archive, on_skip)
    unread = check.unread(place.systems, tables)
    for system_id in check.unverified:
        log.warning(
            "%s: no certificates at %s: its files are read unchecked",
            system_id,
            place.archive,
        )
    return unread


def _started(master: str) -> "SparkSession":
    try:
        from pyspark.sql import SparkSession  # an extra, and heavy
    except ImportError as error:
        raise NotInstalled(NO_SPARK) from error
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise NotInstalled(NO_JAVA)
    if not master.startswith(MASTERS):
        raise StorageError(
            f"Spark cannot be started at {master}: unknown master;"
            " use local[CORES], spark://HOST:PORT, yarn or k8s://URL",
            cause="archive",
        )
    settings = SETTINGS
    if master.startswith("local"):
        settings = SETTINGS | LOCAL_SETTINGS | _memory()
        # Else the first python3 of the PATH, which may be of another version.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("bikecollect").master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    with _translated(f"Spark cannot be started at {master}"), _stdout_is_stderr():
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        if master.startswith("local"):
            _limit_partitions(session, master)
    return session


def _limit_partitions(session: "SparkSession", master: str) -> None:
    """Set the number of partitions of a shuffle, unless the user has configured it.

    Spark's default is 200, most of them empty.
    """
    cores = CORES.match(master)
    count = str(2 * int(cores["cores"] if cores else os.cpu_count() or 1))
    session.conf.set(PARTITIONS, session.conf.get(PARTITIONS, count) or count)


@contextmanager
def _stdout_is_stderr() -> Iterator[None]:
    """Let processes that start meanwhile print to stderr: Java prints warnings."""
    stdout = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield
    finally:
        os.dup2(stdout, STDOUT)
        os.close(stdout)


def _create_views(
    session: "SparkSession", place: ArchivePlace, tables: Collection[str]
) -> None:
    """Create the views; a dataset that the archive does not have is empty.

    Raises StorageError if it has none of them.
    """
    missing = []
    datasets = 0
    with _translated(f"Spark cannot read {place.archive}"):
        for statement in views(SPARK, place, tables):
            source = SOURCE.match(statement)
            datasets += source is not None and source["name"] != LISTS
            if _is_created(session, statement) or source is None:
                continue
            _create_table(session, source["name"], source["schema"], [])
            missing.append(source["name"])
    if len({*missing} - {LISTS}) == datasets:
        raise StorageError(
            f"no archived days at {place.archive}; see: bikecollect compact --help",
            cause="archive",
        )
    if LISTS in missing:
        log.warning("no station list at %s: names and districts unknown", place.lists)


def _create_table(
    session: "SparkSession",
    table: str,
    schema: str,
    rows: Sequence[Mapping[str, object]],
) -> None:
    """Create or replace *table* with *rows*, as a constant of JSON.

    Rows of Python would be read by a process of Python that each query starts.
    """
    frame = session.sql(
        f"SELECT inline(from_json(:rows, 'ARRAY<STRUCT<{schema}>>'))"
        + " WHERE FALSE" * (not rows),
        args={"rows": json.dumps(rows)},
    )
    frame.createOrReplaceTempView(table)


def _is_created(session: "SparkSession", statement: str) -> bool:
    """Run *statement*; return False if the files of its view do not exist."""
    from pyspark.errors import AnalysisException

    try:
        session.sql(statement)
    except AnalysisException as error:
        if error.getCondition() == PATH_NOT_FOUND:
            return False
        raise
    return True


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Translate errors of Spark to ours."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, OSError, RuntimeError) as error:
        text = _message(error)
        if GATEWAY_EXITED in text:
            raise NotInstalled(f"Java does not start. {NO_JAVA}") from error
        if OUT_OF_MEMORY in text:
            text += MORE_MEMORY
        raise StorageError(f"{what}: {text}", cause="archive") from error


def _message(error: Exception) -> str:
    """Return the first line of *error*, or of the error in Java that it wraps."""
    java = getattr(error, "java_exception", None)
    text = str(java.getMessage() if java is not None else error).strip()
    return text.splitlines()[0][:MAX_ERROR] if text else type(error).__name__
