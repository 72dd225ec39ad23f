"""What a report rests on, where its rows do not have the numbers of slots."""

import time
from collections.abc import Iterator, Sequence

from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.core.slots import bounds
from bikecollect.reports import evidence
from bikecollect.reports.registry import Report, Values

WITHOUT_SLOTS = ("episodes", "changes")
"""Reports on events: what happened in a missing slot is not in them."""


def basis(report: Report, systems: Sequence[ViewedSystem], values: Values) -> str:
    """Return lines on the slots of *report*, "" if its rows have their numbers."""
    if report.name not in WITHOUT_SLOTS:
        return ""
    return "".join(f"  {line}\n" for line in _lines(systems, values))


def _lines(systems: Sequence[ViewedSystem], values: Values) -> Iterator[str]:
    now = time.time()
    for viewed in systems:
        days = values.since.isoformat(), values.until.isoformat()
        begin, end = (bounds(day, viewed.system.zone)[0] for day in days)
        total = evidence.read_account(viewed.system, begin, end, now=now).total
        name = f"{viewed.system_id}: " if len(systems) > 1 else ""
        if total.missing:
            yield f"{name}{total.sentence}; the rest is not known"
        elif total.expected:
            yield f"{name}{total.sentence}"
