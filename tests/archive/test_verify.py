"""Every byte is checked: a flipped bit anywhere is found and named."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from keeping import compacted, findings, verifier
from templates import copied
from world import World

from bikecollect.archive import datasets
from bikecollect.archive.certificates import Certificate, Finding, compare
from bikecollect.archive.checks.remedies import remedy
from bikecollect.cli.render.archive import certificate_line
from bikecollect.core.blocks import Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import INFORMATION

pytest.importorskip("duckdb")
CSV = "station_status/2026-11-22.csv"


def certificates(world: World) -> list[Certificate]:
    """Return the certificates of *world*."""
    return [
        result for result in verifier(world).run() if isinstance(result, Certificate)
    ]


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world with three slots on one day, compacted, and one on the next."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"0002": bikes, "0001": 7}, after=300)
    world.clock.now += DAY
    world.uptime += DAY
    compacted(world)
    world.fetch({"0002": 4})
    return world


def test_a_sound_history_has_no_findings_and_a_certificate_per_day(
    world: World,
) -> None:
    """With slots, rows, digest, and place of the day; each line is aligned."""
    assert findings(world, deep=True) == []
    first, last = map(certificate_line, certificates(world))
    assert first.startswith("city 2026-11-22     3 slots          6 rows  csv ")
    assert last.startswith("city 2026-11-23     1 slot           1 row   csv ")
    assert [(c.date, c.summary.slots, c.summary.rows) for c in certificates(world)] == [
        ("2026-11-22", 3, 6),
        ("2026-11-23", 1, 1),
    ]


def test_a_certificate_stays_the_same_when_the_csv_goes(world: World) -> None:
    """The digest is of the rows, in CSV and archive."""
    (before, _) = certificates(world)
    world.clock.now += 9 * DAY
    compacted(world)

    after = certificates(world)[0]

    assert (before.where, after.where) == ("csv", "archive")
    assert before.summary == after.summary
    assert findings(world, deep=True) == []


PLACES = [
    "city/station_status/2026-11-22.csv",
    "city/station_status/2026-11-23.csv",
    "city/station_information.csv",
    "archive/station_status/system_id=city/date=2026-11-22/part.parquet",
    "archive/coverage/system_id=city/date=2026-11-22/part.parquet",
    "archive/profile/system_id=city/date=2026-11-22/part.parquet",
    "archive/slots/system_id=city/date=2026-11-22/part.parquet",
    "archive/runs/system_id=city/date=2026-11-22/part.parquet",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_is_found(world: World, place: str, seed: int) -> None:
    """Any bit of any file."""
    path = world.folder.parent / place
    data = bytearray(path.read_bytes())
    bit = random.Random(seed).randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)

    assert findings(world)


def test_a_bit_flipped_in_a_kept_payload_is_found(world: World) -> None:
    """By the payload's own checksum, and the ledger's."""
    path = next((world.folder / "payloads/kept").rglob("*.zip"))
    data = bytearray(path.read_bytes())
    data[data.index(b".json") + 12] ^= 1  # in what was deflated
    path.write_bytes(data)

    (finding,) = findings(world)

    assert path.name in finding


def test_an_edit_that_no_run_sees_is_found(world: World) -> None:
    """A run reads only the last block of a file, and goes on after it."""
    first, second = world.fetch(after=300), world.fetch(after=300)
    path = world.folder / first.file
    assert findings(world) == []
    path.write_bytes(path.read_bytes().replace(b"0002", b"0003", 1))
    last = world.fetch(after=300)

    assert (first.file, last.notices) == (second.file, ())
    assert last.file == first.file
    (finding,) = findings(world)
    assert finding.startswith(f"{first.file}: the block in bytes ")


def test_rows_that_nobody_committed_are_found(world: World) -> None:
    """A line added by hand belongs to no block."""
    with (world.folder / CSV).open("a", encoding="utf-8") as csv:
        csv.write("2026-11-22T12:25:00+08:00,,9999\n")

    (finding,) = findings(world)

    assert "belong to no block" in finding
    whole = (world.folder / CSV).stat().st_size - len(
        "2026-11-22T12:25:00+08:00,,9999\n"
    )
    cut = f"{CSV}: has {{}} bytes, {whole} were written: it lacks rows of {{}}"
    os.truncate(world.folder / CSV, whole - 200)
    assert findings(world) == [cut.format(whole - 200, "2 slots")]
    other_days = replace(verifier(world), since="2026-11-23").run()
    assert [r.what for r in other_days if isinstance(r, Finding)] == [
        cut.format(whole - 200, "2 slots").removeprefix(f"{CSV}: ")
    ]
    assert [certificate.date for certificate in certificates(world)] == ["2026-11-23"]
    os.truncate(world.folder / CSV, 90)
    assert findings(world) == [
        f"{CSV}: its first line has changed",
        cut.format(90, "3 slots"),
    ]


def test_a_link_to_a_daily_file_is_found(world: World) -> None:
    """Nothing is written to it, so that each fetch fails (fault 111)."""
    path = world.folder / CSV
    elsewhere = path.rename(world.folder.parent / path.name)
    path.symlink_to(elsewhere)

    (found,) = findings(world)
    where, _, what = found.partition(": ")

    assert what == f"is a link to {elsewhere}; links are not followed"
    todo = remedy(Finding("city", where, what), has_csv=True)
    assert todo == "move that file to the place of the link, without a link"


def test_a_longer_first_line_has_no_bytes_that_end_before_they_begin(
    world: World,
) -> None:
    """A spreadsheet puts a byte order mark in front (fault 95)."""
    path = world.folder / CSV
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    size = len(path.read_bytes().partition(b"\n")[0]) + 1

    found = findings(world)

    assert f"{CSV}: its first line has changed" in found
    assert f"{CSV}: bytes {size - 3} to {size} do not belong to one block only" in found


def test_a_missing_file_is_found(world: World) -> None:
    """Of the archive and of the open days."""
    (world.folder / "station_status/2026-11-23.csv").unlink()
    datasets.part(world.folder.parent, "runs", "city", "2026-11-22").unlink()

    texts = findings(world)

    assert len(texts) == 2
    assert "is missing" in texts[0]
    assert "is missing" in texts[1]


def test_a_file_whose_slots_are_filled_again_is_not_missed(world: World) -> None:
    """Nor is an empty one found, which recovery leaves of a file without rows."""
    path = world.folder / "station_status/2026-11-23.csv"
    path.rename(path.with_name("2026-11-23.9.csv"))
    path.with_name("2026-11-21.csv").touch()
    world.ledger.open()
    with world.ledger.transaction() as db:
        db.execute("UPDATE files SET damaged = 1 WHERE file LIKE '%-23.csv'")
        db.execute(
            "INSERT INTO files SELECT replace(file, '.csv', '.9.csv'), \"end\", start,"
            " crc32, 0, header FROM files WHERE file LIKE '%-23.csv'"
        )
        db.execute(
            "UPDATE blocks SET file = replace(file, '.csv', '.9.csv')"
            " WHERE file LIKE '%-23.csv'"
        )
    world.ledger.close()

    assert findings(world) == []


def test_kept_certificates_show_later_changes(world: World) -> None:
    """A certificate from years ago is compared with the present data."""
    now = certificates(world)
    summary = now[0].summary._replace(sha256="0" * 64)
    old = [now[0]._replace(summary=summary), now[1]._replace(date="2020-01-01")]

    texts = [difference.what for difference in compare(now, old)]

    assert "says 3 slots, 6 rows, sha256 000000000000" in texts[0]
    assert texts[1] == "is missing"


def test_each_block_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year's CSV is not read twice to be certified, nor to be archived."""
    read: list[Span] = []
    text = Store.text

    def counted(self: Store, span: Span) -> bytes:
        if span.file != INFORMATION:
            read.append(span)
        return text(self, span)

    monkeypatch.setattr(Store, "text", counted)
    assert findings(world) == []
    assert len(read) == len(set(read)) == 4

    read.clear()
    world.clock.now += DAY
    compacted(world)
    assert len(read) == len(set(read)) == 1


def test_deep_verification_continues_after_a_damaged_day(world: World) -> None:
    """The damage is found by the checksum; the next days are read, too.

    A day whose rows cannot be read gets no certificate.
    """
    world.clock.now += 9 * DAY
    compacted(world)
    data = world.folder.parent
    first, second = (
        datasets.part(data, datasets.STATUS, "city", day)
        for day in ("2026-11-22", "2026-11-23")
    )
    first.write_bytes(first.read_bytes()[:100])
    second.unlink()
    second.mkdir()

    assert findings(world, deep=True) == [
        f"2026-11-22: {first}: sha256 mismatch",
        f"2026-11-23: cannot read {second}: not a regular file",
    ]
    assert certificates(world) == []


def test_damaged_columns_of_a_certificate_are_a_finding(world: World) -> None:
    """Other days are read back nevertheless."""
    path = world.folder.parent / "archive/certificates/system_id=city/2026-11-22.json"
    path.write_text(path.read_text().replace(' "station_id",', ""))

    (found,) = findings(world, deep=True)

    assert found.startswith("2026-11-22: cannot be read: ")
    assert len(certificates(world)) == 2


def test_an_unreadable_file_is_a_finding(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other blocks are checked; the day gets no certificate."""
    text = Store.text

    def unreadable(store: Store, span: Span) -> bytes:
        if span.file == CSV and span.start < 300:
            raise StorageError("[Errno 13] Permission denied")
        return text(store, span)

    monkeypatch.setattr(Store, "text", unreadable)

    assert set(findings(world)) == {f"{CSV}: cannot be read: Permission denied"}
    assert [certificate.date for certificate in certificates(world)] == ["2026-11-23"]
