"""Recognise station ids that the publisher writes otherwise than before."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from bikecollect.collect.reading import positions
from bikecollect.core.snapshot import StationInformation

FEW = 3
"""Minimum ids in another spelling: fewer may be new stations."""
NEAR = 1e-3
"""Degrees between two places of one station: a hundred metres."""
_SEPARATED = re.compile("[:/]")
Stations = Mapping[str, StationInformation]


def respelt_findings(
    ids: Collection[str], known: Stations, listed: Stations
) -> dict[str, str]:
    """Return a finding if several *ids* are *known* ones in another spelling.

    That is, with other zeros in front, in another case, or with another prefix; the
    known one must be gone, no other id may be alike, and name or place must agree with
    the station *listed* now, as far as they are published.

    >>> known = {i: StationInformation(i) for i in "789"}
    >>> found = respelt_findings(["007", "008", "X:9"], known, {})
    >>> list(found.values())[0][:56]
    '3 of 3 stations have a known id in another spelling, suc'
    >>> respelt_findings(["7", "007", "008", "009"], known, {})
    {}
    """
    present = set(ids)
    gone = _distinct(i for i in known if i not in present)
    new = _distinct(i for i in present if i not in known)
    pairs = [
        (gone[bare], new[bare])
        for bare in sorted(gone.keys() & new.keys())
        if _are_alike(gone[bare], new[bare], known, listed)
    ]
    if len(pairs) < FEW:
        return {}
    (old, newer), *_ = pairs
    text = f"{len(pairs)} of {len(ids)} stations have a known id in another spelling, "
    text += f"such as {newer} for {old}: they are stored as new stations, without the "
    return {"respelt ids": f"{text}history of the known ones"}


def _distinct(ids: Iterable[str]) -> dict[str, str]:
    """Return those of *ids* that differ from all others, by what is left of them."""
    pairs = [(_plain(station_id), station_id) for station_id in ids]
    number = Counter(bare for bare, _ in pairs)
    return {bare: one for bare, one in pairs if bare and number[bare] == 1}


def _are_alike(old: str, new: str, known: Stations, listed: Stations) -> bool:
    """Return whether *old* and *new* are one station, by name, place or prefix."""
    one, other = known.get(old), listed.get(new)
    if one and other and (one.name or one.lat) and (other.name or other.lat):
        distance = positions.apart(one, other)
        is_named = one.name is not None and one.name == other.name
        return is_named or (distance is not None and distance < NEAR)
    prefixes = {_prefix(old), _prefix(new)}
    return len(prefixes) == 1 or "" in prefixes  # others may be of two cities


def _prefix(station_id: str) -> str:
    return "".join(_SEPARATED.split(station_id.rstrip(":/"))[:-1]).casefold()


def _plain(station_id: str) -> str:
    """Return *station_id* without what publishers change about it, empty for nothing.

    >>> _plain("VIE:Station:0071"), _plain("71.0"), _plain("00"), _plain("a/7/")
    ('71', '71', '', '7')
    """
    last = _SEPARATED.split(station_id.rstrip(":/"))[-1].removesuffix(".0")
    return re.sub(r"[\W_]", "", last).casefold().lstrip("0")
