"""Certificates of days, and their comparison with earlier ones."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bikecollect.archive.day_csv import DaySummary

GROWN = ", fewer than now"


class Certificate(NamedTuple):
    """The summary of a day; *where* is the source of its rows: csv or archive."""

    system_id: str
    date: str
    summary: DaySummary
    where: str


class Finding(NamedTuple):
    """A disagreement: *where* (a file or a day), and *what* is wrong."""

    system_id: str
    where: str
    what: str


def compare(
    new_certificates: Sequence[Certificate], old_certificates: Sequence[Certificate]
) -> Iterator[Finding]:
    """Yield a finding for each old certificate that no new one equals."""
    by_day = {(new.system_id, new.date): new for new in new_certificates}
    for old in old_certificates:
        new = by_day.get((old.system_id, old.date))
        if new is None:
            yield Finding(old.system_id, old.date, "is missing")
        elif new.summary.sha256 != old.summary.sha256:
            grown = GROWN if new.summary.slots > old.summary.slots else ""
            what = (
                f"has {_text(new.summary)}; its certificate says {_text(old.summary)}"
                f"{grown}"
            )
            yield Finding(old.system_id, old.date, what)


def _text(summary: DaySummary) -> str:
    sha256 = f"{summary.sha256[:12]}..."
    return f"{summary.slots} slots, {summary.rows} rows, sha256 {sha256}"
