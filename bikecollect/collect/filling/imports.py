"""Rows of another archive, in batches, and as documents of payloads."""

from collections.abc import Iterable, Iterator
from typing import Any

from bikecollect.collect.sources import ForeignBlock, ForeignSnapshot, ForeignVehicles
from bikecollect.core.payload import Document, Payload
from bikecollect.feeds.imported import station_rows, vehicle_rows

BATCH = 30
"""Slots filled while the lock is held; then a waiting fetch can take it."""
MAX_WAITING = 100_000
"""Most rows that wait for the lock; large systems are filled in smaller batches."""


def batches(
    blocks: Iterable[ForeignBlock[Any]],
) -> Iterator[list[ForeignBlock[Any]]]:
    """Yield *blocks* in lists for which the lock is held once."""
    waiting: list[ForeignBlock[Any]] = []
    rows = 0
    for block in blocks:
        waiting.append(block)
        rows += len(block.statuses)
        if len(waiting) == BATCH or rows >= MAX_WAITING:
            yield waiting
            waiting, rows = [], 0
    if waiting:
        yield waiting


def imported_payload(
    system_id: str,
    run_id: str,
    foreign: ForeignBlock[Any],
    document: Document,
    label: str,
) -> Payload:
    """Return *document*, the rows of *foreign* from the archive *label*, as payload."""
    return Payload(
        system_id=system_id,
        slot=foreign.slot,
        run_id=run_id,
        fetched_at=foreign.fetched_at,
        documents=(document,),
        source=f"backfill {label}",
    )


def station_document(foreign: ForeignSnapshot) -> Document:
    """Return the stations of *foreign* as a document of a payload."""
    body = station_rows.write(foreign.statuses, foreign.flags, foreign.last_updated)
    return Document(station_rows.DOCUMENT, body, fetched_at=foreign.fetched_at)


def vehicle_document(foreign: ForeignVehicles) -> Document:
    """Return the vehicles of *foreign* as a document of a payload."""
    body = vehicle_rows.write(foreign.statuses, foreign.flags, foreign.last_updated)
    return Document(vehicle_rows.DOCUMENT, body, fetched_at=foreign.fetched_at)
