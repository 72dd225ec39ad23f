"""A daily file whose sectors the disk has lost: it is like any damaged file."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest
from json_shapes import documented
from world import World

from bikecollect.cli.render.programs.archive_json import REPAIR_KEYS, repair_json
from bikecollect.collect.committed_blocks import CommittedBlocks
from bikecollect.core.errors import Outcome, StorageError
from bikecollect.storage.files.regular_file import open_plain
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair import Repair
from bikecollect.storage.repair.repairer import Repairer

FILE = "station_status/2026-11-22.csv"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with two slots."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    world.fetch({"a": 2}, after=300)
    return world


def lose(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Make every read of the daily file fail with the error *number*."""

    def failing(path: Path, *_: object) -> BinaryIO:
        if path.match(FILE):
            raise OSError(number, os.strerror(number))
        return open_plain(path)

    monkeypatch.setattr("bikecollect.storage.csv_store.open_plain", failing)
    monkeypatch.setattr("bikecollect.storage.repair.repairer.RespelledFile", failing)


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADMSG, errno.EUCLEAN])
def test_collection_continues_in_a_new_segment(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Otherwise all later payloads would wait in the inbox behind the bad sector."""
    lose(monkeypatch, number)
    run = world.fetch({"a": 3}, after=300)

    assert run.outcome is Outcome.COLLECTED
    assert [(notice.kind, notice.text) for notice in run.notices] == [
        (
            "damage",
            f"{FILE} cannot be read (its last block): new rows go to "
            "station_status/2026-11-22.2.csv; run: bikecollect verify --repair city",
        )
    ]
    assert len(world.lines("station_status/2026-11-22.2.csv")) == 1


def test_no_permission_is_no_damage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payload waits until somebody has corrected that."""
    lose(monkeypatch, errno.EACCES)
    run = world.fetch({"a": 3}, after=300)

    assert run.exit_code == 74
    assert not (world.folder / "station_status/2026-11-22.2.csv").exists()
    assert len([name for name in world.inbox() if name.endswith(".zip")]) == 1


def test_lost_blocks_can_be_filled_from_kept_payloads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verify --repair` names them, and `backfill` commits them again."""
    lose(monkeypatch, errno.EIO)
    blocks = CommittedBlocks(History("city", world.folder), world.store, world.ledger)
    aside = world.folder / "payloads/rejected"
    slots = [block.slot for block in world.committed()]
    world.ledger.open()
    try:
        repairs = list(Repairer(world.folder, world.store, world.ledger, aside).run())
    finally:
        world.ledger.close()

    assert repairs == [Repair(FILE, 2, slots)]
    assert documented(repair_json("city", repairs[0]), REPAIR_KEYS)
    assert blocks.read() == set()
    assert blocks.damaged == set(slots)


def test_bytes_that_cannot_be_read_are_never_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a file whose ledger was lost may have committed rows."""
    lose(monkeypatch, errno.EIO)

    with pytest.raises(StorageError):
        world.store.tail(FILE, 0, (), ())


def test_a_block_that_is_lost_during_the_repair_is_not_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays as it is; the next repair reports the block."""
    path = world.folder / FILE
    before = path.read_bytes() + b"torn"
    path.write_bytes(before)
    monkeypatch.setattr(world.store, "crc", lambda span: span.crc)
    monkeypatch.setattr(world.store, "text", lambda span: b"")
    aside = world.folder / "payloads/rejected"
    world.ledger.open()
    try:
        with pytest.raises(StorageError, match="try again"):
            list(Repairer(world.folder, world.store, world.ledger, aside).run())
    finally:
        world.ledger.close()

    assert path.read_bytes() == before
