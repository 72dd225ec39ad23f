"""Render the shared pages, which are self-contained."""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect import __version__
from bikecollect.app.basemap import basemap_file
from bikecollect.app.charts import ranking_map
from bikecollect.app.charts.city_scripts import scripts, styles
from bikecollect.app.charts.ranking_map import RankingMaps
from bikecollect.app.charts.scales import top_of
from bikecollect.app.queries.ranking import (
    ORDERS,
    RULE,
    least_basis,
    ranked,
    tied,
    without_order,
)
from bikecollect.app.queries.service import DataService
from bikecollect.app.queries.station_names import display_names
from bikecollect.app.queries.stations import known
from bikecollect.cli.render import coverage_html
from bikecollect.cli.sharing import overview
from bikecollect.cli.sharing.map_data import CityFilm
from bikecollect.cli.sharing.week_chart import chart
from bikecollect.core.text import clock_minute, percent
from bikecollect.core.timeline.zones import DAY
from bikecollect.setup.catalogue.publishers import Publisher

if TYPE_CHECKING:
    from jinja2 import Template

GENERATOR = "bikecollect"
"""The name that marks a page as ours, so that it may be overwritten."""
INDEX, FILM = "index.html", "film.json"
WEEK, RANKINGS, COVERAGE = "week.html", "rankings.html", "coverage.html"
RANKED = 15
RANGE = timedelta(days=28)
COLOURS = {"share_empty": "orange", "share_full": "blue"}
MEASURES = {
    "share_empty": "without a bike",
    "share_full": "without a free dock",
    "share_with_vehicle": "with a bike",
}


class Link(NamedTuple):
    """A link to the page *file*."""

    file: str
    title: str


LINKS = (
    Link(INDEX, "Map"),
    Link(WEEK, "Week"),
    Link(RANKINGS, "Rankings"),
    Link(COVERAGE, "Coverage"),
)


@dataclass(frozen=True)
class PageWriter:
    """Renders the pages of the system *name*; *days* are links to pages of days.

    *front* is the address of the front page of several systems, if there is one;
    *lacking* says what is missing in all figures.
    """

    service: DataService
    name: str
    publisher: Publisher
    days: Sequence[Link] = ()
    front: str = ""
    lacking: str = ""

    def map(self, film: CityFilm, file: str, when: str) -> str:
        """Return the page with the map of *film*; *when* is its heading."""
        return self._page(
            "share_map.html.jinja",
            file,
            f"Map, {when}",
            when=when,
            live=film.live,
            newest=film.newest,
            film=json.dumps({**film.packed(), "basemap": self._basemap()}),
            map_styles=styles(),
            map_scripts=f"{scripts()}\n{_text('sharepage.js')}",
        )

    def week(self, last: date) -> str:
        """Return the page of the week, from the days up to *last*."""
        since, until = self._span(last)
        answer = self.service.ask(self.name, "availability", since, until, by="system")
        rows = answer.records()
        top = top_of(row[column] for row in rows for column in COLOURS)
        bikes = chart(rows, "share_empty", "Stations without a bike", "orange", top)
        docks = chart(rows, "share_full", "Stations without a free dock", "blue", top)
        return self._page(
            "share_week.html.jinja",
            WEEK,
            "Week",
            range=_range(since, until),
            top=f"{100 * top:.0f} %",
            charts=[drawn for drawn in (bikes, docks) if drawn],
            has_docks=docks is not None,
            range_of=range,
            basis=_basis(rows),
        )

    def rankings(self, last: date) -> str:
        """Return the page of rankings, from the days up to *last*."""
        since, until = self._span(last)
        rows = self.service.ask(self.name, "reliability", since, until).records()
        names = display_names(self.service.texts(self.name), english=False)
        maps = self._maps(last)
        rankings = [
            _ranking(title, rows, names, column, maps=maps)
            for title, column in ORDERS.items()
        ]
        return self._page(
            "share_rankings.html.jinja",
            RANKINGS,
            "Rankings",
            range=_range(since, until),
            rule=RULE,
            basis=least_basis(rows),
            map_styles=ranking_map.styles(),
            rankings=rankings,
        )

    def coverage(self, last: date) -> str:
        """Return the page of coverage and gaps, from the days up to *last*."""
        account = self.service.account(self.name, *self._span(last))
        return self._page(
            "share_coverage.html.jinja",
            COVERAGE,
            "Coverage",
            accounts=[replace(account, system_id="Coverage")],
            is_public=True,
        )

    def _maps(self, last: date) -> RankingMaps | None:
        """Return maps of the stations of the newest list, None if it has no places."""
        answer = self.service.ask(self.name, "stations", last - DAY, last + DAY)
        places = {
            station.station_id: (station.lat, station.lon)
            for station in known(answer.rows)
            if station.lat is not None and station.lon is not None
        }
        return RankingMaps(places) if places else None

    def _basemap(self) -> str:
        return basemap_file.packed_of(self.service.settings.data / self.name)

    def _span(self, last: date) -> tuple[date, date]:
        days = self.service.days(self.name)
        first = days[0] if days else last
        return max(first, last - RANGE + DAY), last + DAY

    def _page(self, template: str, file: str, title: str, **values: Any) -> str:
        settings, now = self.service.settings, int(self.service.clock())
        system = settings.system_folder(self.name)
        text: str = _template(template).render(
            generator=f"{GENERATOR} {__version__}",
            version=__version__,
            publisher=self.publisher,
            pages=LINKS,
            days=self.days,
            front=self.front,
            lacking=self.lacking,
            file=file,
            title=title,
            interval=system.interval,
            written=clock_minute(now, system.zone),
            **values,
        )
        return text + "\n"


def systems(service: DataService, names: Sequence[str], linked: Container[str]) -> str:
    """Return the front page of the systems *names*; those *linked* have pages.

    Systems of the same title have their names beside it.
    """
    lines = [overview.overview(service, name) for name in names]
    text: str = _template("share_systems.html.jinja").render(
        generator=f"{GENERATOR} {__version__}",
        version=__version__,
        systems=lines,
        linked=linked,
        titles=[line.publisher.title for line in lines],
        number_of_days=overview.DAYS,
        size=overview.SIZE,
        width=overview.WIDTH,
        legend_colours=overview.legend(),
        written=clock_minute(service.clock(), UTC),
    )
    return text + "\n"


def _template(name: str) -> "Template":
    """Return the template *name*; raises NotInstalled."""
    return coverage_html.templates(__package__).get_template(name)


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _range(since: date, until: date) -> str:
    last = until - DAY
    return f"{since} to {last}" if since < last else f"{since}"


def _basis(rows: Sequence[Mapping[str, Any]]) -> str:
    seen = sum(row["slots_seen"] for row in rows)
    expected = sum(row["slots_expected"] for row in rows)
    share = percent(seen / expected) if expected else "none"
    return (
        f"Basis: {seen:,} of {expected:,} expected station slots were seen ({share}); "
        "missing slots are left out."
    )


def _ranking(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    names: Mapping[str, tuple[str | None, str | None]],
    column: str,
    *,
    maps: RankingMaps | None,
) -> Mapping[str, Any]:
    """Return the first stations of a ranking by *column*."""
    measure, none = MEASURES[column], "No station has enough data."
    stations = ranked(rows, column)
    if stations:
        none = f"None: no ranked station was ever {measure}."
    colour = COLOURS.get(column, "blue")
    lacking = [row for row in stations if row[column]]
    values = [row[column] for row in lacking]
    top = [] if without_order(values, RANKED) else lacking[:RANKED]
    ids = [row["station_id"] for row in top]
    first = []
    for row in top:
        name, area = names.get(row["station_id"], (None, None))
        first.append(
            {
                "name": name or row["station_id"],
                "area": area or "",
                "share": row[column],
                "seen": row["slots_seen"],
                "expected": row["slots_expected"],
            }
        )
    return {
        "title": title,
        "measure": measure,
        "colour": colour,
        "map": maps.svg(ids, f"Map: {title.lower()}", colour) if maps and ids else "",
        "rows": first,
        "none": none if top or not lacking else tied(values, RANKED),
        "tied": tied(values, RANKED) if top else "",
    }
