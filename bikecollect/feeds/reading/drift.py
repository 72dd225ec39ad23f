"""Drift: how the shape of a feed has changed, in words that name each field."""

from collections.abc import Mapping

MOST_TOLD = 12


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each field that is gone, new or retyped.

    Both map a field to its JSON types ("int|null"). Null is no type of its own.

    >>> compare({"total": "int"}, {"Quantity": "int"})
    ('field total is gone', 'field Quantity (int) is new')
    """
    gone = [f"field {each} is gone" for each in before if each not in after]
    new = [f"field {k} ({kind}) is new" for k, kind in after.items() if k not in before]
    retyped = [
        f"field {each} changed from {before[each]} to {kind}"
        for each, kind in after.items()
        if each in before and not _types(kind) <= _types(before[each])
    ]
    changes = (*gone, *new, *retyped)
    more = len(changes) - MOST_TOLD
    rest = (f"{more} more fields are gone, new or have another type",)
    return (*changes[:MOST_TOLD], *(rest if more > 0 else ()))


def _types(kind: str) -> set[str]:
    return set(kind.split("|")) - {"null"}
