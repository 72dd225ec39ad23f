"""A run: one attempt to fill one slot, as stored in the ledger and shown."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from bikecollect.core.errors import (
    BikecollectError,
    ExitCode,
    FeedError,
    Interrupted,
    Outcome,
)
from bikecollect.core.payload import Attempt
from bikecollect.core.slots import Slot, stamp
from bikecollect.core.text import message

MAX_NOTICES = 30
MAX_TRIES = 40
"""Maximum stored attempts of a run: the first and the last ones."""
OUTCOMES = {outcome.value: outcome for outcome in Outcome}
THEN_RUN = "then run: "
"""Precedes the command in a notice about renamed fields, after the lines to paste."""
MAX_DIGITS = 16
"""Maximum digits of an integer in a stored run: integers of SQLite have 64 bits."""


class _Notice(NamedTuple):
    kind: str
    text: str


class Notice(_Notice):
    """A message for a person; *kind* decides the kind of incident it belongs to.

    The text may quote untrusted input: it is escaped and becomes one line.
    """

    __slots__ = ()

    def __new__(cls, kind: str, text: str) -> Self:
        """Return a notice of *kind* with *text* made safe to show."""
        return super().__new__(cls, kind, message(text))


class Result(NamedTuple):
    """The result of a run or of one payload; *outcome* is None until it ends."""

    outcome: Outcome | None = None
    cause: str = ""
    rows: int = 0
    stations: int = 0
    file: str = ""
    flags: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Run:
    """One attempt to fill *slot*; times are in epoch seconds, durations in seconds.

    *accepted* is set once the payload is durable on disk. *signum* is the signal that
    ended the run, 0 for none. *uptime* and *awake* are the seconds since boot with and
    without time suspended.
    """

    run_id: str
    system_id: str
    slot: Slot
    started: float
    boot_id: str = ""
    uptime: float = 0.0
    version: str = ""
    finished: float | None = None
    http_status: int | None = None
    attempts: tuple[Attempt, ...] = ()
    bytes: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    accepted: bool = False
    signum: int = 0
    awake: float = 0.0
    result: Result = Result()

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", message(self.version))
        cause, file, error = map(message, (self.cause, self.file, self.error))
        result = self.result._replace(cause=cause, file=file, error=error)
        object.__setattr__(self, "result", result)

    @property
    def outcome(self) -> Outcome | None:
        """How this run ended, None until it ends."""
        return self.result.outcome

    @property
    def cause(self) -> str:
        """The reason for the outcome, as a short word."""
        return self.result.cause

    @property
    def rows(self) -> int:
        """The number of rows written."""
        return self.result.rows

    @property
    def stations(self) -> int:
        """The number of stations in the feed."""
        return self.result.stations

    @property
    def file(self) -> str:
        """The file that has the rows."""
        return self.result.file

    @property
    def flags(self) -> tuple[str, ...]:
        """Words that qualify the rows, such as ``stale``."""
        return self.result.flags

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Messages for a person."""
        return self.result.notices

    @property
    def error(self) -> str:
        """Why the slot was not filled, for people."""
        return self.result.error

    @property
    def exit_code(self) -> int:
        """The exit code for the outcome of this run."""
        if self.outcome is Outcome.INTERRUPTED:
            return int(Interrupted(self.signum).exit_code)
        return int((self.outcome or Outcome.BUG).exit_code)

    @property
    def is_waiting(self) -> bool:
        """Whether its payload waits in the inbox for the next run."""
        return self.accepted and self.exit_code in {74, 75, 78, 130, 143}

    @property
    def lost(self) -> frozenset[Slot]:
        """Its slot, if it ended without rows and its payload does not wait."""
        is_lost = self.exit_code != ExitCode.OK and not self.is_waiting
        return frozenset({self.slot} if is_lost else ())

    @property
    def has_estimated_slot(self) -> bool:
        """Whether its slot is an estimate: its clock was wrong."""
        return self.outcome is Outcome.DEFERRED and self.cause == "clock"

    def failed(self, error: BikecollectError) -> "Run":
        """Return this run as ended by *error*."""
        status = error.http_status if isinstance(error, FeedError) else None
        return replace(
            self.ended(error.outcome, error.cause, str(error)),
            http_status=status or self.http_status,
            signum=error.signum if isinstance(error, Interrupted) else self.signum,
        )

    def ended(self, outcome: Outcome, cause: str = "", error: str = "") -> "Run":
        """Return this run as ended with *outcome*; the rest of its result is kept."""
        result = self.result._replace(outcome=outcome, cause=cause, error=error)
        return replace(self, result=result)

    def noticed(self, *notices: Notice) -> "Run":
        """Return this run with *notices* added, without duplicates."""
        new = tuple(notice for notice in notices if notice not in self.notices)
        if not new:
            return self
        notices = (self.notices + new)[:MAX_NOTICES]
        return replace(self, result=self.result._replace(notices=notices))

    def flagged(self, *flags: str) -> "Run":
        """Return this run with *flags* added, without duplicates, in order."""
        unique = tuple(dict.fromkeys((*self.flags, *flags)))
        return replace(self, result=self.result._replace(flags=unique))

    def redacted(self, redact: Callable[[str], str]) -> "Run":
        """Return this run with *redact* applied to its error, notices and attempts."""
        notices = tuple(Notice(n.kind, redact(n.text)) for n in self.notices)
        attempts = tuple(
            attempt._replace(url=redact(attempt.url), error=redact(attempt.error))
            for attempt in self.attempts
        )
        result = self.result._replace(error=redact(self.error), notices=notices)
        return replace(self, result=result, attempts=attempts)

    def to_json(self) -> str:
        """Return this run as one line of JSON; `from_json` reads it back."""
        values = dict(vars(self))
        values |= values.pop("result")._asdict()
        values["outcome"] = self.outcome.value if self.outcome else None
        values["attempts"] = [attempt._asdict() for attempt in self.attempts]
        values["notices"] = [notice._asdict() for notice in self.notices]
        return json.dumps(values, ensure_ascii=False)


def from_json(text: str) -> Run:
    """Return the run that `Run.to_json` wrote; raises ValueError for other text."""
    try:
        values: dict[str, Any] = json.loads(text, parse_int=_bounded_int)
        if any(type(values.get(name)) is not int for name in ("slot", "bytes", "rows")):
            raise TypeError("slot, bytes, rows")  # noqa: TRY301 - as for other types
        values["outcome"] = OUTCOMES.get(values["outcome"])
        values["attempts"] = tuple(Attempt(**fields) for fields in values["attempts"])
        values["notices"] = tuple(Notice(**fields) for fields in values["notices"])
        values["flags"] = tuple(values["flags"])
        result = {name: values.pop(name) for name in Result._fields if name in values}
        return Run(**values, result=Result(**result))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a run: {text[:80]!r}") from error


def _bounded_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"integer out of range: {digits[:80]}")
    return int(digits)


def payload_name(run: Run) -> str:
    """Return the file name of the payload of *run*."""
    return f"{stamp(run.slot)}.{run.run_id}.zip"


def block_source(*, mine: bool) -> str:
    """Return the source of a block: ``fetch`` if its payload is *mine*, this run's."""
    return "fetch" if mine else "recovery"


def concluded(run: Run, result: Result) -> Run:
    """Return *run* with the *result* of its payload; flags and notices are merged."""
    merged = run.flagged(*result.flags).noticed(*result.notices)
    return replace(
        merged, result=result._replace(flags=merged.flags, notices=merged.notices)
    )


def with_killed_runs(run: Run, ended: list[Run]) -> Run:
    """Return *run* with a notice for each killed run among *ended*."""
    killed = [other for other in ended if other.outcome is Outcome.KILLED]
    return run.noticed(*(Notice("missed", other.error) for other in killed))


def with_notice(run: Run, kind: str, text: str) -> Run:
    """Return *run* with a notice of *kind*, unless *text* is empty."""
    return run.noticed(Notice(kind, text)) if text else run


def postponed(run: Run, error: BikecollectError) -> Run:
    """Return *run* as ended by *error*, which leaves its payload in the inbox."""
    if run.outcome is not None:
        return run.noticed(Notice(error.cause, str(error)))
    if error.cause == "ledger-busy":
        busy = run.ended(Outcome.DEFERRED, error.cause, str(error))
        return busy.noticed(Notice("lock", str(error)))
    return run.failed(error).noticed(Notice(error.cause, str(error)))


def deferred_by_clock(run: Run, error: str) -> Run:
    """Return *run* as deferred: its payload waits for a run with a correct clock."""
    return run.ended(Outcome.DEFERRED, "clock", error) if run.outcome is None else run
