"""Every expected slot has a state, and every gap a cause."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bikecollect.core.blocks import Block
from bikecollect.core.causes import DOUBTED, SeenRun, SeenRuns, meaning
from bikecollect.core.slots import Slot, SlotState, local_days
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.coverage import (
    Evidence,
    Judged,
    account,
    gaps,
    judge,
    with_others,
)

GRID = Grid.of(300)

VIENNA = ZoneInfo("Europe/Vienna")


def run(
    slot: int, outcome: str = "collected", cause: str = "", **more: float
) -> SeenRun:
    """Return a run of the boot "a" that began with its *slot*."""
    uptime = more.get("uptime", 50_000.0 + slot)
    awake = more.get("awake", uptime)
    return SeenRun(Slot(slot), slot + 1.0, outcome, cause, "a", uptime, awake)


def block(slot: int, flags: str = "") -> Block:
    """Return a block."""
    return Block(Slot(slot), rows=1, flags=flags)


def causes(evidence: Evidence, since: int, until: int) -> list[str]:
    """Return the cause of each slot, empty for a collected one."""
    return [judged.cause for judged in judge(evidence, GRID, Slot(since), Slot(until))]


ENDED = [
    ("unavailable", "timeout", "network: timeout"),
    ("unavailable", "http-503", "http-503"),
    ("rejected", "drift", "rejected: drift"),
    ("rate-limited", "rate-limited", "rate-limited"),
    ("credentials", "credentials", "credentials"),
    ("protocol", "tls", "protocol: tls"),
    ("deferred", "lock", "lock"),
    ("deferred", "ledger-busy", "lock"),
    ("disk", "disk", "disk"),
    ("disk", "ledger", "ledger"),
    ("settings", "not-mounted", "not-mounted"),
    ("settings", "settings", "settings"),
    ("killed", "killed", "killed"),
    ("interrupted", "signal", "interrupted"),
    ("bug", "bug", "bug"),
    ("collected", "", "damaged"),
]


@pytest.mark.parametrize(("outcome", "cause", "wanted"), ENDED)
def test_a_run_without_a_block_has_a_cause(
    outcome: str, cause: str, wanted: str
) -> None:
    """Each outcome has its cause."""
    evidence = Evidence(Slot(0), [run(0, outcome, cause)])

    assert causes(evidence, 0, 300) == [wanted]


def test_of_two_runs_the_last_one_counts() -> None:
    """A slot tried again is judged by the second run."""
    evidence = Evidence(
        Slot(0), [run(0, "killed"), run(0, "unavailable", "dns", uptime=60_000.0)]
    )

    assert causes(evidence, 0, 300) == ["network: dns"]


def test_host_off_and_not_started_are_distinguished() -> None:
    """Until the boot the host was off; afterwards, cron did not start a run."""
    back = SeenRun(Slot(1800), 1801.0, "collected", "", "b", 700.0, 700.0)
    evidence = Evidence(
        Slot(0), [run(0), back], {Slot(0): block(0), Slot(1800): block(1800)}
    )

    texts = causes(evidence, 0, 2100)

    assert texts == ["", *["host-off"] * 3, *["not-started"] * 2, ""]


def test_the_slot_that_begins_with_the_boot_is_not_one_of_the_host_s() -> None:
    """The machine was on for all of it."""
    back = SeenRun(Slot(1800), 1800.0, "collected", "", "b", 900.0, 900.0)
    evidence = Evidence(Slot(0), [run(0), back], {Slot(0): block(0)})

    assert causes(evidence, 300, 1800) == [*["host-off"] * 2, *["not-started"] * 3]


def test_asleep_and_not_started_are_distinguished() -> None:
    """Boot time advanced, waking time did not."""
    back = run(1800, uptime=51_800.0, awake=50_400.0)
    asleep = Evidence(Slot(0), [run(0, uptime=50_000.0), back], {Slot(0): block(0)})
    stopped = Evidence(Slot(0), [run(0), run(1800)], {Slot(0): block(0)})

    assert causes(asleep, 300, 1800) == ["asleep"] * 5
    assert causes(stopped, 300, 1800) == ["not-started"] * 5


@pytest.mark.parametrize(
    ("slept", "cause"),
    [
        (1500.0, "asleep"),
        (1800.0, "asleep"),
        (1200.0, "asleep or not-started"),
        (300.0, "asleep or not-started"),
        (100.0, "not-started"),
    ],
)
def test_a_sleep_that_explains_some_slots_only_says_or(
    slept: float, cause: str
) -> None:
    """Five slots without a run: which of them the machine slept through is unknown."""
    back = run(1800, uptime=51_800.0, awake=51_800.0 - slept)
    evidence = Evidence(
        Slot(0), [run(0, uptime=50_000.0, awake=50_000.0), back], {Slot(0): block(0)}
    )

    assert causes(evidence, 300, 1800) == [cause] * 5


@pytest.mark.parametrize(
    ("awake", "cause"),
    [
        (700.0, "not-started"),
        (100.0, "asleep"),
        (400.0, "asleep or not-started"),
        (0.0, "not-started"),
    ],
)
def test_after_a_boot_asleep_and_not_started_are_distinguished(
    awake: float, cause: str
) -> None:
    """Off for three slots, back at 1101, and the next run comes at 1801."""
    back = SeenRun(Slot(1800), 1801.0, "collected", "", "b", 700.0, awake)
    evidence = Evidence(Slot(0), [run(0), back], {Slot(0): block(0)})

    assert causes(evidence, 300, 1800) == [*["host-off"] * 3, *[cause] * 2]


def test_a_feed_that_answers_is_no_cause_of_the_network() -> None:
    """A system without stations, a pinned version that is not offered."""
    runs = [run(0, "unavailable", "no-stations"), run(300, "unavailable", "version")]

    texts = causes(Evidence(Slot(0), runs), 0, 600)

    assert texts == ["feed: no-stations", "feed: version"]
    assert meaning(texts[0]).startswith("the feed answered")
    assert meaning("asleep or not-started") == (
        "this machine was suspended, or cron did not start a run, or it ended before "
        "it could write anything"
    )


def test_slots_before_the_first_run_are_not_collecting() -> None:
    """They are missing if a report begins before it."""
    evidence = Evidence(Slot(600), [run(600)], {Slot(600): block(600)})

    assert causes(evidence, 0, 900) == ["not-collecting", "not-collecting", ""]


def test_slots_of_a_lost_ledger_have_no_known_cause() -> None:
    """Blocks are read from the files; their runs are lost."""
    evidence = Evidence(Slot(0), [run(900)], {Slot(0): block(0), Slot(900): block(900)})

    assert causes(evidence, 0, 1200) == ["", "unknown", "unknown", ""]


def test_flags_make_a_block_stale_or_partial() -> None:
    """Both are collected, and counted separately."""
    blocks = {Slot(0): block(0, "stale late"), Slot(300): block(300, "short stale")}
    result = account(
        "city",
        Evidence(Slot(0), [], blocks),
        VIENNA,
        GRID,
        since=Slot(0),
        until=Slot(600),
    )

    assert (result.total.collected, result.total.stale, result.total.partial) == (
        2,
        1,
        1,
    )


def test_days_of_23_and_25_hours_expect_so_many_slots() -> None:
    """The calendar is that of the system's own zone."""
    empty = Evidence(Slot(0))
    spring = account(
        "x", empty, VIENNA, GRID, since=Slot(1774738800), until=Slot(1774908000)
    )
    autumn = account(
        "x", empty, VIENNA, GRID, since=Slot(1792879200), until=Slot(1793055600)
    )

    assert {d: c.expected for d, c in spring.days.items()} == {
        "2026-03-29": 276,
        "2026-03-30": 288,
    }
    assert {d: c.expected for d, c in autumn.days.items()} == {
        "2026-10-25": 300,
        "2026-10-26": 288,
    }


STATES = st.sampled_from(list(SlotState)[:4])
WORDS = st.sampled_from(["disk", "killed"])


@given(st.lists(st.tuples(STATES, WORDS), max_size=60))
def test_gaps_cover_exactly_the_missing_slots(
    some: list[tuple[SlotState, str]],
) -> None:
    """No slot is in two gaps, and no collected slot is in one."""
    judged = [Judged(Slot(300 * n), *values) for n, values in enumerate(some)]

    inside = {
        slot for gap in gaps(judged, GRID) for slot in range(gap.start, gap.end, 300)
    }

    assert inside == {item.slot for item in judged if item.state == "missing"}
    assert sum(gap.slots for gap in gaps(judged, GRID)) == len(inside)


def test_an_hour_of_utc_may_span_two_local_ones() -> None:
    """In Kolkata, 1970 began on a Thursday at 5:30, the 77th hour of the week."""
    blocks = {Slot(slot): block(slot) for slot in range(0, 1_800, 300)}

    result = account(
        "city",
        Evidence(Slot(0), blocks=blocks),
        ZoneInfo("Asia/Kolkata"),
        GRID,
        since=Slot(0),
        until=Slot(3_600),
    )

    hours = [(hour.expected, hour.collected) for hour in result.hours]
    assert hours[76:80] == [(0, 0), (6, 6), (6, 0), (0, 0)]


def test_a_gap_ends_where_a_block_off_the_grid_begins() -> None:
    """Between 12:00 and 12:15 a block of another interval was collected."""
    grid, evidence = Grid.of(900), Evidence(blocks={Slot(300): block(300)})

    judged = list(judge(evidence, grid, Slot(0), Slot(1_800)))

    assert [(g.start, g.end) for g in gaps(judged, grid)] == [(0, 300), (900, 1_800)]


@pytest.mark.parametrize("name", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_days_follow_each_other_without_a_hole(name: str) -> None:
    """A year of days covers the time, in zones of odd offsets too."""
    days = list(local_days(Slot(1767225600), Slot(1798761600), ZoneInfo(name)))

    ends = [end for *_, end in days]
    assert [begin for _, begin, _ in days][1:] == ends[:-1]
    assert 365 <= len(days) <= 366


@pytest.mark.parametrize(
    ("wrong", "slots"),
    [(6_900, [300, 600]), (0, []), (86_700, [])],
    ids=["wrong", "right", "wrong by more than a day"],
)
def test_the_slots_of_doubted_runs_are_told_by_a_right_clock(
    wrong: int, slots: list[int]
) -> None:
    """By that of another run: theirs, which may be wrong, is no evidence."""
    seen = [
        SeenRun(Slot(at), float(at), "collected", "", "boot", uptime, uptime)
        for at, uptime in ((0, 100.0), (300 + wrong, 400.0), (600 + wrong, 700.0))
    ]
    runs = SeenRuns([*seen, *(run._replace(outcome=DOUBTED) for run in seen[1:])])
    missing = map(Slot, (300, 600, 7_200, 7_500))

    assert [slot for slot in missing if runs.cause(slot, 300) == "clock"] == slots


def test_blocks_off_the_grid_count_from_the_begin_to_before_the_end() -> None:
    """A block that begins with the next report is counted there."""
    filled = {Slot(100), Slot(700), Slot(99)}

    slots = with_others([Slot(300), Slot(600)], filled, Slot(100), Slot(700))

    assert slots == [100, 300, 600]
