"""JSON of commands, compared with the tables of its keys in the documentation."""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

Keys = Mapping[str, tuple[str, ...]]


def documented(text: str, keys: Keys) -> list[dict[str, Any]]:
    """Return the objects of *text*, a line each, after comparing them with *keys*.

    Every key is in the table, has the type that is there, and is null or absent only if
    the table says when. Every key of the table is in an object, unless it may be absent
    or is a part of what is null or empty in all of them.
    """
    objects: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    seen = [pair for values in objects for pair in _pairs(values, keys, "")]
    wrong = [(key, value) for key, value in seen if not _fits(value, keys.get(key))]
    assert wrong == []
    present = {key for key, value in seen if value not in (None, [], {})}
    known = {key for key, _ in seen}
    lacking = {
        key
        for key, (_, _, *missing) in keys.items()
        if key not in known
        and not "".join(missing).startswith("absent")
        and (_parent(key) in present or not _parent(key))
    }
    assert lacking == set()
    return objects


def _parent(key: str) -> str:
    return key.rpartition(".")[0].removesuffix("[]")


def _pairs(values: Any, keys: Keys, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield each key in *values* as it is written in *keys*, with its value."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if key not in keys:  # a word of the data: STAGE, CAUSE
            own = (
                k for k in keys if k.startswith(prefix) and k[len(prefix) :].isupper()
            )
            key = next(own, key)
        yield key, value
        if isinstance(value, dict):
            yield from _pairs(value, keys, f"{key}.")
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict):
                yield from _pairs(item, keys, f"{key}[].")


def _fits(value: Any, entry: tuple[str, ...] | None) -> bool:
    """Return whether *value* has the type of *entry* in the table of keys."""
    if entry is None:
        return False
    kind, _, *missing = entry
    if value is None:
        return "".join(missing).startswith("null")
    return bool(_TYPES[kind.partition(",")[0]](value))


def _is_time(value: Any) -> bool:
    return datetime.fromisoformat(value).utcoffset() is not None


def _is_list(of: type) -> Any:
    return lambda value: (
        isinstance(value, list) and all(isinstance(i, of) for i in value)
    )


_TYPES: Mapping[str, Any] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in {int, float},
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "date": lambda value: not value or bool(date.fromisoformat(value)),
    "time": _is_time,
    "list of texts": _is_list(str),
    "list of times": lambda value: all(map(_is_time, value)),
    "list of objects": _is_list(dict),
}
