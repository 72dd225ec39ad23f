"""Telling: from what runs said to the people that should know, each trouble once."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.alerts import signals
from bikecollect.alerts.escalation import MEMORY, step
from bikecollect.alerts.state import AlertState, AlertStateFile
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Event, Signal
from bikecollect.core.run import Run
from bikecollect.core.slots import HOUR, Slot, day_of
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import SystemFolder

if TYPE_CHECKING:
    from bikecollect.alerts.delivery import Dispatch


class AlertPlace(NamedTuple):
    """A system's folder, and what of its alerts lies elsewhere.

    *away* is its outbox while its disk is.
    """

    system: SystemFolder
    away: Path
    state_file: Path


@dataclass(eq=False, repr=False)
class News:
    """What one run brought: its *state* after it, and the *events* to tell of."""

    run: Run
    place: AlertPlace
    state_file: AlertStateFile
    ledger: AlertLedger
    state: AlertState
    changed: bool
    events: tuple[Event, ...] = ()


Told = Sequence[tuple[Event, News]]


@dataclass(frozen=True, eq=False, repr=False)
class Alerter:
    """Decides who is told of what; *dispatch* makes what does it.

    *mails* says whether mails are set up, *digests* whether some come by the
    calendar, *wished* whether any way of telling is.
    """

    places: Mapping[str, AlertPlace]
    interval: int
    dispatch: Callable[[], "Dispatch"]
    mails: bool = False
    digests: bool = False
    wished: bool = False
    muted: frozenset[str] = frozenset()

    def tell(self, runs: Iterable[Run]) -> bool:
        """Tell of *runs*; return whether people are told as they wished to be."""
        with ExitStack() as held:
            news = [self._heard(run, held) for run in runs if _counts(run)]
            telling = _together(news)
            # Nearly always there is nothing to tell, and nothing is imported for it.
            wanted = telling or any(self._has_mail(each) for each in news)
            dispatch = self.dispatch() if wanted else None
            told = [dispatch.spool(each) for each in telling] if dispatch else []
            for each in news:
                _remember(each)
        if dispatch is None:
            return self.wished
        if self.mails:
            dispatch.digest()
            dispatch.drain()
        hooked = [dispatch.hook(each) for each in telling]
        return self.wished and all(a or b for a, b in zip(told, hooked, strict=True))

    def _heard(self, run: Run, held: ExitStack) -> News:
        """Return what *run* makes of the state of its system, which is held."""
        place = self.places[run.system_id]
        state_file, ledger = (
            AlertStateFile(place.state_file),
            AlertLedger(place.system.ledger),
        )
        held.enter_context(state_file.held())
        state = state_file.load() or AlertState(
            ledger.last_run(run.slot),
            ledger.incidents(Slot(run.slot - MEMORY), run.slot),
        )
        said = signals.of_run(run, self._missed(state.seen, run, ledger))
        if self.mails and state.mail is not None:
            said["mail"] = Signal("smtp", state.mail) if state.mail else None
        said = {kind: each for kind, each in said.items() if kind not in self.muted}
        if state.seen is not None and run.slot <= state.seen:
            if run.outcome is Outcome.KILLED:
                said = {}  # its slot has been told of
            said = {kind: each for kind, each in said.items() if each and each.over}
        incidents, events = step(state.incidents, run.slot, said, self.interval)
        seen = Slot(max(run.slot, state.seen or run.slot))
        changed = incidents != state.incidents
        news = News(run, place, state_file, ledger, state, changed)
        news.state = state._replace(seen=seen, incidents=incidents)
        if not state_file.usable and not ledger.usable():
            # Nothing can be remembered: rather once an hour than in each slot.
            events = events if run.slot % HOUR < self.interval else ()
        news.events = events
        return news

    def _has_mail(self, news: News) -> bool:
        """Tell whether mails wait, or a digest may be due."""
        if not self.mails:
            return False
        today = day_of(news.run.slot, news.place.system.zone)
        if self.digests and news.state.digested != today:
            return True
        return any(_holds_any(f) for f in (news.place.system.outbox, news.place.away))

    def _missed(
        self, seen: Slot | None, run: Run, ledger: AlertLedger
    ) -> Signal | None:
        if seen is None or seen + self.interval >= run.slot:
            return None
        filled, runs = ledger.between(seen, run.slot)
        return signals.missed(seen, run, self.interval, filled, runs)


def _counts(run: Run) -> bool:
    return run.outcome not in {Outcome.INTERRUPTED, Outcome.DRY}


def _together(news: Iterable[News]) -> list[Told]:
    """Return what is to be told: one letter for systems that share a trouble."""
    found = sorted(((e, n) for n in news for e in n.events), key=_sort_key)
    return [list(each) for _, each in groupby(found, key=_sort_key)]


def _sort_key(told: tuple[Event, News]) -> tuple[str, str]:
    return told[0].incident.kind, told[0].what.value


def _holds_any(folder: Path) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is not None
    return False


def _remember(news: News) -> None:
    if news.changed:
        news.ledger.save(news.state.incidents)
    news.state_file.save(news.state)
