"""The week as a table of colours: weekdays by hours, with one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bikecollect.core.text import WEEKDAYS, percent

HOURS = 24


@dataclass(frozen=True)
class HourCell:
    """An hour of the week: the strength of its colour, 0 to 1, None without data.

    Of *is_few* hours fewer than half of the slots were seen.
    """

    strength: float | None
    text: str
    is_few: bool = False


@dataclass(frozen=True)
class WeekChart:
    """The share of station slots without a bike (or dock); *top* ends the scale."""

    title: str
    colour: str
    top: str
    days: Sequence[tuple[str, Sequence[HourCell]]]

    @property
    def has_few(self) -> bool:
        """Whether of some hour few slots were seen."""
        return any(cell.is_few for _, cells in self.days for cell in cells)

    @property
    def has_unseen(self) -> bool:
        """Whether of some hour no slot was seen."""
        return any(cell.strength is None for _, cells in self.days for cell in cells)


def chart(
    rows: Sequence[Mapping[str, Any]], column: str, title: str, colour: str, top: float
) -> WeekChart | None:
    """Return the chart of *rows* (the report ``availability``), None without data.

    *column* is the share without a bike or a dock.
    """
    lacking = {row["hour_of_week"]: row for row in rows if row[column] is not None}
    if not lacking:
        return None
    days = [
        (
            weekday,
            [
                _cell(weekday, hour, lacking.get(number * HOURS + hour), column, top)
                for hour in range(HOURS)
            ],
        )
        for number, weekday in enumerate(WEEKDAYS)
    ]
    return WeekChart(title, colour, f"{100 * top:.0f} %", days)


def _cell(
    weekday: str, hour: int, row: Mapping[str, Any] | None, column: str, top: float
) -> HourCell:
    text = f"{weekday} {hour:02}:00: "
    if row is None:
        return HourCell(None, f"{text}-")
    text += percent(row[column])
    is_few = 2 * row["slots_seen"] < row["slots_expected"]
    if is_few:
        text += (
            f", from {percent(row['slots_seen'] / row['slots_expected'])} of the slots"
        )
    return HourCell(min(1.0, row[column] / top), text, is_few)
