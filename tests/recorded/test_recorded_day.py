"""A recorded day of Taipei, collected through HTTP, value for value."""

import csv
import json
import tarfile
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from served import Answer, serving

from bikecollect.core.process import Stop
from bikecollect.core.slots import iso, slot_at
from bikecollect.setup.loader import parse
from bikecollect.wiring.collection import collect

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SERIES = DATA / "derived" / "youbike2_taipei_gen3_rebuilt_json__20251022_UTC.tar.xz"
pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series is not here"
)


def test_every_value_of_the_recorded_day_is_in_the_csv(tmp_path: Path) -> None:
    """98 snapshots through client, inbox, files and ledger: each value is equal."""
    body = b""
    expected: list[tuple[str, ...]] = []
    with serving(lambda _: Answer(body)) as url, tarfile.open(SERIES) as series:
        system = {"feed": "youbike", "url": url, "timezone": "Asia/Taipei"}
        settings = parse(
            {"data_dir": str(tmp_path / "data"), "systems": {"taipei": system}}
        )
        zone = settings.zones()["taipei"]
        for member in series:
            file = series.extractfile(member)
            assert file is not None
            body, now = file.read(), member.mtime
            clock = partial(float, now)
            (run,) = collect(settings, clock=clock, stop=Stop())
            assert run.exit_code == 0
            slot = iso(slot_at(now, 300), zone)
            expected += [_row(slot, station) for station in json.loads(body)]

    collected: list[tuple[str, ...]] = []
    for path in sorted((tmp_path / "data/taipei/station_status").iterdir()):
        with path.open(encoding="utf-8", newline="") as opened:
            collected += [_cells(row) for row in csv.DictReader(opened)]
    assert len(expected) > 160_000
    assert collected == expected


def _row(slot: str, station: dict[str, object]) -> tuple[str, ...]:
    reported = datetime.fromisoformat(f"{station['infoTime']}+08:00").isoformat()
    return (
        slot,
        str(station["sno"]),
        str(station["available_rent_bikes"]),
        str(station["available_return_bikes"]),
        str(station["Quantity"]),
        "true" if station["act"] == "1" else "false",
        reported,
    )


def _cells(row: dict[str, str]) -> tuple[str, ...]:
    return (
        row["slot"],
        row["station_id"],
        row["num_vehicles_available"],
        row["num_docks_available"],
        row["capacity"],
        row["is_renting"],
        row["last_reported"],
    )
