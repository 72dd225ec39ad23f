"""Every report has the figures of a true history, recomputed in plain Python."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import oracle
import pytest
from publisher import Publisher, publishing
from served import Answer
from true_history import Moment, Place, Row, Truth, Vehicle
from vehicles import publish, vehicle

from bikecollect.archive.query import views
from bikecollect.core.process import Times
from bikecollect.reports import station_coverage
from bikecollect.reports.evidence import read_account
from bikecollect.reports.registry import REPORTS, Values
from bikecollect.reports.runner import Duck, ask
from bikecollect.wiring import history
from bikecollect.wiring.collection import collect

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

pytest.importorskip("duckdb")
BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = int(datetime(2026, 10, 24, 6, tzinfo=BERLIN).timestamp())
EMPTY = 20
"""The hour since the beginning at which no vehicle stands anywhere."""
QUICK, HOURS = 46, 50
"""Hours since the beginning: slots of 30 minutes, the end. The Sunday between has 25
hours."""
SLOW, HALF = [12, 13, 14, *range(18, 25)], [15 + n / 2 for n in range(6)]
"""Hours since the beginning of the slots of a fleet, with an hour, and with half."""
COLUMNS = {
    "stations": "list",
    "station_id": "id",
    "num_vehicles_available": "bikes",
    "num_docks_available": "docks",
    "capacity": "size",
    "is_installed": "there",
    "is_renting": "rents",
    "is_returning": "takes",
    "last_reported": "at",
    "name": "name",
    "lat": "lat",
    "lon": "lon",
    "region": "region",
    "last_updated": "updated",
}
PATH = "/city.json"
VALUES = Values(
    since=date(2000, 1, 1),
    until=date(2100, 1, 1),
    interval=1_800,
)
EXPORTED = """
SELECT slot, station_id, num_vehicles_available AS vehicles,
    num_docks_available AS docks, capacity,
    (is_installed, is_renting, is_returning) AS flags, last_reported AS reported
FROM station_status ORDER BY slot, station_id
"""
LONGEST_GAPS = """
SELECT CAST(date AS VARCHAR) AS date, station_id, longest_gap_s FROM coverage
ORDER BY date, station_id
"""
Told = dict[str, list[dict[str, Any]]]
SUNDAY = replace(VALUES, first_hour=144, minute=150)
PLACES = {
    "alone": Place("Alone", 52.60, 13.40, 20, "North"),
    "closes": Place("Closes", 52.502, 13.402, 9, "South"),
    "full": Place("Full", 52.503, 13.403, 6, "South"),
    "late": Place("Late", 52.501, 13.401, 8, "North"),
    "left": Place("Left", 52.5005, 13.40, 5, None),
    "moves": Place("Moves", 52.50, 13.40, 12, "North"),
    "odd": Place("Odd", 52.504, 13.404, 0, None),
}

EVENTS: Mapping[float, str] = {
    **dict.fromkeys((5, 6, 31), "http-503"),
    **dict.fromkeys((9, 10), "host-off"),
    **dict.fromkeys((12, 44, 46.5), "not-started"),
    **dict.fromkeys((15, 16, 47), "stale"),
    25: "rejected: shape",
}
"""What happens at some hours of the history."""


@dataclass
class Play:
    """Collects a history of *city* into *truth*, slot by slot."""

    city: Publisher
    truth: Truth
    booted: float = BEGIN - 900_000

    def run(self, slot: int) -> None:
        """Run the collector at the beginning of *slot*."""
        clock = self.city.clock
        clock.now = slot + 2
        uptime = partial(lambda: clock.now - self.booted)
        collect(
            self.city.settings,
            clock=clock,
            stop=clock,
            monotonic=clock,
            uptime=uptime,
            awake=uptime,
        )

    @contextmanager
    def views(self) -> Iterator["DuckDBPyConnection"]:
        """Yield DuckDB with the views of the history."""
        shown = history.shown(self.city.settings, "city", self.city.clock)
        with views.connected(self.city.folder, [shown]) as db:
            yield db

    def compact(self) -> None:
        """Archive all closed days; no CSV of them remains."""
        clock = self.city.clock
        times = Times(clock, clock, clock, clock, clock)
        for make in (history.compactor, history.vehicle_compactor):
            made = make(self.city.settings, "city", times, csv_days=0)
            days = {step.day for step in made.run()} if made else set()
            assert "2026-10-24" in days or not made


def places_at(hour: float) -> dict[str, Place]:
    """Return the stations that are listed at *hour*."""
    places = dict(PLACES)
    if hour < 8:
        del places["late"]
    if hour >= 18:
        del places["left"]
    if 21 <= hour < 23:
        del places["full"]
    if hour >= 26:
        places["moves"] = Place("Moves", 52.5007, 13.40, 14, "North")
    if hour >= 40:
        places["odd"] = Place("Other", 52.51, 13.41, 0, None)
    return places


def row_at(
    chance: Random, number: int, name: str, slot: int, capacity: int | None
) -> Row:
    """Return what *name* has in slot *number*."""
    bikes = chance.choice([None, 0, 0, 1, 2, 30])
    docks = chance.choice([None, 0, 1, 4]) if name != "full" else 0
    is_open = name != "closes" or number % 5 > 1
    reported = slot - (30 if name != "alone" else chance.choice([60, 7_200]))
    at = None if name == "odd" else reported
    return Row(bikes, docks, capacity, (number % 9 > 0, is_open, is_open), at)


def document(moment: Moment) -> dict[str, Any]:
    """Return what the feed publishes in the slot of *moment*."""
    return {
        "updated": moment.slot,
        "list": [
            {
                "id": name,
                "bikes": row.vehicles,
                "docks": row.docks,
                "size": row.capacity,
                "at": row.reported,
                **dict(zip(("there", "rents", "takes"), row.flags, strict=True)),
                **moment.places[name]._asdict(),
            }
            for name, row in moment.rows.items()
        ],
    }


def collected(play: Play) -> Play:
    """Play the whole history of stations."""
    chance, city, moments = Random(1), play.city, play.truth.moments
    for number in range(QUICK + 2 * (HOURS - QUICK)):
        hour = number if number < QUICK else QUICK + (number - QUICK) / 2
        slot, event = BEGIN + int(hour * 3_600), EVENTS.get(hour, "")
        city.interval = 3_600 if hour < QUICK else 1_800
        moment = Moment(slot, city.interval, event)
        if event == "stale":
            before = play.truth.collected[-1]
            moment = replace(before, slot=slot, seconds=city.interval, is_stale=True)
        elif not event:
            moment.places = places_at(hour)
            moment.rows = {
                name: row_at(chance, number, name, slot, place.capacity)
                for name, place in moment.places.items()
            }
            city.documents[PATH] = document(moment)
        moments.append(moment)
        if event == "host-off":
            play.booted = slot + 3_000
        if event not in {"host-off", "not-started"}:
            kept = city.documents[PATH]
            if event.startswith(("http", "rejected")):
                broken = Answer(b"{}", 503 if event.startswith("http") else 200)
                city.documents[PATH] = broken
            play.run(slot)
            city.documents[PATH] = kept
    city.clock.now = slot + 1_800
    return play


@pytest.fixture(scope="module")
def stations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Yield the played history of stations."""
    folder = tmp_path_factory.mktemp("stations")
    with publishing(
        folder,
        interval=3_600,
        path=PATH,
        feed="mapped",
        mapping=COLUMNS,
        timezone="Europe/Berlin",
    ) as city:
        yield collected(Play(city, Truth(BERLIN)))


def standing(chance: Random, hour: float) -> Iterator[tuple[str, Vehicle]]:
    """Yield the vehicles that stand at *hour*, by id: some get another after a ride."""
    for number in range(12):
        rides, parked = divmod(int(hour * 2 + number), 7)
        if parked:
            name = f"v{number}" if number % 3 else f"v{number}-{rides}"
            lat = round(52.5 + number / 1_000 + rides * (number % 2) / 100, 6)
            there = Vehicle(
                lat,
                round(13.4 + number / 900, 6),
                is_reserved=chance.random() < 0.3,
                is_disabled=chance.random() < 0.2,
            )
            is_placed = number != 5 or chance.random() < 0.5
            yield name, there if is_placed else there._replace(lat=None, lon=None)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Yield a played history of vehicles, over midnight; some slots are short."""
    chance, folder = Random(2), tmp_path_factory.mktemp("fleet")
    with publishing(
        folder, interval=3_600, vehicles=True, timezone="Europe/Berlin"
    ) as city:
        play = Play(city, Truth(BERLIN))
        for hour in sorted([*SLOW, *HALF]):
            city.interval = 1_800 if hour in HALF else 3_600
            moment = Moment(BEGIN + int(hour * 3_600), city.interval)
            moment.vehicles = dict(standing(chance, hour)) if hour != EMPTY else {}
            bikes = [vehicle(n, **v._asdict()) for n, v in moment.vehicles.items()]
            publish(city, bikes)
            play.truth.moments.append(moment)
            play.run(moment.slot)
        city.clock.now += 4 * 3_600
        yield play


def answers(play: Play, names: Iterable[str]) -> Told:
    """Return the rows of reports over the history, by report; of others by table."""
    told = {}
    with play.views() as db:
        duck = Duck(db)
        for name in names:
            values = SUNDAY if name == "chance" else VALUES
            answer = ask(duck, REPORTS[name], values)
            told[name] = [
                dict(zip(answer.columns, r, strict=True)) for r in answer.rows
            ]
        if "hours" in told:
            for name, sql in (("rows", EXPORTED), ("longest gaps", LONGEST_GAPS)):
                columns, rows = duck.query(sql)
                told[name] = [dict(zip(columns, row, strict=True)) for row in rows]
            known = station_coverage.seen(db, "city", "2026-10-24", "2026-10-26")
            told["coverage of stations"] = [station._asdict() for station in known]
    return told


def open_and_archived(play: Play, names: Iterable[str]) -> tuple[Told, Told]:
    """Return the answers before the days are archived, and after."""
    before = answers(play, names)
    play.compact()
    return before, answers(play, names)


@pytest.fixture(scope="module")
def of_stations(stations: Play) -> tuple[Told, Told]:
    """Return the reports on stations, before days are archived and after."""
    return open_and_archived(stations, oracle.OF_STATIONS)


@pytest.fixture(scope="module")
def of_vehicles(fleet: Play) -> tuple[Told, Told]:
    """Return the reports on vehicles, before days are archived and after."""
    return open_and_archived(fleet, oracle.OF_VEHICLES)


def rounded(rows: oracle.Rows) -> oracle.Rows:
    """Return *rows* with floats of nine digits."""
    return [
        {c: float(f"{v:.9g}") if type(v) is float else v for c, v in row.items()}
        for row in rows
    ]


def told_of(true: oracle.Rows, told: tuple[Told, Told], name: str) -> list[oracle.Rows]:
    """Return both answers of the report *name*, with the columns of the *true* rows."""
    return [
        rounded([{column: row[column] for column in true[0]} for row in answer[name]])
        for answer in told
    ]


@pytest.mark.parametrize("name", oracle.OF_STATIONS)
def test_a_report_on_stations_has_the_true_figures(
    stations: Play, of_stations: tuple[Told, Told], name: str
) -> None:
    """Over gaps, stale slots, 25 hours and another interval; open and archived."""
    true = oracle.OF_STATIONS[name](stations.truth)

    assert told_of(true, of_stations, name) == [rounded(true)] * 2


@pytest.mark.parametrize("name", oracle.OF_VEHICLES)
def test_a_report_on_vehicles_has_the_true_figures(
    fleet: Play, of_vehicles: tuple[Told, Told], name: str
) -> None:
    """Of ids that come back or rotate, with and without places; open and archived."""
    true = oracle.OF_VEHICLES[name](fleet.truth)

    assert told_of(true, of_vehicles, name) == [rounded(true)] * 2


def test_the_rows_are_those_of_the_feed(
    stations: Play, of_stations: tuple[Told, Told]
) -> None:
    """Each value of each station in each slot, in the views and after `compact`."""
    true = [
        {"slot": m.slot, "station_id": name, **row._asdict()}
        for m in stations.truth.collected
        for name, row in sorted(m.rows.items())
    ]

    assert told_of(true, of_stations, "rows") == [true] * 2


def test_the_longest_gap_of_a_day_has_its_true_length(
    stations: Play, of_stations: tuple[Told, Told]
) -> None:
    """Of each station, also where slots of an hour and of half an hour are missing."""
    true = oracle.longest_gaps(stations.truth)

    assert told_of(true, of_stations, "longest gaps") == [true] * 2


def test_the_longest_gap_of_all_days_has_its_true_length(
    stations: Play, of_stations: tuple[Told, Told]
) -> None:
    """It passes midnights, and slots that were not collected; its parts are one gap."""
    true = oracle.longest_gaps_of_all_days(stations.truth)

    assert told_of(true, of_stations, "coverage of stations") == [true] * 2


def test_the_gaps_have_the_true_causes(stations: Play) -> None:
    """The account of the past has each missing slot, with its cause."""
    folder = stations.city.settings.system_folder("city")
    account = read_account(folder, now=stations.city.clock.now)

    true = [(m.slot, m.state, m.cause) for m in stations.truth.moments]
    assert [(j.slot, str(j.state), j.cause) for j in account.judged] == true
    assert account.causes == dict(Counter(cause for *_, cause in true if cause))
