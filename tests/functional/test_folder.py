"""A folder that should hold data is never filled when it is not mounted."""

import shutil
from pathlib import Path

import pytest

from bikecollect.core.errors import SettingsError
from bikecollect.setup.loader import parse
from bikecollect.storage import data_folder as folder
from bikecollect.wiring import collection as wiring


def test_a_new_folder_is_made_and_marked(tmp_path: Path) -> None:
    """The first run makes its folder."""
    folder.ready(tmp_path / "bikes" / "city")

    assert (tmp_path / "bikes/city/.bikecollect").exists()


def test_a_mount_point_that_lost_its_disk_is_not_filled(tmp_path: Path) -> None:
    """An empty folder where data were is refused, and stays empty (fault 57)."""
    folder.ready(tmp_path / "bikes" / "city")
    shutil.rmtree(tmp_path / "bikes" / "city")

    with pytest.raises(SettingsError, match="mounted"):
        folder.ready(tmp_path / "bikes" / "city")
    assert list((tmp_path / "bikes").iterdir()) == []


def test_a_folder_of_something_else_is_not_ours(tmp_path: Path) -> None:
    """A folder with files and no marker is refused."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()

    with pytest.raises(SettingsError, match="touch"):
        folder.ready(tmp_path / "photos")


def test_a_folder_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    """Who removes the whole data folder wants to begin anew."""
    folder.ready(tmp_path / "bikes" / "city")
    shutil.rmtree(tmp_path / "bikes")
    folder.ready(tmp_path / "bikes" / "city")

    assert (tmp_path / "bikes/city/.bikecollect").exists()


def test_several_systems_that_begin_anew_do_not_take_each_other_for_unmounted(
    tmp_path: Path,
) -> None:
    """Removed as a whole and begun again: each system's folder is made."""
    data = {"data_dir": str(tmp_path / "bikes")}
    system = {"feed": "youbike", "url": "http://127.0.0.1:9/", "timezone": "UTC"}
    settings = parse(
        {**data, "interval": "1s", "systems": {f"city{n}": system for n in range(8)}}
    )
    first = wiring.collect(settings)
    shutil.rmtree(tmp_path / "bikes")
    second = wiring.collect(settings)

    assert {run.cause for run in first + second} == {"connect"}
