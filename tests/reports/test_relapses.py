"""An incident that relapses is no cause of gaps between its bad slots."""

from pathlib import Path

import pytest
from templates import copied
from world import NOON, World

from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Notice
from bikecollect.core.slots import Slot
from bikecollect.reports.evidence import read_account
from bikecollect.storage.alert_ledger import AlertLedger

START = int(NOON)


def record_full_disk(world: World, after: float, *, is_taken: bool = False) -> None:
    """Record a run, *after* seconds later, that could not write its payload.

    One that *is_taken* from another ledger has no notices.
    """
    world.clock.now += after
    world.uptime += after
    run = world.begin().ended(Outcome.DISK, "ledger", "disk I/O error")
    notices = (Notice("disk", "no space left"), Notice("ledger", "disk I/O error"))
    world.ledger.open()
    world.ledger.record([run if is_taken else run.noticed(*notices)])
    world.ledger.close()


def save_incident(world: World, kind: str, first: int, last: int, slots: int) -> None:
    """Store an incident from the slot *first* to *last*; *slots* of them were bad."""
    opened, latest = Slot(START + 300 * first), Slot(START + 300 * last)
    name = f"{kind}-{opened}"
    incident = Incident(name, kind, opened, latest, None, slots, slots, told=1)
    assert AlertLedger(world.folder / "ledger.sqlite3").save([incident])


def gap_causes(world: World) -> list[tuple[int, int, str]]:
    """Return the first slot, the number of slots and the cause of each gap."""
    system = world.system
    account = read_account(system, now=world.clock.now)
    return [((g.start - START) // 300, g.slots, str(g.cause)) for g in account.gaps]


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world whose disk was full in the slots 2 and 10; cron paused twice."""
    return with_pauses(folder, is_taken=False)


def with_pauses(folder: Path, *, is_taken: bool) -> World:
    """Return the world in *folder*; the runs of the full disk may be *is_taken*."""
    world = World(folder / "city")
    world.fetch({"a": 1})
    world.fetch({"a": 2}, after=300)
    record_full_disk(world, after=300, is_taken=is_taken)
    world.fetch({"a": 3}, after=300)
    world.fetch({"a": 4}, after=900)
    world.fetch({"a": 5}, after=300)
    record_full_disk(world, after=900, is_taken=is_taken)
    world.fetch({"a": 6}, after=300)
    world.clock.now += 60
    return world


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_gap_between_two_full_disks_has_its_own_cause(
    folder: Path, *, is_taken: bool
) -> None:
    """Both bad slots have a run that says so: the other slots had none."""
    world = with_pauses(folder, is_taken=is_taken)
    save_incident(world, "disk", first=2, last=10, slots=2)

    assert gap_causes(world) == [
        (2, 1, "disk"),
        (4, 2, "not-started"),
        (8, 2, "not-started"),
        (10, 1, "disk"),
    ]


def test_a_run_that_could_not_record_itself_is_explained_by_its_incident(
    world: World,
) -> None:
    """The alerts counted six bad slots, the ledger has runs of two of them."""
    save_incident(world, "disk", first=2, last=10, slots=6)

    assert gap_causes(world) == [
        (2, 1, "disk"),
        (4, 2, "disk"),
        (8, 3, "disk"),
    ]
