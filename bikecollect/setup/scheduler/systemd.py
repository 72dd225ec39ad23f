"""systemd: the service and its timer, their files, and systemctl."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import lcm
from pathlib import Path

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.slots import DAY, HOUR, MINUTE
from bikecollect.storage.files import durable

SYSTEM_WIDE = Path("/etc/systemd/system")
PATIENCE = 60.0

SERVICE, TIMER = "bikecollect.service", "bikecollect.timer"
OFFSET = 7
"""Seconds after the slot's start: the whole hour is when everybody asks."""
MOST_LINES = 60
QUARTER = 900
# What a user's own manager can do too: it needs no mount namespace, which an
# unprivileged manager may not make (systemd.exec(5), "Sandboxing").
ANYWHERE = """\
UMask=0027
MemoryMax=512M
TasksMax=64
NoNewPrivileges=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""
SYSTEM_ONLY = """\
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=true
PrivateDevices=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectProc=invisible
RemoveIPC=true
"""
# Commented out, for the name server may be in such a network.
PRIVATE_NETWORKS = """\
# Feeds are asked for over the Internet: nothing of your own network need be reached,
# but the name server and the mail server. See docs/how-to/schedule-it.md.
#IPAddressAllow=localhost
#IPAddressDeny=link-local multicast 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16
#IPAddressDeny=100.64.0.0/10 fc00::/7
"""


def user_folder() -> Path:
    """Return where the user's own units lie."""
    home = user_folders.config_home()
    if home is None:
        raise SettingsError("you have no home folder, where your units would lie")
    return home / "systemd" / "user"


def read(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the text of those units called *names* that are in *folder*."""
    try:
        return {
            name: (folder / name).read_text(encoding="utf-8", errors="replace")
            for name in names
            if (folder / name).exists()
        }
    except OSError as error:
        raise StorageError(f"cannot read {error.filename}: {error.strerror}") from error


def settings_of(service: str) -> str:
    """Return the path of the settings that a unit runs by, empty for the usual ones.

    >>> settings_of('ExecStart=/x/bikecollect --config "/a b/50%%.toml" fetch')
    '/a b/50%.toml'
    """
    for line in service.splitlines():
        name, _, command = line.partition("=")
        if name == "ExecStart":
            plain = command.replace("%%", "%").replace("$$", "$")
            words = shlex.split(plain) if plain.count('"') % 2 == 0 else []
            if "--config" in words[:-1]:
                return words[words.index("--config") + 1]
    return ""


def write(folder: Path, units: Mapping[str, str]) -> None:
    """Write *units* (texts by name) to *folder*, each whole or not at all."""
    try:
        durable.make_folder(folder)
        for name, text in units.items():
            temporary = folder / f".{name}.tmp"
            durable.write_file(temporary, text.encode())
            temporary.chmod(0o644)
            temporary.replace(folder / name)
        durable.sync_folder(folder)
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"cannot write {where}: {error.strerror}") from error


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove the units called *names* from *folder*, where they are there."""
    try:
        for name in names:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"cannot remove {where}: {error.strerror}") from error


def control(*commands: Sequence[str]) -> str:
    """Run *commands* in turn, up to one that fails; return why it did, else ""."""
    for each in commands:
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, no shell
                each, capture_output=True, timeout=PATIENCE, check=False, text=True
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{each[0]}: {getattr(error, 'strerror', '') or error}"
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
            return f"{each[0]}: {lines[0]}"
    return ""


@dataclass(frozen=True)
class ServicePlace:
    """What a unit needs to know: the *command*, and the folders it writes.

    *user* is who a system-wide service runs as; empty for the user's own units.
    *credentials* are files that only root may read, by the names that they get.
    """

    command: Sequence[str]
    data: str
    interval: int
    user: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict)


def calendar(interval: int) -> list[str]:
    """Return the OnCalendar lines for *interval* seconds, which divides a day.

    Slots are cut in UTC. All time zones differ from it by quarters of an hour, so
    the zone need only be named where the interval does not divide one.

    >>> calendar(300), calendar(30)
    (['*:0/5:7'], ['*:*:7/30'])
    >>> calendar(45)
    ['*:0/3:7', '*:0/3:52', '*:1/3:37', '*:2/3:22']
    >>> calendar(5400)
    ['0/3:00:7 UTC', '1/3:30:7 UTC']
    """
    first = offset(interval)
    if interval < MINUTE and MINUTE % interval == 0:
        return [f"*:*:{first}/{interval}" if interval > 1 else "*:*:*"]
    zone = "" if QUARTER % interval == 0 else " UTC"
    whole = lcm(interval, MINUTE)
    if HOUR % whole == 0 and whole < HOUR:
        step = whole // MINUTE
        times = [divmod(s, MINUTE) for s in range(first, whole, interval)]
        return [f"*:{minute}/{step}:{second}{zone}" for minute, second in times]
    return _by_hours(interval, first)


def _by_hours(interval: int, first: int) -> list[str]:
    whole = lcm(interval, HOUR)
    if whole // interval > MOST_LINES:
        raise SettingsError(
            f"a timer cannot run every {interval} s: give an interval that divides "
            'an hour, such as "5min" or "30s"'
        )
    lines = []
    for moment in range(first, whole, interval):
        hour, rest = divmod(moment, HOUR)
        minute, second = divmod(rest, MINUTE)
        hours = f"{hour}/{whole // HOUR}" if whole < DAY else str(hour)
        lines.append(f"{hours}:{minute:02}:{second} UTC")
    return lines


def offset(interval: int) -> int:
    """Return the seconds by which runs start after their slot; few in a short one."""
    return min(OFFSET, interval // 4)


def fires(interval: int, now: float, number: int = 3) -> list[datetime]:
    """Return the next *number* moments after *now* at which the timer fires."""
    first = offset(interval)
    start = (int(now - first) // interval + 1) * interval + first
    return [
        datetime.fromtimestamp(start + step * interval, UTC) for step in range(number)
    ]


def timer(interval: int) -> str:
    """Return the text of the timer for *interval* seconds."""
    when = "".join(f"OnCalendar={each}\n" for each in calendar(interval))
    return (
        "# Written by `bikecollect schedule install --systemd`.\n"
        "[Unit]\n"
        "Description=One snapshot of the bike-share systems in every slot\n\n"
        f"[Timer]\n{when}"
        "AccuracySec=1s\n"
        "Persistent=true\n\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )


def service(place: ServicePlace) -> str:
    """Return the text of the service that runs the command of *place*."""
    command = " ".join(_quoted(each).replace("$", "$$") for each in place.command)
    wants = "Wants=network-online.target\nAfter=network-online.target\n"
    return (
        "# Written by `bikecollect schedule install --systemd`.\n"
        "[Unit]\n"
        "Description=Carry one snapshot of each bike-share system into its file\n"
        f"{wants if place.user else ''}\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"ExecStart={command}\n"
        f"TimeoutStartSec={max(40, place.interval * 29 // 30)}\n"
        f"{ANYWHERE}"
        f"{_system_only(place) if place.user else ''}"
    )


def _system_only(place: ServicePlace) -> str:
    lent = "".join(
        # Up to the end of the line it is the path: quotes would be part of it.
        f"LoadCredential={_line(f'{name}:{path}')}\n"
        for name, path in place.credentials.items()
    )
    return (
        f"User={place.user}\n{lent}"
        f"{SYSTEM_ONLY}"
        f"ReadWritePaths={_quoted(place.data)}\n"
        # What was told is remembered there: see decision 7.
        "StateDirectory=bikecollect\nEnvironment=XDG_STATE_HOME=%S\n"
        f"{PRIVATE_NETWORKS}"
    )


def _quoted(text: str) -> str:
    r"""Return *text* as one word of a unit file.

    >>> _quoted("/srv/bikes"), _quoted('/a b/50%')
    ('/srv/bikes', '"/a b/50%%"')
    """
    text = _line(text).replace("\\", "\\\\").replace('"', '\\"')
    plain = all(c.isalnum() or c in "/._-+:=@%" for c in text)
    return text if plain and text else f'"{text}"'


def _line(text: str) -> str:
    """Return *text* as the rest of a line of a unit file."""
    if "\n" in text or "\r" in text:
        raise SettingsError(f"a unit cannot hold the line break in {text!r}")
    return text.replace("%", "%%")
