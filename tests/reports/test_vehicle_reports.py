"""Reports on vehicles: cells, stays, and whether ids persist."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from publisher import publishing
from vehicles import publish, station, vehicle

from bikecollect.archive.query import views
from bikecollect.cli.reporting.basis import basis
from bikecollect.reports.registry import REPORTS, Values
from bikecollect.reports.runner import Duck, ask
from bikecollect.wiring import history

pytest.importorskip("duckdb")
VALUES = Values(since=date(2000, 1, 1), until=date(2100, 1, 1), interval=3_600)
Slots = Sequence[Sequence[Mapping[str, Any]]]


def answered(
    folder: Path,
    name: str,
    slots: Slots,
    values: Values = VALUES,
    *,
    interval: int = 3_600,
) -> list[dict[str, Any]]:
    """Return what the report *name* says of *slots*, each a list of vehicles."""
    with publishing(folder, vehicles=True, interval=interval) as city:
        for number, vehicles in enumerate(slots):
            publish(city, vehicles)
            city.fetch(after=interval * (number > 0))
        shown = history.shown(city.settings, "city")
        with views.connected(folder, [shown]) as db:
            result = ask(Duck(db), REPORTS[name], values)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def test_cells_are_squares_of_250_m(tmp_path: Path) -> None:
    """Two vehicles 200 m apart share one; a slot without vehicles counts as zero."""
    near = vehicle("a", lat=25.0001, lon=121.5001), vehicle("b", lat=25.0018, lon=121.5)
    far = vehicle("c", lat=25.0001, lon=121.53, is_reserved=True)
    rows = answered(tmp_path, "vehicle_grid", [[*near, far]])

    assert [(r["cell_row"], r["mean_vehicles"], r["mean_free"]) for r in rows] == [
        (11111, 2.0, 2.0),
        (11111, 1.0, 0.0),
    ]
    assert rows[0]["lat"] == pytest.approx(25.0009, abs=0.0003)
    assert rows[0]["lon"] == pytest.approx(121.5, abs=0.0025)
    assert rows[0]["hour_of_week"] == 144


def test_means_count_slots_without_any_vehicle(tmp_path: Path) -> None:
    """One vehicle in one of two weeks' slots is half a vehicle."""
    slots: list[list[dict[str, Any]]] = [[vehicle("a")], *[[] for _ in range(14)]]
    values = replace(VALUES, interval=43_200)
    rows = answered(tmp_path, "vehicle_grid", slots, values, interval=43_200)

    assert [(r["slots"], r["mean_vehicles"], r["max_vehicles"]) for r in rows] == [
        (2, 0.5, 1)
    ]


def test_stays_end_where_a_vehicle_leaves(tmp_path: Path) -> None:
    """Three hours here, then elsewhere until the end; jitter of 20 m is no move."""
    slots = [[vehicle("a", lat=25.0001 + 0.0002 * n)] for n in range(3)]
    slots += [[vehicle("a", lat=25.1)], [vehicle("a", lat=25.1)]]
    rows = answered(tmp_path, "vehicle_idle", slots)

    assert [(r["stays"], r["ended"], r["mean_hours"]) for r in rows] == [
        (1, 1, 3.0),
        (1, 0, None),
    ]
    assert [r["longest_hours"] for r in rows] == [3.0, 2.0]
    assert [r["share_survived"] for r in rows] == [1.0, 1.0]


def test_an_interval_that_changed_later_does_not_lengthen_stays(
    tmp_path: Path,
) -> None:
    """Slots of an hour in the past, of five minutes today: three slots are 3 h."""
    slots = [[vehicle("a")], [vehicle("a")], [vehicle("a")], []]
    today = replace(VALUES, interval=300)
    (row,) = answered(tmp_path, "vehicle_idle", slots, today)

    assert (row["mean_hours"], row["longest_hours"]) == (3.0, 3.0)


def test_missing_slots_do_not_lengthen_stays(tmp_path: Path) -> None:
    """Three slots are there, hours apart: each has half an hour, others are missing.

    They rest on these, and not on an earlier one of stations alone.
    """
    with publishing(tmp_path, interval=1_800) as city:
        publish(city, [], stations=[station()])
        city.fetch()
        rest_on = partial(basis, REPORTS["vehicle_ids"], values=VALUES)
        of_stations = rest_on([history.shown(city.settings, "city")])
        city.more = {"vehicles": True}
        for hours, ids in ((1, ""), (10, "a"), (14, "")):
            publish(city, [vehicle(name) for name in ids], stations=[station()])
            city.fetch(after=3_600 * hours)
        city.more = {}  # else they are expected up to now
        shown = history.shown(city.settings, "city")
        with views.connected(tmp_path, [shown]) as db:
            answers = {
                name: ask(Duck(db), REPORTS[f"vehicle_{name}"], VALUES)
                for name in ("idle", "ids", "grid")
            }

    told = {
        name: dict(zip(answer.columns, *answer.rows, strict=True))
        for name, answer in answers.items()
    }
    assert told["idle"]["mean_hours"] == 0.5
    slots = {name: (row["slots"], row["slots_expected"]) for name, row in told.items()}
    assert slots == {"idle": (3, 49), "ids": (3, 49), "grid": (1, 2)}
    counts = "vehicles of 3 of 49 expected slots were collected (6.1 %)"
    assert of_stations == ""
    line = " ".join(rest_on([shown]).split())
    assert line == f"2026-11-22 to 2026-11-23: {counts}"


def test_ids_without_a_location_survive_too(tmp_path: Path) -> None:
    """One of two is in the next slot without its place: all ids survived."""
    nowhere = vehicle("b", lat=None, lon=None)
    slots = [[vehicle("a"), vehicle("b")], [vehicle("a"), nowhere], [vehicle("a")]]
    (idle,) = answered(tmp_path / "idle", "vehicle_idle", slots)
    (ids,) = answered(tmp_path / "ids", "vehicle_ids", slots)

    assert idle["share_survived"] == ids["share_survived"] == 0.75
    assert (idle["stays"], idle["ended"]) == (2, 1)


def _rotating(hour: int) -> list[dict[str, Any]]:
    return [vehicle(f"{hour}-{n}") for n in range(30)]


def _after_trips(hour: int) -> list[dict[str, Any]]:
    kept = [vehicle(f"k{n}") for n in range(30)]
    return [*kept, *(vehicle(f"{hour}-{n}") for n in range(10))]


def _persistent(hour: int) -> list[dict[str, Any]]:
    return [vehicle(f"v{n}") for n in range(40) if (n + hour) % 4]


@pytest.mark.parametrize(
    ("vehicles", "ids_are"),
    [
        (_rotating, "rotated between slots"),
        (_after_trips, "rotated after a trip"),
        (_persistent, "persistent"),
        (lambda _: [vehicle("a")], "unknown"),
    ],
)
def test_the_persistence_of_ids_is_reported(
    tmp_path: Path, vehicles: Any, ids_are: str
) -> None:
    """The value of all figures on single vehicles depends on it."""
    (row,) = answered(tmp_path, "vehicle_ids", [vehicles(n) for n in range(8)])

    assert (row["ids_are"], row["slots"]) == (ids_are, 8)
