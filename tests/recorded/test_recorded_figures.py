"""Each report equals a computation in plain Python over the recorded feed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from figures import Figures, Row, Seen, with_unknown_docks
from series import SERIES, Documents, Player, bay_wheels

from bikecollect.archive.query import views
from bikecollect.core.process import Stop, Times
from bikecollect.reports.registry import REPORTS, Values
from bikecollect.reports.runner import Duck, ask
from bikecollect.setup.settings import Settings
from bikecollect.wiring import history

pytest.importorskip("duckdb")
pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series are not here"
)
ZONE, INTERVAL = "America/Los_Angeles", 1_800
SLOTS, STATIONS = 100, 60
CUTS = {**dict.fromkeys((8, 9, 40), "http-503"), 61: "http-503", 30: "html"}
"""Slots that are lost: among them the last one before a midnight."""
FROZEN = range(70, 76)
"""Slots in which the feed repeats itself."""
NEVER = 86_400
"""What this feed says of a station that never reported."""
VALUES = Values(
    since=date(2023, 5, 14),
    until=date(2023, 5, 17),
    interval=INTERVAL,
)
NAMES = (
    "reliability",
    "availability",
    "days",
    "hours",
    "episodes",
    "scarcity",
    "chance",
    "typical",
)


@dataclass
class Troubled(Player):
    """Two days of sixty stations, with what other feeds say put into some of them."""

    def documents_at(self, moment: float) -> Documents:
        """Return the documents served in the slot of *moment*."""
        number = int(moment - self.slots[0]) // INTERVAL
        if number in FROZEN:
            number = FROZEN.start - 1
        documents = super().documents_at(self.slots[number] + 2.0)
        status, listing = (
            json.loads(documents[f"/station_{kind}.json"])
            for kind in ("status", "information")
        )
        listed = sorted(status["data"]["stations"], key=lambda s: s["station_id"])
        status["data"]["stations"] = [
            {**station, **changes}
            for index, station in enumerate(listed[:STATIONS])
            if (changes := _changes(index, number, station)) is not None
        ]
        ids = {station["station_id"] for station in listed[:STATIONS]}
        places = listing["data"]["stations"]
        listing["data"]["stations"] = [s for s in places if s["station_id"] in ids]
        return {
            "/station_status.json": json.dumps(status).encode(),
            "/station_information.json": json.dumps(listing).encode(),
        }


def _changes(index: int, number: int, station: Mapping[str, Any]) -> Row | None:
    """Return the changes of a station in a slot, or None if it is missing."""
    if index == 0 and number % 48 < 14:  # closed at night
        return {"is_renting": 0, "is_returning": 0}
    if index == 1:  # not renting while it is empty
        return {"num_bikes_available": 0, "is_renting": 0}
    if index == 2 and number > 50:
        return {"is_installed": 0}
    if index == 3:
        return {"last_reported": NEVER}
    if index == 4:
        return {"num_bikes_available": int(number % 3 > 0) * 4}
    is_absent = {5: number < 20, 6: number > 80, 7: 44 < number < 52}
    return None if is_absent.get(index, False) else {}


@dataclass(frozen=True)
class City:
    """The *settings* of a collected city, and what *player* served to it."""

    settings: Settings
    player: Troubled

    @cached_property
    def seen(self) -> dict[int, dict[str, Seen]]:
        """The stations of each slot that was collected."""
        return {
            slot: dict(self._stations(slot))
            for number, slot in enumerate(self.player.slots[:SLOTS])
            if number not in CUTS
        }

    def _stations(self, slot: int) -> Iterator[tuple[str, Seen]]:
        documents = self.player.documents_at(slot + 2.0)
        listed = json.loads(documents["/station_information.json"])["data"]["stations"]
        sizes = {s["station_id"]: s.get("capacity") for s in listed}
        for s in json.loads(documents["/station_status.json"])["data"]["stations"]:
            is_closed = not s["is_installed"] or not (
                s["is_renting"] or s["is_returning"]
            )
            reported = s["last_reported"]
            yield (
                s["station_id"],
                Seen(
                    s["num_bikes_available"],
                    s["num_docks_available"],
                    sizes.get(s["station_id"]),
                    is_closed,
                    None if reported == NEVER else reported,
                ),
            )

    def figures(self, *, without_stale: bool = False) -> Figures:
        """Return the figures of the range, from what was served."""
        first = self.player.slots[0]
        slots = range(first, 1_684_306_800, INTERVAL)  # 2023-05-17 00:00 local
        stale = self.stale()
        left_out = stale if without_stale else frozenset()
        kept = {s: rows for s, rows in self.seen.items() if s not in left_out}
        zone = ZoneInfo(ZONE)
        kept = with_unknown_docks(kept, zone, INTERVAL)
        reference = Figures(self.seen, stale, list(slots), zone, INTERVAL)
        figures = replace(reference, seen=kept, stale=stale - left_out)
        figures.__dict__["lives"] = reference.lives
        figures.__dict__["stations"] = reference.stations
        return figures

    def stale(self) -> frozenset[int]:
        """Return the slots that are reported as stale."""
        sql = "SELECT slot FROM slots WHERE flags LIKE '%stale%'"
        system = history.shown(self.settings, "city")
        with views.connected(self.settings.data, [system]) as db:
            return frozenset(slot for (slot,) in db.execute(sql).fetchall())

    def report(self, name: str, values: Values) -> list[Row]:
        """Return the rows of the report *name*."""
        system = history.shown(self.settings, "city")
        with views.connected(self.settings.data, [system]) as db:
            answer = ask(Duck(db), REPORTS[name], values)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Yield the collected city; its first day is archived, the others are open."""
    folder = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        player = Troubled(bay_wheels(), folder, "gbfs", ZONE, INTERVAL, CUTS)
        settings = player.play(patch, most=SLOTS)
        at = player.slots[0] + 86_400.0
        times = Times(lambda: at, lambda: 0.0, Stop())
        steps = list(history.compactor(settings, "city", times).run())
        assert [(step.day, step.what) for step in steps] == [("2023-05-14", "archived")]
        yield City(settings, player)


def by_key(rows: list[Row], columns: list[str]) -> dict[str, list[Any]]:
    """Return the values of *columns* by the key of the row."""
    return {
        str([row[key] for key in KEYS if key in row]): [
            round(value, 9) if isinstance(value, float) else value
            for value in (row[column] for column in columns)
        ]
        for row in rows
    }


KEYS = (
    "station_id",
    "date",
    "hour",
    "hour_of_week",
    "weekday",
    "minute",
    "slot",
    "what",
    "first_slot",
)
WAYS = {
    "summaries": VALUES,
    "rows": replace(VALUES, rows=True),
    "fresh": replace(VALUES, without_stale=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_report_equals_what_was_served(city: City, name: str, way: str) -> None:
    """Row for row and figure for figure, from summaries and rows, and without stale."""
    figures = city.figures(without_stale=way == "fresh")
    is_chance = name == "chance"
    arguments = {"weekday": 1, "minute": 540} if is_chance else {}
    expected = list(getattr(figures, name)(**arguments))
    values = WAYS[way]
    values = replace(values, first_hour=24, minute=540) if is_chance else values

    rows = city.report(name, values)

    columns = list(expected[0])
    assert len(rows) == len(expected) > 0
    assert by_key(rows, columns) == by_key(expected, columns)


def test_the_series_has_every_kind_of_trouble(city: City) -> None:
    """Stale slots, closed stations, added and removed stations, and lost slots."""
    frozen = {city.player.slots[number] for number in FROZEN}
    lost = {city.player.slots[number] for number in CUTS}
    rows = [row for stations in city.seen.values() for row in stations.values()]

    assert frozen <= city.stale() < set(city.seen)
    assert lost.isdisjoint(city.seen)
    assert 50 < sum(row.is_closed for row in rows) < len(rows) // 10
    assert {len(stations) for stations in city.seen.values()} == {59, 60}
