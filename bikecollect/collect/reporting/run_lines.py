"""The lines about a run, for people, for the log files, and as JSON."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, tzinfo
from typing import NamedTuple

from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import RUNS_LOST
from bikecollect.core.logs import of_run
from bikecollect.core.run import Run
from bikecollect.core.slots import iso
from bikecollect.core.text import count_of, visible_json

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


def run_json(run: Run, zone: tzinfo = UTC) -> str:
    """Return *run* as one line of JSON, its slot in *zone*."""
    return visible_json(run_values(run, zone))


def run_values(run: Run, zone: tzinfo = UTC) -> dict[str, object]:
    """Return the values of *run* for scripts, its slot in *zone*."""
    return {
        "system": run.system_id,
        "slot": iso(run.slot, zone),
        "outcome": run.outcome.value if run.outcome else None,
        "cause": run.cause or None,
        "attempts": len(run.attempts),
        "http_status": run.http_status,
        "stations": run.stations,
        "rows": run.rows,
        "flags": list(run.flags),
        "file": run.file or None,
        "seconds": {name: round(s, 4) for name, s in run.seconds.items()},
        "error": run.error or None,
        "exit_code": run.exit_code,
    }


RUN_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's name"),
    "slot": ("time", "start of the slot"),
    "outcome": ("text", "[how it ended](../exit-codes.md)"),
    "cause": ("text", "the reason, as a short word", "null if there is none"),
    "attempts": (
        "integer",
        "all requests; the log's `tries` are the most of one document",
    ),
    "http_status": ("integer", "HTTP status of the response", "null without one"),
    "stations": (
        "integer",
        "stations in the feed, without those that `only` and `bbox` leave out",
    ),
    "rows": ("integer", "rows written; in a dry run those it would write"),
    "flags": (
        "list of texts",
        "what is unusual, see [flags](runs.md#flags); by the payload alone if dry-run",
    ),
    "file": ("text", "the file that has the rows", "null if none was written"),
    "seconds": ("object", "the time of each stage that was reached"),
    "seconds.STAGE": ("number, s", "fetch, accept, heal, read, rows, append, ledger"),
    "error": (
        "text",
        "why the slot was not filled",
        "null if it was, or if the run was killed",
    ),
    "exit_code": ("integer", "exit code for this run; that of `fetch` is the highest"),
}
"""The keys of `run_values`: type and unit, meaning, and when the value is missing."""


def run_line(run: Run, zone: tzinfo = UTC) -> str:
    """Return *run* as one line for the log."""
    outcome = run.outcome.value if run.outcome else "?"
    duration = f"{sum(run.seconds.values()):.2f} s"
    flags = f" [{' '.join(run.flags)}]" if run.flags else ""
    what = f"{run.rows} rows of {run.stations} stations{flags} in {duration}"
    if run.outcome is Outcome.DUPLICATE and not run.rows:
        what = f"the slot was collected before{flags}; took {duration}"
    return (
        f"{run.system_id} {iso(run.slot, zone)}: {outcome}, {what}; {_requests(run)}, "
        f"HTTP {run.http_status or '-'}, {run.bytes} bytes"
    )


def _requests(run: Run) -> str:
    """Return the number of requests, retries included, and that of the documents."""
    documents = len({attempt.url for attempt in run.attempts})
    text = count_of(len(run.attempts), "request")
    return f"{text} for {documents} documents" if documents > 1 else text


def failure_line(run: Run) -> str:
    """Return in one line why *run* did not fill its slot, and what is kept."""
    outcome = run.outcome.value if run.outcome else "?"
    waits = "; the payload is kept in the inbox for the next run"
    kept = waits if run.is_waiting else ""
    return f"{run.system_id}: {outcome} ({run.cause}): {run.error}{kept}"


def runs_json(runs: Iterable[Run], zones: Mapping[str, tzinfo]) -> str:
    """Return *runs*, one JSON object per line; *zones* by system id."""
    lines = (run_json(run, zones.get(run.system_id, UTC)) for run in runs)
    return "".join(f"{line}\n" for line in lines)
