"""A run: one attempt to fill one slot, as it is written down and shown."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Any, NamedTuple, Self

from bikecollect.core.errors import (
    BikecollectError,
    FeedError,
    Interrupted,
    Outcome,
    RateLimited,
)
from bikecollect.core.payload import Attempt
from bikecollect.core.slots import Slot, iso, stamp
from bikecollect.core.text import message, visible_json

MOST_NOTICES = 30
MOST_TRIES = 40
"""Of a run's attempts, the first and the last, as they are written down."""
OUTCOMES = {each.value: each for each in Outcome}

LONGEST_REST = 3_600.0
MOST_DIGITS = 16
"""Of a whole number in a note: SQLite has 64 bits."""


class _Notice(NamedTuple):
    kind: str
    text: str


class Notice(_Notice):
    """Something that a person should know: *kind* is the incident's class.

    Its text may quote what others sent: here it becomes one visible line.
    """

    __slots__ = ()

    def __new__(cls, kind: str, text: str) -> Self:
        """Return a notice of *kind* that says *text*."""
        return super().__new__(cls, kind, message(text))


class Result(NamedTuple):
    """What became of a run, or of one payload; *outcome* is None while it goes on."""

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
    """One attempt to fill *slot*; times are epoch seconds, lengths seconds.

    *result* is what became of it. *accepted* says whether its payload became durable.
    *signum* is the signal that ended it, 0 for none. *uptime* and *awake* count from
    boot, with and without the time that the machine slept.
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
        """How this run ended, None while it goes on."""
        return self.result.outcome

    @property
    def cause(self) -> str:
        """Why it ended so, in a word."""
        return self.result.cause

    @property
    def rows(self) -> int:
        """How many rows it wrote."""
        return self.result.rows

    @property
    def stations(self) -> int:
        """How many stations the feed had."""
        return self.result.stations

    @property
    def file(self) -> str:
        """Where its rows are."""
        return self.result.file

    @property
    def flags(self) -> tuple[str, ...]:
        """What is to be known of its rows."""
        return self.result.flags

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a person should know."""
        return self.result.notices

    @property
    def error(self) -> str:
        """Why it did not fill its slot, for people."""
        return self.result.error

    @property
    def exit_code(self) -> int:
        """The exit code that this run's outcome asks for."""
        if self.outcome is Outcome.INTERRUPTED:
            return int(Interrupted(self.signum).exit_code)
        return int((self.outcome or Outcome.BUG).exit_code)

    def failed(self, error: BikecollectError) -> "Run":
        """Return this run, ended by *error*."""
        status = error.http_status if isinstance(error, FeedError) else None
        return replace(
            self.ended(error.outcome, error.cause, str(error)),
            http_status=status or self.http_status,
            signum=error.signum if isinstance(error, Interrupted) else self.signum,
        )

    def ended(self, outcome: Outcome, cause: str = "", error: str = "") -> "Run":
        """Return this run, ended by *outcome*; the rest of its result stays."""
        result = self.result._replace(outcome=outcome, cause=cause, error=error)
        return replace(self, result=result)

    def noticed(self, *notices: Notice) -> "Run":
        """Return this run with *notices* added, each text once."""
        fresh = tuple(each for each in notices if each not in self.notices)
        notices = (self.notices + fresh)[:MOST_NOTICES]
        return replace(self, result=self.result._replace(notices=notices))

    def flagged(self, *flags: str) -> "Run":
        """Return this run with *flags* added, each once, in order."""
        every = tuple(dict.fromkeys((*self.flags, *flags)))
        return replace(self, result=self.result._replace(flags=every))

    def redacted(self, redact: Callable[[str], str]) -> "Run":
        """Return this run with every text of others passed through *redact*."""
        notices = tuple(Notice(n.kind, redact(n.text)) for n in self.notices)
        tries = tuple(
            each._replace(url=redact(each.url), error=redact(each.error))
            for each in self.attempts
        )
        result = self.result._replace(error=redact(self.error), notices=notices)
        return replace(self, result=result, attempts=tries)

    def to_json(self) -> str:
        """Return this run as one line of JSON; `from_json` reads it back."""
        values = asdict(self)
        values |= values.pop("result")._asdict()
        values["outcome"] = self.outcome.value if self.outcome else None
        values["attempts"] = [each._asdict() for each in self.attempts]
        values["notices"] = [each._asdict() for each in self.notices]
        return json.dumps(values, ensure_ascii=False)


def from_json(text: str) -> Run:
    """Return the run that `Run.to_json` wrote; raises ValueError otherwise."""
    try:
        values: dict[str, Any] = json.loads(text, parse_int=_whole)
        if any(type(values.get(name)) is not int for name in ("slot", "bytes", "rows")):
            raise TypeError("slot, bytes, rows")  # noqa: TRY301 - as for other types
        values["outcome"] = OUTCOMES.get(values["outcome"])
        values["attempts"] = tuple(Attempt(**each) for each in values["attempts"])
        values["notices"] = tuple(Notice(**each) for each in values["notices"])
        values["flags"] = tuple(values["flags"])
        result = {name: values.pop(name) for name in Result._fields if name in values}
        return Run(**values, result=Result(**result))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a run: {text[:80]!r}") from error


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"no number of ours: {digits[:80]}")
    return int(digits)


def run_json(run: Run, zone: tzinfo = UTC) -> str:
    """Return *run* as one line of JSON, its slot in *zone*."""
    return visible_json(run_values(run, zone))


def run_values(run: Run, zone: tzinfo = UTC) -> dict[str, object]:
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


def failure_line(run: Run) -> str:
    """Return in one line why *run* did not fill its slot, and what is kept."""
    outcome = run.outcome.value if run.outcome else "?"
    kept = "; its payload is in the inbox, the next run goes on" if run.accepted else ""
    waiting = kept if run.exit_code in {74, 75, 78, 130, 143} else ""
    return f"{run.system_id}: {outcome} ({run.cause}): {run.error}{waiting}"


def runs_json(runs: Iterable[Run], zones: Mapping[str, tzinfo]) -> str:
    """Return *runs*, one object a line; *zones* by system id."""
    lines = (run_json(run, zones.get(run.system_id, UTC)) for run in runs)
    return "".join(f"{line}\n" for line in lines)


def check_not_before(text: str, now: float) -> None:
    """Raise RateLimited where the feed asked us to stay away until later than *now*."""
    not_before = float(text or 0)
    if now < not_before < now + LONGEST_REST:
        wait = not_before - now
        raise RateLimited(
            f"the feed asked for a rest; {wait:.0f} s of it are left",
            not_before=not_before,
        )


def payload_name(run: Run) -> str:
    """Return the file name of the payload of *run*."""
    return f"{stamp(run.slot)}.{run.run_id}.zip"


def block_source(*, mine: bool) -> str:
    """Return the word for where a block comes from."""
    return "fetch" if mine else "recovery"


def concluded(run: Run, result: Result) -> Run:
    """Return *run*, ended as its payload was; its own flags and notices stay."""
    known = run.flagged(*result.flags).noticed(*result.notices)
    return replace(
        known, result=result._replace(flags=known.flags, notices=known.notices)
    )


def named_dead(run: Run, dead: list[Run]) -> Run:
    """Return *run* with a notice for each killed run among *dead*."""
    killed = [each for each in dead if each.outcome is Outcome.KILLED]
    return run.noticed(*(Notice("missed", each.error) for each in killed))


def noticed_text(run: Run, kind: str, text: str) -> Run:
    """Return *run* with a notice of *kind*, where there is a *text*."""
    return run.noticed(Notice(kind, text)) if text else run


def unsettled(run: Run, error: BikecollectError) -> Run:
    """Return *run*, whose payload waits for the next run because of *error*."""
    if run.outcome is not None:
        return run.noticed(Notice(error.cause, str(error)))
    if error.cause == "ledger-busy":
        busy = run.ended(Outcome.DEFERRED, error.cause, str(error))
        return busy.noticed(Notice("lock", str(error)))
    return run.failed(error).noticed(Notice(error.cause, str(error)))
