"""Names in SQL of a user's own columns whose names in the files are in use.

Earlier versions took any name: a column `Slot` or `date` is `Slot_own` or `date_own`
in Parquet and in the views, and keeps its name in CSV.
"""

from collections.abc import Iterable, Sequence

from bikecollect.archive import datasets
from bikecollect.archive.query import duckdb_engine
from bikecollect.storage.csv_format import COLUMNS

SUFFIX = "_own"
RESERVED = frozenset(
    column.casefold()
    for column in (
        *COLUMNS,
        *datasets.ADDED,
        datasets.SLOT_TIME,
        *datasets.NOT_COLLECTED,
        "system_id",
        "date",
        "filename",
        "rowid",
    )
)
"""Names that the views or DuckDB use; SQL ignores case."""


def sql_names(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the names in SQL of the *columns* of a file, in the same order.

    >>> sql_names(["slot", "station_id", "Slot", "date", "mine"])
    ('slot', 'station_id', 'Slot_own', 'date_own', 'mine')
    """
    names: dict[str, str] = {}
    for column in columns:
        name = column
        while name.casefold() in names or (
            name.casefold() in RESERVED and name not in datasets.KNOWN
        ):
            name += SUFFIX
        names[name.casefold()] = name
    return tuple(names.values())


def renamed(columns: Iterable[str]) -> dict[str, str]:
    """Return the names in SQL of the *columns* of an archived file, by column.

    >>> renamed(["slot", "date", "minute_of_day"])
    {'slot': 'slot', 'date': 'date_own', 'minute_of_day': 'minute_of_day'}
    """
    listed = [column for column in columns if column not in datasets.NOT_COLLECTED]
    collected = [column for column in listed if column not in datasets.ADDED]
    names = dict(zip(collected, sql_names(collected), strict=True))
    return {column: names.get(column, column) for column in listed}


def has_own(columns: Iterable[str]) -> bool:
    """Return whether one of the *columns* of an archived file has another name in SQL.

    >>> has_own(["slot", "station_id"]), has_own(["slot", "date"])
    (False, True)
    """
    return any(column != name for column, name in renamed(columns).items())


def csv_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in CSV of columns whose *names* in SQL are given.

    >>> csv_names(["slot", "Slot_own", "date_own", "my_own"])
    ('slot', 'Slot', 'date', 'my_own')
    """
    listed = list(names)
    used = RESERVED.union(map(str.casefold, listed))
    return tuple(_csv_name(name, used) for name in listed)


def _csv_name(name: str, used: frozenset[str]) -> str:
    column = name.removesuffix(SUFFIX)
    return column if column.casefold() in used else name


def columns_of_view(file_columns: Sequence[str]) -> str:
    """Return the columns of the view from a file of rows with *file_columns*."""
    names = renamed(file_columns)
    return ", ".join(
        f"{datasets.OCCUPANCY_SQL} AS {datasets.OCCUPANCY}"
        if column == datasets.OCCUPANCY_DERIVED
        else f"{duckdb_engine.name(column)} AS {duckdb_engine.name(names[column])}"
        for column in file_columns
        if column in names or column == datasets.OCCUPANCY_DERIVED
    )


def shown_columns(dataset: str, names: Sequence[str]) -> str:
    """Return the SQL of the columns that a file with *names* has for its view."""
    hidden = [
        name
        for name in names
        if name in datasets.STATION_DAY and name not in datasets.COLUMNS[dataset]
    ]
    return f"* EXCLUDE ({', '.join(hidden)})" if hidden else "*"
