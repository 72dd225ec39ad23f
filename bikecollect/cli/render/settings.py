"""The settings in effect, as TOML or as values for JSON; secrets are starred."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any

from bikecollect.core.secrets.names import of_header
from bikecollect.core.secrets.redact import STARS, redacted_values
from bikecollect.core.text import visible_toml
from bikecollect.setup.settings import Settings

SECTIONS = ("mail", "ping", "tell", "log", "keep")


def values(settings: Settings) -> dict[str, Any]:
    """Return all keys with the values in effect, as the file would have them."""
    found = _plain(settings)
    found["data_dir"] = str(settings.data)
    found["systems"] = {
        name: _plain(each) | {"headers": _starred(each.headers)}
        for name, each in settings.systems.items()
    }
    found |= {name: _plain(getattr(settings, name)) for name in SECTIONS}
    known: dict[str, Any] = redacted_values(found, settings.redact)
    return {"source": settings.source or None, **known}


def text(settings: Settings) -> str:
    """Return the settings in effect as TOML; what is a default is marked."""
    shown = values(settings)
    lines = [f"# {settings.source or 'no settings file: all are defaults'}"]
    lines += _lines(shown, settings)
    for name, each in settings.systems.items():
        key = visible_toml(name) if "." in name else name
        lines += ["", f"[systems.{key}]", *_lines(shown["systems"][name], each)]
    for name in SECTIONS:
        lines += ["", f"[{name}]", *_lines(shown[name], getattr(settings, name))]
    return "\n".join([*lines, ""])


def _keys(section: Any) -> Iterator[Field[Any]]:
    """Yield the fields of *section* that are keys with a value of their own."""
    tables = ("systems", *SECTIONS)
    for each in fields(section):
        if each.metadata["doc"] and each.name not in tables:
            yield each


def _plain(section: Any) -> dict[str, Any]:
    return {each.name: getattr(section, each.name) for each in _keys(section)}


def _starred(headers: Mapping[str, str]) -> dict[str, str]:
    return {n: STARS if of_header(n, value) else value for n, value in headers.items()}


def _lines(shown: Mapping[str, Any], section: Any) -> Iterator[str]:
    usual = type(section)()
    for each in _keys(section):
        default = getattr(section, each.name) == getattr(usual, each.name)
        mark = "  # default" if default else ""
        yield f"{each.name} = {_toml(shown[each.name])}{mark}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{visible_toml(n)} = {_toml(each)}" for n, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return visible_toml(value) if isinstance(value, str) else str(value)
