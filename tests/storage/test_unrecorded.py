"""Incidents are the causes of slots whose runs could not be recorded."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from world import NOON, World

from bikecollect.core.causes import KnownCause
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import Slot
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.runs.unrecorded import causes

START = Slot(int(NOON))
LATER = Slot(START + 3_000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a ledger."""
    world = World(tmp_path / "city")
    with closing(world.ledger):
        world.ledger.open()
    return world


def silencing(
    world: World, kind: str, by_cause: Mapping[str, int], slots: int = 1
) -> list[KnownCause]:
    """Return the causes of unrecorded runs, by an incident from `START` to `LATER`."""
    incident = Incident("i-1", kind, START, LATER, LATER, slots=slots, told=1)
    ledger = AlertLedger(world.folder / "ledger.sqlite3")
    assert ledger.save([incident._replace(causes=by_cause)])
    return causes(History("city", world.folder), START)[1]


@pytest.mark.parametrize(
    ("kind", "outcome", "cause"),
    [
        ("disk", Outcome.DISK, "disk"),
        ("disk", Outcome.DISK, "ledger"),
        ("ledger", Outcome.DISK, "ledger"),
        ("folder", Outcome.SETTINGS, "folder"),
        ("settings", Outcome.SETTINGS, "settings"),
    ],
)
def test_a_run_without_notices_is_of_the_kind_of_its_outcome_or_cause(
    world: World, kind: str, outcome: Outcome, cause: str
) -> None:
    """The only bad slot has a run: the incident explains no slot without one."""
    with closing(world.ledger):
        world.ledger.open()
        world.ledger.record([world.begin().ended(outcome, cause, "an error")])

    assert silencing(world, kind, {cause: 1}) == []
    assert silencing(world, kind, {cause: 2}, slots=2) == [
        KnownCause(kind, START, LATER)
    ]


def test_a_run_that_wrote_is_of_no_kind(world: World) -> None:
    """Nor is one that failed because of the feed."""
    with closing(world.ledger):
        world.ledger.open()
        run = world.begin()
        world.ledger.record([run.ended(Outcome.UNAVAILABLE, "disk", "an error")])

    assert silencing(world, "disk", {"disk": 1}) == [KnownCause("disk", START, LATER)]


@pytest.mark.parametrize(
    ("by_cause", "known"),
    [
        ({"unknown": 2}, [KnownCause("unknown", START, LATER)]),
        ({"older-folder": 2}, [KnownCause("older-folder", START, LATER)]),
        ({"unknown": 2, "file-missing": 1}, []),
        ({"file-missing": 1}, []),
    ],
)
def test_an_incident_with_other_causes_too_is_no_loss_of_slots(
    world: World, by_cause: Mapping[str, int], known: list[KnownCause]
) -> None:
    """It spans slots that were not lost."""
    assert silencing(world, "damage", by_cause) == known


def test_runs_are_lost_since_the_last_one_that_is_packed(world: World) -> None:
    """Packed runs of old days are known; those of later days are not of the past."""
    packed = "INSERT INTO packed_runs VALUES (?, ?, ?, 1, x'', x'')"
    with closing(world.ledger):
        world.ledger.open()
        with world.ledger.transaction() as db:
            db.execute(packed, ("2026-10-01", START - 900, START - 600))
            db.execute(packed, ("2026-12-01", LATER + 300, LATER + 900))

    *_, lost = silencing(world, "ledger", {"runs-lost": 1})

    assert lost == KnownCause("unknown", Slot(START - 599), Slot(START - 1))


@pytest.mark.parametrize(
    ("by_cause", "text", "known"),
    [
        ({"host-off": 4}, "4 x off", [KnownCause("host-off", START, LATER)]),
        ({"asleep": 4}, "4 x off", [KnownCause("asleep", START, LATER)]),
        ({"asleep or not-started": 4}, "4 x off", []),
        ({"host-off": 4}, "most recently: 2 x off", []),
        ({"host-off": 4, "asleep": 2}, "6 x off", []),
        ({"killed": 1}, "killed", []),
    ],
)
def test_slots_told_to_be_without_a_run_are_not_of_the_disk(
    world: World, by_cause: Mapping[str, int], text: str, known: list[KnownCause]
) -> None:
    """If these are all slots from the first to the last: others had runs."""
    missed = Incident("m-1", "missed", START, LATER, LATER, slots=4, told=1, text=text)
    ledger = AlertLedger(world.folder / "ledger.sqlite3")
    assert ledger.save([missed._replace(causes=by_cause)])

    assert silencing(world, "disk", {"disk": 9}, slots=9) == [
        *known,
        KnownCause("disk", START, LATER),
    ]
