"""``bikecollect report``: run a prepared report on the history."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from bikecollect.cli.completion import (
    complete_report,
    complete_station,
    system_option,
    systems_argument,
)
from bikecollect.cli.forms import Forms
from bikecollect.cli.options import Shared, output_option, words_in_order
from bikecollect.cli.output_file import ENDINGS, format_of
from bikecollect.cli.printing import say_figures
from bikecollect.cli.render.reports import json_listing, listing
from bikecollect.cli.reporting.basis import basis
from bikecollect.cli.reporting.day_range import spans, values_in
from bikecollect.cli.reporting.files import Output, give
from bikecollect.cli.reporting.results import (
    Question,
    results_of,
    results_of_spark,
    tables_of,
    without_skipped,
)
from bikecollect.cli.reporting.viewed_systems import (
    SkippedDays,
    readable,
    report_losses,
)
from bikecollect.core.errors import ExitCode, UsageError
from bikecollect.core.text import suggestion
from bikecollect.reports.engines.archive_place import ArchivePlace
from bikecollect.reports.engines.engine_sql import DUCKDB, ENGINES, SPARK
from bikecollect.reports.engines.scripts import script
from bikecollect.reports.registry import REPORTS, STATION, SYSTEM, Report
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.wiring import history

log = logging.getLogger(__name__)

NAMED = {ending: form.replace("jsonl", "json") for ending, form in ENDINGS.items()}
"""Formats by the extension of a file's name; that of JSON has its name here."""
NO_NAME = "requires the NAME of a report; see: bikecollect report"
LISTINGS = {"text": listing, "json": json_listing}
NO_FILE = "-o writes the result of a report; for its SQL: > FILE"


@click.command()
@click.argument(
    "name", required=False, metavar="[NAME]", shell_complete=complete_report
)
@systems_argument
@system_option
@click.option("--since", help="First day: 2026-11-22, 30d; default: all.")
@click.option("--until", help="Last day; default: all.")
@click.option(
    "--station",
    multiple=True,
    help="Id of a station; repeatable.",
    shell_complete=complete_station,
)
@click.option(
    "--by",
    type=click.Choice(["station", "district", "system"]),
    help="Grouping of availability and scarcity; default: system.",
)
@click.option(
    "--at",
    help='Time of the week, for chance: "Mon 08:30"; typical uses its weekday.',
)
@click.option(
    "--least",
    type=click.IntRange(min=1),
    default=1,
    help="For episodes: minimum number of slots.",
)
@click.option(
    "--names/--no-names",
    default=None,
    help="Add the names of stations; default: on a terminal, and in a workbook.",
)
@click.option(
    "--without-stale", is_flag=True, help="Count stale slots as missing (slower)."
)
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number of rows.")
@click.option(
    "--sql",
    is_flag=True,
    help="Print the SQL, to run it on another engine; with --engine, the views that it "
    "needs, too.",
)
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default=DUCKDB,
    show_default=True,
    help="spark runs the report on the archive; the others only with --sql.",
)
@click.option(
    "--master",
    metavar="URL",
    default="",
    help="The master of Spark; default: local[*], this machine.",
)
@click.option(
    "--archive",
    metavar="PATH-or-URL",
    default="",
    help="The archive that Spark reads, or the SQL; default: that of data_dir.",
)
@click.option(
    "--format",
    "form",
    type=Forms(["text", "csv", "json", "parquet", "xlsx"]),
    help="Default: by the name of the output, else csv; without output text. json: one "
    "object per line.",
)
@output_option
@click.pass_context
def report(
    ctx: click.Context,
    *,
    name: str | None,
    system_ids: tuple[str, ...],
    system: tuple[str, ...],
    since: str | None,
    until: str | None,
    station: tuple[str, ...],
    by: str | None,
    at: str | None,
    least: int,
    names: bool | None,
    without_stale: bool,
    limit: int | None,
    sql: bool,
    engine: str,
    master: str,
    archive: str,
    form: str | None,
    output: Path | None,
) -> int:
    """Run the report NAME; without NAME, list the reports.

    With --engine spark the same SQL runs on Spark. It reads the archive, which has only
    closed days; --archive may be a mirror's, such as s3a://bucket/prefix/archive.
    With --sql and --engine the SQL for that engine is printed, with its views.

    Every figure comes with its basis, the numbers of slots seen and expected. Missing
    slots are excluded. The text ends with the days and how many of their slots were
    collected (not with --engine spark). Stale slots, whose content had not changed for
    too long, are included; their number is shown if there are any.
    """
    without = f"-o {NO_NAME}" if name is None else NO_FILE if sql else ""
    form = _form(form, output, without)
    if name is None:
        say_figures(_listing(form))
        return ExitCode.OK
    settings = ctx.ensure_object(Shared).settings()
    right = next((word for word in system_ids if word in REPORTS), "NAME")
    with words_in_order(settings, (name,), ("report", right, name)):
        chosen = _chosen(name, at)
    given = {"at": bool(at), "least": least > 1, "station": bool(station)}
    _warn_of_unused(chosen, by or chosen.places[0], names=bool(names), **given)
    ids = settings.chosen((*system_ids, *system))
    values = values_in(settings, ids, since, until, at)
    values = replace(values, least=least, without_stale=without_stale)
    if "$begin" in chosen.text and (since or until):
        values = replace(values, spans=tuple(spans(settings, ids, values)))
    question = Question(chosen, values, by or "", station)
    where = archive or str(settings.data / ARCHIVE)
    place = ArchivePlace(
        where.rstrip("/") if "://" in where else str(Path(where).absolute()), ids
    )
    is_named = ctx.get_parameter_source("engine") is not ParameterSource.DEFAULT
    if sql:
        say_figures(
            _script(engine, place, question) if is_named else values.sql(chosen)
        )
        return ExitCode.OK
    _refuse(engine, archive, master)
    names = _has_names(form, output) if names is None else names
    target = Output(output, form, limit)
    if engine == SPARK:
        own = () if archive else ids
        return _run_on_spark(
            settings, own, place, question, target, master=master, names=names
        )
    return _run_in_duckdb(settings, ids, question, target, names=names)


def _chosen(name: str, at: str | None) -> Report:
    """Return the report *name*; raises UsageError if it requires the time *at*."""
    if name not in REPORTS:
        raise UsageError(_unknown(name))
    chosen = REPORTS[name]
    if chosen.needs_moment and not at:
        raise UsageError(f'`{name}` requires a time: --at "Mon 08:30"')
    return chosen


def _refuse(engine: str, archive: str, master: str) -> None:
    """Raise UsageError if *engine* does not run reports, or not with these options."""
    if engine not in {DUCKDB, SPARK}:
        raise UsageError(f"--engine {engine} only prints the SQL: add --sql")
    if engine == DUCKDB and (archive or master):
        option = "--archive" if archive else "--master"
        raise UsageError(
            f"{option} requires --engine spark{' or --sql' * bool(archive)}"
        )


def _run_on_spark(
    settings: Settings,
    own: Sequence[str],
    place: ArchivePlace,
    question: Question,
    output: Output,
    *,
    master: str,
    names: bool,
) -> int:
    """Write the answer from the archive at *place*; return the exit code.

    It is that of the systems *own*, whose losses are reported.
    """
    skipped = SkippedDays(*question.span)
    skipped.code = report_losses(settings, own, question.span, tables_of(question))
    zones = {name: history.zone(settings, name) for name in place.systems}
    results = results_of_spark(place, master, question, skipped, names=names)
    give(question.report, without_skipped(results, skipped), zones, output)
    return skipped.code


def _run_in_duckdb(
    settings: Settings,
    ids: Sequence[str],
    question: Question,
    output: Output,
    *,
    names: bool,
) -> int:
    """Write the answer, as text with its basis; return the exit code."""
    skipped, tables = SkippedDays(*question.span), tables_of(question)
    systems, skipped.code = readable(settings, ids, question.span, tables=tables)
    zones = {viewed.system_id: viewed.system.zone for viewed in systems}
    results = results_of(settings.data, systems, question, skipped, names=names)
    give(question.report, without_skipped(results, skipped), zones, output)
    if output.form == "text" and output.path is None:
        chosen, values = question.report, question.values
        say_figures(basis(chosen, systems, values, skipped.days))
    return skipped.code


def _unknown(name: str) -> str:
    hint = suggestion(name, REPORTS) or "; see: bikecollect report"
    return f'unknown report "{name}"{hint}'


def _warn_of_unused(chosen: Report, by: str, **given: bool) -> None:
    """Warn of a *given* option that does not change the report, grouped *by* place."""
    sql, name = chosen.text, chosen.name
    used = {
        "at": "$first_hour" in sql,
        "least": "$least" in sql,
        "station": chosen.places != (SYSTEM,),
        "names": by == STATION or name == "vehicles",
    }
    for option, is_given in given.items():
        if is_given and not used[option]:
            what = f"`{name}` of each {by}" if option == "names" else f"`{name}`"
            log.warning("%s does not use --%s: it is ignored", what, option)


def _script(engine: str, place: ArchivePlace, question: Question) -> str:
    """Return the SQL of the report with the views that it needs."""
    return script(
        engine,
        place,
        question.report,
        question.values,
        by=question.by,
        stations=question.stations,
        tables=tables_of(question),
    )


def _listing(form: str) -> str:
    if form not in LISTINGS:
        raise UsageError(f"--format {form} {NO_NAME}")
    return LISTINGS[form]()


def _form(form: str | None, output: Path | None, without: str) -> str:
    """Return the format; raises UsageError for an output *without* a result."""
    if output is not None and without:
        raise UsageError(without)
    return format_of(form, output, "text" if output is None else "csv", NAMED)


def _has_names(form: str, output: Path | None) -> bool:
    """Return whether people will read the result, who prefer names to ids."""
    if output is None:
        return form == "text" and sys.stdout.isatty()
    return form == "xlsx"
