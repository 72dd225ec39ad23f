"""Output of `report`, as text, CSV and JSON."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from bikecollect.cli.render.table import table
from bikecollect.cli.render.terminal import title
from bikecollect.core.slots import iso
from bikecollect.core.text import WEEKDAYS, csv_text, length, visible_json
from bikecollect.reports.registry import REPORTS, Report
from bikecollect.reports.runner import Answer

TIMES = frozenset({"first_slot", "last_slot", "since", "until", "last_seen"})
SHOWN = 60
SHORT = {
    "slots_seen": "seen",
    "slots_expected": "expected",
    "share_seen": "seen %",
    "mean_vehicles": "vehicles",
    "mean_docks": "docks",
    "share_with_vehicle": "vehicle %",
    "share_with_dock": "dock %",
    "share_silent": "silent %",
    "share_inactive": "closed %",
    "share": "share %",
    "hour_of_week": "hour",
    "days_seen": "seen",
    "days_expected": "expected",
    "low": "from %",
    "high": "to %",
    "first_slot": "from",
    "last_slot": "last slot",
    "length_s": "length",
    "begin_seen": "begin seen",
    "end_seen": "end seen",
    "station_id": "station",
}
HIDDEN = {
    "availability": {"slots_seen", "slots_expected"},
    "reliability": {"slots_seen", "slots_expected"},
    "episodes": {"slots", "last_slot"},
    "chance": {"with_vehicle", "with_dock"},
}
"""Columns shown only in CSV and JSON, as a table has 80 columns."""


def listing() -> str:
    """Return the list of reports, one line each."""
    width = max(map(len, REPORTS))
    lines = [f"  {name:<{width}}  {report.title}" for name, report in REPORTS.items()]
    return "\n".join([title("Reports"), *lines, ""])


def answer(
    report: Report,
    result: Answer,
    zones: Mapping[str, tzinfo],
    form: str,
    limit: int | None,
) -> str:
    """Return the *result* of *report*; text has 60 rows at most without a *limit*."""
    columns = result.columns
    rows = [_readable(columns, row, zones) for row in result.rows]
    if form == "json":
        records = (dict(zip(columns, row, strict=True)) for row in rows[:limit])
        return "".join(visible_json(record) + "\n" for record in records)
    if form == "csv":
        return csv_text([columns, *rows[:limit]])
    if not rows:
        return (
            f"{report.title}\n\nNo rows: nothing was collected, or nothing matches.\n"
        )
    return _text(report, columns, rows, limit or SHOWN, many=len(zones) > 1)


def _text(
    report: Report,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    limit: int,
    *,
    many: bool,
) -> str:
    hidden = HIDDEN.get(report.name, set()) | {
        "place" if _is_by_system(columns, rows) else "system_id"
    }
    hidden -= {"system_id"} if many else set()
    shown = [n for n, column in enumerate(columns) if column not in hidden]
    cells = [[_cell(columns[n], row[n]) for n in shown] for row in rows[:limit]]
    names = [SHORT.get(columns[n], columns[n]) for n in shown]
    lines = [title(report.title), "", *table(names, cells).splitlines()]
    if len(rows) > limit:
        lines.append(f"... {len(rows) - limit:,} more; see --limit and --format csv")
    return "\n".join([*lines, ""])


def _is_by_system(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether the place of every row is its system."""
    if "place" not in columns:
        return False
    place, system = columns.index("place"), columns.index("system_id")
    return all(row[place] == row[system] for row in rows)


def _cell(column: str, value: Any) -> Any:
    if value is None or column in TIMES:
        return value and str(value)[:16].replace("T", " ")
    if column.startswith("share") or column in {"low", "high"}:
        return round(100 * value, 1)
    if column == "hour_of_week":
        return f"{WEEKDAYS[value // 24]} {value % 24:02}"
    if column == "length_s":
        return length(value)
    if column in {"begin_seen", "end_seen"}:
        return "yes" if value else "no"
    return round(value, 1) if isinstance(value, float) else value


def _readable(
    columns: Sequence[str], row: Sequence[Any], zones: Mapping[str, tzinfo]
) -> list[Any]:
    """Return *row* with times as ISO 8601 and shares rounded to six digits."""
    zone = zones[row[columns.index("system_id")]]
    cells: list[Any] = []
    for name, value in zip(columns, row, strict=True):
        if name in TIMES and value is not None:
            cells.append(iso(value, zone))
        else:
            cells.append(round(value, 6) if isinstance(value, float) else value)
    return cells
