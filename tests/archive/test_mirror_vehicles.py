"""Vehicles are restored from a mirror like stations: open days and archived ones."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import begun
from mirrored import City, mirrored_city
from publisher import BEGIN, Publisher, publishing
from s3server import Fault, Proxy, environment
from vehicles import publish, station, vehicle
from waiting import wait_until
from world import TAIPEI

from bikecollect.core.slots import DAY, iso
from bikecollect.storage.ledger_reader import History

pytest.importorskip("duckdb")
pytest.importorskip("obstore")
pytest.importorskip("moto")

PAST = BEGIN - 900 * DAY
"""2024-06-05: before today on any machine."""
VEHICLE_CSV = "vehicles/vehicle_status/2024-06-05.csv"
BLOCKS = "SELECT slot, rows, flags FROM blocks ORDER BY slot"


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """Return a publisher of vehicles, with four slots of them collected."""
    folder = tmp_path / "bikes"
    folder.mkdir()
    with publishing(folder, vehicles=True) as publisher:
        publisher.clock.now = PAST
        yield publisher


@pytest.fixture
def city(publisher: Publisher, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the settings of the system, with a mirror."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{publisher.folder}"\n[systems.city]\nfeed = "gbfs"\n'
        f'url = "{publisher.base}/gbfs.json"\ntimezone = "Asia/Taipei"\n'
        "vehicles = true\n"
    )
    return mirrored_city(publisher.folder / "city", config, s3_proxy, tmp_path)


def fetch(publisher: Publisher, slots: int = 4, *, stations: bool = True) -> None:
    """Collect *slots*; in the third no vehicle is listed."""
    for number in range(slots):
        more = {"current_range_meters": 900 + number, "current_fuel_percent": 0.28}
        moved = vehicle(
            'b,"1"', lat=25 + number / 1000, last_reported=int(PAST), **more
        )
        docked = vehicle("z", station_id="1", vehicle_type_id="unknown")
        listed = [] if number == 2 else [moved, docked, vehicle(f"v{number}")]
        publish(publisher, listed, stations=[station()] if stations else [])
        publisher.fetch()


def exported(city: City) -> list[str]:
    """Return the rows of vehicles and of stations, closed and open days."""
    vehicles = city.run("export", "--what", "vehicle_status").stdout
    return [*vehicles.splitlines(), *city.run("export").stdout.splitlines()]


def blocks(city: City) -> list[tuple[Any, ...]]:
    """Return slot, rows and flags of each block of vehicles."""
    history = History("city", city.folder / "vehicles")
    return list(history.select(BLOCKS))


def copied(
    city: City, publisher: Publisher, *, stations: bool = True
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Collect four slots and copy them live; return the rows and the blocks."""
    fetch(publisher, stations=stations)
    city.run("push", "--live")
    return exported(city), blocks(city)


def restore(city: City) -> subprocess.CompletedProcess[str]:
    """Fill the system from its mirror."""
    return city.run("backfill", "city", "--from", city.address)


def test_open_days_are_restored_with_their_vehicles(
    city: City, publisher: Publisher
) -> None:
    """The machine is lost: all rows and all blocks return, also those without rows."""
    before, blocks_before = copied(city, publisher)
    shutil.rmtree(city.data)

    process = restore(city)
    again = restore(city)

    assert process.returncode == 0
    filled = "4 slots filled (4 rows), vehicles of 4 slots filled (9 rows)"
    assert filled in process.stdout
    assert len(before) == 1 + 9 + 1 + 4
    assert exported(city) == before
    assert blocks(city) == blocks_before
    assert "city: nothing to fill" in again.stdout
    assert city.run("verify").returncode == 0


def test_only_vehicles_of_the_range_are_restored(
    city: City, publisher: Publisher
) -> None:
    """Other slots stay missing, for stations and for vehicles."""
    _, before = copied(city, publisher)
    shutil.rmtree(city.data)
    since, until = (iso(slot, TAIPEI)[:16] for slot, *_ in (before[1], before[2]))

    process = city.run(
        *("backfill", "city", "--from", city.address),
        *("--since", since, "--until", until),
    )

    assert process.returncode == 0
    assert blocks(city) == before[1:2]


def test_a_damaged_block_of_vehicles_is_filled_again(
    city: City, publisher: Publisher
) -> None:
    """A changed byte in the file here costs no row, and changes none in the mirror."""
    before, blocks_before = copied(city, publisher)
    path = city.folder / VEHICLE_CSV
    data = path.read_bytes()
    path.write_bytes(data.replace(b",v1,", b",w1,"))
    shutil.rmtree(city.folder / "payloads/2024-06-05", ignore_errors=True)
    pushed = city.run("push", "--live")

    process = restore(city)

    assert f"damaged rows in {VEHICLE_CSV}; " in pushed.stderr
    assert b",v1," in data
    assert "vehicles of 1 slot filled" in process.stdout
    assert exported(city) == before
    assert blocks(city) == blocks_before


def test_archived_days_are_restored_with_their_vehicles(
    city: City, publisher: Publisher
) -> None:
    """A closed day comes from its archive, the open one from the live copy."""
    fetch(publisher)
    archived = city.run("compact", "--csv-days", "0").stdout
    publisher.clock.now += DAY
    fetch(publisher, 1)
    city.run("push", "--live")
    before = exported(city)
    slots = [slot for slot, *_ in blocks(city)]
    files = sorted(path.name for path in city.folder.rglob("vehicle_status/*"))
    shutil.rmtree(city.data)

    process = restore(city)

    assert process.returncode == 0
    named = [line for line in archived.splitlines() if "copied to the mirror" in line]
    days = ["city 2024-06-05", "city/vehicles 2024-06-05"]
    assert [line.partition(":")[0] for line in named] == days
    assert files == ["2024-06-06.csv"]
    assert (len(slots), len(before)) == (5, 1 + 12 + 1 + 5)
    assert exported(city) == before
    assert [slot for slot, *_ in blocks(city)] == slots


def test_a_copied_archive_without_a_ledger_is_taken_over_by_the_remedy(
    city: City, publisher: Publisher, tmp_path: Path
) -> None:
    """On a new machine; one that lost the folder is told of it by `fetch` first.

    A slot in which no vehicle was listed is one that was collected.
    """
    fetch(publisher)
    city.run("compact", "--csv-days", "0")
    before, blocks_before = exported(city), blocks(city)
    shutil.rmtree(city.folder)

    lost = city.run("compact")
    new = {"XDG_STATE_HOME": str(tmp_path / "new")}
    found = city.run("verify", **new)
    process = city.run("compact", **new)

    assert lost.returncode == 74
    assert f"{city.folder} is gone, with all data until now: " in lost.stderr
    assert found.stdout.count("compact city   (1 finding)") == 1
    assert process.stdout.splitlines() == [
        "city 2024-06-05: taken from the archive into the ledger, 4 slots, 4 rows",
        "city/vehicles 2024-06-05: taken from the archive into the ledger, 3 slots, "
        "9 rows",
    ]
    assert exported(city) == before
    assert blocks(city) == blocks_before
    assert city.run("verify").returncode == 0


def test_a_system_of_vehicles_only_is_restored(
    city: City, publisher: Publisher
) -> None:
    """Its vehicles account for the slots again; until then its copy is not replaced."""
    before, blocks_before = copied(city, publisher, stations=False)
    shutil.rmtree(city.data)
    fetch(publisher, 1, stations=False)

    early = city.run("push", "--live")
    process = restore(city)
    late = city.run("push", "--live")

    assert early.returncode == 74
    assert "has 4 slots of vehicles that are missing here; run: " in early.stderr
    assert " (it needs `vehicles = true`); if another host" in early.stderr
    assert process.returncode == 0
    assert [row for row in exported(city) if row in before] == before
    assert [block for block in blocks(city) if block in blocks_before] == blocks_before
    assert late.returncode == 0


def test_a_byte_that_changes_on_the_way_costs_nothing(
    city: City, publisher: Publisher
) -> None:
    """A damaged block is skipped and reported; the next call fills it."""
    before, _ = copied(city, publisher)
    shutil.rmtree(city.data)
    city.proxy.fault = lambda method, path: (
        Fault(flip=True) if method == "GET" and path.endswith(VEHICLE_CSV) else None
    )

    damaged = restore(city)
    partly = exported(city)
    city.proxy.fault = lambda _method, _path: None
    process = restore(city)

    assert damaged.returncode == 0
    assert "vehicles of 3 slots filled" in damaged.stdout
    assert "1 row or block of the other archive is unreadable" in damaged.stdout
    assert len(partly) == len(before) - 3
    assert "city: vehicles of 1 slot filled (3 rows)" in process.stdout
    assert exported(city) == before


def test_a_killed_restoration_is_continued(city: City, publisher: Publisher) -> None:
    """Killed while it writes vehicles: no row is lost, none is there twice."""
    fetch(publisher, 40)
    city.run("push", "--live")
    before = exported(city)
    shutil.rmtree(city.data)
    command = ["--config", city.config, "backfill", "city", "--from", city.address]
    cache = str(city.data.parent / "cache")
    env = environment(city.proxy.url) | {"XDG_CACHE_HOME": cache}
    process = begun(*command, **env)
    day = city.folder / VEHICLE_CSV

    try:
        wait_until(day.exists, "vehicles are written")
    finally:
        process.kill()
    restored = restore(city)

    assert restored.returncode == 0
    assert exported(city) == before
    assert city.run("verify").returncode == 0


def test_a_lost_day_of_vehicles_is_put_back_by_the_command_that_compact_names(
    city: City, publisher: Publisher
) -> None:
    """The mirror has it; the day of stations is there, and stays as it was."""
    fetch(publisher)
    city.run("compact", "--csv-days", "0")
    before = exported(city)
    (part,) = city.data.glob("archive/vehicle_status/*/*/part.parquet")
    part.unlink()

    process = city.run("compact")
    command = process.stderr.partition("from the mirror: ")[2].partition("; else ")[0]
    city.run(*command.split(f"{city.config} ")[1].split())

    assert process.returncode == 74
    assert "1 archived day of vehicles (2024-06-05) is missing" in process.stderr
    assert exported(city) == before
