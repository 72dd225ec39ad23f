"""The schedule by systemd: a service and a timer for each job."""

import os
import sys
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import bikecollect
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.setup.program import program
from bikecollect.setup.scheduler import jobs, service_user, systemctl, systemd
from bikecollect.setup.scheduler.cron import CronState
from bikecollect.setup.scheduler.cron_schedule import (
    Installation,
    Plan,
    command,
    own_names,
)
from bikecollect.setup.scheduler.jobs import FETCH, Job
from bikecollect.setup.settings import SECRET_FILE, Settings
from bikecollect.storage.files import durable

UNITS = (systemd.SERVICE, systemd.TIMER)


def plan_systemd(
    settings: Settings, path: Path | None, now: float, *, system_wide: bool
) -> Plan:
    """Return the plan for the systemd units, each service before its timer."""
    folder = _folder(system_wide=system_wide)
    everything = jobs.choose(settings.mail, jobs.OPTIONAL)
    present = _installed(path, folder)
    names = {job.name for job in present}
    chosen = [job for job in everything.jobs if job.name in names]
    if not present:
        chosen = list(jobs.choose(settings.mail, jobs.USUAL).jobs)
    texts = _units(settings, path, chosen, system_wide=system_wide)
    state = CronState.ABSENT
    if present:
        units = [unit for job in present for unit in _unit_names(path, folder, job)]
        is_current = systemd.read(folder, units) == texts
        state = CronState.CURRENT if is_current else CronState.OUTDATED
    times = systemd.next_fires(settings.seconds, now, zones=_zones(settings))
    fires = [moment.astimezone() for moment in times]
    missing = jobs.missing(chosen, everything)
    return Plan("\n".join(texts.values()), state, fires, chosen, missing)


def install_in_systemd(
    settings: Settings,
    path: Path | None,
    wanted: Collection[str] = jobs.USUAL,
    *,
    system_wide: bool,
) -> Installation:
    """Write the units of the jobs *wanted*, and start their timers.

    An installed weekly report is kept unless *wanted* is empty.
    """
    folder = _folder(system_wide=system_wide)
    present = _installed(path, folder)
    if wanted and jobs.REPORT in present:
        wanted = {*wanted, jobs.REPORT.name}
    choice = jobs.choose(settings.mail, wanted)
    texts = _units(settings, path, choice.jobs, system_wide=system_wide)
    if system_wide and service_user.choose(settings.data) == service_user.NAME:
        service_user.prepare(settings.data)
    else:
        _make_folder(settings.data)
    chosen = {job.name for job in choice.jobs}
    superfluous = [job for job in present if job.name not in chosen]
    _remove(path, superfluous, system_wide=system_wide)
    systemd.write(folder, texts)
    error = systemctl.control(*start_commands(path, system_wide=system_wide))
    state = CronState.OUTDATED if present else CronState.ABSENT
    return Installation(state, choice, error=error)


def obstacles(settings: Settings, path: Path | None) -> list[str]:
    """Return why the system-wide service cannot read its program or settings."""
    files = [path] if path is not None else []
    loaded = set(_credentials(settings).values())
    files += [file for file in _secret_files(settings) if str(file) not in loaded]
    user = service_user.choose(settings.data)
    return service_user.obstacles(
        user,
        Path(program()[0]),
        files,
        code=(Path(bikecollect.__file__), Path(sys.executable)),
        prefix=Path(sys.prefix) if sys.prefix != sys.base_prefix else None,
    )


def remove_from_systemd(
    path: Path | None, wanted: Collection[str] = (), *, system_wide: bool
) -> bool:
    """Stop the timers of the settings at *path* and remove their units.

    If jobs are *wanted*, only their units are removed. Returns whether there were any.
    Units of other settings are not changed.
    """
    present = _installed(path, _folder(system_wide=system_wide))
    chosen = [job for job in present if not wanted or job.name in wanted]
    _remove(path, chosen, system_wide=system_wide)
    return bool(chosen)


def start_commands(path: Path | None, *, system_wide: bool) -> list[list[str]]:
    """Return the commands that start the installed timers of the settings at *path*."""
    words = systemctl.words(system_wide=system_wide)
    folder = _folder(system_wide=system_wide)
    installed = _installed(path, folder)
    timers = [_unit_names(path, folder, job)[1] for job in installed]
    return [
        [*words, "daemon-reload"],
        [*words, "enable", "--now", *timers],
    ]


def timers(path: Path | None) -> list[Path]:
    """Return the installed timers of `fetch` for the settings at *path*, ours first."""
    folders = [systemd.SYSTEM_WIDE]
    with suppress(SettingsError):
        folders.insert(0, systemd.user_folder())
    return [
        folder / _unit_names(path, folder, FETCH)[1]
        for folder in folders
        if FETCH in _installed(path, folder)
    ]


def timer(path: Path | None) -> Path | None:
    """Return the first of the installed timers of `fetch`, else None."""
    return next(iter(timers(path)), None)


def is_system_wide(timer: Path) -> bool:
    """Return whether the file *timer* belongs to the whole machine."""
    return timer.parent == systemd.SYSTEM_WIDE


def _remove(path: Path | None, removed: Sequence[Job], *, system_wide: bool) -> None:
    """Stop the timers of the jobs *removed*, and delete their units."""
    if not removed:
        return
    words = systemctl.words(system_wide=system_wide)
    folder = _folder(system_wide=system_wide)
    units = [_unit_names(path, folder, job) for job in removed]
    timers = [timer for _, timer in units]
    systemctl.control(
        [*words, "disable", "--now", *timers],
        # When they last ran: else the jobs would run as missed when installed again.
        [*words, "clean", "--what=state", *timers],
    )
    systemd.remove(folder, [name for pair in units for name in pair])
    systemctl.control([*words, "daemon-reload"])


def _installed(path: Path | None, folder: Path) -> list[Job]:
    """Return the jobs of the settings at *path* that have both units in *folder*."""
    return [
        job
        for job in jobs.JOBS
        if len(systemd.read(folder, _unit_names(path, folder, job))) == len(UNITS)
    ]


def _unit_names(path: Path | None, folder: Path, job: Job) -> tuple[str, str]:
    """Return the names of the service and the timer of *job*, for one settings file.

    The plain names may be used by other settings in *folder*.
    """
    mark = zlib.crc32(os.fsencode(os.path.realpath(path or "")))
    stem = f"bikecollect-{mark:08x}"
    if not systemd.read(folder, (f"{stem}.service", f"{stem}.timer")):
        service = systemd.read(folder, UNITS).get(systemd.SERVICE)
        if service is None or systemd.settings_of(service) in own_names(path):
            stem = "bikecollect"
    if job is not FETCH:
        stem = f"{stem}-{job.name}"
    return f"{stem}.service", f"{stem}.timer"


def _units(
    settings: Settings,
    path: Path | None,
    chosen: Sequence[Job],
    *,
    system_wide: bool,
) -> dict[str, str]:
    """Return the texts of the units of the jobs *chosen*, by name."""
    if system_wide and not settings.data_dir:
        raise SettingsError(
            "a system-wide service has no home folder: set data_dir in the settings"
        )
    folder = _folder(system_wide=system_wide)
    texts = {}
    for job in chosen:
        service, timer = _unit_names(path, folder, job)
        texts[service] = systemd.service(
            systemd.ServiceConfig(
                command=command(path, job.words, shard=settings.shard),
                data=str(settings.data),
                interval=settings.seconds,
                user=service_user.choose(settings.data) if system_wide else "",
                credentials=_credentials(settings),
                purpose="" if job is FETCH else job.purpose,
            )
        )
        texts[timer] = (
            systemd.timer(settings.seconds, _zones(settings))
            if job is FETCH
            else systemd.timer_at(job.calendar, job.purpose)
        )
    return texts


def _zones(settings: Settings) -> list[str]:
    """Return the time zones of the systems, each once."""
    return list(dict.fromkeys(s.timezone for s in settings.systems.values()))


def _credentials(settings: Settings) -> dict[str, str]:
    """Return the secret files beside the settings as credentials, by name.

    As credentials they are read only by root. The service finds them by name, so the
    settings must name the mail password's file without a folder.
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
    """Create the folder *data*, which the service itself may not create."""
    try:
        durable.make_folder(data)
    except OSError as error:
        raise StorageError(
            f"cannot create {data}: {error}; create it, or change data_dir"
        ) from error


def _folder(*, system_wide: bool) -> Path:
    return systemd.SYSTEM_WIDE if system_wide else systemd.user_folder()
