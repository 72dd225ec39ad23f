"""Check the types of the values in one table of the settings."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, fields
from typing import Any

from bikecollect.core.errors import SettingsError
from bikecollect.core.secrets.names import is_secret_name
from bikecollect.core.text import quote_hint, suggestion
from bikecollect.setup.settings import System
from bikecollect.setup.tables.declaration import Kind
from bikecollect.setup.tables.sections import SECTIONS

MAYBE_SECRET = frozenset({"command", "headers", "mirror", "proxy", "url", "webhook"})
"""Settings that may hold a secret: errors do not quote their values."""
TOP_LEVEL = frozenset({"data_dir", "interval"})
"""Settings above the tables; a line that is added at the end lies in the last table."""
LIKE_NUMBERS = frozenset({"version"})
"""Settings that are texts, but look like numbers: without quotes TOML reads one."""
WORDS: dict[object, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    bool | str: "true, false or a text",
}
MAX_SHOWN = 20
"""Errors of a file that are shown: a mistake may be in each of a thousand systems."""
ITEMS: dict[object, str] = {str: "texts", list: "lists", int | float: "numbers"}
EXAMPLES: dict[object, str] = {
    str: '["a", "b"]',
    int | float: "[121.4, 24.9, 121.6, 25.1]",
}
Check = Callable[[], object]
"""Raises SettingsError for a wrong value."""


class Problems:
    """Collects errors, so that all errors of a file are reported at once."""

    def __init__(self) -> None:
        self._errors: list[SettingsError] = []

    def __len__(self) -> int:
        return len(self._errors)

    def __enter__(self) -> None:
        """Begin a context in which a SettingsError is noted, not raised."""

    def __exit__(self, _kind: object, error: object, _trace: object) -> bool:
        """Note a SettingsError of the context, and continue after it."""
        if not isinstance(error, SettingsError):
            return False
        self._errors.append(error)
        return True

    def note(self, checks: Iterable[Check]) -> None:
        """Note the error of each of *checks* that fails."""
        for check in checks:
            with self:
                check()

    def add(self, texts: Iterable[str]) -> None:
        """Note an error for each of *texts*."""
        self._errors += map(SettingsError, texts)

    def refuse(self) -> None:
        """Raise SettingsError if an error was noted; several become a line each."""
        if len(self) == 1:
            raise self._errors[0]
        if self._errors:
            lines = [f"{len(self)} errors", *map(str, self._errors[:MAX_SHOWN])]
            if len(self) > MAX_SHOWN:
                lines.append(f"and {len(self) - MAX_SHOWN} more")
            raise SettingsError("\n".join(lines), lines=True)


def checked(
    cls: type, values: Mapping[str, Any], place: str, problems: Problems
) -> dict[str, Any]:
    """Return the *values* of *cls* that are no table at the top level, checked.

    *place* begins the keys in errors, such as ``mail.``. Errors are noted in
    *problems*.
    """
    known = {f.name: f for f in fields(cls) if f.metadata["doc"]}
    result: dict[str, Any] = {}
    for name, value in values.items():
        with problems:
            _check(name, value, known, place)
            if place or known[name].metadata["kind"] is not dict:
                result[name] = value
    return result


def _check(
    name: str, value: object, known: Mapping[str, Field[Any]], place: str
) -> None:
    """Raise SettingsError if *name* is not *known*, or its *value* has another type."""
    if name not in known:
        hint = (
            _of_table(name, value, place)
            or _elsewhere(name)
            or suggestion(name, known, "; ")
        )
        hint = hint or f"; known: {', '.join(known)}"
        if name in TOP_LEVEL:
            hint = f"; {name} belongs at the top of the file, above the first [table]"
        raise SettingsError(f'unknown setting "{place}{name}"{hint}')
    kind = known[name].metadata["kind"]
    items = known[name].metadata.get("items", str)
    if not _is(value, kind):
        words = f"must be {WORDS[kind]}, not {shown(name, value)}"
        remedy = _remedy(name, value, kind, items, place)
        raise SettingsError(f"{place}{name} {words}{remedy}")
    if not place and kind is dict:
        return  # a table has its own checks
    if any("\0" in str(item) for _, item in (("", value), *_items(value))):
        raise SettingsError(rf"{place}{name} must not have a zero byte (\u0000)")
    if place:
        _check_items(name, value, items, place)


def _of_table(name: str, value: object, place: str) -> str:
    """Return what the unknown table *name* was probably meant to be, empty for none."""
    if not isinstance(value, dict):
        return ""
    if not place and {"feed", "url", "timezone"} & value.keys():
        return f"; did you mean [systems.{name}]?"
    if place.startswith("systems."):
        return f'; if the name has a dot, write [systems."{place[8:]}{name}"]'
    return ""


def _elsewhere(name: str) -> str:
    """Return a question for the keys called *name* of all tables, empty for none."""
    keys = [
        f'"{table}.{name}"'
        for table, cls in {"systems.NAME": System, **SECTIONS}.items()
        if name in {f.name for f in fields(cls) if f.metadata["doc"]}
    ]
    return f"; did you mean {' or '.join(keys)}?" if keys else ""


def shown(name: str, value: object) -> str:
    """Return *value* for a message, or only its type if it may be secret."""
    if name in MAYBE_SECRET or is_secret_name(name) or isinstance(value, dict | list):
        return next((w for kind, w in WORDS.items() if type(value) is kind), "that")
    if isinstance(value, str):
        return repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is(value: object, kind: Kind) -> bool:
    is_bool_as_number = isinstance(value, bool) and kind in (int, int | float)
    return isinstance(value, kind) and not is_bool_as_number


def _check_items(name: str, value: object, kind: Kind, place: str) -> None:
    """Raise SettingsError for the first item of *value* that is not a *kind*."""
    for key, item in _items(value):
        if not _is(item, kind):
            text = shown(name if name in MAYBE_SECRET else key, item)
            where = f"{key} = " if key else ""
            hint = quote_hint(item) if kind is str and text == repr(item) else ""
            words = f"must contain only {ITEMS[kind]}, not {where}{text}{hint}"
            raise SettingsError(f"{place}{name} {words}")


def _items(value: object) -> Iterator[tuple[str, object]]:
    """Yield the items of a table with their keys, those of a list without."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from (("", item) for item in value)


def _remedy(name: str, value: object, kind: Kind, items: Kind, place: str) -> str:
    """Return how to write a list, a table or a text; empty for another *kind*."""
    if name in LIKE_NUMBERS:
        return quote_hint(value)
    if kind is list:
        is_shown = isinstance(value, str) and shown(name, value) == repr(value)
        if items is str and is_shown:
            return f"; write [{json.dumps(value, ensure_ascii=False)}]"
        return f"; write {ITEMS[items]} in brackets, such as {EXAMPLES[items]}"
    if kind is dict:
        header = "systems.NAME" if name == "systems" else name
        return "; write {key = value}" if place else f"; begin it with [{header}]"
    return ""
