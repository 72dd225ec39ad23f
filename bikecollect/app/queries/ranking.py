"""Rankings of stations that have enough data."""

from collections.abc import Mapping, Sequence
from statistics import median_high
from typing import Any

from bikecollect.core.text import count_of, percent

ORDERS = {
    "Most often without a bike": "share_empty",
    "Most often without a dock": "share_full",
    "Most reliable": "share_with_vehicle",
}
"""The column by which stations are ranked, the highest values first."""
MIN_SEEN = 0.5
RULE = (
    "A station is not ranked if it was seen less than half as often as others, was "
    "closed for half of the time or more, or never had a bike. Slots in which it was "
    "closed do not count as without a bike or a dock."
)


def rankable(rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Return, for each of *rows* of the report ``reliability``, if it can be ranked.

    Stations that were closed for half of the time, or that never had a bike (depots),
    would be first in a ranking although that is not the riders' experience. Others are
    compared by their median share of slots seen: a station that is new after an outage,
    and always seen since, does not exclude all others.

    >>> row = {"share_inactive": 0, "share_with_vehicle": 0.5}
    >>> rankable([row | {"share_seen": share} for share in (0.1, 0.3, 0.4, 1)])
    [False, True, True, True]
    """
    shares = [row["share_seen"] or 0 for row in rows]
    usual = median_high(shares) if shares else 0
    return [
        (row["share_seen"] or 0) >= MIN_SEEN * usual
        and (row["share_inactive"] or 0) < MIN_SEEN
        and (row["share_with_vehicle"] or 0) > 0
        for row in rows
    ]


def least_basis(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the minimum basis and on the number of ranked stations.

    >>> row = {"share_seen": 1, "share_inactive": 0, "share_with_vehicle": 0.5}
    >>> least_basis([row | {"slots_seen": 900}, row | {"slots_seen": 880}])
    '2 of 2 stations are ranked, each seen in at least 880 slots.'
    """
    pairs = zip(rows, rankable(rows), strict=True)
    seen = [row["slots_seen"] for row, has_basis in pairs if has_basis]
    text = f"{len(seen):,} of {len(rows):,} stations are ranked"
    if not seen:
        return f"{text}."
    return f"{text}, each seen in at least {count_of(min(seen), 'slot')}."


def ranked(rows: Sequence[Mapping[str, Any]], column: str) -> list[Mapping[str, Any]]:
    """Return the rankable *rows* that have *column*, the highest values first.

    >>> one = {"share_seen": 1, "share_inactive": 0, "share_with_vehicle": 0.5}
    >>> rows = [{**one, "station_id": "7", "share_full": s} for s in (0, None, 0.1)]
    >>> [row["share_full"] for row in ranked(rows, "share_full")]
    [0.1, 0]
    """
    kept = zip(rows, rankable(rows), strict=True)
    some = [row for row, has_basis in kept if has_basis and row[column] is not None]
    return sorted(some, key=lambda row: (-row[column], row["station_id"]))


def without_order(values: Sequence[float], most: int) -> int:
    """Return how many of the first of the ranked *values* are equal, 0 up to *most*.

    None of so many stations is first.

    >>> without_order([1.0, 1.0, 0.5], 1), without_order([1.0, 1.0], 2)
    (2, 0)
    """
    count = values.count(values[0]) if values else 0
    return count if count > most else 0


def tied(values: Sequence[float], most: int) -> str:
    """Return a sentence if the first ones of the ranked *values* are equal, or empty.

    >>> tied([1.0, 1.0, 0.5], 15), tied([1.0, 0.5], 15), tied([], 15)
    ('The first 2 are equal: they are in the order of their ids.', '', '')
    >>> tied([1.0, 1.0, 0.5], 1)
    '2 stations are equal, with 100 %: none of them is first.'
    """
    if count := without_order(values, most):
        share = percent(values[0])
        return f"{count:,} stations are equal, with {share}: none of them is first."
    if values[:1] != values[1:2] or not values:
        return ""
    count = values.count(values[0])
    return f"The first {count:,} are equal: they are in the order of their ids."
