"""The front page of several shared systems: place, coverage, newest data of each."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from bikecollect.app.queries.service import DataService
from bikecollect.app.queries.systems import NewestCounts, newest_counts
from bikecollect.core.errors import BikecollectError
from bikecollect.core.text import local_minute, percent
from bikecollect.reports.coverage import COLOURS, LEGEND, level_number
from bikecollect.setup.catalogue import builtin
from bikecollect.setup.catalogue.publishers import Publisher, publisher_in
from bikecollect.storage.ledger_reader import History

DAYS = 28
SIZE, STEP = 8, 9
"""The size of a day's square, and the distance to the next one, in pixels."""
WIDTH = STEP * DAYS
"""The width of all squares: a system's last day is below that of the others."""


@dataclass(frozen=True)
class DayMark:
    """A day of a system, *x* pixels from the left; *text* is its coverage."""

    x: int
    colour: str
    text: str


@dataclass(frozen=True)
class SystemOverview:
    """The line of a system, whose pages are in the folder *name*.

    *newest* is the local time of its newest slot with its offset, empty if there is
    none or it cannot be read.
    """

    name: str
    publisher: Publisher
    where: str
    newest: str = ""
    coverage: str = "-"
    days: Sequence[DayMark] = ()
    counts: NewestCounts = NewestCounts()


def overview(service: DataService, name: str) -> SystemOverview:
    """Return the line of the system *name*; what cannot be read is left out."""
    publisher = publisher_in(service.settings, name)
    system = service.settings.system_folder(name)
    entry = builtin.find(name)
    where = f"{entry.city}, {entry.country}" if entry else f"time zone {system.zone}"
    line = SystemOverview(
        name, publisher, "a simulated city" if publisher.is_simulated else where
    )
    with suppress(BikecollectError):
        days, newest = service.days(name), History(name, system.path).newest_block()
        if days is None or newest is None:
            return line
        last = service.last_day(name, days[1])
        since = max(days[0], last - timedelta(days=DAYS - 1))
        account = service.account(name, since, last + timedelta(days=1))
        marks = [
            DayMark(
                STEP * (DAYS - len(account.days) + place),
                COLOURS[level_number(count)],
                f"{day}: {percent(count.ratio)}",
            )
            for place, (day, count) in enumerate(account.days.items())
        ]
        return SystemOverview(
            name,
            publisher,
            line.where,
            local_minute(newest, system.zone, system.interval),
            percent(account.total.ratio),
            marks,
            newest_counts(system),
        )
    return line


def legend() -> Sequence[tuple[str, str]]:
    """Return the colour and the label of each level of coverage."""
    return list(zip(COLOURS, LEGEND, strict=True))
