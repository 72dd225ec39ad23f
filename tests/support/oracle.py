"""The reports, computed in plain Python from what a feed truly had.

Nothing here uses the package: where a report differs from this, one of them is wrong.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any

from true_history import (
    Figures,
    Moment,
    Place,
    Truth,
    Vehicle,
    grouped,
    mean,
    metres,
    quantile,
    share,
)

CELL = 0.00225
HOUR = 3_600
WEEK, AT = 10_080, 6 * 1_440 + 150
"""Minutes of a week, and the time of `chance`: Sunday 02:30."""
Rows = list[dict[str, Any]]


def availability(truth: Truth) -> Rows:
    """Return the figures of all stations together, by hour of the week."""
    rows = []
    for hour, moments in grouped(truth.moments, truth.week_hour):
        figures = sum((truth.figures(s, moments) for s in truth.stations), Figures())
        row = {"place": "city", "hour_of_week": hour, "stations": len(truth.stations)}
        row |= figures.seen() | figures.shares()
        row |= {k: v for k, v in figures.range().items() if k.startswith("mean")}
        row["share_closed"] = mean([r.is_closed for r in figures.known])
        row["share_empty"] = figures.lacked()["share_empty"]
        rows.append({**row, "slots_stale": figures.stale})
    return rows


def episodes(truth: Truth) -> Rows:
    """Return the runs of slots in which an open station was empty or full."""
    rows = [
        row
        for name in truth.stations
        for what in ("empty", "full")
        for row in _episodes(truth, name, what)
    ]
    return sorted(rows, key=lambda r: (-r["length_s"], *list(r.values())[:3]))


def is_scarce(truth: Truth, name: str, what: str, moment: Moment) -> bool:
    """Return whether an open station is empty (full) in a slot."""
    row = moment.rows.get(name)
    if row is None or row.is_closed:
        return False
    return (row.vehicles if what == "empty" else truth.docks(name, moment)) == 0


def _episodes(truth: Truth, name: str, what: str) -> Iterator[dict[str, Any]]:
    scarce = [is_scarce(truth, name, what, m) for m in truth.moments]
    seen = [name in m.rows and m.rows[name].vehicles is not None for m in truth.moments]
    for is_one, places in groupby(range(len(scarce)), scarce.__getitem__):
        if is_one:
            at = list(places)
            inside = truth.moments[at[0] : at[-1] + 1]
            yield {
                "station_id": name,
                "what": what,
                "first_slot": inside[0].slot,
                "last_slot": inside[-1].slot,
                "slots": len(inside),
                "length_s": sum(m.seconds for m in inside),
                "begin_seen": int(at[0] > 0 and seen[at[0] - 1]),
                "end_seen": int([*seen, False][at[-1] + 1]),
                "slots_stale": sum(m.is_stale for m in inside),
            }


def reliability(truth: Truth) -> Rows:
    """Return how often each station had a vehicle, reported, was open, and changed."""
    rows = []
    for name in truth.stations:
        figures = truth.figures(name, truth.moments)
        slots = [(m.slot, m.rows[name]) for m in truth.collected if name in m.rows]
        pairs = [
            (a.rows.get(name), b.rows.get(name)) for a, b in pairwise(truth.moments)
        ]
        bikes = [(a.vehicles, b.vehicles) for a, b in pairs if a and b]
        row = {"station_id": name, **figures.seen(), **figures.shares()}
        row |= figures.lacked()
        row["share_silent"] = mean(
            [r.reported is None or r.reported < slot - HOUR for slot, r in slots]
        )
        row["share_inactive"] = share(figures.closed, len(figures.rows))
        row["changes"] = sum(None not in pair and pair[0] != pair[1] for pair in bikes)
        rows.append({**row, "slots_stale": figures.stale_rows})
    return sorted(rows, key=lambda r: (r["share_with_vehicle"], r["station_id"]))


def chance(truth: Truth) -> Rows:
    """Return what each Sunday had in the first seen slot that holds 02:30."""

    def holds(moment: Moment) -> bool:
        local = truth.local(moment)
        begin = truth.week_hour(moment) * 60 + local.minute
        return (AT - begin) % WEEK * 60 < moment.seconds

    days = grouped(filter(holds, truth.moments), truth.day)
    rows = []
    for name in truth.stations:
        known = [
            [m for m in moments if name in m.rows and m.rows[name].vehicles is not None]
            for _, moments in days
        ]
        used = [moments[0] for moments in known if moments]
        figures = truth.figures(name, used)
        bikes = [not r.is_closed and (r.vehicles or 0) > 0 for r in figures.known]
        rows.append(
            {
                "station_id": name,
                "days_expected": sum(bool(truth.expected(name, m)) for _, m in days),
                "days_seen": len(used),
                "with_vehicle": sum(bikes),
                "share_with_vehicle": mean(bikes),
                "share_with_dock": figures.shares()["share_with_dock"],
                "last_seen": max((m.slot for m in used), default=None),
                "days_closed": figures.closed,
                "days_stale": figures.stale,
            }
        )
    return rows


def changes(truth: Truth) -> Rows:
    """Return stations that came, left, returned, moved, or got a new name or size."""
    versions = truth.versions()
    first = min(known[0][0] for known in versions.values())
    rows = [
        {"since": since, "station_id": name, "what": what, "metres": distance}
        for name, known in versions.items()
        for since, what, distance in [
            *((known[0][0], "added", None) for _ in range(known[0][0] > first)),
            *(change for pair in pairwise(known) for change in _changes(*pair)),
        ]
    ]
    return sorted(rows, key=lambda r: [*r.values()][:3])


def _changes(
    before: tuple[int, Place, bool], after: tuple[int, Place, bool]
) -> Iterator[tuple[int, str, float | None]]:
    (_, old, was_listed), (since, new, is_listed) = before, after
    if was_listed != is_listed:
        yield since, "returned" if is_listed else "removed", None
    distance = metres(old, new)
    is_other = distance > 500 and old.name != new.name
    if distance >= 20:
        yield since, "reused" if is_other else "moved", distance
    if old.name != new.name and not is_other:
        yield since, "renamed", None
    if old.capacity != new.capacity:
        yield since, "resized", None


def coverage(truth: Truth) -> Rows:
    """Return the number of slots by day, state and cause."""
    rows = []
    for day, moments in grouped(truth.moments, truth.day):
        counts = Counter((m.state, m.cause) for m in moments)
        for (state, cause), slots in sorted(counts.items()):
            row = {"date": day, "state": state, "cause": cause, "slots": slots}
            rows.append({**row, "expected": len(moments)})
    return rows


def history(truth: Truth) -> Rows:
    """Return each station in each slot."""
    rows = []
    for name in truth.stations:
        for moment in truth.moments:
            row, local = moment.rows.get(name), truth.local(moment)
            flags = row.flags if row else (None, None, None)
            rows.append(
                {
                    "station_id": name,
                    "slot": moment.slot,
                    "minute_of_day": local.hour * 60 + local.minute,
                    "state": moment.state,
                    "cause": moment.cause,
                    "num_vehicles_available": row.vehicles if row else None,
                    "num_docks_available": truth.docks(name, moment),
                    "capacity": row.capacity if row else None,
                    "is_installed": flags[0],
                    "is_renting": flags[1],
                    "is_returning": flags[2],
                }
            )
    return rows


def snapshot(truth: Truth) -> Rows:
    """Return the stations that are listed, in the newest collected slot."""
    newest = truth.collected[-1]
    at_newest = {
        row["station_id"]: row for row in history(truth) if row["slot"] == newest.slot
    }
    rows = []
    for name, known in sorted(truth.versions().items()):
        _, place, is_listed = known[-1]
        if is_listed:
            row = {"station_id": name, "name": place.name, "lat": place.lat}
            counts = dict(list(at_newest[name].items())[6:])
            reported = newest.rows[name].reported if name in newest.rows else None
            counts["capacity"] = counts["capacity"] or place.capacity
            row |= {**counts, "last_reported": reported, "state": newest.state}
            rows.append(row)
    return rows


def stations(truth: Truth) -> Rows:
    """Return the newest version of each station, and since when it is there."""
    return [
        {
            "station_id": name,
            **known[-1][1]._asdict(),
            "since": known[0][0],
            "until": None if known[-1][2] else known[-1][0],
        }
        for name, known in sorted(truth.versions().items())
    ]


def hours(truth: Truth) -> Rows:
    """Return each station in each hour of each day."""

    def hour_of(moment: Moment) -> tuple[str, int]:
        return truth.day(moment), truth.local(moment).hour

    rows = []
    for name in truth.stations:
        for (day, hour), moments in grouped(truth.moments, hour_of):
            figures = truth.figures(name, moments)
            sizes = [r.capacity for r in figures.rows if r.capacity is not None]
            row = {"station_id": name, "date": day, "hour": hour}
            row |= figures.seen() | figures.range() | {"mean_capacity": mean(sizes)}
            rows.append({**row, "slots_stale": figures.stale})
    return rows


def days(truth: Truth) -> Rows:
    """Return each station on each day."""
    rows = []
    for name in truth.stations:
        for day, moments in grouped(truth.moments, truth.day):
            figures = truth.figures(name, moments)
            sizes = [r.capacity for r in figures.rows if r.capacity is not None]
            row = {"station_id": name, "date": day}
            row |= figures.seen() | figures.range()
            row["capacity_min"] = min(sizes, default=None)
            row["capacity_max"] = max(sizes, default=None)
            row |= {"day_slots": len(figures.rows), "day_closed": figures.closed}
            rows.append({**row, "slots_stale": figures.stale_rows})
    return rows


def typical(truth: Truth) -> Rows:
    """Return the quartiles of each station by weekday and quarter of an hour."""

    def quarter(moment: Moment) -> tuple[int, int]:
        local = truth.local(moment)
        return local.weekday(), local.hour * 60 + local.minute // 15 * 15

    rows = []
    for name in truth.stations:
        for (weekday, minute), moments in grouped(truth.moments, quarter):
            figures = truth.figures(name, moments)
            seen = [m for m in moments if m in truth.collected and name in m.rows]
            known = [m for m in seen if m.rows[name].vehicles is not None]
            row = {"station_id": name, "weekday": weekday, "minute": minute}
            row["days_seen"] = len({truth.day(m) for m in known})
            expected = truth.expected(name, moments)
            row["days_expected"] = len({truth.day(m) for m in expected})
            for word, place in (("low", 0.25), ("mid", 0.5), ("high", 0.75)):
                row[f"{word}_vehicles"] = quantile(figures.vehicles, place)
                row[f"{word}_docks"] = quantile(figures.docks, place)
            rows.append(row)
    return rows


def scarcity(truth: Truth) -> Rows:
    """Return how many stations are empty, full and closed in each slot."""
    rows = []
    for moment in truth.moments:
        figures = [truth.figures(name, [moment]) for name in moment.rows]
        total = sum(figures, Figures())
        counts: dict[str, Any] = {
            "stations": len(total.rows),
            **{
                f"{what}_stations": sum(
                    is_scarce(truth, name, what, moment) for name in moment.rows
                )
                for what in ("empty", "full")
            },
            "closed_stations": total.closed,
            "vehicles": sum(total.vehicles),
            "docks": sum(total.docks),
        }
        if not total.rows:
            counts = dict.fromkeys(counts)
        rows.append({"slot": moment.slot, "state": moment.state, **counts})
    return rows


def neighbours(truth: Truth) -> Rows:
    """Return what listed stations within 1 km have while one is empty or full."""
    places = {n: k[-1][1] for n, k in truth.versions().items() if k[-1][2]}
    rows = []
    for name, home in sorted(places.items()):
        near = sorted((metres(p, home), n) for n, p in places.items() if n != name)
        for what in ("empty", "full"):
            slots = [m for m in truth.moments if is_scarce(truth, name, what, m)]
            for distance, other in near if slots else []:
                if distance <= 1_000:
                    figures = truth.figures(other, slots)
                    bikes = [(r, r.vehicles or 0) for r in figures.known]
                    seen = bikes if what == "empty" else figures.docked
                    good = [not row.is_closed and count > 0 for row, count in seen]
                    keys = {"station_id": name, "what": what, "neighbour": other}
                    row = {**keys, "metres": distance, "slots": len(slots)}
                    rows.append({**row, "slots_seen": len(seen), "share": mean(good)})
    return rows


def longest_gaps(truth: Truth) -> Rows:
    """Return the seconds of the longest gap of each station on each day."""
    rows = []
    for day, moments in grouped(truth.moments, truth.day):
        for name in sorted({name for m in moments if not m.cause for name in m.rows}):
            slots = [(m.cause or name not in m.rows, m.seconds) for m in moments]
            runs = groupby(slots, lambda slot: bool(slot[0]))
            gaps = [sum(s for _, s in run) for is_gap, run in runs if is_gap]
            row = {"date": day, "station_id": name}
            rows.append({**row, "longest_gap_s": max(gaps, default=0)})
    return rows


def longest_gaps_of_all_days(truth: Truth) -> Rows:
    """Return the seconds of the longest gap of each station, over midnights too."""
    rows = []
    for name in sorted({name for m in truth.collected for name in m.rows}):
        slots = [(m.cause or name not in m.rows, m.seconds) for m in truth.moments]
        runs = groupby(slots, lambda slot: bool(slot[0]))
        gaps = [sum(s for _, s in run) for is_gap, run in runs if is_gap]
        rows.append({"station_id": name, "longest_gap_s": max(gaps, default=0)})
    return rows


def vehicles(truth: Truth) -> Rows:
    """Return the vehicles of the newest slot."""
    return [
        {"vehicle_id": name, "slot": truth.collected[-1].slot, **vehicle._asdict()}
        for name, vehicle in sorted(truth.collected[-1].vehicles.items())
    ]


def cell(lat: float, lon: float) -> tuple[int, int]:
    """Return the cell of 250 m of a place."""
    row = math.floor(lat / CELL)
    return row, math.floor(lon * math.cos(math.radians((row + 0.5) * CELL)) / CELL)


def _placed(fleet: Mapping[str, Vehicle]) -> dict[str, tuple[float, float]]:
    return {
        name: (v.lat, v.lon)
        for name, v in fleet.items()
        if v.lat is not None and v.lon is not None
    }


def vehicle_grid(truth: Truth) -> Rows:
    """Return the vehicles by cell and hour of the week."""
    rows = []
    for hour, expected in grouped(truth.moments, truth.week_hour):
        moments = [moment for moment in expected if not moment.cause]
        counts: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for moment in moments:
            placed = _placed(moment.vehicles).items()
            for where in {cell(*place) for _, place in placed}:
                here = [moment.vehicles[n] for n, p in placed if cell(*p) == where]
                free = sum(not v.is_reserved and not v.is_disabled for v in here)
                counts[where].append((len(here), free))
        for where, seen in counts.items():
            row = {"cell_row": where[0], "cell_col": where[1], "hour_of_week": hour}
            row |= {"slots": len(moments), "max_vehicles": max(n for n, _ in seen)}
            row["slots_expected"] = len(expected)
            row["mean_vehicles"] = sum(n for n, _ in seen) / len(moments)
            rows.append({**row, "mean_free": sum(f for _, f in seen) / len(moments)})
    return sorted(rows, key=lambda r: [*r.values()][:3])


def vehicle_ids(truth: Truth) -> Rows:
    """Return how many ids are in the next slot, too, and how many came back later."""
    fleets = [set(moment.vehicles) for moment in truth.collected]
    followed = sum(map(len, fleets[:-1]))
    survived = sum(len(a & b) for a, b in pairwise(fleets))
    returned = sum(
        len((fleet - fleets[at + 1]) & set().union(*fleets[at + 2 :]))
        for at, fleet in enumerate(fleets[:-1])
    )
    row = {"slots": len(fleets), "ids": len(set().union(*fleets))}
    row |= {"vanished": followed - survived, "returned": returned}
    row["slots_expected"] = len(truth.moments)
    return [{**row, "share_survived": share(survived, followed)}]


def vehicle_idle(truth: Truth) -> Rows:
    """Return the stays of vehicles, by the cell of their mean place."""
    slots = truth.collected
    stays: list[list[tuple[int, tuple[float, float]]]] = []
    running: dict[str, list[tuple[int, tuple[float, float]]]] = {}
    for at, moment in enumerate(slots):
        before, running = running, {}
        for name, place in _placed(moment.vehicles).items():
            stay = before.get(name)
            if stay is None or not _is_near(stay[-1][1], place):
                stay = []
                stays.append(stay)
            stay.append((at, place))
            running[name] = stay
    by_cell: dict[tuple[int, int], list[tuple[float, bool]]] = defaultdict(list)
    for stay in stays:
        begin, end = slots[stay[0][0]], slots[stay[-1][0]]
        hours = (end.slot + end.seconds - begin.slot) / HOUR
        north, east = ([place[n] for _, place in stay] for n in (0, 1))
        where = cell(sum(north) / len(stay), sum(east) / len(stay))
        by_cell[where].append((hours, stay[-1][0] < len(slots) - 1))
    survived = vehicle_ids(truth)[0]["share_survived"]
    return [
        {
            "cell_row": where[0],
            "cell_col": where[1],
            "stays": len(found),
            "ended": sum(has_ended for _, has_ended in found),
            "mean_hours": mean([hours for hours, has_ended in found if has_ended]),
            "longest_hours": max(hours for hours, _ in found),
            "share_survived": survived,
            "slots": len(slots),
            "slots_expected": len(truth.moments),
        }
        for where, found in sorted(by_cell.items())
    ]


def _is_near(before: tuple[float, float], after: tuple[float, float]) -> bool:
    north, east = abs(after[0] - before[0]), abs(after[1] - before[1])
    return north < 0.001 and east < 0.0015


OF_STATIONS: Mapping[str, Callable[[Truth], Rows]] = {
    report.__name__: report
    for report in (
        *(availability, episodes, reliability, chance, changes, coverage, snapshot),
        *(stations, history, hours, days, typical, scarcity, neighbours),
    )
}
OF_VEHICLES: Mapping[str, Callable[[Truth], Rows]] = {
    report.__name__: report
    for report in (vehicles, vehicle_grid, vehicle_idle, vehicle_ids)
}
