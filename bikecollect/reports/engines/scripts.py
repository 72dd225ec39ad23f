"""SQL scripts that create the views of the reports over the archive, per engine.

The archive is one Hive dataset, in a folder or an object store; the lists of stations
are in the systems' folders beside it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bikecollect.archive import datasets
from bikecollect.archive.checks.certified_files import Unread
from bikecollect.core.errors import UsageError
from bikecollect.reports.engines.literals import quoted
from bikecollect.reports.engines.quantiles import for_clickhouse, has_quantiles
from bikecollect.reports.engines.stations_asked import asked_query
from bikecollect.reports.registry import Report, Values
from bikecollect.storage.data_folder import INFORMATION

DUCKDB, SPARK, CLICKHOUSE = "duckdb", "spark", "clickhouse"
TRINO, BIGQUERY = "trino", "bigquery"
ENGINES = (DUCKDB, SPARK, CLICKHOUSE, TRINO, BIGQUERY)
KEYS = ("system_id", "date")
TYPES: Mapping[str, Mapping[str, str]] = {
    SPARK: {"VARCHAR": "STRING", "INTEGER": "INT"},
    CLICKHOUSE: {
        "VARCHAR": "Nullable(String)",
        "BIGINT": "Nullable(Int64)",
        "INTEGER": "Nullable(Int32)",
        "SMALLINT": "Nullable(Int16)",
        "DOUBLE": "Nullable(Float64)",
        "BOOLEAN": "Nullable(Bool)",
    },
    BIGQUERY: {
        "VARCHAR": "STRING",
        "BIGINT": "INT64",
        "INTEGER": "INT64",
        "SMALLINT": "INT64",
        "DOUBLE": "FLOAT64",
        "BOOLEAN": "BOOL",
    },
    TRINO: {},
    DUCKDB: {},
}
"""The names of types that differ from those of DuckDB."""


@dataclass(frozen=True)
class ArchivePlace:
    """The location of the archive (a path or an address), and the *systems* to read.

    Spark skips the *unread* days.
    """

    archive: str
    systems: Sequence[str]
    unread: Unread = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.archive

    @property
    def folder(self) -> str:
        """The folder with the systems' folders."""
        return self.archive.rstrip("/").rpartition("/")[0]

    @property
    def lists(self) -> str:
        """A pattern for the lists of stations."""
        names = ",".join(self.systems)
        names = names if len(self.systems) == 1 else f"{{{names}}}"
        return f"{self.folder}/{names}/{INFORMATION}"

    @property
    def among(self) -> str:
        """The SQL list of the systems' names."""
        return f"({', '.join(map(quoted, self.systems))})"


def views(engine: str, place: ArchivePlace, tables: Collection[str]) -> list[str]:
    """Return the statements that create the views of *tables*."""
    statements = list(SETTINGS.get(engine, ()))
    for table in (*datasets.COLUMNS, "stations"):
        if table == "stations" and table in tables:
            statements += _stations(engine, place)
        elif table in tables:
            statements += _dataset(engine, place, table)
    return statements


def script(
    engine: str,
    place: ArchivePlace,
    report: Report,
    values: Values,
    *,
    by: str,
    stations: Sequence[str],
    tables: Collection[str],
) -> str:
    """Return the SQL of *report*, preceded by all statements that it needs."""
    asked = asked_query(values, place.among, by or report.places[0], stations)
    statements = views(engine, place, tables)
    statements.append(f"CREATE {ASKED_KINDS.get(engine, 'VIEW asked')} AS {asked}")
    return "".join(f"{text};\n\n" for text in statements) + _text(
        engine, values.sql(report)
    )


def _text(engine: str, sql: str) -> str:
    """Return the text of a report for *engine*: only quantiles differ.

    Raises UsageError for an engine that has no exact quantiles of groups.
    """
    if engine == CLICKHOUSE:
        return for_clickhouse(sql)
    if engine in {TRINO, BIGQUERY} and has_quantiles(sql):
        raise UsageError(
            f"{engine} has no exact quantiles of groups; use {SPARK} or {CLICKHOUSE}"
        )
    return sql


SETTINGS = {
    CLICKHOUSE: (
        "SET cast_keep_nullable = 1",
        "SET join_use_nulls = 1",
        "SET prefer_column_name_to_alias = 1",
        "SET union_default_mode = 'DISTINCT'",
        "SET use_hive_partitioning = 0",
    ),
    SPARK: ("SET spark.sql.session.timeZone = UTC",),
}
"""Statements that make an engine conform to standard SQL."""


ASKED_KINDS = {
    DUCKDB: "TEMPORARY TABLE asked",
    CLICKHOUSE: "TEMPORARY TABLE asked ENGINE = Memory",
    SPARK: "TEMPORARY VIEW asked",
}
"""What the stations in question are: a view is planned and read again for each use."""


def _types(engine: str, columns: Mapping[str, str]) -> dict[str, str]:
    names = TYPES[engine]
    return {column: names.get(kind, kind) for column, kind in columns.items()}


def _dataset(engine: str, place: ArchivePlace, table: str) -> list[str]:
    columns = _types(engine, datasets.COLUMNS[table])
    names = ", ".join(_name(engine, column) for column in columns)
    typed = ", ".join(f"{_name(engine, c)} {kind}" for c, kind in columns.items())
    folder, among = f"{place.archive.rstrip('/')}/{table}", place.among
    if engine == SPARK:
        return [
            (
                f"CREATE OR REPLACE TEMPORARY VIEW {table}_files ({typed},"
                " `system_id` STRING, `date` STRING) USING parquet"
                f" OPTIONS (path {quoted(folder)},"
                f" pathGlobFilter {quoted(datasets.PART)})"
            ),
            (
                f"CREATE OR REPLACE TEMPORARY VIEW {table} AS SELECT {names},"
                f" system_id, CAST(date AS DATE) AS date FROM {table}_files"
                f" WHERE system_id IN {among}{_read_days(place, table)}"
            ),
        ]
    if engine == CLICKHOUSE:
        source = _clickhouse(f"{folder}/system_id=*/date=*/part.parquet", "Parquet")
        return [
            (
                f"CREATE VIEW {table} AS SELECT {names},"
                " extract(_path, 'system_id=([^/]+)') AS system_id,"
                " toDate(extract(_path, '/date=([^/]+)')) AS date"
                f" FROM {source}, {quoted(typed)}) WHERE system_id IN {among}"
            )
        ]
    if engine == TRINO:
        return [
            (
                f"CREATE TABLE {table}_files ({typed}, system_id VARCHAR, date DATE)"
                f" WITH (external_location = {quoted(folder)}, format = 'PARQUET',"
                " partitioned_by = ARRAY['system_id', 'date'])"
            ),
            (
                "CALL system.sync_partition_metadata(CURRENT_SCHEMA,"
                f" '{table}_files', 'FULL')"
            ),
            (
                f"CREATE VIEW {table} AS SELECT * FROM {table}_files"
                f" WHERE system_id IN {among}"
            ),
        ]
    if engine == BIGQUERY:
        return [
            (
                f"CREATE EXTERNAL TABLE {table}_files ({typed})"
                " WITH PARTITION COLUMNS (system_id STRING, `date` DATE)"
                f" OPTIONS (format = 'PARQUET', uris = [{quoted(f'{folder}/*')}],"
                f" hive_partition_uri_prefix = {quoted(folder)})"
            ),
            (
                f"CREATE VIEW {table} AS SELECT * FROM {table}_files"
                f" WHERE system_id IN {among}"
            ),
        ]
    files = quoted(f"{folder}/system_id=*/date=*/part.parquet")
    return [
        (
            f"CREATE VIEW {table} AS SELECT * FROM read_parquet({files},"
            " hive_partitioning = true, union_by_name = true,"
            " hive_types = {'system_id': VARCHAR, 'date': DATE})"
            f" WHERE system_id IN {among}"
        )
    ]


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


def _clickhouse(path: str, form: str) -> str:
    """Return the beginning of the table function for files at *path*."""
    function = "s3" if "://" in path else "file"
    return f"{function}({quoted(path)}, {form}"


def _name(engine: str, column: str) -> str:
    mark = "`" if engine in {SPARK, CLICKHOUSE, BIGQUERY} else '"'
    return f"{mark}{column}{mark}"


def _stations(engine: str, place: ArchivePlace) -> list[str]:
    """Return the statements for the versions of stations, from the lists' CSV."""
    columns = ("valid_from", *datasets.STATIONS)
    text = _types(engine, dict.fromkeys(columns, "VARCHAR"))
    typed = ", ".join(f"{name} {kind}" for name, kind in text.items())
    kinds = _types(engine, datasets.STATIONS)
    cells = ", ".join(
        name if kind == "VARCHAR" else f"{_cast(engine, name, kinds[name])} AS {name}"
        for name, kind in datasets.STATIONS.items()
        if name != "station_id"
    )
    since, system, source = _list_source(engine, place, typed)
    create = "CREATE OR REPLACE TEMPORARY" if engine == SPARK else "CREATE"
    before = _list_table(engine, place, typed)
    return [
        *before,
        (
            f"{create} VIEW stations AS SELECT t.*,"
            " LEAD(t.valid_from) OVER (PARTITION BY t.system_id, t.station_id"
            " ORDER BY t.valid_from) AS valid_to FROM (SELECT"
            f" {system} AS system_id, station_id, {since} AS valid_from, {cells}"
            f" FROM {source}) AS t"
        ),
    ]


def _cast(engine: str, name: str, kind: str) -> str:
    if engine == CLICKHOUSE:
        return f"CAST(nullIf({name}, '') AS {kind})"
    return f"CAST(NULLIF({name}, '') AS {kind})"


def _list_source(engine: str, place: ArchivePlace, typed: str) -> tuple[str, str, str]:
    """Return SQL for the time and the system of a line, and the table of lines."""
    if engine == SPARK:
        return (
            "unix_timestamp(to_timestamp(valid_from))",
            f"regexp_extract(input_file_name(), '([^/]+)/{INFORMATION}', 1)",
            "station_lists",
        )
    if engine == CLICKHOUSE:
        pattern = f"([^/]+)/{INFORMATION}"
        return (
            "toInt64(toUnixTimestamp(parseDateTimeBestEffort(valid_from)))",
            f"extract(_path, {quoted(pattern)})",
            f"{_clickhouse(place.lists, 'CSVWithNames')}, {quoted(typed)})",
        )
    if engine == TRINO:
        return (
            "CAST(to_unixtime(from_iso8601_timestamp(valid_from)) AS BIGINT)",
            f"regexp_extract(\"$path\", '([^/]+)/{INFORMATION}', 1)",
            "station_lists WHERE valid_from <> 'valid_from'",
        )
    if engine == BIGQUERY:
        return (
            "UNIX_SECONDS(TIMESTAMP(valid_from))",
            f"REGEXP_EXTRACT(_FILE_NAME, r'([^/]+)/{INFORMATION}')",
            "station_lists",
        )
    lists = ", ".join(
        quoted(f"{place.folder}/{name}/{INFORMATION}") for name in place.systems
    )
    return (
        "CAST(epoch(CAST(valid_from AS TIMESTAMP WITH TIME ZONE)) AS BIGINT)",
        f"regexp_extract(filename, '([^/]+)/{INFORMATION}', 1)",
        f"read_csv([{lists}], header = true, all_varchar = true, filename = true)",
    )


def _list_table(engine: str, place: ArchivePlace, typed: str) -> list[str]:
    """Return the statements that an engine needs before the view of stations."""
    if engine == SPARK:
        return [
            (
                f"CREATE OR REPLACE TEMPORARY VIEW station_lists ({typed}) USING csv"
                f" OPTIONS (path {quoted(place.lists)}, header 'true',"
                " multiLine 'true', escape '\"', enforceSchema 'false')"
            )
        ]
    if engine == TRINO:
        return [
            (
                f"CREATE TABLE station_lists ({typed}) WITH (format = 'CSV',"
                f" external_location = {quoted(place.folder + '/' + place.systems[0])})"
            )
        ]
    if engine == BIGQUERY:
        uris = ", ".join(
            quoted(f"{place.folder}/{name}/{INFORMATION}") for name in place.systems
        )
        return [
            (
                f"CREATE EXTERNAL TABLE station_lists ({typed})"
                f" OPTIONS (format = 'CSV', skip_leading_rows = 1, uris = [{uris}])"
            )
        ]
    return []
