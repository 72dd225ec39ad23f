"""The schedule that runs `bikecollect fetch`: shown, installed and removed."""

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
from bikecollect.setup.settings import SECRET_FILE, Settings
from bikecollect.storage.files import durable

UNITS = (systemd.SERVICE, systemd.TIMER)


@dataclass(frozen=True)
class Plan:
    """The text to install, whether it is installed, and the next fire times."""

    text: str
    state: CronState
    fires: Sequence[datetime]
    others: Sequence[str] = ()
    """Settings paths of our other blocks, which stay unchanged."""


def command(path: Path | None) -> list[str]:
    """Return the `fetch` command for the settings at *path*; None: the defaults."""
    chosen = [] if path is None else ["--config", str(path.absolute())]
    return [*program(), *chosen, "fetch"]


def plan_cron(settings: Settings, path: Path | None, now: float) -> Plan:
    """Return the plan for the crontab; raises SettingsError if cron cannot run it."""
    fields = cron.expression(settings.seconds)
    text = _block(settings, path)
    crontab, names = read_crontab(), _names(path)
    return Plan(
        text,
        cron.state(crontab, text, names),
        cron.next_fires(fields, now, _local),
        cron.other_settings(crontab, names),
    )


def install_in_cron(
    settings: Settings, path: Path | None
) -> tuple[CronState, list[str]]:
    """Install or update our block in the crontab.

    Returns the state before, and the settings paths of our other blocks.
    """
    text = _block(settings, path)
    before = read_crontab()
    names = _names(path)
    state = cron.state(before, text, names)
    if state is not CronState.CURRENT:
        write_crontab(cron.merged(before, text, names))
    return state, cron.other_settings(before, names)


def remove_from_cron(path: Path | None) -> tuple[bool, list[str]]:
    """Remove the block of the settings at *path* from the crontab.

    Returns whether it existed, and the settings paths of our remaining blocks.
    """
    before, names = read_crontab(), _names(path)
    after = cron.without(before, names)
    if before != after:
        write_crontab(after)
    return before != after, cron.other_settings(after, names)


def plan_systemd(
    settings: Settings, path: Path | None, now: float, *, system_wide: bool
) -> Plan:
    """Return the plan for the systemd units, the service first."""
    texts = _units(settings, path, system_wide=system_wide)
    installed = systemd.read(_folder(system_wide=system_wide), list(texts))
    state = (
        CronState.CURRENT
        if installed == texts
        else CronState.OUTDATED
        if installed
        else CronState.ABSENT
    )
    times = systemd.next_fires(settings.seconds, now, zones=_zones(settings))
    fires = [moment.astimezone() for moment in times]
    return Plan("\n".join(texts.values()), state, fires)


def install_in_systemd(
    settings: Settings, path: Path | None, *, system_wide: bool
) -> str:
    """Write the units and start the timer; return the error of starting it, else ""."""
    texts = _units(settings, path, system_wide=system_wide)
    if system_wide and service_user.choose(settings.data) == service_user.NAME:
        service_user.prepare(settings.data)
    else:
        _make_folder(settings.data)
    systemd.write(_folder(system_wide=system_wide), texts)
    return systemd.control(*start_commands(path, system_wide=system_wide))


def obstacles(settings: Settings, path: Path | None) -> list[str]:
    """Return why the system-wide service cannot access its program or settings."""
    files = [path] if path is not None else []
    loaded = set(_credentials(settings).values())
    files += [file for file in _secret_files(settings) if str(file) not in loaded]
    user = service_user.choose(settings.data)
    return service_user.obstacles(user, Path(program()[0]), files)


def remove_from_systemd(path: Path | None, *, system_wide: bool) -> bool:
    """Stop the timer of the settings at *path* and remove its units.

    Returns whether they existed; units of other settings stay.
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


def start_commands(path: Path | None, *, system_wide: bool) -> list[list[str]]:
    """Return the commands that start the timer of the settings at *path*."""
    systemctl = _systemctl(system_wide=system_wide)
    _, timer = _unit_names(path, _folder(system_wide=system_wide))
    return [
        [*systemctl, "daemon-reload"],
        [*systemctl, "enable", "--now", timer],
    ]


def timer(path: Path | None) -> Path | None:
    """Return the installed timer file of the settings at *path*, None if none."""
    folders = [systemd.SYSTEM_WIDE]
    with suppress(SettingsError):
        folders.insert(0, systemd.user_folder())
    for folder in folders:
        units = _unit_names(path, folder)
        if len(systemd.read(folder, units)) == len(units):
            return folder / units[1]
    return None


def is_found(path: Path | None) -> bool:
    """Return whether a timer or a line of cron may run the settings at *path*.

    Lines that nobody marked as ours count, too, and those of the whole machine.
    Raises NotInstalled where there is no `crontab` program.
    """
    if timer(path) is not None:
        return True
    crontabs = [read_crontab()]
    for file in (Path("/etc/crontab"), *Path("/etc/cron.d").glob("*")):
        with suppress(OSError):
            crontabs.append(file.read_bytes())
    lines = b"\n".join(crontabs).splitlines()
    return any(b"bikecollect" in line for line in lines if not line.startswith(b"#"))


def stray_variable(settings: Settings) -> str:
    """Return the variable that sets the data folder here but not in cron, else ""."""
    name = "XDG_DATA_HOME"
    return name if os.environ.get(name) and not settings.data_dir else ""


def _block(settings: Settings, path: Path | None) -> str:
    """Return our block of the crontab."""
    fields = cron.expression(settings.seconds)
    mark = "" if path is None else str(path.absolute())
    return cron.block([cron.line(fields, command(path))], mark)


def _names(path: Path | None) -> set[str]:
    """Return the paths that identify the settings at *path*; "" is the default path."""
    usual = settings_file.usual_path()
    chosen = usual if path is None else path.absolute()
    names = set() if chosen is None else {str(chosen), os.path.realpath(chosen)}
    return names | {""} if chosen == usual else names


def _unit_names(path: Path | None, folder: Path) -> tuple[str, str]:
    """Return the names of the service and the timer of the settings at *path*.

    The plain names may be used by other settings in *folder*.
    """
    mark = zlib.crc32(os.fsencode(os.path.realpath(path or "")))
    own = tuple(name.replace(".", f"-{mark:08x}.") for name in UNITS)
    if not systemd.read(folder, own):
        service = systemd.read(folder, UNITS).get(systemd.SERVICE)
        if service is None or systemd.settings_of(service) in _names(path):
            return UNITS
    return own[0], own[1]


def _units(
    settings: Settings, path: Path | None, *, system_wide: bool
) -> dict[str, str]:
    if system_wide and not settings.data_dir:
        raise SettingsError(
            "a system-wide service has no home folder: set data_dir in the settings"
        )
    config = systemd.ServiceConfig(
        command=command(path),
        data=str(settings.data),
        interval=settings.seconds,
        user=service_user.choose(settings.data) if system_wide else "",
        credentials=_credentials(settings),
    )
    service, timer = _unit_names(path, _folder(system_wide=system_wide))
    return {
        service: systemd.service(config),
        timer: systemd.timer(settings.seconds, _zones(settings)),
    }


def _zones(settings: Settings) -> list[str]:
    """Return the time zones of the systems, each once."""
    return list(dict.fromkeys(s.timezone for s in settings.systems.values()))


def _credentials(settings: Settings) -> dict[str, str]:
    """Return the secret files beside the settings as credentials, by name.

    Only root reads them then. They are found by their name, so that of the mail
    password must be a bare one.
    """
    password = settings.mail.password_file
    files = _secret_files(settings)
    if password and Path(password).name != password:
        files.remove(settings.path_of(password))
    return {
        file.name: str(file)
        for file in files
        if file.parent == settings.folder and ":" not in file.name
    }


def _secret_files(settings: Settings) -> list[Path]:
    """Return the files with the mail password, if any, and the OAuth2 secrets."""
    systems = settings.systems.values()
    names = [settings.mail.password_file]
    names += [system.oauth2.get(SECRET_FILE, "") for system in systems]
    return [settings.path_of(name) for name in dict.fromkeys(names) if name]


def _make_folder(data: Path) -> None:
    """Create the folder *data*, which a service cannot do itself."""
    try:
        durable.make_folder(data)
    except OSError as error:
        raise StorageError(
            f"cannot create {data}: {error}; create it, or change data_dir"
        ) from error


def _folder(*, system_wide: bool) -> Path:
    return systemd.SYSTEM_WIDE if system_wide else systemd.user_folder()


def _systemctl(*, system_wide: bool) -> list[str]:
    return ["systemctl"] if system_wide else ["systemctl", "--user"]


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment).astimezone()
