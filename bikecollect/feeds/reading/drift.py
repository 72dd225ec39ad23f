"""Drift: describe how the fields of a feed have changed."""

from collections.abc import Mapping

MAX_CHANGES = 12


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
