"""``bikecollect backfill-report``: every expected slot of the past, and why not."""

import time
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import click

from bikecollect import __version__
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.messages import Letter
from bikecollect.archive.query import views
from bikecollect.cli.options import (
    Shared,
    addressed,
    complain,
    emit,
    output_option,
    say_figures,
)
from bikecollect.cli.output_file import refuse_misnamed, written
from bikecollect.cli.render import coverage, coverage_html, station_coverage
from bikecollect.cli.timeparse import moment
from bikecollect.core import process
from bikecollect.core.errors import ExitCode, SettingsError
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, iso, stamp
from bikecollect.core.text import percent
from bikecollect.reports import evidence
from bikecollect.reports.coverage import Account
from bikecollect.reports.station_coverage import seen
from bikecollect.setup.settings import Settings
from bikecollect.wiring import collection, history

FORMS = ("text", "csv", "json", "html")


@click.command("backfill-report")
@click.argument("system_ids", nargs=-1, metavar="[SYSTEM]...")
@click.option("--since", help="2026-11-22, 7d; default: the first run.")
@click.option("--until", help="The same; default: now.")
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="text", show_default=True
)
@click.option(
    "--what",
    type=click.Choice(["days", "gaps"]),
    default="days",
    show_default=True,
    help="Of CSV: a line a day, or a line a gap.",
)
@click.option("--stations", is_flag=True, help="How well each station was seen.")
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 1),
    help="End with 1 where a system has less, 0.99 for instance.",
)
@click.option("--mail", is_flag=True, help="Send it to mail.to, too.")
@output_option
@click.pass_context
def backfill_report(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    since: str | None,
    until: str | None,
    form: str,
    what: str,
    stations: bool,
    min_coverage: float | None,
    mail: bool,
    output: Path | None,
) -> int:
    """Report every expected slot of each SYSTEM's past: what is missing, and why.

    Each day's expected, collected, stale, partial and missing slots; the gaps with
    their cause, and how many of their slots `backfill` could still fill.
    """
    refuse_misnamed(output)
    settings = ctx.ensure_object(Shared).settings()
    names = settings.chosen(system_ids)
    accounts = [account(settings, each, since, until) for each in names]
    if stations:
        text = _stations(settings, accounts, form)
    else:
        text = _text(accounts, form, what)
    if output is None:
        print_it = emit if form in {"csv", "html"} else say_figures
        print_it(text)
    else:
        with written(output) as out:
            out.write(click.unstyle(text))
    if mail:
        _send(settings, accounts)
    least = min(
        (a.total.ratio for a in accounts if a.total.ratio is not None),
        default=0.0,
    )
    return ExitCode.NO if least < (min_coverage or 0) else ExitCode.OK


def account(
    settings: Settings, name: str, since: str | None, until: str | None
) -> Account:
    """Return the account of the system called *name* between two moments."""
    system, now = settings.system_folder(name), time.time()
    begin = Slot(int(moment(since, system.zone, now))) if since else None
    end = Slot(int(moment(until, system.zone, now))) if until else None
    return evidence.read_account(system, begin, end, now=now)


def _text(accounts: Sequence[Account], form: str, what: str) -> str:
    if form == "json":
        return "".join(coverage.as_json(each) for each in accounts)
    if form == "csv":
        return (coverage.gaps_csv if what == "gaps" else coverage.days_csv)(accounts)
    if form == "html":
        return _page(accounts)
    return addressed("\n".join(coverage.text(each) for each in accounts))


def _page(accounts: Sequence[Account]) -> str:
    made = f"Made {iso(time.time(), UTC)} by bikecollect {__version__}"
    return coverage_html.page(accounts, made)


def _stations(settings: Settings, accounts: Sequence[Account], form: str) -> str:
    shown = [history.shown(settings, each.system_id) for each in accounts]
    with views.connected(settings.data, shown, fails_on=()) as db:
        found = [
            (each, seen(db, each.system_id, min(each.days), max(each.days)))
            for each in accounts
            if each.days
        ]
    return station_coverage.render(found, form)


def _send(settings: Settings, accounts: Sequence[Account]) -> None:
    times = Times(time.time, time.monotonic, process.Stop())
    mailer = collection.mailer(settings, times)
    if mailer is None:
        raise SettingsError("--mail needs [mail] in the settings: host, sender, to")
    share = ", ".join(f"{a.system_id} {percent(a.total.ratio)}" for a in accounts)
    name = f"{stamp(Slot(int(time.time())))}.report"
    body = click.unstyle(_text(accounts, "text", "days"))
    outbox = Outbox(settings.data / accounts[0].system_id / "outbox")
    mailer.spool(outbox, Letter(name, f"[bikecollect] coverage: {share}", body))
    outcome = mailer.drain([outbox])
    if outcome is not None and outcome.error:
        complain(f"the mail waits in the outbox: {outcome.error}")
