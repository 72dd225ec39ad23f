"""Values as publishers write them, read tolerantly: nonsense becomes None."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from bikecollect.core.text import clean
from bikecollect.feeds.reading.json_payload import excerpt

LONGEST, LONGEST_ID = 1_024, 255
"""Bytes of a text, and letters of an id."""
CUT = "\u2026"
MOST = 99_998
"""The largest count that is believed; 99,999 and 999,999 are sentinels (gbfs #806)."""
SENTINELS = frozenset({999, 9_999, 99_999, 999_999})
"""What publishers write for "no limit", and for "not known"."""
LEAST_SENTINEL = min(SENTINELS)


def text(value: Any) -> str | None:
    """Return *value* as clean text, None where it says nothing.

    What has more than `LONGEST` bytes is cut, and ends in `CUT`.

    >>> text(" a "), text(12), text(""), text(None), text([])
    ('a', '12', None, None, None)
    >>> len(text("站" * 70_000).encode())
    1023
    """
    found = _whole(value)
    if found is None or len(found) * 4 <= LONGEST:
        return found
    data = found.encode("utf-8")
    if len(data) <= LONGEST:
        return found
    return data[: LONGEST - len(CUT.encode())].decode("utf-8", "ignore") + CUT


def identifier(value: Any) -> str | None:
    """Return *value* as an id, None where it is none.

    One of more than `LONGEST_ID` letters is none: cut, it might be that of another.
    """
    found = _whole(value)
    return None if found is None or len(found) > LONGEST_ID else found


def cut(found: str | None) -> bool:
    """Return whether *found*, as `text` returned it, is not all that was said."""
    return found is not None and len(found) * 4 > LONGEST and found.endswith(CUT)


def _whole(value: Any) -> str | None:
    if type(value) is str:
        return (value if value.isprintable() else clean(value)).strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    infinite = isinstance(value, float) and not math.isfinite(value)
    return None if infinite else str(value)


def count(value: Any) -> int | None:
    """Return *value* as a count, None where it is none or not to be believed.

    >>> count("7"), count(7.0), count(-1), count(True), count("x"), count(7.5)
    (7, 7, None, None, None, None)
    >>> count(" 7.0 "), count("1e3")
    (7, None)
    """
    if type(value) is int:
        return value if 0 <= value <= MOST else None
    if isinstance(value, str):
        whole, _, rest = value.strip().partition(".")
        if not whole.isdecimal() or rest.strip("0"):
            return None
        return count(int(whole)) if len(whole) <= 6 else None  # noqa: PLR2004 - digits of MOST
    if isinstance(value, float) and value.is_integer():
        return count(int(value))
    return None


class Counts:
    """Reads the counts of many stations; remembers which were none.

    By column: how many were *implausible* (-1, 999, 7.5), how many *unread* (not a
    number at all), and an *example* of them.
    """

    def __init__(self) -> None:
        self.implausible: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.example: dict[str, str] = {}

    def column(self, name: str, values: Iterable[Any]) -> list[int | None]:
        """Return *values* as counts of the column *name*, None where they are none."""
        return [
            value
            if type(value) is int and 0 <= value < LEAST_SENTINEL
            # Most are small numbers: these need no call.
            else self(name, value)
            for value in values
        ]

    def __call__(self, column: str, value: Any) -> int | None:
        """Return *value* as a count of *column*, None where it is none."""
        if value is None or value == "":
            return None
        found = count(value)
        if found is not None and found not in SENTINELS:
            return found
        kind = self.unread if number(value) is None else self.implausible
        kind[column] += 1
        if column not in self.example:
            self.example[column] = excerpt(value)
        return None


def flag(value: Any) -> bool | None:
    """Return *value* as true, false, or None for not said.

    >>> flag("0"), flag("false"), flag(1), flag("yes"), flag(None), flag(2)
    (False, False, True, True, None, None)
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str and value in _FLAGS:
        return _FLAGS[value]
    if not isinstance(value, str | int | float):
        return None
    return _FLAGS.get(str(value).strip().lower())


_FLAGS = {"1": True, "true": True, "yes": True, "y": True}
_FLAGS |= {"0": False, "false": False, "no": False, "n": False}


def number(value: Any) -> float | None:
    """Return *value* as a finite number, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def place(lat: Any, lon: Any) -> tuple[float | None, float | None]:
    """Return degrees north and east, both None where they are no place on earth.

    >>> place("25.02", 121.5), place(0, 0), place("", ""), place(121.5, 500)
    ((25.02, 121.5), (None, None), (None, None), (None, None))
    """
    north, east = number(lat), number(lon)
    if north is None or east is None or (north == 0 and east == 0):
        return None, None
    if abs(north) > 90 or abs(east) > 180:  # noqa: PLR2004 - the poles, the date line
        return None, None
    return north, east
