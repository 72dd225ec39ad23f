"""A FIFO in the place of a file: opening it must not block a command."""

import os
import time
from pathlib import Path

import pytest
from command import bikecollect
from served import Answer, serving

from bikecollect.archive.checks.certified_files import LocalArchive
from bikecollect.archive.datasets import STATION_LAYOUT
from bikecollect.core import user_folders
from bikecollect.storage.files import known_folders
from bikecollect.storage.files.regular_file import open_below, sha256_of

SETTINGS = """data_dir = "bikes"
[systems.city]
feed = "youbike"
url = "{url}"
timezone = "Asia/Taipei"
"""
NAMES = (
    "*.csv",
    "station_status/*.csv",
    "ledger.sqlite3",
    "bikecollect.log",
    "alerts.state",
    "payloads/kept/*/*.zip",
)


def answer(_: str) -> Answer:
    """Return a station whose stamp is this minute's."""
    stamp = time.strftime("%Y-%m-%d %H:%M:00", time.gmtime(time.time() + 8 * 3_600))
    text = (
        '[{"sno": "1", "sna": "x", "Quantity": 9, "available_rent_bikes": 4, '
        '"available_return_bikes": 5, "act": "1", "latitude": 25, "longitude": 121, '
        f'"infoTime": "{stamp}"}}]'
    )
    return Answer(text.encode())


@pytest.mark.parametrize("name", NAMES)
def test_no_command_waits_for_a_fifo(tmp_path: Path, name: str) -> None:
    """Each ends by itself, without a traceback: 74 where the file is needed."""
    config = tmp_path / "bikecollect.toml"
    with serving(answer) as url:
        config.write_text(SETTINGS.format(url=url), encoding="utf-8")
        assert bikecollect("--config", config, "fetch").returncode == 0
        (path,) = (tmp_path / "bikes/city").glob(name)
        path.unlink()
        os.mkfifo(path)
        for command in ("fetch", "status", "verify", "backfill-report"):
            process = bikecollect("--config", config, command)

            assert process.returncode in {0, 1, 65, 74}, process.stderr
            assert "Traceback" not in process.stderr


def test_no_command_waits_for_a_stray_fifo(tmp_path: Path) -> None:
    """Somebody or a backup tool left it in a folder whose files are all read."""
    config, city = tmp_path / "bikecollect.toml", tmp_path / "bikes/city"
    with serving(answer) as url:
        config.write_text(SETTINGS.format(url=url), encoding="utf-8")
        assert bikecollect("--config", config, "fetch").returncode == 0
        os.mkfifo(city / "payloads/inbox/20261122T040000Z.0a1b2c3d.run")
        codes = [
            bikecollect("--config", config, command).returncode
            for command in ("fetch", "status")
        ]

    assert codes == [74, 0]  # the payload waits in the inbox


def test_no_file_that_bikecollect_wrote_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates, archived files and the list of folders are no FIFOs."""
    monkeypatch.setattr(user_folders, "lasting_home", lambda: tmp_path)
    folders, certificates = tmp_path / user_folders.OURS / "folders", tmp_path / "a"
    known_folders.remember(tmp_path)
    folders.unlink()
    (certificates / "certificates/system_id=city").mkdir(parents=True)
    certificate = certificates / "certificates/system_id=city/2026-11-22.json"
    for path in (folders, certificate):
        os.mkfifo(path)
    known_folders.remember(tmp_path)
    place = LocalArchive(str(certificates))

    assert not known_folders.is_known(tmp_path)
    assert not place.certificates(STATION_LAYOUT, "city")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_of(certificate)


def test_a_file_below_a_folder_leaves_no_folder_open(tmp_path: Path) -> None:
    """An archive that is imported has thousands of them."""
    (tmp_path / "day").mkdir()
    (tmp_path / "day/part").write_bytes(b"rows")
    before = sorted(Path("/proc/self/fd").iterdir())

    os.close(open_below(tmp_path, "day/part"))
    with pytest.raises(FileNotFoundError):
        open_below(tmp_path, "day/gone")

    assert sorted(Path("/proc/self/fd").iterdir()) == before
