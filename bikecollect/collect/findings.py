"""Findings: report a lasting anomaly of a feed once, not in every slot."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bikecollect.core.payload import Payload
from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import Snapshot, VehicleSnapshot
from bikecollect.feeds.reading import drift

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

SHAPE = "bikecollect.shape"
NOTE = "bikecollect.findings"
FEW, SHARE = 3, 0.05
"""Rows without an id, or share of them, that are no incident."""
IMPLAUSIBLE = "implausible"
"""Begins the keys of findings about such values."""
FORGOTTEN = 7 * DAY
"""Seconds for which a finding must be absent before it is reported again."""


def many_nameless(snapshot: Snapshot | VehicleSnapshot, unit: str) -> Iterator[str]:
    """Yield a sentence if *snapshot* lacks many rows, which are *unit*, without an id.

    A few are a finding of the reader's, because some feeds have them for good.

    >>> from types import SimpleNamespace as Seen
    >>> few = Seen(statuses=range(9), dropped=3), Seen(statuses=range(95), dropped=5)
    >>> [list(many_nameless(snapshot, "stations")) for snapshot in few]
    [[], []]
    >>> list(many_nameless(Seen(statuses=range(94), dropped=6), "stations"))
    ['6 of 100 stations have no id that can be read']
    """
    total = len(snapshot.statuses) + snapshot.dropped
    if snapshot.dropped > max(FEW, total * SHARE):
        yield f"{snapshot.dropped} of {total} {unit} have no id that can be read"


def lacking(payload: Payload, snapshot: Snapshot, trouble: str) -> list[str]:
    """Return what is missing in *payload*, and the *trouble* with its stations."""
    nameless = many_nameless(snapshot, "stations")
    texts = payload.incomplete, payload.beside, snapshot.incomplete, *nameless, trouble
    return [text for text in texts if text]


def senseless(snapshot: Snapshot) -> list[str]:
    """Return a text if no station has a number of vehicles that can be right."""
    text = snapshot.findings.get(f"{IMPLAUSIBLE} num_vehicles_available", "")
    known = (s.num_vehicles_available for s in snapshot.statuses)
    return [text] if text and all(count is None for count in known) else []


def without_implausible(findings: Mapping[str, str]) -> dict[str, str]:
    """Return *findings* without those of implausible values."""
    return {k: text for k, text in findings.items() if not k.startswith(IMPLAUSIBLE)}


def notes_to_store(
    ledger: "Ledger", snapshot: Snapshot, notes: Mapping[str, str], slot: Slot
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the *notes* to store for the next fetch, and how the feed has changed."""
    if not ledger.is_newest(slot):
        return {}, ()  # the notes of a later payload are kept
    memory = ledger.notes()
    own_notes, news = new_findings(snapshot, memory, slot)
    return changed_notes({**notes, **own_notes}, memory), news


def keep_notes(ledger: "Ledger", notes: Mapping[str, str], slot: Slot) -> None:
    """Store those of *notes* that are new, unless a later slot has a block."""
    changed = changed_notes(notes, ledger.notes())
    if changed and ledger.is_newest(slot):
        ledger.remember(changed)


def changed_notes(
    notes: Mapping[str, str], memory: Mapping[str, str]
) -> dict[str, str]:
    """Return those of *notes* that *memory* has not, or has otherwise."""
    return {k: text for k, text in notes.items() if memory.get(k, "") != text}


def new_findings(
    snapshot: Snapshot | VehicleSnapshot, memory: Mapping[str, str], slot: Slot
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the notes to store for *snapshot*, and the new findings and drifts.

    *memory* has the notes of the previous snapshot. A field that is null at every
    station keeps its earlier type, because its values may return.
    """
    before: dict[str, str] = json.loads(memory.get(SHAPE, "") or "{}")
    shape = {
        name: before.get(name, kind) if kind == "null" else kind
        for name, kind in snapshot.shape.items()
    }
    nulls = {
        f"null {name}": f"field {name} is null at every station"
        for name, kind in snapshot.shape.items()
        if kind == "null" and shape[name] != "null"
    }
    fresh, note = unreported({**snapshot.findings, **nulls}, memory.get(NOTE, ""), slot)
    notes = {NOTE: note}
    if shape and shape != before:
        notes[SHAPE] = json.dumps(shape, sort_keys=True)
    drifts = drift.compare(before, shape) if before and shape else ()
    return notes, (*drifts, *fresh)


def unreported(
    findings: Mapping[str, str], note: str, slot: Slot
) -> tuple[tuple[str, ...], str]:
    """Return the sentences of *findings* that are not reported yet, and the new note.

    One without text is only noted. *note* is the previous one. It maps the key of a
    finding to 0 while the finding lasts, then to the first slot without it.

    >>> unreported({"a": "A is odd"}, "", Slot(300))
    (('A is odd',), '{"a": 0}')
    >>> unreported({"a": "A is odd"}, '{"a": 0}', Slot(600))
    ((), '{"a": 0}')
    """
    gone: dict[str, int] = json.loads(note or "{}")
    fresh = [
        text
        for key, text in findings.items()
        if text and (key not in gone or (gone[key] and slot - gone[key] > FORGOTTEN))
    ]
    after = dict.fromkeys(findings, 0)
    for key, since in gone.items():
        if key not in findings and not (since and slot - since > FORGOTTEN):
            after[key] = since or slot
    return tuple(fresh), json.dumps(dict(sorted(after.items()))) if after else ""
