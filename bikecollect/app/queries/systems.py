"""The rows of the page of all systems: status, and counts of the newest slot."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import NamedTuple

from bikecollect.core.slots import HOUR, SlotState
from bikecollect.core.snapshot import FLAGS, is_closed
from bikecollect.reports.status import Standing
from bikecollect.reports.status_facts import by_trouble, verdict
from bikecollect.storage.data_folder import STATUS, SystemFolder
from bikecollect.storage.ledger_reader import History

NEWEST = "SELECT file, start, end FROM blocks ORDER BY slot DESC LIMIT 1"
HEADER = 4_096
BOOLEANS = {"true": True, "false": False}


class NewestCounts(NamedTuple):
    """The counts of the newest slot; None if its daily file cannot be read."""

    stations: int | None = None
    bikes: int | None = None
    empty: int | None = None
    full: int | None = None


class SystemRow(NamedTuple):
    """The row of a system; *hours* has the share of each hour's slots with data."""

    system: str
    status: str
    in_trouble: bool
    newest: float | None
    hours: Sequence[float]
    week: float | None
    counts: NewestCounts


def rows_of(
    standings: Iterable[Standing], counts: Mapping[str, NewestCounts]
) -> list[SystemRow]:
    """Return a row for each of *standings*, those in trouble first."""
    return [
        SystemRow(
            system=standing.system_id,
            status=verdict(standing.health, standing.zone).text,
            in_trouble=standing.health.in_trouble,
            newest=standing.health.behind,
            hours=_hours(standing.health.strip),
            week=standing.health.coverage["7d"].ratio,
            counts=counts.get(standing.system_id, NewestCounts()),
        )
        for standing in by_trouble(standings)
    ]


def _hours(strip: Sequence[tuple[int, SlotState]]) -> list[float]:
    """Return the share of each hour's slots that have data, oldest first.

    Hours before the first slot are 0: a chart of hours has a place for each.
    """
    hours: dict[int, list[bool]] = {}
    for slot, state in strip:
        if state is SlotState.DUE:
            continue
        judged = hours.setdefault(slot // HOUR, [])
        if state is not SlotState.BEFORE:
            judged.append(state is not SlotState.MISSING)
    return [sum(judged) / max(1, len(judged)) for judged in hours.values()]


def newest_counts(folder: SystemFolder) -> NewestCounts:
    """Return the counts in the newest block, read only from its daily file.

    Free docks are unknown if no station of that slot has any.
    """
    rows = History(folder.system_id, folder.path).select(NEWEST)
    if not rows:
        return NewestCounts()
    name, start, end = rows[0]
    try:
        with (folder.path / STATUS / name.removeprefix(f"{STATUS}/")).open(
            "rb"
        ) as file:
            header = file.read(HEADER).partition(b"\n")[0].decode()
            file.seek(start)
            text = file.read(end - start).decode()
    except (OSError, UnicodeDecodeError):
        return NewestCounts()
    names = next(csv.reader([header]))
    rows = [
        dict(zip(names, cells, strict=False))
        for cells in csv.reader(StringIO(text))
        if cells != names
    ]
    return _counted(rows)


def _counted(rows: Sequence[Mapping[str, str]]) -> NewestCounts:
    closed = [is_closed([BOOLEANS.get(row.get(f, "")) for f in FLAGS]) for row in rows]
    opened = [row for row, is_shut in zip(rows, closed, strict=True) if not is_shut]
    bikes = [row.get("num_vehicles_available", "") for row in rows]
    docks = [row.get("num_docks_available", "") for row in opened]
    knows_docks = any(cell not in {"", "0"} for cell in docks)
    return NewestCounts(
        stations=len(rows),
        bikes=sum(int(cell) for cell in bikes if cell.isdecimal()),
        empty=sum(row.get("num_vehicles_available") == "0" for row in opened),
        full=docks.count("0") if knows_docks else None,
    )
