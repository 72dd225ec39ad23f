"""How the SQL of each engine differs: its types, and how it reads the archive."""

from collections.abc import Mapping
from typing import ClassVar

from bikecollect.archive import datasets
from bikecollect.core.errors import UsageError
from bikecollect.reports.engines.archive_place import ArchivePlace
from bikecollect.reports.engines.literals import quoted
from bikecollect.reports.engines.quantiles import for_clickhouse, has_quantiles
from bikecollect.storage.data_folder import INFORMATION

DUCKDB, SPARK, CLICKHOUSE = "duckdb", "spark", "clickhouse"
TRINO, BIGQUERY = "trino", "bigquery"
FOLDER = f"([^/]+)/{INFORMATION}"
"""A pattern for the system's folder in the path of its list of stations."""
LISTS = "station_lists"
"""The lists of stations, for engines that read them as a table."""


class DuckDbSql:
    """DuckDB, which runs the reports as they are; the others differ from it."""

    name: ClassVar = DUCKDB
    types: ClassVar[Mapping[str, str]] = {}
    """The names of types that differ from those of DuckDB."""
    mark: ClassVar = '"'
    """The quotation mark of a name."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Statements that make the engine conform to standard SQL."""
    asked: ClassVar = "TEMPORARY TABLE asked"
    """The stations in question: a view is planned and read again for each use."""
    create: ClassVar = "CREATE"
    no_text: ClassVar = "NULLIF"
    """The function that makes an empty text NULL."""
    moment: ClassVar = (
        "CAST(epoch(CAST(valid_from AS TIMESTAMP WITH TIME ZONE)) AS BIGINT)"
    )
    """The time of a line in a list of stations, in epoch seconds."""
    system: ClassVar = f"regexp_extract(filename, '{FOLDER}', 1)"
    """The system of that line."""

    def report(self, sql: str) -> str:
        """Return the *sql* of a report for this engine.

        Raises UsageError if it has no exact quantiles of groups, but the report has.
        """
        return sql

    def typed(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Return *columns* with this engine's names of their types."""
        return {name: self.types.get(kind, kind) for name, kind in columns.items()}

    def columns(self, table: str) -> str:
        """Return the columns of the dataset *table* with their types."""
        typed = self.typed(datasets.COLUMNS[table])
        return ", ".join(f"{self.quoted(name)} {kind}" for name, kind in typed.items())

    def names(self, table: str) -> str:
        """Return the names of the columns of the dataset *table*."""
        return ", ".join(map(self.quoted, datasets.COLUMNS[table]))

    def quoted(self, name: str) -> str:
        """Return the *name* of a column between this engine's marks."""
        return f"{self.mark}{name}{self.mark}"

    def dataset(self, place: ArchivePlace, table: str) -> list[str]:
        """Return the statements for the view of the dataset *table*."""
        files = quoted(f"{place.path(table)}/system_id=*/date=*/part.parquet")
        return [
            (
                f"CREATE VIEW {table} AS SELECT * FROM read_parquet({files},"
                " hive_partitioning = true, union_by_name = true,"
                " hive_types = {'system_id': VARCHAR, 'date': DATE})"
                f" WHERE system_id IN {place.among}"
            )
        ]

    @property
    def list_columns(self) -> str:
        """The columns of the lists of stations, all of them text."""
        texts = dict.fromkeys(("valid_from", *datasets.STATIONS), "VARCHAR")
        return ", ".join(f"{name} {kind}" for name, kind in self.typed(texts).items())

    def lists(self, place: ArchivePlace) -> tuple[list[str], str]:
        """Return the lists of stations: statements before their use, and a table.

        The table has a row for each of their lines.
        """
        names = ", ".join(map(quoted, place.station_lists))
        options = "header = true, all_varchar = true, filename = true"
        return [], f"read_csv([{names}], {options})"


class SparkSql(DuckDbSql):
    """Spark; it reads only the partitions of archived days."""

    name: ClassVar = SPARK
    types: ClassVar = {"VARCHAR": "STRING", "INTEGER": "INT"}
    mark: ClassVar = "`"
    settings: ClassVar = ("SET spark.sql.session.timeZone = UTC",)
    asked: ClassVar = "TEMPORARY VIEW asked"
    create: ClassVar = "CREATE OR REPLACE TEMPORARY"
    moment: ClassVar = "unix_timestamp(to_timestamp(valid_from))"
    system: ClassVar = f"regexp_extract(input_file_name(), '{FOLDER}', 1)"

    def dataset(self, place: ArchivePlace, table: str) -> list[str]:
        """Return the statements for the files, and for their view."""
        return [
            (
                f"CREATE OR REPLACE TEMPORARY VIEW {table}_files"
                f" ({self.columns(table)},"
                " `system_id` STRING, `date` STRING) USING parquet"
                f" OPTIONS (path {quoted(place.path(table))},"
                f" pathGlobFilter {quoted(datasets.PART)})"
            ),
            (
                f"CREATE OR REPLACE TEMPORARY VIEW {table} AS SELECT"
                f" {self.names(table)},"
                f" system_id, CAST(date AS DATE) AS date FROM {table}_files"
                f" WHERE system_id IN {place.among}{_read_days(place, table)}"
            ),
        ]

    def lists(self, place: ArchivePlace) -> tuple[list[str], str]:
        """Return a view of the lists, and the statement that creates it."""
        view = (
            f"CREATE OR REPLACE TEMPORARY VIEW {LISTS} ({self.list_columns}) USING csv"
            f" OPTIONS (path {quoted(place.lists)}, header 'true',"
            " multiLine 'true', escape '\"', enforceSchema 'false')"
        )
        return [view], LISTS


class ClickHouseSql(DuckDbSql):
    """ClickHouse."""

    name: ClassVar = CLICKHOUSE
    types: ClassVar = {
        "VARCHAR": "Nullable(String)",
        "BIGINT": "Nullable(Int64)",
        "INTEGER": "Nullable(Int32)",
        "SMALLINT": "Nullable(Int16)",
        "DOUBLE": "Nullable(Float64)",
        "BOOLEAN": "Nullable(Bool)",
    }
    mark: ClassVar = "`"
    settings: ClassVar = (
        "SET cast_keep_nullable = 1",
        "SET join_use_nulls = 1",
        "SET prefer_column_name_to_alias = 1",
        "SET union_default_mode = 'DISTINCT'",
        "SET use_hive_partitioning = 0",
    )
    asked: ClassVar = "TEMPORARY TABLE asked ENGINE = Memory"
    no_text: ClassVar = "nullIf"
    moment: ClassVar = "toInt64(toUnixTimestamp(parseDateTimeBestEffort(valid_from)))"
    system: ClassVar = f"extract(_path, {quoted(FOLDER)})"

    def report(self, sql: str) -> str:
        """Return *sql* with ClickHouse's quantiles."""
        return for_clickhouse(sql)

    def dataset(self, place: ArchivePlace, table: str) -> list[str]:
        """Return the statement for a view of a table function."""
        files = f"{place.path(table)}/system_id=*/date=*/part.parquet"
        return [
            (
                f"CREATE VIEW {table} AS SELECT {self.names(table)},"
                " extract(_path, 'system_id=([^/]+)') AS system_id,"
                " toDate(extract(_path, '/date=([^/]+)')) AS date"
                f" FROM {_clickhouse_files(files, 'Parquet', self.columns(table))}"
                f" WHERE system_id IN {place.among}"
            )
        ]

    def lists(self, place: ArchivePlace) -> tuple[list[str], str]:
        """Return the table function for the lists."""
        return [], _clickhouse_files(place.lists, "CSVWithNames", self.list_columns)


class TrinoSql(DuckDbSql):
    """Trino, with the archive in a catalogue of Hive."""

    name: ClassVar = TRINO
    asked: ClassVar = "VIEW asked"
    moment: ClassVar = "CAST(to_unixtime(from_iso8601_timestamp(valid_from)) AS BIGINT)"
    system: ClassVar = f"regexp_extract(\"$path\", '{FOLDER}', 1)"

    def report(self, sql: str) -> str:
        """Return *sql*, which must have no quantiles."""
        return _without_quantiles(self.name, sql)

    def dataset(self, place: ArchivePlace, table: str) -> list[str]:
        """Return the statements for the table, its partitions, and its view."""
        return [
            (
                f"CREATE TABLE {table}_files ({self.columns(table)},"
                " system_id VARCHAR, date DATE)"
                f" WITH (external_location = {quoted(place.path(table))},"
                " format = 'PARQUET', partitioned_by = ARRAY['system_id', 'date'])"
            ),
            (
                "CALL system.sync_partition_metadata(CURRENT_SCHEMA,"
                f" '{table}_files', 'FULL')"
            ),
            _view_of_files(place, table),
        ]

    def lists(self, place: ArchivePlace) -> tuple[list[str], str]:
        """Return the list of the first system, without its header."""
        folder = quoted(f"{place.folder}/{place.systems[0]}")
        table = (
            f"CREATE TABLE {LISTS} ({self.list_columns}) WITH (format = 'CSV',"
            f" external_location = {folder})"
        )
        return [table], f"{LISTS} WHERE valid_from <> 'valid_from'"


class BigQuerySql(DuckDbSql):
    """BigQuery, with external tables."""

    name: ClassVar = BIGQUERY
    types: ClassVar = {
        "VARCHAR": "STRING",
        "BIGINT": "INT64",
        "INTEGER": "INT64",
        "SMALLINT": "INT64",
        "DOUBLE": "FLOAT64",
        "BOOLEAN": "BOOL",
    }
    mark: ClassVar = "`"
    asked: ClassVar = "VIEW asked"
    moment: ClassVar = "UNIX_SECONDS(TIMESTAMP(valid_from))"
    system: ClassVar = f"REGEXP_EXTRACT(_FILE_NAME, r'{FOLDER}')"

    def report(self, sql: str) -> str:
        """Return *sql*, which must have no quantiles."""
        return _without_quantiles(self.name, sql)

    def dataset(self, place: ArchivePlace, table: str) -> list[str]:
        """Return the statements for the table and its view."""
        folder = place.path(table)
        return [
            (
                f"CREATE EXTERNAL TABLE {table}_files ({self.columns(table)})"
                " WITH PARTITION COLUMNS (system_id STRING, `date` DATE)"
                f" OPTIONS (format = 'PARQUET', uris = [{quoted(f'{folder}/*')}],"
                f" hive_partition_uri_prefix = {quoted(folder)})"
            ),
            _view_of_files(place, table),
        ]

    def lists(self, place: ArchivePlace) -> tuple[list[str], str]:
        """Return a table of the lists, and the statement that creates it."""
        uris = ", ".join(map(quoted, place.station_lists))
        table = (
            f"CREATE EXTERNAL TABLE {LISTS} ({self.list_columns})"
            f" OPTIONS (format = 'CSV', skip_leading_rows = 1, uris = [{uris}])"
        )
        return [table], LISTS


ENGINES: Mapping[str, DuckDbSql] = {
    engine.name: engine
    for engine in (
        DuckDbSql(),
        SparkSql(),
        ClickHouseSql(),
        TrinoSql(),
        BigQuerySql(),
    )
}


def _view_of_files(place: ArchivePlace, table: str) -> str:
    return (
        f"CREATE VIEW {table} AS SELECT * FROM {table}_files"
        f" WHERE system_id IN {place.among}"
    )


def _read_days(place: ArchivePlace, table: str) -> str:
    """Return conditions that skip the unread days of *table*: of partitions only."""
    conditions = []
    for system_id, unread in place.unread.get(table, {}).items():
        skipped = f"date > {quoted(unread.after)}"
        if unread.days:
            days = ", ".join(map(quoted, sorted(unread.days)))
            skipped = f"({skipped} OR date IN ({days}))"
        conditions.append(f" AND NOT (system_id = {quoted(system_id)} AND {skipped})")
    return "".join(conditions)


def _clickhouse_files(path: str, form: str, columns: str) -> str:
    """Return the table function for files at *path*, which have *columns*."""
    function = "s3" if "://" in path else "file"
    return f"{function}({quoted(path)}, {form}, {quoted(columns)})"


def _without_quantiles(engine: str, sql: str) -> str:
    if has_quantiles(sql):
        raise UsageError(
            f"{engine} has no exact quantiles of groups; use {SPARK} or {CLICKHOUSE}"
        )
    return sql
