"""Parse single values as publishers write them; invalid ones become None."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

from bikecollect.core.text import clean
from bikecollect.feeds.reading.json_payload import excerpt

Value = TypeVar("Value")
RawCounts = Mapping[str, Any]
"""One station's unparsed counts of vehicles: the total, and those by type."""
MAX_TEXT, MAX_ID = 1_024, 255
"""Longest text in bytes, and longest id in characters."""
SHORT = MAX_TEXT // 4
"""Characters of a text that cannot have more than `MAX_TEXT` bytes."""
CUT, DAMAGED = "\u2026", "\ufffd"
"""The end of a truncated text, and the replacement of bytes that are not UTF-8."""
MAX_COUNT = 99_998
"""The largest plausible count; 99,999 and 999,999 are sentinels (gbfs #806)."""
SENTINELS = frozenset({999, 9_999, 99_999, 999_999, 32_767, 65_535})
"""Values that publishers write for "no limit" and for "unknown"."""
NOTHING = frozenset({"-", "--", "?", "n/a", "na", "nan", "nil", "none", "null"})
"""Texts that publishers write for "no value", in any case."""
MIN_SENTINEL = min(SENTINELS)
_EXACT = 2**53
"""Whole floats below it are exact."""


def text(value: Any) -> str | None:
    """Return *value* as clean text, None if it is empty or not a text.

    A text of more than `MAX_TEXT` bytes is truncated and ends in `CUT`.

    >>> text(" a "), text(12), text(12.0), text(""), text(None), text([])
    ('a', '12', '12', None, None, None)
    >>> len(text("站" * 70_000).encode())
    1023
    """
    if type(value) is str and len(value) <= SHORT and value.isprintable():
        return value.strip() or None  # fast path for most texts
    cleaned = _cleaned(value)
    if cleaned is None or len(cleaned) <= SHORT:
        return cleaned
    data = cleaned.encode("utf-8")
    if len(data) <= MAX_TEXT:
        return cleaned
    return data[: MAX_TEXT - len(CUT.encode())].decode("utf-8", "ignore") + CUT


def plain_texts(values: Sequence[Any], longest: int = SHORT) -> list[str | None] | None:
    """Return `text` of each of *values* if none is long, damaged or not a text.

    With `MAX_ID` as *longest*, it returns `identifier` of each of them. None for any
    other values. It is several times as fast as a call for each of them.

    >>> plain_texts([" a ", "", None]), plain_texts(["a", 12]), plain_texts([DAMAGED])
    (['a', None, None], None, None)
    """
    texts = [value for value in values if value is not None]
    try:
        joined = "".join(texts)
    except TypeError:
        return None
    is_short = max(map(len, texts), default=0) <= longest
    if not is_short or not joined.isprintable() or DAMAGED in joined:
        return None
    return [None if value is None else value.strip() or None for value in values]


def identifier(value: Any) -> str | None:
    """Return *value* as an id, None if it is not one.

    An id of more than `MAX_ID` characters, or with damaged ones, is rejected: it could
    equal another station's.

    >>> identifier(12), identifier(12.0), identifier("12.0")  # 12.0 is 12 in JSON
    ('12', '12', '12.0')
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    station_id = _cleaned(value)
    if station_id is None or len(station_id) > MAX_ID or DAMAGED in station_id:
        return None
    return station_id


def is_cut(text: str | None) -> bool:
    """Return whether `text` truncated the value that it returned as *text*."""
    return text is not None and len(text) > SHORT and text.endswith(CUT)


def _cleaned(value: Any) -> str | None:
    if type(value) is str:
        return (value if value.isprintable() else clean(value)).strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if is_whole and abs(value) < _EXACT else value)


def count(value: Any) -> int | None:
    """Return *value* as a count, None if it is not one or implausible.

    >>> count("7"), count(7.0), count(-1), count(True), count("x"), count(7.5)
    (7, 7, None, None, None, None)
    >>> count(" 7.0 "), count("1e3")
    (7, None)
    """
    if type(value) is int:
        return value if 0 <= value <= MAX_COUNT else None
    if isinstance(value, str):
        integer, _, fraction = value.strip().partition(".")
        if not integer.isdecimal() or fraction.strip("0"):
            return None
        return count(int(integer)) if len(integer) <= 6 else None  # noqa: PLR2004 - digits of MAX_COUNT
    if isinstance(value, float) and value.is_integer():
        return count(int(value))
    return None


class Counts:
    """Parses the counts of many stations and tallies the invalid ones.

    By column: the number of *implausible* values (-1, 999, 7.5), the number of *unread*
    ones (not numbers), and an example of each: *example*, *unread_example*.
    """

    def __init__(self) -> None:
        self.implausible: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.example: dict[str, str] = {}
        self.unread_example: dict[str, str] = {}

    def column(self, name: str, values: Iterable[Any]) -> list[int | None]:
        """Return *values* as counts of the column *name*, None for invalid ones."""
        return [
            value
            # Most values are absent or small numbers, which need no call.
            if value is None or (type(value) is int and 0 <= value < MIN_SENTINEL)
            else self(name, value)
            for value in values
        ]

    def __call__(self, column: str, value: Any) -> int | None:
        """Return *value* as a count of *column*, None if it is invalid."""
        if value is None or value == "" or is_nothing(value):
            return None
        parsed = count(value)
        if parsed is not None and parsed not in SENTINELS:
            return parsed
        tally, examples = self.implausible, self.example
        if number(value) is None:
            tally, examples = self.unread, self.unread_example
        tally[column] += 1
        if column not in examples:
            examples[column] = excerpt(value)
        return None


def is_nothing(value: Any) -> bool:
    """Return whether *value* is a text that says that there is no value."""
    return isinstance(value, str) and value.strip().casefold() in {"", *NOTHING}


def flag(value: Any) -> bool | None:
    """Return *value* as true or false, None if it is neither.

    >>> flag("0"), flag("false"), flag(1), flag("yes"), flag(None), flag(2)
    (False, False, True, True, None, None)
    >>> flag("OPEN"), flag("CLOSED"), flag("Not_In-Service"), flag("unknown")
    (True, False, False, None)
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str and value in _FLAGS:
        return _FLAGS[value]
    if not isinstance(value, str | int | float):
        return None
    word = str(value).strip().lower()
    return _FLAGS.get(word.replace("_", " ").replace("-", " "))


def plain_flags(values: Sequence[Any]) -> list[bool | None] | None:
    """Return `flag` of each of *values* if all are booleans, 0 or 1, or known texts.

    None for any other values. Several times as fast as a call for each of them.

    >>> plain_flags([1, False]), plain_flags(["yes", "0"])
    ([True, False], [True, False])
    >>> [plain_flags(values) for values in ([1, 2], ["Yes"], [1.0], [1, None])]
    [None, None, None, None]
    """
    kinds = set(map(type, values))
    if kinds <= {int, bool}:
        is_plain = values.count(0) + values.count(1) == len(values)
        return list(map(bool, values)) if is_plain else None
    if kinds == {str} and _FLAGS.keys() >= set(values):
        return list(map(_FLAGS.__getitem__, values))
    return None


_TRUE = """1|1.0|true|yes|y|t|on|open|opened|online|active|aktiv|in service|operative
|operational|enabled|oui|ouvert|ouverte|en service|en fonctionnement|abierta|opn
|available|fullservice"""
_FALSE = """0|0.0|false|no|n|f|off|closed|close|offline|inactive|inaktiv|not in service
|out of service|inoperative|disabled|suspended|maintenance|under maintenance|planned
|non|ferme|fermé|fermee|fermée|hors service|en maintenance|cerrada|cls
|unavailable|comingsoon|work in progress"""
_FLAGS = {
    word.strip(): is_true
    for words, is_true in ((_TRUE, True), (_FALSE, False))
    for word in words.split("|")
}


def number(value: Any) -> float | None:
    """Return *value* as a finite number, None if it is not one."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def degrees(value: Any) -> float | None:
    """Return the coordinate *value* as a number, None if it is not one.

    A text may have a decimal comma: no coordinate is in the thousands.

    >>> degrees("48,856"), degrees("48,856,1"), degrees(2.352)
    (48.856, None, 2.352)
    """
    return number(value.replace(",", ".") if isinstance(value, str) else value)


def place(lat: Any, lon: Any) -> tuple[float | None, float | None]:
    """Return latitude and longitude, both None if they are not valid coordinates.

    >>> place("25.02", 121.5), place(0, 0), place("", ""), place(121.5, 500)
    ((25.02, 121.5), (None, None), (None, None), (None, None))
    """
    if type(lat) is type(lon) is float and -90 < lat < 90 and 0 < abs(lon) < 180:  # noqa: PLR2004 - the poles, the date line
        return lat, lon  # nearly all places
    north, east = degrees(lat), degrees(lon)
    if north is None or east is None or (north == 0 and east == 0):
        return None, None
    if abs(north) > 90 or abs(east) > 180:  # noqa: PLR2004 - the poles, the date line
        return None, None
    return north, east


def distinct(ids: Sequence[str | None], seconds: Sequence[Any]) -> Sequence[str | None]:
    """Return *ids* with duplicates made distinct by second keys, *seconds*.

    If several stations have one id, and their second key (column ``second_id``)
    distinguishes them, their id becomes ``id:second``.

    >>> distinct(["1", "a", "1", "a"], [None, 7, None, 7])
    ['1', 'a', '1', 'a']
    >>> distinct(["a", "a", None], [7, 8, 9])
    ['a:7', 'a:8', None]
    """
    if len(set(ids)) == len(ids):
        return ids
    duplicates = {i for i, number in Counter(ids).items() if number > 1}
    keys = [
        identifier(second) if i in duplicates else None
        for i, second in zip(ids, seconds, strict=True)
    ]
    keys_of: dict[str | None, set[str]] = {i: set() for i in duplicates}
    for station_id, key in zip(ids, keys, strict=True):
        if key:
            keys_of[station_id].add(key)
    return [
        f"{i}:{key}" if i and key and len(keys_of[i]) > 1 else i
        for i, key in zip(ids, keys, strict=True)
    ]


def in_language(values: Mapping[str, Value], language: str) -> Value | None:
    """Return one of *values*, by language: in *language*, or in a variety of it.

    >>> in_language({"de": 1, "fr-CA": 2}, "FR"), in_language({"de": 1}, "fr")
    (2, None)
    """
    wanted, primary = language.casefold(), _primary(language)
    same = (value for tag, value in values.items() if tag.casefold() == wanted)
    varieties = (value for tag, value in values.items() if _primary(tag) == primary)
    return next(chain(same, varieties), None)


def english(value: Any) -> str | None:
    """Return the English one of localised texts, None if there is none.

    >>> english([{"text": "Gare", "language": "fr"}])
    >>> english([{"text": "Gare", "language": "fr"}, {"text": "X", "language": "en"}])
    'X'
    """
    is_text = not isinstance(value, list | Mapping)
    return None if is_text else in_language(_by_language(value), "en")


def localised(value: Any, language: str) -> str | None:
    """Return a plain text, or one of localised texts: in *language*, else the first."""
    if not isinstance(value, list | Mapping):
        return text(value)
    texts = _by_language(value)
    return in_language(texts, language) or next(iter(texts.values()), None)


def _by_language(value: list[Any] | Mapping[str, Any]) -> dict[str, str]:
    """Return the texts in *value* that are not empty, by language.

    Some publishers write an object in place of the list: a single text, or all texts by
    their language.
    """
    items = value if isinstance(value, list) else [value]
    if isinstance(value, Mapping) and "text" not in value:
        items = [{"language": tag, "text": content} for tag, content in value.items()]
    texts = {
        str(item.get("language")).strip(): text(item.get("text"))
        for item in items
        if isinstance(item, dict)
    }
    return {language: content for language, content in texts.items() if content}


def _primary(tag: str) -> str:
    """Return the language of *tag* without region or script."""
    return tag.casefold().replace("_", "-").partition("-")[0]
