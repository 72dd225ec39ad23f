"""Fields that vanish from the station list: each keeps its last value for a day."""

import json
from typing import Any

from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import REPORTED_SHARE, StationInformation

FIELDS = StationInformation._fields[1:-1]


class VanishedFields:
    """The vanished fields of stations, each with the first slot without it."""

    def __init__(self, note: str, slot: Slot) -> None:
        self._slot = slot
        self._before: dict[str, dict[str, int]] = {
            name: {i: int(since) for since, ids in by_slot.items() for i in ids}
            for name, by_slot in json.loads(note or "{}").items()
        }
        self._now: dict[str, dict[str, int]] = {}

    def restore(
        self, station: StationInformation, before: StationInformation | None
    ) -> StationInformation:
        """Return *station* with fields of *before* that vanished within a day."""
        if before is None:
            return station
        values: dict[str, Any] = {}
        for name, value, old in zip(FIELDS, station[1:], before[1:], strict=False):
            if value is not None or old is None:
                continue
            since = self._since(name, station.station_id)
            if self._slot - since < DAY:
                self._now.setdefault(name, {})[station.station_id] = since
                values[name] = old
        return station._replace(**values) if values else station

    def take_expired(self) -> dict[str, list[str]]:
        """Return, by station, the fields that vanished a day ago; keep the others."""
        expired: dict[str, list[str]] = {}
        for name, stations in self._before.items():
            for station_id, since in stations.items():
                if self._slot - since >= DAY:
                    expired.setdefault(station_id, []).append(name)
                else:
                    self._now.setdefault(name, {})[station_id] = since
        return expired

    def note(self) -> str:
        """Return the note to store, empty if no field has vanished."""
        by_slot: dict[str, dict[str, list[str]]] = {}
        for name, stations in self._now.items():
            for station_id, since in stations.items():
                slots = by_slot.setdefault(name, {})
                slots.setdefault(str(since), []).append(station_id)
        return json.dumps(by_slot, sort_keys=True) if by_slot else ""

    def findings(self, total: int) -> dict[str, str]:
        """Return a sentence for each field that has vanished at many stations."""
        return {
            f"vanished {name}": (
                f"{name} has vanished from the information of {len(stations)} of "
                f"{total} stations, such as {next(iter(stations))}: its last value "
                "is kept for a day"
            )
            for name, stations in self._now.items()
            if len(stations) >= total * REPORTED_SHARE
        }

    def _since(self, name: str, station_id: str) -> int:
        return self._before.get(name, {}).get(station_id, self._slot)
