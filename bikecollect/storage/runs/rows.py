"""A run as a row of the ledger's table `runs`."""

import json
import math
from collections.abc import Sequence
from typing import Any

from bikecollect.core.payload import Attempt
from bikecollect.core.run import MAX_TRIES, OUTCOMES, Notice, Result, Run
from bikecollect.core.text import ends


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
        notices=tuple(Notice(**values) for values in json.loads(notices)),
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
        attempts=tuple(Attempt(**values) for values in json.loads(tries)),
        bytes=size,
        seconds=json.loads(spent),
        accepted=bool(accepted),
        awake=awake,
        result=result,
    )


def _storable(value: object) -> object:
    """Return *value* in a form that SQLite accepts: text without lone surrogates."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
