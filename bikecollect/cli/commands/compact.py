"""``bikecollect compact``: move closed days to the archive."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import click

from bikecollect.archive.compact import LOST, Step
from bikecollect.cli.completion import systems_argument
from bikecollect.cli.forms import lines_option
from bikecollect.cli.log_setup import awaited
from bikecollect.cli.mirror_copy import copy_to_mirror
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import complain, say, say_step
from bikecollect.cli.render.archive import nothing_to_do, step_line
from bikecollect.cli.render.programs.archive_json import step_json
from bikecollect.core import process
from bikecollect.core.errors import ExitCode, SettingsError, StorageError
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import ARCHIVE, check_mounted
from bikecollect.storage.payload_store import list_files
from bikecollect.storage.repair.lost_days import find_lost_days, missing_archive
from bikecollect.wiring.archive_alerts import report_compact
from bikecollect.wiring.history import compactors, prepare_lost


@click.command()
@systems_argument
@click.option(
    "--csv-days",
    type=click.IntRange(min=0),
    help="Days for which the CSV of an archived day is kept; default: keep.csv_days.",
)
@click.option(
    "--skip-damaged",
    is_flag=True,
    help="Archive days without their damaged blocks that cannot be filled again.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@lines_option
@click.pass_context
def compact(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    csv_days: int | None,
    skip_damaged: bool,
    quiet: bool,
    form: str,
) -> int:
    """Move closed days of each SYSTEM to the Parquet archive.

    Each day is written to a temporary file, read back and compared with its CSV, value
    by value; the CSV is removed after keep.csv_days. A day is closed one hour after its
    midnight; a day that gets late slots is archived again. The command may be killed at
    any time: the next call continues. At the end new files are copied to
    `archive.mirror`, if that is set: see `push`.
    """
    shared = ctx.ensure_object(Shared)
    settings = shared.settings_for_cron() if quiet else shared.settings()
    times = Times(time.time, time.monotonic, process.Stop())
    code, did_something = ExitCode.OK, False
    errors: dict[str, str] = {}
    for name in settings.chosen(system_ids):
        try:
            steps = _steps(
                settings, name, times, csv_days=csv_days, skip_damaged=skip_damaged
            )
            steps = awaited(steps, f"{name}: archiving closed days")
            number, errors[name] = _print_steps(steps, form, quiet=quiet)
            did_something = did_something or number > 0
            lost_days = find_lost_days(settings.system_folder(name))
            for lost in lost_days:
                complain(f"{name}: {lost.text}")
            if errors[name] or lost_days:
                code = max(code, ExitCode.IO)
        except (SettingsError, StorageError) as error:
            code = max(code, error.exit_code)
            errors[name] = str(error)
            complain(f"{name}: {error}")
    process.listen(times.stop)
    report_compact(settings, errors, times)
    # What is to be said of one whose folder or archive is gone is said above.
    if settings.archive.mirror and not missing_archive(settings.data / ARCHIVE):
        names = [name for name in errors if (settings.data / name).is_dir()]
        copied = copy_to_mirror(settings, names, times, form=form, quiet=quiet)
        code, did_something = max(code, copied.code), did_something or copied.days > 0
    if not did_something and not code and form == "text" and not quiet:
        systems = map(settings.system_folder, errors)
        waiting = sum(len(list_files(system.inbox, ".zip")) for system in systems)
        say(nothing_to_do(waiting))
    return code


def _steps(
    settings: Settings,
    name: str,
    times: Times,
    *,
    csv_days: int | None,
    skip_damaged: bool,
) -> Iterator[Step]:
    """Yield the steps for one system; a failure does not affect other systems."""
    try:
        check_mounted(settings.data / name)
        prepare_lost(settings, name)
        if (settings.data / name).is_dir():
            for dataset in compactors(settings, name, times, csv_days=csv_days):
                yield from replace(dataset, skip_damaged=skip_damaged).run()
    except OSError as error:
        message = f"cannot read {error.filename or settings.data / name}"
        raise StorageError(f"{message}: {error.strerror}") from error


def _print_steps(steps: Iterable[Step], form: str, *, quiet: bool) -> tuple[int, str]:
    """Print *steps* as they are done; return their number, and the first error."""
    number, error = 0, ""
    for step in steps:
        number += 1
        if step.why and step.what != LOST:  # `status` reports losses
            error = error or f"{step.day}: {step.why}"
        line, json = step_line(step), step_json(step)
        say_step(line, json, form, is_error=bool(step.why), quiet=quiet)
        process.raise_if_ending()  # a library may have lost the exception
    return number, error
