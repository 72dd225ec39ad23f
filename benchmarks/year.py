"""Make a simulated year of a city in a data folder: python benchmarks/year.py FOLDER.

It ends with yesterday; of today there is a CSV, up to now. The archive is written day
by day with the very options and summaries of `compact`; the rows come from SQL that
does what `bikecollect.simulator.city` does (a Python loop over 168 million rows would
take an hour). The ledger has a run and a block for each slot.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect.archive import datasets, parquet, summaries
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.slots import DAY, Slot, bounds, day_of
from bikecollect.core.snapshot import StationInformation, StationStatus
from bikecollect.core.timeline.facts import SystemFact
from bikecollect.simulator.city import City
from bikecollect.storage.csv_format import (
    DERIVED,
    Format,
    information_header,
    information_lines,
)
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import MARKER, SystemFolder
from bikecollect.storage.facts import facts_file
from bikecollect.storage.files.durable import make_folder
from bikecollect.storage.files.marker import MARK
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ZONE = ZoneInfo("Asia/Taipei")
OFFSET = 28_800
INTERVAL = 300
STATIONS = 1_600
DAYS = 365
TODAY = (int(time.time()) + OFFSET) // DAY * DAY - OFFSET
FIRST = TODAY - DAYS * DAY
SYSTEM = "city"
OFF_DAY, OFF = 17, (20, 70)
"""Of each 30 days, one on which the host is off in these slots."""
LOST = 5
"""Slots of a thousand that the network loses."""

ROWS = """
WITH slots AS (
    SELECT slot FROM grid WHERE slot >= {begin} AND slot < {end}
), moved AS (
    SELECT s.slot, p.*, (s.slot + 2 + p.salt % p.length) // p.length AS step
    FROM slots AS s CROSS JOIN places AS p
), noisy AS (
    SELECT *, step * length - salt % length AS changed,
        (hash(salt * 1000003 + step) >> 32) / 4294967296.0 AS noise
    FROM moved
), timed AS (
    SELECT *, (changed + {offset} + phase) % 86400 AS local,
        CASE WHEN ((changed + {offset}) // 86400 + 3) % 7 >= 5
            THEN 0.3 ELSE 1.0 END AS most
    FROM noisy
), shared AS (
    SELECT *, 0.5 + (work - 0.5) * (2 * most * (
        1 / (1 + exp(-(local - 29880) / 1800)) - 1 / (1 + exp(-(local - 66240) / 2880))
        ) - 0.6) * 0.9 * busy + (noise - 0.5) * 0.25 AS share
    FROM timed
), counted AS (
    SELECT *,
        CAST(LEAST(usable, GREATEST(0, round(share * usable))) AS INTEGER) AS bikes
    FROM shared
)
SELECT slot, slot + 2 AS fetched_at, station_id, bikes AS num_vehicles_available,
    bikes // 5 AS num_ebikes_available, usable - bikes AS num_docks_available,
    CAST(NULL AS INTEGER) AS num_vehicles_disabled,
    CAST(NULL AS INTEGER) AS num_docks_disabled, capacity,
    CAST(NULL AS BOOLEAN) AS is_installed, active AS is_renting,
    active AS is_returning, CAST(changed AS BIGINT) AS last_reported,
    true AS occupancy_is_derived,
    CAST((slot + {offset}) % 86400 // 60 AS SMALLINT) AS minute_of_day,
    CAST(((slot + {offset}) // 86400 + 3) % 7 * 24 + (slot + {offset}) % 86400 // 3600
        AS SMALLINT) AS hour_of_week
FROM counted ORDER BY station_id, slot
"""


def missing(slot: int) -> str:
    """Return why *slot* was not collected, empty where it was: about 1 %."""
    day = (slot - FIRST) // DAY
    if day % 30 == OFF_DAY and OFF[0] <= (slot - FIRST) % DAY // INTERVAL < OFF[1]:
        return "host-off"
    lost = (slot // INTERVAL * 2_654_435_761) % 1000 < LOST
    return "network: timeout" if lost else ""


def main() -> None:
    """Make the year, and say how long it took."""
    data = Path(sys.argv[1])
    place = data / SYSTEM
    make_folder(place)
    (place / MARKER).write_bytes(MARK)
    began = time.monotonic()
    db = duckdb_engine.connect(data / "spill", memory="2GB", threads=2)
    _city(db, data)
    archived = [_day(db, data, number) for number in range(DAYS)]
    now = int(time.time())
    _ledger(place, archived, now)
    _information(place)
    write_sheet(place, TODAY, now)
    facts = (SystemFact(0, str(ZONE), INTERVAL, ("occupancy",)),)
    facts_file.record(SystemFolder(SYSTEM, place, ZONE, INTERVAL, facts))
    (data.parent / "bikecollect.toml").write_text(
        f'data_dir = "{data.name}"\n[systems.{SYSTEM}]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    sys.stdout.write(f"a year in {time.monotonic() - began:.0f} s\n")


def _city(db: "DuckDBPyConnection", data: Path) -> None:
    columns = {
        "station_id": "VARCHAR",
        "capacity": "INTEGER",
        "usable": "INTEGER",
        "active": "BOOLEAN",
        "work": "DOUBLE",
        "phase": "DOUBLE",
        "busy": "DOUBLE",
        "salt": "BIGINT",
        "length": "BIGINT",
    }
    rows = (
        (
            *(p.station_id, p.capacity, p.capacity - (p.salt % 7 == 0)),
            *(p.salt % 97 != 0, p.work, p.phase, p.busy, p.salt),
            int(240 + 1500 * (1 - p.busy)),
        )
        for p in City(STATIONS).places
    )
    data.mkdir(exist_ok=True)
    duckdb_engine.load(db, "places", columns, rows)
    slots = range(FIRST, FIRST + DAYS * DAY, INTERVAL)
    present = ((slot,) for slot in slots if not missing(slot))
    duckdb_engine.load(db, "grid", {"slot": "BIGINT"}, present)


def _day(db: "DuckDBPyConnection", data: Path, number: int) -> tuple[object, ...]:
    day = day_of(Slot(FIRST + number * DAY), ZONE)
    begin, end = bounds(day, ZONE)
    files = {name: datasets.part(data, name, SYSTEM, day) for name in datasets.DATASETS}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    rows = ROWS.format(begin=begin, end=end, offset=OFFSET)
    parquet.copy_smallest(db, rows, files[datasets.STATUS])
    keys = f"'{SYSTEM}' AS system_id, 0 AS date"
    source = duckdb_engine.parquet(files[datasets.STATUS])
    db.execute(f"CREATE OR REPLACE VIEW rows AS SELECT {keys}, * FROM {source}")
    for name, columns, values in (
        ("slot_values", datasets.SLOTS, _slots(begin, end)),
        ("run_values", datasets.RUNS, ()),
    ):
        db.execute(f"DROP TABLE IF EXISTS {name}")
        duckdb_engine.load(db, name, columns, values)
    db.execute(f"CREATE OR REPLACE VIEW day_slots AS SELECT {keys}, * FROM slot_values")
    plain = "SELECT * EXCLUDE (system_id, date) FROM ({}) AS s ORDER BY station_id{}"
    small = parquet.SMALL
    _copy(db, "SELECT * FROM slot_values ORDER BY slot", files["slots"], small)
    _copy(db, "SELECT * FROM run_values", files["runs"], small)
    coverage = plain.format(summaries.coverage_file(INTERVAL), "")
    _copy(db, coverage, files["coverage"], small)
    profile = plain.format(summaries.profile(), ", hour_of_week")
    _copy(db, profile, files["profile"], parquet.PROFILE)
    slots = sum(not missing(slot) for slot in range(begin, end, INTERVAL))
    parts: dict[str, dict[str, object]] = {
        name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for name, path in files.items()
    }
    for name in summaries.NEW_COLUMN:
        parts[name]["format"] = summaries.FORMAT
    texts = ("0" * 64, "Asia/Taipei", float(end), 1, json.dumps(parts))
    return (day, slots * STATIONS, slots, *texts)


def _copy(db: "DuckDBPyConnection", sql: str, path: Path, options: str) -> None:
    target = duckdb_engine.text(str(path))
    db.execute(f"COPY ({sql}) TO {target} ({options})")


def _slots(begin: int, end: int) -> Iterator[tuple[object, ...]]:
    for slot in range(begin, end, INTERVAL):
        local = slot + OFFSET
        minute = local % DAY // 60
        head = (slot, minute, (local // DAY + 3) % 7 * 24 + minute // 60)
        if why := missing(slot):
            yield (*head, "missing", why, 0, "", "", None, None, "", "")
        else:
            more = ("", "fetch", slot + 2, None, f"{slot:064x}", f"{slot:08x}")
            yield (*head, "collected", "", STATIONS, *more)


def write_sheet(place: Path, begin: int, end: int) -> None:
    """Write the CSV of the day that starts at *begin*, up to *end*, as `fetch` does."""
    city, form = City(STATIONS), Format(ZONE, (DERIVED["occupancy"],))
    (place / "station_status").mkdir(exist_ok=True)
    name = f"station_status/{day_of(Slot(begin), ZONE)}.csv"
    with (place / name).open("wb") as out:
        out.write(form.header)
        for slot in range(begin, end, INTERVAL):
            rows = [
                StationStatus(
                    *(s.place.station_id, s.bikes, s.ebikes, s.docks, None, None),
                    *(s.place.capacity, None, s.active, s.active, s.reported),
                )
                for s in city.at(slot + 2)
            ]
            out.write(form.block(Slot(slot), slot + 2, rows, {}).text)
    ledger, store = Ledger(place / "ledger.sqlite3"), Store(place)
    ledger.open()
    Recovery(Payloads(place / "payloads"), store, ledger, form.zone).recover_files()
    ledger.close()


def _ledger(place: Path, archived: list[tuple[object, ...]], now: int) -> None:
    ledger = Ledger(place / "ledger.sqlite3")
    ledger.open()
    runs, blocks = [], []
    for slot in range(FIRST, now, INTERVAL):
        why = missing(slot) if slot < TODAY else ""
        if why == "host-off":
            continue
        boot, uptime = f"boot-{(slot - FIRST) // (30 * DAY)}", float(slot - FIRST + 900)
        file = f"station_status/{day_of(Slot(slot), ZONE)}.csv"
        how = ("unavailable", "timeout") if why else ("collected", "")
        runs.append(
            (
                *(f"{slot:08x}", slot, slot + 1.0, slot + 2.0, *how, 200, 1, 400_000),
                *(STATIONS, STATIONS, "", file, '{"fetch": 0.4, "append": 0.01}', 1),
                *(boot, uptime, "0.1.0", "", "[]", "[]", uptime),
            )
        )
        if not why and slot < TODAY:
            span = (file, 0, 0, 0, STATIONS, f"{slot:064x}", slot + 2.0, slot)
            blocks.append((slot, *span, f"{slot:08x}", uptime, boot, "fetch", ""))
    with ledger.transaction() as db:
        for table, rows in (("runs", runs), ("blocks", blocks), ("archives", archived)):
            marks = ", ".join("?" * len(rows[0]))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    ledger.close()


def _information(place: Path) -> None:
    areas = ("Harbour", "Bamboo", "North Hill", "Workshops")
    stations = [
        StationInformation(
            station_id=p.station_id,
            name=p.name,
            lat=p.lat,
            lon=p.lon,
            capacity=p.capacity,
            region=areas[p.area],
            name_en=p.name_en,
        )
        for p in City(STATIONS).places
    ]
    text = information_header() + information_lines(Slot(FIRST), ZONE, stations)
    (place / "station_information.csv").write_bytes(text)


if __name__ == "__main__":
    main()
