"""Escalation: when an incident opens, when people are reminded, and when it closes.

This is a state machine without clock or disk: `step` takes the open and recently closed
incidents and the signals of one run, and returns the new incidents and the events to
report. All times are slots (epoch seconds).
"""

from collections.abc import Collection, Iterable, Mapping

from bikecollect.core.incidents import (
    KINDS,
    LATEST_ONLY,
    STORED_TEXT,
    Event,
    EventType,
    Incident,
    Signal,
)
from bikecollect.core.slots import DAY, HOUR, MINUTE, Slot
from bikecollect.core.text import message
from bikecollect.core.timeline.grid import Grid

LADDER: tuple[int, ...] = (15 * MINUTE, HOUR, 6 * HOUR, DAY)
"""The ages of an open incident at which people are reminded; then once a day."""
RESTLESS_LADDER = LADDER[1:]
"""The same after a relapse, counted from the first of the latest bad slots in a row."""
ESCALATE_AFTER = HOUR
CALM = 2 * HOUR
"""Seconds without a bad slot that close an incident after a relapse."""
LONG_CALM = 6 * HOUR
"""The same, of a problem that has come and gone all day."""
NEAR = 30 * MINUTE
"""A problem that returns within so many seconds continues the old incident."""
MEMORY = DAY
"""Seconds for which a closed incident is kept: the third of a kind in a day continues
the second."""
APART = DAY // 2
"""Seconds without a bad slot after which a problem is a new incident in any case, as
one that comes once a day."""
FEW = 4
"""Reports of a flapping incident after which further relapses are not reported."""
MANY = 8
"""Reports of an incident after which problems with another text are not new ones."""
FIRST = frozenset({EventType.OPENED, EventType.NOTED})
BRIEF = 2
"""An incident with more reports is continued by any new problem within `CALM`."""


def step(
    incidents: Iterable[Incident],
    slot: Slot,
    signals: Mapping[str, Signal | None],
    grid: Grid,
    patience: int = 1,
    *,
    muted: Collection[str] = (),
) -> tuple[tuple[Incident, ...], tuple[Event, ...]]:
    """Return the state of *incidents* after *slot*, and the events to report.

    *signals* has the observations of the run by kind: a problem, or None if there was
    none; absent kinds were not observed. *grid* has the slots of the system. Closed
    incidents are kept for a day. An incident that loses slots is reported when
    *patience* are lost. Open ones of the kinds *muted* are closed without an event.
    """
    current = {incident.kind: incident for incident in incidents}
    events: list[Event] = []
    for kind in KINDS:
        before = current.pop(kind, None)
        if kind in muted:
            after, event_type = _muted(before, slot), None
        else:
            observed = _observed(kind, before, slot, signals, grid)
            after, event_type = _patient(*observed, patience)
        if after is not None and event_type is not None:
            after = _told(after, event_type, slot, grid)
            events.append(Event(event_type, after))
        if after is not None:
            current[kind] = after
    return tuple(current[kind] for kind in KINDS if kind in current), tuple(events)


def _muted(before: Incident | None, slot: Slot) -> Incident | None:
    """Return an incident of a muted kind as closed, None if nobody was told of it."""
    if before is None or not before.told:
        return None
    return before._replace(closed=before.closed or slot)


def _patient(
    after: Incident | None, event_type: EventType | None, patience: int
) -> tuple[Incident | None, EventType | None]:
    """Return both without an event if fewer slots than *patience* are lost so far.

    None of a problem that was over when it was observed.
    """
    if after is None or event_type not in FIRST or not 0 < after.lost < patience:
        return after, event_type
    return (None if event_type is EventType.NOTED else after), None


def _told(
    incident: Incident, event_type: EventType, slot: Slot, grid: Grid
) -> Incident:
    """Return *incident* once people are told of the event in *slot*."""
    escalated = incident.escalated or event_type is EventType.ESCALATED
    if event_type is EventType.OPENED and not incident.second:
        escalated = _is_long(incident, slot, grid)
    return incident._replace(
        told=incident.told + 1, told_at=slot, again=False, escalated=escalated
    )


def _observed(
    kind: str,
    before: Incident | None,
    slot: Slot,
    signals: Mapping[str, Signal | None],
    grid: Grid,
) -> tuple[Incident | None, EventType | None]:
    """Return the incident of one *kind* after *slot*, and the event to report."""
    if kind not in signals:
        return before, None if before is None else _due(before, slot, grid)
    signal = signals[kind]
    if signal is not None:
        return _after_bad(kind, before, slot, signal, grid)
    return (None, None) if before is None else _after_good(before, slot, grid)


def _after_bad(
    kind: str, before: Incident | None, slot: Slot, signal: Signal, grid: Grid
) -> tuple[Incident, EventType | None]:
    other = before if before and _has_other_text(before, signal) else None
    if before is None or other or _is_another(before, slot):
        since = slot if signal.since is None else signal.since
        second = before is not None and slot - (before.closed or slot) <= MEMORY
        new = Incident(f"{kind}-{since}", kind, since, since, second=second)
        if other:
            is_open = other.closed is None  # and open in the ledger by that id
            incident_id = other.incident_id if is_open else new.incident_id
            new = new._replace(incident_id=incident_id, told=other.told)
        new = _worse(new._replace(streak=since), slot, signal)
        if signal.over:
            return new._replace(closed=slot), EventType.NOTED
        return new, _opened(new, slot)
    after = _worse(before, slot, signal)
    if before.closed is not None and signal.over and KINDS[kind].each:
        # Repaired again: not open, and told only if it goes on for days.
        is_due = slot - before.told_at >= DAY
        return after._replace(closed=slot), EventType.NOTED if is_due else None
    if before.closed is not None:
        after = after._replace(closed=None, returns=before.returns + 1, streak=slot)
        few = before.told < FEW or before.long
        after = after._replace(again=few and not before.second)
    elif before.good:
        after = after._replace(streak=slot)
    long = after.long or slot - after.streak >= HOUR
    after = after._replace(good=0, long=long)
    if not after.told:
        return after, _opened(after, slot)
    return after, _due(after, slot, grid)


def _has_other_text(before: Incident, signal: Signal) -> bool:
    """Return whether *signal* is a problem that was not reported with *before*."""
    is_many = not 0 < before.told < MANY
    text = message(signal.text, lines=True)[:STORED_TEXT]
    return KINDS[before.kind].each and not is_many and before.text[:STORED_TEXT] != text


def _is_another(before: Incident, slot: Slot) -> bool:
    """Return whether a problem in *slot* is a new incident, no relapse of *before*."""
    if before.closed is None:
        return False
    elapsed = slot - before.closed
    near = NEAR if before.told <= BRIEF else CALM
    is_third = before.second and elapsed <= APART and slot - before.opened < MEMORY
    return elapsed > near and not is_third


def _worse(incident: Incident, slot: Slot, signal: Signal) -> Incident:
    causes = dict(incident.causes)
    causes[signal.cause] = causes.get(signal.cause, 0) + max(signal.lost, 1)
    # Its text counts slots, which are not all that the incident has lost.
    is_more = incident.kind == "missed" and incident.lost
    text = f"{LATEST_ONLY}{signal.text}" if is_more else signal.text
    return incident._replace(
        last=slot if signal.until is None else signal.until,
        slots=incident.slots + max(signal.lost, 1),
        lost=incident.lost + signal.lost,
        last_lost=signal.lost > 0,
        causes=causes,
        text=message(text, lines=True),
    )


def _opened(incident: Incident, slot: Slot) -> EventType | None:
    kind = KINDS[incident.kind]
    lasting = slot - incident.opened >= kind.open_for
    return EventType.OPENED if incident.slots >= kind.open_after and lasting else None


def _after_good(
    before: Incident, slot: Slot, grid: Grid
) -> tuple[Incident | None, EventType | None]:
    if before.closed is not None:
        is_old = slot - before.closed > MEMORY
        return (None, None) if is_old else (before, None)
    if not before.told:
        return None, None
    after = before._replace(good=before.good + 1)
    is_daily = KINDS[after.kind].daily and after.told < FEW
    is_restless = after.second and after.told >= FEW and not after.long
    calm = LONG_CALM if is_restless else CALM
    is_calm = slot - after.last >= calm or not after.returns or is_daily
    if after.good >= KINDS[after.kind].good_slots and is_calm:
        return after._replace(closed=slot, again=False), EventType.RECOVERED
    return after, _due(after, slot, grid)


def _due(incident: Incident, slot: Slot, grid: Grid) -> EventType | None:
    """Return the event that is due for an open incident, None if none is."""
    if not incident.is_open or incident.good:  # or it is about to close
        return None
    if slot - incident.told_at >= DAY:
        return EventType.REMINDED
    is_recent = slot - incident.told_at < NEAR
    if incident.again and slot - incident.opened >= HOUR and not is_recent:
        return EventType.RETURNED
    if KINDS[incident.kind].daily:
        return None
    return _on_ladder(incident, slot, grid)


def _on_ladder(incident: Incident, slot: Slot, grid: Grid) -> EventType | None:
    """Return the event for an incident that has reached a step of its ladder."""
    has_wobbled = incident.streak > incident.opened
    has_returned = incident.second or bool(incident.returns)
    since, ladder = incident.opened, LADDER
    if has_wobbled or has_returned:
        since, ladder = incident.streak, RESTLESS_LADDER
    is_due = any(incident.told_at < since + age <= slot for age in ladder)
    escalates = _is_long(incident, slot, grid) and not incident.escalated
    if escalates and (is_due or not has_returned):
        return EventType.ESCALATED
    return EventType.REMINDED if is_due else None


def _is_long(incident: Incident, slot: Slot, grid: Grid) -> bool:
    """Return whether the bad slots of *incident* are enough for an escalation."""
    longest = max(grid.intervals(incident.opened, incident.last + 1))
    bad_seconds = min(incident.slots * longest, slot - incident.opened)
    return bad_seconds >= ESCALATE_AFTER
