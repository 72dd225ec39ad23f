"""The output of `backfill-report`: coverage and gaps as text, CSV and JSON."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from math import gcd

import click

from bikecollect.cli.render.table import fitted
from bikecollect.cli.render.terminal import (
    WIDTH,
    columns,
    terminal_columns,
    title,
    unicode,
    wrapped,
)
from bikecollect.core.causes import meaning
from bikecollect.core.slots import MINUTE, Slot, SlotState, iso
from bikecollect.core.text import (
    clock_minute,
    count_of,
    csv_text,
    percent,
    visible,
    visible_json,
)
from bikecollect.core.timeline.interval import lengths
from bikecollect.reports.coverage import Account, Coverage, Gap

CELLS = 48
DAYS = 45
"""Maximum days of a report with a line per day; a longer one has a line per month."""
GAPS = 40
MARKS = {
    SlotState.COLLECTED: ("▇", "#", "green"),
    SlotState.STALE: ("▒", "o", "yellow"),
    SlotState.PARTIAL: ("▄", "-", "yellow"),
    SlotState.MISSING: ("╳", "x", "red"),
}
LEVELS = ((1.0, "▇", "#"), (0.9, "▆", "+"), (0.5, "▄", "-"), (0.000001, "▁", "."))
WORST_FIRST = (
    SlotState.MISSING,
    SlotState.PARTIAL,
    SlotState.STALE,
    SlotState.COLLECTED,
)
DAY_COLUMNS = (
    "system",
    "date",
    "expected",
    "collected",
    "stale",
    "partial",
    "missing",
    "coverage",
)
GAP_COLUMNS = ("system", "start", "end", "slots", "cause", "backfillable", "from")


def text(account: Account) -> str:
    """Return *account* as text for a terminal of 80 columns or a mail."""
    first, last = _day(account.since, account), _day(account.until - 1, account)
    span = first if first == last else f"{first} to {last}"
    head = f"{account.system_id}: {span}, slots of {lengths(account.intervals)}"
    lines = [*map(title, wrapped(head)), f"  Coverage {_coverage(account.total)}"]
    if not account.total.expected:
        return "\n".join([*lines, ""])
    lines += wrapped(_states(account.total), " " * 11)
    if account.vehicles.expected:
        lines.append(f"  Vehicles {_coverage(account.vehicles)}")
    lines += ["", *(_days(account) if len(account.days) <= DAYS else _months(account))]
    lines += ["", *_gaps(account)] if account.gaps else ["", "  No gaps."]
    return "\n".join([*lines, ""])


def as_json(account: Account) -> str:
    """Return *account* as one line of JSON."""
    zone, counts = account.zone, account.vehicles
    vehicles = {"expected": counts.expected, "collected": counts.collected}
    values = {
        "system": account.system_id,
        "since": iso(account.since, zone),
        "until": iso(account.until, zone),
        "interval_s": account.intervals[-1],
        **_count(account.total),
        **({"vehicles": vehicles} if counts.expected else {}),
        "days": [{"date": day, **_count(count)} for day, count in account.days.items()],
        "gaps": [
            {
                "start": iso(gap.start, zone),
                "end": iso(gap.end, zone),
                "slots": gap.slots,
                "cause": gap.cause,
                "backfillable": gap.backfillable,
                "from": gap.origin,
            }
            for gap in account.gaps
        ],
    }
    return visible_json(values) + "\n"


_COUNT_KEYS: Mapping[str, tuple[str, ...]] = {
    "expected": ("integer", "slots since the first run that are due"),
    "collected": ("integer", "slots with data"),
    "stale": ("integer", "those in which the feed repeated old data"),
    "partial": ("integer", "those that lack stations"),
    "missing": ("integer", "slots without data"),
    "coverage": ("number, 0 to 1", "collected / expected", "null if none was expected"),
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's name"),
    "since": ("time", "begin of the range"),
    "until": ("time", "its end"),
    "interval_s": ("integer, s", "length of a slot, at the end of the range"),
    **_COUNT_KEYS,
    "vehicles": ("object", "the same of single vehicles", "absent without any"),
    "vehicles.expected": ("integer", "slots since the first with vehicles"),
    "vehicles.collected": ("integer", "slots with data of vehicles"),
    "days": ("list of objects", "each day with expected slots"),
    "days[].date": ("date", "the day, in the zone of the system"),
    **{f"days[].{key}": value for key, value in _COUNT_KEYS.items()},
    "gaps": ("list of objects", "slots without data in a row, of one cause"),
    "gaps[].start": ("time", "start of the first slot"),
    "gaps[].end": ("time", "end of the last slot"),
    "gaps[].slots": ("integer", "number of slots"),
    "gaps[].cause": ("text", "why they are missing"),
    "gaps[].backfillable": ("integer", "slots that `backfill` can fill"),
    "gaps[].from": ("text", "from where; empty if from nowhere"),
}
"""The keys of `as_json`, see `run_lines.RUN_KEYS`."""


def days_csv(accounts: Sequence[Account]) -> str:
    """Return *accounts* as CSV with one line per day."""
    rows = [
        (account.system_id, day, *_count(count).values())
        for account in accounts
        for day, count in account.days.items()
    ]
    return _csv(DAY_COLUMNS, rows)


def gaps_csv(accounts: Sequence[Account]) -> str:
    """Return *accounts* as CSV with one line per gap."""
    rows = [
        (
            account.system_id,
            iso(gap.start, account.zone),
            iso(gap.end, account.zone),
            gap.slots,
            gap.cause,
            gap.backfillable,
            gap.origin,
        )
        for account in accounts
        for gap in account.gaps
    ]
    return _csv(GAP_COLUMNS, rows)


def _count(count: Coverage) -> dict[str, float | int | None]:
    return {
        "expected": count.expected,
        "collected": count.collected,
        "stale": count.stale,
        "partial": count.partial,
        "missing": count.missing,
        "coverage": None if count.ratio is None else round(count.ratio, 6),
    }


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return csv_text([columns, *rows])


def _day(slot: int, account: Account) -> str:
    return iso(slot, account.zone)[:10]


def _coverage(count: Coverage) -> str:
    share = percent(count.ratio)
    return f"{share}: {count.collected:,} of {count.expected:,} slots"


def _states(count: Coverage) -> str:
    return (
        f"{count.missing:,} missing; of the collected, {count.stale:,} stale and "
        f"{count.partial:,} partial"
    )


def _days(account: Account) -> list[str]:
    """Return a line per day, with a mark per half hour (hour on a narrow terminal)."""
    is_wide = columns() == WIDTH
    marks = CELLS if is_wide else CELLS // 2
    cells: dict[str, dict[int, SlotState]] = {}
    for judged in account.judged:
        local = datetime.fromtimestamp(judged.slot, account.zone)
        cell = (local.hour * 60 + local.minute) * marks // 1440
        day = cells.setdefault(local.strftime("%Y-%m-%d"), {})
        states = (judged.state, day.get(cell, judged.state))
        day[cell] = min(states, key=WORST_FIRST.index)
    hours = "".join(f"{h:<{marks // 8}}" for h in range(0, 24, 3)).rstrip()
    lines = [f"{' ' * (14 if is_wide else 6)}{hours}"]
    for name, count in account.days.items():
        strip = "".join(_mark(cells.get(name, {}).get(n)) for n in range(marks))
        missing = f"-{count.missing}" if count.missing else ""
        share = f"{percent(count.ratio):>7}"
        line = f"  {name}  {strip} {share} {missing:>5}"
        lines.append(line.rstrip() if is_wide else f"{name[5:]} {strip} {share}")
    return [*lines, *_legend(account, "half an hour" if is_wide else "an hour")]


def _legend(account: Account, span: str) -> list[str]:
    states = {judged.state for judged in account.judged}
    shown = (state for state in reversed(WORST_FIRST) if state in states)
    marks = [f"{_mark(state)} {state}" for state in shown]
    text = f"  each mark: {span}, by its worst slot:"
    if columns() == WIDTH:
        return ["", f"{text} {'  '.join(marks)}"]
    return ["", *wrapped(text.strip(), "  "), *(f"    {mark}" for mark in marks)]


def _mark(state: SlotState | None) -> str:
    if state is None:
        return " "
    mark, plain, colour = MARKS[state]
    return click.style(mark if unicode() else plain, fg=colour)


def _months(account: Account) -> list[str]:
    """Return one line per month, with a mark for each day, and the worst days.

    On a narrow terminal the share of the month is on a separate line.
    """
    is_wide = columns() == WIDTH
    margin = 11 if is_wide else 8
    lines = [" " * margin + "1   5    10   15   20   25   30"]
    for month, members in groupby(account.days.items(), key=lambda item: item[0][:7]):
        counts = dict(members)
        strip = "".join(_level(counts.get(f"{month}-{day:02}")) for day in range(1, 32))
        collected = sum(count.collected for count in counts.values())
        expected = sum(count.expected for count in counts.values())
        missing = f"{expected - collected:,} missing" if expected > collected else ""
        share = percent(collected / expected if expected else None)
        if is_wide:
            lines.append(f"  {month}  {strip}  {share:>11}  {missing}".rstrip())
        else:
            lines.append(f"{month} {strip}".rstrip())
            lines.append(f"{'':{margin}}{share}  {missing}".rstrip())
    lines += ["", *wrapped(_levels_legend(), "  ")]
    worst = sorted(account.days.items(), key=lambda item: -item[1].missing)[:10]
    lines += ["", "  Worst days"]
    lines += [f"    {d}  {_coverage(count)}" for d, count in worst if count.missing]
    return lines


def _levels_legend() -> str:
    """Return the meaning of each mark of a day; they cover all shares."""
    texts = ("complete", "90 % or more", "50 % or more", "less")
    marks = [rich if unicode() else plain for _, rich, plain in LEVELS]
    levels = [f"{mark} {text}" for mark, text in zip(marks, texts, strict=True)]
    none = click.unstyle(_mark(SlotState.MISSING))
    return f"each mark: one day; {', '.join(levels)}, {none} nothing"


def _level(count: Coverage | None) -> str:
    if count is None or count.ratio is None:
        return " "
    for least, mark, plain in LEVELS:
        if count.ratio >= least:
            colour = "green" if least == 1 else "yellow"
            return click.style(mark if unicode() else plain, fg=colour)
    return _mark(SlotState.MISSING)


def clock(slot: Slot, account: Account) -> str:
    """Return the time of *slot*, with seconds if slots of *account* have some."""
    return clock_minute(slot, account.zone, gcd(MINUTE, *account.intervals))


def _gaps(account: Account) -> list[str]:
    shown = sorted(account.gaps, key=lambda gap: -gap.slots)[:GAPS]
    shown.sort(key=lambda gap: gap.start)
    rows = [
        (
            clock(gap.start, account),
            _end(gap, account),
            gap.slots,
            gap.cause,
            gap.fillable,
        )
        for gap in shown
    ]
    names = ("from", "to", "slots", "cause", "can be filled")
    width = terminal_columns()
    cut = ("can be filled", "cause")  # causes stand below in full
    text = fitted(names, rows, width and width - 2, shorten=cut).text
    lines = [f"  {line}".rstrip() for line in text.splitlines()]
    if len(account.gaps) > GAPS:
        more = len(account.gaps) - GAPS
        lines.append(f"  ... and {more} shorter gaps; see --format csv --what gaps")
    lines += ["", *_causes(account)]
    spare = sum(gap.backfillable for gap in account.gaps)
    if spare:
        lines += ["", f"  {spare} can be filled from kept payloads:"]
        lines.append("    bikecollect backfill")
    unreadable = sum(gap.unreadable for gap in account.gaps)
    if unreadable:
        payloads = count_of(unreadable, "payload")
        text = f"kept: {payloads} that this version cannot read; for the reasons:"
        lines += ["", *wrapped(text, "  "), "    bikecollect backfill --dry-run"]
    untried = sum(gap.untried for gap in account.gaps)
    if untried:
        slots = count_of(untried, "older slot")
        text = f"the kept payloads of {slots} were not tried; to try all:"
        lines += ["", *wrapped(text, "  "), "    bikecollect backfill --dry-run"]
    return lines


def _end(gap: Gap, account: Account) -> str:
    end = clock(gap.end, account)
    return end[11:] if end[:10] == _day(gap.start, account) else end


def _causes(account: Account) -> Iterator[str]:
    """Yield the number of missing slots by cause."""
    yield "  Missing slots by cause"
    for cause, slots in account.causes.items():
        text = f"{visible(cause)}: {meaning(cause)}"
        yield from wrapped(text, f"    {slots:>7,}  ", " " * 13)
