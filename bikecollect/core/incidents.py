"""Incidents: problems that a person should know of, from opening to closing."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from bikecollect.core.slots import CLOCK_FLOOR, HOUR, Slot
from bikecollect.core.timeline.grid import Grid

EARLIER = "earlier-data"
"""The word by which `forget` accepts that the earlier data are gone."""
ELSEWHERE = "elsewhere"
"""The cause of an incident: earlier data are in another folder."""
RUNS_LOST = "runs-lost"
"""The kind of a notice that a ledger is rebuilt without its runs; the cause, too."""
LATEST_ONLY = "most recently: "
"""How the text of an incident begins that is only about the last of its slots."""
STORED_TEXT = 1_000
"""Characters of an incident's text that are kept between runs."""


AT_TIMES = "at times"
"""What is added to the title and the state of a problem that comes and goes."""
MOSTLY = 0.75
"""The share of bad slots from which a problem is named as if it never went."""


class EventType(Enum):
    """What happened to an incident, as named in mails and to hooks."""

    OPENED = "trouble"
    REMINDED = "still in trouble"
    ESCALATED = "in trouble for long"
    RETURNED = "in trouble again"
    RECOVERED = "recovered"
    NOTED = "noted"


class IncidentKind(NamedTuple):
    """A kind of incident: its *title* and its *state* in mails, and when it opens.

    It opens after *open_after* bad slots in a row that span *open_for* seconds, and
    closes after *good_slots* good ones. If it is *daily*, reminders follow once a day
    only. *noted* are its title and state if it was over when it was observed, where
    they differ. If *each*, a problem with another text is another one, and reported.
    """

    title: str
    state: str
    open_after: int = 1
    open_for: int = 0
    good_slots: int = 2
    daily: bool = False
    noted: tuple[str, str] = ("", "")
    each: bool = False

    def words(self, event_type: EventType) -> tuple[str, str]:
        """Return its title and its state for an event."""
        words = self.title, self.state
        is_noted = event_type is EventType.NOTED and any(self.noted)
        return self.noted if is_noted else words


KINDS: Mapping[str, IncidentKind] = {
    "fetch": IncidentKind("the feed cannot be fetched", "feed down"),
    "payload": IncidentKind(
        "the feed's payload is not understood", "payload not understood"
    ),
    "drift": IncidentKind("the feed has changed its shape", "feed changed its shape"),
    "zone": IncidentKind(
        "the feed's stamps do not fit the time zone of the settings",
        "time zone in doubt",
        daily=True,
    ),
    "disk": IncidentKind("the disk cannot be used", "disk unusable"),
    "folder": IncidentKind("the folder has another system's data", "wrong folder"),
    "lost": IncidentKind(
        "all earlier data are gone",
        "all data gone",
        good_slots=1,
        daily=True,
        each=True,
    ),
    "space": IncidentKind("the disk will soon be full", "disk soon full", daily=True),
    "ledger": IncidentKind(
        "the ledger cannot be used",
        "ledger unusable",
        noted=("the ledger was missing, damaged or incomplete", "ledger repaired"),
    ),
    "damage": IncidentKind("a data file was damaged", "data file damaged", each=True),
    "clock": IncidentKind("the clock of this machine is wrong", "clock wrong"),
    "lock": IncidentKind(
        "runs wait for the lock", "runs waiting for the lock", open_after=3
    ),
    "settings": IncidentKind("the settings are wrong", "settings wrong"),
    "mail": IncidentKind("mails cannot be sent", "mails not sent", open_after=3),
    "overload": IncidentKind(
        "the call has no time or threads for its systems", "no time or threads left"
    ),
    "missed": IncidentKind("slots were not collected", "slots not collected"),
    "stale": IncidentKind(
        "the feed's data are old",
        "feed sends old data",
        open_after=3,
        open_for=HOUR,
    ),
    "thin": IncidentKind(
        "the feed lists far fewer stations than usual",
        "far fewer stations than usual",
        open_after=2,
    ),
    "partial": IncidentKind(
        "a part of the feed is missing", "part of the feed missing", open_after=3
    ),
    "archive": IncidentKind(
        "closed days are not archived",
        "closed days not archived",
        good_slots=1,
        daily=True,
    ),
    "mirror": IncidentKind(
        "the history is not copied to the mirror",
        "mirror behind",
        good_slots=1,
        daily=True,
    ),
    "bug": IncidentKind("bikecollect has a bug", "bug in bikecollect"),
}
"""Every kind of incident, in the order in which a mail lists them."""


VARIANTS: Mapping[str, tuple[str, str]] = {
    "archive-lost": ("archived days are missing or damaged", "archived days missing"),
    "archived-missing": (
        "the CSV of an archived day is missing",
        "CSV of an archived day missing",
    ),
    "credentials": ("the feed denies access", "feed denies access"),
    ELSEWHERE: (
        "a new history has begun, and the earlier data are in another folder",
        "collected into another folder",
    ),
    "denied": ("a file or folder cannot be accessed", "no access to a file"),
    "file-missing": ("a data file is missing", "data file missing"),
    "file-repaired": ("a data file had a strange end", "data file repaired"),
    "implausible": ("no count of the feed can be right", "all counts implausible"),
    "list-repaired": ("the list of stations was rebuilt", "list of stations repaired"),
    "no-stations": ("the feed lists no stations", "feed has no stations"),
    "not-json": ("the feed does not answer with JSON", "feed is not JSON"),
    "obstacle": ("an entry is in the place of another", "file or folder in the way"),
    "older-copy": ("an older copy was restored", "older copy restored"),
    "older-folder": ("an older folder was restored", "older copy restored"),
    RUNS_LOST: ("the ledger is rebuilt without its runs", "ledger rebuilt, runs lost"),
    "rate-limited": ("the feed limits the rate of requests", "feed limits requests"),
}
"""The title and the state of an incident by its cause, if these differ from its kind's.

Its only one; then the texts of mails differ, too.
"""


class Signal(NamedTuple):
    """A problem of one kind that a run has observed.

    *cause* is a short word, *text* a sentence for people, *lost* the number of slots
    without a block because of it; if it is not 0, the last slot is one of them. *over*
    is set if it had ended when it was observed (slots that were missed, damage that was
    repaired). *since* and *until* are its first and last slot, if they are before that
    of the run.
    """

    cause: str
    text: str
    lost: int = 0
    over: bool = False
    since: Slot | None = None
    until: Slot | None = None


class Incident(NamedTuple):
    """A problem of one *kind*, from the slot *opened* to the slot *closed*.

    *last* is the latest bad slot, *slots* the number of bad slots, *lost* the number of
    those without a block; *last_lost* is set if *last* is one of those. *told* is the
    number of events so far, *told_at* the slot of the latest. *good* is the number of
    good slots in a row up to now, *streak* the first slot of the latest row of bad
    ones, *returns* the number of relapses after a recovery. *again* is set while a
    relapse has to be reported, *second* if the incident is the second of its kind in a
    day, *long* if an hour of it was bad without a break.
    """

    incident_id: str
    kind: str
    opened: Slot
    last: Slot
    closed: Slot | None = None
    slots: int = 0
    lost: int = 0
    told: int = 0
    told_at: Slot = Slot(0)
    causes: Mapping[str, int] = {}
    text: str = ""
    good: int = 0
    streak: Slot = Slot(0)
    returns: int = 0
    again: bool = False
    second: bool = False
    long: bool = False
    escalated: bool = False
    last_lost: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the incident was reported to people and has not ended."""
        return self.closed is None and self.told > 0

    def interval(self, grid: Grid) -> int:
        """Return the length of its slots, by the *grid* of its system.

        It may have changed since then; the shortest, if it changed meanwhile.
        """
        return min(grid.intervals(self.opened, self.last + 1))

    def comes_and_goes(self, interval: int) -> bool:
        """Return whether good slots of *interval* seconds were between the bad ones.

        More than a few; a problem that is one by its text does not come and go.
        """
        slots = (self.last - self.opened) // interval + 1
        has_wobbled = self.streak > self.opened and self.slots < slots * MOSTLY
        return has_wobbled and self.kind in KINDS and not KINDS[self.kind].each

    def began(self, interval: int) -> Slot:
        """Return since when an open problem is there.

        If it came and went before, and is there for an hour now, since that hour.
        """
        is_long = self.last - self.streak >= HOUR
        is_new = is_long and self.comes_and_goes(interval)
        return self.streak if is_new else self.opened

    def is_unsteady(self, interval: int) -> bool:
        """Return whether an open problem comes and goes even now."""
        return self.comes_and_goes(interval) and self.began(interval) == self.opened

    @property
    def variant(self) -> str:
        """The cause that decides its words, empty if its kind does."""
        cause, *others = self.causes or ("",)
        return cause if cause in VARIANTS and not others else ""

    def words(self, event_type: EventType) -> tuple[str, str]:
        """Return its title and its state for an event."""
        return VARIANTS.get(self.variant) or KINDS[self.kind].words(event_type)

    def title(self, interval: int) -> str:
        """Return its title, and whether it comes and goes."""
        return self._opened_words(interval)[0]

    def ended_title(self, interval: int) -> str:
        """Return its title when it is over, such as that of a ledger, now repaired."""
        was_open = self.kind not in KINDS or (self.closed or self.last) > self.last
        return self.title(interval) if was_open else self.words(EventType.NOTED)[0]

    def state(self, interval: int) -> str:
        """Return its title in two or three words, and whether it comes and goes."""
        return self._opened_words(interval)[1]

    def _opened_words(self, interval: int) -> list[str]:
        is_known = self.kind in KINDS
        words = self.words(EventType.OPENED) if is_known else (self.kind, self.kind)
        times = f" {AT_TIMES}" if self.is_unsteady(interval) else ""
        return [f"{word}{times}" for word in words]

    def filled(self, slot: Slot) -> "Incident":
        """Return the incident after a later run of *slot* has collected it.

        >>> incident = Incident("disk-600", "disk", Slot(0), Slot(600), lost=3)
        >>> incident._replace(last_lost=True).filled(Slot(600)).lost
        2
        """
        if not (self.last_lost and self.last == slot):
            return self
        return self._replace(lost=self.lost - 1, last_lost=False)

    def until(self, slot: Slot) -> "Incident":
        """Return the incident with later or impossible times replaced by *slot*."""

        def known(moment: Slot) -> Slot:
            return moment if CLOCK_FLOOR <= moment <= slot else slot

        return self._replace(
            opened=known(self.opened),
            last=known(self.last),
            last_lost=self.last_lost and known(self.last) == self.last,
            closed=None if self.closed is None else known(self.closed),
            told_at=known(self.told_at),
            streak=known(self.streak),
        )


class Event(NamedTuple):
    """What happened to *incident* in this slot."""

    what: EventType
    incident: Incident
