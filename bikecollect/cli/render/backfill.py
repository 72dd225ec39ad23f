"""The output of `backfill`, as text and as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo

from bikecollect.cli.render.table import table
from bikecollect.cli.render.terminal import wrapped
from bikecollect.collect.filling.fillings import (
    MISREAD,
    STALE_HERE,
    STALE_THERE,
    Filling,
)
from bikecollect.collect.sources.agreement import Agreement
from bikecollect.core.errors import ExitCode
from bikecollect.core.run import THEN_RUN
from bikecollect.core.slots import iso
from bikecollect.core.text import count_of, local_minute, percent, visible, visible_json

DAYS = 40
DOUBT = 0.9
FEW = 12
"""Common slots with which a low agreement is no doubt: those that were fetched at
different times of the slot differ, too."""
STALE = {
    STALE_HERE: "stale only here (see --prefer-fresh)",
    STALE_THERE: "stale only there",
}
MAX_TIMES = 6
"""Maximum stale slots that are listed; JSON has all."""
UNTRIED = frozenset({"there", "left", *STALE})
"""The results for payloads that were not tried."""
KEPT = "; the payload is kept"


def summary(
    system_id: str,
    fillings: Sequence[Filling],
    agreement: Agreement,
    zone: tzinfo,
    *,
    skipped: tuple[int, int] = (0, 0),
    taken: tuple[int, int] = (0, 0),
    returned: int = 0,
    lacking: str = "",
) -> str:
    """Return the results for a system, by day and origin.

    *skipped* has the numbers of unreadable rows or blocks and of impossible values in
    the other archive, *taken* those of its runs and of its versions of stations that
    were taken over, *returned* is the number of archived days whose lost files were put
    back, *lacking* is what an export has not.
    """
    unreadable, impossible = skipped
    tried = [filling for filling in fillings if filling.what not in UNTRIED]
    counts = Counter((f.day, _origin(f), f.what) for f in tried)
    present = sum(filling.what == "there" for filling in fillings)
    rejected = sum(filling.what == "left" for filling in fillings)
    lines = [f"{system_id}: {_total(fillings, returned)}", *_unread(fillings)]
    if present:
        lines.append(
            f"  {count_of(present, 'payload')} with a block already: unchanged"
        )
    if rejected:
        lines.append(f"  {rejected} rejected because of a wrong clock: unchanged")
    if unreadable:
        what = f"{unreadable:,} rows or blocks of the other archive are"
        what = "1 row or block of the other archive is" if unreadable == 1 else what
        lines.append(f"  {what} unreadable")
    if impossible:
        values = count_of(impossible, "impossible value")
        lines.append(f"  {values} of the other archive: empty here")
    lines += _taken(*taken, lacking)
    lines += _agreement(agreement)
    lines += _stale(fillings, zone)
    if counts:
        rows = [(*key, slots) for key, slots in sorted(counts.items())][:DAYS]
        names = ("day", "from", "", "slots")
        lines += ["", *(f"  {line}" for line in table(names, rows).splitlines())]
    if len(counts) > DAYS:
        lines.append(f"  ... and {len(counts) - DAYS} more lines; see --format json")
    reasons = dict.fromkeys(f.why.partition(KEPT)[0] for f in fillings if f.why)
    for text in list(reasons)[:5]:
        lines += wrapped(visible(text), "  ", "    ")
    return "\n".join([*lines, ""])


def remedy(lines: Sequence[str], indent: str = "  ") -> str:
    """Return *lines* about renamed fields, those to paste between blank lines.

    Neither they nor the command, a line of its own, are wrapped; all but those to paste
    begin with *indent*. In lines of earlier versions it stands before those to paste.
    """
    table_at = next((n for n, line in enumerate(lines) if line[:1] == "["), len(lines))
    texts, commands = list[str](), list[str]()
    pasted = list[str]()
    for n, line in enumerate(lines):
        text, is_run, command = line.rpartition(THEN_RUN)
        if is_run:
            first = f"{indent}{THEN_RUN.strip()}"
            commands += ["", first, f"{indent}  {visible(command)}"]
            text = text.rstrip(", ")
            texts += wrapped(f"{visible(text)}:", indent) if text else []
        elif n < table_at:
            texts += wrapped(visible(line), indent)
        else:
            pasted.append(line)
    blank = [""] if pasted else []
    return "".join(f"{line}\n" for line in ("", *texts, *blank, *pasted, *commands))


def as_json(system_id: str, filling: Filling, zone: tzinfo) -> str:
    """Return the result of a slot as a line of JSON."""
    values = {
        "system": system_id,
        "slot": iso(filling.slot, zone),
        "from": _origin(filling),
        "what": filling.what,
        "rows": filling.rows,
        "why": filling.why,
    }
    return visible_json(values) + "\n"


KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's name"),
    "slot": ("time", "start of the slot"),
    "from": ("text", "where its rows come from; `..., vehicles` for vehicles alone"),
    "what": (
        "text",
        (
            "filled, would be filled (`--dry-run`), there (it had data), not "
            "understood, left (fetched while the clock was wrong), stale here or there "
            "(only one of both archives has fresh data)"
        ),
    ),
    "rows": ("integer", "rows written"),
    "why": ("text", "why it was not filled; empty if it was"),
}
"""The keys of `as_json`, see `run_lines.RUN_KEYS`."""


def _origin(filling: Filling) -> str:
    return f"{filling.origin}, vehicles" if filling.is_vehicles else filling.origin


def _stale(fillings: Sequence[Filling], zone: tzinfo) -> Iterator[str]:
    """Yield lines about the slots that are stale in only one of both archives."""
    for what, text in STALE.items():
        slots = sorted(filling.slot for filling in fillings if filling.what == what)
        if slots:
            times = [local_minute(slot, zone, slot) for slot in slots[:MAX_TIMES]]
            more = f" and {len(slots) - MAX_TIMES} more" if slots[MAX_TIMES:] else ""
            listed = f"{count_of(len(slots), 'slot')} {text}: {', '.join(times)}{more}"
            yield from wrapped(listed, "  ", "    ")


def _total(fillings: Sequence[Filling], returned: int) -> str:
    counts, rows = Counter[tuple[bool, str]](), Counter[tuple[bool, str]]()
    for filling in fillings:
        counts[filling.is_vehicles, filling.what] += 1
        rows[filling.is_vehicles, filling.what] += filling.rows
    parts = [f"{count_of(returned, 'archived day')} put back"] if returned else []
    parts += [
        f"{'vehicles of ' if key[0] else ''}{count_of(n, 'slot')} {key[1]}"
        + (f" ({count_of(rows[key], 'row')})" if rows[key] else "")
        for key, n in counts.items()
        if key[1] not in UNTRIED
    ]
    return ", ".join(parts) or "nothing to fill"


def _unread(fillings: Sequence[Filling]) -> Iterator[str]:
    """Yield why the exit code is not 0 if payloads were not understood."""
    if unread := len({f.slot for f in fillings if f.what == MISREAD}):
        text = f"{count_of(unread, 'payload')} not understood, kept"
        yield f"  {text}: exit code {ExitCode.DATA:d}; nothing else failed"


def _taken(runs: int, versions: int, lacking: str) -> Iterator[str]:
    """Yield what was taken over beside rows, and what was *lacking*."""
    if runs:
        yield f"  {count_of(runs, 'run')} taken over: causes of missing slots"
    if versions:
        what = f"{count_of(versions, 'version')} of stations taken over"
        yield f"  {what}: their names and places"
    if lacking:
        text = f"not taken over: {lacking}; a data folder or a mirror has that"
        yield from wrapped(text, "  ", "    ")


def _agreement(agreement: Agreement) -> list[str]:
    if agreement.share is None:
        return []
    values = f"{percent(agreement.share)} of {count_of(agreement.values, 'value')}"
    slots = count_of(agreement.slots, "common slot")
    lines = [f"  agreement with ours: {values} in {slots}"]
    if agreement.only_ours or agreement.only_theirs:
        lines.append(
            f"  stations only here: {agreement.only_ours / agreement.slots:.1f} per "
            f"slot, only there: {agreement.only_theirs / agreement.slots:.1f}"
        )
    if agreement.share < DOUBT and agreement.slots >= FEW:
        lines.append("  ! low agreement: is it the same city, the same time zone?")
    return lines
