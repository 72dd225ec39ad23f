"""The settings in effect as TOML or as values for JSON; secrets are masked."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any

from bikecollect.cli.render.terminal import wrapped
from bikecollect.core.secrets.names import of_header
from bikecollect.core.secrets.redact import STARS, redacted_values
from bikecollect.core.text import visible_toml
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.sections import SECTIONS
from bikecollect.setup.tables.toml_values import toml_value


def values(settings: Settings) -> dict[str, Any]:
    """Return the values of all keys in effect."""
    effective = _plain(settings)
    effective["data_dir"] = str(settings.data)
    effective["systems"] = {
        name: _plain(system) | {"headers": _masked(system.headers)}
        for name, system in settings.systems.items()
    }
    effective |= {name: _plain(getattr(settings, name)) for name in SECTIONS}
    redacted: dict[str, Any] = redacted_values(effective, settings.redact)
    return {"source": settings.source or None, **redacted}


def text(settings: Settings) -> str:
    """Return the settings in effect as TOML; defaults are marked."""
    effective = values(settings)
    lines = [f"# {settings.source or 'no settings file: all defaults'}"]
    lines += _lines(effective, settings)
    for name, system in settings.systems.items():
        key = visible_toml(name) if "." in name else name
        lines += ["", f"[systems.{key}]", *_lines(effective["systems"][name], system)]
    for name in SECTIONS:
        lines += ["", f"[{name}]", *_lines(effective[name], getattr(settings, name))]
    return "\n".join([*lines, ""])


def keys() -> str:
    """Return every key with its meaning as a comment and its default, as TOML."""
    lines = _documented(Settings())
    lines += ["[systems.NAME]", *_documented(System())]
    for name, cls in SECTIONS.items():
        lines += [f"[{name}]", *_documented(cls())]
    return "\n".join(lines)


def _documented(section: Any) -> list[str]:
    """Return the keys of *section*, whose values are the defaults."""
    lines = []
    for key in _keys(section):
        lines += wrapped(key.metadata["doc"], "# ")
        lines += [f"{key.name} = {toml_value(getattr(section, key.name))}", ""]
    return lines


def _keys(section: Any) -> Iterator[Field[Any]]:
    """Yield the fields of *section* that are scalar settings."""
    tables = ("systems", *SECTIONS)
    for setting in fields(section):
        if setting.metadata["doc"] and setting.name not in tables:
            yield setting


def _plain(section: Any) -> dict[str, Any]:
    return {key.name: getattr(section, key.name) for key in _keys(section)}


def _masked(headers: Mapping[str, str]) -> dict[str, str]:
    return {n: STARS if of_header(n, value) else value for n, value in headers.items()}


def _lines(effective: Mapping[str, Any], section: Any) -> Iterator[str]:
    defaults = type(section)()
    for key in _keys(section):
        is_default = getattr(section, key.name) == getattr(defaults, key.name)
        mark = "  # default" if is_default else ""
        yield f"{key.name} = {toml_value(effective[key.name])}{mark}"
