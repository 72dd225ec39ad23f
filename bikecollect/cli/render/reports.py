"""Output of `report`: text for people, CSV and JSON for programs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from bikecollect.cli.render.table import fitted
from bikecollect.cli.render.terminal import terminal_columns, title, wrapped
from bikecollect.core.slots import iso
from bikecollect.core.text import WEEKDAYS, csv_text, length, visible_json
from bikecollect.reports.data_dictionary import SECONDS
from bikecollect.reports.registry import REPORTS, Report
from bikecollect.reports.runner import Answer

TIMES = SECONDS | {"since", "until", "last_seen"}
"""Columns that are epoch seconds in SQL: ISO 8601 in CSV and JSON, local in text."""
SHOWN = 60
SHORT = {
    "slots_seen": "seen",
    "slots_expected": "expected",
    "share_seen": "seen %",
    "mean_vehicles": "vehicles",
    "mean_docks": "docks",
    "mean_free": "free",
    "mean_hours": "hours",
    "longest_hours": "longest",
    "share_with_vehicle": "vehicle %",
    "share_with_dock": "dock %",
    "share_silent": "silent %",
    "share_inactive": "closed %",
    "share_survived": "survived %",
    "share_closed": "closed %",
    "slots_stale": "stale",
    "days_stale": "stale",
    "days_closed": "closed",
    "share": "share %",
    "num_vehicles_available": "vehicles",
    "num_docks_available": "docks",
    "current_range_meters": "range m",
    "current_fuel_percent": "fuel %",
    "hour_of_week": "hour",
    "minute_of_day": "time",
    "minute": "time",
    "days_seen": "seen",
    "days_expected": "expected",
    "low": "95 % interval",
    "first_slot": "from",
    "last_slot": "last slot",
    "last_reported": "reported",
    "length_s": "length",
    "begin_seen": "begin seen",
    "end_seen": "end seen",
    "is_installed": "installed",
    "is_renting": "renting",
    "is_returning": "returning",
    "is_reserved": "reserved",
    "is_disabled": "disabled",
    "min_vehicles": "least",
    "max_vehicles": "most",
    "low_vehicles": "vehicles 25 %",
    "mid_vehicles": "50 %",
    "high_vehicles": "75 %",
    "low_docks": "docks 25 %",
    "mid_docks": "50 %",
    "high_docks": "75 %",
    "empty_stations": "empty",
    "full_stations": "full",
    "closed_stations": "closed",
    "capacity_max": "capacity",
    "neighbour_name": "its name",
    "station_id": "station",
    "system_id": "system",
}
HIDDEN = {
    "availability": {"slots_seen", "slots_expected"},
    "reliability": {"slots_seen", "slots_expected"},
    "episodes": {"slots", "last_slot"},
    "chance": {"with_vehicle", "with_dock"},
    "snapshot": {"region", "lat", "lon", "is_installed", "is_returning", "state"},
    "history": {"minute_of_day", "capacity", "is_installed", "is_returning"},
    "hours": {"mean_capacity", "day_slots", "day_closed"},
    "days": {"day_slots", "day_closed", "capacity_min"},
    "typical": {"slots_seen", "slots_expected", "mean_vehicles"},
    "vehicles": {"station_id"},
}
"""Columns shown only in CSV and JSON, as a table has 80 columns."""
ORDER = {
    "reliability": "least reliable first",
    "episodes": "longest first",
    "changes": "oldest first",
}
NOTES = {
    "share_seen": "seen %: slots with data, of those expected",
    "slots_seen": "seen, expected: slots with data, and slots that there should be",
    "days_seen": "seen, expected: such days with data, and all such days",
    "mean_vehicles": "vehicles, docks: the mean of the slots with data",
    "share_with_vehicle": "vehicle %, dock %: share of slots, open, with at least one",
    "share_silent": "silent %: rows last reported over an hour before the slot",
    "share_inactive": "closed %: rows not installed, or neither renting nor returning",
    "low": "95 % interval: of vehicle %, which rests on the few days that were seen",
    "begin_seen": "begin seen, end seen: with a no the episode may have been longer",
    "mid_vehicles": "25 %, 50 %, 75 %: quartiles over the days",
    "metres": "metres: straight-line distance",
    "capacity": "capacity: docks of the station",
    "share_survived": "survived %: ids of a slot that are in the next slot, too",
}
"""Meaning of what text shows of a column, where its name does not tell."""
FLAGS = frozenset({"begin_seen", "end_seen"})
LOCAL = frozenset({"hour_of_week", "hour", "minute", "minute_of_day"})
IF_ANY = frozenset({"share_closed", "slots_stale", "days_stale", "days_closed"})
ORDINARY = frozenset({0, None})
"""Columns that text has only if one of their values is not of these."""


def listing() -> str:
    """Return the list of reports, one line each."""
    size = max(map(len, REPORTS))
    lines = [title("Reports")]
    for name, report in REPORTS.items():
        lines += wrapped(report.title, f"  {name:<{size}}  ", " " * (size + 4))
    return "\n".join([*lines, ""])


def answer(
    report: Report,
    result: Answer,
    zones: Mapping[str, tzinfo],
    form: str,
    limit: int | None,
) -> str:
    """Return the *result* of *report*; text has 60 rows at most without a *limit*."""
    columns = result.columns
    if form == "text":
        return _text(report, columns, result.rows, limit or SHOWN, zones)
    rows = [_machine_row(columns, row, zones) for row in result.rows[:limit]]
    if form == "json":
        records = (dict(zip(columns, row, strict=True)) for row in rows)
        return "".join(visible_json(record) + "\n" for record in records)
    return csv_text([columns, *([_csv_cell(cell) for cell in row] for row in rows)])


def _csv_cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _machine_row(
    columns: Sequence[str], row: Sequence[Any], zones: Mapping[str, tzinfo]
) -> list[Any]:
    """Return *row* with times as ISO 8601 and floats rounded to six digits."""
    zone = zones[row[columns.index("system_id")]]
    cells: list[Any] = []
    for name, value in zip(columns, row, strict=True):
        if name in TIMES and value is not None:
            cells.append(iso(value, zone))
        else:
            cells.append(round(value, 6) if isinstance(value, float) else value)
    return cells


def _text(
    report: Report,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    limit: int,
    zones: Mapping[str, tzinfo],
) -> str:
    order = f": {ORDER[report.name]}." if report.name in ORDER else ""
    heading = f"{report.title.rstrip('.')}{order}" if order else report.title
    lines = [*map(title, wrapped(heading)), ""]
    if not rows:
        return "\n".join([*lines, "No rows: nothing matches.", ""])
    shown = _shown(report, columns, rows, many=len(zones) > 1)
    if "slot" in columns and len(slots := _slots(columns, rows, zones)) == 1:
        shown = [n for n in shown if columns[n] != "slot"]
        lines[-1:] = [f"Slot {slots.pop()}", ""]
    names = [SHORT.get(columns[n], columns[n]) for n in shown]
    cells = [_cells(columns, row, shown, zones) for row in rows[:limit]]
    shorten = ("name", "its name", "region", "address")
    screen = fitted(names, cells, terminal_columns(), shorten=shorten)
    lines += screen.splitlines()
    if len(rows) > limit:
        lines.append(f"... {len(rows) - limit:,} more; see --limit and --format csv")
    return "\n".join([*lines, "", *_notes([columns[n] for n in shown], zones), ""])


def _notes(columns: Sequence[str], zones: Mapping[str, tzinfo]) -> list[str]:
    """Return the meaning of *columns*, and the zone of their times."""
    texts = [text for column, text in NOTES.items() if column in columns]
    if (TIMES | LOCAL).intersection(columns):
        texts.append(f"times: {', '.join(sorted({str(z) for z in zones.values()}))}")
    return [line for text in texts for line in wrapped(text, "  ", "    ")]


def _shown(
    report: Report,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    many: bool,
) -> list[int]:
    """Return the numbers of the columns that text has."""
    hidden = HIDDEN.get(report.name, set()) | {"high"}
    hidden |= {"place" if _is_by_system(columns, rows) else "system_id"}
    hidden -= {"system_id"} if many else set()
    for n, column in enumerate(columns):
        values = {row[n] for row in rows} if column in IF_ANY else {""}
        hidden |= {column} if values <= ORDINARY else set()
    return [n for n, column in enumerate(columns) if column not in hidden]


def _slots(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], zones: Mapping[str, tzinfo]
) -> set[str]:
    """Return the slots of *rows*, as text has them."""
    pairs = {(r[columns.index("slot")], r[columns.index("system_id")]) for r in rows}
    return {_minute(slot, zones[name]) for slot, name in pairs}


def _minute(moment: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}"


def _is_by_system(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether the place of every row is its system."""
    if "place" not in columns:
        return False
    place, system = columns.index("place"), columns.index("system_id")
    return all(row[place] == row[system] for row in rows)


def _cells(
    columns: Sequence[str],
    row: Sequence[Any],
    shown: Sequence[int],
    zones: Mapping[str, tzinfo],
) -> list[Any]:
    values = dict(zip(columns, row, strict=True))
    zone = zones[values["system_id"]]
    return [_cell(columns[n], values, zone) for n in shown]


def _cell(column: str, row: Mapping[str, Any], zone: tzinfo) -> Any:
    """Return the value of *column* in *row* as a person reads it."""
    value = row[column]
    if value is None:
        return None
    if column in TIMES:
        return _minute(value, zone)
    if column == "low":
        return f"{100 * value:.1f} to {100 * row['high']:.1f} %"
    if (words := WORDS.get(column)) is not None:
        return words(value)
    if column in FLAGS or isinstance(value, bool):
        return "yes" if value else "no"
    return round(value, 1) if isinstance(value, float) else value


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _degrees(value: float) -> str:
    return f"{value:.6f}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _hour_of_week(hour: int) -> str:
    return f"{WEEKDAYS[hour // 24]} {_clock(hour % 24 * 60)}"


WORDS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys((name for name in SHORT if name.startswith("share")), _percent),
    "current_fuel_percent": _percent,
    "hour_of_week": _hour_of_week,
    "weekday": WEEKDAYS.__getitem__,
    "hour": lambda hour: _clock(hour * 60),
    "minute": _clock,
    "minute_of_day": _clock,
    "length_s": length,
    "lat": _degrees,
    "lon": _degrees,
}
"""What a person reads of a column's value, by its name."""
