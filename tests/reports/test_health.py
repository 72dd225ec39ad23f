"""The health of a system, derived from its history."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from world import World

from bikecollect.core.errors import FeedUnavailable, Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Result, Run
from bikecollect.core.slots import Slot, SlotState, state_of
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.coverage import Coverage
from bikecollect.reports.evidence import read_account, slot_rows
from bikecollect.reports.health import Past, judge
from bikecollect.reports.status import survey
from bikecollect.reports.status_facts import verdict
from bikecollect.storage.data_folder import MARKER, SystemFolder
from bikecollect.storage.files.marker import text_of
from bikecollect.storage.lock import Lock

GRID = Grid.of(300)

TAIPEI, BERLIN = ZoneInfo("Asia/Taipei"), ZoneInfo("Europe/Berlin")
NOON = int(datetime(2026, 11, 22, 12, 0, tzinfo=TAIPEI).timestamp())


def run(started: float) -> Run:
    """Return a run that began at *started* and went well."""
    result = Result(Outcome.COLLECTED)
    return Run("0000000a", "city", Slot(NOON), started, result=result)


def past(first: int, until: int, without: frozenset[int] = frozenset()) -> Past:
    """Return a history whose slots from *first* to before *until* are all filled."""
    slots = {Slot(second) for second in range(first, until, 300)} - without
    filled = dict.fromkeys(slots, SlotState.COLLECTED)
    newest = max(filled, default=None)
    last = None if newest is None else run(newest + 2.0)
    return Past(Slot(first), filled, newest=newest, last_run=last)


def test_today_begins_with_the_slot_of_midnight() -> None:
    """From 00:00 to before 12:00 are 144 slots, the first one included."""
    midnight = NOON - 12 * 3600

    health = judge(past(midnight - 86_400, NOON), NOON + 5, GRID, TAIPEI)

    assert health.coverage["today"] == Coverage(144, 144)


def test_a_lost_slot_costs_coverage_and_shows_in_the_strip() -> None:
    """One of 144 is missing, and its position is marked."""
    lost = Slot(NOON - 3600)

    health = judge(past(NOON - 86_400, NOON, frozenset({lost})), NOON, GRID, TAIPEI)

    assert health.coverage["today"] == Coverage(144, 143)
    assert dict(health.strip)[lost] is SlotState.MISSING


def test_days_of_23_and_25_hours_have_their_own_number_of_slots() -> None:
    """At 23:55 on the days when summer time begins and ends (fault 78)."""
    short = datetime(2026, 3, 29, 23, 55, tzinfo=BERLIN).timestamp()
    long = datetime(2026, 10, 25, 23, 55, tzinfo=BERLIN).timestamp()
    first = int(short) - 40 * 86_400

    spring = judge(past(first, int(short)), short, GRID, BERLIN)
    autumn = judge(past(first, int(long)), long, GRID, BERLIN)

    assert spring.coverage["today"] == Coverage(23 * 12 - 1, 23 * 12 - 1)
    assert autumn.coverage["today"] == Coverage(25 * 12 - 1, 25 * 12 - 1)


def test_nothing_is_expected_from_before_the_first_run() -> None:
    """A system that is two hours old has full coverage of a month."""
    health = judge(past(NOON - 7200, NOON), NOON, GRID, TAIPEI)

    assert health.coverage["30d"] == Coverage(24, 24)
    assert health.strip[0][1] is SlotState.BEFORE


def test_a_month_is_counted_from_its_first_moment() -> None:
    """7 and 30 days of five minutes each."""
    health = judge(past(NOON - 31 * 86_400, NOON), NOON, GRID, TAIPEI)

    assert health.coverage["7d"] == Coverage(2016, 2016)
    assert health.coverage["30d"] == Coverage(8640, 8640)


def test_the_strip_has_a_day_and_ends_with_the_slot_that_is_due() -> None:
    """288 slots; the current one is not missing while its run may go on."""
    health = judge(past(NOON - 2 * 86_400, NOON), NOON + 20, GRID, TAIPEI)

    assert len(health.strip) == 288
    assert health.strip[-1] == (NOON, SlotState.DUE)
    assert health.strip[-2] == (NOON - 300, SlotState.COLLECTED)
    assert health.next_slot == NOON + 300


@pytest.mark.parametrize("seconds", [0, 20, 200, 299, 300, 599, 600, 900])
def test_the_strip_counts_as_coverage_does(seconds: int) -> None:
    """A slot is missing once it is over: no figure beside the strip contradicts it."""
    health = judge(past(NOON - 3_600, NOON), NOON + seconds, GRID, TAIPEI)

    states = [state for _, state in health.strip]
    missing = states.count(SlotState.MISSING)
    assert health.coverage["today"].missing == missing == seconds // 300


def test_today_does_not_have_the_first_slot_of_tomorrow() -> None:
    """A scheduler may fire a moment before midnight, and the run may end before it."""
    midnight = Slot(NOON + 12 * 3_600)
    health = judge(past(NOON, midnight + 300), midnight - 2.0, GRID, TAIPEI)

    assert health.coverage["today"] == Coverage(144, 144)
    assert health.coverage["7d"] == Coverage(145, 145)


def test_stale_and_partial_slots_are_distinguished() -> None:
    """Partial takes precedence over stale."""
    assert state_of("stale") is SlotState.STALE
    assert state_of("late short") is SlotState.PARTIAL
    assert state_of("partial stale") is SlotState.PARTIAL
    assert state_of("late") is SlotState.COLLECTED


@pytest.mark.parametrize(
    ("stale", "words"), [(2, "all is well"), (3, "collects, but old data")]
)
def test_a_few_stale_slots_are_no_more_well(stale: int, words: str) -> None:
    """The incident about them opens after an hour; a slot to come says nothing."""
    known = past(NOON - 86_400, NOON)
    states = dict(known.blocks)
    states |= dict.fromkeys(sorted(states)[-stale:], SlotState.STALE)

    health = judge(replace(known, blocks=states), NOON + 5, GRID, TAIPEI)

    assert health.strip[-1] == (NOON, SlotState.DUE)
    assert verdict(health, TAIPEI).text == words


def test_a_feed_that_is_asked_more_often_than_it_changes_is_well() -> None:
    """Each minute, where it has a new stamp every five."""
    strip = [(Slot(NOON - 60 * n), SlotState.STALE) for n in (4, 3, 2, 1)]
    health = judge(past(NOON - 86_400, NOON), NOON + 5, GRID, TAIPEI)

    assert not replace(health, strip=strip, interval=60).has_old_data
    assert replace(health, strip=strip, interval=300).has_old_data
    assert not replace(health, strip=strip[-2:], interval=3_600).has_old_data


def test_one_lost_slot_is_not_late_and_two_are() -> None:
    """Runs start in time and fill nothing: late after two intervals and a minute."""
    newest = Slot(NOON - 300)
    tried = Past(
        newest,
        {newest: SlotState.COLLECTED},
        newest=newest,
        last_run=run(newest + 602.0),
    )

    assert not judge(tried, newest + 660, GRID, TAIPEI).late
    assert judge(tried, newest + 661, GRID, TAIPEI).late
    assert judge(tried, newest + 661, GRID, TAIPEI).silent is None


def test_a_stopped_cron_is_late() -> None:
    """A block that a backfill has just written does not hide it."""
    old = Past(
        Slot(0),
        {Slot(NOON): SlotState.COLLECTED},
        newest=Slot(NOON),
        last_run=run(NOON - 900),
    )

    health = judge(old, NOON + 10, GRID, TAIPEI)

    assert health.silent == 910
    assert health.late


def test_a_system_without_a_past_is_new_and_expects_nothing() -> None:
    """Nothing was collected: no share, no age, and no problem."""
    health = judge(Past(None, {}), NOON, GRID, TAIPEI)

    assert health.is_new
    assert not health.late
    assert judge(Past(None, {}, is_known=True), NOON, GRID, TAIPEI).late
    assert (health.behind, health.silent, health.last_run) == (None, None, None)
    assert health.coverage["today"].ratio is None


def test_an_open_incident_is_trouble_without_being_late() -> None:
    """All slots are there, and a person should still look."""
    incident = Incident("i", "disk", Slot(NOON), Slot(NOON), None, 1, 0, 1)
    well = past(NOON - 7200, NOON + 300)
    past_ = Past(well.first, well.blocks, (), well.last_run, well.newest, [incident])

    health = judge(past_, NOON + 10, GRID, TAIPEI)

    assert (health.late, health.in_trouble) == (False, True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (FeedUnavailable("no answer"), Coverage(3, 2)),
        (b"[]", Coverage(3, 2)),
        (None, Coverage(2, 2)),
    ],
    ids=["unavailable", "rejected", "none"],
)
def test_a_slot_that_was_lost_counts_at_once_wherever_coverage_is_shown(
    tmp_path: Path, answer: bytes | FeedUnavailable | None, expected: Coverage
) -> None:
    """With the end of its run, not of the slot: nothing shows 100 % until then.

    While its run goes on, or before it begins, the slot is not yet due.
    """
    world = World(tmp_path / "city")
    for after in (0, 300):
        world.fetch({"a": 1}, after=after)
    world.clock.now += 300
    if answer is not None:
        world.feed.answer = answer
        world.fetch()
    system, now = SystemFolder("city", world.folder, TAIPEI, 300), world.clock.now + 5

    health = survey(system, now=now).health

    assert health.coverage == dict.fromkeys(("today", "7d", "30d"), expected)
    assert read_account(system, now=now).total == expected
    rows = slot_rows(system, Slot(NOON), Slot(int(now) + 300), clock=lambda: now)
    assert len(rows) == expected.expected
    last = SlotState.DUE if answer is None else SlotState.MISSING
    assert health.strip[-1] == (NOON + 600, last)


def test_a_payload_that_waits_has_not_lost_its_slot(tmp_path: Path) -> None:
    """The next run commits it: it is not yet due."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    with Lock(world.folder / "lock", patience=0.0).held():
        deferred = world.fetch({"a": 1}, after=300)
    system, now = SystemFolder("city", world.folder, TAIPEI, 300), world.clock.now + 5

    assert deferred.outcome is Outcome.DEFERRED
    assert survey(system, now=now).health.coverage["today"] == Coverage(1, 1)
    assert read_account(system, now=now).total == Coverage(1, 1)


def test_a_system_that_is_over_ends_with_its_last_slot(tmp_path: Path) -> None:
    """In the status, the account and the slots of the archive; a lost slot counts.

    A demo is over, and a system of which a person has said that it was stopped.
    """
    world = World(tmp_path / "city")
    for after in (0, 300, 600):
        world.fetch({"a": 1}, after=after)
    now = world.clock.now + 3 * 86_400 + 7
    going_on = world.system
    demo = SystemFolder("city", world.folder, TAIPEI, 300, is_demo=True)

    health = survey(demo, now=now).health

    expected = Coverage(4, 3)
    assert survey(going_on, now=now).health.coverage["30d"].expected == 867
    (world.folder / MARKER).write_bytes(text_of("city") + b"stopped\n")
    stopped = survey(going_on, now=now).health
    assert (stopped.coverage, stopped.late) == (health.coverage, False)
    assert (stopped.is_demo, health.is_demo) == (False, True)
    assert read_account(going_on, now=now).total == expected
    assert health.coverage == dict.fromkeys(("today", "7d", "30d"), expected)
    assert read_account(demo, now=now).total == expected
    rows = slot_rows(demo, Slot(NOON), Slot(int(now)), clock=lambda: now)
    assert [row[0] - NOON for row in rows] == [0, 300, 600, 900]
    assert [state.value for _, state in health.strip[-3:]] == [
        "collected",
        "missing",
        "collected",
    ]
    assert not health.late

    world.ledger.open()  # `forget` of its day: no slot is collected, all are expected
    with world.ledger.transaction() as db:
        db.execute("DELETE FROM blocks")
    world.ledger.close()
    assert survey(demo, now=now).health.coverage["30d"] == Coverage(4, 0)
    assert read_account(demo, now=now).total == Coverage(4, 0)
