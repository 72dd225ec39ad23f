"""The lines about the end of a run, for the log files and the screen."""

import logging
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import NamedTuple

from bikecollect.core.incidents import RUNS_LOST
from bikecollect.core.logs import of_run
from bikecollect.core.run import Run, failure_line, run_line, run_values

ONCE = frozenset(
    {
        *("clock", "damage", "disk", "drift", "ledger", "lost", "pruned", RUNS_LOST),
        *("archived-missing", "file-missing", "file-repaired", "list-repaired"),
        "older-copy",
    }
)
"""Kinds of notices about single events; other kinds repeat in every slot."""


class EndLine(NamedTuple):
    """A line about the end of a *run*; *values* are those of its log record.

    Its time is that at which the run ended, although other runs may have lasted longer.
    It is written to the log file before people are alerted, since mails have its last
    lines, and to stderr afterwards, since that does not repeat what was mailed.
    """

    run: Run
    level: int
    text: str
    values: Mapping[str, object] = {}

    def log(
        self, logger: logging.Logger, only: logging.Handler | None = None, **extra: bool
    ) -> None:
        """Log the line with the attributes *extra*; by one handler *only*, if given."""
        if not logger.isEnabledFor(self.level):
            return
        values = {**self.values, **extra}
        place = (logger.name, self.level, __file__, 0)
        record = logger.makeRecord(*place, self.text, (), None, extra=values)
        record.created = self.run.finished or record.created
        with of_run(self.run.system_id, self.run.run_id):
            (only or logger).handle(record)


def end_lines(run: Run, zone: tzinfo) -> Iterator[EndLine]:
    """Yield what is logged at the end of *run*."""
    values = {"numbers": run_values(run, zone)}
    yield EndLine(run, logging.INFO, run_line(run, zone), values)
    for notice in run.notices:
        if notice.text != run.error:
            is_first = notice.kind == "zone" and "drift" in run.flags
            is_new = notice.kind in ONCE or is_first
            level = logging.WARNING if is_new else logging.INFO
            yield EndLine(run, level, f"{run.system_id}: {notice.kind}: {notice.text}")
    if run.exit_code:
        yield EndLine(run, logging.ERROR, failure_line(run))
