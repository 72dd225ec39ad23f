"""The runs of another bikecollect, which is untrusted: why its slots are missing."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from bikecollect.archive.datasets import RUNS
from bikecollect.core.causes import Cause, meaning
from bikecollect.core.incidents import RUNS_LOST, Incident
from bikecollect.core.run import OUTCOMES
from bikecollect.core.text import visible
from bikecollect.storage.runs.unrecorded import SILENCING

MAX_NUMBER = 1 << 53
LIMITS = {"error": 999}
"""Maximum characters of a text, by its name; of others it is `SHORT`."""
SHORT = 255
RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
CAUSE = re.compile(r"[\w .:()-]{0,99}")
LOSSES = (Cause.OLDER_FOLDER, Cause.UNKNOWN)
OPTIONAL = frozenset({"finished", "http_status"})


def checked(
    row: Sequence[Any], is_time: Callable[[float], bool]
) -> tuple[Any, ...] | None:
    """Return the *row* of a run with the columns `RUNS`, None if it is implausible.

    *is_time* tells whether a moment is possible. Other texts are cut, and invalid
    values empty.
    """
    values = dict(zip(RUNS, row, strict=True))
    names = ("run_id", "outcome", "cause")
    texts = [values[n] if isinstance(values[n], str) else "\n" for n in names]
    is_known = RUN_ID.fullmatch(texts[0]) and texts[1] in OUTCOMES
    slot, started = values["slot"], values["started"]
    moments = isinstance(slot, int) and isinstance(started, int | float)
    if not (is_known and CAUSE.fullmatch(texts[2]) and moments):
        return None
    if not (is_time(slot) and is_time(started)):
        return None
    return tuple(_cell(name, kind, values[name]) for name, kind in RUNS.items())


def checked_incident(
    row: Sequence[Any], is_time: Callable[[float], bool]
) -> Incident | None:
    """Return the incident *row*, ended, if it is the cause of slots without a run.

    The slots were lost with a folder or ledger, or their runs could not be recorded.
    None if it is another one, or implausible; see `checked`.
    """
    incident_id, kind, opened, last, slots, causes = row
    if not (isinstance(incident_id, str) and RUN_ID.fullmatch(incident_id)):
        return None
    known = _known_cause(kind, causes)
    numbers = [n for n in (opened, last, slots) if isinstance(n, int)]
    if known is None or len(numbers) < len(row) - 3:
        return None
    if not (is_time(opened) and is_time(last) and opened <= last and slots > 0):
        return None
    incident = Incident(incident_id, known[0], opened, last, last, slots=slots, told=1)
    return incident._replace(causes={known[1]: slots}, text=known[2])


def _known_cause(kind: object, causes: object) -> tuple[str, str, str] | None:
    """Return kind and cause of an incident, and what it means; None if it is another.

    Of its JSON *causes* only those are taken that decide why slots are missing.
    """
    for cause in LOSSES:
        if _is_only(cause, causes):
            return "damage", cause.value, cause.meaning
    if kind not in SILENCING:
        return None
    if kind == Cause.LEDGER and f'"{RUNS_LOST}"' in str(causes):
        return Cause.LEDGER.value, RUNS_LOST, Cause.UNKNOWN.meaning
    return str(kind), str(kind), meaning(str(kind))


def _is_only(cause: Cause, causes: object) -> bool:
    """Return whether *cause* is the only one of the JSON *causes*."""
    return isinstance(causes, str) and bool(
        re.fullmatch(rf'\{{"{cause.value}": \d{{1,15}}\}}', causes)
    )


def _cell(name: str, kind: str, value: Any) -> Any:
    if kind == "VARCHAR":
        return visible(str(value or "")[: LIMITS.get(name, SHORT)])
    if kind == "BOOLEAN":
        return int(bool(value))
    if not isinstance(value, int | float) or not 0 <= value < MAX_NUMBER:
        return None if name in OPTIONAL else 0
    return float(value) if kind == "DOUBLE" else int(value)
