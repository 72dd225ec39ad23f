"""The schedule: what runs bikecollect every few minutes, cron or a timer."""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.setup import settings_file
from bikecollect.setup.program import program
from bikecollect.setup.scheduler import cron, service_user, systemd
from bikecollect.setup.scheduler.cron import CronState, read_crontab, write_crontab
from bikecollect.setup.settings import Settings
from bikecollect.storage.files import durable

UNITS = (systemd.SERVICE, systemd.TIMER)


@dataclass(frozen=True)
class Plan:
    """What should be installed, whether it is, and when it fires next."""

    text: str
    state: CronState
    fires: Sequence[datetime]
    others: Sequence[str] = ()
    """Settings that other lines of ours run by: they are left alone."""


def command(path: Path | None) -> list[str]:
    """Return the command that fetches by the settings at *path*, None for none."""
    chosen = [] if path is None else ["--config", str(path.absolute())]
    return [*program(), *chosen, "fetch"]


def in_cron(settings: Settings, path: Path | None, now: float) -> Plan:
    """Return our block of the crontab; raises SettingsError where cron cannot."""
    fields = cron.expression(settings.seconds)
    text = _block(settings, path)
    there, names = read_crontab(), _names(path)
    return Plan(
        text,
        cron.state(there, text, names),
        cron.fires(fields, now, _local),
        cron.others(there, names),
    )


def install_in_cron(
    settings: Settings, path: Path | None
) -> tuple[CronState, list[str]]:
    """Bring our block into the crontab.

    Returns what was there before, and the settings of other blocks, which stay.
    """
    text = _block(settings, path)
    before = read_crontab()
    names = _names(path)
    was = cron.state(before, text, names)
    if was is not CronState.THERE:
        write_crontab(cron.merged(before, text, names))
    return was, cron.others(before, names)


def remove_from_cron(path: Path | None) -> tuple[bool, list[str]]:
    """Take the block of the settings at *path* out of the crontab.

    Returns whether it was there, and the settings of the blocks that stay.
    """
    before, names = read_crontab(), _names(path)
    after = cron.without(before, names)
    if before != after:
        write_crontab(after)
    return before != after, cron.others(after, names)


def in_systemd(
    settings: Settings, path: Path | None, now: float, *, system_wide: bool
) -> Plan:
    """Return the units, the service first."""
    texts = _units(settings, path, system_wide=system_wide)
    found = systemd.read(_folder(system_wide=system_wide), list(texts))
    state = (
        CronState.THERE
        if found == texts
        else CronState.DIFFERS
        if found
        else CronState.ABSENT
    )
    fires = [each.astimezone() for each in systemd.fires(settings.seconds, now)]
    return Plan("\n".join(texts.values()), state, fires)


def install_in_systemd(
    settings: Settings, path: Path | None, *, system_wide: bool
) -> str:
    """Write the units and start the timer; return why it did not start, else ""."""
    texts = _units(settings, path, system_wide=system_wide)
    if system_wide and service_user.chosen(settings.data) == service_user.NAME:
        service_user.prepare(settings.data)
    else:
        _make(settings.data)
    systemd.write(_folder(system_wide=system_wide), texts)
    return systemd.control(*starting(path, system_wide=system_wide))


def obstacles(settings: Settings, path: Path | None) -> list[str]:
    """Return what keeps the system-wide service from its program and its settings."""
    files = [path] if path is not None else []
    if settings.mail.password_file and not _credentials(settings):
        files.append(settings.path_of(settings.mail.password_file))
    user = service_user.chosen(settings.data)
    return service_user.obstacles(user, Path(program()[0]), files)


def remove_from_systemd(path: Path | None, *, system_wide: bool) -> bool:
    """Stop the timer of the settings at *path* and remove its units.

    Returns whether they were there; those of other settings stay.
    """
    folder = _folder(system_wide=system_wide)
    units = _unit_names(path, folder)
    if not systemd.read(folder, units):
        return False
    systemctl = _systemctl(system_wide=system_wide)
    systemd.control([*systemctl, "disable", "--now", units[1]])
    systemd.remove(folder, units)
    systemd.control([*systemctl, "daemon-reload"])
    return True


def starting(path: Path | None, *, system_wide: bool) -> list[list[str]]:
    """Return the two commands that start the timer of the settings at *path*."""
    systemctl = _systemctl(system_wide=system_wide)
    _, timer = _unit_names(path, _folder(system_wide=system_wide))
    return [
        [*systemctl, "daemon-reload"],
        [*systemctl, "enable", "--now", timer],
    ]


def timer(path: Path | None) -> Path | None:
    """Return the timer file that runs by the settings at *path*, None for none."""
    folders = [systemd.SYSTEM_WIDE]
    with suppress(SettingsError):
        folders.insert(0, systemd.user_folder())
    for folder in folders:
        units = _unit_names(path, folder)
        if len(systemd.read(folder, units)) == len(units):
            return folder / units[1]
    return None


def stray_folder(settings: Settings) -> str:
    """Return the variable that moves the data here but not under cron, else ""."""
    name = "XDG_DATA_HOME"
    return name if os.environ.get(name) and not settings.data_dir else ""


def _block(settings: Settings, path: Path | None) -> str:
    """Return our block; a nightly line would be one more of its lines."""
    fields = cron.expression(settings.seconds)
    mark = "" if path is None else str(path.absolute())
    return cron.block([cron.line(fields, command(path))], mark)


def _names(path: Path | None) -> set[str]:
    """Return the paths that the settings at *path* go by, empty for the usual ones."""
    usual = settings_file.usual_path()
    meant = usual if path is None else path.absolute()
    names = set() if meant is None else {str(meant), os.path.realpath(meant)}
    return names | {""} if meant == usual else names


def _unit_names(path: Path | None, folder: Path) -> tuple[str, str]:
    """Return the names of the service and the timer of the settings at *path*.

    Those of other settings may have taken the plain ones in *folder*.
    """
    mark = zlib.crc32(os.fsencode(os.path.realpath(path or "")))
    own = tuple(each.replace(".", f"-{mark:08x}.") for each in UNITS)
    if not systemd.read(folder, own):
        there = systemd.read(folder, UNITS).get(systemd.SERVICE)
        if there is None or systemd.settings_of(there) in _names(path):
            return UNITS
    return own[0], own[1]


def _units(
    settings: Settings, path: Path | None, *, system_wide: bool
) -> dict[str, str]:
    if system_wide and not settings.data_dir:
        raise SettingsError(
            "a system-wide service has no home: name data_dir in the settings"
        )
    place = systemd.ServicePlace(
        command=command(path),
        data=str(settings.data),
        interval=settings.seconds,
        user=service_user.chosen(settings.data) if system_wide else "",
        credentials=_credentials(settings),
    )
    service, timer = _unit_names(path, _folder(system_wide=system_wide))
    return {
        service: systemd.service(place),
        timer: systemd.timer(settings.seconds),
    }


def _credentials(settings: Settings) -> dict[str, str]:
    """Return the password file, which then need be readable by root only."""
    name = settings.mail.password_file
    bare = name and Path(name).name == name and ":" not in name
    return {name: str(settings.path_of(name))} if bare else {}


def _make(data: Path) -> None:
    """Make the folder *data*: a service writes only where one is."""
    try:
        durable.make_folder(data)
    except OSError as error:
        raise StorageError(
            f"cannot make {data}: {error}; make it, or set data_dir"
        ) from error


def _folder(*, system_wide: bool) -> Path:
    return systemd.SYSTEM_WIDE if system_wide else systemd.user_folder()


def _systemctl(*, system_wide: bool) -> list[str]:
    return ["systemctl"] if system_wide else ["systemctl", "--user"]


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment).astimezone()
