"""How well each station was seen, as text, CSV, JSON and HTML."""

from collections.abc import Sequence

from bikecollect.cli.render.table import table
from bikecollect.cli.render.terminal import title
from bikecollect.core.errors import UsageError
from bikecollect.core.slots import iso
from bikecollect.core.text import csv_text, length, percent, visible_json
from bikecollect.reports.coverage import Account
from bikecollect.reports.station_coverage import StationCoverage

COLUMNS = (
    *("system", "station_id", "name", "slots", "collected", "coverage", "first_slot"),
    *("last_slot", "longest_gap_s", "verdict"),
)
Found = Sequence[tuple[Account, Sequence[StationCoverage]]]


def render(found: Found, form: str) -> str:
    """Return the coverage of stations in *form*; raises UsageError for html."""
    if form == "html":
        raise UsageError("--stations gives text, csv or json")
    if form == "text":
        return "\n".join(_text(account, stations) for account, stations in found)
    rows = [_row(account, each) for account, some in found for each in some]
    if form == "json":
        made = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
        return "".join(visible_json(each) + "\n" for each in made)
    return csv_text([COLUMNS, *rows])


def _row(account: Account, each: StationCoverage) -> tuple[object, ...]:
    return (
        *(account.system_id, each.station_id, each.name, each.slots, each.collected),
        *(round(each.share, 6), iso(each.first, account.zone)),
        *(iso(each.last, account.zone), each.longest_gap_s, each.verdict),
    )


def _text(account: Account, stations: Sequence[StationCoverage]) -> str:
    odd = [each for each in stations if each.verdict]
    odd.sort(key=lambda each: (each.verdict, each.share))
    lines = [title(f"{account.system_id}: {len(stations)} stations"), ""]
    if not odd:
        return "\n".join([*lines, "  Each was seen whenever the system was.", ""])
    rows = [
        (
            *(each.verdict, each.station_id, percent(each.share)),
            *(iso(each.first, account.zone)[:10], iso(each.last, account.zone)[:10]),
            *(length(each.longest_gap_s), each.name[:20]),
        )
        for each in odd
    ]
    names = ("", "station", "seen", "first", "last", "longest gap", "name")
    lines += [f"  {line}" for line in table(names, rows).splitlines()]
    left = len(stations) - len(odd)
    lines += ["", f"  {left} others were seen whenever the system was (90 % or more)."]
    return "\n".join([*lines, ""])
