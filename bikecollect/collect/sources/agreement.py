"""Measure how well another archive agrees with ours, and a shift of its times."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bikecollect.archive import day_csv
from bikecollect.archive.datasets import KEY, STATION_LAYOUT
from bikecollect.collect.sources import ForeignSnapshot
from bikecollect.core.blocks import Span
from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import DAY, HOUR, Slot
from bikecollect.core.text import percent
from bikecollect.feeds.reading.values import count
from bikecollect.storage.csv_store import Store

SAMPLE = 500
"""Maximum slots on which the agreement with another archive is measured."""
MIN_SHARE = 0.5
"""Minimum agreement; with less, it is another city or another time zone."""
FEW_COMMON = 0.1
"""Minimum share of the other archive's stations that are known here."""
POLLS, APART = 48, HOUR // 2
"""Snapshots that are compared at shifted times, and minimum seconds between them."""
STATIONS = 100
"""Maximum stations whose values are compared at shifted times."""
QUARTER = HOUR // 4
_NEAR = [quarters * QUARTER for quarters in (*range(-56, 0), *range(1, 57))]
_A_DAY = [days * DAY + near for days in (-1, 1) for near in (-APART, 0, APART)]
SHIFTS = tuple(sorted([*_NEAR, *_A_DAY]))
"""The shifts in seconds that are tried: quarters of an hour up to 14 hours (some zones
have offsets such as 5:45), and about a day."""
BETTER, MAX_LEFT = 0.03, 0.5
"""A shift is proven if its agreement is BETTER by this much, and at most MAX_LEFT of
the differences are left."""
EXACT, CLEAR = 0.98, 0.05
"""Without common slots, a shift is proven by an agreement of EXACT that exceeds that of
all others by CLEAR."""
ENOUGH = 40
"""Minimum values that must be compared to prove a shift."""
VEHICLES, DOCKS = map(
    STATION_LAYOUT.columns.index, ("num_vehicles_available", "num_docks_available")
)
Values = Mapping[str, tuple[int | None, int | None]]
"""Vehicles and docks by station."""


@dataclass
class Agreement:
    """The agreement of another archive with ours, in slots that both have.

    Of the *values* that both have (vehicles, docks), *equal* are the same; *only_ours*
    and *only_theirs* count stations that one of them lacks. Of the *stations* of the
    other archive, *common* are known here, and *unpadded* without regard to leading
    zeros. With times moved by *shift* seconds, the share *shifted* of the values is the
    same.
    """

    slots: int = 0
    values: int = 0
    equal: int = 0
    only_ours: int = 0
    only_theirs: int = 0
    common: int = 0
    stations: int = 0
    shift: int = 0
    shifted: float = 0.0
    unpadded: int = 0

    @property
    def share(self) -> float | None:
        """Share of equal values, None if nothing could be compared."""
        return self.equal / self.values if self.values else None

    def check(self, label: str) -> None:
        """Raise SettingsError if the archive *label* is not of the same system."""
        if self.stations and self.common < self.stations * FEW_COMMON:
            if self.unpadded >= self.stations * MIN_SHARE:
                raise SettingsError(
                    f"{label} has {self.stations} stations, of which {self.unpadded} "
                    "are known here with leading zeros: write its ids as text (0001, "
                    "not 1); nothing was filled"
                )
            raise SettingsError(
                f"{label} has {self.stations} stations, of which {self.common} are "
                "known here: most likely another city; nothing was filled "
                "(use --force to fill anyway)"
            )
        if self.shift:
            now = "no common slot" if self.share is None else percent(self.share)
            raise SettingsError(
                f"{label} agrees with ours in {percent(self.shifted)} of the values if "
                f"its times are moved by {self.shift / HOUR:+g} h ({now} as they are): "
                "most likely they are in another time zone (see --time-zone); "
                "nothing was filled (use --force to fill anyway)"
            )
        if self.share is not None and self.share < MIN_SHARE:
            raise SettingsError(
                f"{label} agrees with ours in {percent(self.share)} of {self.values} "
                "values only: most likely another city or another time zone; nothing "
                "was filled (use --force to fill anyway)"
            )


@dataclass
class Comparison:
    """Compares snapshots with our blocks at *spans*, whose bytes are in *store*.

    *known* are the ids in our station list, which lacks imported stations.
    """

    store: Store
    spans: Mapping[Slot, Span]
    known: Collection[str]
    agreement: Agreement
    _polls: list[ForeignSnapshot] = field(default_factory=list, init=False)
    _ids: set[str] = field(default_factory=set, init=False)
    _sample: dict[Slot, Values] = field(default_factory=dict, init=False)

    def measure(
        self, snapshots: Iterable[ForeignSnapshot], interrupted: Callable[[], None]
    ) -> None:
        """Measure the agreement over the first slots that both have."""
        if not self.spans and not self.known:
            return
        first = min(self.spans, default=0) + SHIFTS[0]
        last = max(self.spans, default=0) + SHIFTS[-1]
        for number, foreign in enumerate(snapshots):
            interrupted()
            self._ids |= {status.station_id for status in foreign.statuses}
            if first <= foreign.slot <= last:
                self._keep(foreign)
            if foreign.slot in self.spans:
                self._compare(foreign)
            is_enough = self.agreement.slots >= SAMPLE or foreign.slot > last
            if is_enough and number >= POLLS:
                break
        known = {*self.known, *self._ours(max(self.spans, default=Slot(0)))}
        if known:
            self.agreement.stations = len(self._ids)
            self.agreement.common = len(self._ids & known)
            unpadded = {i.lstrip("0") for i in known if i.startswith("0")}
            self.agreement.unpadded = len(self._ids & unpadded)
        self._find_shift()

    def _keep(self, foreign: ForeignSnapshot) -> None:
        """Keep *foreign* for the comparison at shifted times."""
        before = self._polls[-1].slot if self._polls else Slot(0)
        if len(self._polls) < POLLS and foreign.slot - before >= APART:
            self._polls.append(foreign)

    def _compare(self, foreign: ForeignSnapshot) -> None:
        ours, theirs = self._ours(foreign.slot), _values(foreign)
        agreement, both = self.agreement, ours.keys() & theirs.keys()
        agreement.slots += 1
        values, equal = _equal(ours, theirs, both)
        agreement.values += values
        agreement.equal += equal
        agreement.only_ours += len(ours.keys() - both)
        agreement.only_theirs += len(theirs.keys() - both)

    def _find_shift(self) -> None:
        """Find the shift of the other archive's times with far better agreement."""
        polls = [(poll.slot, _values(poll, STATIONS)) for poll in self._polls]
        ids = {station_id for _, values in polls for station_id in values}
        self._sample = {
            slot: self._ours(slot, ids)
            for slot in {Slot(at + shift) for at, _ in polls for shift in (0, *SHIFTS)}
            if slot in self.spans
        }
        values, equal = self._share(polls, 0)
        shares = {}
        for shift in SHIFTS:
            compared, same = self._share(polls, shift)
            if compared >= ENOUGH:
                shares[shift] = same / compared
        if not shares:
            return
        best = max(shares, key=lambda shift: (shares[shift], -abs(shift)))
        if values:
            is_proven = _is_far_better(shares[best], equal / values)
        else:
            # Counts hardly change at night: the archives may just follow each other.
            others = [share for shift, share in shares.items() if shift != best]
            is_exact = shares[best] >= EXACT
            is_proven = is_exact and shares[best] - max(others, default=1.0) >= CLEAR
        if is_proven:
            self.agreement.shift, self.agreement.shifted = best, shares[best]

    def _share(
        self, polls: Iterable[tuple[Slot, Values]], shift: int
    ) -> tuple[int, int]:
        """Return how many values are compared with *shift*, and how many are equal."""
        total = equal = 0
        for slot, theirs in polls:
            ours = self._sample.get(Slot(slot + shift), {})
            values, same = _equal(ours, theirs, ours.keys() & theirs.keys())
            total += values
            equal += same
        return total, equal

    def _ours(self, slot: Slot, ids: Collection[str] | None = None) -> Values:
        """Return our values in *slot*; only of the stations *ids* if there are any."""
        span = self.spans.get(slot)
        rows = _rows(self.store.text(span)) if span else iter(())
        return {i: values for i, values in rows if ids is None or i in ids}


def _is_far_better(share: float, own: float) -> bool:
    """Return whether the agreement *share* with a shift disproves that without one."""
    halves = 1 - share <= (1 - own) * MAX_LEFT
    return share >= MIN_SHARE and share - own >= BETTER and halves


def _equal(ours: Values, theirs: Values, both: Collection[str]) -> tuple[int, int]:
    """Return how many values both archives have, and how many of them are equal."""
    pairs = [
        (a, b)
        for station_id in both
        for a, b in zip(ours[station_id], theirs[station_id], strict=True)
        if a is not None and b is not None
    ]
    return len(pairs), sum(a == b for a, b in pairs)


def _values(foreign: ForeignSnapshot, most: int | None = None) -> Values:
    return {
        status.station_id: (status.num_vehicles_available, status.num_docks_available)
        for status in foreign.statuses[:most]
    }


def _rows(text: bytes) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
    for cells in day_csv.cells(text):
        yield cells[KEY], (count(cells[VEHICLES]), count(cells[DOCKS]))
