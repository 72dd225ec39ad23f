"""Letters: an incident's event in words that a person can act on."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from bikecollect.core.incidents import KINDS, Event, EventType, Incident
from bikecollect.core.slots import Slot, iso
from bikecollect.core.text import length, visible

LIMIT = 10_240
"""Bytes of a body; the log's tail gives way first."""
NEXT_STEPS = {
    "fetch": ("bikecollect doctor", "bikecollect runs show {slot}"),
    "payload": (
        "bikecollect feeds try {system}",
        "bikecollect backfill {system}   # once it is understood",
    ),
    "drift": ("bikecollect feeds try {system}", "bikecollect runs show {slot}"),
    "disk": ("df -h {folder}", "bikecollect doctor"),
    "ledger": ("bikecollect doctor", "bikecollect runs show {slot}"),
    "damage": ("ls -l {folder}/station_status", "bikecollect runs show {slot}"),
    "clock": ("timedatectl status", "bikecollect doctor"),
    "lock": ("fuser -v {folder}/lock", "bikecollect runs show {slot}"),
    "settings": ("bikecollect doctor",),
    "mail": ("bikecollect doctor --send",),
    "missed": ("bikecollect schedule show", "bikecollect runs {system} --since 24h"),
    "stale": ("bikecollect feeds try {system}",),
    "thin": ("bikecollect feeds try {system}", "bikecollect runs show {slot}"),
    "partial": ("bikecollect runs show {slot}", "bikecollect feeds try {system}"),
    "bug": ("bikecollect runs show {slot}",),
}
KEPT = {
    "payload": "the payloads, untouched, in {folder}/payloads/rejected",
    "clock": "payloads whose slot was taken, in {folder}/payloads/rejected",
    "damage": "the damaged file as it is; rows go on in a new segment",
    "disk": "payloads that were accepted wait in {folder}/payloads/inbox",
    "lock": "the payloads wait in {folder}/payloads/inbox and are committed later",
    "settings": "all that was collected before; nothing is added until it is mended",
    "bug": "the payload, untouched, in {folder}/payloads",
    "mail": "the mails, in {folder}/outbox; they are sent as soon as it goes",
    "ledger": "the damaged ledger lies beside the new one, which was rebuilt",
}
EVERYTHING_ELSE = "all that was collected before"


@dataclass(frozen=True)
class Facts:
    """What a letter says beside the incident: of one system at one moment."""

    system_id: str
    zone: tzinfo
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


@dataclass(frozen=True)
class Letter:
    """What is sent: *name* orders and identifies it; *incidents* it tells of."""

    name: str
    subject: str
    body: str
    incidents: tuple[str, ...] = ()
    escalated: bool = False


def subject(events: Sequence[tuple[Event, Facts]]) -> str:
    """Return the subject of a letter about *events* that are of one kind."""
    event, facts = events[0]
    title = KINDS[event.incident.kind].title
    more = len(events) - 1
    who = facts.system_id + (f" and {more} more" if more else "")
    return visible(f"[bikecollect] {who}: {event.what.value}: {title}")


def body(events: Sequence[tuple[Event, Facts]]) -> str:
    """Return the text about *events* of one kind, one part a system."""
    event, facts = events[0]
    parts = [part(each, about) for each, about in events]
    parts.append(_next(event.incident, facts))
    if event.what in {
        EventType.OPENED,
        EventType.REMINDED,
        EventType.ESCALATED,
        EventType.RETURNED,
    }:
        parts.append(
            "You will be told again after 15 minutes, 1, 6 and 24 hours, then once a "
            "day,\nand when it is over."
        )
    lines = [f"run {facts.run_id}, bikecollect {facts.version} on {facts.host}"]
    if facts.tail and event.what is not EventType.RECOVERED:
        lines += ["", "The log's last lines:", *map(visible, facts.tail)]
    return bounded("\n\n".join(parts) + "\n\n-- \n" + "\n".join(lines) + "\n")


def part(event: Event, facts: Facts) -> str:
    """Return what became of one system's incident, as lines of words and values."""
    incident = event.incident
    folder = visible(facts.folder)
    kept = KEPT.get(incident.kind, EVERYTHING_ELSE).format(folder=folder)
    rows = [
        ("System", facts.system_id),
        ("What", f"{KINDS[incident.kind].title} ({event.what.value})"),
        *_times(event, facts),
        ("Slots lost", _lost(incident)),
        ("Causes", _causes(incident)),
        ("Last good", _good(facts)),
        ("Kept", kept),
        ("Waiting", f"{facts.inbox} in the inbox, {facts.rejected} rejected"),
    ]
    lines = [f"{name:<12}{value}" for name, value in rows]
    said = (f"  {visible(line)}" for line in incident.text.split("\n"))
    return "\n".join([*lines, "", *said])


def short(events: Sequence[tuple[Event, Facts]]) -> str:
    """Return the letter in a line or two, for a chat."""
    lines = [subject(events)]
    for event, facts in events:
        incident = event.incident
        times = ", ".join(f"{n.lower()} {v}" for n, v in _times(event, facts))
        lines.append(
            f"{times}; slots lost: {_lost(incident)}; "
            f"{visible(incident.text, lines=True)}"
        )
    return "\n".join(lines)


def name(event: Event, facts: Facts) -> str:
    """Return the stable name of the letter about *event*: the same when told again."""
    moment = iso(facts.slot, facts.zone)[:19].replace(":", "").replace("-", "")
    incident = event.incident
    return f"{moment}.{facts.system_id}.{incident.incident_id}.{incident.told}"


def _times(event: Event, facts: Facts) -> list[tuple[str, str]]:
    incident = event.incident
    since = _moment(incident.opened, facts)
    if event.what in {EventType.RECOVERED, EventType.NOTED}:
        end = Slot(incident.last + facts.interval)
        spent = length(end - incident.opened)
        return [("From", since), ("To", f"{_moment(end, facts)}, {spent}")]
    spent = length(facts.slot + facts.interval - incident.opened)
    return [("Since", f"{since}, {spent} ago")]


def _lost(incident: Incident) -> str:
    if not incident.lost:
        return "none"
    return f"{incident.lost} so far" if incident.closed is None else str(incident.lost)


def _causes(incident: Incident) -> str:
    ordered = sorted(incident.causes.items(), key=lambda each: -each[1])
    return ", ".join(
        f"{visible(cause)} ({count} slot{'s' if count > 1 else ''})"
        for cause, count in ordered
    )


def _good(facts: Facts) -> str:
    if facts.last_good is None:
        return "no snapshot yet"
    slot, rows = facts.last_good
    return f"{_moment(slot, facts)}, {rows} rows"


def _moment(slot: Slot, facts: Facts) -> str:
    text = iso(slot, facts.zone)
    return f"{text[:10]} {text[11:16]} ({text[19:]})"


def _next(incident: Incident, facts: Facts) -> str:
    slot = iso(incident.last, facts.zone)[:16]
    folder = shlex.quote(visible(facts.folder))
    known = {"slot": slot, "system": facts.system_id, "folder": folder}
    steps = [each.format(**known) for each in NEXT_STEPS[incident.kind]]
    return "Look at it with:\n" + "\n".join(f"  {each}" for each in steps)


def bounded(text: str) -> str:
    """Return *text* cut to `LIMIT` bytes, with what would act unseen written out."""
    data = visible(text, lines=True).encode("utf-8")
    return data[:LIMIT].decode("utf-8", "ignore")
