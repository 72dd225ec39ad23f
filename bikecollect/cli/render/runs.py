"""The output of `runs`: the list of runs, and one slot in full detail."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import groupby
from math import gcd
from pathlib import Path

import click

from bikecollect.cli.render.backfill import KEPT, remedy
from bikecollect.cli.render.terminal import (
    WIDTH,
    bar,
    columns,
    terminal_columns,
    title,
    wrapped,
)
from bikecollect.collect.remedy import KIND as TO_PASTE
from bikecollect.collect.reporting.run_lines import RUN_KEYS, run_values
from bikecollect.core.blocks import Block
from bikecollect.core.causes import meaning
from bikecollect.core.errors import Outcome
from bikecollect.core.payload import Attempt
from bikecollect.core.run import Run
from bikecollect.core.slots import MINUTE, Slot, iso
from bikecollect.core.text import (
    clock_minute,
    count_of,
    local_minute,
    size,
    visible,
    visible_json,
)
from bikecollect.storage.data_folder import VEHICLES
from bikecollect.storage.retention.rejected import REASON

BAR = 10
STAGE_BAR = 44
OUTCOME = 24
MIN_OUTCOME = 12
FIXED = 30
"""Characters of a line without slot, outcome and system or bar, and one more."""
LOG_LINES = 40
DATE = len("2026-11-22 ")


@dataclass(frozen=True)
class Slotted:
    """All facts about one slot of one system.

    *vehicles* is their block, or the text to show in its place. *cause* is why it is
    missing, if nothing else is known of it.
    """

    system_id: str
    slot: Slot
    zone: tzinfo
    interval: int
    runs: Sequence[Run]
    block: Block | None
    vehicles: Block | str = ""
    payloads: Sequence[Path] = ()
    cause: str = ""
    logs: dict[str, list[str]] = field(default_factory=dict)


def table(runs: Sequence[Run], zones: dict[str, tzinfo], *, many: bool) -> str:
    """Return *runs* as a table; *many* adds the system.

    On a terminal the outcomes are cut if they do not fit.
    """
    if not runs:
        return "No runs.\n"
    if columns() < WIDTH:
        return _narrow(runs, zones, many=many)
    longest = max(sum(run.seconds.values()) for run in runs)
    slots = _slots(runs, zones)
    room = max(map(len, slots))
    width = _outcome_width(runs, room, zones, many=many)
    head = f"{'slot':<{room}}  {'outcome':<{width}} {'rows':>6} {'seconds':>7}"
    head = f"{head}  {'run':<8}"
    lines = [click.style(f"{head}  {'system' if many else ''}".rstrip(), bold=True)]
    for slot, run in zip(slots, runs, strict=True):
        spent = sum(run.seconds.values())
        outcome = click.style(f"{_short(run, zones, width):<{width}}", fg=_colour(run))
        line = f"{slot:<{room}}  {outcome} {run.rows or '-':>6} {spent:>7.2f}"
        line = f"{line}  {run.run_id:<8}"
        last = run.system_id if many else bar(spent, longest, BAR)
        lines.append(f"{line}  {last}".rstrip())
    return "\n".join(lines) + "\n"


def _slots(runs: Sequence[Run], zones: dict[str, tzinfo]) -> list[str]:
    """Return the times of the slots of *runs*, with seconds if any of them has some."""
    step = gcd(MINUTE, *(run.slot for run in runs))
    return [clock_minute(run.slot, zones[run.system_id], step) for run in runs]


def _outcome_width(
    runs: Sequence[Run], room: int, zones: dict[str, tzinfo], *, many: bool
) -> int:
    """Return the width of the outcomes: in a pipe the longest one is complete.

    *room* is the width of the slots.
    """
    taken = FIXED + room + (max(len(run.system_id) for run in runs) if many else BAR)
    least = max(MIN_OUTCOME, min(OUTCOME, WIDTH - taken))
    needed = max(least, *(len(_full(run, zones)) for run in runs))
    terminal = terminal_columns()
    return needed if terminal is None else max(least, min(needed, terminal - taken))


def _narrow(runs: Sequence[Run], zones: dict[str, tzinfo], *, many: bool) -> str:
    """Return *runs* for a narrow terminal: time, id, outcome, and the system below."""
    lines = []
    for slot, run in zip(_slots(runs, zones), runs, strict=True):
        outcome = _short(run, zones, columns() - len(slot) - 7)
        lines.append(
            f"{slot[5:]} {run.run_id:<8} {click.style(outcome, fg=_colour(run))}"
        )
        if many:
            lines.append(f"  {run.system_id}")
    return "\n".join(lines) + "\n"


def _short(run: Run, zones: dict[str, tzinfo], width: int) -> str:
    """Return the outcome of *run* and its flags, cut to *width*; the cause is kept."""
    text = _full(run, zones)
    if len(text) > width >= len(run.cause) > 0:
        text = visible(f"{run.cause}{_flags(run)}")
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _full(run: Run, zones: dict[str, tzinfo]) -> str:
    return visible(f"{_ending(run, zones[run.system_id])}{_flags(run)}")


def _flags(run: Run) -> str:
    return f" [{' '.join(run.flags)}]" if run.flags else ""


def as_json(run: Run, zone: tzinfo) -> str:
    """Return *run* as one line of JSON."""
    details: dict[str, object] = {
        "run_id": run.run_id,
        "started": iso(run.started, zone),
        "finished": None if run.finished is None else iso(run.finished, zone),
        "accepted": run.accepted,
        "bytes": run.bytes,
        "notices": [{"kind": n.kind, "text": n.text} for n in run.notices],
        "tries": [
            {
                "url": a.url,
                "seconds": a.seconds,
                "http_status": a.http_status,
                "error": a.error,
            }
            for a in run.attempts
        ],
    }
    if run.outcome is None:
        details |= {"outcome": "running", "exit_code": None, "seconds": {}}
    return visible_json({**run_values(run, zone), **details})


def so_far(runs: Iterable[Run], now: float) -> list[Run]:
    """Return *runs*, which are running, with the seconds that they have taken."""
    return [
        replace(run, seconds={"so far": max(0.0, now - run.started)}) for run in runs
    ]


KEYS: Mapping[str, tuple[str, ...]] = {
    **RUN_KEYS,
    "outcome": ("text", "[how it ended](../exit-codes.md), or running"),
    "exit_code": ("integer", "exit code for this run", "null while it is running"),
    "run_id": ("text", "id of the run, for `runs show`"),
    "started": ("time", "when it began"),
    "finished": ("time", "when it ended", "null if it was killed, or is running"),
    "accepted": ("boolean", "whether the payload was durable on disk"),
    "bytes": ("integer, bytes", "received from the feed"),
    "notices": ("list of objects", "messages for a person"),
    "notices[].kind": ("text", "the kind of incident to which it belongs"),
    "notices[].text": ("text", "the message"),
    "tries": ("list of objects", "the requests that `attempts` counts, in their order"),
    "tries[].url": ("text", "address, without secrets"),
    "tries[].seconds": ("number, s", "time until the response, or the error"),
    "tries[].http_status": ("integer", "HTTP status", "null without a response"),
    "tries[].error": ("text", "what went wrong; empty if nothing did"),
}
"""The keys of `as_json`, see `RUN_KEYS`."""


def show(known: Slotted) -> str:
    """Return the details of one slot."""
    moment = iso(known.slot, known.zone)
    lines = [title(f"{known.system_id}, slot {moment}"), *_block(known)]
    if not known.runs:
        lines.append("No run of this slot is recorded.")
    if known.cause:
        lines += wrapped(f"Cause: {known.cause}: {meaning(known.cause)}.")
    for run in known.runs:
        lines += ["", *_run(run, known)]
    return "\n".join(lines) + "\n"


def _block(known: Slotted) -> list[str]:
    block, vehicles = known.block, known.vehicles
    lines = []
    if block is None:
        is_running = any(run.outcome is None for run in known.runs)
        lines = ["No block yet." if is_running else "No block: this slot is missing."]
    elif block != vehicles:  # vehicles alone account for a slot, too
        lines = _place(block, "Block", block.span.file)
    if isinstance(vehicles, Block):
        lines += _place(vehicles, "Vehicles", f"{VEHICLES}/{vehicles.span.file}")
    elif vehicles and block is not None:
        lines += _paragraph(vehicles, "")
    for path in known.payloads:
        with suppress(FileNotFoundError):  # a fetch may move it at any time
            is_reason = path.name.endswith(REASON)
            what = "Reason for its rejection" if is_reason else "Payload"
            lines += _fitted(f"{what}: {size(path.stat().st_size)},", str(path))
    return lines


def _place(block: Block, what: str, file: str) -> list[str]:
    place = visible(f"{file}, source: {block.source}")
    return [
        f"{what}: {count_of(block.rows, 'row')} in {place},",
        f"    bytes {block.span.start} to {block.span.end}",
    ]


def _run(run: Run, known: Slotted) -> list[str]:
    outcome = click.style(_ending(run, known.zone), fg=_colour(run), bold=True)
    started = local_minute(run.started, known.zone, known.interval)
    delay = run.started - run.slot
    text = f"started {started}, {delay:.0f} s into the slot"
    text += f"; exit code {run.exit_code}" if run.outcome else ""
    lines = [f"{title(f'Run {run.run_id}')}: {outcome}"]
    lines += wrapped(text, "  ", "    ")
    if run.error:  # where a payload is kept is said above, if it is
        lines += _paragraph(run.error.partition(KEPT)[0])
    lines += _numbers(run) if run.outcome else []
    lines += _stages(run)
    lines += _attempts(run)
    for notice in run.notices:
        if notice.text != run.error and notice.kind != TO_PASTE:
            lines += _paragraph(f"{notice.kind}: {notice.text}")
    logs = known.logs.get(run.run_id, [])
    if logs:
        shown = (part for line in logs[-LOG_LINES:] for part in _paragraph(line))
        lines += ["  Log:", *shown]
    is_filled = known.block is not None and run.outcome is Outcome.REJECTED
    pasted = [notice.text for notice in run.notices if notice.kind == TO_PASTE]
    if pasted and not is_filled:
        lines += remedy(pasted).splitlines()
    return lines


def _numbers(run: Run) -> list[str]:
    flags = f"; flags: {visible(' '.join(run.flags))}" if run.flags else ""
    accepted = "accepted" if run.accepted else "not accepted"
    counts = f"{count_of(run.rows, 'row')} of {count_of(run.stations, 'station')}"
    text = f"{counts}, {size(run.bytes)}, {accepted}"
    return wrapped(f"{text}{flags}", "  ", "    ")


def _stages(run: Run) -> list[str]:
    total, longest = sum(run.seconds.values()), min(STAGE_BAR, columns() - 24)
    return [
        f"  {stage:<8} {spent:>8.3f} s  {bar(spent, total, longest)}"
        for stage, spent in run.seconds.items()
    ]


def _attempts(run: Run) -> list[str]:
    """Return the requests of *run*; equal ones that follow each other are folded."""
    lines: list[str] = []
    last_error, number = run.error, 1
    for (url, status, error), equal in groupby(run.attempts, _key):
        seconds = [attempt.seconds for attempt in equal]
        until = number + len(seconds) - 1
        which = f"{number}" if until == number else f"{number} to {until}"
        plural = "s" if until > number else ""
        answer = f"HTTP {status}" if status else "no response"
        head = f"  Request{plural} {which}: {answer} after {_range(seconds)} s,"
        lines += _fitted(head, url)
        lines += _paragraph(error) if error and error != last_error else []
        last_error, number = error, until + 1
    return lines


def _key(attempt: Attempt) -> tuple[str, int | None, str]:
    return attempt.url, attempt.http_status, attempt.error


def _range(seconds: Sequence[float]) -> str:
    least, most = f"{min(seconds):.2f}", f"{max(seconds):.2f}"
    return least if least == most else f"{least} to {most}"


def _fitted(head: str, last: str) -> list[str]:
    """Return *head* and *last* on one line, or on two if they do not fit."""
    last = visible(last)
    if len(head) + 1 + len(last) < columns():
        return [f"{head} {last}"]
    return [head, f"    {last}"]


def _paragraph(text: str, indent: str = "    ") -> list[str]:
    return wrapped(visible(text), indent)


def _ending(run: Run, zone: tzinfo) -> str:
    if run.outcome is None:
        return f"running since {clock_minute(run.started, zone, 1)[DATE:]}"
    word = run.outcome.value
    return f"{word} ({run.cause})" if run.cause and run.cause != word else word


def _colour(run: Run) -> str:
    if run.exit_code and run.outcome is not None:
        return "red"
    return "yellow" if run.flags or run.outcome is None else "green"
