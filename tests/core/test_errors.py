"""Errors say what to do where the system's message does not."""

import errno
import os
import signal
from pathlib import Path

import pytest

from bikecollect.core.errors import Interrupted, StorageError, plain, resource_hint


@pytest.mark.parametrize(
    "what",
    [
        "no/such.zip: No space left on device",
        "x: unable to open database file",
    ],
)
def test_a_disk_without_inodes_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The system says only that no space is left, and `df` shows plenty."""
    disk = os.statvfs_result((4096, 4096, 900, 800, 700, 400, 0, 0, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda _: disk)
    text = f"cannot write {tmp_path}/{what}"

    error = str(StorageError(text))

    assert error == f"{text}; no inodes are left: remove small files (see df -i)"
    assert str(StorageError(error)) == error


def test_a_disk_on_which_sqlite_cannot_read_is_named_as_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs 32 KiB beside a ledger, and its message suggests a broken disk."""
    disk = os.statvfs_result((4096, 4096, 900, 5, 5, 400, 300, 300, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda _: disk)
    text = f"cannot read {tmp_path}/ledger.sqlite3: disk I/O error; if it is damaged, x"

    error = str(StorageError(text))

    assert error == f"{text}; no space is left on the disk: remove files (see df)"
    assert str(StorageError(error)) == error


@pytest.mark.parametrize(
    ("what", "count"),
    [
        ("x.csv: File too large", 1),
        ("ledger.sqlite3: disk I/O error; if it is damaged, x", 1),
        ("small.sqlite3: disk I/O error", 0),
    ],
)
def test_a_limit_on_the_size_of_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, count: int
) -> None:
    """For SQLite, which calls it a broken disk, if its file is that large."""
    limit, disk = 100_000, tmp_path / "My Passport"
    disk.mkdir()
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))
    (disk / "ledger.sqlite3").write_bytes(bytes(limit - 50_000))
    (disk / "small.sqlite3").write_bytes(bytes(9_000))
    text = f"cannot write {disk}/{what}"
    hint = "; a file may have 100000 bytes: raise `ulimit -f` (systemd: LimitFSIZE)"

    error = str(StorageError(text))

    assert error == text + hint * count
    assert str(StorageError(error)) == error


@pytest.mark.parametrize("inodes", [(400, 300, 300), (0, 0, 0)])
def test_a_full_disk_has_no_such_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inodes: tuple[int, int, int]
) -> None:
    """Neither where inodes are left, nor on file systems that have none.

    Nor is there a number or the path again, which Python adds.
    """
    disk = os.statvfs_result((4096, 4096, 900, 0, 0, *inodes, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda _: disk)
    path = tmp_path / "x.zip"
    error = OSError(errno.ENOSPC, "No space left on device", str(path))

    text = str(StorageError(f"cannot write {path}: {error}"))

    assert text == f"cannot write {path}: No space left on device"


def test_a_signal_is_named() -> None:
    """A person may have pressed Ctrl-C, and knows no numbers of signals."""
    assert str(Interrupted(signal.SIGINT)) == "ended by Ctrl-C (SIGINT)"
    assert str(Interrupted(signal.SIGTERM)) == "ended by SIGTERM"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/x", "Read-only file system"),
        ("/y", "Read-only file system: '/x.tmp' -> '/x'"),
    ],
)
def test_a_file_that_cannot_be_renamed_is_named_once(name: str, words: str) -> None:
    """Python adds both of its names to the words of the system."""
    error = OSError(30, "Read-only file system", "/x.tmp", None, "/x")

    assert plain(f"cannot write {name}: {error}") == f"cannot write {name}: {words}"


@pytest.mark.parametrize(
    ("place", "is_disk"),
    [
        ("cannot write /srv/bikes/a.csv", True),
        ("cannot reach file:///mnt/nas", True),
        ("cannot reach s3://bucket/bikes", False),
    ],
)
def test_only_a_disk_is_to_be_mounted_again(place: str, *, is_disk: bool) -> None:
    """A socket that is not connected has the same words as a dead mount."""
    text = f"{place}: Transport endpoint is not connected"

    assert ("umount" in resource_hint(text)) == is_disk
