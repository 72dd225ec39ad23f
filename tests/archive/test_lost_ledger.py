"""The ledger is lost while closed days are in the archive only."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from click.testing import CliRunner
from in_process import bikecollect
from keeping import compacted, findings, viewed
from templates import copied
from world import NOON, World

from bikecollect.archive import day_archive
from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.parts import move_part
from bikecollect.cli import cli
from bikecollect.core.incidents import RUNS_LOST, Incident
from bikecollect.core.slots import DAY, slot_at
from bikecollect.reports.evidence import read_account
from bikecollect.reports.status import survey
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.facts import certified
from bikecollect.storage.runs import left_notices

pytest.importorskip("duckdb")


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world whose day of three slots is only in the archive."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"a": bikes, "b": 3}, after=300)
    world.clock.now += DAY
    compacted(world, 0)
    return world


def late_slot(world: World) -> None:
    """Collect one more slot of the archived day."""
    now, world.clock.now = world.clock.now, NOON + 1200
    world.fetch({"a": 5, "b": 4})
    world.clock.now = now


def lose_ledger(world: World) -> None:
    """Remove the ledger, and let the next run rebuild it."""
    for path in world.folder.glob("ledger*"):
        path.unlink()
    world.fetch({"a": 6, "b": 4})


def told(world: World) -> tuple[list[str], int, dict[str, int]]:
    """Return the damage in `status`, and in two reports the expected slots and why."""
    system = world.system
    health = survey(system, now=world.clock.now).health
    account = read_account(system, now=world.clock.now)
    shown = health.coverage["30d"]
    assert shown == replace(account.total, stale=0, partial=0)
    return list(health.damage), shown.expected, dict(account.causes)


def test_slots_since_the_last_archived_day_are_missing_if_the_ledger_was_lost(
    world: World,
) -> None:
    """No figure says that all is well, although no file shows these slots."""
    world.clock.now += 2 * DAY
    lose_ledger(world)
    at = slot_at(world.clock.now, 300)
    reported = Incident("lost", "ledger", at, at, at, told=1, causes={RUNS_LOST: 1})
    assert AlertLedger(world.folder / "ledger.sqlite3").save([reported])
    damage, expected, causes = told(world)
    compacted(world, 0)
    restored = told(world)

    assert expected == 288 * 2 + 148
    assert causes == {"unknown": expected - 1}
    assert damage == [
        "the ledger was lost: it lacks 1 archived day (2026-11-22 to 2026-11-22), and "
        "counts them as missing; run: bikecollect compact city"
    ]
    assert restored[0] == []
    assert restored[1] > expected
    assert restored[2].keys() == {"unknown"}  # although the archive has earlier runs


def test_status_looks_once_for_the_days_that_the_ledger_lacks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three years of certificates take ten milliseconds to list."""
    system = world.system
    look = Mock(side_effect=certified.days_lost)
    monkeypatch.setattr(certified, "days_lost", look)

    survey(system, now=world.clock.now)

    assert look.call_count == 1


def counted(world: World) -> list[tuple[int, int]]:
    """Return the rows and the slots of the archived day, as readers see them."""
    with viewed(world, tables=["station_status"]) as db:
        sql = (
            "SELECT count(*), count(DISTINCT slot) FROM station_status"
            " WHERE date = '2026-11-22'"
        )
        return db.execute(sql).fetchall()


@pytest.mark.parametrize("harm", [b"", b"x" * 5000, None])
def test_the_next_run_reports_once_what_compact_has_found(
    world: World, harm: bytes | None
) -> None:
    """`compact` sends no alerts: a ledger without its runs and bytes moved away."""
    late_slot(world)
    ledger = world.folder / "ledger.sqlite3"
    ledger.unlink() if harm is None else ledger.write_bytes(harm)
    with (world.folder / "station_status/2026-11-22.csv").open("ab") as file:
        file.write(b"hello\n\n")

    compacted(world, 0)
    found = [n.text for n in world.fetch({"a": 6, "b": 4}, after=300).notices]
    later = world.fetch({"a": 6, "b": 4}, after=300).notices

    assert sum("rebuilt from" in text for text in found) == 1
    assert sum("ended in bytes of no block" in text for text in found) == 1
    assert later == ()


def test_what_was_found_before_is_reported_although_the_next_compact_is_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies while it opens the files."""
    late_slot(world)
    (world.folder / "ledger.sqlite3").unlink()
    compacted(world, 0)
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(left_notices, "leave", Mock(side_effect=KeyboardInterrupt))
        compacted(world, 0)

    notices = world.fetch({"a": 6, "b": 4}, after=300).notices

    assert sum("rebuilt from" in notice.text for notice in notices) == 1


@pytest.mark.parametrize(
    ("first", "second"), [(late_slot, lose_ledger), (lose_ledger, late_slot)]
)
def test_a_late_slot_beside_a_loss_is_shown_beside_the_archive(
    world: World, first: Callable[[World], None], second: Callable[[World], None]
) -> None:
    """Readers and the next compaction have all four slots (fault 64).

    Also if it comes before a compaction has restored the ledger.
    """
    first(world)
    second(world)
    before = counted(world)
    steps = compacted(world, 0)

    assert before == [(8, 4)]
    assert {step.what for step in steps} == {"restored", "archived", "let go"}
    assert counted(world) == [(8, 4)]
    assert findings(world) == []


def test_a_slot_filled_again_after_the_loss_exists_once(world: World) -> None:
    """A block of an archived slot replaces the archived rows."""
    lose_ledger(world)
    now, world.clock.now = world.clock.now, NOON + 300
    world.fetch({"a": 9, "b": 9})
    world.clock.now = now
    compacted(world, 0)
    compacted(world, 0)

    assert counted(world) == [(6, 3)]
    assert compacted(world, 0) == []
    assert findings(world) == []


@pytest.mark.parametrize("moved", [1, 99])
def test_a_day_that_is_half_replaced_is_not_lost(
    world: World, config: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    """`compact` was killed after some or all files; `forget` completes it first."""
    late_slot(world)
    moves: list[Path] = []

    def killed(*arguments: Path) -> None:
        moves.extend(arguments[:1])
        if len(moves) > moved or len(arguments) != len("ab"):
            raise KeyboardInterrupt
        move_part(*arguments)

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(day_archive, "move_part", killed)
        patched.setattr(ArchivedDays, "save", lambda *_: killed())
        compacted(world, 0)
    words = ["verify city", "status city", "forget city 2026-11-22"]
    arguments = [["--config", str(config), *line.split()] for line in words]
    verified, status, _ = (CliRunner().invoke(cli, args).output for args in arguments)
    compacted(world, 0)

    assert "compact city" in verified
    assert "forget" not in verified + status
    assert counted(world) == [(8, 4)]
    assert findings(world) == []


@pytest.mark.parametrize("command", ["compact", "backfill"])
def test_a_lost_list_of_stations_is_named(
    world: World, config: Path, command: str
) -> None:
    """Of a data folder only the archive is left, which has no names and places."""
    shutil.rmtree(world.folder)

    first, again = (
        bikecollect("--config", config, command, "city").stderr for _ in range(2)
    )

    assert f"{INFORMATION} is missing, and the archive has none" in first
    assert "backfill city --from MIRROR" in first
    assert not again


@pytest.fixture
def live(tmp_path: Path) -> World:
    """Return a world whose day of three slots is in the archive and as CSV."""
    world = World(tmp_path / "city")
    for bikes in (1, 1, 2):
        world.fetch({"a": bikes, "b": 3}, after=300, last_updated=int(NOON) + bikes)
    world.clock.now += 2 * DAY
    compacted(world, 99)
    return world


def test_adopted_blocks_get_their_flags_from_the_archive(live: World) -> None:
    """Otherwise some figures would count stale slots as good."""
    blocks = live.committed()
    lose_ledger(live)
    compacted(live, 99)

    known = live.committed()[:3]
    assert "stale" in blocks[1].flags
    assert [(b.flags, b.source, b.run_id, b.sha256) for b in known] == [
        (b.flags, b.source, b.run_id, b.sha256) for b in blocks
    ]
    assert findings(live) == []


def test_rows_removed_from_a_csv_are_not_removed_from_the_archive(live: World) -> None:
    """Without a ledger nothing else knows that the CSV once had more."""
    file = live.folder / "station_status/2026-11-22.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:4] + lines[5:]))
    lose_ledger(live)
    compacted(live, 99)

    assert counted(live) == [(6, 3)]
    assert any("belong to no block" in finding for finding in findings(live))
