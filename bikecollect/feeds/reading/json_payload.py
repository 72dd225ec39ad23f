"""Decode JSON within limits of memory and time, and describe its shape."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from bikecollect.core import process
from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import not_json
from bikecollect.core.text import size

MAX_BAD = 0.2
MAX_STATIONS = 100_000
MAX_FIELDS, MAX_FIELD_NAME = 200, 500
"""Maximum fields of a shape, and characters of a field's name."""
ERRORS = frozenset({"error", "Error", "errors", "exception", "fault"})
"""Fields in which a response says what is wrong."""
MAX_SHOWN = 3
"""Maximum entries or items in an excerpt."""
MIB = 1024 * 1024
LIGHT = 48 * MIB
"""Weight in bytes up to which a body is cached and decoded without a memory limit."""
MAX_WEIGHT = 384 * MIB
"""Bytes; a body that may weigh more is rejected without decoding it."""
MAX_MEMORY = 144 * MIB
"""Bytes for a body and all that is decoded from it (26,000 stations: 60 to 100 MiB)."""
MAX_SECONDS = 20.0
"""CPU seconds for the stations of one list; 26,000 stations take one."""
MAX_AROUND = 2_048
"""Maximum bytes of text that are tolerated around the JSON in a body."""
_OPEN, _CLOSE = (b"{", b"["), (b"}", b"]")
PART = 512
"""Stations between two reads of the CPU clock, which take 20 to 80 us each on a VM."""
WORST = 48
"""The maximum memory of decoded JSON as a multiple of its size (nested lists)."""
_NO_MARKS = bytes(set(range(256)) - set(b'{[,:"'))
_LATIN_1, _BMP = bytes(range(0xC4)), bytes(range(0xF0))
"""All bytes that occur in the UTF-8 of characters up to U+00FF, and up to U+FFFF."""
Item = TypeVar("Item")
_WORDS = {bool: "bool", int: "int", float: "float", str: "str", list: "list"}
_WORDS |= {dict: "object", type(None): "null"}
_KINDS = {str: "a text", int: "a number", float: "a number", bool: "true or false"}
_KINDS |= {list: "a list", dict: "an object"}
_JSON_WORDS = {"None": "null", "True": "true", "False": "false"}


def decode(body: bytes) -> Any:
    """Return the JSON in *body*; raises PayloadError if it is invalid or too large.

    The last two bodies are cached, because a fetch checks a body that the commit reads
    again: do not modify the result. Heavy bodies are not cached and may take at most
    `MAX_MEMORY`. NaN and Infinity are null; raw control characters in texts, bytes that
    are not UTF-8, text around the JSON (see `bare`) and commas at an end are tolerated.
    """
    try:
        return _cached(body)
    except _Heavy as heavy:
        weight = heavy.args[0]
    _cached.cache_clear()
    if weight > MAX_WEIGHT:
        raise _too_large(body, f"up to {size(weight)} of memory")
    with process.bounded_memory(MAX_MEMORY - len(body)):
        return _parse(body)


class _Heavy(Exception):  # noqa: N818 - a signal, not an error
    """The body is too heavy for the cache; the argument is its weight."""


@lru_cache(maxsize=2)
def _cached(body: bytes) -> Any:
    if len(body) * WORST > LIGHT and (weight := _weight(body)) > LIGHT:
        raise _Heavy(weight)
    return _parse(body)


@lru_cache(maxsize=1)
def _weight(body: bytes) -> int:
    """Return the weight of *body*, which is computed once: it takes 4 ms a megabyte."""
    return weigh(body)


def nested(text: str) -> Any:
    """Return the JSON in *text*, itself a string in JSON; raises PayloadError."""
    body = text.encode("utf-8", "surrogatepass")
    if len(body) * WORST > LIGHT and weigh(body) > LIGHT:
        raise _too_large(body, f"more than {size(LIGHT)} of memory")
    return _parse(body)


def weigh(body: bytes) -> int:
    """Estimate the memory in bytes that the JSON in *body* takes, without parsing it.

    This is an upper bound from the numbers of objects, lists, entries, items and texts.
    Measured with CPython 3.11: hostile bodies take 80 to 100 % of it, feeds 40 %.
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


def check_weight(bodies: Iterable[bytes]) -> None:
    """Raise PayloadError if *bodies* decoded together take too much memory."""
    weight = sum(map(weigh, bodies))
    if weight > MAX_MEMORY:
        raise PayloadError(
            f"the pages together are too large: up to {size(weight)} of memory",
            cause="too-large",
        )


def _width(body: bytes) -> int:
    """Return the bytes of memory per byte of *body*: itself, its text, and substrings.

    One character above U+00FF doubles the size of a str, one above U+FFFF makes it
    four times as large.
    """
    if body.isascii():
        return 6 if b"\\u" in body else 3
    if not body.translate(None, _LATIN_1):
        return 3
    return 10 if body.translate(None, _BMP) else 6


def _too_large(body: bytes, memory: str) -> PayloadError:
    text = f"the response is too large: {size(len(body))} of JSON take {memory}"
    return PayloadError(text, cause="too-large")


def _parse(body: bytes) -> Any:
    if not body.strip():
        raise PayloadError("the response is empty", cause="empty")
    try:
        return _loads_bare(body)
    except MemoryError:
        raise _too_large(body, "more memory than available") from None
    except (ValueError, RecursionError) as error:
        start = body[:60].decode("utf-8", "backslashreplace")
        raise PayloadError(
            f"the response is {not_json(body, error)}",
            cause="not-json",
            quote=f"; it begins with {start!r}",
        ) from error


def bare(body: bytes) -> bytes:
    """Return the JSON object or array in *body* without the text around it.

    Tolerated are the guards of script includes and JSONP, PHP notices and comments:
    up to `MAX_AROUND` bytes, and less than the JSON. *body* is returned unchanged if
    there is more, or nothing but white space and a byte order mark.

    >>> bare(b"/**/cb([1, 2, 3, 4]);"), bare(b")]}',[1, 2, 3]"), bare(b"Error [500]")
    (b'[1, 2, 3, 4]', b'[1, 2, 3]', b'Error [500]')
    """
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if (text[:1] in _OPEN and text[-1:] in _CLOSE) or text[:1] == text[-1:] == b'"':
        return body
    begin = min((i for i in map(text.find, _OPEN) if i >= 0), default=0)
    json_text = text[begin : max(map(text.rfind, _CLOSE)) + 1]
    # Encodings other than UTF-8 have NUL bytes within the JSON.
    is_short = len(text) - len(json_text) <= min(MAX_AROUND, len(json_text))
    return json_text if is_short and b"\0" not in json_text[:4] else body


def _loads_bare(body: bytes) -> Any:
    """Return the JSON in *body*, even inside other text (see `bare`).

    Errors are those of decoding the whole body.
    """
    json_text = bare(body)
    with suppress(ValueError):
        return _loads(json_text)
    from bikecollect.feeds.reading.defects import commas  # for broken JSON only

    with suppress(ValueError):
        return _loads(commas.without(json_text))
    return _loads(body)


def _loads(body: bytes) -> Any:
    """Return the JSON in *body*; bytes that are not UTF-8 become U+FFFD in its texts.

    Some publishers truncate names within a character, or have a name in another
    encoding: the other stations must not be lost because of that.
    """
    try:
        return json.loads(body, parse_constant=_no_number, strict=False)
    except UnicodeDecodeError:
        if json.detect_encoding(body) != "utf-8":
            raise
        text = body.decode("utf-8", "replace")
        return json.loads(text, parse_constant=_no_number, strict=False)


def _no_number(_: str) -> None:
    """Return None for NaN and Infinity, which JSON does not have."""


def at(value: Any, path: str) -> Any:
    """Return the item at the dotted *path* in *value*, None if there is none.

    Keys may have dots themselves, if there is nothing without them.

    >>> at({"a": [{"b": 1}]}, "a.0.b"), at({}, "a.b"), at({"a": {"b.c": 1}}, "a.b.c")
    (1, None, 1)
    """
    found = value
    for step in path.split(".") if path not in {"", "."} else ():
        found = _item(found, step)
        if found is None:
            return _dotted(value, path) if "." in path else None
    return found


def _item(value: Any, step: str) -> Any:
    if type(value) is dict or isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and step.isdigit() and int(step) < len(value):
        return value[int(step)]
    return None


def _dotted(value: Any, path: str) -> Any:
    """Return the item at *path*, of which several steps may be one key."""
    if (whole := _item(value, path)) is not None or path.count(".") == 1:
        return whole  # the usual case must be fast: a station has no such value
    for dot, letter in enumerate(path):
        if letter == "." and (inner := _item(value, path[:dot])) is not None:
            found = at(inner, path[dot + 1 :])
            if found is not None:
                return found
    return None


def objects(stations: Any, description: str) -> list[Any]:
    """Return *stations* as a list; raises PayloadError if it is empty or not a list.

    *description* names it in the messages.
    """
    if isinstance(stations, Mapping):
        stations = list(stations.values())
    if not isinstance(stations, list):
        kind = _KINDS.get(type(stations), "nothing")
        raise PayloadError(f"{description} is {kind}, not a list of stations")
    if not stations:
        raise PayloadError(f"{description} has no stations", cause="no-stations")
    if len(stations) > MAX_STATIONS:
        raise PayloadError(
            f"{description} has {len(stations)} stations, more than {MAX_STATIONS}",
            cause="too-large",
        )
    return stations


class Pace:
    """A limit of CPU time for the work on one list of stations.

    With it, a hostile payload (hash collisions, backtracking patterns) is rejected and
    the run goes on.
    """

    def __init__(self) -> None:
        self._end = time.thread_time() + MAX_SECONDS

    def __call__(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Yield *items* in parts; raises PayloadError when the time is used up."""
        for begin in range(0, len(items), PART):
            if time.thread_time() > self._end:
                text = f"reading the stations took more than {MAX_SECONDS:.0f} s"
                raise PayloadError(text, cause="too-slow")
            yield items[begin : begin + PART]


def shape(stations: Sequence[Any]) -> dict[str, str]:
    """Return the JSON types of the fields that at least half of *stations* have."""
    objects = [station for station in stations if type(station) is dict]
    fields = Counter[str]()
    for names, number in Counter(map(tuple, objects)).items():  # few are different
        fields.update(dict.fromkeys(names, number))
    usual = sorted(
        (name, number)
        for name, number in fields.items()
        if number * 2 >= len(objects) and len(name) <= MAX_FIELD_NAME
    )
    return {
        name: "|".join(sorted(_WORDS[kind] for kind in _types(objects, name, number)))
        for name, number in usual[:MAX_FIELDS]
    }


def _types(objects: Sequence[dict[str, Any]], name: str, number: int) -> set[type]:
    if number == len(objects):
        return set(map(type, map(itemgetter(name), objects)))
    return {type(item[name]) for item in objects if name in item}


def excerpt(value: Any, depth: int = 2) -> str:
    """Return the beginning of *value* for messages, however large it is.

    >>> excerpt({"a": [1, 2, 3, 4, 5], "b": "x" * 99})
    "{'a': [1, 2, 3, ...], 'b': 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}"
    """
    if isinstance(value, str):
        return repr(value[:50])
    if type(value) is int:
        return repr(value) if abs(value) < 10**20 else "a very large number"
    if not isinstance(value, Mapping | list):
        return _JSON_WORDS.get(repr(value), repr(value))
    if not depth:
        return "..."
    more = ["..."] if len(value) > MAX_SHOWN else []
    if isinstance(value, list):
        items = [excerpt(item, depth - 1) for item in value[:MAX_SHOWN]]
        return f"[{', '.join(items + more)}]"
    entries = islice(value.items(), MAX_SHOWN)
    items = [f"{key[:50]!r}: {excerpt(item, depth - 1)}" for key, item in entries]
    return f"{{{', '.join(items + more)}}}"


def first_keys(value: Any) -> str:
    """Return the first keys of *value* if it is an object, else an excerpt.

    An object without any object or list is a message, and is shown too; so is an error.

    >>> first_keys({"message": "rate limit"}), first_keys({"ttl": 0, "data": {}})
    ("{'message': 'rate limit'}", 'ttl, data')
    >>> first_keys({"id": 1, "error": {"code": 429, "message": "rate limit"}})
    "{'error': {'code': 429, 'message': 'rate limit'}}"
    """
    parts = value if isinstance(value, Mapping) else {}
    if errors := {key: parts[key] for key in sorted(ERRORS) if parts.get(key)}:
        return excerpt(errors)
    if not any(isinstance(part, Mapping | list) for part in parts.values()):
        return excerpt(value)
    return ", ".join(key[:50] for key in islice(value, 10))
