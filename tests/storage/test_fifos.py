"""A FIFO in the place of a file: opening it must not block a command."""

import os
import time
from pathlib import Path

import pytest
from command import bikecollect
from served import Answer, serving

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
