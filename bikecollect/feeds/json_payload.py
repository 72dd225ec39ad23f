"""Bytes to JSON, strictly, and what the JSON looks like."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NoReturn

from bikecollect.core.errors import PayloadError

MOST_BAD = 0.2
_WORDS = {bool: "bool", int: "int", float: "float", str: "str", list: "list"}
_WORDS |= {dict: "object", type(None): "null"}


@lru_cache(maxsize=2)
def decode(body: bytes) -> Any:
    """Return the JSON in *body*; raises PayloadError where it is none.

    The last bodies are remembered, for a fetch looks at what is read again at the
    commit: nobody may change what this returns. NaN and Infinity are no JSON; raw
    control characters in texts, which are none either, do no harm.
    """
    if not body.strip():
        raise PayloadError("the answer is empty", cause="empty")
    try:
        return json.loads(body, parse_constant=_refuse, strict=False)
    except (ValueError, RecursionError) as error:
        start = body[:60].decode("utf-8", "backslashreplace")
        what = str(error).partition("\n")[0][:120]
        raise PayloadError(
            f"the answer is not JSON ({type(error).__name__}: {what})",
            cause="not-json",
            quote=f"; it begins with {start!r}",
        ) from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def at(value: Any, path: str) -> Any:
    """Return what lies at the dotted *path* in *value*, None where nothing does.

    >>> at({"a": [{"b": 1}]}, "a.0.b"), at({}, "a.b")
    (1, None)
    """
    for step in path.split(".") if path not in {"", "."} else ():
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def objects(stations: Any, what: str) -> list[Any]:
    """Return *stations* as a list; raises PayloadError where it is none, or empty."""
    if isinstance(stations, Mapping):
        stations = list(stations.values())
    if not isinstance(stations, list):
        kind = _WORDS.get(type(stations), "nothing")
        raise PayloadError(f"{what} is no list of stations but {kind}")
    if not stations:
        raise PayloadError(f"{what} has no stations", cause="no-stations")
    return stations


def shape(stations: Sequence[Any]) -> dict[str, str]:
    """Return the JSON types of each field that at least half of *stations* have."""
    found = [each for each in stations if type(each) is dict]
    fields = Counter(chain.from_iterable(found))
    return {
        name: "|".join(sorted(_WORDS[kind] for kind in _types(found, name, number)))
        for name, number in sorted(fields.items())
        if number * 2 >= len(found)
    }


def _types(found: Sequence[dict[str, Any]], name: str, number: int) -> set[type]:
    if number == len(found):
        return set(map(type, map(itemgetter(name), found)))
    return {type(each[name]) for each in found if name in each}


def too_many_bad(bad: int, total: int, example: str) -> None:
    """Raise PayloadError where more than a fifth of *total* stations are *bad*."""
    if bad > total * MOST_BAD:
        raise PayloadError(
            f"{bad} of {total} stations cannot be read",
            quote=f", such as {example[:200]}",
        )


def missing(
    stations: Sequence[Any], column: str, known: Iterable[str], ours: Collection[str]
) -> PayloadError:
    """Return the error that names the field for *column*, which no station has.

    *ours* are all field names of the dialect: what is none of them may be the new
    name of the one that is gone.
    """
    fields = shape(stations).items()
    strange = [f"{name} ({kind})" for name, kind in fields if name not in ours]
    return PayloadError(
        f"no station has a known field for {column} (known: {', '.join(known)}); "
        f"fields that nobody knows: {', '.join(strange) or 'none'}",
        cause="drift",
    )
