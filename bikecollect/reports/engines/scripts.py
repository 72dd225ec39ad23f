"""SQL scripts that create the views of the reports over the archive, per engine.

The archive is one Hive dataset, in a folder or an object store; the lists of stations
are in the systems' folders beside it.
"""

from collections.abc import Collection, Sequence

from bikecollect.archive import datasets
from bikecollect.reports.engines.archive_place import ArchivePlace
from bikecollect.reports.engines.engine_sql import ENGINES, DuckDbSql
from bikecollect.reports.engines.stations_asked import asked_query
from bikecollect.reports.registry import Report, Values


def views(engine: str, place: ArchivePlace, tables: Collection[str]) -> list[str]:
    """Return the statements that create the views of *tables*."""
    sql = ENGINES[engine]
    statements = list(sql.settings)
    for table in datasets.COLUMNS:
        if table in tables:
            statements += sql.dataset(place, table)
    if "stations" in tables:
        statements += _stations(sql, place)
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
    """Return the SQL of *report*, preceded by all statements that it needs.

    Raises UsageError for an engine that cannot run it.
    """
    sql = ENGINES[engine]
    asked = asked_query(values, place.among, by or report.places[0], stations)
    statements = views(engine, place.with_known_lists(), tables)
    statements.append(f"CREATE {sql.asked} AS {asked}")
    before = "".join(f"{text};\n\n" for text in statements)
    return before + sql.report(values.sql(report))


def _stations(sql: DuckDbSql, place: ArchivePlace) -> list[str]:
    """Return the statements for the versions of stations, from the lists' CSV."""
    if not place.station_lists:
        return [f"{sql.create} VIEW stations AS {_no_stations(sql)}"]
    statements, lines = sql.lists(place)
    kinds = sql.typed(datasets.STATIONS)
    cells = ", ".join(
        name
        if kind == "VARCHAR"
        else f"CAST({sql.no_text}({name}, '') AS {kinds[name]}) AS {name}"
        for name, kind in datasets.STATIONS.items()
        if name != "station_id"
    )
    return [
        *statements,
        (
            f"{sql.create} VIEW stations AS SELECT t.*,"
            " LEAD(t.valid_from) OVER (PARTITION BY t.system_id, t.station_id"
            " ORDER BY t.valid_from) AS valid_to FROM (SELECT"
            f" {sql.system} AS system_id, station_id,"
            f" {sql.moment} AS valid_from, {cells}"
            f" FROM {lines}) AS t"
        ),
    ]


def _no_stations(sql: DuckDbSql) -> str:
    """Return the query for the view `stations` of systems without a list."""
    times = {"valid_from": "BIGINT", "valid_to": "BIGINT"}
    columns = {"system_id": "VARCHAR", **datasets.STATIONS, **times}
    cells = ", ".join(
        f"CAST(NULL AS {kind}) AS {name}" for name, kind in sql.typed(columns).items()
    )
    return f"SELECT t.* FROM (SELECT {cells}) AS t WHERE t.system_id <> ''"
