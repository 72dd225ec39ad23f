"""The schedule: what runs bikecollect every few minutes, cron or a timer."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bikecollect.core.errors import SettingsError, StorageError
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


def command(path: Path | None) -> list[str]:
    """Return the command that fetches by the settings at *path*, None for none."""
    chosen = [] if path is None else ["--config", str(path.absolute())]
    return [*program(), *chosen, "fetch"]


def in_cron(settings: Settings, path: Path | None, now: float) -> Plan:
    """Return our block of the crontab; raises SettingsError where cron cannot."""
    fields = cron.expression(settings.seconds)
    text = _block(settings, path)
    state = cron.state(read_crontab(), text)
    return Plan(text, state, cron.fires(fields, now, _local))


def install_in_cron(settings: Settings, path: Path | None) -> CronState:
    """Bring our block into the crontab; return what was there before."""
    text = _block(settings, path)
    before = read_crontab()
    was = cron.state(before, text)
    if was is not CronState.THERE:
        write_crontab(cron.merged(before, text))
    return was


def remove_from_cron() -> bool:
    """Take our block out of the crontab; return whether it was there."""
    before = read_crontab()
    after = cron.without(before)
    if before != after:
        write_crontab(after)
    return before != after


def in_systemd(
    settings: Settings, path: Path | None, now: float, *, system_wide: bool
) -> Plan:
    """Return the units, the service first."""
    texts = _units(settings, path, system_wide=system_wide)
    found = systemd.read(_folder(system_wide=system_wide), UNITS)
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
    return systemd.control(*starting(system_wide=system_wide))


def obstacles(settings: Settings, path: Path | None) -> list[str]:
    """Return what keeps the system-wide service from its program and its settings."""
    files = [path] if path is not None else []
    if settings.mail.password_file and not _credentials(settings):
        files.append(settings.path_of(settings.mail.password_file))
    user = service_user.chosen(settings.data)
    return service_user.obstacles(user, Path(program()[0]), files)


def remove_from_systemd(*, system_wide: bool) -> bool:
    """Stop the timer and remove the units; return whether they were there."""
    folder = _folder(system_wide=system_wide)
    if not systemd.read(folder, UNITS):
        return False
    systemctl = _systemctl(system_wide=system_wide)
    systemd.control([*systemctl, "disable", "--now", systemd.TIMER])
    systemd.remove(folder, UNITS)
    systemd.control([*systemctl, "daemon-reload"])
    return True


def starting(*, system_wide: bool) -> list[list[str]]:
    """Return the two commands that start the timer."""
    systemctl = _systemctl(system_wide=system_wide)
    return [
        [*systemctl, "daemon-reload"],
        [*systemctl, "enable", "--now", systemd.TIMER],
    ]


def stray_folder(settings: Settings) -> str:
    """Return the variable that moves the data here but not under cron, else ""."""
    name = "XDG_DATA_HOME"
    return name if os.environ.get(name) and not settings.data_dir else ""


def _block(settings: Settings, path: Path | None) -> str:
    """Return our block; a nightly line would be one more of its lines."""
    fields = cron.expression(settings.seconds)
    return cron.block([cron.line(fields, command(path))])


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
    return {
        systemd.SERVICE: systemd.service(place),
        systemd.TIMER: systemd.timer(settings.seconds),
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
