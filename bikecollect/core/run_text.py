"""What people and scripts read: runs as text and as JSON."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo

from bikecollect.core.run import Run
from bikecollect.core.slots import iso


def run_json(run: Run, zone: tzinfo = UTC) -> str:
    """Return *run* as one line of JSON, its slot in *zone*."""
    return json.dumps(numbers(run, zone), ensure_ascii=False)


def numbers(run: Run, zone: tzinfo = UTC) -> dict[str, object]:
    """Return what scripts read of *run*, its slot in *zone*."""
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


def run_line(run: Run, zone: tzinfo = UTC) -> str:
    """Return *run* as one line for the log."""
    outcome = run.outcome.value if run.outcome else "?"
    spent = f"{sum(run.seconds.values()):.2f} s"
    flags = f" [{' '.join(run.flags)}]" if run.flags else ""
    return (
        f"{run.system_id} {iso(run.slot, zone)}: {outcome}, {run.rows} rows of "
        f"{run.stations} stations{flags} in {spent}; tries {len(run.attempts)}, "
        f"HTTP {run.http_status or '-'}, {run.bytes} bytes"
    )


def failure(run: Run) -> str:
    """Return in one line why *run* did not fill its slot, and what is kept."""
    outcome = run.outcome.value if run.outcome else "?"
    kept = "; its payload is in the inbox, the next run goes on" if run.accepted else ""
    waiting = kept if run.exit_code in {74, 75, 78, 130, 143} else ""
    return f"{run.system_id}: {outcome} ({run.cause}): {run.error}{waiting}"


def runs_json(runs: Iterable[Run], zones: Mapping[str, tzinfo]) -> str:
    """Return *runs*, one object a line; *zones* by system id."""
    lines = (run_json(run, zones.get(run.system_id, UTC)) for run in runs)
    return "".join(f"{line}\n" for line in lines)
