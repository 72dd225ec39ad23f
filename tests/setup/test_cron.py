"""The crontab line works unchanged under a real cron."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from cron_daemon import ALONE, first_lines

from bikecollect.simulator.city import City
from bikecollect.simulator.server import LiveFeed

CRONTAB = Path(__file__).parents[2] / "crontab.example"
CRON = shutil.which("cron", path="/usr/sbin:/usr/bin:/sbin:/bin")
pytestmark = [
    pytest.mark.skipif(CRON is None, reason="no cron daemon is installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a cron daemon"),
]

# A mount namespace of its own: the machine's crontabs, home and running cron stay
# as they are. cron itself takes HOME from the password file, so the folders under
# root's home are covered by the test's.
SCRIPT = """
set -e
mkdir -p /root/.local /root/.config /var/spool/cron
mount -t tmpfs none /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
{alone}
mount --bind {home}/.local /root/.local
mount --bind {home}/.config /root/.config
crontab {crontab}
exec {cron} -f
"""


def test_the_example_line_fills_a_slot_under_a_real_cron(tmp_path: Path) -> None:
    """Installed into a real cron, the line writes a block within its minute."""
    home = tmp_path / "home"
    command = home / ".local/bin/bikecollect"
    command.parent.mkdir(parents=True)
    command.write_text(
        f'#!/bin/sh\nexec {sys.executable} -m bikecollect "$@"\n', encoding="utf-8"
    )
    command.chmod(0o755)
    (home / ".config/bikecollect").mkdir(parents=True)
    crontab = tmp_path / "crontab"
    text = CRONTAB.read_text(encoding="utf-8")
    assert "*/5 * * * *  $HOME/.local/bin/bikecollect fetch" in text
    crontab.write_text(text.replace("*/5 *", "* *"), encoding="utf-8")
    with LiveFeed(City(29), clock=time.time) as feed:
        (home / ".config/bikecollect/bikecollect.toml").write_text(
            f'interval = "1min"\n[systems.city]\nfeed = "youbike"\n'
            f'url = "{feed.youbike_url}"\ntimezone = "Asia/Taipei"\n',
            encoding="utf-8",
        )
        lines = first_lines(
            home / ".local/share/bikecollect/city/station_status",
            SCRIPT.format(alone=ALONE, home=home, crontab=crontab, cron=CRON),
        )

    assert len(lines) == 30
