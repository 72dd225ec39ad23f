"""What a report rests on: its days, and how many of their slots were collected."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter

from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core.slots import Slot, bounds, day_of
from bikecollect.core.text import count_of
from bikecollect.reports import evidence
from bikecollect.reports.registry import Report, Values

OF_NO_RANGE = ("snapshot", "stations", "vehicles")
"""Reports on the present."""


def basis(
    report: Report,
    systems: Sequence[ViewedSystem],
    values: Values,
    unread: Collection[tuple[str, str]] = (),
) -> str:
    """Return lines on each of *systems*, none for a report on the present.

    Those of a report on vehicles are on their slots, and on systems that have some.
    *unread* are the systems and days that cannot be read.
    """
    if report.name in OF_NO_RANGE:
        return ""
    texts = _texts(report, systems, values, unread)
    lines = [line for text in texts for line in wrapped(text, "  ", "    ")]
    return "".join(f"{line}\n" for line in lines)


def _texts(
    report: Report,
    systems: Sequence[ViewedSystem],
    values: Values,
    unread: Collection[tuple[str, str]],
) -> Iterator[str]:
    now, unread_days = time.time(), Counter(name for name, _ in unread)
    days = values.since.isoformat(), values.until.isoformat()
    for viewed in sorted(systems, key=attrgetter("system_id")):  # as the rows
        zone = viewed.system.zone
        begin, end = (bounds(day, zone)[0] for day in days)
        account = evidence.read_account(viewed.system, begin, end, now=now)
        first, last, total = account.since, Slot(account.until - 1), account.total
        if report.is_of_vehicles:
            first, last, total = evidence.coverage_of_vehicles(viewed.system, account)
        if total.expected:
            name = f"{viewed.system_id}: " if len(systems) > 1 else ""
            day, until = day_of(first, zone), day_of(last, zone)
            span = day if day == until else f"{day} to {until}"
            what = "vehicles of " if report.is_of_vehicles else ""
            count = unread_days[viewed.system_id]
            lacking = f"; {count_of(count, 'day')} cannot be read" if count else ""
            yield f"{name}{span}: {what}{total.sentence}{lacking}"
