"""The schedule by cron: `bikecollect fetch` and the jobs that accompany it."""

import os
import pwd
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bikecollect.core.errors import LockBusy
from bikecollect.setup import settings_file
from bikecollect.setup.program import NAME, program, settings_in
from bikecollect.setup.scheduler import cron, jobs
from bikecollect.setup.scheduler.cron import CronState, read_crontab, write_crontab
from bikecollect.setup.scheduler.jobs import FETCH, Job, JobChoice
from bikecollect.setup.settings import Settings
from bikecollect.storage.files import flock

PATIENCE = 100.0
"""Seconds to wait for another call that changes the crontab: three calls of cron's."""


@dataclass(frozen=True)
class Plan:
    """The *text* to install, whether it is installed, and the next fire times.

    *jobs* are the jobs in *text*. *missing* has the other jobs that an operator needs,
    each with the reason why it cannot be installed, or an empty text. *others* are the
    settings paths of our other blocks, which remain unchanged.
    """

    text: str
    state: CronState
    fires: Sequence[datetime]
    jobs: Sequence[Job]
    missing: dict[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()


@dataclass(frozen=True)
class Installation:
    """The result of an installation: the state *before*, and the jobs."""

    before: CronState
    choice: JobChoice
    others: Sequence[str] = ()
    error: str = ""
    """Why systemd did not start the timers, empty if it did."""


def command(
    path: Path | None, words: Sequence[str] = FETCH.words, *, shard: str = ""
) -> list[str]:
    """Return the command line of *words* with the settings at *path*, None by default.

    *shard* is a share of the systems as K/N, empty for all.
    """
    chosen = [] if path is None else ["--config", str(path.absolute())]
    chosen += ["--shard", shard] if shard else []
    return [*program(), *chosen, *words]


def plan_cron(settings: Settings, path: Path | None, now: float) -> Plan:
    """Return the plan for the crontab; raises SettingsError if cron cannot run it."""
    fields = cron.expression(settings.seconds)
    crontab, names = read_crontab(), own_names(path)
    everything = _choice(settings, crontab, names, jobs.OPTIONAL)
    installed = _installed(cron.own_blocks(crontab, names))
    chosen = [job for job in everything.jobs if job.name in installed]
    if not installed:
        chosen = list(_choice(settings, crontab, names, jobs.USUAL).jobs)
    return Plan(
        _block(settings, path, chosen),
        cron.state(crontab, _block(settings, path, everything.jobs), names),
        cron.next_fires(fields, now, _local),
        chosen,
        jobs.missing(chosen, everything),
        cron.other_settings(crontab, names),
    )


def install_in_cron(
    settings: Settings, path: Path | None, wanted: Collection[str] = jobs.USUAL
) -> Installation:
    """Install or update our block in the crontab, with the jobs *wanted*.

    An installed weekly report is kept unless *wanted* is empty. Raises SettingsError if
    cron cannot run at the interval.
    """
    cron.expression(settings.seconds)
    with _locked():
        return _install(settings, path, wanted)


def _install(
    settings: Settings, path: Path | None, wanted: Collection[str]
) -> Installation:
    before, names = read_crontab(), own_names(path)
    if wanted and jobs.REPORT.name in _installed(cron.own_blocks(before, names)):
        wanted = {*wanted, jobs.REPORT.name}
    choice = _choice(settings, before, names, wanted)
    text = _block(settings, path, choice.jobs)
    after = cron.merged(before, text, names)
    state = cron.state(before, text, names)
    if before != after:
        write_crontab(after)
        is_installed = state is not CronState.ABSENT
        state = CronState.OUTDATED if is_installed else CronState.ABSENT
    return Installation(state, choice, cron.other_settings(before, names))


def remove_from_cron(
    path: Path | None, wanted: Collection[str] = ()
) -> tuple[bool, list[str]]:
    """Remove the block of the settings at *path* from the crontab.

    If jobs are *wanted*, only their lines are removed. Returns whether anything was
    removed, and the settings paths of our remaining blocks.
    """
    with _locked():
        return _remove(path, wanted)


def _remove(path: Path | None, wanted: Collection[str]) -> tuple[bool, list[str]]:
    before, names = read_crontab(), own_names(path)
    after = cron.without(before, names)
    if wanted:
        after = before
        for block in cron.own_blocks(before, names):
            kept = _without_jobs(block, wanted)
            after = after.replace(os.fsencode(block), os.fsencode(kept))
    if before != after:
        write_crontab(after)
    return before != after, cron.other_settings(after, names)


@contextmanager
def _locked() -> Iterator[None]:
    """Let no other call change the user's crontab during the context.

    Else a change between our reading and writing would be lost. The lock is on the home
    folder in the system's list of users, whatever HOME is; without a folder there is
    none. Raises LockBusy.
    """
    with flock.open_folder(_home()) as fd:
        if fd is not None and not _is_free(fd):
            raise LockBusy(
                "nothing was changed: another process has been changing your crontab "
                f"for {PATIENCE:.0f} s; find it with: pgrep -af 'bikecollect.*schedule'"
            )
        yield


def _is_free(fd: int) -> bool:
    try:
        return flock.lock_within(fd, PATIENCE)
    except OSError:
        return True  # a file system without locks


def _home() -> Path:
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path(os.devnull)  # a user without an entry, as in some containers


def is_in_a_crontab() -> bool:
    """Return whether any line of cron may run bikecollect.

    Lines without our marks and lines of the whole machine count too. Raises
    NotInstalled if there is no `crontab` program.
    """
    lines = b"\n".join([read_crontab(), *_of_the_machine()]).splitlines()
    return any(b"bikecollect" in line for line in lines if not line.startswith(b"#"))


def lines_by_hand(path: Path | None) -> list[str]:
    """Return lines that fetch the settings at *path*, but were not installed by us.

    Those of crontab.example, for instance. Raises like `read_crontab`.
    """
    names = own_names(path)
    crontabs = [cron.without(read_crontab(), names), *_of_the_machine()]
    return [
        line.strip()
        for crontab in crontabs
        for line, fetched in _fetches(os.fsdecode(crontab))
        if fetched in names
    ]


def _of_the_machine() -> list[bytes]:
    """Return the crontabs of the whole machine."""
    crontabs = []
    for file in (Path("/etc/crontab"), *Path("/etc/cron.d").glob("*")):
        with suppress(OSError):
            crontabs.append(file.read_bytes())
    return crontabs


def _fetches(crontab: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of *crontab* that fetch, each with its settings; "" by default.

    >>> list(_fetches("0 * * * * me /opt/bikecollect --config /srv/b.toml fetch"))
    [('0 * * * * me /opt/bikecollect --config /srv/b.toml fetch', '/srv/b.toml')]
    >>> list(_fetches("0 4 * * * /usr/bin/backup bikecollect"))
    []
    >>> [path for _, path in _fetches("@daily BIKECOLLECT_CONFIG=/b bikecollect fetch")]
    ['/b']
    """
    usual = ""
    for line in crontab.splitlines():
        words = [part for word in cron.words_of(line) for part in word.split("=", 1)]
        if words[:1] == [settings_file.VARIABLE]:
            usual = words[-1]
        name = settings_file.VARIABLE
        own = words[words.index(name) + 1] if name in words[:-1] else usual
        names = [word.rpartition("/")[2] for word in words]
        if NAME in names and FETCH.words[0] in words[names.index(NAME) :]:
            given = settings_in(words)
            yield line, os.path.expandvars(own if given is None else given)


def stray_variable(settings: Settings) -> str:
    """Return the variable that sets the data folder here but not in cron, else ""."""
    name = "XDG_DATA_HOME"
    return name if os.environ.get(name) and not settings.data_dir else ""


def own_names(path: Path | None) -> set[str]:
    """Return the paths that identify the settings at *path*; "" is the default path."""
    usual = settings_file.usual_path()
    chosen = usual if path is None else path.absolute()
    names = set() if chosen is None else {str(chosen), os.path.realpath(chosen)}
    return names | {""} if chosen == usual else names


def _choice(
    settings: Settings, crontab: bytes, names: Collection[str], wanted: Collection[str]
) -> JobChoice:
    """Return those of the jobs *wanted* that work in cron with its other lines."""
    others = cron.without(crontab, names)
    return jobs.choose(settings.mail, wanted, can_print=cron.mails_output(others))


def _block(settings: Settings, path: Path | None, chosen: Sequence[Job]) -> str:
    """Return our block of the crontab, with the jobs *chosen*."""
    lines = []
    for job in chosen:
        fields = job.fields or cron.expression(settings.seconds)
        line = cron.line(fields, command(path, job.words, shard=settings.shard))
        lines += [f"# {job.name}: {job.purpose}."]
        lines += [f"{line} > /dev/null" if job.is_silenced else line]
    mark = "" if path is None else str(path.absolute())
    return cron.block(lines, mark)


def _installed(blocks: Sequence[str]) -> set[str]:
    """Return the names of the jobs in our *blocks* of a crontab."""
    lines = [line for block in blocks for line in block.splitlines()]
    return {job.name for line in lines if (job := _job_of(line))}


def _job_of(line: str) -> Job | None:
    """Return our job that *line* of a crontab runs, None if there is none."""
    words = cron.words_of(line)
    return next((job for job in jobs.JOBS if job.words[0] in words), None)


def _without_jobs(block: str, names: Collection[str]) -> str:
    """Return *block* without the commands and the comments of the jobs *names*."""
    kept = []
    for line in block.splitlines(keepends=True):
        job = _job_of(line)
        name = job.name if job else line.removeprefix("# ").partition(":")[0]
        if name not in names:
            kept.append(line)
    return "".join(kept)


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment).astimezone()
