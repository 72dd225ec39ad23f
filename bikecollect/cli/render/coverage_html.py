"""The account of the past as one page: it needs nothing but itself, and prints."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from html import escape

from bikecollect.core.causes import meaning
from bikecollect.core.slots import iso
from bikecollect.core.text import WEEKDAYS, length, percent
from bikecollect.reports.coverage import LEGEND, Account, Coverage, level_number

CELL = 14
GAPS = 500
STYLE = """
:root{--ink:#1a1a1a;--dim:#666;--paper:#fff;--line:#ddd;--c0:#7a1f5c;--c1:#c4568a;
--c2:#e9a3b4;--c3:#cfd8dc;--c4:#8fb8cf;--c5:#2b6ca3;--none:#f2f2f2}
@media (prefers-color-scheme:dark){:root{--ink:#eee;--dim:#aaa;--paper:#16181c;
--line:#3a3d44;--c0:#ff7ab8;--c1:#c4568a;--c2:#8d4a66;--c3:#4a545a;--c4:#4f7f9c;
--c5:#7cc4ff;--none:#23262b}}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.3rem 0}.dim{color:var(--dim)}.big{font-size:2.2rem;font-weight:600}
.wide{overflow-x:auto}svg text{fill:var(--dim);font:10px system-ui,sans-serif}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line);
vertical-align:top}th{color:var(--dim);font-weight:500}td.n,th.n{text-align:right}
.bar{display:inline-block;height:.7rem;background:var(--c1)}
.t{white-space:nowrap}.key span{white-space:nowrap;margin-right:.9rem}
.key i{display:inline-block;width:.8rem;height:.8rem;margin-right:.3rem;
vertical-align:-1px}
section{break-inside:auto}h2,tr{break-inside:avoid;break-after:avoid}
@media print{body{margin:0;max-width:none;font-size:11px}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def page(accounts: Sequence[Account], made: str) -> str:
    """Return the page of *accounts*; *made* says when and by what."""
    title = "Coverage of " + ", ".join(each.system_id for each in accounts)
    parts = "\n".join(_system(each) for each in accounts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f'{parts}\n<p class="dim">{escape(made)}</p></body></html>\n'
    )


def _system(account: Account) -> str:
    total = account.total
    first = iso(account.since, account.zone)[:16].replace("T", " ")
    last = iso(account.until, account.zone)[:16].replace("T", " ")
    spare = sum(gap.backfillable for gap in account.gaps)
    fill = f" {spare:,} of them can still be filled." if spare else ""
    head = (
        f"<h1>{escape(account.system_id)}</h1>"
        f'<p class="dim">{first} to {last}, local time, a slot every '
        f"{length(account.interval)}</p>"
        f'<p class="big">{percent(total.ratio)}</p>'
        f"<p>{total.collected:,} of {total.expected:,} slots collected; "
        f"{total.missing:,} missing.{fill} Of the collected, {total.stale:,} are stale "
        f"and {total.partial:,} partial.</p>"
    )
    parts = [
        head,
        f'<h2>Each day</h2><div class="wide">{_calendar(account)}</div>{_legend()}',
        f'<h2>Each hour of the week</h2><div class="wide">{_week(account)}</div>',
    ]
    if account.gaps:
        parts += [
            f'<h2>Why slots are missing</h2><div class="wide">{_causes(account)}</div>'
        ]
        parts += [f'<h2>Gaps</h2><div class="wide">{_gaps(account)}</div>']
    return f"<section>{''.join(parts)}</section>"


def _colour(count: Coverage | None) -> str:
    if count is None or count.ratio is None:
        return "var(--none)"
    return f"var(--c{level_number(count)})"


def _legend() -> str:
    keys = "".join(
        f'<span><i style="background:var(--c{n})"></i>{word}</span> '
        for n, word in enumerate(LEGEND)
    )
    return f'<p class="key dim">Collected of expected: {keys}</p>'


def _calendar(account: Account) -> str:
    """Return a square a day, a column a week, Monday on top."""
    days = [date.fromisoformat(each) for each in account.days]
    if not days:
        return ""
    start = days[0] - timedelta(days=days[0].weekday())
    weeks = (days[-1] - start).days // 7 + 1
    width, height = 40 + weeks * CELL, 26 + 7 * CELL
    return _svg(width, height, "Coverage of each day", _day_cells(account, start))


def _day_cells(account: Account, start: date) -> Iterator[str]:
    for row in (0, 2, 4, 6):
        yield _label(34, 24 + row * CELL + 10, WEEKDAYS[row], "end")
    last = -9
    for day, count in account.days.items():
        place = date.fromisoformat(day)
        week, row = divmod((place - start).days, 7)
        x, y = 40 + week * CELL, 24 + row * CELL
        said = f"{day}: {percent(count.ratio)}, {count.missing} missing"
        yield _cell((x, y), (CELL - 2, CELL - 2), _colour(count), said)
        if (place.day == 1 or last < 0) and week - last > 3:  # noqa: PLR2004 - room for it
            last = week
            yield _label(x, 14, place.strftime("%b %Y"), "start")


def _week(account: Account) -> str:
    width, height = 40 + 24 * 22, 24 + 7 * 18
    return _svg(
        width, height, "Coverage of each hour of the week", _hour_cells(account)
    )


def _hour_cells(account: Account) -> Iterator[str]:
    for hour in range(0, 24, 3):
        yield _label(40 + hour * 22, 14, f"{hour:02}:00", "start")
    for place, count in enumerate(account.hours):
        row, hour = divmod(place, 24)
        if hour == 0:
            yield _label(34, 20 + row * 18 + 12, WEEKDAYS[row], "end")
        said = f"{WEEKDAYS[row]} {hour:02}:00: {percent(count.ratio)}"
        yield _cell((40 + hour * 22, 20 + row * 18), (20, 16), _colour(count), said)


def _svg(width: int, height: int, what: str, parts: Iterator[str]) -> str:
    return (
        f'<svg role="img" aria-label="{what}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    )


def _cell(place: tuple[int, int], size: tuple[int, int], colour: str, said: str) -> str:
    (x, y), (width, height) = place, size
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="2" '
        f'style="fill:{colour}"><title>{escape(said)}</title></rect>'
    )


def _label(x: int, y: int, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _causes(account: Account) -> str:
    most = max(account.causes.values())
    rows = "".join(
        f'<tr><td>{escape(cause)}</td><td class="n">{slots:,}</td>'
        f'<td><span class="bar" style="width:'
        f'calc(min(12rem,22vw)*{max(0.02, slots / most):.2f})">'
        f"</span></td><td>{escape(meaning(cause))}</td></tr>"
        for cause, slots in account.causes.items()
    )
    head = '<th>Cause</th><th class="n">Slots</th><th></th><th>What it means</th>'
    return f"<table><tr>{head}</tr>{rows}</table>"


def _gaps(account: Account) -> str:
    shown = sorted(account.gaps, key=lambda gap: -gap.slots)[:GAPS]
    rows = []
    for gap in sorted(shown, key=lambda each: each.start):
        begin = iso(gap.start, account.zone)[:16].replace("T", " ")
        end = iso(gap.end, account.zone)[:16].replace("T", " ")
        fill = f"{gap.backfillable} from {gap.origin}" if gap.backfillable else ""
        rows.append(
            f'<tr><td class="t">{begin}</td><td class="t">{end}</td>'
            f'<td class="n">{gap.slots:,}</td>'
            f"<td>{escape(gap.cause)}</td><td>{escape(fill)}</td></tr>"
        )
    head = "<th>From</th><th>To</th>"
    head += '<th class="n">Slots</th><th>Cause</th><th>Can be filled</th>'
    left = len(account.gaps) - len(shown)
    more = f'<p class="dim">and {left:,} smaller ones</p>' if left > 0 else ""
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{more}"
