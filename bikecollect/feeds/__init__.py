"""A module or package per dialect: how a feed is fetched, and its payload read."""

from typing import TYPE_CHECKING, Protocol

from bikecollect.core.payload import Documents, Getter, Memory, Payload
from bikecollect.core.snapshot import Snapshot

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames


class Feed(Protocol):
    """A dialect, configured for one system."""

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the documents of one payload through *get*; raises FeedError."""
        ...

    def read(self, documents: Documents) -> Snapshot:
        """Parse *documents*; the same bytes always give the same result.

        Raises PayloadError if they cannot be understood, and nothing else.
        """
        ...

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        ...
