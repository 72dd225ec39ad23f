"""Copy to the mirror for `push` and `compact`: print the steps, report errors."""

from collections.abc import Sequence
from typing import NamedTuple

from bikecollect.cli.printing import say_step
from bikecollect.cli.render.archive import mirror_line
from bikecollect.cli.render.programs.archive_json import mirror_json
from bikecollect.core.errors import ExitCode, SettingsError, UsageError
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.repair.lost_days import missing_archive
from bikecollect.wiring.archive_alerts import report_live_push, report_push
from bikecollect.wiring.mirror import NO_MIRROR, MirrorCopying


class Copied(NamedTuple):
    """The exit code, and the number of copied days."""

    code: ExitCode
    days: int


def copy_to_mirror(
    settings: Settings,
    names: Sequence[str],
    times: Times,
    *,
    form: str,
    quiet: bool,
    live: bool = False,
) -> Copied:
    """Copy the archive of *names*, print the steps, report failures to people.

    If *live*, the open days are copied instead. Raises UsageError if no mirror is set.
    A missing library is reported, too. Raises SettingsError if the archive is missing,
    which `compact` reports to people; open days are copied then, too.
    """
    if not settings.archive.mirror:
        raise UsageError(NO_MIRROR)
    mirror = settings.archive.mirror
    if not live and (missing := missing_archive(settings.data / ARCHIVE, mirror)):
        raise SettingsError(missing, cause="not-mounted")
    copying, days = MirrorCopying(settings, names, times, live=live), 0
    try:
        for step in copying.run():
            days += not step.why
            line, json = mirror_line(step), mirror_json(step)
            say_step(line, json, form, is_error=bool(step.why), quiet=quiet)
    finally:
        times.stop.raise_if_set()
    report = report_live_push if live else report_push
    report(settings, copying.errors, times)
    code = copying.worst.exit_code if copying.worst else ExitCode.OK
    return Copied(code, days)
