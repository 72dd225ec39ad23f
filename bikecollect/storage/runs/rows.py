"""A run as a row of the ledger's table `runs`."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from bikecollect.core.payload import Attempt
from bikecollect.core.run import MAX_TRIES, OUTCOMES, Notice, Result, Run
from bikecollect.core.text import ends

T = TypeVar("T")


def to_row(run: Run) -> tuple[object, ...]:
    """Return *run* as a row of the table."""
    attempts = ends(run.attempts, MAX_TRIES)
    values = (
        run.run_id,
        run.slot,
        run.started,
        run.finished,
        run.outcome.value if run.outcome else "killed",
        run.cause,
        run.http_status,
        len(run.attempts),
        run.bytes,
        run.stations,
        run.rows,
        " ".join(run.flags),
        run.file,
        json.dumps({name: round(s, 6) for name, s in run.seconds.items()}),
        int(run.accepted),
        run.boot_id,
        run.uptime,
        run.version,
        run.error,
        json.dumps([notice._asdict() for notice in run.notices]),
        json.dumps([attempt._asdict() for attempt in attempts]),
        run.awake,
    )
    return tuple(map(_storable, values))


def from_row(system_id: str, row: Sequence[Any]) -> Run:
    """Return the run of *system_id* in a *row* of the table."""
    (run_id, slot, started, finished, outcome, cause, status, _, size, *rest) = row
    stations, rows, flags, file, spent, accepted, boot_id, uptime, *last = rest
    version, error, notices, tries, awake = last
    result = Result(
        outcome=OUTCOMES.get(outcome),
        cause=cause,
        rows=rows,
        stations=stations,
        file=file,
        flags=tuple(flags.split()),
        notices=_records(Notice, notices),
        error=error,
    )
    return Run(
        run_id=run_id,
        system_id=system_id,
        slot=slot,
        started=started if math.isfinite(started) else float(slot),
        boot_id=boot_id,
        uptime=uptime,
        version=version,
        finished=finished if math.isfinite(finished or 0) else None,
        http_status=status,
        attempts=_records(Attempt, tries),
        bytes=size,
        seconds=_seconds(spent),
        accepted=bool(accepted),
        awake=awake,
        result=result,
    )


def _records(kind: Callable[..., T], text: str) -> tuple[T, ...]:
    """Return the records of *kind* in the JSON *text*, none if it is damaged."""
    try:
        return tuple(kind(**values) for values in json.loads(text))
    except (ValueError, TypeError):
        return ()


def _seconds(text: str) -> dict[str, float]:
    """Return the seconds of each stage in the JSON *text*, none if it is damaged."""
    with suppress(ValueError, TypeError):
        return {stage: float(seconds) for stage, seconds in json.loads(text).items()}
    return {}


def _storable(value: object) -> object:
    """Return *value* in a form that SQLite accepts: text without lone surrogates."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
