"""Vehicles with and without stations: collected, recovered and backfilled."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from publisher import MISSING, Publisher, publishing
from quiet_settings import write_settings
from served import Answer
from vehicles import publish, station, vehicle

from bikecollect.alerts.signals import of_run
from bikecollect.cli.render.backfill import summary
from bikecollect.collect.backfill import Backfiller
from bikecollect.core import process
from bikecollect.core.errors import ExitCode, Outcome, StorageError
from bikecollect.core.incidents import RUNS_LOST
from bikecollect.core.process import Times
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.reports.runner import VEHICLES
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import LEDGER, MARKER
from bikecollect.storage.files import marker
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.damage import check_present, find_damage
from bikecollect.wiring import backfilling
from bikecollect.wiring.filling.loss_before import LossBefore

DAY = "city/vehicles/vehicle_status/2026-11-22.csv"
STATIONS = "city/station_status/2026-11-22.csv"
BEFORE, AFTER = Slot(0), Slot(4_000_000_000)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Return a GBFS system whose vehicles are collected."""
    with publishing(tmp_path, vehicles=True) as publisher:
        yield publisher


def rows(city: Publisher) -> list[dict[str, str]]:
    """Return all rows of vehicles."""
    with (city.folder / DAY).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def notices(run: Run, kind: str) -> list[str]:
    """Return the texts of the notices of *kind*."""
    return [notice.text for notice in run.notices if notice.kind == kind]


def flags(run: Run) -> list[str]:
    """Return the flags of *run*; the clock of the test server is the real one."""
    return [flag for flag in run.flags if flag != "clock"]


def filler_of(city: Publisher) -> Backfiller:
    """Return what fills the missing slots."""
    times = Times(city.clock, city.clock, city.clock)
    return backfilling.backfiller(
        city.settings, "city", times, span=(BEFORE, AFTER), dry=False
    )


def backfill(city: Publisher) -> list[str]:
    """Fill from the payloads; return what was done, by slot."""
    filler = filler_of(city)
    loss = LossBefore(filler.system)
    fillings = list(filler.fill_from_payloads())
    loss.end(fillings, None, city.clock())
    return [filling.what for filling in fillings]


def damage(city: Publisher) -> list[str]:
    """Return what is damaged or missing, as `status` and `verify` say."""
    system = city.settings.system_folder("city")
    return find_damage(system, History("city", system.path))


@pytest.mark.parametrize(
    ("zone", "local", "hours"),
    [
        ("Asia/Taipei", "2026-11-22T00:05:00", 8),
        ("America/New_York", "2026-11-21T11:05:00", 5),
        ("America/New_York", "2026-11-21T16:05:00", 5),  # in UTC
    ],
)
def test_stamps_without_a_zone_are_of_the_time_of_the_fetch(
    city: Publisher, zone: str, local: str, hours: int
) -> None:
    """In UTC or in local time, east and west of Greenwich: stations and vehicles.

    Where they stand still, they are not new after as many hours as the zone is off.
    """
    city.more = {**city.more, "timezone": zone}
    publish(
        city,
        [vehicle(last_reported=local)],
        stations=[{**station(), "last_reported": local}],
    )
    for name in ("station_status", "free_bike_status"):
        document: Any = city.documents[f"/{name}.json"]
        document["last_updated"] = local
    run = city.fetch()

    assert flags(run) == []
    files = sorted(city.folder.glob("city/**/*_status/*.csv"))
    for file in files:
        with file.open(encoding="utf-8", newline="") as lines:
            (row,) = csv.DictReader(lines)
        reported = datetime.fromisoformat(row["last_reported"])
        assert reported.timestamp() == int(city.clock.now) - 2
    assert len(files) == 2
    city.fetch(after=hours * 3_600 - 1_800)
    city.fetch(after=900)
    for folder in ("city", "city/vehicles"):
        found = dict(History("city", city.folder / folder).flags(Slot(0)))
        assert ["stale" in words for words in found.values()] == [False, True, True]


def test_vehicles_that_stand_still_under_a_moving_stamp_are_stale(
    city: Publisher,
) -> None:
    """Twenty report in each slot, then none for half an hour, then all again.

    The stations are not stale, but people are told of the vehicles.
    """
    now, signals = 0, []
    for number in range(9):
        if number <= 2 or number == 8:
            now = int(city.clock.now) + city.interval
        fleet = [vehicle(f"v{n}", last_reported=now) for n in range(20)]
        publish(city, fleet, stations=[station()])
        run = city.fetch()
        assert flags(run) == []
        signals.append(of_run(run, None)["stale"])
    found = dict(History("city", city.folder / "city/vehicles").flags(Slot(0)))

    stale = ["stale" in found[slot] for slot in sorted(found)]
    assert stale == [False] * 6 + [True] * 2 + [False]
    assert [signal is not None for signal in signals] == stale
    text = "the feed responds, but the data of its vehicles are old"
    assert {signal.text for signal in signals if signal} == {text}


def test_vehicles_have_a_row_each_beside_the_stations(city: Publisher) -> None:
    """One payload, two daily files."""
    more = {"current_range_meters": 6543.2, "current_fuel_percent": 0.28}
    docked = vehicle("v2", station_id="1", vehicle_type_id="b")
    publish(
        city,
        [vehicle("v1", last_reported=1_795_276_000, **more), docked],
        stations=[station()],
    )

    run = city.fetch()

    assert (run.outcome, run.rows, run.notices) == (Outcome.COLLECTED, 1, ())
    assert [row["station_id"] for row in city.all_rows()] == ["1"]
    assert (city.folder / DAY).read_text("utf-8") == (
        "slot,fetched_at,vehicle_id,lat,lon,type,is_reserved,is_disabled,"
        "current_range_meters,current_fuel_percent,station_id,last_reported\n"
        "2026-11-22T00:05:00+08:00,2026-11-22T00:05:02+08:00,v1,25.03,121.56,scooter,"
        "false,false,6543,0.28,,2026-11-21T23:46:40+08:00\n"
        "2026-11-22T00:05:00+08:00,2026-11-22T00:05:02+08:00,v2,25.03,121.56,bicycle,"
        "false,false,,,1,\n"
    )


@pytest.mark.parametrize("version", ["1.0", "2.3", "3.0"])
def test_a_system_without_stations_is_collected_by_its_vehicles(
    city: Publisher, version: str
) -> None:
    """A missing station_status is no error."""
    field = "vehicle_id" if version == "3.0" else "bike_id"
    publish(city, [{field: "a", "lat": 25.1, "lon": 121.5}], version=version)

    runs = [city.fetch(), city.fetch()]

    assert [run.outcome for run in runs] == [Outcome.COLLECTED, Outcome.COLLECTED]
    assert [run.exit_code for run in runs] == [ExitCode.OK, ExitCode.OK]
    assert [(row["vehicle_id"], row["lat"]) for row in rows(city)] == [
        ("a", "25.1")
    ] * 2
    assert flags(runs[1]) == ["no-stations"]
    assert city.asked == [
        f"/{'vehicle' if version == '3.0' else 'free_bike'}_status.json"
    ]
    assert not (city.folder / STATIONS).exists()


@pytest.mark.parametrize(("vehicles", "stations"), [(True, []), (False, [station()])])
def test_stations_and_vehicles_are_read_in_bounded_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stations: list[Any],
    *,
    vehicles: bool,
) -> None:
    """If that is not enough for a payload, it is kept, and the run ends."""

    @contextmanager
    def exhausted(most: float = inf) -> Iterator[None]:
        if most == inf:  # else it is that of the feed's JSON
            raise MemoryError
        yield

    monkeypatch.setattr(process, "bounded_memory", exhausted)
    with publishing(tmp_path, vehicles=vehicles) as city:
        publish(city, [vehicle()], stations=stations)
        run = city.fetch()

    assert (run.outcome, run.exit_code) == (Outcome.BUG, ExitCode.SOFTWARE)
    assert len([*(tmp_path / "city/payloads/rejected").glob("*.zip")]) == 1


def test_a_second_run_in_the_slot_writes_no_vehicles(city: Publisher) -> None:
    """It is a duplicate without rows of its own, and the slot keeps its block."""
    publish(city, [vehicle()])

    first, second = city.fetch(), city.fetch(after=0)

    assert (first.outcome, first.rows) == (Outcome.COLLECTED, 1)
    assert (second.outcome, second.rows) == (Outcome.DUPLICATE, 0)
    assert len(rows(city)) == 1


def test_without_the_setting_the_message_names_it(tmp_path: Path) -> None:
    """A system that has vehicles only is rejected, and the error names the setting."""
    with publishing(tmp_path) as city:
        publish(city, [vehicle()])

        run = city.fetch()

    assert run.exit_code == ExitCode.UNAVAILABLE
    assert "set `vehicles = true` to collect the vehicles" in run.error


def test_a_system_that_lists_its_stations_no_longer_says_what_to_do(
    city: Publisher,
) -> None:
    """It is not collected by its vehicles alone, although the setting is there."""
    publish(city, [vehicle()], stations=[station()])
    city.fetch()
    publish(city, [vehicle()])
    del city.documents["/station_status.json"]

    run = city.fetch()

    assert run.cause == "no-stations"
    assert "add a system of another name with `vehicles = true`" in run.error


def test_bad_values_of_vehicles_are_empty(city: Publisher) -> None:
    """Impossible values are empty; a vehicle without an id has no row."""
    publish(
        city,
        [
            vehicle("far", lat=95, lon=500),
            vehicle("text", lat="25.5", lon="121.5", is_disabled="true"),
            {"bike_id": "nowhere"},
            vehicle("a\u0000\u001b[31mb", current_fuel_percent=85),
            vehicle("twice", lat=25.0),
            vehicle("twice", lat=26.0),
            vehicle("odd", vehicle_type_id="zz", current_range_meters=-5),
            vehicle("zero", lat=0, lon=0, station_id=None),
            vehicle(None),
            vehicle("word", is_reserved="perhaps", last_reported="soon"),
            vehicle("never", last_reported=0, vehicle_type_id=["s"]),
            *(vehicle(f"v{n}") for n in range(8)),
        ],
    )

    run = city.fetch()
    by_id = {row["vehicle_id"]: row for row in rows(city)}

    assert run.outcome is Outcome.COLLECTED
    assert flags(run) == ["partial", "dup", "implausible", "no-stations", "drift"]
    assert len(by_id) == run.rows == 17
    assert (by_id["far"]["lat"], by_id["far"]["lon"]) == ("", "")
    assert (by_id["text"]["lat"], by_id["text"]["is_disabled"]) == ("25.5", "true")
    assert by_id["nowhere"]["lat"] == by_id["zero"]["lat"] == ""
    assert by_id["twice"]["lat"] == "25.0"
    assert (by_id["odd"]["type"], by_id["odd"]["current_range_meters"]) == ("zz", "")
    (controlled,) = (name for name in by_id if name.startswith("a") and "b" in name)
    assert controlled.isprintable()
    assert by_id[controlled]["current_fuel_percent"] == ""
    assert any("zz" in text for text in notices(run, "drift"))
    assert [
        text.partition(": it is left")[0]
        for text in notices(run, "drift")
        if "perhaps" in text or "soon" in text or "['s']" in text
    ] == [
        "vehicles: is_reserved is implausible at 1 of 19 vehicles, such as 'perhaps'",
        "vehicles: last_reported is implausible at 1 of 19 vehicles, such as 'soon'",
        "vehicles: vehicle_type_id is implausible at 1 of 19 vehicles, such as ['s']",
    ]


def test_fields_of_vehicles_are_found_in_similar_spellings(city: Publisher) -> None:
    """Case and underscores do not matter, as for stations; exact names come first."""
    first = {"bikeId": 7, "Lat": 25.5, "lng": 121.5, "isDisabled": 1, "lat": None}
    second = {"bike_id": "8", "bikeId": "9", "latitude": 25.0, "longitude": 121.0}
    publish(city, [first, second])

    run = city.fetch()

    names = ("vehicle_id", "lat", "lon", "is_disabled")
    assert [tuple(row[name] for name in names) for row in rows(city)] == [
        ("7", "25.5", "121.5", "true"),
        ("8", "25.0", "121.0", ""),
    ]
    assert notices(run, "drift") == []


def test_vehicles_without_any_location_are_reported(city: Publisher) -> None:
    """A vehicle at a station needs none."""
    publish(city, [{"bike_id": "1", "location": {"lat": 25.5}}])
    run = city.fetch()
    publish(city, [{"bike_id": "1", "station_id": "a"}])

    (text,) = notices(run, "drift")
    assert "none of 1 vehicles has a location or a station" in text
    assert not any(
        "location" in t for t in notices(city.fetch(), "drift") if "none" in t
    )


def test_no_vehicle_at_all_is_a_collected_slot(city: Publisher) -> None:
    """At night all may be in use: an empty list is valid."""
    publish(city, [])

    first, second = city.fetch(), city.fetch()

    assert (first.outcome, first.rows) == (Outcome.COLLECTED, 0)
    assert second.outcome is Outcome.COLLECTED
    assert rows(city) == []


@pytest.mark.parametrize(
    "body", [b"null", b"", b"<html>", b'{"data": null}', b'{"data": {"bikes": 5}}']
)
def test_vehicles_that_cannot_be_read_cost_no_station(
    city: Publisher, body: bytes
) -> None:
    """Stations are committed, a notice has the reason, and the payload is kept."""
    publish(city, [vehicle()], stations=[station()])
    city.documents["/free_bike_status.json"] = Answer(body)

    run = city.fetch()

    assert (run.outcome, run.rows, flags(run)) == (Outcome.COLLECTED, 1, [])
    (text,) = notices(run, "partial")
    assert text.startswith("the vehicles are not committed: ")
    assert not (city.folder / DAY).exists()
    assert of_run(run, None)["partial"] is not None
    # One mail, if nothing of the payload is understood, as of a login page.
    city.documents["/station_status.json"] = Answer(body)
    signals = of_run(run := city.fetch(), None)
    assert notices(run, "partial") != []
    assert (signals.get("partial"), signals["payload"] is None) == (None, False)
    assert of_run(run, None, ("payload",))["partial"] is not None


def test_vehicles_that_cannot_be_fetched_cost_no_station(city: Publisher) -> None:
    """A 404 is reported once, and each slot without vehicles is flagged."""
    publish(city, [vehicle()], stations=[station()])
    city.documents["/free_bike_status.json"] = MISSING

    runs = [city.fetch(), city.fetch()]

    assert [(run.outcome, flags(run)) for run in runs] == [
        (Outcome.COLLECTED, ["drift"]),
        (Outcome.COLLECTED, []),
    ]
    assert "vehicle_status failed" in notices(runs[0], "drift")[0]
    assert "no vehicles in this slot" in notices(runs[1], "partial")[0]


@pytest.mark.parametrize("document", ["station_information", "vehicle_types"])
def test_a_missing_document_beside_is_no_trouble_of_the_vehicles(
    city: Publisher, document: str
) -> None:
    """The slot is partial for the stations, and complete for the vehicles."""
    publish(city, [vehicle()], stations=[station()])
    city.documents[f"/{document}.json"] = MISSING

    run = city.fetch()

    with closing(Ledger(city.folder / "city/vehicles" / LEDGER)) as ledger:
        ledger.open()
        block = ledger.block(run.slot)
    assert "partial" in run.flags
    assert block is not None
    assert "partial" not in block.flags.split()


def test_vehicles_of_another_name_are_found_in_the_same_slot(city: Publisher) -> None:
    """As free_bike_status became vehicle_status: gbfs.json is read again at once."""
    publish(city, [vehicle()], stations=[station()])
    city.fetch()
    city.documents["/free_bike_status.json"] = None
    publish(city, [vehicle("v2")], stations=[station()], version="3.0")
    city.fetch(after=7_200)

    assert [row["vehicle_id"] for row in rows(city)] == ["v1", "v2"]


@pytest.mark.parametrize("body", [b"null", b'{"data": {"bikes": "none"}}'])
def test_unreadable_vehicles_alone_are_rejected_and_kept(
    city: Publisher, body: bytes
) -> None:
    """Without stations the payload is rejected, like unreadable stations."""
    publish(city, [vehicle()])
    city.fetch()
    city.documents["/free_bike_status.json"] = Answer(body)

    run = city.fetch()

    assert run.outcome is Outcome.REJECTED
    assert len(list((city.folder / "city/payloads/rejected").glob("*.zip"))) == 1


def test_unreadable_stations_cost_no_vehicles(city: Publisher) -> None:
    """Vehicles are committed when `backfill` can read the stations."""
    publish(city, [vehicle()], stations=[station()])
    city.documents["/station_status.json"] = {"data": {"stations": [{"id": 1}]}}

    run = city.fetch()

    assert run.outcome is Outcome.REJECTED
    assert [row["vehicle_id"] for row in rows(city)] == ["v1"]


def test_backfill_fills_vehicles_from_kept_payloads(city: Publisher) -> None:
    """A lost file and ledger are rebuilt from the payloads, to the byte."""
    publish(city, [vehicle(), vehicle("v2")], stations=[station()])
    for _ in range(3):
        city.fetch()
    before = (city.folder / DAY).read_bytes()
    shutil.rmtree(city.folder / "city/vehicles")

    texts = []
    for filler in (replace(filler_of(city), dry=True), filler_of(city)):
        fillings = list(filler.fill_from_payloads())
        zone = filler.system.zone
        texts.append(summary("city", fillings, filler.agreement, zone).splitlines()[0])

    assert texts == [
        "city: vehicles of 3 slots would be filled",
        "city: vehicles of 3 slots filled (6 rows)",
    ]
    assert (city.folder / DAY).read_bytes() == before
    assert len(city.all_rows()) == 3


def test_backfill_fills_stations_and_vehicles_of_a_slot_at_once(
    city: Publisher,
) -> None:
    """It is counted once, with the rows of its stations."""
    publish(city, [vehicle(), vehicle("v2")], stations=[station()])
    city.fetch()
    payload = next((city.folder / "city/payloads/kept").glob("*/*.zip"))
    for name in ("station_status", "vehicles"):
        shutil.rmtree(city.folder / "city" / name)
    (city.folder / "city/ledger.sqlite3").unlink()
    rejected = city.folder / "city/payloads/rejected"
    rejected.mkdir()
    payload.rename(rejected / payload.name)

    (filling,) = filler_of(city).fill_from_payloads()

    assert (filling.what, filling.rows, filling.is_vehicles) == ("filled", 1, False)
    assert (len(city.all_rows()), len(rows(city))) == (1, 2)


def test_backfill_fills_a_system_without_stations(city: Publisher) -> None:
    """The slot of a payload that has only vehicles is filled."""
    publish(city, [vehicle()])
    city.fetch()
    city.fetch()
    before = (city.folder / DAY).read_bytes()
    shutil.rmtree(city.folder / "city/vehicles")

    assert backfill(city) == ["filled", "filled"]
    assert backfill(city) == []
    assert (city.folder / DAY).read_bytes() == before


def test_what_backfill_finds_in_the_file_of_vehicles_is_reported_by_the_next_run(
    city: Publisher,
) -> None:
    """Once: `backfill` moves bytes of no block away, and sends no alerts."""
    publish(city, [vehicle()], stations=[station()])
    city.fetch()
    with (city.folder / DAY).open("ab") as file:
        file.write(b"hello\n\n")
    shutil.rmtree(city.folder / "city/station_status")
    for path in (city.folder / "city").glob("ledger*"):
        path.unlink()
    assert backfill(city) == ["filled"]

    runs = [city.fetch() for _ in range(2)]

    told = ["\n".join(notice.text for notice in run.notices) for run in runs]
    assert [text.count("ended in bytes of no block") for text in told] == [1, 0]


def test_a_ledger_that_a_repair_found_damaged_is_named_as_that_of_vehicles(
    city: Publisher,
) -> None:
    """By the next run, as if that had found it."""
    publish(city, [vehicle()], stations=[station()])
    city.fetch()
    (city.folder / "city/vehicles" / LEDGER).write_bytes(b"damaged" * 1_000)
    config = write_settings(city.folder / "settings.toml", city.folder, "city")
    config.write_text(f"{config.read_text('utf-8')}vehicles = true\n", "utf-8")
    bikecollect("--config", config, "verify", "--repair", "city")

    (text, _) = notices(city.fetch(), "ledger")

    assert text.startswith("vehicles: the ledger was damaged ")


def test_a_torn_tail_of_vehicles_is_written_again(
    city: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that the ledger lacks are cut and written from the inbox."""
    publish(city, [vehicle(), vehicle("v2")], stations=[station()])
    city.fetch()

    def refuse(*_: object) -> None:
        raise StorageError("the disk is full", cause="disk")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "commit", refuse)
        failed = city.fetch()
    torn = len(rows(city))
    run = city.fetch()

    assert (failed.exit_code, torn) == (ExitCode.IO, 4)
    assert run.outcome is Outcome.COLLECTED
    assert [row["vehicle_id"] for row in rows(city)] == ["v1", "v2"] * 3
    assert len(city.all_rows()) == 3


def test_a_crash_between_both_ledgers_leaves_each_slot_once(
    city: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vehicles are committed, the stations are not: the next run continues."""
    publish(city, [vehicle()], stations=[station()])
    city.fetch()
    append = Store.append

    def torn(self: Store, file: str, *rest: Any) -> object:
        if file.startswith("station_status"):
            raise StorageError("the disk is gone", cause="disk")
        return append(self, file, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(Store, "append", torn)
        city.fetch()
    city.fetch()

    assert len(rows(city)) == 3
    assert len(city.all_rows()) == 3
    assert list((city.folder / "city/payloads/inbox").glob("*.zip")) == []


def test_a_lost_ledger_of_vehicles_is_built_from_its_file(
    city: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    """No row is lost or doubled."""
    publish(city, [vehicle(), vehicle("v2")], stations=[station()])
    city.fetch()
    city.fetch()
    before = (city.folder / DAY).read_bytes()
    for path in (city.folder / "city/vehicles").glob("ledger*"):
        path.unlink()
    caplog.clear()

    city.fetch()

    assert "vehicles are collected from now on" not in caplog.text
    assert (city.folder / DAY).read_bytes().startswith(before)
    assert len(rows(city)) == 6


def test_a_lost_ledger_of_vehicles_is_named_before_the_next_run(
    city: Publisher,
) -> None:
    """Without stations, it alone accounts for the slots of the system."""
    publish(city, [vehicle()])
    city.fetch()
    (city.folder / "city/vehicles" / LEDGER).unlink()

    with pytest.raises(StorageError, match=r"vehicles/ledger.sqlite3 is missing"):
        check_present(city.settings.system_folder("city"), ledger=True)


@pytest.mark.parametrize("pattern", ["ledger*", "**/ledger*"], ids=["one", "both"])
def test_a_lost_ledger_of_a_system_without_stations_is_named(
    city: Publisher, pattern: str
) -> None:
    """Before the next run by all that reads, and by that run: its runs are lost.

    The ledger of its vehicles may be lost, too.
    """
    publish(city, [vehicle()])
    assert notices(city.fetch(), RUNS_LOST) == []
    for path in (city.folder / "city").glob(pattern):
        path.unlink()
    system = city.settings.system_folder("city")

    with pytest.raises(StorageError, match=r"ledger.sqlite3 is missing; the next"):
        check_present(system, ledger=True)
    (text,) = notices(city.fetch(), RUNS_LOST)

    assert text.startswith("city/ledger.sqlite3 was missing: a new one is rebuilt")
    assert "station" not in text
    check_present(system, ledger=True)


@pytest.mark.parametrize("stations", [[station()], []], ids=["beside", "alone"])
@pytest.mark.parametrize("pattern", ["vehicles/ledger*", "**/ledger*"])
def test_a_repair_builds_every_lost_ledger_from_its_files(
    city: Publisher, stations: list[Any], pattern: str
) -> None:
    """That of stations only was built; the vehicles had none until the next fetch."""
    publish(city, [vehicle(), vehicle("v2")], stations=stations)
    city.fetch()
    city.fetch()
    before = (city.folder / DAY).read_bytes()
    for path in (city.folder / "city").glob(pattern):
        path.unlink()
    path = write_settings(city.folder / "settings.toml", city.folder, "city")

    repaired = bikecollect("--config", path, "verify", "--repair", "city")
    again = bikecollect("--config", path, "verify", "city")

    assert (repaired.returncode, again.returncode) == (0, 0), repaired.stdout
    assert "city/vehicles 2026-11-22 2 slots 4 rows" in " ".join(again.stdout.split())
    assert damage(city) == []
    assert (city.folder / DAY).read_bytes() == before


@pytest.mark.parametrize("stations", [[station()], []], ids=["beside", "alone"])
def test_the_ledger_that_is_damaged_is_named(
    city: Publisher, stations: list[dict[str, Any]]
) -> None:
    """Not that of the system, with which it is read; and only that one is checked."""
    publish(city, [vehicle()], stations=stations)
    city.fetch()
    path = city.folder / "city/vehicles" / LEDGER
    pages = bytearray(path.read_bytes())
    pages[4_096:40_960] = bytes([0xAB]) * 36_864
    path.write_bytes(pages)
    history = History("city", city.folder / "city")

    with pytest.raises(StorageError, match=f"cannot read {path}: "):
        history.ends()

    marks = [*city.folder.glob("city/**/*-check")]
    assert marks == [path.with_name(f"{LEDGER}-check")]
    (text, _) = notices(city.fetch(), "ledger")
    assert text.startswith("vehicles: the ledger was damaged ")
    assert history.ends() == (city.clock.now - 302, city.clock.now - 2)


def test_the_lines_of_an_error_about_lost_vehicles_stay_apart(city: Publisher) -> None:
    """A day's file is missing, so that a report on vehicles has no row."""
    pytest.importorskip("duckdb")
    config = write_settings(city.folder / "settings.toml", city.folder, "city")
    publish(city, [vehicle()])
    city.fetch()
    (city.folder / DAY).unlink()

    report = bikecollect("--config", config, "report", "vehicles", "city")

    assert report.returncode == 74
    assert report.stderr.splitlines()[-2:] == [
        "bikecollect: no data for `vehicles` in that range",
        f"bikecollect: {VEHICLES}",
    ]


def test_a_lost_folder_of_vehicles_is_named_until_it_is_back_or_accepted(
    city: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    """Once by `fetch`; by whatever reads vehicles, and by nothing that does not."""
    pytest.importorskip("duckdb")
    city.clock.now -= 900 * 86_400
    config, folder = city.folder / "settings.toml", city.folder / "city"
    config.write_text(
        f'data_dir = "{city.folder}"\n[systems.city]\nfeed = "gbfs"\n'
        f'url = "{city.base}/gbfs.json"\ntimezone = "Asia/Taipei"\nvehicles = true\n'
    )
    publish(city, [vehicle()], stations=[station()])

    def codes() -> list[int]:
        every = (
            ["verify", "city"],
            ["export", "city", "--what", "vehicle_status"],
            ["export", "city"],
        )
        return [bikecollect("--config", config, *words).returncode for words in every]

    def missing() -> list[str]:
        return [text for run in (city.fetch(), city.fetch()) for text in gone(run)]

    def gone(run: Run) -> list[str]:
        return [*notices(run, "file-missing"), *notices(run, "older-copy")]

    def has_damage() -> bool:
        return bool(damage(city))

    assert missing() == []
    shutil.copytree(folder, city.folder / "copy")
    shutil.rmtree(folder / "payloads/kept")
    (folder / "vehicles").rename(city.folder / "earlier")
    assert has_damage()
    city.more = {**city.more, "vehicles": False}
    assert missing() == []
    assert has_damage()
    city.more = {**city.more, "vehicles": True}

    (text,) = missing()

    assert text.startswith(f"{folder}/vehicles was gone on ")
    assert "the settings have changed" not in caplog.text
    assert "bikecollect backfill city --from COPY" in text
    assert has_damage()
    assert codes() == [1, 74, 0]
    report = bikecollect("--config", config, "report", "vehicles", "city")
    assert (report.returncode, report.stderr.count(" was gone on ")) == (74, 1)
    (folder / "vehicles").rename(city.folder / "later")
    (city.folder / "earlier").rename(folder / "vehicles")
    (text,) = missing()
    assert f"{folder}/vehicles was replaced by an older copy, which lacks the" in text
    assert (has_damage(), codes()) == (True, [1, 74, 0])
    forgotten = bikecollect("--config", config, "forget", "city", "earlier-data")
    assert "city: vehicles: the loss of the data from 2024-06-" in forgotten.stdout
    assert (missing(), has_damage()) == ([], False)
    shutil.rmtree(folder / "vehicles")
    assert len(missing()) == 1
    filled = bikecollect(
        *("--config", config, "backfill", "city", "--from", city.folder / "copy")
    )
    assert "vehicles from before the loss are here again" in filled.stderr
    assert (missing(), codes()) == ([], [0] * 3)
    shutil.rmtree(folder / "vehicles")
    forgotten = bikecollect("--config", config, "forget", "city", "earlier-data")
    assert "city: vehicles: the loss of all data before" in forgotten.stdout
    assert (missing(), has_damage()) == ([], False)


@pytest.mark.parametrize("stations", [[station()], []], ids=["beside", "alone"])
def test_an_older_copy_of_the_folder_of_vehicles_is_named_until_it_is_filled(
    city: Publisher, stations: list[dict[str, Any]]
) -> None:
    """The ledger of stations knows the newest slot.

    A copy may lack it that fills the rest: that is not named again.
    """
    publish(city, [vehicle()], stations=stations)
    folder, older = city.folder / "city/vehicles", city.folder / "older"
    city.fetch()
    shutil.copytree(folder, older)
    city.fetch()
    city.fetch()
    assert damage(city) == []
    shutil.rmtree(folder)
    shutil.copytree(older, folder)
    found = [notices(city.fetch(), "older-copy") for _ in range(2)]
    named = damage(city)
    again = backfill(city)

    ((text,), nothing) = found
    assert text.startswith(f"{folder} was replaced by an older copy, which lacks the ")
    assert (
        " 00:10 (+08:00) to 2026-11-22 00:15 (+08:00): was a backup put back? " in text
    )
    assert (named, nothing) == ([text], [])
    assert again.count("filled") == 2
    assert notices(city.fetch(), "older-copy") == damage(city) == []
    for when, number in ((10**10, 0), (1, 1)):  # given up since, or long before
        shutil.rmtree(folder)
        shutil.copytree(older, folder)
        ledger = Ledger(folder / "ledger.sqlite3")
        ledger.open()
        ledger.remember({f"bikecollect.forgotten.{when}.2026-11-22": "{}"})
        ledger.close()
        assert len(notices(city.fetch(), "older-copy")) == number
    shutil.rmtree(folder)
    older.rename(folder)
    assert list(filler_of(city).files.fillings(lambda: iter(()))) == []
    marked = damage(city)
    marker.accept(folder / MARKER)
    assert len(notices(city.fetch(), "older-copy")) == len(marked) == 1
    assert damage(city) == []


def test_many_more_vehicles_than_usual_wait_for_an_hour(city: Publisher) -> None:
    """Invented vehicles do not fill the disk; the stations are committed."""
    publish(city, [vehicle()], stations=[station()])
    city.fetch()
    publish(city, [vehicle(f"v{n}") for n in range(6_000)], stations=[station()])

    run = city.fetch()

    assert run.outcome is Outcome.COLLECTED
    assert "6000 vehicles instead of the usual 1" in notices(run, "partial")[0]
    assert len(rows(city)) == 1


def test_a_box_keeps_vehicles_within_it(tmp_path: Path) -> None:
    """Vehicles of unknown place are kept, too."""
    box = [121.5, 25.0, 121.6, 25.1]
    with publishing(tmp_path, vehicles=True, bbox=box) as city:
        inside, outside = vehicle("in"), vehicle("out", lat=24.0)
        publish(city, [inside, outside, {"bike_id": "unknown"}])
        city.fetch()

        assert [row["vehicle_id"] for row in rows(city)] == ["in", "unknown"]


def test_the_setting_is_for_gbfs(tmp_path: Path) -> None:
    """Other dialects have no vehicles."""
    with (
        publishing(tmp_path, feed="youbike", vehicles=True) as city,
        pytest.raises(Exception, match='vehicles requires feed = "gbfs"'),
    ):
        _ = city.settings


def test_vehicles_that_are_switched_on_later_are_requested_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The stored discovery of an earlier version lacks their address; it is said."""
    with publishing(tmp_path) as city:
        publish(city, [vehicle()], stations=[station()])
        city.fetch()
        ledger = Ledger(tmp_path / "city/ledger.sqlite3")
        ledger.open()
        note = json.loads(ledger.notes()["gbfs.feeds"])
        del note["vehicles"]
        ledger.remember({"gbfs.feeds": json.dumps(note)})
        ledger.close()
        city.more = {"vehicles": True}

        city.fetch()
        city.fetch()

        assert [row["vehicle_id"] for row in rows(city)][:1] == ["v1"]
    begun = "the settings have changed: vehicles are collected from now on"
    assert [log.message for log in caplog.records].count(begun) == 1


@pytest.mark.parametrize("has_information", [True, False])
def test_a_feed_that_loses_its_stations_is_an_error(
    city: Publisher, *, has_information: bool
) -> None:
    """A momentarily wrong discovery must not end the history of stations.

    Their rows are evidence of them, also without names and places.
    """
    publish(city, [vehicle()], stations=[station()])
    if not has_information:
        city.documents["/station_information.json"] = MISSING
    city.fetch()
    publish(city, [vehicle()])
    city.documents["/station_status.json"] = MISSING

    run = city.fetch()

    assert run.outcome is Outcome.UNAVAILABLE


def test_the_ledger_of_the_system_knows_slots_without_stations(
    city: Publisher,
) -> None:
    """Its runs are recorded like those of any system."""
    publish(city, [vehicle()])
    city.fetch()

    (run,) = History("city", city.folder / "city").runs()

    assert (run.outcome, run.rows, run.file) == (
        Outcome.COLLECTED,
        1,
        "vehicles/vehicle_status/2026-11-22.csv",
    )


def list_stations(city: Publisher, stations: object) -> None:
    """Let *city* publish the list *stations* beside its vehicles."""
    publish(city, [vehicle()], stations=[station()])
    city.documents["/station_status.json"] = {"data": {"stations": stations}}
    if not stations:
        city.documents["/station_information.json"] = {"data": {"stations": []}}


@pytest.mark.parametrize("stations", [[], {}, None])
def test_an_empty_list_of_stations_costs_no_vehicles(
    city: Publisher, stations: object
) -> None:
    """Operators of scooters publish one: each slot is collected by its vehicles."""
    list_stations(city, stations)
    runs = [city.fetch(), city.fetch()]

    assert [(run.outcome, run.rows) for run in runs] == [(Outcome.COLLECTED, 1)] * 2
    assert [flags(run) for run in runs] == [["no-stations"]] * 2
    assert [len(run.attempts) for run in runs] == [4, 1]
    assert [row["vehicle_id"] for row in rows(city)] == ["v1", "v1"]


def test_a_list_of_stations_that_does_not_exist_costs_no_vehicles(
    city: Publisher,
) -> None:
    """It is listed by gbfs.json and answers 404."""
    list_stations(city, [])
    city.documents["/station_status.json"] = MISSING

    assert (city.fetch().rows, city.fetch().rows) == (1, 1)


@pytest.mark.parametrize("data", [5, True, "stations", [], None])
def test_a_first_status_without_a_list_is_rejected_and_kept(
    city: Publisher, data: object
) -> None:
    """It is no list without stations, whatever it is."""
    publish(city, [vehicle()], stations=[station()])
    city.documents["/station_status.json"] = {"data": data}

    run = city.fetch()

    assert (run.outcome, run.cause) == (Outcome.REJECTED, "shape")
    assert "no data.stations" in run.error
    assert len(rows(city)) == 1


def test_stations_that_come_later_are_collected_within_an_hour(
    city: Publisher,
) -> None:
    """The list was empty when the system was new."""
    list_stations(city, [])
    city.fetch()
    publish(city, [vehicle()], stations=[station("1"), station("2")])
    run = city.fetch(after=3_600)

    assert (run.outcome, run.rows, run.stations) == (Outcome.COLLECTED, 2, 2)
    assert [row["name"] for row in city.stations()] == ["A", "A"]
    assert [row["vehicle_id"] for row in rows(city)] == ["v1"] * 2


def test_without_the_setting_an_empty_list_names_it(tmp_path: Path) -> None:
    """The error names the setting."""
    with publishing(tmp_path) as city:
        list_stations(city, [])
        run = city.fetch()

        assert run.outcome is Outcome.UNAVAILABLE
        assert run.error == (
            f"{city.base}/station_status.json is empty: set `vehicles = true` to "
            "collect the vehicles of this system"
        )


@pytest.mark.parametrize("empty", [None, {}, []])
def test_an_empty_list_of_vehicles_is_read_in_each_form(
    city: Publisher, empty: object
) -> None:
    """Go writes an empty list as null, PHP as an object."""
    publish(city, empty)
    run = city.fetch()

    assert (run.outcome, run.rows) == (Outcome.COLLECTED, 0)


@pytest.mark.parametrize(
    "data",
    [
        {"bikes": {"a": vehicle("v1"), "b": vehicle("v2")}},
        {"vehicles": [], "bikes": [vehicle("v1"), vehicle("v2")]},
        {"vehicles": None, "bikes": [vehicle("v1"), vehicle("v2")]},
    ],
)
def test_vehicles_by_id_or_beside_an_empty_list_are_read(
    city: Publisher, data: object
) -> None:
    """The list that has vehicles is used."""
    publish(city, [])
    city.documents["/free_bike_status.json"] = {"data": data}

    assert city.fetch().rows == 2
