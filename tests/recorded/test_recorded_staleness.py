"""No slot of recorded weeks is stale, and a feed that stops is."""

import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from series import SERIES, Documents, bay_wheels, vienna

from bikecollect.collect.reading.staleness import Calibration, Reports, read_reports
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SERIES.exists(), reason="the recorded series are not here"),
]
COUNTS = (None, None, None, None, None, None, None, None, None)


def reports(snapshots: Mapping[float, Documents]) -> Iterator[tuple[float, Reports]]:
    """Yield the reports of *snapshots*, oldest first, with their moments."""
    for moment in sorted(snapshots):
        body = json.loads(snapshots[moment]["/station_status.json"])
        stations = body["data"]["stations"]
        statuses = [
            StationStatus(str(number), *COUNTS, station["last_reported"])
            for number, station in enumerate(stations)
        ]
        read = read_reports(statuses, moment)
        assert read is not None
        yield moment, read


@pytest.mark.parametrize("city", [bay_wheels, vienna])
def test_no_recorded_slot_is_stale_by_its_reports(
    city: Callable[[], Mapping[float, Documents]],
) -> None:
    """A week each; frozen at its end, the city is stale after a quarter of an hour."""
    known: Calibration | None = None
    stale = []
    for moment, read in reports(city()):
        slot = Slot(int(moment) // 300 * 300)
        if known is None:
            known = Calibration.first(read, slot)
        limit = known.limit(read)
        if read.newest < known.newest or (limit is not None and read.age > limit):
            stale.append(moment)
        known = known.after(read, slot, 300)

    assert known is not None
    limit = known.limit(read)
    assert stale == []
    assert known.beats > 900
    assert limit is not None
    assert 900 < limit < 1100
