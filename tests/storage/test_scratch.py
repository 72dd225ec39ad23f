"""Folders for temporary data: removed also after a kill."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bikecollect.storage.files import flock
from bikecollect.storage.files.scratch import remove_all, scratch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary data."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_files_of_a_just_killed_process_are_removed(place: Path) -> None:
    """Its folder has data, and its lock is free."""
    left = place / "bikecollect-killed.scratch"
    left.mkdir()
    (left / "rows.parquet").write_bytes(b"PAR1")

    with scratch() as folder:
        assert list(place.iterdir()) == [folder]

    assert list(place.iterdir()) == []


def test_a_process_that_ends_at_once_removes_its_folders(place: Path) -> None:
    """Only those in use: the paths of earlier ones may belong to others by now."""
    with scratch() as earlier:
        pass
    earlier.mkdir()

    with scratch() as folder:
        (folder / "rows.parquet").write_bytes(b"PAR1")
        remove_all()
        assert list(place.iterdir()) == [earlier]


def test_a_folder_in_use_and_a_new_one_are_kept(place: Path) -> None:
    """A new one is empty, and may not be locked yet."""
    used, new = place / "bikecollect-used.scratch", place / "bikecollect-new.scratch"
    for folder in (used, new):
        folder.mkdir()
    (used / "rows.parquet").write_bytes(b"PAR1")
    fd = os.open(used, os.O_RDONLY | os.O_DIRECTORY)
    flock.try_lock(fd, shared=True)

    with scratch():
        pass
    os.close(fd)

    assert sorted(place.iterdir()) == [new, used]


def test_a_folder_that_is_taken_for_a_leftover_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process removes it before it is locked: that one's clock is ahead."""
    made, removing = [], []
    make, lock = tempfile.mkdtemp, flock.try_lock

    def removed_at_once(*arguments: Any) -> str:
        made.append(Path(make(*arguments)))
        if len(made) == 1:
            made[0].rmdir()
        elif len(made) == 2:
            removing.append(os.open(made[1], os.O_RDONLY))
            assert lock(removing[0])
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", removed_at_once)
    with scratch() as folder:
        assert folder == made[2]
        assert folder.is_dir()
    os.close(removing[0])
    assert list(place.iterdir()) == [made[1]]


def test_without_any_place_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a read-only root; the error blamed the output, and named no remedy."""

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in [...]")

    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(OSError, match="set TMPDIR to one") as failed, scratch():
        pass

    assert failed.value.filename == str(tmp_path / "missing")
