"""Commands for the machine's administrator, as they work on this machine."""

import os
import shutil
from pathlib import Path

from bikecollect.storage.files.trusted_files import as_root

CRON_PROGRAMS = ("cron", "crond", "fcron")
SYSTEM_PLACES = "/usr/sbin:/sbin"
"""Where daemons are, which the PATH of a user often lacks."""


def has_systemd(running: Path = Path("/run/systemd/system")) -> bool:
    """Return whether systemd manages this machine, see sd_booted(3)."""
    return running.is_dir()


def start_cron() -> str:
    """Return how to start a cron daemon: by systemd, or without it."""
    places = f"{os.environ.get('PATH', '')}:{SYSTEM_PLACES}"
    found = (shutil.which(name, path=places) for name in CRON_PROGRAMS)
    program = next(filter(None, found), None)
    if program is None:
        return "install a cron daemon, such as the package cron or cronie"
    if has_systemd():
        return as_root(f"systemctl enable --now {Path(program).name}")
    return f"{as_root(program)}   # and again after each start of this machine"


def set_clock() -> str:
    """Return how to set the clock of this machine from the network."""
    if has_systemd():
        return as_root("timedatectl set-ntp true")
    return "set the clock of this machine, such as by chronyd or ntpd"
