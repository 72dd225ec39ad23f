"""The jobs of a schedule: what each runs, when, and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from bikecollect.setup import program
from bikecollect.setup.tables.sections import Mail

DUCKDB = "duckdb"


@dataclass(frozen=True)
class Job:
    """A command that is run regularly.

    *fields* are cron's five time fields and *calendar* is systemd's OnCalendar; both
    are empty for `fetch`, which runs in every slot.
    """

    name: str
    words: tuple[str, ...]
    purpose: str
    fields: str = ""
    calendar: str = ""
    is_silenced: bool = False
    """Whether its output is discarded, because it is also sent by mail."""


FETCH = Job("fetch", ("fetch",), "one snapshot of each system in every slot")
COMPACT = Job(
    "compact",
    ("compact", "--quiet"),
    "closed days go to the archive; CSVs are removed after csv_days",
    "17 3 * * *",
    "*-*-* 03:17:00",
)
ALERT = Job(
    "alert",
    ("status", "--alert"),
    "a mail if no run has started for a while; `fetch` cannot report it",
    "23 * * * *",
    "*-*-* *:23:00",
)
REPORT = Job(
    "report",
    ("backfill-report", "--since", "7d"),
    "last week's coverage, gaps and their causes, by mail",
    "41 7 * * 1",
    "Mon *-*-* 07:41:00",
)
JOBS = (FETCH, COMPACT, ALERT, REPORT)
OPTIONAL = (COMPACT.name, ALERT.name, REPORT.name)
USUAL = (COMPACT.name, ALERT.name)
"""The jobs that every operator needs in addition to `fetch`."""


@dataclass(frozen=True)
class JobChoice:
    """The jobs to install, and for others, by name, why they are skipped."""

    jobs: Sequence[Job]
    skipped: dict[str, str]


def choose(mail: Mail, names: Collection[str], *, can_print: bool = False) -> JobChoice:
    """Return the jobs called *names* that work here; the fetch job is always included.

    *can_print* is set if cron mails the output of a job.
    """
    jobs: list[Job] = []
    skipped: dict[str, str] = {}
    for job in JOBS:
        if job is not FETCH and job.name not in names:
            continue
        if reason := _obstacle(job, mail, can_print=can_print):
            skipped[job.name] = reason
        else:
            jobs.append(_mailed(job, mail))
    return JobChoice(jobs, skipped)


def missing(installed: Sequence[Job], everything: JobChoice) -> dict[str, str]:
    """Return the usual jobs that are not *installed*, each with the obstacle or ""."""
    names = {job.name for job in installed}
    skipped = everything.skipped
    return {name: skipped.get(name, "") for name in USUAL if name not in names}


def describe(choice: JobChoice) -> str:
    """Return a line for each job that is installed, and for each that is skipped."""
    lines = [f"  {job.name:<9}{job.purpose}" for job in choice.jobs]
    lines += [f"  {name:<9}skipped: {why}" for name, why in choice.skipped.items()]
    return "".join(f"{line}\n" for line in lines)


def _obstacle(job: Job, mail: Mail, *, can_print: bool) -> str:
    """Return why *job* cannot work here, empty if it can."""
    if job is COMPACT and find_spec(DUCKDB) is None:
        return f"it requires DuckDB; run: {program.extra_command('archive')}"
    if job in {ALERT, REPORT} and not (_is_complete(mail) or can_print):
        return "no mail can be sent; add [mail] to the settings"
    return ""


def _mailed(job: Job, mail: Mail) -> Job:
    """Return *job* with the option that sends its mails, if *mail* is configured."""
    if job not in {ALERT, REPORT} or not _is_complete(mail):
        return job
    return replace(job, words=(*job.words, "--mail"), is_silenced=job is REPORT)


def _is_complete(mail: Mail) -> bool:
    return bool(mail.host and mail.to)
