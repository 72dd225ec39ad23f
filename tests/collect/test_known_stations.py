"""The cost of known stations depends on the list, not on all stations ever seen."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import status

from bikecollect.collect import station_list
from bikecollect.collect.station_list import MAX_LISTED
from bikecollect.core.payload import Memory
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import Snapshot, StationInformation
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_schema import insert_stations

SLOT = Slot(1_795_276_800)


def about(
    station_id: str, *, name: str = "", listed: bool = True
) -> StationInformation:
    """Return the information on a station in a list."""
    return StationInformation(station_id, name=name or None, is_listed=listed)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a station that stays, two that left, one of them back."""
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    ledger.open()
    versions = [
        (0, about("stays", name="Old")),
        (0, about("left")),
        (0, about("came back")),
        (300, about("left", listed=False)),
        (300, about("came back", listed=False)),
        (600, about("stays", name="New")),
        (600, about("came back", name="Again")),
        (900, about("later")),
    ]
    with ledger.transaction() as db:
        for after, version in versions:
            insert_stations(db, Slot(SLOT + after), [version])
    yield ledger
    ledger.close()


@pytest.mark.parametrize(
    ("after", "names"),
    [
        (0, {"stays": "Old", "left": None, "came back": None, "later": None}),
        (300, {"stays": "Old", "later": None}),
        (600, {"stays": "New", "came back": "Again", "later": None}),
    ],
)
def test_removed_stations_are_not_loaded(
    ledger: Ledger, after: int, names: dict[str, str | None]
) -> None:
    """Each listed station is known by its version at the slot."""
    stations = ledger.stations(Slot(SLOT + after))

    assert {key: station.name for key, station in stations.items()} == names


def test_a_removed_station_is_loaded_by_its_id(ledger: Ledger) -> None:
    """It may be back in the current snapshot, with any characters in its id."""
    stations = ledger.stations(Slot(SLOT + 600), ["left", 'no"body', "'; --"])

    assert stations["left"] == about("left", listed=False)
    assert set(stations) == {"stays", "came back", "left", "later"}


def test_the_next_fetch_knows_the_listed_stations(ledger: Ledger) -> None:
    """Station information is requested again when one returns."""
    assert ledger.recall().station_ids == {"stays", "came back", "later"}


def test_a_ledger_that_nobody_uses_is_read_without_files_beside_it(
    ledger: Ledger,
) -> None:
    """The locks and the shared memory of SQLite would cost more than the reading."""
    ledger.close()

    assert ledger.recall().station_ids == {"stays", "came back", "later"}
    assert [path.name for path in ledger.folder.iterdir()] == ["ledger.sqlite3"]


def test_a_ledger_that_changes_meanwhile_is_read_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read without locks, it may mix pages of two states."""
    ledger.close()
    modes, real = [], Ledger._recalled

    def recalled(self: Ledger, mode: str) -> Memory:
        modes.append(mode)
        memory = real(self, mode)
        os.utime(self.folder / "ledger.sqlite3")
        return memory

    monkeypatch.setattr(Ledger, "_recalled", recalled)

    assert ledger.recall().station_ids == {"stays", "came back", "later"}
    assert modes == ["immutable=1", "mode=ro"]


def test_a_feed_that_makes_up_stations_does_not_make_every_run_slower() -> None:
    """Beyond the limit of the list, new ones have rows, no name, and a notice."""
    known = {f"k{n}": about(f"k{n}") for n in range(MAX_LISTED - 2)}
    listed = tuple(about(f"new{n}") for n in range(5))
    snapshot = Snapshot(
        tuple(status(station.station_id) for station in listed),
        (about("k7", name="Known"), *listed),
        lists_all=True,
    )

    merged = station_list.merge(snapshot, known, {}, SLOT)

    names = [station.station_id for station in merged.information]
    assert names == ["k7", "new0", "new1"]
    assert "5 new ones have rows" in merged.findings["many stations"]


def test_a_list_that_fits_is_complete() -> None:
    """In the first list of a national system all stations are new."""
    listed = tuple(about(f"{n}") for n in range(100_000))

    merged = station_list.merge(Snapshot((), listed, lists_all=True), {}, {}, SLOT)

    assert merged.information == listed
    assert "many stations" not in merged.findings
