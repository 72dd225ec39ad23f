"""Merge the rows of systems, which are read one by one, in the order of a report."""

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from bikecollect.reports.registry import Report, Rows
from bikecollect.storage.files.scratch import scratch

AT_ONCE = 500
"""Rows of each system that are in memory at a time."""
SYSTEM = "system_id"


def merged(
    report: Report, results: Iterable[tuple[list[str], Rows]], batch: int
) -> Iterator[tuple[list[str], Rows]]:
    """Yield columns and up to *batch* rows at a time, in the order of *report*.

    *results* are the columns and rows of one system each, in that order; rows are kept
    in a file meanwhile. At least one batch is yielded, which may be empty.
    """
    with scratch() as folder, (folder / "rows").open("w+b") as file:
        columns: list[str] = []
        positions: dict[str, list[int]] = {}
        for columns, rows in results:
            for begin in range(0, len(rows), AT_ONCE):
                some = rows[begin : begin + AT_ONCE]
                system_id = some[0][columns.index(SYSTEM)]
                positions.setdefault(system_id, []).append(file.tell())
                file.write(json.dumps(some).encode("utf-8") + b"\n")
        by_system = (_read(file, places) for places in positions.values())
        ordered = heapq.merge(*by_system, key=_sort_key(report, columns))
        yield columns, list(islice(ordered, batch))
        while some := list(islice(ordered, batch)):
            yield columns, some


def _read(file: BinaryIO, positions: Sequence[int]) -> Iterator[Sequence[Any]]:
    for position in positions:
        file.seek(position)
        yield from map(tuple, json.loads(file.readline()))


def _sort_key(
    report: Report, columns: Sequence[str]
) -> Callable[[Sequence[Any]], list[Any]]:
    """Return the key that sorts rows with *columns*, up to the system's id."""
    terms = [
        (columns.index(column), -1 if is_descending else 1)
        for column, is_descending in report.order_of_systems
    ]
    system = columns.index(SYSTEM) if terms else 0
    return lambda row: [*(row[n] * sign for n, sign in terms), row[system]]
