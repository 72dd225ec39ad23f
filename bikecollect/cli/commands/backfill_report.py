"""``bikecollect backfill-report``: coverage, gaps and their causes."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bikecollect import __version__
from bikecollect.cli.completion import systems_argument
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.forms import Forms
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared, output_option
from bikecollect.cli.output_file import format_of, say_written, written
from bikecollect.cli.printing import addressed, complain, emit, say_figures
from bikecollect.cli.render import coverage
from bikecollect.cli.render.terminal import wrapped
from bikecollect.cli.reporting.empty_range import empty_range, why_empty
from bikecollect.cli.timeparse import slots
from bikecollect.core import process
from bikecollect.core.errors import ExitCode
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, stamp
from bikecollect.core.text import clock_minute
from bikecollect.reports import evidence
from bikecollect.reports.coverage import Account, Coverage
from bikecollect.reports.status import damage_of
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder
from bikecollect.storage.ledger_reader import END, History
from bikecollect.storage.repair.damage import check_present, lost_data

if TYPE_CHECKING:
    from bikecollect.collect.reading.trial import PayloadTrial

# Most reports need neither network libraries nor the archive: the functions that need
# them import them.
FORMS = ("text", "csv", "json", "html")
NAMED = {
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "html": "html",
    "htm": "html",
}
"""Formats by the extension of a file's name."""
PERCENT = 100


def _share(
    _ctx: click.Context, _option: click.Parameter, value: float | None
) -> float | None:
    if value is None or 0 <= value <= 1:
        return value
    hint = f"; {value:g} % is {value / 100:g}" if 1 < value <= PERCENT else ""
    raise click.BadParameter(f"{value:g} is not a share from 0 to 1{hint}")


@click.command("backfill-report")
@systems_argument
@click.option("--since", help="First day or time: 2026-11-22, 7d; default: first run.")
@click.option("--until", help="Last day, or the end as a time; default: now.")
@click.option(
    "--format",
    "form",
    type=Forms(FORMS),
    help="Default: by the name of the output, else text; json: one object per line.",
)
@click.option(
    "--what",
    type=click.Choice(["days", "gaps"]),
    default="days",
    show_default=True,
    help="Lines of CSV: one per day, or one per gap.",
)
@click.option("--stations", is_flag=True, help="Report the coverage of each station.")
@click.option(
    "--min-coverage",
    type=float,
    callback=_share,
    help="Exit with 1 if a system has less, for instance 0.99.",
)
@click.option("--mail", is_flag=True, help="Also send the report to mail.to.")
@output_option
@click.pass_context
def backfill_report(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    since: str | None,
    until: str | None,
    form: str | None,
    what: str,
    stations: bool,
    min_coverage: float | None,
    mail: bool,
    output: Path | None,
) -> int:
    """Report which slots of each SYSTEM are missing, and why.

    Lists the expected, collected, stale, partial and missing slots of each day, and
    the gaps with their cause and the number of slots that `backfill` can still fill.
    """
    form = format_of(form, output, "text", NAMED)
    settings = ctx.ensure_object(Shared).settings()
    names = settings.chosen(system_ids)
    attempts, accounts = Attempts(names), list[Account]()
    for name in names:
        with attempts.on(name):
            _report_loss(settings, name, since, until, attempts)
            accounts.append(account(settings, name, since, until))
    if not accounts:
        return attempts.code
    if (since or until) and not any(account.total.expected for account in accounts):
        _refuse_empty_range(settings, accounts, since, until)
    code = attempts.code
    if stations:
        text, skipped_days = _stations(settings, accounts, form)
        code = code or skipped_days
    else:
        text = _text(accounts, form, what)
    if output is None:
        print_text = emit if form in {"csv", "html"} else say_figures
        print_text(text)
    else:
        with written(output) as out:
            out.write(click.unstyle(text))
        say_written(output)
    if mail:
        _send(settings, accounts, attempts)
    ratios = [a.total.ratio for a in accounts if a.total.ratio is not None]
    is_low = any(ratio < (min_coverage or 0) for ratio in ratios)
    return ExitCode.NO if is_low else code


def _refuse_empty_range(
    settings: Settings,
    accounts: Sequence[Account],
    since: str | None,
    until: str | None,
) -> None:
    """Raise UsageError if the range can have no slot of any of *accounts*."""
    reasons, now = dict[str, str](), time.time()
    for account in accounts:
        system = settings.system_folder(account.system_id)
        span = slots(since, until, system.zone, now)
        reasons[account.system_id] = why_empty(system, *span, now)
    if all(reasons.values()):
        raise empty_range(reasons)


def _report_loss(
    settings: Settings,
    name: str,
    since: str | None,
    until: str | None,
    attempts: Attempts,
) -> None:
    """Raise an error if the system *name* has no data; report a loss in the range."""
    system = settings.system_folder(name)
    check_present(system, ledger=True)
    begin, end = slots(since, until, system.zone, time.time())
    ends, has_data = (begin or Slot(0), end or END), system.path.exists()
    attempts.report_loss(system, *ends, has_data=has_data)


def account(
    settings: Settings, name: str, since: str | None, until: str | None
) -> Account:
    """Return the account of the system *name* from *since* to *until*."""
    system, now = settings.system_folder(name), time.time()
    begin, end = slots(since, until, system.zone, now)
    can_read = partial(_can_read, cache(partial(_trial, settings, name)))
    lost = lost_data(system)  # reported by the caller, if it matters for the range
    for text in damage_of(system, History(name, system.path)):
        if text != lost:
            complain(f"{name}: coverage is in doubt: {text}")
    with progress(f"{name}: reading the ledger and kept payloads ..."):
        return evidence.read_account(system, begin, end, now=now, can_read=can_read)


def _trial(settings: Settings, name: str) -> "PayloadTrial":
    from bikecollect.wiring import collection

    return collection.trial(settings, name)


def _can_read(trial: Callable[[], "PayloadTrial"], path: Path) -> bool:
    """Return whether this version can read the payload at *path* by the settings."""
    return not trial().problem(path)


def _text(accounts: Sequence[Account], form: str, what: str) -> str:
    if form == "json":
        return "".join(map(coverage.as_json, accounts))
    if form == "csv":
        return (coverage.gaps_csv if what == "gaps" else coverage.days_csv)(accounts)
    if form == "html":
        return _page(accounts)
    return addressed("\n".join(map(coverage.text, accounts)))


def _page(accounts: Sequence[Account]) -> str:
    from bikecollect.cli.render import coverage_html

    created = clock_minute(time.time(), UTC)
    footer = f"Created {created} UTC by bikecollect {__version__}"
    return coverage_html.page(accounts, footer)


def _stations(
    settings: Settings, accounts: Sequence[Account], form: str
) -> tuple[str, ExitCode]:
    """Return the coverage of each station, and the exit code for skipped days."""
    from bikecollect.archive.query import views
    from bikecollect.cli.render import station_coverage
    from bikecollect.cli.reporting.viewed_systems import SkippedDays
    from bikecollect.reports.station_coverage import TABLES, seen
    from bikecollect.wiring import history

    skipped = SkippedDays()
    shown = [history.shown(settings, account.system_id) for account in accounts]
    with views.connected(
        settings.data, shown, fails_on=(), tables=TABLES, on_skip=skipped
    ) as db:
        stations_by_system = [
            (account, seen(db, account.system_id, min(account.days), max(account.days)))
            for account in accounts
            if account.days
        ]
    skipped.warn()
    return station_coverage.render(stations_by_system, form), skipped.code


def _clocks(accounts: Sequence[Account]) -> str:
    """Return whose clock the days and times are by; those of alerts have one zone."""
    names: dict[str, list[str]] = {}
    for account in accounts:
        names.setdefault(str(account.zone), []).append(account.system_id)
    several = len(names) > 1
    zones = [f"{z} ({', '.join(n)})" if several else z for z, n in names.items()]
    lines = wrapped(f"Days and times are those of {'; '.join(zones)}.")
    return "".join(f"{line}\n" for line in ["", *lines])


def _send(settings: Settings, accounts: Sequence[Account], attempts: Attempts) -> None:
    """Send the report, with the systems that were skipped, and data that it lacks."""
    from bikecollect.alerts import digest
    from bikecollect.alerts.mail.outbox import Outbox
    from bikecollect.alerts.mail.smtp_dialogue import text_of
    from bikecollect.alerts.messages import Letter
    from bikecollect.storage.repair.new_history import new_histories
    from bikecollect.wiring import alerting

    times = Times(time.time, time.monotonic, process.Stop())
    mailer = alerting.required_mailer(settings, times)
    skipped = attempts.skipped
    coverages: dict[str, Coverage | None] = {a.system_id: a.total for a in accounts}
    shares = digest.shares(coverages | dict.fromkeys(skipped))
    first = accounts[0].system_id
    name = f"{stamp(Slot(int(time.time())))}.report.{first}"
    body = click.unstyle(_text(accounts, "text", "days")) + _clocks(accounts)
    if skipped:
        body += f"\nCannot be read: {', '.join(skipped)}; see `bikecollect status`.\n"
    folders = [settings.data / account.system_id for account in accounts]
    own = settings.source, folders, settings.system_folder, time.time()
    notes = [*attempts.losses.items(), *new_histories(*own)]
    body += "".join(f"\n{name}: {text}\n" for name, text in notes)
    text = alerting.wording(settings)(body)
    folder = settings.system_folder(first)
    spare = data_folder.spare_outbox_path(first, str(folder.path))
    outbox = Outbox(folder.outbox if data_folder.is_marked(folder.path) else spare)
    mailer.spool(outbox, Letter(name, f"[bikecollect] coverage: {shares}", text))
    outcome = mailer.drain([outbox])
    if outcome is None:
        return
    if error := outcome.error or text_of(outcome.put_off):
        complain(f"the mail could not be sent; it waits in the outbox: {error}")
