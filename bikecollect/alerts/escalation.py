"""Escalation: when an incident opens, is told of again, and closes.

A state machine without clock or disk: `step` is handed the open and the lately
closed incidents, what one run said of each kind, and returns them anew, with the
events that somebody must hear of. All moments are slots (epoch seconds).
"""

from collections.abc import Iterable, Mapping

from bikecollect.core.incidents import KINDS, Event, EventType, Incident, Signal
from bikecollect.core.slots import DAY, HOUR, MINUTE, Slot
from bikecollect.core.text import message

LADDER: tuple[int, ...] = (15 * MINUTE, HOUR, 6 * HOUR, DAY)
"""After how long an open incident is told of again; then once a day."""
RESTLESS_LADDER = LADDER[1:]
"""The same for one that came back: counted from its newest row of bad slots."""
ESCALATE_AFTER = HOUR
GOOD_SLOTS = 2
"""So many good slots in a row close an incident that never came back."""
CALM = 2 * HOUR
"""So long must one be calm that did come back."""
NEAR = 30 * MINUTE
"""Trouble that returns so soon after a recovery continues the old incident."""
MEMORY = DAY
"""So long an incident is remembered: a day sees two of a kind, a third continues."""
FEW = 4
"""What flapped and was told of so often comes back without a word of its own."""
BRIEF = 2
"""An incident that was told of oftener is continued by what comes within a day."""


def step(
    incidents: Iterable[Incident],
    slot: Slot,
    signs: Mapping[str, Signal | None],
    interval: int,
) -> tuple[tuple[Incident, ...], tuple[Event, ...]]:
    """Return *incidents* after *slot*, and what to tell of them.

    *signs* holds what the run said of each kind: trouble, None where it went well;
    a kind that is not in it was not observed. Closed incidents are kept for a day.
    """
    current = {each.kind: each for each in incidents}
    events: list[Event] = []
    for kind in KINDS:
        before = current.get(kind)
        after, what = _observed(kind, before, slot, signs, interval)
        if after is None:
            current.pop(kind, None)
            continue
        if what is not None:
            escalated = after.escalated or what is EventType.ESCALATED
            told = after.told + 1
            after = after._replace(
                told=told, told_at=slot, again=False, escalated=escalated
            )
            events.append(Event(what, after))
        current[kind] = after
    return tuple(current[kind] for kind in KINDS if kind in current), tuple(events)


def _observed(
    kind: str,
    before: Incident | None,
    slot: Slot,
    signs: Mapping[str, Signal | None],
    interval: int,
) -> tuple[Incident | None, EventType | None]:
    """Return what becomes of the incident of one *kind*, and what to tell."""
    if kind not in signs:
        return before, None if before is None else _due(before, slot, interval)
    sign = signs[kind]
    if sign is not None:
        return _bad(kind, before, slot, sign, interval)
    return (None, None) if before is None else _good(before, slot, interval)


def _bad(
    kind: str, before: Incident | None, slot: Slot, sign: Signal, interval: int
) -> tuple[Incident, EventType | None]:
    if before is None or _is_another(before, slot):
        since = slot if sign.since is None else sign.since
        second = before is not None and slot - (before.closed or slot) <= MEMORY
        new = Incident(f"{kind}-{since}", kind, since, since, second=second)
        new = _worse(new._replace(streak=since), slot, sign)
        if sign.over:
            return new._replace(closed=slot), EventType.NOTED
        return new, _opened(new, slot)
    after = _worse(before, slot, sign)
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
    return after, _due(after, slot, interval)


def _is_another(before: Incident, slot: Slot) -> bool:
    """Tell whether trouble in *slot* is a new incident, not *before* come back."""
    if before.closed is None:
        return False
    past = slot - before.closed
    few = before.told <= BRIEF and not before.second
    return past > MEMORY or (past > NEAR and few)


def _worse(incident: Incident, slot: Slot, sign: Signal) -> Incident:
    causes = dict(incident.causes)
    causes[sign.cause] = causes.get(sign.cause, 0) + max(sign.lost, 1)
    return incident._replace(
        last=slot if sign.until is None else sign.until,
        slots=incident.slots + max(sign.lost, 1),
        lost=incident.lost + sign.lost,
        causes=causes,
        text=message(sign.text, lines=True),
    )


def _opened(incident: Incident, slot: Slot) -> EventType | None:
    kind = KINDS[incident.kind]
    lasting = slot - incident.opened >= kind.open_for
    return EventType.OPENED if incident.slots >= kind.open_after and lasting else None


def _good(
    before: Incident, slot: Slot, interval: int
) -> tuple[Incident | None, EventType | None]:
    if before.closed is not None:
        gone = slot - before.closed > MEMORY
        return (None, None) if gone else (before, None)
    if not before.told:
        return None, None
    after = before._replace(good=before.good + 1)
    calm = slot - after.last >= CALM or not after.returns
    if after.good >= GOOD_SLOTS and calm:
        return after._replace(closed=slot, again=False), EventType.RECOVERED
    return after, _due(after, slot, interval)


def _due(incident: Incident, slot: Slot, interval: int) -> EventType | None:
    """Return what must be told of an incident that is open, if anything is due."""
    if not incident.is_open:
        return None
    if slot - incident.told_at >= DAY:
        return EventType.REMINDED
    if incident.good:
        return None
    near = slot - incident.told_at < NEAR
    if incident.again and slot - incident.opened >= HOUR and not near:
        return EventType.RETURNED
    return _on_ladder(incident, slot, interval)


def _on_ladder(incident: Incident, slot: Slot, interval: int) -> EventType | None:
    """Return how to tell again of an incident that has passed a rung since told."""
    wobbled = incident.streak > incident.opened
    came_back = incident.second or bool(incident.returns)
    since, ladder = incident.opened, LADDER
    if wobbled or came_back:
        since, ladder = incident.streak, RESTLESS_LADDER
    passed = any(incident.told_at < since + rung <= slot for rung in ladder)
    bad = min(incident.slots * interval, slot - incident.opened)
    long = bad >= ESCALATE_AFTER and not incident.escalated
    if long and (passed or not came_back):
        return EventType.ESCALATED
    return EventType.REMINDED if passed else None
