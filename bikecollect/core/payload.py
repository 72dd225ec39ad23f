"""A payload: the publisher's bytes of one fetch, untouched, and how they came."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self

from bikecollect.core.slots import Slot
from bikecollect.core.text import message, shortened


@dataclass(frozen=True, eq=False)
class Document:
    """One answer of a feed: *body* is what the publisher sent, inflated.

    *name* is its place in the payload (``station_status``, ``page-0``); *url*
    carries no secret; *fetched_at* is the epoch second at which the answer was
    complete; *date* that of the server's own clock, None where it did not say. *total*
    and *next_url* are what the headers say of a list: how long it is, and where it goes
    on.
    """

    name: str
    body: bytes
    url: str = ""
    http_status: int = 200
    fetched_at: float = 0.0
    date: float | None = None
    wire_bytes: int = 0
    total: int | None = None
    next_url: str = ""


class _Attempt(NamedTuple):
    url: str
    started: float
    seconds: float
    http_status: int | None = None
    error: str = ""


class Attempt(_Attempt):
    """One try at one address: *started* in epoch seconds, *seconds* it took.

    The address and the error may quote what others sent: each becomes one visible
    line here.
    """

    __slots__ = ()

    def __new__(
        cls,
        url: str,
        started: float,
        seconds: float,
        http_status: int | None = None,
        error: str = "",
    ) -> Self:
        """Return a try at *url*, and how it ended."""
        shown = shortened(message(url), 300), shortened(message(error), 300)
        return super().__new__(cls, shown[0], started, seconds, http_status, shown[1])


@dataclass(frozen=True, eq=False)
class Payload:
    """All documents of one fetch, with what is needed to commit them later.

    *uptime* is CLOCK_BOOTTIME in seconds: with *boot_id* it tells a clock that
    was set back from a second run in the same slot. *source* says where it was taken
    from, where that is no fetch of ours.
    """

    system_id: str
    slot: Slot
    run_id: str
    fetched_at: float
    documents: tuple[Document, ...]
    boot_id: str = ""
    uptime: float = 0.0
    incomplete: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)

    def body(self, name: str) -> bytes | None:
        """Return the body of the document called *name*, None where it is absent."""
        found = (each.body for each in self.documents if each.name == name)
        return next(found, None)


MANY = 1_000
"""Tries without a bound of their own: the run's time is the bound."""
ONCE = 1
"""Tries for what a run can do without: one, within a small share of its time."""
Check = Callable[[bytes], object]
"""Looks at a body and raises PayloadError where it is not what was asked for."""


class Getter(Protocol):
    """Gets one document, within the bounds of the run, with retries.

    *check* is called with each body; its PayloadError is retried like a network
    error, and when the tries are used up the last body is returned all the same.
    Raises FeedError where no body came at all.
    """

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = MANY
    ) -> Document:
        """Return the document at *url*, called *name*, after *tries* at most."""
        ...


class Memory(NamedTuple):
    """What earlier runs left for the next fetch.

    *notes* are the feed's own, as it returned them last; *station_ids* are those
    whose station information is known. Both are empty at the first run, and may
    be at any: they save requests, nothing depends on them.
    """

    notes: Mapping[str, str] = {}
    station_ids: Collection[str] = frozenset()
    now: float = 0.0


@dataclass(frozen=True, eq=False)
class Fetched:
    """What a feed's fetch yields.

    *notes* are kept for the next fetch; *incomplete* says why a part is missing
    (a page that did not come), and is empty where all came. *findings* are as in a
    `Snapshot`. *fetched_at* is the moment of the document that has the counts, 0 for
    the latest of all.
    """

    documents: tuple[Document, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    incomplete: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)
    fetched_at: float = 0.0


Documents = tuple[Document, ...]


class FeedClient(Getter, Protocol):
    """Gets documents and remembers how that went.

    *public_host* is the feed's own host where it was found in the public Internet, by
    an earlier run (as who hands it over says) or by this one; empty where it was not.
    """

    public_host: str

    @property
    def attempts(self) -> Sequence[Attempt]:
        """All tries so far, in order."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
