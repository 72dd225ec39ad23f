"""Try to read payloads without writing anything: find those `backfill` can commit."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.collect.fetching.clock import check_payload
from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Payload
from bikecollect.core.text import message
from bikecollect.feeds import Feed
from bikecollect.feeds.imported import station_rows
from bikecollect.storage import payload_store

if TYPE_CHECKING:
    from bikecollect.collect.vehicles import VehicleCommitter


@dataclass(frozen=True)
class PayloadTrial:
    """Reads payloads like a commit: by *feed*, and by *vehicles* if collected."""

    feed: Feed
    vehicles: "VehicleCommitter | None" = None

    def problem(self, path: Path) -> str:
        """Return why the payload in the file *path* cannot be read; empty if it can."""
        try:
            payload = payload_store.read_payload(path)
            check_payload(payload)
            self._read(payload)
        except PayloadError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a bug, which a commit would have
            return message(f"{type(error).__name__}: {error}")
        return ""

    def rows(self, path: Path) -> int:
        """Return the number of stations in the payload *path*, 0 if unreadable."""
        with suppress(Exception):  # `problem` says why
            documents = payload_store.read_payload(path).documents
            return len(self.feed.read(documents).statuses)
        return 0

    def _read(self, payload: Payload) -> None:
        if self.vehicles is not None and self.vehicles.is_alone(payload):
            self.vehicles.read(payload)
        elif payload.body(station_rows.DOCUMENT) is None:
            self.feed.read(payload.documents)
