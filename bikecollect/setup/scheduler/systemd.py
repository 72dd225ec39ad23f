"""systemd: the service and the timer units, and their files."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import lcm
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.slots import DAY, HOUR, MINUTE
from bikecollect.core.timeline.grid import Grid
from bikecollect.setup.program import settings_in
from bikecollect.storage.files import durable

SYSTEM_WIDE = Path("/etc/systemd/system")

SERVICE, TIMER = "bikecollect.service", "bikecollect.timer"
OFFSET = 7
"""Seconds after a slot's start: feeds get the most requests at the full minute."""
MAX_LINES = 60
QUARTER_HOUR = 900
# These also work in a user's own manager: they require no mount namespace, which an
# unprivileged manager cannot create (systemd.exec(5), "Sandboxing").
USER_HARDENING = """\
UMask=0027
TasksMax=300
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
# Exit code 1 is a negative result (`status --alert`), which was mailed: no failure.
OTHER_LIMITS = "TimeoutStartSec=6h\nMemoryMax=1G\nSuccessExitStatus=1\n"
SYSTEM_HARDENING = """\
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
# Commented out because the name server may be in such a network.
PRIVATE_NETWORKS = """\
# Feeds are fetched from the Internet. To close your own network to this program, remove
# the # below, and add the addresses of its name and mail server to IPAddressAllow.
#IPAddressAllow=localhost
#IPAddressDeny=link-local multicast 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16
#IPAddressDeny=100.64.0.0/10 fc00::/7
"""


def user_folder() -> Path:
    """Return the folder of the user's own units."""
    home = user_folders.config_home()
    if home is None:
        raise SettingsError("no home folder for the user units: set HOME")
    return home / "systemd" / "user"


def read(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the texts of the units *names* that exist in *folder*."""
    texts = {}
    for path in (folder / name for name in names):
        try:
            if path.exists():
                texts[path.name] = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
    return texts


def settings_of(service: str) -> str:
    """Return the settings path in the command of *service*, empty for the default.

    >>> settings_of('ExecStart=/x/bikecollect --config "/a b/50%%.toml" fetch')
    '/a b/50%.toml'
    """
    for line in service.splitlines():
        name, _, command = line.partition("=")
        if name == "ExecStart":
            plain = command.replace("%%", "%").replace("$$", "$")
            with suppress(ValueError):  # it has an open quote
                return settings_in(shlex.split(plain)) or ""
    return ""


def write(folder: Path, units: Mapping[str, str]) -> None:
    """Write *units* (texts by name) to *folder*, each atomically."""
    try:
        durable.make_folder(folder)
        for name, text in units.items():
            temporary = folder / f".{name}.tmp"
            durable.write_file(temporary, _encoded(text))
            temporary.chmod(0o644)
            temporary.replace(folder / name)
        durable.sync_folder(folder)
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"cannot write {where}: {error.strerror}") from error


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(
            "a path in the unit is not valid UTF-8, as systemd requires: rename it, or "
            "use cron"
        ) from error


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove the units *names* from *folder*, if they exist."""
    try:
        for name in names:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"cannot remove {where}: {error.strerror}") from error


@dataclass(frozen=True)
class ServiceConfig:
    """The contents of a service unit: the *command*, and the folder *data*.

    *user* runs a system-wide service; it is empty for the user's own units.
    *credentials* are paths of files that only root can read, by credential name.
    """

    command: Sequence[str]
    data: str
    interval: int
    user: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    """The description of a command other than `fetch`."""


def calendar(interval: int, zones: Sequence[str] = ()) -> list[str]:
    """Return the OnCalendar lines for *interval* seconds, which divides a day.

    Slots follow local time in the systems' *zones*. UTC offsets are multiples of a
    quarter of an hour, so zones are needed only if the interval does not divide that.

    >>> calendar(300), calendar(30)
    (['*:0/5:7'], ['*:*:7/30'])
    >>> calendar(45)
    ['*:0/3:7', '*:0/3:52', '*:1/3:37', '*:2/3:22']
    >>> calendar(5400)
    ['0/3:00:7 UTC', '1/3:30:7 UTC']
    """
    if _is_local(interval) and zones:
        lines = calendar(interval)
        return [
            f"{line.removesuffix(' UTC')} {zone}"
            for zone in dict.fromkeys(zones)
            for line in lines
        ]
    first = offset(interval)
    if interval < MINUTE and MINUTE % interval == 0:
        return [f"*:*:{first}/{interval}" if interval > 1 else "*:*:*"]
    zone = "" if QUARTER_HOUR % interval == 0 else " UTC"
    period = lcm(interval, MINUTE)
    if HOUR % period == 0 and period < HOUR:
        step = period // MINUTE
        times = [divmod(s, MINUTE) for s in range(first, period, interval)]
        return [f"*:{minute}/{step}:{second}{zone}" for minute, second in times]
    return _by_hours(interval, first)


def _is_local(interval: int) -> bool:
    """Return whether slots of *interval* seconds depend on the time zone."""
    divides = HOUR % interval == 0 or interval % HOUR == 0
    return bool(QUARTER_HOUR % interval) and divides


def _by_hours(interval: int, first: int) -> list[str]:
    period = lcm(interval, HOUR)
    if period // interval > MAX_LINES:
        raise SettingsError(
            f"a timer cannot run every {interval} s: use an interval that divides "
            'an hour, such as "5min" or "30s"'
        )
    lines = []
    for moment in range(first, period, interval):
        hour, rest = divmod(moment, HOUR)
        minute, second = divmod(rest, MINUTE)
        hours = f"{hour}/{period // HOUR}" if period < DAY else str(hour)
        lines.append(f"{hours}:{minute:02}:{second} UTC")
    return lines


def offset(interval: int) -> int:
    """Return the delay of a run after the start of its slot, in seconds."""
    return min(OFFSET, interval // 4)


def next_fires(
    interval: int, now: float, number: int = 3, zones: Sequence[str] = ()
) -> list[datetime]:
    """Return the next *number* times after *now* at which the timer fires."""
    first = offset(interval)
    times: set[int] = set()
    for zone in zones or ("UTC",):
        grid = Grid.of(interval, ZoneInfo(zone))
        slot = grid.floor(now - first)
        for _ in range(number):
            slot = grid.next(slot)
            times.add(slot + first)
    return [datetime.fromtimestamp(moment, UTC) for moment in sorted(times)[:number]]


def timer(interval: int, zones: Sequence[str] = ()) -> str:
    """Return the text of the timer for *interval* seconds."""
    when = "".join(f"OnCalendar={row}\n" for row in calendar(interval, zones))
    purpose = "Collect one snapshot of the bike-share systems in every slot"
    return _timer(when, purpose)


def timer_at(calendar_time: str, purpose: str) -> str:
    """Return the text of a timer that fires at *calendar_time*."""
    return _timer(f"OnCalendar={calendar_time}\n", f"bikecollect: {purpose}")


def _timer(when: str, purpose: str) -> str:
    return (
        "# Written by `bikecollect schedule install --systemd`.\n"
        f"[Unit]\nDescription={purpose}\n\n"
        f"[Timer]\n{when}"
        "AccuracySec=1s\n"
        "Persistent=true\n\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )


def service(config: ServiceConfig) -> str:
    """Return the text of the service unit for *config*."""
    command = " ".join(_quoted(word).replace("$", "$$") for word in config.command)
    wants = "Wants=network-online.target\nAfter=network-online.target\n"
    purpose = "Collect one snapshot of each bike-share system"
    limits = f"TimeoutStartSec={max(40, config.interval * 29 // 30)}\nMemoryMax=512M\n"
    if config.purpose:
        purpose, limits = f"bikecollect: {config.purpose}", OTHER_LIMITS
    return (
        "# Written by `bikecollect schedule install --systemd`.\n"
        "[Unit]\n"
        f"Description={purpose}\n"
        f"{wants if config.user else ''}\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"ExecStart={command}\n"
        f"{limits}"
        f"{USER_HARDENING}"
        f"{_system_wide_lines(config) if config.user else ''}"
    )


def _system_wide_lines(config: ServiceConfig) -> str:
    credentials = "".join(
        # The path extends to the end of the line: quotes would be part of it.
        f"LoadCredential={_line(f'{name}:{path}')}\n"
        for name, path in config.credentials.items()
    )
    return (
        f"User={config.user}\n{credentials}"
        f"{SYSTEM_HARDENING}"
        f"ReadWritePaths={_quoted(config.data)}\n"
        # The folder of the alert state, see docs/decisions/0007.
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
        raise SettingsError(f"a unit cannot contain a line break: {text!r}")
    return text.replace("%", "%%")
