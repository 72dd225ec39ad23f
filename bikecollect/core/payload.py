"""A payload: the unchanged bytes of one fetch, and how they were fetched."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

from bikecollect.core.slots import Slot
from bikecollect.core.text import message, shortened


@dataclass(frozen=True, eq=False, repr=False)
class Document:
    """One response of a feed; *body* is the decompressed body.

    *name* is its key in the payload (``station_status``, ``page-0``); *url* contains no
    secret; *fetched_at* is the epoch second at which the response was complete; *date*
    is the Date header in epoch seconds, None if absent. *total* and *next_url* are the
    length of a paginated list and the address of its next page, from the headers.
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
    """One request to *url*: *started* in epoch seconds, *seconds* is its duration.

    The address and the error may quote untrusted input: both are escaped and become
    one line each.
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
        """Return the attempt with *url* and *error* made safe to show."""
        safe_url = shortened(message(url), 300)
        safe_error = shortened(message(error), 300)
        return super().__new__(cls, safe_url, started, seconds, http_status, safe_error)


@dataclass(frozen=True, eq=False, repr=False)
class Payload:
    """All documents of one fetch, and all that is needed to commit them later.

    A feed returns it without system, slot and run, which the run adds. *fetched_at* is
    the epoch second at which the document with the counts was complete; 0 stands for
    that of the last document. *notes* are kept for the feed's next fetch; *incomplete*
    says why a part is missing (a page that failed), empty if the payload is complete;
    *beside* is the same for documents without stations (vehicle types, regions).
    *findings* are as in a `Snapshot`. *uptime* is CLOCK_BOOTTIME in seconds: with
    *boot_id* it distinguishes a clock that was set back from a second run in the same
    slot. *source* is the origin of a payload that bikecollect did not fetch itself,
    else empty.
    """

    documents: tuple[Document, ...]
    system_id: str = ""
    slot: Slot = Slot(0)
    run_id: str = ""
    fetched_at: float = 0.0
    boot_id: str = ""
    uptime: float = 0.0
    incomplete: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)
    beside: str = ""

    @property
    def size(self) -> int:
        """The bytes of all its documents."""
        return sum(len(document.body) for document in self.documents)

    def body(self, name: str) -> bytes | None:
        """Return the body of the document *name*, None if it is absent."""
        return next((doc.body for doc in self.documents if doc.name == name), None)


MANY = 1_000
"""Maximum tries for a required document: in effect the run's time is the limit."""
ONCE = 1
"""Maximum tries for an optional document, which gets a small share of the time."""
Check = Callable[[bytes], object]
"""Validates a body; raises PayloadError if it is not the requested document."""


class Getter(Protocol):
    """Gets one document within the time of the run, with retries.

    *check* is called with each body; its PayloadError is retried like a network
    error. After the last try the last body is returned even if *check* rejected it.
    Raises FeedError if no body was received.
    """

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = MANY
    ) -> Document:
        """Return the document at *url* as *name*, after at most *tries* requests."""
        ...


class Memory(NamedTuple):
    """State of earlier runs that saves requests in the next fetch.

    *notes* are those of the last payload; *station_ids* are the stations whose
    information is known. Both are empty in the first run and may be empty in any later
    one: a feed must work without them. *now* is the time of the run in epoch seconds.
    """

    notes: Mapping[str, str] = {}
    station_ids: Collection[str] = frozenset()
    now: float = 0.0

    def values(self, name: str) -> Mapping[str, Any]:
        """Return the JSON object in the note *name*, empty for any other note.

        >>> Memory({"gbfs.at": '{"at": 300}'}).values("gbfs.at")
        {'at': 300}
        >>> Memory({"gbfs.at": "[1]"}).values("gbfs.at")
        {}
        """
        try:
            known = json.loads(self.notes.get(name) or "{}")
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}


Documents = tuple[Document, ...]


class FeedClient(Getter, Protocol):
    """Gets documents and records each attempt.

    *public_host* is the feed's host if an earlier run or this one resolved it to a
    public address, else empty.
    """

    public_host: str

    @property
    def attempts(self) -> Sequence[Attempt]:
        """All attempts so far, in order."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
