"""A clock that is far off: nothing is committed, recorded or pruned by its time."""

from datetime import datetime
from pathlib import Path

import pytest
from world import NOON, TAIPEI, World

from bikecollect.collect.fetching.clock import clock_was_set
from bikecollect.core.errors import FeedUnavailable, Outcome
from bikecollect.core.payload import Document, Payload
from bikecollect.core.slots import DAY
from bikecollect.reports.status import survey
from bikecollect.storage.ledger_reader import History

YEAR_2038 = datetime(2038, 1, 1, tzinfo=TAIPEI).timestamp()
YEAR_1970 = 700.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with one collected slot, at noon."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    return world


def fetch_at(world: World, shown: float, date: float | None, **more: int) -> Outcome:
    """Fetch while the clock shows *shown* and the server *date*; return the outcome."""
    world.clock.now = shown
    world.feed.date = date
    outcome = world.fetch(more or {"a": 2}).outcome
    assert outcome is not None
    return outcome


def days(world: World) -> list[str]:
    """Return the names of the daily files."""
    return sorted(p.name for p in (world.folder / "station_status").iterdir())


@pytest.mark.parametrize(("boot", "was_set"), [("boot", True), ("", False)])
def test_times_since_boot_are_compared_within_one_boot(
    world: World, boot: str, *, was_set: bool
) -> None:
    """Where it is unknown which boot that was, only the server's Date counts."""
    (block,) = world.committed()
    document = Document("status", b"", fetched_at=NOON, date=NOON)
    payload = Payload((document,), slot=block.slot, boot_id=boot, uptime=9_000.0)

    assert clock_was_set(payload, block._replace(boot_id=boot), 300) is was_set


@pytest.mark.parametrize("shown", [YEAR_2038, YEAR_1970, NOON + 3 * DAY])
def test_a_payload_of_a_wrong_clock_waits_and_is_filed_by_its_date(
    world: World, shown: float
) -> None:
    """Ahead, at the epoch, or days ahead: it gets the slot in which it was fetched."""
    assert fetch_at(world, shown, NOON + 300) is Outcome.DEFERRED
    assert world.inbox() == ["20261122T040500Z.00000002.zip"]
    assert days(world) == ["2026-11-22.csv"]

    assert fetch_at(world, NOON + 600, NOON + 600, a=3) is Outcome.COLLECTED

    assert world.inbox() == []
    slots = [(line.split(",")[0], line.split(",")[3]) for line in world.lines()]
    assert slots == [
        ("2026-11-22T12:00:00+08:00", "1"),
        ("2026-11-22T12:05:00+08:00", "2"),
        ("2026-11-22T12:10:00+08:00", "3"),
    ]


def test_the_time_of_fetching_is_that_of_the_server(world: World) -> None:
    """The block is not late, and no file has 2038."""
    fetch_at(world, YEAR_2038, NOON + 302)
    fetch_at(world, NOON + 600, NOON + 600)

    assert [block.flags for block in world.committed()] == ["", "", ""]
    assert "2038" not in "".join(world.lines())


@pytest.mark.parametrize("shown", [YEAR_2038, YEAR_1970])
def test_the_range_of_reports_is_not_extended(world: World, shown: float) -> None:
    """Otherwise reports and compact would process 20,000 empty days."""
    fetch_at(world, shown, NOON + 300)

    assert History("city", world.folder).ends() == (NOON, NOON + 300)


def test_a_failed_fetch_under_a_clock_at_the_epoch_is_not_recorded(
    tmp_path: Path,
) -> None:
    """There is no evidence of the time, so nothing is recorded."""
    world = World(tmp_path / "city")
    world.clock.now = YEAR_1970
    world.feed.answer = FeedUnavailable("HTTP 404", cause="http-404")

    assert world.fetch().outcome is Outcome.UNAVAILABLE

    assert History("city", world.folder).ends() is None
    assert world.inbox() == []


def test_the_time_since_boot_is_used_without_a_date_header(
    world: World,
) -> None:
    """In the same boot the newest block and the uptime are sufficient evidence."""
    world.uptime += 300
    world.feed.answer = FeedUnavailable("HTTP 404", cause="http-404")
    world.clock.now = YEAR_1970

    run = world.fetch()

    assert run.slot == NOON + 300
    assert run.notices[0].kind == "clock"


def test_a_payload_of_an_unknown_time_is_kept_as_rejected(tmp_path: Path) -> None:
    """Without any evidence it is not filed, and not lost."""
    world = World(tmp_path / "city")
    assert fetch_at(world, YEAR_1970, None) is Outcome.DEFERRED
    world.feed.date = None
    world.clock.now = NOON

    run = world.fetch({"a": 1})

    assert run.outcome is Outcome.COLLECTED
    assert "1970-01-01T00:10:00" in "".join(n.text for n in run.notices)
    rejected = (world.folder / "payloads" / "rejected").iterdir()
    assert any(path.suffix == ".zip" for path in rejected)
    assert len(world.lines()) == 1


@pytest.mark.parametrize(
    ("later", "date"),
    [(300, NOON + 900 * DAY), (300, YEAR_1970), (3 * DAY, NOON - 5 * DAY)],
    ids=["server ahead", "server at the epoch", "server before the newest block"],
)
def test_a_server_with_a_wrong_date_costs_nothing(
    world: World, later: float, date: float
) -> None:
    """A clock that agrees with the newest block is right, even against the Date."""
    assert fetch_at(world, NOON + later, date) is Outcome.COLLECTED


def test_the_clock_of_a_machine_that_was_off_for_a_month_is_trusted(
    world: World,
) -> None:
    """The clock and the server agree."""
    assert fetch_at(world, NOON + 30 * DAY, NOON + 30 * DAY) is Outcome.COLLECTED


def test_the_clock_of_the_first_run_is_trusted(tmp_path: Path) -> None:
    """Without a block only the server's Date contradicts the clock."""
    world = World(tmp_path / "city")
    assert fetch_at(world, NOON, NOON + 4 * DAY) is Outcome.COLLECTED


def test_a_clock_ahead_for_one_run_costs_no_kept_payload(world: World) -> None:
    """Pruning ignores a time that is not trusted."""
    kept = sorted((world.folder / "payloads/kept").rglob("*.zip"))
    fetch_at(world, YEAR_2038, NOON + 300)

    assert sorted((world.folder / "payloads/kept").rglob("*.zip")) == kept


def test_a_clock_ahead_that_nothing_contradicts_costs_no_kept_payload(
    world: World,
) -> None:
    """Without a Date header the slot is filed a year ahead; kept days remain."""
    kept = sorted((world.folder / "payloads/kept").rglob("*.zip"))

    assert fetch_at(world, NOON + 400 * DAY, None) is Outcome.COLLECTED
    assert fetch_at(world, NOON + 300, None) is Outcome.COLLECTED

    assert set(kept) < set((world.folder / "payloads/kept").rglob("*.zip"))


def test_stations_are_followed_after_a_clock_that_was_ahead(world: World) -> None:
    """Each change is a version from its slot on, not only after that time."""
    ahead = NOON + DAY
    for shown, name in (
        (ahead, "ahead"),
        (NOON + 300, "one"),
        (NOON + 600, "one"),
        (NOON + 900, "two"),
        (ahead + 300, "two"),
    ):
        world.clock.now = shown
        world.fetch({"a": 1}, names={"a": name})

    world.ledger.open()
    versions = world.ledger.station_versions()
    world.ledger.close()
    assert [(slot - NOON, v[0].name) for slot, v in sorted(versions.items())] == [
        (0, "a"),
        (300, "one"),
        (900, "two"),
        (DAY, "ahead"),
        (DAY + 300, "two"),
    ]


def test_a_drift_is_reported_after_a_clock_that_was_ahead(world: World) -> None:
    """The shape of the feed is still compared from slot to slot."""
    for number, shown in enumerate((0, DAY, 300, 600)):
        world.clock.now = NOON + shown
        fields = ["x", "y"] if number == 3 else ["x"]
        run = world.fetch({"a": 1}, fields=fields)

    assert [notice.kind for notice in run.notices] == ["drift"]


def test_a_collector_that_dies_is_late_although_its_clock_was_ahead(
    world: World,
) -> None:
    """The run and the block of next year do not count as recent."""
    fetch_at(world, NOON + 400 * DAY, None)
    fetch_at(world, NOON + 300, None)
    system = world.system

    before = survey(system, now=NOON + 310).health
    after = survey(system, now=NOON + 7200).health

    assert (before.late, before.behind, before.runs) == (False, 10, 2)
    assert (after.late, after.behind, after.silent) == (True, 6900, 6900)


def fetched(world: World, at: float, error: float) -> None:
    """Fetch *at* seconds after noon with a clock that is off by *error* seconds."""
    world.uptime = 10_000 + at
    fetch_at(world, NOON + at + error, NOON + at)


@pytest.mark.parametrize(
    ("runs", "first"),
    [
        ([(300, 0), (600, -10_800), (610, -10_800), (900, 0)], 300),
        ([(300, -10_800), (600, 0), (900, 0)], 600),
        ([(300, 10_800), (600, 0), (900, 0)], 600),
        ([(300, -400), (600, -400), (900, -400), (1_500, 0)], -100),
        ([(300, -400), (600, -400), (900, -400)], -100),
        ([(300, 0), (600, -3), (900, 4)], 300),
    ],
    ids=["set back", "set right", "was ahead", "slow for long", "slow", "seconds"],
)
def test_collection_does_not_begin_with_a_wrong_clock(
    tmp_path: Path, runs: list[tuple[int, int]], first: int
) -> None:
    """Hours before the first slot that was due would count as not collected."""
    world = World(tmp_path / "city")
    for at, error in runs:
        fetched(world, at, error)

    history = History("city", world.folder)
    assert history.first() == NOON + first // 300 * 300
