"""Coverage of each station (`backfill-report --stations`), as text, CSV and JSON."""

from collections.abc import Mapping, Sequence

from bikecollect.cli.render.table import fitted, shortened
from bikecollect.cli.render.terminal import terminal_columns, title, wrapped
from bikecollect.core.errors import UsageError
from bikecollect.core.slots import iso
from bikecollect.core.text import count_of, csv_text, length, percent, visible_json
from bikecollect.reports.coverage import Account
from bikecollect.reports.station_coverage import StationCoverage

KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's name"),
    "station_id": ("text", "the publisher's id"),
    "name": ("text", "the station's name"),
    "slots": ("integer", "slots with a row of the station"),
    "collected": ("integer", "slots of the system with data"),
    "coverage": ("number, 0 to 1", "slots / collected"),
    "first_slot": ("time", "the first slot with the station"),
    "last_slot": ("time", "the last one"),
    "longest_gap_s": ("integer, s", "the longest time without a row of the station"),
    "verdict": (
        "text",
        (
            "vanished, late (it appeared later than the others), silent, closed, thin; "
            "empty if nothing is unusual"
        ),
    ),
}
"""The keys of `render` as JSON, see `run_lines.RUN_KEYS`."""
COLUMNS = tuple(KEYS)
NAME = 20
"""Maximum columns of a name."""
StationsBySystem = Sequence[tuple[Account, Sequence[StationCoverage]]]


def render(systems: StationsBySystem, form: str) -> str:
    """Return the coverage of stations in *form*; raises UsageError for html."""
    if form == "html":
        raise UsageError("--stations cannot be combined with --format html")
    if form == "text":
        texts = (_text(account, stations) for account, stations in systems)
        return "\n".join(texts) or "No station has been collected yet.\n"
    rows = [
        _row(account, station) for account, stations in systems for station in stations
    ]
    if form == "json":
        records = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
        return "".join(visible_json(record) + "\n" for record in records)
    return csv_text([COLUMNS, *rows])


def _row(account: Account, station: StationCoverage) -> tuple[object, ...]:
    return (
        account.system_id,
        station.station_id,
        station.name,
        station.slots,
        station.collected,
        round(station.share, 6),
        iso(station.first, account.zone),
        iso(station.last, account.zone),
        station.longest_gap_s,
        station.verdict,
    )


def _text(account: Account, stations: Sequence[StationCoverage]) -> str:
    unusual = [station for station in stations if station.verdict]
    unusual.sort(key=lambda station: (station.verdict, station.share))
    lines = [title(f"{account.system_id}: {count_of(len(stations), 'station')}"), ""]
    if not unusual:
        line = "Every station has a row in 90 % or more of the collected slots."
        return "\n".join([*lines, *wrapped(line, "  "), ""])
    rows = [
        (
            station.verdict,
            station.station_id,
            percent(station.share),
            iso(station.first, account.zone)[:10],
            iso(station.last, account.zone)[:10],
            length(station.longest_gap_s),
            shortened(station.name, NAME),
        )
        for station in unusual
    ]
    names = ("verdict", "station", "seen", "first", "last", "longest gap", "name")
    width = terminal_columns()
    fewer = fitted(names, rows, width and width - 2, shorten=["name"], spare=["name"])
    lines += [f"  {line}".rstrip() for line in fewer.text.splitlines()]
    usual = len(stations) - len(unusual)
    others = (
        f"{count_of(usual, 'other station')}: seen in 90 % or more of collected slots."
    )
    return "\n".join([*lines, "", *wrapped(others, "  "), ""])
