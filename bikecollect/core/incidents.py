"""Incidents: trouble that a person should know of, from its opening to its closing."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from bikecollect.core.slots import HOUR, Slot


class What(Enum):
    """What has become of an incident; the mail's closed set of words."""

    OPENED = "trouble"
    REMINDED = "still in trouble"
    ESCALATED = "in trouble for long"
    RETURNED = "in trouble again"
    RECOVERED = "recovered"
    NOTED = "noted"


class Kind(NamedTuple):
    """A class of incidents: in which words, and after how much it opens.

    *title* says in a mail what is the matter. It opens after *open_after* bad
    slots in a row that span *open_for* seconds.
    """

    title: str
    open_after: int = 1
    open_for: int = 0


KINDS: Mapping[str, Kind] = {
    "fetch": Kind("the feed cannot be fetched"),
    "payload": Kind("the feed's payload is not understood"),
    "drift": Kind("the feed has changed its shape"),
    "disk": Kind("the disk refuses"),
    "ledger": Kind("the ledger has trouble"),
    "damage": Kind("a data file was damaged"),
    "clock": Kind("the clock of this machine is wrong"),
    "lock": Kind("runs wait for the lock", open_after=3),
    "settings": Kind("the settings need a person"),
    "mail": Kind("mails cannot be sent", open_after=3),
    "missed": Kind("slots were not collected"),
    "stale": Kind("the feed's own time stands still", open_after=3, open_for=HOUR),
    "thin": Kind("the feed lists far fewer stations than usual", open_after=2),
    "partial": Kind("a part of the feed is missing", open_after=3),
    "bug": Kind("bikecollect has a bug"),
}
"""Every class of incidents, in the order in which a mail names them."""


class Sign(NamedTuple):
    """Trouble of one kind that a run has met.

    *cause* is a short word, *text* what a person reads, *lost* the slots that have
    no block because of it. *over* says that it is past when it is seen (slots that
    were missed, a damage that was healed). *since* and *until* are its first and
    last slot, where those lie before the run's own.
    """

    cause: str
    text: str
    lost: int = 0
    over: bool = False
    since: Slot | None = None
    until: Slot | None = None


class Incident(NamedTuple):
    """Trouble of one *kind*, from the slot *opened* to the slot *closed*.

    *last* is the latest bad slot, *slots* counts them, *lost* those without a block.
    *told* counts the events, *told_at* is the slot of the latest. *good* is the
    length of the present row of good slots, *streak* the first slot of the newest
    row of bad ones, *returns* how often it came back after a recovery, *again*
    whether its coming back is still to be told of, *second* whether it is the
    second of its kind in a day, *long* whether an hour of it was bad in one row.
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

    @property
    def is_open(self) -> bool:
        """Whether people have been told of it and it has not ended."""
        return self.closed is None and self.told > 0


class Event(NamedTuple):
    """What became of *incident* in this slot."""

    what: What
    incident: Incident
