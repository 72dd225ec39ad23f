"""A user without a home (`docker run -u 12345`): state is in the data folder."""

import os
import time
from pathlib import Path

import pytest
from command import bikecollect
from served import Answer, serving

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError
from bikecollect.setup import settings_file
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage import data_folder
from bikecollect.storage.files import known_folders


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test leave its folder for the next one."""
    monkeypatch.setattr(user_folders, "_beside", [])


@pytest.mark.parametrize("home", ["relative", "~"])
def test_a_run_works_without_a_home(tmp_path: Path, home: str) -> None:
    """Only the data folder is written, with the state in it."""
    settings = tmp_path / "b.toml"
    with serving(lambda _: Answer(dialects.youbike(City(5), time.time()))) as url:
        settings.write_text(
            f'data_dir = "data"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
            'timezone = "Asia/Taipei"\n'
        )
        env = {"HOME": home, "TMPDIR": str(tmp_path)}
        fetch = bikecollect("--config", settings, "fetch", **env)
        status = bikecollect("--config", settings, "status", **env)
        again = bikecollect("--config", settings, "doctor", "--offline", **env)

    assert (fetch.returncode, status.returncode) == (0, 0)
    assert "Traceback" not in again.stderr
    assert (tmp_path / "data" / ".state" / "bikecollect" / "incidents").is_dir()
    assert list(Path.cwd().iterdir()) == []


def test_without_a_home_a_mount_point_is_not_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of its folders is in a folder for temporary files."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    city = tmp_path / "data" / "city"
    user_folders.use_state_beside(tmp_path / "data")
    data_folder.prepare(city)
    city.parent.rename(tmp_path / "disk")
    (tmp_path / "data" / ".state" / "bikecollect").mkdir(parents=True)  # of a run since

    with pytest.raises(SettingsError, match="is its disk mounted"):
        data_folder.prepare(city)

    (spare,) = tmp_path.glob("bikecollect-*")
    spare.rename(tmp_path / "other")
    spare.symlink_to(tmp_path / "other")  # perhaps of somebody else
    assert not known_folders.is_known(city)


def test_a_read_only_home_is_like_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose folders do not exist."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    usual = data_folder.state_home()
    monkeypatch.setattr(os, "access", lambda *_: False)
    user_folders.use_state_beside(tmp_path / "data")

    assert usual == tmp_path / "home/.local/state/bikecollect"
    assert data_folder.state_home() == tmp_path / "data/.state/bikecollect"


def test_without_home_and_data_nothing_is_written_anywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not into a folder called ~, nor into a new one, which root could create."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    known_folders.remember(Path("/srv/bikes/city"))
    state = data_folder.state_home()

    assert list(Path.cwd().iterdir()) == list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No such file"):
        state.mkdir(parents=True)


@pytest.mark.parametrize("home", ["none", "file"])
def test_a_home_that_does_not_exist_is_not_created(tmp_path: Path, home: str) -> None:
    """As of `nobody`: root can create anything, and was the only one who did."""
    settings, place = tmp_path / "b.toml", tmp_path / home
    (tmp_path / "file").touch()
    with serving(lambda _: Answer(dialects.youbike(City(5), time.time()))) as url:
        settings.write_text(
            f'data_dir = "data"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
            'timezone = "Asia/Taipei"\n'
        )
        env = {"HOME": str(place / "home"), "TMPDIR": str(tmp_path)}
        fetch = bikecollect("--config", settings, "fetch", **env)
        status = bikecollect("--config", settings, "status", "--alert", **env)
        settings.write_text("wrong")
        wrong = bikecollect("--config", settings, "fetch", **env)
    bare = bikecollect("init", "--yes", **env)

    assert (fetch.returncode, fetch.stderr) == (0, "")
    assert (status.returncode, status.stdout) == (0, "")
    assert wrong.returncode == 78
    assert "no home folder: give the path of the file" in bare.stderr
    assert not (tmp_path / "none").exists()
    assert (tmp_path / "data" / ".state" / "bikecollect" / "incidents").is_dir()


@pytest.mark.parametrize(
    ("name", "value", "folder"),
    [("HOME", "/home/a", "/home/a/.config"), ("XDG_CONFIG_HOME", "/etc/a", "/etc/a")],
)
def test_no_disk_is_asked_for_the_place_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, folder: str
) -> None:
    """The home may be on the very disk that hangs."""
    asked: list[Path] = []
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv(settings_file.VARIABLE, raising=False)
    monkeypatch.setenv(name, value)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", asked.append)
        places = settings_file.places(None)

    assert (asked, places) == ([], [Path(folder) / "bikecollect" / "bikecollect.toml"])
