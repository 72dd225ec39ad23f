"""A row for each system: its status, the last hours, the counts of its newest slot."""

from pathlib import Path

import pytest
from world import World

from bikecollect.app.queries import current
from bikecollect.app.queries.systems import NewestCounts, newest_counts, rows_of
from bikecollect.reports.status import survey
from bikecollect.reports.status_facts import by_trouble
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.facts.system import system_folder


def folder_of(world: World) -> SystemFolder:
    """Return the folder of *world*."""
    return system_folder(
        world.folder,
        timezone="Asia/Taipei",
        interval=300,
        columns=["occupancy"],
        now=world.clock.now,
    )


@pytest.fixture
def world(folder: Path) -> World:
    """Return a system with two slots."""
    world = World(folder / "city")
    world.fetch({"a": 9, "b": 9}, after=300)
    world.fetch({"a": 0, "b": 5, "c": 2}, after=300)
    return world


def test_the_newest_block_is_counted_from_its_file(world: World) -> None:
    """Three stations, seven bikes, one station without any."""
    counts = newest_counts(folder_of(world))

    assert counts[:3] == (3, 7, 1)


def test_hours_before_the_first_slot_have_their_place(world: World) -> None:
    """The hour of a young history is one of a day's, not a bar as wide as the day."""
    standing = survey(folder_of(world), now=world.clock.now)

    (row,) = rows_of([standing], {})

    assert len(row.hours) >= 24
    assert [share for share in row.hours if share] == [1]
    assert row.hours[0] == 0


def test_unknown_docks_are_not_full(world: World) -> None:
    """A feed that does not publish free docks has no full stations."""
    path = next(world.folder.glob("station_status/*.csv"))
    text = path.read_text("utf-8")
    path.write_text(text.replace(",2,,,", ",0,,,"), encoding="utf-8")

    assert newest_counts(folder_of(world)).full is None


def test_without_its_daily_file_the_counts_are_unknown(world: World) -> None:
    """It was archived, or lost: nothing is made up."""
    next(world.folder.glob("station_status/*.csv")).unlink()

    assert newest_counts(folder_of(world)) == NewestCounts()


def test_systems_in_trouble_come_first(world: World, folder: Path) -> None:
    """Late ones before all others, in the order of the settings."""
    other = World(folder / "valley")
    other.fetch({"a": 1})
    late = survey(folder_of(world), now=world.clock.now + 7_200)
    well = survey(folder_of(other), now=other.clock.now)

    rows = rows_of([well, late], {"city": NewestCounts(3, 7, 1, 0)})

    assert [row.system for row in rows] == ["city", "valley"]
    assert [row.in_trouble for row in rows] == [True, False]
    assert rows[0].counts.bikes == 7
    assert [s.system_id for s in by_trouble([well, late])] == ["city", "valley"]


def test_systems_are_those_of_the_settings_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the app runs; invalid settings are reported, and those from before stay."""
    config = folder.parent / "bikecollect.toml"
    table = '[systems.{}]\nfeed = "gbfs"\nurl = "http://h/g"\ntimezone = "UTC"\n'
    config.write_text(table.format("harbour"), encoding="utf-8")
    monkeypatch.setenv("BIKECOLLECT_CONFIG", str(config))
    current.data_service.cache_clear()
    service = current.data_service()
    before = service.state("harbour")
    assert current.refresh() == ""
    assert service.state("harbour") == before

    config.write_text(table.format("harbour") + "[systems", encoding="utf-8")
    problem = current.refresh()
    assert current.refresh() == problem
    kept = list(service.settings.systems)
    config.write_text(table.format("valley"), encoding="utf-8")

    assert "bikecollect.toml is not TOML" in problem
    assert [record.getMessage() for record in caplog.records] == [
        f"the settings from before remain in use: {problem}"
    ]  # once: visitors of a public app see nothing
    assert (kept, current.refresh()) == (["harbour"], "")
    assert list(service.settings.systems) == ["valley"]
    assert service.state("harbour") != before
    current.data_service.cache_clear()
