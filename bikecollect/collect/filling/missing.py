"""The snapshots of another archive that are missing here."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bikecollect.collect.committed_blocks import STALE
from bikecollect.collect.filling.fillings import STALE_HERE, STALE_THERE
from bikecollect.collect.sources import ForeignSnapshot, Source
from bikecollect.core.slots import Slot


class SlotSpan(NamedTuple):
    """The slots from *since* to before *until*."""

    since: Slot
    until: Slot

    def __contains__(self, slot: object) -> bool:
        """Return whether *slot* is among them."""
        return isinstance(slot, int) and self.since <= slot < self.until


@dataclass(eq=False, repr=False)
class MissingSnapshots:
    """The snapshots of *source* in *span* for slots that are not *filled*.

    *stale* has the stale slots here, True if their day is archived. With
    *prefer_fresh*, the others are *replaced*. *differing* collects the slots that are
    stale in one of both archives only. *interrupted* may raise Interrupted.
    """

    source: Source
    span: SlotSpan
    filled: set[Slot]
    stale: Mapping[Slot, bool]
    prefer_fresh: bool
    interrupted: Callable[[], None]
    taken: set[Slot] = field(default_factory=set, init=False)
    differing: list[tuple[Slot, str]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Find the slots that are replaced: stale ones of days without an archive."""
        stale = self.stale.items() if self.prefer_fresh else ()
        self.replaced = {slot for slot, is_archived in stale if not is_archived}

    def __iter__(self) -> Iterator[ForeignSnapshot]:
        """Yield the snapshots that are *taken*, oldest first."""
        for foreign in self.source.snapshots():
            self.interrupted()
            slot = foreign.slot
            if slot not in self.span:
                continue
            is_fresh = STALE not in foreign.flags
            if slot in self.filled and not (is_fresh and slot in self.replaced):
                if self.source.has_flags and (slot in self.stale) == is_fresh:
                    what = STALE_HERE if is_fresh else STALE_THERE
                    self.differing.append((slot, what))
                continue
            self.taken.add(slot)
            yield foreign
