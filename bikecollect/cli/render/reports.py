"""What reports answer, as text, CSV and JSON."""

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
"""What a table of 80 columns leaves to CSV and JSON."""


def listing() -> str:
    """Return the reports, a line each."""
    width = max(map(len, REPORTS))
    lines = [f"  {each.name:<{width}}  {each.title}" for each in REPORTS.values()]
    return "\n".join([title("Reports"), *lines, ""])


def answer(
    report: Report,
    found: Answer,
    zones: Mapping[str, tzinfo],
    form: str,
    limit: int | None,
) -> str:
    """Return what *report* has *found*; text has 60 rows where *limit* is not said."""
    rows = [_readable(found.columns, row, zones) for row in found.rows]
    if form == "json":
        made = (dict(zip(found.columns, row, strict=True)) for row in rows[:limit])
        return "".join(visible_json(each) + "\n" for each in made)
    if form == "csv":
        return csv_text([found.columns, *rows[:limit]])
    if not rows:
        return f"{report.title}\n\nNothing: no slot was seen, or nothing happened.\n"
    return _text(report, found.columns, rows, len(zones) > 1, limit or SHOWN)


def _text(
    report: Report,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    many: bool,  # noqa: FBT001 - whether the system is said
    limit: int,
) -> str:
    hidden = HIDDEN.get(report.name, set()) | {
        "place" if _same(columns, rows) else "system_id"
    }
    hidden -= {"system_id"} if many else set()
    shown = [n for n, each in enumerate(columns) if each not in hidden]
    cells = [[_cell(columns[n], row[n]) for n in shown] for row in rows[:limit]]
    names = [SHORT.get(columns[n], columns[n]) for n in shown]
    lines = [title(report.title), "", *table(names, cells).splitlines()]
    if len(rows) > limit:
        lines.append(f"... {len(rows) - limit:,} more; see --limit and --format csv")
    return "\n".join([*lines, ""])


def _same(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Tell whether every row's place is its system."""
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
    """Return *row* with its times as ISO 8601 and its shares to six places."""
    zone = zones[row[columns.index("system_id")]]
    made: list[Any] = []
    for name, value in zip(columns, row, strict=True):
        if name in TIMES and value is not None:
            made.append(iso(value, zone))
        else:
            made.append(round(value, 6) if isinstance(value, float) else value)
    return made
