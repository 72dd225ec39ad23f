"""Reports: one portable SQL text each, and what it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from string import Template
from typing import Any

STATION, DISTRICT, SYSTEM = "station", "district", "system"


@dataclass(frozen=True)
class Report:
    """A report; *places* are what its figures may be given by, the default first."""

    name: str
    places: tuple[str, ...] = (STATION,)
    needs_moment: bool = False

    @property
    def text(self) -> str:
        """The SQL, with places for values; its first lines say what it answers."""
        return files(__package__).joinpath(f"{self.name}.sql").read_text("utf-8")

    @property
    def title(self) -> str:
        """What it answers, in a line."""
        return self.text.partition("\n")[0].removeprefix("-- ")

    @property
    def notes(self) -> list[str]:
        """The other lines of its head: columns, units, and what it reads."""
        lines = self.text.splitlines()[1:]
        return [each.removeprefix("-- ") for each in lines if each.startswith("--")]


REPORTS: Mapping[str, Report] = {
    each.name: each
    for each in (
        Report("availability", (SYSTEM, DISTRICT, STATION)),
        Report("episodes"),
        Report("reliability"),
        Report("chance", needs_moment=True),
        Report("changes"),
        Report("coverage", (SYSTEM,)),
        Report("snapshot"),
        Report("stations"),
        Report("history"),
        Report("hours"),
        Report("days"),
        Report("typical"),
        Report("scarcity", (SYSTEM, DISTRICT)),
        Report("neighbours"),
    )
}
ROWS = Report("availability_rows", (SYSTEM, DISTRICT, STATION))
"""The twin that proves availability: the same from rows."""


@dataclass(frozen=True)
class Values:
    """What a report is about: days from *since* to before *until*, whole numbers else.

    *interval* is in seconds, *begin* and *end* are epoch seconds; *minute* is of the
    day, *first_hour* the weekday's first of the week, *end_hour* the hour of the week
    behind the last one; *least* is in slots.
    """

    since: date
    until: date
    interval: int
    begin: int = 0
    end: int = 1 << 40
    minute: int = 0
    first_hour: int = 0
    end_hour: int = 168
    least: int = 1

    def sql(self, report: Report) -> str:
        """Return the text of *report*, with these values in their places.

        Days and whole numbers are all that is ever put into a text.
        """
        numbers = {
            name: int(getattr(self, name))
            for name in (
                *("interval", "begin", "end", "minute", "first_hour", "end_hour"),
                "least",
            )
        }
        days = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return Template(report.text).substitute(days, **numbers)


Rows = Sequence[Sequence[Any]]


def wilson(good: int, seen: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a share of which *good* of *seen* is known.

    Wilson's score interval (E. B. Wilson, 1927, J. Am. Stat. Assoc. 22, 209-212):
    it stays between 0 and 1, also for few days.

    >>> [round(each, 3) for each in wilson(9, 10)]
    [0.596, 0.982]
    """
    if not seen:
        return None
    z = 1.959964
    share, square = good / seen, z * z / seen
    middle = (share + square / 2) / (1 + square)
    spread = (share * (1 - share) / seen + square / (4 * seen)) ** 0.5
    half = z / (1 + square) * spread
    return max(0.0, middle - half), min(1.0, middle + half)
