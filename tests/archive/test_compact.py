"""Closed days are archived and verified; later their CSV is removed, verified again."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count as counting
from pathlib import Path
from zoneinfo import ZoneInfo

import forking
import pytest
from children import run_in_child
from command import forked
from in_process import bikecollect
from keeping import (
    archived_past_days,
    compacted,
    compactor,
    findings,
    replace_summaries,
    two_past_days,
    viewed,
)
from quiet_settings import write_settings
from templates import copied
from world import NOON, TAIPEI, World

from bikecollect.archive import datasets, parquet
from bikecollect.archive.archived_days import ArchivedDays, opened_days
from bikecollect.archive.compact import Step
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.day_csv import Piece
from bikecollect.archive.parts import needs_summaries
from bikecollect.cli.render.archive import step_line
from bikecollect.core.slots import DAY
from bikecollect.core.timeline.facts import SystemFact
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.damage import find_damage

pytest.importorskip("duckdb")
CSV = "station_status/2026-11-22.csv"


@copied
def collected(folder: Path) -> World:
    """Return a world with three slots at noon, and the clock at the next noon."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"0002": bikes, 'a,"b"': 3, "0001": 7}, after=300)
    world.clock.now += DAY
    world.uptime += DAY
    return world


@copied
def archived(folder: Path) -> World:
    """Return the same world with its day archived."""
    world = collected(folder)
    compacted(world)
    return world


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with three slots at noon, and the clock at the next noon."""
    return collected(folder)


@pytest.fixture
def archived_world(folder: Path) -> World:
    """Return the same world with its day archived."""
    return archived(folder)


def test_a_closed_day_is_archived_and_its_csv_stays(world: World) -> None:
    """The first compaction only adds files."""
    before = (world.folder / CSV).read_bytes()

    (step,) = compacted(world)

    assert (step.what, step.rows, step.slots) == ("archived", 9, 3)
    assert (world.folder / CSV).read_bytes() == before
    assert datasets.part(world.folder.parent, "profile", "city", step.day).exists()


def test_a_second_compaction_finds_nothing_to_do(archived_world: World) -> None:
    """An archived day is not written again."""
    assert compacted(archived_world) == []


def test_a_day_with_a_waiting_payload_is_not_called_archived(world: World) -> None:
    """The next fetch commits it; a killed run may have left it."""
    assert world.folder
    data = world.folder.parent
    config = write_settings(data / "bikecollect.toml", data, "city")
    (kept,) = list((world.folder / "payloads/kept").rglob("*.zip"))[:1]
    inbox = world.folder / "payloads/inbox"
    shutil.copy(kept, inbox)

    waiting = bikecollect("--config", config, "compact")
    (inbox / kept.name).unlink()
    bikecollect("--config", config, "compact")
    done = bikecollect("--config", config, "compact")

    assert waiting.stdout == (
        "Nothing to do yet: 1 payload in the inbox; their days are archived after the "
        "next fetch.\n"
    )
    assert done.stdout == "Nothing to do: every closed day is in the archive.\n"


def _pieces(world: World) -> Iterator[Piece]:
    archive = compactor(world).archive
    return archive.pieces("2026-11-22", TAIPEI, archive.columns("2026-11-22"))


def test_an_open_day_is_not_archived(world: World) -> None:
    """Until an hour after midnight, a late slot may still come."""
    world.clock.now = NOON + 12.5 * 3600

    assert compacted(world) == []


def test_the_csv_is_removed_when_it_is_old(archived_world: World) -> None:
    """After `csv_days` only the archive has the rows, and they are the same."""
    lines = archived_world.lines()
    archived_world.clock.now += 7 * DAY

    step = compacted(archived_world)[-1]

    assert step.what == "let go"
    assert not (archived_world.folder / CSV).exists()
    texts = [piece.text.decode() for piece in _pieces(archived_world)]
    assert sorted("".join(texts).splitlines()) == sorted(lines)


def test_the_certificate_is_the_sha256_of_the_sorted_csv(world: World) -> None:
    """It can be checked with sort and sha256sum."""
    head, *lines = (world.folder / CSV).read_text(encoding="utf-8").splitlines()
    key = {'"a,""b"""': "a", "0001": "0001", "0002": "0002"}
    lines.sort(
        key=lambda line: (
            line[:25],
            key[line[52:].split(",3,")[0][:9]] if '"' in line else line[52:56],
        )
    )
    compacted(world)

    archived = compactor(world).archive.certified("2026-11-22")
    text = "".join(f"{line}\n" for line in (head, *lines))
    assert archived.summary.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_late_slot_of_a_compacted_day_is_archived(archived_world: World) -> None:
    """Also without its CSV: a new segment, a new archive (fault 89)."""
    archived_world.clock.now += 7 * DAY
    compacted(archived_world)
    now = archived_world.clock.now

    archived_world.clock.now = NOON + 1500
    archived_world.fetch({"0001": 5, "0009": 1})
    archived_world.clock.now = now
    late = compacted(archived_world)

    assert [step.what for step in late] == ["archived", "let go"]
    assert (late[0].rows, late[0].slots) == (11, 4)
    slots = [piece.slot for piece in _pieces(archived_world)]
    assert slots == [NOON + 300, NOON + 600, NOON + 900, NOON + 1500]
    assert not (archived_world.folder / "station_status/2026-11-22.2.csv").exists()


def test_a_day_without_any_block_is_archived_too(world: World) -> None:
    """Its expected slots are kept, with the causes of the gaps."""
    world.clock.now += DAY
    world.fetch({"0001": 1})

    first, second = compacted(world)

    assert (first.slots, second.slots, second.rows) == (3, 0, 0)
    assert compacted(world) == []
    assert findings(world, deep=True) == []


def test_days_without_blocks_are_as_if_each_were_archived_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files are written once, and copied: after months off it takes half as long.

    The slots, with the causes of the gaps, are each day's own.
    """
    world.clock.now += 3 * DAY
    world.fetch({"0001": 1})
    calls = counting()
    write = parquet.write_summaries
    counted = lambda *values: (next(calls), write(*values))  # noqa: E731
    monkeypatch.setattr(parquet, "write_summaries", counted)

    compacted(world)
    written = next(calls)

    alone = {}
    for day in ("2026-11-23", "2026-11-24", "2026-11-25"):
        one = compactor(world)
        with opened_days(one.lock, one.ledger) as archived_days:
            alone[day] = one.archive.prepare(one.contents(archived_days, day, 0)).parts
    with opened_days(one.lock, one.ledger) as archived_days:
        together = {d: a.parts for d, a in archived_days.archived().items()}
    assert written == 2  # for a day with rows, and for all without
    assert together == together | alone
    assert findings(world, deep=True) == []


def test_a_damaged_block_keeps_its_day_out_of_the_archive(world: World) -> None:
    """Changed bytes are never archived as the original."""
    path = world.folder / CSV
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)

    (step,) = compacted(world)

    assert step.what == "failed"
    assert "is damaged" in step.why
    assert not datasets.STATION_LAYOUT.certificate(
        world.folder.parent, "city", step.day
    ).exists()


def test_a_damaged_archive_keeps_the_csv(
    archived_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bit flipped after the start is detected before the CSV is removed."""
    monkeypatch.setattr(Archive, "is_replaceable", lambda *_: False)
    part = datasets.part(
        archived_world.folder.parent, "station_status", "city", "2026-11-22"
    )
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 4
    part.write_bytes(data)
    archived_world.clock.now += 7 * DAY

    step = compacted(archived_world)[-1]

    assert step.what == "kept"
    assert "sha256" in step.why
    assert (archived_world.folder / CSV).exists()


def test_a_lost_ledger_gets_its_archived_days_back(archived_world: World) -> None:
    """The archive has the slots, and which CSVs were removed on purpose."""
    archived_world.clock.now += 7 * DAY
    compacted(archived_world)
    for path in archived_world.folder.glob("ledger*"):
        path.unlink()

    compacted(archived_world)

    assert [block.slot - NOON for block in archived_world.committed()] == [
        300,
        600,
        900,
    ]


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with copies of a world that is compacted, and its end.

    A copy is called by its number: it is made before a change on the disk. A process
    that is killed then leaves the same files.
    """
    folder = tmp_path_factory.mktemp("moments")
    world = collected(folder / "end")

    def compact() -> None:
        copy_before_changes(folder)
        compacted(world)
        compacted(world, csv_days=0)

    assert run_in_child(compact) == 0
    assert 30 < len(list(folder.iterdir())) < 40, "each change has its kill"
    return folder


def copy_before_changes(folder: Path) -> None:
    """Let each change of a name on the disk copy the world in *folder* first."""
    numbers = counting(1)

    def copying(act: Callable[..., object]) -> Callable[..., object]:
        def once(*args: object, **more: object) -> object:
            shutil.copytree(folder / "end", folder / str(next(numbers)))
            return act(*args, **more)

        return once

    for name in ("rename", "unlink", "rmdir", "mkdir"):
        setattr(Path, name, copying(getattr(Path, name)))
    for name in ("save", "mark_removed"):
        setattr(ArchivedDays, name, copying(getattr(ArchivedDays, name)))


@pytest.mark.parametrize("count", range(1, 40))
def test_a_compaction_killed_anywhere_is_finished_by_the_next(
    world: World, moments: Path, count: int
) -> None:
    """Killed before each change on the disk in turn, and once after all (fault 66)."""
    killed = moments / str(count)
    shutil.rmtree(world.folder.parent)
    shutil.copytree(killed if killed.exists() else moments / "end", world.folder.parent)

    compacted(world)
    compacted(world, csv_days=0)

    archive = compactor(world).archive
    assert archive.certified("2026-11-22").summary.rows == 9
    assert archive.damage(archive.certified("2026-11-22")) == []
    assert not (world.folder / CSV).exists()
    assert not list(
        datasets.STATION_LAYOUT.work_folder(world.folder.parent, "city").iterdir()
    )
    assert findings(world, deep=True) == []


def test_no_csv_is_removed_while_a_reader_is_active(world: World) -> None:
    """An export into a slow pipe is complete, and the next call removes it."""
    sql = "SELECT count(*), sum(num_vehicles_available) FROM station_status"
    with viewed(world) as db:
        world.clock.now += 8 * DAY
        steps = compacted(world)
        meanwhile = db.execute(sql).fetchall()

    assert [s.what for s in steps if s.day == "2026-11-22"] == ["archived", "in use"]
    assert all(step.why == "" for step in steps)
    assert meanwhile == [(9, 33)]
    assert "let go" in [step.what for step in compacted(world)]
    with viewed(world) as db:
        assert db.execute(sql).fetchall() == meanwhile


def test_two_readers_do_not_wait_for_each_other(world: World) -> None:
    """Only a removal would wait."""
    with viewed(world) as one, viewed(world) as two:
        sql = "SELECT count(*) FROM station_status"

        assert one.execute(sql).fetchall() == two.execute(sql).fetchall()


def test_a_polling_reader_keeps_no_file(world: World, tmp_path: Path) -> None:
    """The data app has its connection open all day: it reads again when files go."""
    with viewed(world, settled=tmp_path):
        world.clock.now += 8 * DAY

        assert "let go" in [step.what for step in compacted(world)]


def test_a_csv_that_somebody_removed_is_named_and_keeps_no_other_day(
    world: World,
) -> None:
    """The loss is not a failure each night: `status` and `verify` report it."""
    world.fetch({"a": 1})
    world.clock.now += DAY
    (world.folder / CSV).unlink()

    lost, archived = compacted(world)

    assert (lost.day, lost.what) == ("2026-11-22", "lost")
    assert f"{CSV} is missing" in lost.why
    assert (archived.day, archived.what) == ("2026-11-23", "archived")


def test_a_failed_day_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its temporary files are removed at once, not by the next call."""
    monkeypatch.setattr(
        "bikecollect.archive.summaries.profile", lambda *_: "SELECT no_such_column"
    )

    (step,) = compacted(world)

    assert step.what == "failed"
    assert list((world.folder.parent / "archive" / ".work").rglob("*.tmp")) == []


@pytest.mark.parametrize("harm", ["delete", "overwrite"])
@pytest.mark.parametrize("dataset", ["station_status", "slots", "profile"])
def test_a_lost_file_of_a_day_is_rebuilt_from_its_csv(
    archived_world: World, dataset: str, harm: str
) -> None:
    """`status` names it; a flipped bit is detected by the bytes, too."""
    system = archived_world.system
    part = datasets.part(archived_world.folder.parent, dataset, "city", "2026-11-22")
    before = part.read_bytes()
    part.write_bytes(b"x" * 99) if harm == "overwrite" else part.unlink()
    damage = find_damage(system, History("city", archived_world.folder))

    steps = compacted(archived_world)

    assert "can be recreated; run: bikecollect compact" in damage[0]
    assert [step.what for step in steps] == ["archived"]
    assert part.read_bytes()[:4] == before[:4] == b"PAR1"
    assert findings(archived_world) == []
    assert find_damage(system, History("city", archived_world.folder)) == []


def test_a_day_without_csv_and_archive_is_not_said_to_be_recreated(
    archived_world: World,
) -> None:
    """Also if another program removed the CSV: `compact` has nothing to read."""
    system = archived_world.system
    parent = archived_world.folder.parent
    datasets.part(parent, "station_status", "city", "2026-11-22").unlink()
    (archived_world.folder / CSV).unlink()

    (damage,) = find_damage(system, History("city", archived_world.folder))

    remedy = "bikecollect forget city 2026-11-22; then: bikecollect backfill city"
    assert damage.endswith(f"kept payloads of 3 of 3 slots: {remedy}")
    assert [step.what for step in compacted(archived_world)] == ["failed"]


def test_lost_summaries_are_rebuilt_from_the_archive(archived_world: World) -> None:
    """The CSV is gone; the rows are still there."""
    archived_world.clock.now += 30 * DAY
    compacted(archived_world, csv_days=0)
    part = datasets.part(archived_world.folder.parent, "coverage", "city", "2026-11-22")
    part.unlink()

    compacted(archived_world, csv_days=0)

    assert part.exists()
    assert [f for f in findings(archived_world) if "2026-11-22" in f] == []
    again = Step("city", "2026-11-22", "archived", 9_950, 144, 0, 81_000)
    text = "city 2026-11-22: 9,950 rows archived, again, from the archive: 81.0 kB\n"
    assert step_line(again) == text


def test_a_day_that_another_compact_archived_again_is_not_damaged(
    folder: Path,
) -> None:
    """It was filled meanwhile: its checksums are those of its new files."""
    world = two_past_days(folder)
    late = world.clock.now + 300
    world.clock.now += 400 * DAY
    compacted(world, 1_000)
    steps = compactor(world, 0).run()
    first = next(steps)

    world.clock.now = late
    world.fetch({"0002": 5})
    world.clock.now += 400 * DAY
    compacted(world, 1_000)
    rest = [(step.what, step.why) for step in steps]

    assert (first.what, rest) == ("let go", [("let go", "")])
    assert findings(world, deep=True) == []


@pytest.mark.parametrize(
    ("interval", "day", "is_needed"),
    [
        (3_600, "2026-10-25", False),  # the clocks are set back
        (7_200, "2026-10-25", True),
        (7_200, "2026-10-26", False),
        (300, "2026-11-22", True),  # the interval changed
        (300, "2026-11-23", False),
    ],
)
def test_days_with_slots_of_two_lengths_are_summed_up_again(
    tmp_path: Path, interval: int, day: str, *, is_needed: bool
) -> None:
    """Earlier versions took each slot for as long as the shortest; else they agree."""
    facts = (
        SystemFact(0, "Europe/Berlin", interval),
        SystemFact(int(NOON), "Europe/Berlin", 600),
    )
    zone = ZoneInfo("Europe/Berlin")
    system = SystemFolder("city", tmp_path / "city", zone, interval, facts)
    file = datasets.part(tmp_path, "coverage", "city", day)
    file.parent.mkdir(parents=True)
    file.touch()

    known = {"coverage": {"format": 3, "bytes": 0}}

    assert needs_summaries(tmp_path, system, day, known) is is_needed


def test_a_day_that_is_forgotten_meanwhile_ends_no_compaction(folder: Path) -> None:
    """It is named, and its summaries are not renewed."""
    world = archived_past_days(folder)
    replace_summaries(world, {"coverage": "* EXCLUDE (episodes)", "profile": "*"})
    world.clock.now += 2 * DAY
    steps = compactor(world).run()
    first = next(steps)

    world.ledger.open()
    with world.ledger.transaction() as db:
        db.execute("DELETE FROM archives WHERE day <> ?", (first.day,))
    world.ledger.close()
    rest = [(step.what, step.why) for step in steps]

    assert first.what == "summed up"
    assert rest == [("not summed up", "it was forgotten meanwhile")]


AMID_A_QUERY = """
import signal
from bikecollect.__main__ import main
from bikecollect.archive import parquet

def endless(db, *_):
    signal.raise_signal(signal.SIGTERM)
    db.execute("SELECT sum(a.range % 7) FROM range(1000000000) a, range(1000) b")

parquet.copy_smallest = endless
main()
"""


def test_sigterm_ends_a_query_at_once(
    folder: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a large day takes a minute and more; nothing is left of it."""
    monkeypatch.setattr(forking, "TIMEOUT", 40.0)
    shutil.rmtree(folder)
    two_past_days(folder)
    program = tmp_path / "amid_a_query.py"
    program.write_text(AMID_A_QUERY, encoding="utf-8")
    command = ["--config", str(config), "compact"]

    ended = forked(command, "", os.environ, program=str(program))

    assert ended.returncode == 143
    assert ended.stderr.strip() == "bikecollect: ended by SIGTERM"
    assert not [path for path in folder.parent.rglob("archive/*/*") if path.is_file()]
    assert bikecollect(*command).returncode == 0
