"""A day of vehicles: compacted, verified, exported, queried, like one of stations."""

import csv
import errno
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from in_process import bikecollect
from publisher import BEGIN, Publisher, publishing
from vehicles import publish, station, vehicle

from bikecollect.archive import datasets
from bikecollect.archive.query import views
from bikecollect.cli import cli
from bikecollect.core.process import Times
from bikecollect.storage.files import regular_file
from bikecollect.wiring import history

DAY = "city/vehicles/vehicle_status/2026-11-22.csv"
PART = "archive/vehicle_status/system_id=city/date=2026-11-22/part.parquet"
HOURS = 26
LONG_AFTER = BEGIN + 10 * 86_400


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """Return a system with a day of vehicles: some move, some leave, at night none."""
    folder = tmp_path_factory.mktemp("collected")
    with publishing(folder, vehicles=True, interval=3_600) as publisher:
        for hour in range(HOURS):
            publish(publisher, _vehicles(hour), stations=[station()])
            publisher.fetch(after=3_600 * (hour > 0))
        yield publisher


@pytest.fixture
def city(collected: Publisher, tmp_path: Path) -> Publisher:
    """Return a copy of that system, right after its last run."""
    shutil.copytree(collected.folder, tmp_path, dirs_exist_ok=True)
    collected.clock.now = BEGIN + 3_600 * (HOURS - 1) + 2
    publish(collected, _vehicles(HOURS - 1), stations=[station()])
    (tmp_path / "config.toml").write_text(
        f'data_dir = "{tmp_path}"\ninterval = "3600s"\n[systems.city]\n'
        f'feed = "gbfs"\nurl = "{collected.base}/gbfs.json"\n'
        'timezone = "Asia/Taipei"\nvehicles = true\n'
    )
    return replace(collected, folder=tmp_path)


def _vehicles(hour: int) -> list[dict[str, object]]:
    if hour == 3:
        return []
    moved = vehicle('b,"1"', lat=25.0 + hour / 1000, current_fuel_percent=0.5)
    return [vehicle("z", lat=25.123456, station_id="1"), moved, vehicle(f"h{hour}")]


def compact(city: Publisher, *, now: float = LONG_AFTER) -> list[str]:
    """Compact the vehicles; return the result of each day."""
    city.clock.now = now
    times = Times(city.clock, city.clock, city.clock)
    compactor = history.vehicle_compactor(city.settings, "city", times)
    assert compactor is not None
    return [f"{step.day} {step.what} {step.why}".strip() for step in compactor.run()]


def run(city: Publisher, *arguments: str) -> str:
    """Return what the command prints."""
    process = bikecollect("--config", city.folder / "config.toml", *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def exported(city: Publisher) -> str:
    """Return the first day of vehicles as CSV."""
    day = ("--since", "2026-11-22", "--until", "2026-11-22")
    return run(city, "export", "--what", "vehicle_status", *day)


def test_a_removed_csv_of_an_archived_day_is_no_loss(city: Publisher) -> None:
    """Nor is the slot without vehicles, which has no bytes there."""
    soon = BEGIN + 2 * 86_400
    compact(city, now=soon)
    before = exported(city)
    (city.folder / DAY).unlink()

    steps = compact(city, now=soon)

    assert steps == []
    assert exported(city) == before
    assert "all agree" in run(city, "verify")


def test_the_archive_returns_the_bytes_of_the_csv(city: Publisher) -> None:
    """Sorted by slot and vehicle; a slot without vehicles is no row, and no damage."""
    header, *lines = (city.folder / DAY).read_text("utf-8").splitlines(keepends=True)
    rows = list(csv.reader(lines))
    order = sorted(range(len(rows)), key=lambda n: (rows[n][0], rows[n][2].encode()))
    before = header + "".join(lines[n] for n in order)

    first = exported(city)
    steps = compact(city)
    after = exported(city)

    assert steps == [
        "2026-11-22 archived",
        "2026-11-23 archived",
        "2026-11-22 let go",
        "2026-11-23 let go",
    ]
    assert not (city.folder / DAY).exists()
    assert first == before
    assert after == before


def test_verify_certifies_vehicles_before_and_after(city: Publisher) -> None:
    """The digest is that of the export; stations have their own."""

    def certificates() -> dict[str, dict[str, object]]:
        lines = map(json.loads, run(city, "verify", "--format", "json").splitlines())
        return {f"{x['system']} {x['date']}": x for x in lines}

    before = certificates()
    compact(city)
    after = certificates()
    digest = hashlib.sha256(exported(city).encode()).hexdigest()

    assert sorted(before) == [
        "city 2026-11-22",
        "city 2026-11-23",
        "city/vehicles 2026-11-22",
        "city/vehicles 2026-11-23",
    ]
    assert before["city/vehicles 2026-11-22"]["sha256"] == digest
    assert after["city/vehicles 2026-11-22"]["sha256"] == digest


def test_verify_finds_a_flipped_bit_of_a_vehicle(city: Publisher) -> None:
    """In the CSV, and in the archive."""
    path = city.folder / DAY
    good = path.read_bytes()
    path.write_bytes(good.replace(b"25.123456", b"25.123457", 1))
    flipped = bikecollect("--config", city.folder / "config.toml", "verify")
    path.write_bytes(good)
    compact(city)
    part = city.folder / PART
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    archived = bikecollect("--config", city.folder / "config.toml", "verify")

    assert (flipped.returncode, archived.returncode) == (1, 1)
    assert "city/vehicles" in flipped.stdout
    assert "sha256 mismatch" in archived.stdout


def test_a_lost_ledger_of_vehicles_is_named_until_it_is_rebuilt(
    city: Publisher,
) -> None:
    """By `verify`, `status` and all that reads vehicles; by nothing that does not."""
    for path in (city.folder / "city/vehicles").glob("ledger*"):
        path.unlink()
    what = ["--what", "vehicle_status"]
    codes = {"verify": 1, "status": 0, "export": 0}
    calls = [["export", *what], ["query", "FROM vehicle_slots"], *([c] for c in codes)]

    config = city.folder / "config.toml"
    found = [bikecollect("--config", config, *words) for words in calls]

    assert [process.returncode for process in found] == [74, 74, *codes.values()]
    texts = [" ".join((p.stdout + p.stderr).split()) for p in found]
    assert [" fetch city" in text for text in texts] == [True] * 4 + [False]


def test_a_lost_ledger_of_vehicles_is_restored_from_the_archive(
    city: Publisher,
) -> None:
    """Nothing is archived again, nothing is missing."""
    compact(city)
    before = exported(city)
    for path in (city.folder / "city/vehicles").glob("ledger*"):
        path.unlink()
    city.clock.now = BEGIN + 26 * 3_600
    assert "older-copy" not in {notice.kind for notice in city.fetch().notices}

    assert compact(city) == [
        "2026-11-22 restored",
        "2026-11-23 restored",
        "2026-11-23 archived",
        "2026-11-23 let go",
    ]
    assert exported(city) == before


def test_views_join_open_and_archived_days(city: Publisher) -> None:
    """A query reads all days, with their types."""
    compact(city, now=BEGIN + 26 * 3_600)

    with views.connected(city.folder, [history.shown(city.settings, "city")]) as db:
        rows = db.execute(
            "SELECT date, count(*), count(DISTINCT slot), max(lat), max(hour_of_week)"
            " FROM vehicle_status GROUP BY date ORDER BY date"
        ).fetchall()

    values = [(str(day), *rest) for day, *rest in rows]
    assert values == [
        ("2026-11-22", 69, 23, 25.123456, 167),
        ("2026-11-23", 6, 2, 25.123456, 1),
    ]


def test_what_is_summed_up_of_stations_does_not_need_the_vehicles(
    city: Publisher,
) -> None:
    """A damaged day of vehicles is reported by those who read it."""
    sheet = city.folder / DAY
    sheet.write_bytes(sheet.read_bytes().replace(b",h7,", b",h8,"))
    shown = history.shown(city.settings, "city")
    skipped = []
    for table in ("coverage", "profile", datasets.PRESENCE, "vehicle_status"):
        note = partial(lambda table, *_: skipped.append(table), table)
        with views.connected(
            city.folder, [shown], fails_on=(), tables=[table], on_skip=note
        ):
            pass

    assert skipped == ["vehicle_status"]


def test_a_system_without_vehicles_has_an_empty_view(tmp_path: Path) -> None:
    """A query over several systems needs no special case."""
    with publishing(tmp_path) as city:
        publish(city, [], stations=[station()])
        city.fetch()
        with views.connected(tmp_path, [history.shown(city.settings, "city")]) as db:
            rows = db.execute("SELECT vehicle_id, lat FROM vehicle_status").fetchall()

    assert rows == []


def test_a_system_without_stations_is_compacted_and_reported(tmp_path: Path) -> None:
    """Its days are complete; restoring the main ledger invents no stations."""
    with publishing(tmp_path, vehicles=True, interval=3_600) as city:
        publish(city, [vehicle(), vehicle("v2")])
        for hour in range(26):
            city.fetch(after=3_600 * (hour > 0))
        city.clock.now = LONG_AFTER
        times = Times(city.clock, city.clock, city.clock)
        stations = history.compactor(city.settings, "city", times)
        steps = [*stations.run()]
        compact(city)
        (tmp_path / "city/ledger.sqlite3").unlink()
        again = [*history.compactor(city.settings, "city", times).run()]
        with views.connected(tmp_path, [history.shown(city.settings, "city")]) as db:
            vehicles = db.execute("SELECT count(*) FROM vehicle_status").fetchone()
            states = db.execute(
                "SELECT state, count(*) FROM slots WHERE date = '2026-11-22' GROUP BY 1"
            ).fetchall()

    assert [(step.day, step.what, step.rows) for step in steps] == [
        ("2026-11-22", "archived", 0),
        ("2026-11-23", "archived", 0),
    ]
    assert [step.what for step in again] == ["restored", "restored"]
    assert vehicles == (52,)
    assert states == [("collected", 24)]


def test_an_export_of_vehicles_describes_its_columns(
    city: Publisher, tmp_path: Path
) -> None:
    """The data package beside the file has types and units."""
    out = tmp_path / "out" / "vehicles.csv"
    out.parent.mkdir()
    run(city, "export", "--what", "vehicle_status", "--output", str(out))
    (resource,) = json.loads((out.parent / "datapackage.json").read_text())["resources"]
    fields = {field["name"]: field for field in resource["schema"]["fields"]}

    assert resource["schema"]["primaryKey"] == ["slot", "vehicle_id"]
    assert fields["lat"]["type"] == "number"
    assert fields["current_range_meters"]["unit"] == "metres"
    assert next(csv.reader(io.StringIO(out.read_text())))[2] == "vehicle_id"


def test_a_file_that_a_spreadsheet_saved_is_repaired(city: Publisher) -> None:
    """From its checksums, which prove the rows that were only written otherwise."""
    path = city.folder / DAY
    before = path.read_bytes()
    path.write_bytes(before.replace(b",false,", b",FALSE,").replace(b"\n", b"\r\n"))
    shutil.rmtree(city.folder / "city/payloads/kept")

    text = run(city, "verify", "--repair", "city")

    assert "city vehicle_status/2026-11-22.csv: repaired; it has 24 slots now" in text
    assert "all agree" in text
    assert path.read_bytes() == before


def test_a_damaged_block_is_repaired_from_its_payload(city: Publisher) -> None:
    """`verify` names the command, which looks at the vehicles, too."""
    path = city.folder / DAY
    path.write_bytes(path.read_bytes().replace(b"25.123456", b"25.123457", 1))
    before = bikecollect("--config", city.folder / "config.toml", "verify").stdout

    text = run(city, "verify", "--repair", "city")

    assert "verify --repair city" in before
    assert "all agree" in text


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_the_loss_of_a_file_is_accepted_with_its_slot_without_vehicles(
    city: Publisher, harm: Callable[[Path], object]
) -> None:
    """That slot has no bytes to lose; no file is expected for it."""
    harm(city.folder / DAY)

    text = run(city, "forget", "city", "2026-11-22")

    assert text.startswith("city: vehicles: 2026-11-22: 24 lost slots forgotten")
    assert "all agree" in run(city, "verify")


def test_the_loss_of_an_archived_day_is_accepted(
    city: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verify` names the command; the stations of that day are unchanged.

    While this user may not read the archived vehicles, nothing at all is forgotten.
    """
    compact(city)
    stations = city.folder / "city/station_status/2026-11-22.csv"
    aside, opened = (
        stations.rename(stations.with_name("aside")),
        regular_file.open_plain,
    )

    def denied(path: Path) -> Any:
        if path == city.folder / PART:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path)

    config = str(city.folder / "config.toml")
    arguments = ["--config", config, "forget", "city", "2026-11-22"]
    with monkeypatch.context() as patched:
        patched.setattr(regular_file, "open_plain", denied)
        refused = CliRunner().invoke(cli, arguments, standalone_mode=False)
    aside.rename(stations)
    (city.folder / PART).unlink()
    before = bikecollect("--config", city.folder / "config.toml", "verify").stdout

    status = run(city, "status")
    text = run(city, "forget", "city", "2026-11-22")

    assert "Permission denied; nothing is forgotten" in str(refused.exception)
    assert "1 archived day of vehicles (2026-11-22) is missing" in status
    assert "forget city 2026-11-22   (1 finding)" in before
    assert text.startswith("city: vehicles: 2026-11-22: 24 lost slots forgotten")
    assert "all agree" in run(city, "verify", "--repair")
    assert stations.exists()


@pytest.mark.parametrize("is_ledger_lost", [False, True])
def test_a_lost_certificate_is_written_again(
    city: Publisher, *, is_ledger_lost: bool
) -> None:
    """By the ledger, or, if that is lost too, by the files of the day."""
    compact(city)
    before = exported(city)
    folder = city.folder / "archive/vehicle_certificates/system_id=city"
    certificate = folder / "2026-11-22.json"
    values = json.loads(certificate.read_bytes())
    certificate.write_bytes(b"")
    ledgers = (city.folder / "city/vehicles").glob("ledger*" if is_ledger_lost else "-")
    for path in ledgers:
        path.unlink()
    city.fetch(after=3_600)

    compact(city, now=LONG_AFTER + 86_400)

    again = json.loads(certificate.read_bytes())
    assert {**again, "made": 0} == {**values, "made": 0}
    assert exported(city) == before
