"""Coverage and gaps as a self-contained, printable HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bikecollect.cli.render.coverage import clock
from bikecollect.core.causes import meaning, public_meaning
from bikecollect.core.errors import NotInstalled
from bikecollect.core.text import WEEKDAYS, percent
from bikecollect.core.timeline.interval import interval_text, lengths
from bikecollect.reports.coverage import (
    COLOURS,
    LEGEND,
    Account,
    Coverage,
    level_number,
)

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "coverage.html.jinja"
CELL = 14
LEFT, TOP = 40, 24
MONTH_ROOM = 3
"""Weeks that the name of a month occupies above the calendar."""
MONTH_WIDTH = 40
MAX_GAPS = 500


@dataclass(frozen=True)
class DaySquare:
    """A square of the calendar; *month* is the label above it, if any."""

    date: str
    count: Coverage
    x: int
    y: int
    month: str


@dataclass(frozen=True)
class Calendar:
    """One square per day, one column per week from Monday; lengths in pixels."""

    days: Sequence[DaySquare]
    width: int
    height: int


def page(accounts: Sequence[Account], footer: str) -> str:
    """Return the page for *accounts*.

    Raises NotInstalled if jinja2, of the extra ``archive``, is not installed.
    """
    template = templates().get_template(TEMPLATE)
    text: str = template.render(accounts=accounts, footer=footer, is_public=False)
    return text + "\n"


@cache
def templates(*packages: str) -> "Environment":
    """Return the HTML templates of *packages* and of this one, with their filters.

    Raises NotInstalled if jinja2 is missing.
    """
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise NotInstalled(
            "HTML pages require jinja2: pip install 'bikecollect[archive]'"
        ) from error
    pages = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(partial(_template, (*packages, __package__))),
    )
    pages.filters |= _filters()
    pages.globals |= {
        "legend": LEGEND,
        "colours": COLOURS,
        "weekdays": WEEKDAYS,
        "most_gaps": MAX_GAPS,
    }
    return pages


def _template(packages: Sequence[str], name: str) -> str | None:
    """Return the text of the template *name* in the first of *packages* with it."""
    paths = (files(package).joinpath(name) for package in packages)
    return next((path.read_text("utf-8") for path in paths if path.is_file()), None)


def _filters() -> Mapping[str, Any]:
    return {
        "calendar": calendar,
        "clock": clock,
        "colour": _colour,
        "length_of": interval_text,
        "lengths_of": lengths,
        "longest": _longest,
        "meaning": meaning,
        "number": "{:,}".format,
        "percent": percent,
        "public_meaning": public_meaning,
        "zip": zip,
    }


def calendar(account: Account) -> Calendar:
    """Return the days of *account* with their positions."""
    days = {date.fromisoformat(day): count for day, count in account.days.items()}
    first = min(days, default=date.min)
    monday = first - timedelta(days=first.weekday()) if days else first
    squares: list[DaySquare] = []
    labelled = -MONTH_ROOM - 1
    for day, count in days.items():
        week, row = divmod((day - monday).days, 7)
        month = ""
        if (day.day == 1 or not squares) and week - labelled > MONTH_ROOM:
            labelled, month = week, day.strftime("%b %Y")
        x, y = LEFT + week * CELL, TOP + row * CELL
        squares.append(DaySquare(day.isoformat(), count, x, y, month))
    width = max((day.x for day in squares), default=0) + CELL
    return Calendar(squares, width + MONTH_WIDTH, TOP + 2 + 7 * CELL)


def _colour(count: Coverage) -> str:
    return "var(--none)" if count.ratio is None else f"var(--c{level_number(count)})"


def _longest(gaps: Sequence[Any]) -> Sequence[Any]:
    """Return the longest of *gaps*, sorted by time."""
    shown = sorted(gaps, key=lambda gap: -gap.slots)[:MAX_GAPS]
    return sorted(shown, key=lambda gap: gap.start)
