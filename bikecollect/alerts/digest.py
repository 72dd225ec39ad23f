"""The digest: one mail about a day or a week of all systems, sent in any case."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bikecollect.core.text import message, percent, size
from bikecollect.reports.coverage import Coverage

FEW = 3
"""Systems whose shares fit into a subject."""
PERIODS = {"daily": 1, "weekly": 7}
IDLE = "To do: nothing; problems have mails of their own"


@dataclass(frozen=True)
class DigestSummary:
    """The figures of one system for the period of a digest.

    *lost* has the missing slots by cause, *flags* the collected ones by flag. The
    *free* bytes last for *time_left*, empty if unknown. *vehicles* is the coverage of
    single vehicles.
    """

    system_id: str
    coverage: Coverage
    lost: Mapping[str, int]
    flags: Mapping[str, int]
    inbox: int
    rejected: int
    used: int
    free: int
    time_left: str
    vehicles: Coverage = Coverage()


@dataclass(frozen=True)
class UnreadableSystem:
    """A system whose figures could not be read, and why."""

    system_id: str
    error: str


def due(period: str, today: date, last: str) -> tuple[date, date] | None:
    """Return the first and the last day of the digest that is due, None if none is.

    *last* is the day on which the latest digest was sent (ISO 8601), empty if none was.

    >>> due("weekly", date(2026, 11, 24), "2026-11-17")
    (datetime.date(2026, 11, 16), datetime.date(2026, 11, 22))
    """
    days = PERIODS[period]
    begin = today if days == 1 else today - timedelta(days=today.weekday())
    if not last or last >= begin.isoformat():
        return None
    return begin - timedelta(days=days), begin - timedelta(days=1)


def subject(
    first: date, last: date, summaries: Sequence[DigestSummary | UnreadableSystem]
) -> str:
    """Return the subject of the digest of the days from *first* to *last*."""
    days = f"{first}" if first == last else f"{first} to {last}"
    return f"[bikecollect] digest: {days}: {shares(_coverages(summaries))}"


def shares(coverages: Mapping[str, Coverage | None]) -> str:
    """Return the coverage of a few systems, or of many together, for a subject.

    None is that of a system that cannot be read.

    >>> shares({"oslo": Coverage(288, 288), "taipei": None})
    'oslo 100 %, taipei unknown'
    >>> shares({f"city{n}": Coverage(288, 140 * n) for n in (2, 1, 2, 0)} | {"a": None})
    '4 systems 48.6 %, lowest city0 0.0 %, 1 unknown'
    """
    known = {name: c for name, c in coverages.items() if c is not None}
    if len(coverages) <= FEW or not known:
        shown = [f"{name} {_share(coverage)}" for name, coverage in coverages.items()]
        return ", ".join(shown) if len(shown) <= FEW else f"{len(shown)} unknown"
    name, lowest = min(known.items(), key=lambda item: _order(item[1]))
    unknown = len(coverages) - len(known)
    total = sum(c.collected for c in known.values())
    expected = sum(c.expected for c in known.values())
    rest = f", {unknown} unknown" if unknown else ""
    return (
        f"{len(coverages)} systems {_share(Coverage(expected, total))}, "
        f"lowest {name} {_share(lowest)}{rest}"
    )


def _share(coverage: Coverage | None) -> str:
    return "unknown" if coverage is None else percent(coverage.ratio)


def _coverages(
    summaries: Sequence[DigestSummary | UnreadableSystem],
) -> dict[str, Coverage | None]:
    return {
        s.system_id: s.coverage if isinstance(s, DigestSummary) else None
        for s in summaries
    }


def body(summaries: Sequence[DigestSummary | UnreadableSystem], sender: str) -> str:
    """Return the digest of *summaries*; *sender* names the program and the host.

    The systems with the lowest coverage come first, after what is to do.
    """
    coverages = _coverages(summaries)
    ordered = sorted(summaries, key=lambda s: _order(coverages[s.system_id]))
    unreadable = [s.system_id for s in summaries if isinstance(s, UnreadableSystem)]
    parts = [
        f"To do: bikecollect doctor {' '.join(unreadable)}" if unreadable else IDLE
    ]
    parts += [shares(coverages)] if len(summaries) > FEW else []
    parts += [_section(summary) for summary in ordered]
    parts.append("If this mail stops arriving, run: bikecollect status")
    return "\n\n".join(parts) + f"\n\n-- \n{sender}\n"


def _order(coverage: Coverage | None) -> float:
    if coverage is None:
        return -1
    return 1 if coverage.ratio is None else coverage.ratio


def _section(summary: DigestSummary | UnreadableSystem) -> str:
    if isinstance(summary, UnreadableSystem):
        return f"{summary.system_id}\n  {'Unknown':<11}{message(summary.error)}"
    of_vehicles = summary.vehicles
    vehicles = [("Vehicles", _collected(of_vehicles))] if of_vehicles.expected else []
    left = f", for {summary.time_left}" if summary.time_left else ""
    rows = [
        ("Collected", _collected(summary.coverage)),
        *vehicles,
        ("Lost", _counts(summary.lost)),
        ("Flags", _counts(summary.flags)),
        ("Waiting", f"{summary.inbox} in the inbox, {summary.rejected} rejected"),
        ("Disk", f"{size(summary.used)} used, {size(summary.free)} free{left}"),
    ]
    lines = [summary.system_id, *(f"  {name:<11}{value}" for name, value in rows)]
    return "\n".join(lines)


def _collected(coverage: Coverage) -> str:
    share = percent(coverage.ratio)
    return f"{coverage.collected:,} of {coverage.expected:,}, {share}"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = Counter(counts).most_common()
    return ", ".join(f"{count:,} {word}" for word, count in ordered) or "none"
