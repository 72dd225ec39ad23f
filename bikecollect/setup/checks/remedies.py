"""What a person can do: commands that work on this machine, settings to correct."""

import os
import shutil
from pathlib import Path

from bikecollect.core.errors import (
    BikecollectError,
    CredentialsError,
    PayloadError,
    ProtocolError,
    RateLimited,
    SettingsError,
)
from bikecollect.setup.program import page
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


def for_feed(name: str, error: BikecollectError) -> str:
    """Return what to do about *error*, with which a trial of the system *name* ended.

    To try it again would only repeat the error.
    """
    table, guide = f"[systems.{name}] of the settings", page("how-to/choose-a-feed.md")
    protocol = _PROTOCOL.get(error.cause, "check url")
    passes = f"if it does not pass, check url in {table}, and this machine's network"
    advice: tuple[tuple[type[BikecollectError], str], ...] = (
        (SettingsError, f"correct {table}, or the file that it names"),
        (CredentialsError, f"check the key in {table}; {_REFUSED}"),
        (RateLimited, "wait; if it happens often, set a longer interval"),
        (ProtocolError, f"{protocol} in {table}"),
        (
            PayloadError,
            f"check url and feed in {table}; if its format has changed, see {guide}",
        ),
    )
    if error.cause in _FIXED:
        passes = f"check url and the other keys in {table}"
    return next((text for kind, text in advice if isinstance(error, kind)), passes)


_REFUSED = "without one, the publisher may refuse this network: try from another"
_PROTOCOL = {
    "address": "check url, proxy and private_hosts",
    "redirect": "set url to the new address, or redirects,",
    "tls": "set the clock of this machine; check url, and ca_bundle if one is set,",
}
"""What to do about an error of a protocol, by its cause."""
_FIXED = frozenset({"http-404", "http-410", "no-stations", "version"})
"""Causes of an unavailable feed that do not pass."""
