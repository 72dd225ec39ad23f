"""Folders into which nothing was ever collected are told from histories."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import bikecollect
from templates import copied
from world import World, body

from bikecollect.core.errors import FeedUnavailable
from bikecollect.storage.files import marker
from bikecollect.storage.files.known_folders import remember_place

HOURS_AGO = 7_200
SETTINGS = (
    'data_dir = "{}"\n[systems.city]\nfeed = "youbike"\n'
    'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1:9/"\n'
)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a system with a run that failed, as a wrong `data_dir` leaves it."""
    world = World(folder / "dta" / "city")
    (world.folder / marker.MARKER).write_bytes(marker.text_of("city"))
    world.feed.answer = FeedUnavailable("no answer in 30 s")
    world.fetch()
    return world


def aged(folder: Path) -> None:
    """Let all files in *folder* be some hours old."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path, then = Path(place, name), time.time() - HOURS_AGO
            os.utime(path, (then, then), follow_symlinks=False)


def told(tmp_path: Path, command: str, now: str = "bikes/data") -> str:
    """Return what *command* says of folders, with `data_dir` *now*, before `dta`."""
    config = tmp_path / "b.toml"
    config.write_text(SETTINGS.format(now), encoding="utf-8")
    config.chmod(0o600)
    remember_place(str(config), tmp_path / "bikes/dta")
    shown = bikecollect("--config", config, *command.split()).stdout
    return " ".join(shown.split())


@pytest.mark.usefixtures("world")
def test_the_folder_of_a_wrong_data_dir_may_be_deleted(tmp_path: Path) -> None:
    """It has only a run that failed; reading its ledger does not make it younger."""
    aged(tmp_path / "bikes/dta")

    status = told(tmp_path, "status")
    doctor = told(tmp_path, "doctor --offline")

    place = tmp_path / "bikes/dta"
    assert f"nothing was ever collected into {place} of city; " in status
    text = "was data_dir before, and has nothing of city: 1 failed run, no payload"
    assert f"{place} {text} and no row" in doctor
    assert f"what may be deleted: rm -r {place} " in doctor
    assert "rm -r" not in told(tmp_path, "doctor --offline", now="bikes/dta")


def test_what_else_is_in_the_place_stays(world: World, tmp_path: Path) -> None:
    """Then the command names the folders without data, not their place."""
    trial = world.folder.with_name("trial")
    shutil.copytree(world.folder, trial)
    (trial / marker.MARKER).write_bytes(marker.text_of("trial"))
    (tmp_path / "bikes/dta/notes.txt").touch()
    aged(tmp_path / "bikes/dta")

    doctor = told(tmp_path, "doctor --offline")
    own = told(tmp_path, "doctor --offline", now="bikes/dta")

    assert f"rm -r {world.folder} {trial} " in doctor
    assert f"rm -r {trial} " in own
    assert "of systems that the settings do not have, nothing of trial: 1 f" in own


def collected(world: World) -> None:
    """Collect a slot."""
    world.feed.answer = body({"0001": 1})
    world.fetch(after=300)


def collected_and_removed(world: World) -> None:
    """Collect a slot, of which only the ledger knows in the end."""
    collected(world)
    for name in ("station_status", "payloads", "station_information.csv"):
        path = world.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def rejected(world: World) -> None:
    """Reject a payload, which is removed then."""
    world.feed.answer = b"{}"
    world.fetch(after=300)
    for path in (world.folder / "payloads/rejected").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "change",
    [
        collected,
        collected_and_removed,
        rejected,
        lambda w: (w.folder / "payloads/inbox/x.zip").touch(),
        lambda w: (w.folder / "basemap.json").touch(),
        lambda w: (w.folder / "ledger.sqlite3").write_bytes(b"damaged" * 999),
        lambda w: (w.folder / "outbox").mkdir() or (w.folder / "outbox/x.eml").touch(),
        lambda w: (w.folder / "vehicles").symlink_to(w.folder.parent),
        lambda w: (w.folder / marker.MARKER).write_text("stopped\n"),
        lambda w: (w.folder / marker.MARKER).write_bytes(
            marker.text_of("city") + marker.mark(1)
        ),
        lambda w: (
            w.folder.parent / "archive/station_status/system_id=city/date=2026-11-22"
        ).mkdir(parents=True),
        lambda w: shutil.move(w.folder.parent, w.folder.parents[1] / "data"),
    ],
)
def test_a_folder_with_anything_else_is_kept(
    world: World, tmp_path: Path, change: Callable[[World], object]
) -> None:
    """Data, and what may be data, is never named as what may be deleted."""
    aged(tmp_path)
    assert "deleted" in told(tmp_path, "status")

    change(world)
    aged(tmp_path)

    assert "deleted" not in told(tmp_path, "doctor --offline")
    assert "deleted" not in told(tmp_path, "status")


@pytest.mark.usefixtures("world")
def test_a_folder_that_may_be_in_use_is_kept(tmp_path: Path) -> None:
    """It had a run just now, or is the present one, or that of other settings."""
    just_now = told(tmp_path, "doctor --offline")
    aged(tmp_path / "bikes/dta")
    assert "deleted" in told(tmp_path, "doctor --offline")
    (tmp_path / "link").symlink_to("bikes/dta")
    by_link = told(tmp_path, "doctor --offline", now="link")
    other = tmp_path / "other.toml"
    other.write_text(SETTINGS.format("bikes/dta"), encoding="utf-8")
    remember_place(str(other), tmp_path / "bikes/dta")

    assert "deleted" not in just_now
    assert "deleted" not in by_link
    assert "deleted" not in told(tmp_path, "doctor --offline")
