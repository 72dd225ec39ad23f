"""Drift: describe how the fields of a feed have changed, or cannot be read."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import REPORTED_SHARE
from bikecollect.feeds.reading.aliases import EMPTY
from bikecollect.feeds.reading.json_payload import MAX_BAD, at, excerpt, shape
from bikecollect.feeds.reading.stamps import FIRST_STAMP
from bikecollect.feeds.reading.values import (
    SENTINELS,
    count,
    degrees,
    is_nothing,
    number,
    place,
)

MAX_CHANGES = 12
BEGINNING = 4_096
"""Bytes in which repeated fields are looked for."""
PLACE = ("lat", "lon")
FARTHEST = 21_000_000
"""Larger than any coordinate in metres."""
PARTS_OF_DEGREE = (1_000_000, 10_000_000)
"""In so many parts of a degree, coordinates larger than `FARTHEST` are a place."""
FEW = 1
"""Unreadable values at more stations than these are reported."""


def nameless(dropped: int, total: int, unit: str, example: str) -> dict[str, str]:
    """Return the finding that *dropped* of *total* rows, which are *unit*, have no id.

    A few of some feeds never have one. *example* is such a row.
    """
    text = f"{dropped} of {total} {unit} have no id that can be read and are not stored"
    return {"nameless": f"{text}, such as {example[:200]}"}


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each field that is gone, new or retyped.

    Both map a field to its JSON types ("int|null"). Null is not counted as a type.

    >>> compare({"total": "int"}, {"Quantity": "int"})
    ('field total is gone', 'field Quantity (int) is new')
    """
    gone = [f"field {name} is gone" for name in before if name not in after]
    new = [f"field {k} ({kind}) is new" for k, kind in after.items() if k not in before]
    retyped = [
        f"field {name} changed from {before[name]} to {kind}"
        for name, kind in after.items()
        if name in before and not _types(kind) <= _types(before[name])
    ]
    changes = (*gone, *new, *retyped)
    more = len(changes) - MAX_CHANGES
    rest = (f"{more} more fields are gone, new or retyped",) if more > 0 else ()
    return (*changes[:MAX_CHANGES], *rest)


def _types(kind: str) -> set[str]:
    return set(kind.split("|")) - {"null"}


def repeated(body: bytes) -> dict[str, str]:
    """Return a sentence for each field that an object has twice, with other values.

    JSON allows that, and the last value is read. The beginning of *body* is looked at:
    the stations of a list have the same fields.

    >>> repeated(b'[{"id": "a", "bikes": 3, "bikes": 5, "id": "a"}, {"id": ')
    {"repeated 'bikes'": "an object has 'bikes' twice, as 3 and 5: the last is read"}
    >>> list(repeated(b'{"01:00": 1, "01:00": 2, "01:05": 1, "01:05": 2}'))
    ['repeated name']
    >>> repeated(b'{"load": NaN, "load": NaN}')
    {}
    """
    found: dict[str, str] = {}

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        for name, value in pairs if len(values) < len(pairs) else ():
            if [value] != [values[name]]:  # in a list, NaN is equal to itself
                field, first, last = map(excerpt, (name, value, values[name]))
                text = f"an object has {field} twice, as {first} and {last}"
                # Ids and times as names would be a new finding in each slot.
                key = f"repeated {field}" if name.isidentifier() else "repeated name"
                found.setdefault(key, f"{text}: the last is read")
        return values

    text = body[:BEGINNING].decode("utf-8", "replace").lstrip("\ufeff")
    with suppress(ValueError, RecursionError):  # it ends in the middle of an object
        json.loads(text, object_pairs_hook=read, strict=False)
    return dict(islice(found.items(), MAX_CHANGES))


def no_numbers(name: str, body: bytes) -> dict[str, str]:
    """Return a finding if *body*, the document *name*, has numbers that JSON has not.

    Programs in Python write NaN for what is missing. `decode` reads them as null.

    >>> list(no_numbers("list", b'{"lat": NaN, "name": "Infinity"}').values())
    ['list has NaN, which JSON does not have: it is read as an empty value']
    >>> no_numbers("list", b'{"name": "Infinity"}')
    {}
    """
    if b"NaN" not in body and b"Infinity" not in body:
        return {}
    match = re.search(rb'(?:"\s*:|\[)\s*(-?(?:NaN|Infinity))\s*[,}\]]', body)
    if match is None:
        return {}
    text = f"{name} has {match[1].decode()}, which JSON does not have: it is read as an"
    return {f"no numbers {name}": f"{text} empty value"}


class Column(NamedTuple):
    """The *values* of a column by station, and the *raw* ones in its *fields*.

    The raw values of ``lat`` are pairs of both coordinates; *of_lon* are the fields of
    the other one.
    """

    values: Sequence[Any]
    raw: Sequence[Any]
    fields: Sequence[str]
    of_lon: Sequence[str] = ()


def unread(columns: Mapping[str, Column]) -> dict[str, str]:
    """Return a sentence for each of *columns* with unreadable values, by a key.

    If several columns are in one field, the first decides.

    >>> columns = {"name": Column([None, None, "b"], [["a"], ["a"], "b"], ["sna"])}
    >>> unread(columns)["unreadable name"]
    "name cannot be read at 2 of 3 stations, such as ['a']: it is empty there"
    """
    read = {
        field
        for column in columns.values()
        for field in column.fields
        if column.values.count(None) < len(column.values)
    }
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name, column in columns.items():
        fields, total = set(column.fields), len(column.values)
        bad = _bad_values(column)
        if column.values.count(None) == total:
            if bad and read.isdisjoint(fields):
                read |= fields
                text = f"no value of {' or '.join(column.fields)} can be read, such as "
                text = f"{name} is empty at every station: {text}{_shown(bad[0])}"
                text += _guess(bad[0]) if name == "lat" else ""
                half = _half(column, bad) if name == "lat" else ""
                found[f"unread {name}"] = half or text
        elif bad and seen.isdisjoint(fields):
            bad = [raw for raw in bad if not _is_absent(name, raw)]
            if len(bad) > FEW and len(bad) >= total * REPORTED_SHARE:
                found[f"unreadable {name}"] = (
                    f"{name} cannot be read at {len(bad)} of {total} stations, such as "
                    f"{_shown(bad[0])}: it is empty there"
                )
        seen |= fields
    return found


def _shown(raw: Any) -> str:
    """Return *raw*, a value or the pair of both coordinates, for a message.

    >>> _shown("x"), _shown((50.0, None))
    ("'x'", 'lat 50.0, lon null')
    """
    if not isinstance(raw, tuple):
        return excerpt(raw)
    return ", ".join(f"{n} {excerpt(v)}" for n, v in zip(PLACE, raw, strict=True))


def _half(column: Column, bad: Sequence[tuple[Any, Any]]) -> str:
    """Return a sentence if all *bad* pairs lack the same coordinate, else nothing.

    >>> print(_half(Column([None], [], ["p.la"], ["p.xx"]), [(50.0, None)]))
    lat and lon are empty: no station has a value for lon (p.xx), only for lat (p.la)
    """
    names = (column.fields, column.of_lon)
    texts = [
        f"{n} ({' or '.join(f)})" if f else n for n, f in zip(PLACE, names, strict=True)
    ]
    for lost, other in ((0, 1), (1, 0)):
        if all(pair[lost] is None for pair in bad):
            text = f"no station has a value for {texts[lost]}, only for {texts[other]}"
            return f"lat and lon are empty: {text}"
    return ""


def _guess(raw: Any) -> str:
    """Return what the pair *raw*, latitude and longitude, may be instead.

    >>> _guess((121.5, 25.0)), _guess(("48100000", "16300000")), _guess((0, 0))
    ('; both may be exchanged', '; they may be in parts of a degree', '')
    >>> _guess((999, 999)), _guess((5_340_000, 1_820_000)), _guess((99999999, 99999999))
    ('', '', '')
    """
    lat, lon = map(degrees, raw)
    if lat is None or lon is None or not (lat or lon):
        return ""
    if place(lon, lat) != (None, None):
        return "; both may be exchanged"
    is_in_parts = lat != lon and max(abs(lat), abs(lon)) > FARTHEST
    is_place = any(place(lat / n, lon / n) != (None, None) for n in PARTS_OF_DEGREE)
    return "; they may be in parts of a degree" if is_in_parts and is_place else ""


def rivals(
    columns: Mapping[str, Sequence[str]], stations: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Return a sentence for each of *columns* whose fields have different counts.

    A publisher that renames a field may write both for a while, and one of them may
    stand still or be 0.

    >>> stations = [{"total": 0, "tot": "7"}, {"total": 0, "tot": 9}]
    >>> print(*rivals({"capacity": ["total", "tot"]}, stations).values())
    total and tot differ at 2 of 2 stations, such as 0 and '7': total is stored
    """
    found: dict[str, str] = {}
    pairs = [(c, names[0], name) for c, names in columns.items() for name in names[1:]]
    for column, first, other in pairs:
        values = [(at(station, first), at(station, other)) for station in stations]
        odd = [pair for pair in values if _differ(*pair)]
        if len(odd) > FEW and len(odd) >= len(stations) * REPORTED_SHARE:
            example = " and ".join(map(excerpt, odd[0]))
            text = (
                f"{first} and {other} differ at {len(odd)} of {len(stations)} stations"
            )
            text += f", such as {example}: {first} is stored"
            found.setdefault(f"rivals {column}", text)
    return found


def _differ(one: Any, other: Any) -> bool:
    counts = count(one), count(other)
    return counts[0] != counts[1] and SENTINELS.union({None}).isdisjoint(counts)


def _bad_values(column: Column) -> list[Any]:
    """Return the raw values of *column* that could not be read."""
    if None not in column.values:
        return []
    pairs = zip(column.raw, column.values, strict=True)
    empty = (None, (None, None))
    return [raw for raw, value in pairs if value is None and raw not in empty]


def _is_absent(name: str, raw: Any) -> bool:
    """Return whether *raw* says that there is no value for the column *name*.

    For example a stamp that is too early, the place 0, 0, an empty list or object.
    """
    if name == "lat":
        return all(_is_empty(value) or degrees(value) == 0 for value in raw)
    return _is_empty(raw) or (name == "last_reported" and is_zero(raw))


def _is_empty(raw: Any) -> bool:
    return raw in (*EMPTY, False, [], {}) or is_nothing(raw)


def is_zero(value: Any) -> bool:
    """Return whether *value*, a stamp, is too early, as publishers write for none.

    The zero of Unix, Go or MySQL, for example, as a number or as a date.

    >>> is_zero(18_001), is_zero("0001-01-01T00:00:00Z"), is_zero("0000-00-00")
    (True, True, True)
    >>> is_zero(1_800_000_000), is_zero("2026-01-01"), is_zero("never"), is_zero(None)
    (False, False, False, False)
    """
    seconds = number(value)
    if seconds is not None:
        return seconds < FIRST_STAMP
    return isinstance(value, str) and bool(re.match(r"\s*[01]\d{3}[-/]", value))


def check_bad(bad: int, total: int, example: str) -> None:
    """Raise PayloadError if more than a fifth of *total* stations are *bad*."""
    if bad > total * MAX_BAD:
        raise PayloadError(
            f"{bad} of {total} stations cannot be read",
            quote=f", such as {example[:200]}",
        )


def missing_column(
    stations: Sequence[Any],
    column: str,
    spellings: Iterable[str],
    known_fields: Collection[str],
) -> PayloadError:
    """Return the error for *column*, which is in none of *stations*.

    The message lists the known *spellings*, and the fields that are not among the
    *known_fields* of the dialect: one of them may be the new name.
    """
    fields = shape(stations).items()
    unknown = [f"{name} ({kind})" for name, kind in fields if name not in known_fields]
    return PayloadError(
        f"no station has a known field for {column} (known: {', '.join(spellings)}); "
        f"unknown fields: {', '.join(unknown[:20]) or 'none'}",
        cause="drift",
    )


def no_objects(stations: Sequence[Any]) -> PayloadError:
    """Return the error for *stations* none of which is an object with fields."""
    text = "no entry of the list of stations is an object with fields"
    return PayloadError(text, quote=f", such as {excerpt(stations[0])[:200]}")
