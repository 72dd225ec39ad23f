"""List the systems in a mirror, and how new their data are there."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import STATION_LAYOUT, VEHICLE_LAYOUT
from bikecollect.archive.mirror.certified import certificates_of
from bikecollect.archive.mirror.live.live_paths import live_path
from bikecollect.archive.mirror.record import LIVE
from bikecollect.archive.mirror.store.object_store import ObjectStore
from bikecollect.archive.parts import is_day
from bikecollect.core.errors import MirrorError, StorageError
from bikecollect.core.slots import DAY, bounds
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger_reader import History

LATE = 2 * DAY
"""Maximum age of the newest data in seconds: days are archived and copied nightly."""


@dataclass(frozen=True)
class MirroredSystem:
    """A system in a mirror: its archived *days*, and the end of its *newest* data."""

    system_id: str
    days: Sequence[str]
    zone: tzinfo
    newest: float | None

    def is_late(self, now: float) -> bool:
        """Return whether the newest data are older than `LATE`."""
        return self.newest is None or now - self.newest > LATE


def systems_of(store: ObjectStore) -> Iterator[MirroredSystem]:
    """Yield the systems of the mirror *store* by name; raises MirrorError.

    The newest data is that of the last certificate, or of the copied ledger.
    """
    days = defaultdict[str, dict[str, str]](dict)
    for layout in (VEHICLE_LAYOUT, STATION_LAYOUT):
        for stored in store.list(
            PurePosixPath(certificates_of(layout, "x")).parent.as_posix()
        ):
            path = PurePosixPath(stored.path)
            if path.suffix == ".json" and is_day(path.stem):
                name = path.parent.name.removeprefix("system_id=")
                days[name][path.stem] = stored.path
    for stored in store.list(LIVE):
        path = PurePosixPath(stored.path)
        if path.name == LEDGER and path == PurePosixPath(
            live_path(path.parent.name, LEDGER)
        ):
            days[path.parent.name] |= {}
    for name, paths in sorted(days.items()):
        yield _system(store, name, paths)


def _system(store: ObjectStore, name: str, paths: dict[str, str]) -> MirroredSystem:
    last = max(paths, default="")
    zone = _zone(store, paths[last]) if last else ZoneInfo("UTC")
    ends: list[float] = [bounds(last, zone)[1]] if last else []
    if slot := _newest_live_slot(store, name):
        ends.append(slot)
    return MirroredSystem(name, sorted(paths), zone, max(ends, default=None))


def _zone(store: ObjectStore, path: str) -> ZoneInfo:
    """Return the time zone in the certificate at *path*."""
    try:
        return ZoneInfo(json.loads(store.read(path) or b"")["timezone"])
    except (ValueError, LookupError, TypeError, OSError) as error:
        what = f"the certificate {store.address}/{path} is invalid"
        raise MirrorError(f"{what}; run: bikecollect verify --mirror") from error


def _newest_live_slot(store: ObjectStore, name: str) -> int | None:
    """Return the newest slot in the copied ledger of a system, if there is one."""
    path = live_path(name, LEDGER)
    if store.find(path) is None:
        return None
    with scratch() as folder:
        store.download(path, folder / LEDGER)
        try:
            return History(name, folder).newest_block()
        except StorageError as error:
            raise MirrorError(f"cannot read {store.address}/{path}: {error}") from error
