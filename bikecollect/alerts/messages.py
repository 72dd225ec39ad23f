"""The texts of mails and chat messages about incidents."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import accumulate
from textwrap import fill

from bikecollect.alerts.next_steps import NOTHING, first_line, next_steps
from bikecollect.core.causes import slots_by_cause
from bikecollect.core.incidents import (
    AT_TIMES,
    ELSEWHERE,
    KINDS,
    Event,
    EventType,
    Incident,
)
from bikecollect.core.slots import Slot, iso
from bikecollect.core.text import clock_minute, count_of, length, local_minute, visible

LIMIT = 10_240
"""Maximum bytes of a body; its end, the last lines of the log, is cut."""
ROOM = LIMIT // 2
"""Bytes for the parts of systems; half as many for the names of further ones."""
COMMANDS = "(/|(?:backfill|compact|forget|verify) )"
"""What precedes the name of a system in the text of an incident."""
KEPT = {
    "payload": "the unchanged payloads, in {folder}/payloads/rejected",
    "clock": "payloads whose slot was taken, in {folder}/payloads/rejected",
    "zone": "all slots and counts; last_reported is wrong, but can be read anew",
    "folder": "all data so far; nothing is written to a wrong folder",
    "lost": "nothing of the time before; new rows go into a new folder",
    ELSEWHERE: "all earlier data, in the folder named below; new rows go into {folder}",
    "damage": "what is left, unchanged; new rows go into new files",
    "disk": "what was accepted: as rows, or in {folder}/payloads/inbox",
    "archive": "the CSV files of these days, in {folder}/station_status",
    "mirror": "what this machine has; missing days are copied to the mirror later",
    "lock": "what was accepted: as rows, or in {folder}/payloads/inbox until later",
    "settings": "all data so far; collection stops until the settings are corrected",
    "bug": "the unchanged payload, in {folder}/payloads",
    "mail": "the mails, in {folder}/outbox, until the server accepts them",
    "ledger": "all rows, in CSV files and archive; a damaged ledger is renamed",
    "archive-lost": "the other days; what a backup or the mirror has of these",
    "archived-missing": "all rows, in the archive",
    "file-missing": "all other files; new rows go into new files",
    "file-repaired": "all rows; the bytes after them, in {folder}/payloads/rejected",
    "list-repaired": "all versions of stations; they were in the ledger, too",
    "older-copy": "the payloads of later slots, in {folder}/payloads/kept",
    "older-folder": "what this folder has; later slots are in the newer one only",
}
"""What was kept, by the kind or the variant of an incident."""
UNTIL_OVER = frozenset(
    {"disk", "lost", "archive", "mirror", "lock", "settings", "mail"}
)
"""Kinds for which what is `KEPT` waits only until the incident is over."""
IN_ANOTHER_FOLDER = frozenset({"folder", "lost"})
"""Kinds for which the latest good slot is in another folder."""
LOST = {"lost": "all until then"}
"""The lost slots of incidents that do not count them."""
REMINDERS = (
    "Reminders follow after 15 minutes, 1, 6 and 24 hours, then once a day,\n"
    "and a mail when the problem is over."
)
DAILY_REMINDERS = "A reminder follows once a day, and a mail when the problem is over."
EVERYTHING_ELSE = "all data so far"
OVER = frozenset({EventType.RECOVERED, EventType.NOTED})
"""Events of incidents that have ended."""


@dataclass(frozen=True)
class MessageFacts:
    """What a message says about a system in addition to the incident.

    *zone* is the time zone of the system, *reader_zone* the one used in mails, *mirror*
    the address of the archive's copy, if there is one.
    """

    system_id: str
    zone: tzinfo
    reader_zone: tzinfo
    interval: int
    slot: Slot
    folder: str
    last_good: tuple[Slot, int] | None = None
    inbox: int = 0
    rejected: int = 0
    run_id: str = ""
    version: str = ""
    host: str = ""
    tail: Sequence[str] = ()
    mirror: str = ""


@dataclass(frozen=True)
class Letter:
    """A mail to be sent; *name* identifies it and sorts by time.

    *incidents* identify the incidents it reports; *escalated* adds the recipients of
    escalations.
    """

    name: str
    subject: str
    body: str
    incidents: tuple[str, ...] = ()
    escalated: bool = False


def subject(events: Sequence[tuple[Event, MessageFacts]]) -> str:
    """Return the subject of a mail about *events*, which are all of one kind.

    An example is "[bikecollect] taipei: feed down since 10:05".
    """
    event, facts = events[0]
    more = len(events) - 1
    systems = facts.system_id + (f" and {more} more" if more else "")
    states = dict.fromkeys(e.incident.words(e.what)[1] for e, _ in events)
    state = " or ".join(states)
    if all(_is_unsteady(*pair) for pair in events):
        state = f"{state} {AT_TIMES}"
    elif event.what is EventType.RETURNED:
        state = f"{state} again"
    if event.what in OVER:
        resolved = "resolved: " if event.what is EventType.RECOVERED else ""
        text = f"{resolved}{state} {_span(events)}"
    else:
        opened = min(_begin(*pair) for pair in events)
        text = f"{state} since {_clock(opened, facts)}"
        if event.what is not EventType.OPENED:
            text += f", for {length(facts.slot - opened)}"
    return visible(f"[bikecollect] {systems}: {text}")


def _is_unsteady(event: Event, facts: MessageFacts) -> bool:
    """Return whether the problem comes and goes, or did until it was over."""
    incident, is_over = event.incident, event.what in OVER
    test = incident.comes_and_goes if is_over else incident.is_unsteady
    return test(facts.interval)


def _span(events: Sequence[tuple[Event, MessageFacts]]) -> str:
    """Return the span of incidents that have ended, and the sum of lost slots."""
    _, facts = events[0]
    opened = min(event.incident.opened for event, _ in events)
    end = Slot(max(event.incident.last for event, _ in events) + facts.interval)
    lost = [event.incident.lost for event, _ in events if event.incident.lost]
    of = f" in {len(lost)} systems" if len(lost) > 1 else ""
    counted = f", {count_of(sum(lost), 'slot')} lost{of}" if lost else ""
    since, until = _clock(opened, facts), _clock(end, facts, opened)
    return f"{since} to {until}{counted}"


def _clock(slot: Slot, facts: MessageFacts, today: Slot | None = None) -> str:
    """Return the time of *slot*, with the date unless it is the day of *today*.

    *today* defaults to the slot of the run that reports.
    """
    text = clock_minute(slot, facts.reader_zone, facts.interval)
    other = iso(facts.slot if today is None else today, facts.reader_zone)
    return text[11:] if text[:10] == other[:10] else text


def body(events: Sequence[tuple[Event, MessageFacts]]) -> str:
    """Return the text about *events*, which are all of one kind: a part per system.

    Its first line says what is to do. Of many systems, those without a part are named.
    """
    begin = min(_begin(*pair) for pair in events)
    named = [(event, facts.system_id) for event, facts in events]
    action, places = first_line(named, events[0][1].slot - begin)
    event, facts = events[places[0][0]]
    parts = [f"To do: {action}", *_parts(events)]
    groups = [[events[place] for place in group] for group in places]
    parts.append(next_steps(groups, needed=not action.startswith(NOTHING)))
    if event.what not in OVER:
        is_daily = KINDS[event.incident.kind].daily
        parts.append(DAILY_REMINDERS if is_daily else REMINDERS)
    lines = [f"run {facts.run_id}, bikecollect {facts.version} on {facts.host}"]
    if facts.tail and event.what is not EventType.RECOVERED:
        lines += ["", "The last lines of the log:", *map(visible, facts.tail)]
    return bounded("\n\n".join(parts) + "\n\n-- \n" + "\n".join(lines) + "\n")


def _parts(events: Sequence[tuple[Event, MessageFacts]]) -> list[str]:
    """Return a part for each of the first systems, and the names of the others."""
    parts: list[str] = []
    for number, (event, facts) in enumerate(events):
        details = _same(event, facts, *events[0]) if number else ""
        parts.append(part(event, facts, details))
        if _size(parts) > ROOM and number:
            others = [facts.system_id for _, facts in events[number:]]
            return [*parts[:-1], f"And {len(others)} more:\n{_listed(others)}"]
    return parts


def _listed(names: Sequence[str]) -> str:
    """Return *names* with commas; if they are too long, how many are left out."""
    sizes = accumulate(_size([name]) + len(", ") for name in names)
    shown = sum(size <= ROOM / 2 for size in sizes)
    text = ", ".join(names[:shown])
    left = len(names) - shown
    more = f"\nand {left} more, see `bikecollect status`" if left else ""
    return fill(visible(text), 76, break_on_hyphens=False) + more


def _size(texts: Iterable[str]) -> int:
    return sum(len(text.encode("utf-8", "backslashreplace")) for text in texts)


def _same(event: Event, facts: MessageFacts, before: Event, first: MessageFacts) -> str:
    """Return that the text of *event* is that of *before*, but for the names, if so."""
    texts = {
        re.sub(COMMANDS + rf"{re.escape(f.system_id)}(?!\w)", r"\1", e.incident.text)
        for e, f in ((event, facts), (before, first))
    }
    return "" if len(texts) > 1 else f"  the same as for {first.system_id}"


def part(event: Event, facts: MessageFacts, same: str = "") -> str:
    """Return the incident of one system, as lines of names and values.

    Its text follows, or that it is the *same* as that of another system.
    """
    incident = event.incident
    folder = visible(facts.folder)
    title, _ = incident.words(event.what)
    title += f" {AT_TIMES}" if _is_unsteady(event, facts) else ""
    state = "" if event.what is EventType.OPENED else f" ({event.what.value})"
    is_over = event.what is EventType.RECOVERED
    kept = KEPT.get(incident.variant) or KEPT.get(incident.kind, EVERYTHING_ELSE)
    kept = kept.format(folder=folder)
    rows = [
        ("System", facts.system_id),
        ("What", title + state),
        *_times(event, facts),
        *_own_time(_begin(event, facts), facts),
        *_losses(event),
        *(
            []
            if incident.kind in IN_ANOTHER_FOLDER
            else [("Last good", _last_good(facts))]
        ),
        *([] if is_over and incident.kind in UNTIL_OVER else [("Kept", kept)]),
        ("Waiting", f"{facts.inbox} in the inbox, {facts.rejected} rejected"),
    ]
    lines = [f"{name:<12}{value}" for name, value in rows]
    text = (f"  {visible(line)}" for line in _text(event).split("\n"))
    details = [same] if same else text
    was = ["It was reported as:"] if is_over else []
    return "\n".join([*lines, "", *was, *details])


def _text(event: Event) -> str:
    """Return the text of its incident; of a loss that is over, without the remedy."""
    text = event.incident.text
    if event.incident.kind != "lost" or event.what is not EventType.RECOVERED:
        return text
    problem, end, _ = text.partition("? ")
    return f"{problem}{end.strip()}"


def short(events: Sequence[tuple[Event, MessageFacts]]) -> str:
    """Return *events* in one or two lines each, for a chat."""
    lines = [subject(events)]
    for event, facts in events:
        name = f"{facts.system_id}: " if len(events) > 1 else ""
        times = ", ".join(f"{n.lower()} {v}" for n, v in _times(event, facts))
        lost = "".join(f"; {n.lower()}: {v}" for n, v in _losses(event)[:1])
        was = "it was: " if event.what is EventType.RECOVERED else ""
        text = visible(_text(event), lines=True)
        lines.append(f"{name}{times}{lost}; {was}{text}")
    return "\n".join(lines)


def name(event: Event, facts: MessageFacts) -> str:
    """Return the name of the mail about *event*, always the same for the same event."""
    moment = iso(facts.slot, facts.zone)[:19].replace(":", "").replace("-", "")
    incident = event.incident
    return f"{moment}.{facts.system_id}.{incident.incident_id}.{incident.told}"


def _times(event: Event, facts: MessageFacts) -> list[tuple[str, str]]:
    begin = _begin(event, facts)
    since = _moment(begin, facts)
    if event.what in OVER:
        end = Slot(event.incident.last + facts.interval)
        spent = length(end - begin)
        return [("From", since), ("To", f"{_moment(end, facts)}, {spent}")]
    # Up to the slot of the run: in the first one it has only just begun.
    age = facts.slot - begin
    return [("Since", f"{since}, {length(age)} ago" if age > 0 else since)]


def _begin(event: Event, facts: MessageFacts) -> Slot:
    is_over = event.what in OVER
    return event.incident.opened if is_over else event.incident.began(facts.interval)


def _own_time(slot: Slot, facts: MessageFacts) -> list[tuple[str, str]]:
    """Return *slot* in the zone of the system, if that differs from the reader's."""
    own = local_minute(slot, facts.zone, facts.interval)
    if own == _moment(slot, facts):
        return []
    return [("", f"{own[11:]} by the system's clock, as in `runs`")]


def _losses(event: Event) -> list[tuple[str, str]]:
    """Return the lost slots and their causes, if known; an event has no causes."""
    incident = event.incident
    if incident.kind in LOST:
        has_some = event.what in OVER or incident.variant
        known = f"{incident.lost:,}" if incident.lost else ""
        every = "" if has_some else LOST[incident.kind]
        return [("Slots lost", text)] if (text := known or every) else []
    lost = ("Slots lost", _lost(incident))
    is_event = KINDS[incident.kind].each and not incident.lost
    return [lost] if is_event else [lost, ("Causes", _causes(incident))]


def _lost(incident: Incident) -> str:
    if not incident.lost:
        return "none"
    return (
        f"{incident.lost:,} so far" if incident.closed is None else f"{incident.lost:,}"
    )


def _causes(incident: Incident) -> str:
    counts = slots_by_cause(incident.kind, incident.causes)
    return ", ".join(f"{visible(c)} ({count_of(n, 'slot')})" for c, n in counts)


def _last_good(facts: MessageFacts) -> str:
    if facts.last_good is None:
        return "none yet"
    slot, rows = facts.last_good
    return f"{_moment(slot, facts)}, {count_of(rows, 'row')}"


def _moment(slot: Slot, facts: MessageFacts) -> str:
    return local_minute(slot, facts.reader_zone, facts.interval)


def bounded(text: str) -> str:
    """Return *text* cut to `LIMIT` bytes, with invisible characters escaped."""
    data = visible(text, lines=True).encode("utf-8")
    return data[:LIMIT].decode("utf-8", "ignore")
