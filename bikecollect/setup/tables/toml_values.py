"""Write the value of a setting as TOML."""

from typing import Any

from bikecollect.core.text import visible_toml


def toml_value(value: Any) -> str:
    """Return *value* as TOML on one line: a table is an inline table.

    >>> print(toml_value({"only": ["a", "b"], "bbox": [1.5, 2], "vehicles": True}))
    { "only" = ["a", "b"], "bbox" = [1.5, 2], "vehicles" = true }
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        pairs = (f"{visible_toml(n)} = {toml_value(v)}" for n, v in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return visible_toml(value) if isinstance(value, str) else str(value)
