"""The reports: a portable SQL text for each, and the values of its placeholders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from string import Template
from typing import Any

from bikecollect.core.snapshot import CLOSED_SQL
from bikecollect.core.timeline.zones import DAY
from bikecollect.reports.parts.fragments import with_parts
from bikecollect.reports.recomputed import from_rows

STATION, DISTRICT, SYSTEM = "station", "district", "system"


@dataclass(frozen=True)
class Report:
    """A report; *places* are the possible groupings of its rows, the default first.

    *may_be_empty* is set if a result without rows is valid, such as "no changes". If
    *slots_per_value* is not 0, an engine holds one value per that number of slots of a
    station in memory, and is given some stations at a time. *is_of_rows* is set if its
    figures, which the ledger has, say that there are rows: these are looked at, too, so
    that damaged ones are reported.
    """

    name: str
    places: tuple[str, ...] = (STATION,)
    needs_moment: bool = False
    may_be_empty: bool = False
    slots_per_value: int = 0
    is_of_rows: bool = False

    @property
    def template(self) -> str:
        """The SQL with placeholders for parts, too."""
        return files(__package__).joinpath(f"{self.name}.sql").read_text("utf-8")

    @property
    def text(self) -> str:
        """The SQL with placeholders for values, below comments that describe it."""
        return with_parts(self.template)

    @property
    def asks_stations(self) -> bool:
        """Whether it reads the table of the stations to report on.

        >>> REPORTS["stations"].asks_stations, REPORTS["coverage"].asks_stations
        (True, False)
        """
        return " asked AS" in self.text

    @property
    def is_of_vehicles(self) -> bool:
        """Whether its rows are of vehicles, which few systems collect."""
        return self.name.startswith("vehicle")

    @property
    def order_of_systems(self) -> list[tuple[str, bool]]:
        """The columns by which rows are sorted before the system; True: descending.

        >>> REPORTS["episodes"].order_of_systems, REPORTS["hours"].order_of_systems
        ([('length_s', True)], [])
        """
        order = self.text.rpartition("ORDER BY ")[2].partition("system_id")[0]
        terms = [term.split() for term in order.split(",") if term.strip()]
        return [(term[0], term[-1] == "DESC") for term in terms]

    @property
    def title(self) -> str:
        """The question that the report answers, in one line."""
        return self.text.partition("\n")[0].removeprefix("-- ")

    @property
    def notes(self) -> list[str]:
        """The other comment lines: columns, units, and the tables that it reads."""
        lines = self.text.splitlines()[1:]
        return [line.removeprefix("-- ") for line in lines if line.startswith("--")]


REPORTS: Mapping[str, Report] = {
    report.name: report
    for report in (
        Report("availability", (SYSTEM, DISTRICT, STATION)),
        Report("episodes", may_be_empty=True),
        Report("reliability"),
        Report("chance", needs_moment=True),
        Report("changes", may_be_empty=True),
        Report("coverage", (SYSTEM,), is_of_rows=True),
        Report("snapshot"),
        Report("stations"),
        Report("history"),
        Report("hours", slots_per_value=12),
        Report("days"),
        Report("typical", slots_per_value=1),
        Report("scarcity", (SYSTEM, DISTRICT)),
        Report("neighbours", may_be_empty=True),
        Report("vehicles", (SYSTEM,)),
        Report("vehicle_grid", (SYSTEM,)),
        Report("vehicle_idle", (SYSTEM,)),
        Report("vehicle_ids", (SYSTEM,)),
    )
}


@dataclass(frozen=True)
class Values:
    """The values of a report's placeholders; days from *since* to before *until*.

    *interval* is in seconds; *begin* and *end* are epoch seconds, and *spans* those of
    systems in other time zones; *minute* is a minute of the day; *first_hour* and
    *end_hour* (exclusive) are hours of the week; *least* is a number of slots. If
    *rows*, summaries are computed from the rows, not read (slower, same result);
    *without_stale* implies that, and skips stale slots.
    *without* is a day that `typical` skips.
    """

    since: date
    until: date
    interval: int
    begin: int = 0
    end: int = 1 << 40
    spans: tuple[tuple[str, int, int], ...] = ()
    minute: int = 0
    first_hour: int = 0
    end_hour: int = 168
    least: int = 1
    rows: bool = False
    without_stale: bool = False
    without: date = date.min

    def sql(self, report: Report) -> str:
        """Return the SQL of *report* with these values filled in."""
        return self.fill(report.text)

    def fill(self, text: str) -> str:
        """Return the SQL *text* with these values in place of its placeholders.

        Only dates, integers, ids of systems and the rule for closed stations are
        inserted.
        """
        numbers = {name: int(getattr(self, name)) for name in NUMBERS}
        bounds = {
            "begin_of_v": self._of_system(self.begin, 1),
            "end_of_v": self._of_system(self.end, 2),
        }
        days = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        more = {"eve": self._eve.isoformat(), "without": self.without.isoformat()}
        text = Template(text).safe_substitute(closed=CLOSED_SQL)
        text = Template(text).substitute(days, **more, **numbers, **bounds)
        if not self.rows and not self.without_stale:
            return text
        return from_rows(
            text,
            since=more["eve"],
            until=days["until"],
            interval=int(self.interval),
            without_stale=self.without_stale,
        )

    def _of_system(self, usual: int, place: int) -> str:
        """Return in SQL *usual*, or what `spans` has at *place* for the system of v."""
        others = [(span[0], int(span[place])) for span in self.spans]
        cases = [
            f"WHEN '{name}' THEN {bound}" for name, bound in others if bound != usual
        ]
        if not cases:
            return str(int(usual))
        return f"CASE v.system_id {' '.join(cases)} ELSE {int(usual)} END"

    @property
    def _eve(self) -> date:
        """The day before the range."""
        return max(self.since, date.min + DAY) - DAY


NUMBERS = ("interval", "begin", "end", "minute", "first_hour", "end_hour", "least")
Rows = Sequence[Sequence[Any]]


def wilson(good: int, seen: int) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the share *good* / *seen*.

    This is Wilson's score interval (E. B. Wilson, 1927, J. Am. Stat. Assoc. 22,
    209-212), which is within 0 and 1 even for few days.

    >>> [round(bound, 3) for bound in wilson(9, 10)]
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
