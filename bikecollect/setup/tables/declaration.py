"""Declare a setting: its documentation, default and type."""

from dataclasses import MISSING, field
from types import UnionType
from typing import Any

Kind = type | UnionType


def key(doc: str, default: Any = MISSING, *, kind: Kind = str, of: Kind = str) -> Any:
    """Declare a setting: *doc*, *default*, type (*kind*), type *of* its items."""
    metadata = {"doc": doc, "kind": kind, "items": of}
    if default is MISSING:
        return field(metadata=metadata)
    if isinstance(default, list | dict | tuple):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


def table(cls: type) -> Any:
    """Declare the table of *cls*."""
    return field(default_factory=cls, metadata={"doc": cls.__doc__, "kind": dict})
