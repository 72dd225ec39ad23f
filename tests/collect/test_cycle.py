"""A cycle on real files, with a simulated feed and clock."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from world import MINUTES, NOON, World

from bikecollect.alerts.signals import of_run
from bikecollect.collect import station_list
from bikecollect.collect.reporting.run_lines import run_line
from bikecollect.core.causes import SeenRun, cause_of
from bikecollect.core.errors import (
    FeedUnavailable,
    Outcome,
    Overload,
    PayloadError,
    RateLimited,
)
from bikecollect.core.incidents import Signal
from bikecollect.core.payload import Document, Payload
from bikecollect.core.run import Notice, Result
from bikecollect.core.slots import stamp
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import read_payload

DAY_FILE = "station_status/2026-11-22.csv"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with an empty folder."""
    return World(tmp_path / "city")


def test_one_snapshot_becomes_rows_in_todays_file(world: World) -> None:
    """A good fetch writes one row per station, with the slot's own time."""
    run = world.fetch({"a": 3, "b": 0})

    assert run.outcome is Outcome.COLLECTED
    assert run.exit_code == 0
    assert world.lines() == [
        "2026-11-22T12:00:00+08:00,2026-11-22T12:00:02+08:00,a,3,,2,,,10,,true,true,",
        "2026-11-22T12:00:00+08:00,2026-11-22T12:00:02+08:00,b,0,,2,,,10,,true,true,",
    ]


def test_an_accepted_payload_moves_on_to_the_kept_ones(world: World) -> None:
    """After the commit the inbox is empty, and the payload is kept under its day."""
    world.fetch({"a": 3})

    assert world.inbox() == []
    kept = world.folder / "payloads/kept/2026-11-22"
    assert [path.name for path in kept.iterdir()] == ["20261122T040000Z.00000001.zip"]


def test_the_address_of_a_document_is_stored_without_its_secrets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payloads are given away, such as with a report of a bug."""
    address = "http://127.0.0.1/?key=s3cret"
    document = Document("status", b'{"stations": {}}', url=address, fetched_at=NOON)
    monkeypatch.setattr(world.feed, "fetch", lambda *_: Payload((document,)))
    cycle = world.cycle()
    fetcher = replace(cycle.fetcher, redact=lambda text: text.replace("s3cret", "***"))

    replace(cycle, fetcher=fetcher).run(world.begin())

    (path,) = (world.folder / "payloads").glob("**/*.zip")
    assert read_payload(path).documents[0].url == "http://127.0.0.1/?key=***"


def test_a_silent_feed_leaves_a_run_and_no_rows(world: World) -> None:
    """A feed that does not answer writes no rows, and its run is recorded."""
    error = FeedUnavailable("no answer in 30 s", cause="timeout", http_status=504)
    world.feed.answer = error

    run = world.fetch()

    assert run.outcome is Outcome.UNAVAILABLE
    assert (run.exit_code, run.http_status) == (69, 504)
    assert not (world.folder / DAY_FILE).exists()
    db = sqlite3.connect(world.folder / "ledger.sqlite3")
    rows = db.execute("SELECT outcome, cause, error FROM runs").fetchall()
    db.close()
    assert rows == [("unavailable", "timeout", "no answer in 30 s")]


def test_a_system_without_a_turn_is_recorded_with_the_cause(world: World) -> None:
    """Nothing is fetched, and the gap report has the cause."""
    run = world.cycle().run(world.begin(), Overload("no time was left for it"))

    assert (run.outcome, run.exit_code) == (Outcome.OVERLOAD, 75)
    (recorded,) = History("city", world.folder).runs()
    assert (recorded.outcome, recorded.error) == (run.outcome, run.error)
    assert cause_of(SeenRun(run.slot, NOON, "overload", "overload")) == "overload"
    signals = of_run(run, None)
    assert signals["overload"] == Signal("overload", "no time was left for it", lost=1)
    assert "fetch" not in signals


def test_old_data_are_told_if_what_explains_them_is_muted(world: World) -> None:
    """A wrong time zone makes stamps old; who mutes that is told of old data."""
    run = world.fetch({"a": 1})
    notice = Notice("zone", "the zone is probably wrong")
    result = run.result._replace(flags=("stale",), notices=(notice,))
    run = replace(run, result=result)

    assert of_run(run, None)["stale"] is None
    assert of_run(run, None, ("zone",))["stale"] is not None


def test_a_second_run_in_the_slot_is_a_duplicate(world: World) -> None:
    """Two runs in one slot write one block; the second is a duplicate (fault 84)."""
    world.fetch({"a": 3})
    run = world.fetch({"a": 4}, after=1 * MINUTES)

    assert run.outcome is Outcome.DUPLICATE
    assert run.exit_code == 0
    assert ": duplicate, the slot was collected before; took " in run_line(run)
    assert len(world.lines()) == 1


def test_a_clock_that_was_set_back_loses_nothing(world: World) -> None:
    """The payload of a slot that occurs again is rejected, not dropped (fault 76)."""
    world.fetch({"a": 3})
    world.fetch({"a": 4}, after=60 * MINUTES)
    world.clock.now = NOON
    world.uptime += 5 * MINUTES
    run = world.fetch({"a": 5})

    assert run.outcome is Outcome.REJECTED
    assert run.cause == "clock"
    rejected = world.folder / "payloads/rejected"
    assert len(list(rejected.glob("*.zip"))) == 1
    assert len(world.lines()) == 2


def test_a_payload_that_cannot_be_understood_is_kept_with_its_reason(
    world: World,
) -> None:
    """A wrong shape ends with 65; bytes and reason are in rejected/."""
    world.feed.answer = b'{"gone": 1}'

    run = world.fetch()

    assert run.exit_code == 65
    reason = next((world.folder / "payloads/rejected").glob("*.reason.txt"))
    assert reason.read_text(encoding="utf-8") == "no stations here\n"


def test_a_bug_of_ours_keeps_the_payload(world: World) -> None:
    """An exception while reading ends with 70 and keeps the bytes (fault 73)."""
    world.feed.bug = ZeroDivisionError("oh")
    run = world.fetch({"a": 1})

    assert run.exit_code == 70
    assert len(list((world.folder / "payloads/rejected").glob("*.zip"))) == 1


def test_memory_that_runs_out_keeps_the_payload(world: World) -> None:
    """A MemoryError while reading ends with 70 and keeps the bytes (fault 74)."""
    world.feed.bug = MemoryError()
    run = world.fetch({"a": 1})

    assert run.exit_code == 70
    assert len(list((world.folder / "payloads/rejected").glob("*.zip"))) == 1


def test_no_file_is_named_after_anything_in_a_payload(world: World) -> None:
    """A station with the name of a path remains a cell (fault 110)."""
    world.fetch({"../../../evil": 1, "/etc/passwd": 2})

    names = {path.name for path in world.folder.parent.rglob("*")}
    assert names.isdisjoint({"evil", "passwd"})
    assert len(world.lines()) == 2


def test_a_torn_tail_is_cut_and_written_again(world: World) -> None:
    """Half a block is cut, and written again from the payload in the inbox."""
    world.fetch({"a": 3})
    content = (world.folder / DAY_FILE).read_bytes()
    world.fetch({"a": 4, "b": 5}, after=5 * MINUTES)
    both = (world.folder / DAY_FILE).read_bytes()
    _forget(world, 2)
    (world.folder / DAY_FILE).write_bytes(content + both[len(content) :][:40])
    run = world.fetch({"a": 6}, after=5 * MINUTES)

    assert run.outcome is Outcome.COLLECTED
    assert (world.folder / DAY_FILE).read_bytes().startswith(both)
    assert len(world.lines()) == 4
    assert world.agrees()


def test_a_lost_ledger_is_rebuilt_from_the_files(world: World) -> None:
    """Without a ledger no byte is cut, and every slot is adopted (fault 64)."""
    world.fetch({"a": 3})
    world.fetch({"a": 4}, after=5 * MINUTES)
    before = (world.folder / DAY_FILE).read_bytes()
    fetched = [block.fetched_at for block in world.committed()]
    for path in world.folder.glob("ledger.sqlite3*"):
        path.unlink()
    run = world.fetch({"a": 5}, after=5 * MINUTES)

    assert (world.folder / DAY_FILE).read_bytes().startswith(before)
    assert [block.fetched_at for block in world.committed()][:2] == fetched
    assert [block.source for block in world.committed()] == [
        "adopted",
        "adopted",
        "fetch",
    ]
    assert world.agrees()
    assert "station_information.csv is gone, too" not in run.notices[0].text
    for path in world.folder.glob("[ls]*[3v]"):  # the ledger, and the stations
        path.unlink()
    run = world.fetch({"a": 5}, after=5 * MINUTES)
    assert "station_information.csv is gone, too" in run.notices[0].text


def test_a_lost_ledger_keeps_the_stations_of_a_slot_that_is_fetched_again(
    world: World,
) -> None:
    """Adopting the block does not skip its station versions."""
    for bikes in (1, 2):
        world.fetch({"a": bikes}, after=300)
    before = world.lines("station_information.csv")
    (world.folder / "ledger.sqlite3").unlink()
    world.clock.now -= 300

    run = world.fetch({"a": 5})

    assert run.outcome is Outcome.DUPLICATE
    assert world.lines("station_information.csv") == before
    assert world.agrees()


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, None])
def test_a_damaged_ledger_is_set_aside_and_rebuilt(
    world: World, damage: bytes | None
) -> None:
    """Emptied, overwritten or torn: the run succeeds (fault 64)."""
    world.fetch({"a": 3})
    path = world.folder / "ledger.sqlite3"
    data = path.read_bytes()
    path.write_bytes(
        damage if damage is not None else data[:5000] + b"\xff" * (len(data) - 5000)
    )
    run = world.fetch({"a": 4}, after=5 * MINUTES)

    assert run.exit_code == 0
    assert [block.source for block in world.committed()] == ["adopted", "fetch"]
    assert world.agrees()


def test_a_changed_file_is_kept_and_a_new_segment_begun(
    world: World,
) -> None:
    """Nothing is appended to a re-saved CSV (CRLF) (faults 63, 95)."""
    world.fetch({"a": 3})
    path = world.folder / DAY_FILE
    changed = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(changed)
    run = world.fetch({"a": 4}, after=5 * MINUTES)

    assert run.file == "station_status/2026-11-22.2.csv"
    assert path.read_bytes() == changed
    assert [notice.kind for notice in run.notices] == ["damage"]


def test_a_shortened_file_is_kept_and_a_new_segment_begun(world: World) -> None:
    """Lost bytes are reported once, and collection continues (fault 63)."""
    world.fetch({"a": 3})
    path = world.folder / DAY_FILE
    path.write_bytes(path.read_bytes()[:-20])
    first = world.fetch({"a": 4}, after=5 * MINUTES)
    second = world.fetch({"a": 5}, after=5 * MINUTES)

    assert first.file == second.file == "station_status/2026-11-22.2.csv"
    (damage,) = [n.text for n in first.notices if n.kind == "damage"]
    assert damage.endswith("; run: bikecollect verify --repair city")
    assert second.notices == ()


@pytest.mark.parametrize("tail", [b"hello from another program\n", bytes(90)])
def test_foreign_bytes_at_the_end_are_kept_aside(world: World, tail: bytes) -> None:
    """A line that is no row is copied to rejected/ before it is cut (fault 96).

    So are zeros, which a file system may leave there after a power cut.
    """
    world.fetch({"a": 3})
    path = world.folder / DAY_FILE
    with path.open("ab") as opened:
        opened.write(tail)
    world.fetch({"a": 4}, after=5 * MINUTES)

    aside = next((world.folder / "payloads/rejected").glob("*.tail"))
    assert aside.read_bytes() == tail
    assert len(world.lines()) == 2
    assert world.agrees()


def test_rows_of_a_slot_that_is_collected_again_after_a_loss_are_kept_aside(
    world: World,
) -> None:
    """The ledger that knew of the first collection of this slot is lost (fault 96)."""
    world.fetch({"a": 3})
    world.fetch({"a": 4}, after=5 * MINUTES)
    last = (world.folder / DAY_FILE).read_bytes().splitlines(keepends=True)[-1]
    for file in world.folder.glob("ledger.sqlite3*"):
        file.unlink()

    run = world.fetch({"a": 5}, after=60)

    aside = next((world.folder / "payloads/rejected").glob("*.tail"))
    assert aside.read_bytes() == last
    assert "file-repaired" in [notice.kind for notice in run.notices]
    assert [line.split(",")[3] for line in world.lines()] == ["3", "5"]
    assert world.agrees()


def test_a_killed_run_is_recorded_by_the_next(world: World) -> None:
    """A run that left only its note is recorded as killed (fault 68)."""
    dead = world.begin()
    world.run_notes.begin(dead)
    world.payloads = type(world.payloads)(world.folder / "payloads")
    note = next((world.folder / "payloads/inbox").glob("*.run"))
    copy = note.read_bytes()
    note.unlink()
    note.write_bytes(copy)
    run = world.fetch({"a": 3})

    assert [notice.kind for notice in run.notices] == ["missed"]
    assert world.inbox() == []


def test_a_recorded_run_is_not_recorded_as_killed(world: World) -> None:
    """It died between its record and the removal of its note (fault 68)."""
    first = world.fetch({"a": 3})
    note = f"{stamp(first.slot)}.{first.run_id}.run"
    begun = replace(
        first, result=first.result._replace(outcome=None), finished=None
    ).to_json()
    (world.folder / "payloads/inbox" / note).write_text(begun, encoding="utf-8")
    world.fetch({"a": 4}, after=300)

    outcomes = {run.run_id: run.outcome for run in History("city", world.folder).runs()}
    assert outcomes[first.run_id] is Outcome.COLLECTED
    assert world.inbox() == []


@pytest.mark.parametrize(("seconds", "over"), [(900, 15), (86_400, 60)])
def test_a_long_retry_after_is_respected_by_the_next_run(
    world: World, seconds: int, over: int
) -> None:
    """After a 429 no request is made, for an hour at most (fault 20).

    A daily quota, or a date in another century, costs one request an hour. If another
    system of the host was told so, it is named.
    """
    limit = NOON + seconds
    world.feed.answer = RateLimited("too many", not_before=limit, limited="oslo")
    first = world.fetch()
    world.feed.answer = b'{"stations": {"a": 1}}'
    second = world.fetch(after=5 * MINUTES)
    third = world.fetch(after=over * MINUTES)

    assert [first.exit_code, second.exit_code, third.exit_code] == [75, 75, 0]
    until = "another system of this host, oslo, is rate-limited until 2026-11-22 0"
    assert second.error.startswith(until)


def test_a_new_version_of_a_station_is_one_line(world: World) -> None:
    """Station information is written when anything but the status changed."""
    world.fetch({"a": 3})
    world.fetch({"a": 4}, after=5 * MINUTES)
    world.fetch({"a": 5}, after=5 * MINUTES, names={"a": "new name"})

    lines = world.lines("station_information.csv")
    assert [line.split(",")[:3] for line in lines] == [
        ["2026-11-22T12:00:00+08:00", "a", "a"],
        ["2026-11-22T12:10:00+08:00", "a", "new name"],
    ]


def test_other_columns_begin_a_new_segment(world: World) -> None:
    """A file never holds two headers (fault 97)."""
    from bikecollect.storage.csv_format import DERIVED

    world.fetch({"a": 3})
    world.derived = (DERIVED["occupancy"],)
    run = world.fetch({"a": 4}, after=5 * MINUTES)

    assert run.file == "station_status/2026-11-22.2.csv"
    assert world.lines(run.file)[0].endswith(",0.4")


def test_a_field_that_is_gone_or_new_is_named(world: World) -> None:
    """A drift is flagged, and its notice names the field."""
    world.fetch({"a": 3}, fields=["total", "sbi"])
    run = world.fetch({"a": 3}, after=5 * MINUTES, fields=["Quantity", "sbi"])

    assert "drift" in run.flags
    text = " ".join(notice.text for notice in run.notices)
    assert "total" in text
    assert "Quantity" in text


def test_files_of_others_do_not_stop_the_pruning(world: World) -> None:
    """A file of the name of a day, and a `.DS_Store`, remain; payloads are removed."""
    world.fetch({"a": 1})
    kept = world.folder / "payloads/kept"
    for name in (".DS_Store", "2026-11-22/.DS_Store", "2026-11-01"):
        (kept / name).touch()
    (kept / "2026-11-22/notes").mkdir()
    for bikes in range(8):
        run = world.fetch({"a": bikes}, after=1440 * MINUTES)

    assert run.exit_code == 0
    assert len(list(kept.glob("*/*.zip"))) == 8
    assert sorted(path.name for path in (kept / "2026-11-22").iterdir()) == [
        ".DS_Store",
        "notes",
    ]


def test_kept_payloads_are_pruned_after_their_days(world: World) -> None:
    """A payload older than payload_days is removed once that many days are kept."""
    world.fetch({"a": 3})
    for bikes in range(8):
        world.fetch({"a": bikes}, after=1440 * MINUTES)

    days = sorted(path.name for path in (world.folder / "payloads/kept").iterdir())
    assert days == [f"2026-11-{day}" for day in range(23, 31)]


def test_a_newer_ledger_is_not_touched_and_the_payload_waits(world: World) -> None:
    """A ledger of a newer version ends with 78, the payload accepted (fault 98)."""
    world.fetch({"a": 3})
    db = sqlite3.connect(world.folder / "ledger.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()
    run = world.fetch({"a": 4}, after=5 * MINUTES)

    assert run.exit_code == 78
    assert [name for name in world.inbox() if name.endswith(".zip")] == [
        "20261122T040500Z.00000002.zip"
    ]


def _forget(world: World, number: int) -> None:
    """Put run *number* back to before its commit: payload in the inbox, no block."""
    name = next((world.folder / "payloads/kept/2026-11-22").glob(f"*{number:08x}.zip"))
    name.rename(world.folder / "payloads/inbox" / name.name)
    db = sqlite3.connect(world.folder / "ledger.sqlite3")
    with db:
        db.execute("DELETE FROM blocks WHERE slot = (SELECT max(slot) FROM blocks)")
        db.execute(
            'UPDATE files SET ("end", start, crc32) = (SELECT max("end"), start, crc32'
            " FROM blocks WHERE blocks.file = files.file) WHERE file LIKE '%status%'"
        )
    db.close()


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 300_000_000)


@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: shutil.copy(next(path.parents[1].glob("kept/*/*.zip")), path),
        _sparse,
    ],
    ids=["fifo", "link", "another", "large"],
)
def test_foreign_files_in_the_inbox_stop_no_run(
    world: World, put: Callable[[Path], object]
) -> None:
    """They are rejected by name once: the next slots are collected."""
    world.fetch({"a": 1})
    strange = world.folder / "payloads/inbox/20261122T030000Z.0badcafe.zip"
    put(strange)

    run = world.fetch({"a": 2}, after=300)
    after = world.fetch({"a": 3}, after=300)

    assert (run.outcome, after.outcome) == (Outcome.COLLECTED, Outcome.COLLECTED)
    assert world.inbox() == []
    assert [notice.kind for notice in run.notices] == ["payload"]
    assert after.notices == ()
    assert os.path.lexists(world.folder / "payloads/rejected" / strange.name)


def test_new_fields_in_each_slot_are_reported_briefly(world: World) -> None:
    """A thousand of them are a few notices, and the ledger hardly grows."""
    world.fetch({"a": 1}, fields=[f"first-{n}-{'x' * 400}" for n in range(1_000)])
    world.fetch({"a": 1}, after=300, fields=[f"then-{n}" for n in range(1_000)])
    before = (world.folder / "ledger.sqlite3").stat().st_size
    more = [f"last-{n}-{'x' * 400}" for n in range(1_000)]
    run = world.fetch({"a": 1}, after=300, fields=more)

    drifts = [notice.text for notice in run.notices if notice.kind == "drift"]
    assert len(drifts) == 13
    assert drifts[-1] == "1988 more fields are gone, new or retyped"
    assert (world.folder / "ledger.sqlite3").stat().st_size - before < 1_000_000


def test_a_note_that_is_too_large_is_dropped(world: World) -> None:
    """A note of megabytes is not kept, and neither is its former value."""
    world.ledger.open()
    world.ledger.remember({"types": "short", "other": "stays"})
    world.ledger.remember({"types": "x" * 2_000_000})

    notes = world.ledger.notes()
    world.ledger.close()

    assert notes == {"other": "stays"}


def test_a_run_with_surrogates_is_recorded(world: World) -> None:
    """SQLite rejects them; the run is recorded without them."""
    run = replace(
        world.begin(), result=Result(Outcome.BUG, flags=("\ud800",)), boot_id="\udfff"
    )
    world.ledger.open()
    world.ledger.record([run])
    has_ended = world.ledger.has_ended(run.run_id)
    world.ledger.close()

    assert has_ended


def test_a_note_of_impossible_numbers_is_no_run(world: World) -> None:
    """It is not recorded, and prevents no later run from ending."""
    inbox = world.folder / "payloads/inbox"
    inbox.mkdir(parents=True)
    note = replace(world.begin(), bytes=10**30).to_json()
    (inbox / "20261122T035500Z.deadbeef.run").write_text(note, encoding="utf-8")
    (inbox / "20261122T035000Z.cafebabe.run").write_text(
        note.replace('"bytes": 1' + "0" * 30, '"bytes": "many"'), encoding="utf-8"
    )
    run = world.fetch({"a": 1})

    assert run.outcome is Outcome.COLLECTED
    assert world.inbox() == []


def test_a_long_id_in_an_old_file_is_no_torn_line(world: World) -> None:
    """Earlier versions wrote long ids: a lost ledger adopts their rows."""
    world.fetch({"x" * 200_000: 3, "b": 1}, names={"b": "n" * 200_000})
    named = {"b": "n" * 200_000}
    world.fetch({"x" * 200_000: 4, "b": 2}, after=5 * MINUTES, names=named)
    before = (world.folder / DAY_FILE).read_bytes()
    stations = (world.folder / "station_information.csv").read_bytes()
    for path in world.folder.glob("ledger.sqlite3*"):
        path.unlink()
    run = world.fetch({"b": 3}, after=5 * MINUTES, names=named)

    assert run.outcome is Outcome.COLLECTED
    assert (world.folder / DAY_FILE).read_bytes().startswith(before)
    assert (world.folder / "station_information.csv").read_bytes() == stations
    assert [block.rows for block in world.committed()] == [2, 2, 1]


def test_far_more_stations_than_usual_are_rejected_at_first(world: World) -> None:
    """A city of ten has 6,000 for a slot: kept, reported, not written."""
    city = {f"s{n}": 1 for n in range(10)}
    country = {f"s{n}": 1 for n in range(6_000)}
    world.fetch(city)
    run = world.fetch(country, after=300)
    after = world.fetch(city, after=300)

    assert (run.outcome, run.cause) == (Outcome.REJECTED, "growth")
    assert "6000 stations instead of the usual 10" in run.error
    assert after.outcome is Outcome.COLLECTED
    assert len(world.lines()) == 20


def test_far_more_stations_are_accepted_after_an_hour(world: World) -> None:
    """The slots of the first hour are filled by `backfill`."""
    world.fetch({f"s{n}": 1 for n in range(10)})
    country = {f"s{n}": 1 for n in range(6_000)}
    runs = [world.fetch(country, after=300) for _ in range(15)]

    assert [run.outcome for run in runs[:12]] == [Outcome.REJECTED] * 12
    assert [run.outcome for run in runs[12:]] == [Outcome.COLLECTED] * 3


def test_a_list_that_changes_in_each_slot_is_written_rarely(world: World) -> None:
    """600 stations, renamed in each slot: three lists a day; rows are written."""
    for number in range(8):
        names = {f"s{n}": f"{n} the {number}th" for n in range(600)}
        run = world.fetch({f"s{n}": 1 for n in range(600)}, after=300, names=names)

    lines = world.lines("station_information.csv")
    assert len(world.lines()) == 8 * 600
    assert len(lines) == 3 * 600
    assert [notice.text for notice in run.notices] == [
        "600 stations changed again: the station list is not written"
    ]


def test_a_few_stations_that_change_in_each_slot_are_written_rarely(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve versions of three stations a day; those that come are written, too."""
    monkeypatch.setattr(station_list, "MANY", 4)
    runs = []
    for number in range(6):
        names = {f"s{n}": f"{n} the {number}th" for n in range(3)}
        runs.append(world.fetch(dict.fromkeys(names, 1), after=300, names=names))
    runs.append(world.fetch({**dict.fromkeys(names, 1), "new": 1}, after=300))

    lines = world.lines("station_information.csv")
    assert len(lines) == 12 + 1
    assert ",new," in lines[-1]
    assert [notice.text for run in runs for notice in run.notices] == [
        "the station list has changed 12 times within a day, mostly in name: until it "
        "changes less, only stations that come and leave are written to it"
    ]


def test_of_unreadable_payloads_few_are_kept(world: World) -> None:
    """The newest 32 MiB of them; of other rejected payloads, small ones, all."""
    world.feed.bug = PayloadError("too large to be read", cause="too-large")
    noise = random.Random(1)
    for _ in range(9):
        world.feed.answer = noise.randbytes(3_500_000).hex().encode()
        world.fetch(after=300)
    world.feed.bug = PayloadError("another shape")
    world.fetch({"a": 1}, after=300)

    rejected = world.folder / "payloads/rejected"
    sizes = [path.stat().st_size for path in rejected.glob("*.zip")]
    assert sum(sizes) < 34_000_000
    assert len(sizes) == 9
    assert len(list(rejected.glob("*.reason.txt"))) == 9
    assert (rejected / "20261122T044500Z.00000009.zip").exists()


@pytest.mark.parametrize(
    ("cause", "is_spared"),
    [("growth", True), ("too-large", True), ("too-slow", True), ("drift", False)],
)
def test_rejected_payloads_that_backfill_may_need_are_all_kept(
    world: World, cause: str, *, is_spared: bool
) -> None:
    """Of those that are rejected for their size, the reason says that few are."""
    world.feed.bug = PayloadError("not as usual", cause=cause)
    world.fetch({"a": 1}, after=300)

    (reason,) = (world.folder / "payloads/rejected").glob("*.reason.txt")
    assert ("newest 32 MiB" in reason.read_text("utf-8")) is is_spared
