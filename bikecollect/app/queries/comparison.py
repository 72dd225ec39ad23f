"""Comparison of two periods."""

from collections.abc import Mapping, Sequence
from typing import Any

from bikecollect.reports.runner import Answer

KEYS = ("system_id", "place", "hour_of_week")
BASIS = ("slots_seen", "slots_expected")


def compared(first: Answer, second: Answer, measure: str) -> Answer:
    """Return *measure* of both answers of ``availability``, hour by hour.

    The difference is the second minus the first, None if one of them has no data. Each
    value comes with its basis, the slots seen and expected.
    """
    before, after = (_by_key(answer, measure) for answer in (first, second))
    columns = [*KEYS, "first", "second", "difference"]
    columns += [f"{name}_{period}" for period in ("first", "second") for name in BASIS]
    rows = []
    for key in sorted(before.keys() | after.keys()):
        first_row, second_row = before.get(key, NOTHING), after.get(key, NOTHING)
        known = first_row[0] is not None and second_row[0] is not None
        rows.append(
            (
                *(*key, first_row[0], second_row[0]),
                second_row[0] - first_row[0] if known else None,
                *(*first_row[1:], *second_row[1:]),
            )
        )
    return Answer(columns, rows)


NOTHING = (None, 0, 0)


def _by_key(answer: Answer, measure: str) -> Mapping[tuple[Any, ...], Sequence[Any]]:
    at = {name: answer.columns.index(name) for name in (*KEYS, *BASIS, measure)}
    return {
        tuple(row[at[name]] for name in KEYS): (
            row[at[measure]],
            *(row[at[name]] for name in BASIS),
        )
        for row in answer.rows
    }
