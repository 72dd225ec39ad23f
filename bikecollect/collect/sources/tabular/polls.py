"""The polls of a slot in other programs' tables, and the one that is used."""

from bikecollect.collect.sources import ForeignSnapshot
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus

WHOLE = 0.9
"""Share of a slot's stations that a complete poll must have."""
Poll = dict[str, tuple[float, StationStatus]]


class Polls:
    """The polls of one slot; stations report independently if *apart*."""

    def __init__(self, *, apart: bool) -> None:
        self._polls: list[Poll] = [{}]
        self._apart = apart
        self._twice: set[float] = set()
        self._updated: dict[float, float] = {}
        self._fetched: dict[float, float] = {}

    def __bool__(self) -> bool:
        return bool(self._polls[0])

    def add(
        self,
        moment: float,
        status: StationStatus,
        updated: float | None,
        fetched: float | None,
    ) -> None:
        """Add *status* to the newest poll; a repeated station starts a new poll."""
        if fetched is not None:
            self._fetched.setdefault(moment, fetched)
        if updated is not None:
            self._updated[moment] = max(self._updated.get(moment, 0.0), updated)
        before = self._polls[-1].get(status.station_id)
        if before is None:
            self._polls[-1][status.station_id] = (moment, status)
        elif before[0] != moment:
            self._polls.append({status.station_id: (moment, status)})
        else:
            self._twice.add(moment)

    def snapshot(self, slot: Slot) -> ForeignSnapshot:
        """Return the earliest complete poll, else the first row of each station."""
        poll = self._chosen()
        moments = {moment for moment, _ in poll.values()}
        stamps = [self._updated[m] for m in moments if m in self._updated]
        return ForeignSnapshot(
            slot,
            min(self._fetched.get(moment, moment) for moment in moments),
            tuple(status for _, status in poll.values()),
            ("dup",) if moments & self._twice else (),
            int(max(stamps)) if stamps else None,
        )

    def _chosen(self) -> Poll:
        first: Poll = {}
        for poll in reversed(self._polls):
            first |= poll
        share = WHOLE * len(first)
        complete = (p for p in self._polls if not self._apart and len(p) >= share)
        return next(complete, first)
