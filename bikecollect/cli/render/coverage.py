"""The account of the past, as text, CSV and JSON."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import click

from bikecollect.cli.render.table import table
from bikecollect.cli.render.terminal import title, unicode
from bikecollect.core.causes import meaning
from bikecollect.core.slots import SlotState, iso
from bikecollect.core.text import (
    csv_text,
    length,
    local_minute,
    percent,
    visible,
    visible_json,
)
from bikecollect.reports.coverage import Account, Coverage, Gap

CELLS = 48
DAYS = 45
"""A longer report has a line a month, and the worst days."""
GAPS = 40
MARKS = {
    SlotState.COLLECTED: ("▇", "#", "green"),
    SlotState.STALE: ("▒", "o", "yellow"),
    SlotState.PARTIAL: ("▄", "-", "yellow"),
    SlotState.MISSING: ("╳", "x", "red"),
}
LEVELS = ((1.0, "▇", "#"), (0.9, "▆", "+"), (0.5, "▄", "-"), (0.000001, "▁", "."))
WORST = (
    *(SlotState.MISSING, SlotState.PARTIAL, SlotState.STALE),
    SlotState.COLLECTED,
)
DAY_COLUMNS = (
    *("system", "date", "expected", "collected", "stale", "partial", "missing"),
    "coverage",
)
GAP_COLUMNS = ("system", "start", "end", "slots", "cause", "backfillable", "from")


def text(account: Account) -> str:
    """Return *account* for a terminal of 80 columns, or a mail."""
    span = f"{_day(account.since, account)} to {_day(account.until - 1, account)}"
    head = f"{account.system_id}: {span}, slots of {length(account.interval)}"
    lines = [title(head), f"  Coverage {_coverage(account.total)}"]
    if not account.total.expected:
        return "\n".join([*lines, ""])
    lines.append(f"           {_states(account.total)}")
    lines += ["", *(_days(account) if len(account.days) <= DAYS else _months(account))]
    lines += ["", *_gaps(account)] if account.gaps else ["", "  No gaps."]
    return "\n".join([*lines, ""])


def as_json(account: Account) -> str:
    """Return *account* as one line of JSON."""
    zone = account.zone
    values = {
        "system": account.system_id,
        "since": iso(account.since, zone),
        "until": iso(account.until, zone),
        "interval_s": account.interval,
        **_count(account.total),
        "days": [{"date": day, **_count(each)} for day, each in account.days.items()],
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


def days_csv(accounts: Sequence[Account]) -> str:
    """Return a line a day of *accounts*."""
    rows = [
        (each.system_id, day, *_count(count).values())
        for each in accounts
        for day, count in each.days.items()
    ]
    return _csv(DAY_COLUMNS, rows)


def gaps_csv(accounts: Sequence[Account]) -> str:
    """Return a line a gap of *accounts*."""
    rows = [
        (
            each.system_id,
            *(iso(gap.start, each.zone), iso(gap.end, each.zone)),
            *(gap.slots, gap.cause, gap.backfillable, gap.origin),
        )
        for each in accounts
        for gap in each.gaps
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
    """Return a strip of half hours for each day."""
    cells: dict[str, dict[int, SlotState]] = {}
    for each in account.judged:
        local = datetime.fromtimestamp(each.slot, account.zone)
        cell = (local.hour * 60 + local.minute) * CELLS // 1440
        day = cells.setdefault(local.strftime("%Y-%m-%d"), {})
        if WORST.index(each.state) < WORST.index(day.get(cell, SlotState.COLLECTED)):
            day[cell] = each.state
        else:
            day.setdefault(cell, each.state)
    lines = [" " * 14 + "".join(f"{h:<6}" for h in range(0, 24, 3)).rstrip()]
    for name, count in account.days.items():
        strip = "".join(_mark(cells.get(name, {}).get(n)) for n in range(CELLS))
        missing = f"-{count.missing}" if count.missing else ""
        lines.append(f"  {name}  {strip} {percent(count.ratio):>7} {missing:>5}")
    return [*lines, *_legend(account)]


def _legend(account: Account) -> list[str]:
    there = {each.state for each in account.judged}
    marks = (f"{_mark(state)} {state}" for state in reversed(WORST) if state in there)
    return ["", f"  half an hour each, by its worst slot: {'  '.join(marks)}"]


def _mark(state: SlotState | None) -> str:
    if state is None:
        return " "
    mark, plain, colour = MARKS[state]
    return click.style(mark if unicode() else plain, fg=colour)


def _months(account: Account) -> list[str]:
    """Return a strip of days for each month, and the worst days."""
    lines = [" " * 11 + "1   5    10   15   20   25   30"]
    for month, members in groupby(account.days.items(), key=lambda each: each[0][:7]):
        counts = dict(members)
        strip = "".join(_level(counts.get(f"{month}-{day:02}")) for day in range(1, 32))
        got = sum(each.collected for each in counts.values())
        whole = sum(each.expected for each in counts.values())
        missing = f"{whole - got:,} missing" if whole > got else ""
        share = percent(got / whole if whole else None)
        lines.append(f"  {month}  {strip}  {share:>11}  {missing}".rstrip())
    full = "▇" if unicode() else "#"
    lines += ["", f"  a day each: {full} whole, lower where slots are missing"]
    worst = sorted(account.days.items(), key=lambda each: -each[1].missing)[:10]
    lines += ["", "  The worst days"]
    lines += [f"    {d}  {_coverage(count)}" for d, count in worst if count.missing]
    return lines


def _level(count: Coverage | None) -> str:
    if count is None or count.ratio is None:
        return " "
    for least, mark, plain in LEVELS:
        if count.ratio >= least:
            colour = "green" if least == 1 else "yellow"
            return click.style(mark if unicode() else plain, fg=colour)
    return _mark(SlotState.MISSING)


def _gaps(account: Account) -> list[str]:
    shown = sorted(account.gaps, key=lambda gap: -gap.slots)[:GAPS]
    shown.sort(key=lambda gap: gap.start)
    rows = [
        (
            local_minute(gap.start, account.zone)[:16],
            _end(gap, account),
            gap.slots,
            gap.cause,
            f"{gap.backfillable} from {gap.origin}" if gap.backfillable else "",
        )
        for gap in shown
    ]
    columns = ("from", "to", "slots", "cause", "can be filled")
    lines = [f"  {line}" for line in table(columns, rows).splitlines()]
    if len(account.gaps) > GAPS:
        more = len(account.gaps) - GAPS
        lines.append(f"  ... and {more} smaller ones; see --format csv --what gaps")
    lines += ["", *_causes(account)]
    spare = sum(gap.backfillable for gap in account.gaps)
    if spare:
        lines += [
            "",
            f"  {spare} can be filled from what is here:\n    bikecollect backfill",
        ]
    return lines


def _end(gap: Gap, account: Account) -> str:
    end = local_minute(gap.end, account.zone)[:16]
    return end[11:] if end[:10] == _day(gap.start, account) else end


def _causes(account: Account) -> Iterator[str]:
    """Yield how many slots each cause has cost."""
    yield "  Missing slots by cause"
    for cause, slots in account.causes.items():
        yield f"    {slots:>7,}  {visible(cause)}: {meaning(cause)}"


def empty(system_id: str) -> str:
    """Return what is said of a system without any run."""
    return f"{system_id}: nothing was ever collected; see: bikecollect schedule show\n"
