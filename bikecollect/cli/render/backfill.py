"""What backfill did, as text and as JSON."""

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo

from bikecollect.cli.render.table import table
from bikecollect.cli.render.terminal import wrapped
from bikecollect.collect.backfill import Agreement, Filling
from bikecollect.core.slots import iso
from bikecollect.core.text import percent, visible, visible_json

DAYS = 40
DOUBT = 0.9
STAY = frozenset({"there", "left"})
"""What becomes of payloads that are not tried."""
KEPT = "; the payload is kept"


def summary(
    system_id: str,
    done: Sequence[Filling],
    agreement: Agreement,
    *,
    left_out: tuple[int, int] = (0, 0),
) -> str:
    """Return what was done for a system, by day and origin.

    *left_out* says how many rows or blocks of the other archive could not be read, and
    how many of its values cannot be.
    """
    bad, odd = left_out
    counts = Counter((f.day, f.origin, f.what) for f in done if f.what not in STAY)
    there = sum(each.what == "there" for each in done)
    left = sum(each.what == "left" for each in done)
    lines = [f"{system_id}: {_total(done)}"]
    if there:
        lines.append(f"  {there} payloads have a block already: they stay as they are")
    if left:
        lines.append(f"  {left} rejected for a wrong clock: they stay as they are")
    if bad:
        lines.append(f"  {bad:,} rows or blocks over there could not be read")
    if odd:
        lines.append(f"  {odd:,} values over there cannot be: they are left empty")
    lines += _agreement(agreement)
    if counts:
        rows = [(*key, slots) for key, slots in sorted(counts.items())][:DAYS]
        names = ("day", "from", "", "slots")
        lines += ["", *(f"  {line}" for line in table(names, rows).splitlines())]
    if len(counts) > DAYS:
        lines.append(f"  ... and {len(counts) - DAYS} more lines; see --format json")
    why = dict.fromkeys(f.why.partition(KEPT)[0] for f in done if f.why)
    for text in list(why)[:5]:
        lines += wrapped(visible(text), "  ", "    ")
    return "\n".join([*lines, ""])


def as_json(system_id: str, filling: Filling, zone: tzinfo) -> str:
    """Return what became of a slot, as a line of JSON."""
    values = {
        "system": system_id,
        "slot": iso(filling.slot, zone),
        "from": filling.origin,
        "what": filling.what,
        "rows": filling.rows,
        "why": filling.why,
    }
    return visible_json(values) + "\n"


def _total(done: Sequence[Filling]) -> str:
    whats = Counter(each.what for each in done)
    parts = [f"{_slots(n)} {what}" for what, n in whats.items() if what not in STAY]
    return ", ".join(parts) or "nothing to fill"


def _slots(count: int) -> str:
    return "1 slot" if count == 1 else f"{count:,} slots"


def _agreement(found: Agreement) -> list[str]:
    if found.share is None:
        return []
    values = f"{percent(found.share)} of {found.values:,} values"
    lines = [f"  agreement with ours: {values} in {found.slots} slots that both have"]
    if found.here or found.there:
        lines.append(
            f"  stations only here {found.here / found.slots:.1f} a slot, only there "
            f"{found.there / found.slots:.1f}"
        )
    if found.share < DOUBT:
        lines.append("  ! that is little: is it the same city, the same time zone?")
    return lines
