"""The output of `report`: text for people, CSV and JSON for programs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from itertools import islice
from sys import maxsize
from typing import Any

from bikecollect.cli.render.table import FittedTable, fitted, shortened
from bikecollect.cli.render.terminal import columns as columns_of_text
from bikecollect.cli.render.terminal import terminal_columns, title, wrapped
from bikecollect.cli.reporting.text_columns import (
    COMMON,
    CUT,
    FLAGS,
    GROUPED,
    HIDDEN,
    IF_ANY,
    LOCAL,
    NARROWER,
    NOTES,
    ORDER,
    SHORT,
    narrower_in,
    spare_in,
)
from bikecollect.core.slots import MINUTE, iso
from bikecollect.core.text import (
    WEEKDAYS,
    clock_minute,
    csv_text,
    length,
    visible,
    visible_json,
)
from bikecollect.core.timeline.zones import named
from bikecollect.reports.data_dictionary import SECONDS
from bikecollect.reports.registry import REPORTS, Report
from bikecollect.reports.runner import BatchedAnswer

MOMENTS = frozenset({"fetched_at", "last_reported", "last_updated"})
"""Times that are no slots: shown to the minute."""
TIMES = SECONDS | {"since", "until", "last_seen"}
"""Columns that are epoch seconds in SQL: ISO 8601 in CSV and JSON, local in text."""
SHOWN = 60
ORDINARY = frozenset({0, None})
"""Ordinary values: columns with no other value are not shown in text."""
SEVERAL = 2


def listing() -> str:
    """Return the list of reports, one line each."""
    size = max(map(len, REPORTS))
    lines = [title("Reports")]
    for name, report in REPORTS.items():
        lines += wrapped(report.title, f"  {name:<{size}}  ", " " * (size + 4))
    return "\n".join([*lines, ""])


def json_listing() -> str:
    """Return the list of reports, an object per line."""
    listed = ({"name": r.name, "title": r.title} for r in REPORTS.values())
    return "".join(f"{visible_json(entry)}\n" for entry in listed)


LISTED_KEYS: Mapping[str, tuple[str, ...]] = {
    "name": ("text", "the report's name"),
    "title": ("text", "what it says"),
}
"""The keys of `json_listing`, see `run_lines.RUN_KEYS`."""


def answer(
    report: Report,
    result: BatchedAnswer,
    zones: Mapping[str, tzinfo],
    form: str,
    limit: int | None,
) -> Iterator[str]:
    """Yield the *result* of *report* in parts.

    Text is one part, and has at most 60 rows if there is no *limit*.
    """
    columns, batches = result
    if form == "text":
        yield _text(report, _Overview.of(result, limit or SHOWN, zones), zones)
        return
    if form == "csv":
        yield csv_text([columns])
    left = maxsize if limit is None else limit
    for rows in batches:
        batch = machine_rows(columns, rows[:left], zones)
        left -= len(batch)
        if form == "json":
            records = (dict(zip(columns, row, strict=True)) for row in batch)
            yield "".join(visible_json(record) + "\n" for record in records)
        else:
            yield csv_text(_csv_cells(batch))


@dataclass
class _Overview:
    """The part of a result that text shows: the first *rows*, and facts about all.

    *common* has the values of `COMMON` that are the same in all rows. *unusual* are the
    columns of `IF_ANY` with a value that is not ordinary; *slots* has no slot, the only
    one, or two of several.
    """

    columns: Sequence[str]
    rows: list[Sequence[Any]]
    count: int
    common: dict[str, Any]
    unusual: set[str]
    is_by_system: bool
    slots: set[str]

    @classmethod
    def of(
        cls, result: BatchedAnswer, limit: int, zones: Mapping[str, tzinfo]
    ) -> "_Overview":
        """Return the overview of *result*, with its first *limit* rows."""
        columns, batches = result
        overview = cls(columns, [], 0, {}, set(), "place" in columns, set())
        for rows in batches:
            overview.rows += rows[: max(0, limit - overview.count)]
            overview._add(rows, zones)
        return overview

    def _add(self, rows: Sequence[Sequence[Any]], zones: Mapping[str, tzinfo]) -> None:
        columns = self.columns
        if rows and not self.count:
            first = dict(zip(columns, rows[0], strict=True))
            self.common = {name: first[name] for name in COMMON if first.get(name)}
        self.count += len(rows)
        for name, value in list(self.common.items()):
            n = columns.index(name)
            if any(row[n] != value for row in rows):
                del self.common[name]
        for n, column in enumerate(columns):
            if column in IF_ANY and not {row[n] for row in rows} <= ORDINARY:
                self.unusual.add(column)
        if self.is_by_system:
            place, system = columns.index("place"), columns.index("system_id")
            self.is_by_system = all(row[place] == row[system] for row in rows)
        if "slot" in columns and len(self.slots) < SEVERAL:
            self.slots.update(islice(sorted(_slots(columns, rows, zones)), SEVERAL))


def _csv_cells(rows: Sequence[list[Any]]) -> Iterator[list[Any]]:
    """Yield *rows* with booleans as true and false."""
    texts = {True: "true", False: "false"}
    for row in rows:
        yield [texts[cell] if isinstance(cell, bool) else cell for cell in row]


def machine_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    zones: Mapping[str, tzinfo],
    time_of: Callable[[float, tzinfo], object] = iso,
) -> list[list[Any]]:
    """Return *rows* with floats rounded to six digits.

    *time_of* converts times, given the system's zone.
    """
    system = columns.index("system_id")
    times = [n for n, name in enumerate(columns) if name in TIMES]
    machine_rows = []
    for row in rows:
        cells = [round(cell, 6) if type(cell) is float else cell for cell in row]
        for n in times:
            if row[n] is not None:
                cells[n] = time_of(row[n], zones[row[system]])
        machine_rows.append(cells)
    return machine_rows


def _text(report: Report, overview: _Overview, zones: Mapping[str, tzinfo]) -> str:
    columns, rows = overview.columns, overview.rows
    order = f": {ORDER[report.name]}." if report.name in ORDER else ""
    heading = f"{report.title.rstrip('.')}{order}" if order else report.title
    lines = [*map(title, wrapped(heading)), ""]
    if not rows:
        return "\n".join([*lines, "No rows: nothing matches.", ""])
    shown = _shown(report, overview, many=len(zones) > 1)
    if common := _common(overview, [columns[n] for n in shown]):
        shown = [n for n in shown if columns[n] not in common]
        # Each in a line of its own that is not wrapped: a name could forge another.
        most = columns_of_text() - 1
        texts = (f"{SHORT.get(n, n)} {text}" for n, text in common.items())
        lines[-1:] = [shortened(f"{t[0].upper()}{t[1:]}", most) for t in texts] + [""]
    names = [SHORT.get(columns[n], columns[n]) for n in shown]
    cells = [_cells(columns, row, shown, zones) for row in rows]
    screen = _fitted(report, names, cells)
    lines[-1:] = [*_beginnings(screen), "", *screen.text.splitlines()]
    if screen.left_out:
        left_out = ", ".join(screen.left_out)
        lines += wrapped(f"No room for: {left_out}; see --format csv")
        shown = [
            n
            for n, name in zip(shown, names, strict=True)
            if name not in screen.left_out
        ]
    if overview.count > len(rows):
        more = f"{overview.count - len(rows):,} more"
        lines.append(f"... {more}; see --limit and --format csv")
    if notes := _notes([columns[n] for n in shown], zones):
        lines += ["", *notes]
    return "\n".join([*lines, ""])


def _fitted(
    report: Report, names: Sequence[str], cells: Sequence[Sequence[Any]]
) -> FittedTable:
    """Return the table for the terminal; if possible, what it is for is not cut."""
    spare = (*_empty(names, cells), *spare_in(report.name))
    fit = partial(fitted, names, cells, terminal_columns(), cut=CUT, spare=spare)
    screen = fit(shorten=narrower_in(report.name))
    return fit(shorten=NARROWER) if screen.is_per_value else screen


def _common(overview: _Overview, shown: Sequence[str]) -> dict[str, str]:
    """Return the columns of *shown* that are the same in all rows, with their value."""
    common = {
        name: visible(str(value))
        for name, value in overview.common.items()
        if name in shown
    }
    if len(overview.slots) == 1 and "slot" in shown:
        common["slot"] = min(overview.slots)
    return common


def _empty(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> set[str]:
    """Return those of *names* whose cells are all empty, but none that is grouped."""
    texts = {
        name
        for row in rows
        for name, cell in zip(names, row, strict=True)
        if cell not in {None, ""}
    }
    return set(names) - texts - GROUPED


def _beginnings(screen: FittedTable) -> list[str]:
    """Return a line for each beginning that was cut, not wrapped like `_common`."""
    most = columns_of_text() - 1
    texts = {
        f'Each {column.removeprefix("its ")} below begins with "{beginning}"': None
        for column, beginning in screen.beginnings.items()
    }
    return [shortened(text, most) for text in texts]


def _notes(columns: Sequence[str], zones: Mapping[str, tzinfo]) -> list[str]:
    """Return the meaning of *columns*, and the zone of their times."""
    texts: list[str] = []
    explained: set[str] = set()
    for group, text in NOTES.items():
        if explained.isdisjoint(group) and {*group} <= {*columns}:
            explained.update(group)
            texts.append(text)
    if (TIMES | LOCAL).intersection(columns):
        texts.append(f"times: {', '.join(sorted({named(z) for z in zones.values()}))}")
    return [line for text in texts for line in wrapped(text, "  ", "    ")]


def _shown(report: Report, overview: _Overview, *, many: bool) -> list[int]:
    """Return the indexes of the columns that text shows."""
    hidden = HIDDEN.get(report.name, set()) | {"high"} | (IF_ANY - overview.unusual)
    hidden |= {"place" if overview.is_by_system else "system_id"}
    hidden -= {"system_id"} if many else set()
    return [n for n, column in enumerate(overview.columns) if column not in hidden]


def _slots(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], zones: Mapping[str, tzinfo]
) -> set[str]:
    """Return the slots of *rows*, as shown in text."""
    pairs = {(r[columns.index("slot")], r[columns.index("system_id")]) for r in rows}
    # A slot that is not whole minutes is shown to the second, as its interval is.
    return {clock_minute(slot, zones[name], slot) for slot, name in pairs}


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
    """Return the value of *column* in *row* for people."""
    value = row[column]
    if value is None:
        return None
    if column in TIMES:
        return clock_minute(value, zone, MINUTE if column in MOMENTS else value)
    if column == "low":
        return f"{100 * value:.1f} to {100 * row['high']:.1f} %"
    if (words := WORDS.get(column)) is not None:
        return words(value)
    if column in FLAGS or isinstance(value, bool):
        return "yes" if value else "no"
    return round(value, 1) if isinstance(value, float) else value


def _percent(share: float) -> float:
    """Return *share* in per cent; only an exact 1 becomes 100, only an exact 0 zero.

    >>> [_percent(share) for share in (1, 0.99996, 0.1234, 0.0002, 0)]
    [100, 99.9, 12.3, 0.02, 0.0]
    """
    rounded = round(100 * share, 1)
    shown = min(rounded, 99.9) if share < 1 else rounded
    return shown or float(f"{100 * share:.1g}")


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
"""Functions that format values for people, by column."""
