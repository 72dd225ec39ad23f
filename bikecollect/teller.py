"""Telling: from what runs said to the people that should know, each trouble once."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect import digest, letter, signs
from bikecollect.book import Book
from bikecollect.errors import Outcome
from bikecollect.history import History
from bikecollect.incident import MEMORY, Event, Sign, What, step
from bikecollect.jot import Jot, State
from bikecollect.letter import Facts, Letter
from bikecollect.outbox import Outbox
from bikecollect.post import Post
from bikecollect.redact import Redact, nothing
from bikecollect.run import Run
from bikecollect.slot import Slot
from bikecollect.survey import survey

log = logging.getLogger(__name__)

HOUR = 3_600
TAIL_LINES = 8
TAIL_BYTES = 16_384
UNMAILABLE = frozenset({What.OPENED, What.REMINDED, What.ESCALATED, What.RETURNED})
"""What a mail cannot say of the mail server."""
Hook = Callable[[str, Mapping[str, str]], str]
Told = Sequence[tuple[Event, Facts]]


@dataclass(frozen=True)
class Place:
    """Where a system's things lie; *outbox* is elsewhere when its disk is away."""

    system_id: str
    folder: Path
    outbox: Path
    jot: Path
    zone: ZoneInfo


@dataclass
class News:
    """What one run brought: its *state* after it, and the *events* to tell of."""

    run: Run
    place: Place
    jot: Jot
    book: Book
    state: State
    changed: bool
    events: tuple[Event, ...] = ()
    facts: Facts | None = None


@dataclass(frozen=True)
class Teller:
    """Tells people; *post* sends mails (None: nobody is to get any).

    *hooks* are handed a short text and variables, and return what went wrong.
    *period* is that of the digest, daily or weekly, empty for none.
    """

    places: Mapping[str, Place]
    interval: int
    post: Post | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    muted: frozenset[str] = frozenset()
    version: str = ""
    period: str = ""
    redact: Redact = nothing

    def tell(self, runs: Iterable[Run]) -> bool:
        """Tell of *runs*; return whether people are told as they wished to be."""
        with ExitStack() as held:
            news = [self._heard(run, held) for run in runs if _counts(run)]
            telling = _together(news)
            told = [self._spool(each) for each in telling]
            for each in news:
                _remember(each)
        if self.post is not None:
            self._digest(self.post)
            self._drain()
        hooked = [self._hook(each) for each in telling]
        wished = self.post is not None or bool(self.hooks)
        return wished and all(a or b for a, b in zip(told, hooked, strict=True))

    def _heard(self, run: Run, held: ExitStack) -> News:
        """Return what *run* makes of the state of its system, which is held."""
        place = self.places[run.system_id]
        jot, book = Jot(place.jot), Book(place.folder / "ledger.sqlite3")
        held.enter_context(jot.held())
        state = jot.load() or State(
            book.last_run(run.slot), book.incidents(Slot(run.slot - MEMORY))
        )
        said = signs.of_run(run, self._missed(state.seen, run, book))
        if self.post is not None and state.mail is not None:
            said["mail"] = Sign("smtp", state.mail) if state.mail else None
        said = {kind: each for kind, each in said.items() if kind not in self.muted}
        if state.seen is not None and run.slot <= state.seen:
            said = {kind: each for kind, each in said.items() if each and each.over}
        incidents, events = step(state.incidents, run.slot, said, self.interval)
        seen = Slot(max(run.slot, state.seen or run.slot))
        changed = incidents != state.incidents
        news = News(run, place, jot, book, state, changed)
        news.state = replace(state, seen=seen, incidents=incidents)
        if not jot.usable and not book.usable():
            # Nothing can be remembered: rather once an hour than in each slot.
            events = events if run.slot % HOUR < self.interval else ()
        if events:
            news.events, news.facts = events, self._facts(run, place, book)
        return news

    def _missed(self, seen: Slot | None, run: Run, book: Book) -> Sign | None:
        if seen is None or seen + self.interval >= run.slot:
            return None
        filled, ended = book.between(seen, run.slot)
        return signs.missed(seen, run, self.interval, filled, ended)

    def _facts(self, run: Run, place: Place, book: Book) -> Facts:
        return Facts(
            system_id=run.system_id,
            zone=place.zone,
            interval=self.interval,
            slot=run.slot,
            folder=str(place.folder),
            last_good=book.last_block(Slot(run.slot + 1)),
            inbox=_count(place.folder / "payloads" / "inbox"),
            rejected=_count(place.folder / "payloads" / "rejected"),
            run_id=run.run_id,
            version=self.version,
            host=os.uname().nodename,
            tail=_tail(place.folder / "bikecollect.log"),
        )

    def _spool(self, told: Told) -> bool:
        """Put the letter about *told* into the outbox; return whether it is safe."""
        event, facts = told[0]
        if self.post is None:
            return False
        if event.incident.kind == "mail" and event.what in UNMAILABLE:
            return False
        outbox = Outbox(self.places[facts.system_id].outbox)
        written = Letter(
            letter.name(event, facts),
            letter.subject(told),
            self.redact(letter.body(told)),
            tuple(f".{f.system_id}.{e.incident.incident_id}." for e, f in told),
            escalated=any(e.incident.escalated for e, _ in told),
        )
        return self.post.spool(outbox, written)

    def _drain(self) -> None:
        """Send what waits, and note in the first system's state how that went."""
        assert self.post is not None
        folders = dict.fromkeys(place.outbox for place in self.places.values())
        error = self.post.drain([Outbox(each) for each in folders])
        if error is None:
            return
        jot = Jot(next(iter(self.places.values())).jot)
        with jot.held():
            state = jot.load()
            if state is not None and state.mail != error:
                jot.save(replace(state, mail=error))

    def _digest(self, post: Post) -> None:
        """Spool the digest of the period that is over, where one is wished and due."""
        if not self.period:
            return
        place = next(iter(self.places.values()))
        jot = Jot(place.jot)
        with jot.held():
            state = jot.load()
            today = datetime.fromtimestamp(post.clock(), place.zone).date()
            if state is None or state.digested == today.isoformat():
                return
            days = digest.due(self.period, today, state.digested)
            if days is not None:
                span = [self._summary(each, days) for each in self.places.values()]
                about = f"bikecollect {self.version} on {os.uname().nodename}"
                text = self.redact(digest.body(span, about))
                name = f"{today}.digest.{self.period}"
                letter = Letter(name, digest.subject(*days), text)
                post.spool(Outbox(place.outbox), letter)
            if days is not None or not state.digested:
                jot.save(replace(state, digested=today.isoformat()))

    def _summary(self, place: Place, days: tuple[date, date]) -> digest.Summary:
        """Return what became of the slots of *days*, in the system's own time."""
        first, last = (
            datetime.combine(day, time(), place.zone).timestamp()
            for day in (days[0], days[1] + timedelta(days=1))
        )
        begin, end = Slot(int(first)), Slot(int(last))
        history = History(place.system_id, place.folder)
        begun = max(begin, history.first() or end)
        filled = {slot for slot in history.filled(begin) if slot < end}
        runs = [each for each in history.outcomes(begin) if each[0] < end]
        words = {slot: word for slot, word, _ in runs if slot not in filled}
        empty = set(range(begun, end, self.interval)) - filled
        seen = survey(
            place.system_id,
            place.folder,
            place.zone,
            interval=self.interval,
            now=last,
        )
        return digest.Summary(
            system_id=place.system_id,
            expected=len(range(begun, end, self.interval)),
            collected=len(filled),
            lost=Counter(words.get(Slot(each), "no run") for each in empty),
            flags=Counter(f for slot, _, flags in runs for f in flags.split()),
            inbox=seen.inbox,
            rejected=seen.rejected,
            used=seen.disk.used,
            free=seen.disk.free,
            days_left=seen.disk.days_left,
        )

    def _hook(self, told: Told) -> bool:
        """Tell the webhook and the command; return whether any of them took it."""
        event, facts = told[0]
        variables = {
            "BIKECOLLECT_SYSTEM": ",".join(f.system_id for _, f in told),
            "BIKECOLLECT_KIND": event.incident.kind,
            "BIKECOLLECT_WHAT": event.what.value,
            "BIKECOLLECT_SLOTS_LOST": str(sum(e.incident.lost for e, _ in told)),
            "BIKECOLLECT_RUN": facts.run_id,
        }
        taken = False
        for way, hook in self.hooks.items():
            error = hook(self.redact(letter.short(told)), variables)
            if error:
                log.warning("%s: %s", way, error, extra={"told": True})
            taken = taken or not error
        return taken


def _counts(run: Run) -> bool:
    return run.outcome not in {Outcome.INTERRUPTED, Outcome.DRY}


def _together(news: Iterable[News]) -> list[Told]:
    """Return what is to be told: one letter for systems that share a trouble."""
    found = [(e, n.facts) for n in news if n.facts is not None for e in n.events]
    found.sort(key=_sort_key)
    return [list(each) for _, each in groupby(found, key=_sort_key)]


def _sort_key(told: tuple[Event, Facts]) -> tuple[str, str]:
    return told[0].incident.kind, told[0].what.value


def _remember(news: News) -> None:
    if news.changed:
        news.book.save(news.state.incidents)
    news.jot.save(news.state)


def _count(folder: Path) -> int:
    with suppress(OSError):
        return sum(each.suffix == ".zip" for each in folder.iterdir())
    return 0


def _tail(path: Path) -> list[str]:
    with suppress(OSError), path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = opened.read().decode("utf-8", "replace").splitlines()
        return lines[-TAIL_LINES:]
    return []
