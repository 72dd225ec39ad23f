"""Bytes to JSON, strictly, and what the JSON looks like."""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from operator import itemgetter
from typing import Any, NoReturn, TypeVar

from bikecollect.core import process
from bikecollect.core.errors import PayloadError
from bikecollect.core.text import size

MOST_BAD = 0.2
MOST_STATIONS = 100_000
MOST_FIELDS, LONGEST_FIELD = 200, 500
"""Fields that a shape has, and the letters of a field's name."""
MOST_SHOWN = 3
"""Entries or items of an excerpt."""
MIB = 1024 * 1024
LIGHT = 48 * MIB
"""Weight up to which a body is remembered, and read without a bound of its own."""
MOST_WEIGHT = 384 * MIB
"""Beyond it a body is not even tried."""
MOST_MEMORY = 144 * MIB
"""Of a body together with all that is made of it (26,000 stations: 60 to 100 MiB)."""
MOST_SECONDS = 20.0
"""Of work for the stations of one list; 26,000 of them take one."""
PART = 64
WORST = 48
"""Times its size that JSON takes at most in memory: lists in lists."""
_NO_MARKS = bytes(set(range(256)) - set(b'{[,:"'))
_LATIN_1, _BMP = bytes(range(0xC4)), bytes(range(0xF0))
"""The bytes of UTF-8 of which characters up to U+00FF, and up to U+FFFF, consist."""
Item = TypeVar("Item")
_WORDS = {bool: "bool", int: "int", float: "float", str: "str", list: "list"}
_WORDS |= {dict: "object", type(None): "null"}


def decode(body: bytes) -> Any:
    """Return the JSON in *body*; raises PayloadError where it is none, or too much.

    The last bodies are remembered, for a fetch looks at what is read again at the
    commit: nobody may change what this returns. Heavy ones are not, and take no more
    than `MOST_MEMORY`. NaN and Infinity are no JSON; raw control characters in texts,
    which are none either, do no harm.
    """
    try:
        return _remembered(body)
    except _Heavy as heavy:
        weight = heavy.args[0]
    _remembered.cache_clear()
    if weight > MOST_WEIGHT:
        raise _too_large(body, f"up to {size(weight)} of memory")
    with process.bounded_memory(MOST_MEMORY - len(body)):
        return _decoded(body)


class _Heavy(Exception):  # noqa: N818 - it is no error
    """The body is too heavy to be remembered; holds its weight."""


@lru_cache(maxsize=2)
def _remembered(body: bytes) -> Any:
    if len(body) * WORST > LIGHT and (weight := weigh(body)) > LIGHT:
        raise _Heavy(weight)
    return _decoded(body)


def nested(text: str) -> Any:
    """Return the JSON in *text*, which itself stood in JSON; raises PayloadError."""
    body = text.encode("utf-8", "surrogatepass")
    if len(body) * WORST > LIGHT and weigh(body) > LIGHT:
        raise _too_large(body, f"more than {size(LIGHT)} of memory")
    return _decoded(body)


def weigh(body: bytes) -> int:
    """Return how many bytes of memory the JSON in *body* takes at most, unparsed.

    What costs memory are its objects, lists, entries, items and texts. Measured with
    CPython 3.11: what is made to hurt takes 80 to 100 % of it, feeds take 40.
    """
    marks = body.translate(None, _NO_MARKS)
    entries, items = marks.count(b":"), marks.count(b",")
    texts = max(0, marks.count(b'"') // 2 - entries)
    return (
        len(body) * _width(body)
        + 150 * marks.count(b"{")
        + 100 * marks.count(b"[")
        + 80 * entries
        + 40 * items
        + 56 * texts
    )


def bounded(bodies: Iterable[bytes]) -> None:
    """Raise PayloadError where *bodies*, all read at once, take too much memory."""
    weight = sum(map(weigh, bodies))
    if weight > MOST_MEMORY:
        raise PayloadError(
            f"the pages are too large to be read: up to {size(weight)} of memory",
            cause="too-large",
        )


def _width(body: bytes) -> int:
    """Return the bytes for each byte of *body*: itself, its text, the texts in it.

    One character beyond U+00FF, or U+FFFF, makes a whole text twice, or four times,
    as wide.
    """
    if body.isascii():
        return 6 if b"\\u" in body else 3
    if not body.translate(None, _LATIN_1):
        return 3
    return 10 if body.translate(None, _BMP) else 6


def _too_large(body: bytes, what: str) -> PayloadError:
    text = f"the answer is too large to be read: {size(len(body))} of JSON take {what}"
    return PayloadError(text, cause="too-large")


def _decoded(body: bytes) -> Any:
    if not body.strip():
        raise PayloadError("the answer is empty", cause="empty")
    try:
        return json.loads(body, parse_constant=_refuse, strict=False)
    except MemoryError:
        raise _too_large(body, "more memory than there is for it") from None
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
    if len(stations) > MOST_STATIONS:
        raise PayloadError(
            f"{what} has {len(stations)} stations, more than {MOST_STATIONS}",
            cause="too-large",
        )
    return stations


class Pace:
    """The work on one list of stations, which must not take too long.

    Whatever makes it slow (what hashes alike, what a pattern backtracks over) then
    costs its own payload, and not the run.
    """

    def __init__(self) -> None:
        self._end = time.thread_time() + MOST_SECONDS

    def __call__(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Yield *items* in parts; raises PayloadError when the time is over."""
        for begin in range(0, len(items), PART):
            if time.thread_time() > self._end:
                text = f"reading the stations took {MOST_SECONDS:.0f} s"
                raise PayloadError(text, cause="too-slow")
            yield items[begin : begin + PART]


def shape(stations: Sequence[Any]) -> dict[str, str]:
    """Return the JSON types of each field that at least half of *stations* have."""
    found = [each for each in stations if type(each) is dict]
    fields = Counter(chain.from_iterable(found))
    usual = sorted(
        (name, number)
        for name, number in fields.items()
        if number * 2 >= len(found) and len(name) <= LONGEST_FIELD
    )
    return {
        name: "|".join(sorted(_WORDS[kind] for kind in _types(found, name, number)))
        for name, number in usual[:MOST_FIELDS]
    }


def _types(found: Sequence[dict[str, Any]], name: str, number: int) -> set[type]:
    if number == len(found):
        return set(map(type, map(itemgetter(name), found)))
    return {type(each[name]) for each in found if name in each}


def excerpt(value: Any, depth: int = 2) -> str:
    """Return *value* as people are shown it: its beginning, however long it is.

    >>> excerpt({"a": [1, 2, 3, 4, 5], "b": "x" * 99})
    "{'a': [1, 2, 3, ...], 'b': 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}"
    """
    if isinstance(value, str):
        return repr(value[:50])
    if isinstance(value, int):
        return repr(value) if abs(value) < 10**20 else "a number of many digits"
    if not isinstance(value, Mapping | list):
        return repr(value)
    if not depth:
        return "..."
    more = ["..."] if len(value) > MOST_SHOWN else []
    if isinstance(value, list):
        items = [excerpt(each, depth - 1) for each in value[:MOST_SHOWN]]
        return f"[{', '.join(items + more)}]"
    some = islice(value.items(), MOST_SHOWN)
    items = [f"{key[:50]!r}: {excerpt(each, depth - 1)}" for key, each in some]
    return f"{{{', '.join(items + more)}}}"


def keys(value: Any) -> str:
    """Return the first keys of *value*, where it is an object, else an excerpt."""
    if not isinstance(value, Mapping):
        return excerpt(value)
    return ", ".join(key[:50] for key in islice(value, 10))


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
    strange = [f"{name} ({kind})" for name, kind in fields if name not in ours][:20]
    return PayloadError(
        f"no station has a known field for {column} (known: {', '.join(known)}); "
        f"fields that nobody knows: {', '.join(strange) or 'none'}",
        cause="drift",
    )
