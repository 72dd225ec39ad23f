"""``bikecollect rename``, and moving, copying and restoring a system's data."""

import errno
import json
import os
import shutil
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
from click.testing import CliRunner
from command import forked
from in_process import bikecollect
from served import Answer, serving
from templates import copied
from world import World

from bikecollect.cli import cli
from bikecollect.core.errors import LockBusy, SettingsError, StorageError
from bikecollect.setup import loader, settings_file
from bikecollect.setup.settings import Settings
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import alert_state_path
from bikecollect.storage.files import marker, renamed
from bikecollect.storage.files.known_folders import remember_place
from bikecollect.storage.files.renamed import RenamedError
from bikecollect.storage.lock import Lock
from bikecollect.storage.repair.rename import SystemRename
from bikecollect.storage.run_notes import RunNotes


@copied
def copy_world(tmp_path: Path) -> World:
    """Return a world with an archived day and an open one, marked as ours."""
    world = World(tmp_path / "bikes" / "city")
    (world.folder / ".bikecollect").write_bytes(marker.text_of("city"))
    for number in range(4):
        world.fetch({"a": number, "b": 2}, after=300)
    run(settings(tmp_path), "compact", "--csv-days", "0")
    world.fetch({"a": 5, "b": 2}, after=300)
    return world


def settings(folder: Path, url: str = "http://127.0.0.1/") -> Path:
    """Write the settings of the world in *folder*, and return their file."""
    path = folder / "bikecollect.toml"
    path.write_text(
        f'data_dir = "{folder}/bikes"\n[systems.city]\nfeed = "youbike"\n'
        f'timezone = "Asia/Taipei"\nurl = "{url}"\n',
        encoding="utf-8",
    )
    return path


def run(config: Path, *arguments: str) -> str:
    """Run a command; return its output."""
    process = bikecollect("--config", config, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a copy of the world."""
    return copy_world(tmp_path)


@pytest.fixture
def history(world: World, config: Path) -> Path:
    """Return the settings of the world."""
    assert world.folder.exists()
    return config


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the rows of the world."""
    folder = tmp_path_factory.mktemp("exported")
    copy_world(folder)
    return run(settings(folder), "export")


def test_all_of_a_system_gets_the_new_name(
    history: Path, world: World, exported: str
) -> None:
    """No row changes, and everything agrees.

    A system that was removed once, of the new name, leaves it no incidents.
    """
    data = world.folder.parent
    state, stale = (
        alert_state_path(name, str(data / name)) for name in ("city", "tiny.town")
    )
    state.parent.mkdir(parents=True)
    state.write_text("its own", encoding="utf-8")
    stale.write_text("of the removed one", encoding="utf-8")
    text = run(history, "rename", "city", "tiny.town")

    assert stale.read_text(encoding="utf-8") == "its own"
    assert not (data / "city").exists()
    assert str(data / "tiny.town") in text
    assert run(history, "export") == exported
    assert "all agree" in run(history, "verify", "--deep")
    assert list(loader.load(str(history)).systems) == ["tiny.town"]
    assert not list(data.glob("archive/*/system_id=city"))
    (certificate,) = data.glob("archive/certificates/system_id=tiny.town/*.json")
    assert json.loads(certificate.read_text())["system_id"] == "tiny.town"


def test_the_catalogue_s_values_are_written_out() -> None:
    """The new name is not in the catalogue."""
    text = settings_file.with_renamed_system(
        '# mine\n[systems.velib-paris]  # all of it\ncolumns = ["hour"]\n'
        '[systems."velib-paris".headers]\nX = "1"\n[systems.velib-paris-2]\n',
        "velib-paris",
        "paris",
        {"feed": '"gbfs"', "url": '"https://x.org"'},
    )

    assert text.splitlines()[:4] == [
        "# mine",
        "[systems.paris]  # all of it",
        'feed = "gbfs"',
        'url = "https://x.org"',
    ]
    assert list(tomllib.loads(text)["systems"]) == ["paris", "velib-paris-2"]
    assert tomllib.loads(text)["systems"]["paris"]["headers"] == {"X": "1"}


@pytest.mark.parametrize(
    ("names", "code", "what"),
    [
        ("town x", 78, "unknown system"),
        ("city city", 78, "already"),
        ("city archive", 64, "archive"),
        ("city ../x", 64, "letters"),
        ("city taken", 64, "already exists"),
    ],
)
def test_a_refused_rename_changes_nothing(
    history: Path, world: World, names: str, code: int, what: str
) -> None:
    """Nothing has been moved."""
    (world.folder.parent / "taken").mkdir()
    before = history.read_text()
    process = bikecollect("--config", history, "rename", *names.split())

    assert process.returncode == code
    assert what in process.stderr
    assert world.folder.is_dir()
    assert history.read_text() == before


def test_a_folder_of_another_system_is_not_renamed(world: World) -> None:
    """Its name would hide whose data it has. One that is not there is named."""
    with (world.folder / ".bikecollect").open("a") as file:
        file.write("system: other\n")

    with pytest.raises(SettingsError, match="has the data of another system, other"):
        SystemRename(world.folder.parent, "city", "town").check()
    with pytest.raises(SettingsError, match="/gone does not exist or has no file"):
        SystemRename(world.folder.parent, "gone", "town").check()


def test_settings_of_another_form_are_not_changed(history: Path, world: World) -> None:
    """The error shows what to write first."""
    history.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems]\ncity = {{feed = "youbike", '
        'url = "http://127.0.0.1/", timezone = "Asia/Taipei"}\n'
    )
    process = bikecollect("--config", history, "rename", "city", "town")

    assert process.returncode == 78
    assert "[systems.city]" in process.stderr
    assert world.folder.is_dir()


def test_a_busy_system_is_not_renamed(
    history: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """75: a run holds its lock."""
    monkeypatch.setattr("bikecollect.storage.repair.rename.PATIENCE", 0.0)
    with Lock(world.folder / "lock", patience=0).held(), pytest.raises(LockBusy):
        SystemRename(world.folder.parent, "city", "town").run(lambda: None)

    assert world.folder.is_dir()


def test_nothing_is_moved_if_the_settings_cannot_be_written(
    history: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next run would begin a new folder of the old name."""

    def full(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("bikecollect.setup.settings_file._write", full)
    words = ["--config", str(history), "rename", "city", "town"]
    result = CliRunner().invoke(cli, words)

    assert f"cannot write {history}: No space left" in str(result.exception)
    assert world.folder.is_dir()
    assert not list(world.folder.parent.glob("archive/*/system_id=town"))


def test_an_edit_of_the_settings_meanwhile_is_kept(
    history: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a minute is spent on waiting for a run; nothing is moved then."""
    lock = SystemRename._lock

    def edited(rename: SystemRename, stack: ExitStack) -> None:
        lock(rename, stack)
        history.write_text(f"{history.read_text()}[mail]\n")

    monkeypatch.setattr(SystemRename, "_lock", edited)
    result = CliRunner().invoke(
        cli, ["--config", str(history), "rename", "city", "town"]
    )

    assert isinstance(result.exception, SettingsError)
    assert "run the same command again" in str(result.exception)
    assert "[mail]" in history.read_text()
    assert world.folder.exists()


def test_an_edit_of_the_settings_amid_the_moves_is_kept(
    history: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command completes the rename, with the edited settings."""
    move = SystemRename._rename_certificates

    def edited(rename: SystemRename) -> None:
        move(rename)
        history.write_text(f"{history.read_text()}[mail]\n")

    words = ["--config", str(history), "rename", "city", "town"]
    with monkeypatch.context() as patched:
        patched.setattr(SystemRename, "_rename_certificates", edited)
        first = CliRunner().invoke(cli, words)
    edit = history.read_text()
    second = CliRunner().invoke(cli, words)

    assert "run the same command again" in str(first.exception)
    assert edit.endswith("[mail]\n")
    assert "[systems.city]" in edit
    assert second.exit_code == 0, second.output
    assert history.read_text() == edit.replace("[systems.city]", "[systems.town]")
    assert not world.folder.exists()


def test_a_run_that_is_fetching_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hold the lock yet, but will write its rows to the old folder."""
    rename = SystemRename(world.folder.parent, "city", "town")
    notes = RunNotes(world.folder / "payloads" / "inbox")
    fetching = world.begin()
    notes.begin(fetching)
    monkeypatch.setattr("bikecollect.storage.repair.rename.PATIENCE", 0.0)
    with pytest.raises(LockBusy, match="a run is writing to"):
        rename.run(lambda: None)
    assert world.folder.is_dir()

    monkeypatch.setattr("bikecollect.storage.repair.rename.PATIENCE", 30.0)
    timer = threading.Timer(0.5, partial(notes.end, fetching, written=True))
    timer.start()
    rename.run(lambda: None)
    timer.join()

    assert not world.folder.exists()
    assert not list(world.folder.parent.glob("town/payloads/inbox/*"))


def test_a_run_does_not_create_a_folder_that_was_moved(world: World) -> None:
    """74: its rows would be in a folder that no settings name."""
    world.folder.rename(world.folder.with_name("town"))
    run = world.fetch({"a": 6, "b": 2}, after=300)

    assert run.exit_code == 74
    assert "moved or removed" in str(run.notices)
    assert not world.folder.exists()


KILLED = """
import os, signal
from pathlib import Path
rename, replace, count = Path.rename, Path.replace, 0
def killed(move):
    def moved(self, target):
        global count
        count += 1
        if count == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(self, target)
    return moved
Path.rename, Path.replace = killed(rename), killed(replace)
from bikecollect.__main__ import main
main()
"""
"""``bikecollect``, killed before the move with a number."""


def test_a_folder_that_cannot_be_renamed_keeps_its_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a mount point: no note of an interrupted rename is left in it."""
    error = OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    monkeypatch.setattr(Path, "rename", Mock(side_effect=error))

    with pytest.raises(StorageError, match=r"a mount point.+nothing was changed"):
        SystemRename(world.folder.parent, "city", "town").run(Mock())

    assert not renamed.note(world.folder).exists()


def test_an_archive_that_cannot_be_renamed_keeps_the_system_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder in it is a mount point: all that was moved before is moved back."""
    move = Path.rename
    data = world.folder.parent
    before = sorted(data.rglob("*"))

    def moved(place: Path, target: Path) -> Path:
        if place.parent.name == "station_status":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(place))
        return move(place, target)

    monkeypatch.setattr(Path, "rename", moved)
    told = r"station_status/system_id=city: .+ a mount point.+nothing was changed"
    with pytest.raises(StorageError, match=told):
        SystemRename(data, "city", "town").run(Mock())

    assert sorted(data.rglob("*")) == before
    assert world.fetch({"a": 6, "b": 2}, after=300).exit_code == 0


@pytest.mark.parametrize("number", range(1, 10))
def test_an_interrupted_rename_is_completed(
    history: Path, exported: str, number: int
) -> None:
    """Killed before each move; the same call continues."""
    script = history.with_name("killed.py")
    script.write_text(KILLED.format(number=number), encoding="utf-8")
    words = ["--config", str(history), "rename", "city", "town"]
    forked(words, "", os.environ, program=str(script))
    process = bikecollect("--config", history, "rename", "city", "town")

    assert process.returncode == 0 or "unknown system" in process.stderr
    assert list(loader.load(str(history)).systems) == ["town"]
    assert run(history, "export") == exported
    assert "all agree" in run(history, "verify")


def test_no_run_begins_a_new_history_amid_an_interrupted_rename(world: World) -> None:
    """Cron's next call would do so at the old place; nothing could be completed.

    Another folder there has a damaged note.
    """
    renaming = SystemRename(world.folder.parent, "city", "town")
    other = world.folder.parent / "a"
    other.mkdir()
    renamed.note(other).write_bytes(b"\xff")

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renaming.run(killed)
    with pytest.raises(SettingsError, match="run: bikecollect rename city town"):
        data_folder.prepare(world.folder)
    with pytest.raises(SettingsError, match="run: bikecollect rename city town"):
        SystemRename(world.folder.parent, "city", "village").check()
    renaming.check()
    renaming.run(lambda: None)

    data_folder.prepare(world.folder)
    assert world.folder.exists()


MEANWHILE = """
from pathlib import Path
from bikecollect.setup import loader
from bikecollect.storage.repair.rename import SystemRename
load, file = loader.load, Path("{file}")
def renamed_meanwhile(path):
    before = load(path)
    if "city" in before.systems:
        text = file.read_text().replace("systems.city", "systems.town")
        SystemRename(before.data, "city", "town").run(lambda: file.write_text(text))
    return before
loader.load = renamed_meanwhile
from bikecollect.__main__ import main
main()
"""
"""``bikecollect``, with a rename that ends when the settings have been read."""


def test_a_fetch_that_read_the_old_name_collects_under_the_new_one(
    tmp_path: Path,
) -> None:
    """A new folder of the old name would be named by no settings: nobody finds it."""
    good = Answer(dialects.youbike(City(20), time.time()))
    with serving(lambda _: good) as url:
        file = settings(tmp_path, url)
        run(file, "fetch")
        script = tmp_path / "meanwhile.py"
        script.write_text(MEANWHILE.format(file=file), encoding="utf-8")
        words = ["--config", str(file), "fetch"]
        process = forked(words, "", os.environ, program=str(script))

    assert (process.returncode, process.stdout + process.stderr) == (0, "")
    assert not (tmp_path / "bikes" / "city").exists()
    assert len(run(file, "runs", "--format", "json").splitlines()) == 2


def test_a_command_waits_for_the_rename_that_is_in_progress(
    world: World, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not interrupted: the settings have the new name when it ends."""
    before, data = loader.load(str(history)), world.folder.parent
    moved, awaited = threading.Event(), threading.Event()

    def lock(path: Path) -> Lock:
        awaited.set()
        return Lock(path)

    def changes_settings() -> None:
        moved.set()
        assert awaited.wait(30)
        text = history.read_text()
        history.write_text(text.replace("systems.city", "systems.town"))

    monkeypatch.setattr(loader, "Lock", lock)
    renaming = SystemRename(data, "city", "town")
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(renaming.run, changes_settings)
        assert moved.wait(30)
        check = partial(loader.check_name, before, "city")
        with pytest.raises(RenamedError, match="has no system city any more"):
            data_folder.prepare(world.folder, check_name=check)
        ended.result()

    assert not world.folder.exists()


def test_many_new_folders_cost_one_more_reading_of_the_settings(
    history: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was one for each: the first call for a thousand systems took minutes."""
    names = [f"city{number}" for number in range(9)]
    lines = "".join(
        f'[systems.{name}]\nfeed = "youbike"\nurl = "http://127.0.0.1:9/{name}"\n'
        'timezone = "Asia/Taipei"\n'
        for name in names
    )
    history.write_text(history.read_text() + lines)
    before = loader.load(str(history))
    readings: list[str] = []

    def load(path: str) -> Settings:
        readings.append(path)
        return before

    monkeypatch.setattr(loader, "load", load)

    for name in names:
        check = partial(loader.check_name, before, name)
        data_folder.prepare(world.folder.parent / name, check_name=check)

    assert len(readings) == 1


def test_moved_data_are_complete(
    history: Path, world: World, exported: str, tmp_path: Path
) -> None:
    """Only `data_dir` in the settings changes."""
    place = tmp_path / "other disk"
    shutil.move(world.folder.parent, place)
    old = str(world.folder.parent)
    history.write_text(history.read_text().replace(old, str(place)))

    assert run(history, "export") == exported
    assert "all agree" in run(history, "verify", "--deep")


def test_a_copy_of_a_live_folder_is_sound(
    history: Path, world: World, tmp_path: Path
) -> None:
    """Also when its CSV is newer than its ledger."""
    copy = tmp_path / "copy"
    shutil.copytree(world.folder.parent, copy)
    world.fetch({"a": 6, "b": 2}, after=300)
    (file,) = (world.folder / "station_status").glob("2026-11-22*.csv")
    csv = f"city/station_status/{file.name}"
    shutil.copy(world.folder.parent / csv, copy / csv)
    with (copy / csv).open("ab") as torn:
        torn.write(b"2026-11-22T12:35:00+08:00,2026-")
    settings = tmp_path / "copy.toml"
    settings.write_text(
        history.read_text().replace(str(world.folder.parent), str(copy))
    )
    copied = World(copy / "city", clock=world.clock, runs=100)
    copied.fetch({"a": 7, "b": 2}, after=600)

    assert "all agree" in run(settings, "verify")
    assert "2026-11-22T12:30:00" in run(settings, "export")


def test_a_backup_fills_what_is_missing_and_nothing_else(
    history: Path, world: World, tmp_path: Path
) -> None:
    """Newer slots are kept, missing ones are filled, with their source."""
    backup = tmp_path / "backup"
    shutil.copytree(world.folder.parent, backup)
    shutil.rmtree(world.folder.parent)
    (world.folder.parent).mkdir()
    later = World(world.folder, clock=world.clock, runs=100)
    (later.folder / ".bikecollect").touch()
    later.fetch({"a": 9, "b": 2}, after=600)
    newer = run(history, "export").splitlines()[1:]

    run(history, "backfill", "--from", str(backup / "city"))
    rows = run(history, "export").splitlines()

    assert [row[: len(newer[0])] for row in rows[-2:]] == newer
    assert len(rows) == 1 + 6 * 2


def test_a_system_renamed_in_the_settings_only_goes_on_as_the_manual_says(
    tmp_path: Path,
) -> None:
    """The folder of the old name is named by `fetch`, `status` and `doctor`."""
    good = Answer(dialects.youbike(City(5), time.time()))
    with serving(lambda _: good) as url:
        old = settings(tmp_path, url)
        bikecollect("--config", old, "fetch")
        config = Path(shutil.copy(old, tmp_path / "new.toml"))
        text = old.read_text()
        config.write_text(text.replace("systems.city", "systems.town"))
        assert "not in the settings" not in run(config, "status")  # old collects it
        kept = old.rename(tmp_path / "kept.toml")
        remember_place(str(kept), tmp_path)  # its system is another folder, there
        first = bikecollect("--config", config, "fetch")
        again = bikecollect("--config", config, "fetch")
    data = tmp_path / "bikes"
    (data / "archive").mkdir()
    (data / "archive/.bikecollect").write_bytes(marker.MARK)
    (data / "trial").mkdir()  # of which no fetch had a reply
    (data / "trial/.bikecollect").write_bytes(marker.text_of("trial"))
    status = run(config, "status")
    young = bikecollect("--config", config, "doctor", "--offline").stdout
    os.utime(data / "city/payloads/inbox", (time.time() - 3700,) * 2)
    doctor = bikecollect("--config", config, "doctor", "--offline").stdout
    kept.rename(old)

    assert first.returncode == again.returncode == 0
    assert f"town: a new history begins; {data}/city is there" in first.stderr
    assert "history" not in again.stderr
    assert f"not in the settings, but in {data}: city\n" in status
    young = " ".join(young.split())
    assert "if other settings collect it, leave it as it is" in young
    assert "stopped" not in young
    assert "delete" not in young
    doctor = " ".join(doctor.split())
    assert "note city: folder" in doctor
    _, echo, stopped = doctor.partition(" echo stopped >> ")
    mark = Path(stopped.partition(";")[0])
    with mark.open("a") as file:
        file.write(f"{echo.split()[1]}\n")
    assert "not in the settings" not in run(config, "status")
    assert "was stopped" in run(old, "status")
    config.write_text(text)
    (data / "town").rename(tmp_path / "town")
    run(config, "rename", "city", "town")
    assert "stopped" not in (data / "town/.bikecollect").read_text()
    run(config, "backfill", "town", "--from", str(tmp_path / "town"))
    assert "all agree" in run(config, "verify")
    assert "not in the settings" not in run(config, "status")
