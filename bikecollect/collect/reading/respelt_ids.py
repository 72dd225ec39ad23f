"""Recognise station ids that the publisher writes otherwise than before."""

import re
from collections.abc import Collection, Mapping

FEW = 3
"""Minimum ids in another spelling: fewer may be new stations."""


def respelt_findings(ids: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return a finding if several *ids* are *known* ones in another spelling.

    That is, with other zeros in front, in another case, or with another prefix; the
    known one must be gone.

    >>> list(respelt_findings(["007", "008", "X:9"], ["7", "8", "9"]).values())[0][:56]
    '3 of 3 stations have a known id in another spelling, suc'
    >>> respelt_findings(["7", "007", "008", "009"], ["7", "8"])
    {}
    """
    present = set(ids)
    gone: Mapping[str, str] = {_plain(i): i for i in known if i not in present}
    pairs = [
        (gone[plain], new)
        for new in ids
        if new not in known and (plain := _plain(new)) in gone
    ]
    if len(pairs) < FEW:
        return {}
    (old, new), *_ = pairs
    text = f"{len(pairs)} of {len(ids)} stations have a known id in another spelling, "
    text += f"such as {new} for {old}: here they are new stations, without the history "
    return {"respelt ids": f"{text}of the known ones"}


def _plain(station_id: str) -> str:
    """Return *station_id* without what publishers change about it.

    >>> _plain("VIE:Station:0071"), _plain("71.0"), _plain("00")
    ('71', '71', '')
    """
    last = re.split("[:/]", station_id)[-1].removesuffix(".0")
    return re.sub(r"[\W_]", "", last).casefold().lstrip("0")
