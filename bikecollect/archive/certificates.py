"""Certificates: what days amount to, and in what they differ from earlier ones."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Certificate(NamedTuple):
    """What a day amounts to; *sha256* is that of its rows as sorted CSV (see export).

    *where* is csv or archive.
    """

    system_id: str
    date: str
    slots: int
    rows: int
    sha256: str
    where: str


class Finding(NamedTuple):
    """Something that does not agree: *where* (a file, a day), and *what* about it."""

    system_id: str
    where: str
    what: str


def compared(
    found: Sequence[Certificate], kept: Sequence[Certificate]
) -> Iterator[Finding]:
    """Yield in what the certificates *found* differ from those *kept* from earlier."""
    now = {(each.system_id, each.date): each for each in found}
    for old in kept:
        new = now.get((old.system_id, old.date))
        if new is None:
            yield Finding(old.system_id, old.date, "is not there any more")
        elif new.sha256 != old.sha256:
            what = (
                f"has {new.slots} slots, {new.rows} rows, sha256 {new.sha256[:12]}...; "
                f"its certificate says {old.slots}, {old.rows}, {old.sha256[:12]}..."
            )
            yield Finding(old.system_id, old.date, what)
