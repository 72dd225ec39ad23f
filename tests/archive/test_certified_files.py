"""Which archived files an engine without our views may read: the certified ones."""

import json
from collections.abc import Collection
from pathlib import Path

import pytest
from keeping import compacted
from three_days import three_days
from world import World

from bikecollect.archive.checks.certified_files import ArchiveCheck, LocalArchive
from bikecollect.archive.query.open_days import Loss

duckdb = pytest.importorskip("duckdb")
TABLES = {"station_status", "slots"}
ROWS = "archive/station_status/system_id=city/date=2026-11-23/part.parquet"
SLOTS = ROWS.replace("station_status", "slots")
CERTIFICATE = "archive/certificates/system_id=city/2026-11-23.json"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with three archived days."""
    world = three_days(tmp_path)
    compacted(world, csv_days=0)
    return world


def losses(
    data: Path, tables: Collection[str] = TABLES
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return why days are lost, and which days of *tables* are not read."""
    lost: dict[str, str] = {}

    def note(_system: str, day: str, loss: Loss) -> None:
        lost[day] = loss.why

    check = ArchiveCheck(LocalArchive(str(data / "archive")), note)
    unread = check.unread(["city"], tables)
    return lost, {name: set(by["city"].days) for name, by in unread.items()}


def test_an_undamaged_archive_is_read_whole(world: World) -> None:
    """No day is lost, and none is skipped."""
    assert losses(world.folder.parent) == (
        {},
        {"station_status": set(), "slots": set()},
    )


def test_a_missing_file_is_named(world: World) -> None:
    """Its day is skipped in that dataset only, as with DuckDB."""
    path = world.folder.parent / SLOTS
    path.unlink()

    lost, unread = losses(world.folder.parent)

    assert lost == {"2026-11-23": f"{path} is missing; run: bikecollect verify"}
    assert unread == {"station_status": set(), "slots": {"2026-11-23"}}


def test_a_changed_byte_is_named(world: World) -> None:
    """The size is that of the certificate; Spark might read other values."""
    path = world.folder.parent / ROWS
    intact = path.read_bytes()
    path.write_bytes(intact[:99] + bytes([intact[99] ^ 1]) + intact[100:])

    lost, unread = losses(world.folder.parent)

    why = f"{path}: sha256 mismatch; run: bikecollect verify"
    assert lost == {"2026-11-23": why}
    assert unread == {"station_status": {"2026-11-23"}, "slots": set()}


def test_a_file_that_was_written_again_with_the_same_rows_is_read(world: World) -> None:
    """Somebody may have compressed it otherwise; DuckDB reads it, too."""
    path = world.folder.parent / ROWS
    duckdb.sql(f"COPY (FROM '{path}') TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").rename(path)

    assert losses(world.folder.parent)[0] == {}


def test_summaries_of_an_earlier_version_are_named(world: World) -> None:
    """Another engine would read the columns that they lack as NULL."""
    path = world.folder.parent / CERTIFICATE
    values = json.loads(path.read_bytes())
    del values["parts"]["coverage"]["format"]
    path.write_text(json.dumps(values), encoding="utf-8")

    lost, unread = losses(world.folder.parent, {"coverage", "slots"})

    text = "its summaries are of an earlier version; run: bikecollect compact"
    assert lost == {"2026-11-23": text}
    assert unread == {"coverage": {"2026-11-23"}, "slots": set()}


def test_an_invalid_certificate_is_named(world: World) -> None:
    """Nothing is known of the files of its day: none is read."""
    (world.folder.parent / CERTIFICATE).write_text("{", encoding="utf-8")

    lost, unread = losses(world.folder.parent)

    assert lost["2026-11-23"].startswith("its certificate is invalid; run: ")
    assert unread == {"station_status": {"2026-11-23"}, "slots": {"2026-11-23"}}
