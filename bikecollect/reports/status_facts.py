"""The status of a system as text: titled facts, with good, bad and neutral parts."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from enum import Enum
from typing import NamedTuple

from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import day_of
from bikecollect.core.text import (
    ago,
    clock_minute,
    count_of,
    length,
    local_minute,
    percent,
    size,
    visible,
)
from bikecollect.reports.coverage import Coverage
from bikecollect.reports.health import Health
from bikecollect.reports.status import Standing

FROM_LEDGER = frozenset(
    {"Last run", "Newest data", "Schedule", "Runs, 24 h", "Coverage"}
)
"""Titles of facts that only the ledger has."""


class Tone(Enum):
    """Whether a text is good news, bad news or neither."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


class Part(NamedTuple):
    """A text with one tone."""

    text: str
    tone: Tone = Tone.PLAIN


UNKNOWN = Part("unknown without the ledger", Tone.BAD)


class Fact(NamedTuple):
    """The text under one title."""

    title: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text without its tones."""
        return "".join(part.text for part in self.parts)


def verdict(health: Health, zone: tzinfo) -> Part:
    """Return a summary in a few words: all is well, late, or open incidents.

    A single one is named, with its beginning in *zone*.

    Stale slots are an incident after an hour only: until then they are named here.
    """
    if not health.in_trouble:
        if health.is_over:
            return Part("a demo, which is over" if health.is_demo else "was stopped")
        if health.is_new:
            return Part("waiting for its first slot")
        if health.has_old_data:
            return Part("collects, but old data")
        return Part("all is well", Tone.GOOD)
    count = len(health.incidents)
    late = "late" if health.late else ""
    many = count_of(count, "open incident") if count else ""
    if count == 1:
        many = _named(health.incidents[0], health, zone)
    kinds = {incident.kind for incident in health.incidents}
    others = health.damage[1 if health.gone else 0 :]
    is_damaged = others and "folder" not in kinds  # else sound, but elsewhere
    damaged = "stored data damaged or missing" if is_damaged else ""
    is_behind = health.is_mirror_behind and "mirror" not in kinds
    behind = "mirror behind" if is_behind else ""
    elsewhere = "earlier data in another folder" if health.elsewhere else ""
    words = (late, many, health.gone, elsewhere, damaged, behind)
    return Part(" and ".join(word for word in words if word), Tone.BAD)


def _named(incident: Incident, health: Health, zone: tzinfo) -> str:
    """Return what *incident* is, and since when: a time of today, or a day."""
    interval = incident.interval(health.grid)
    since = clock_minute(incident.began(interval), zone, interval)
    day, _, time = since.partition(" ")
    is_today = day == clock_minute(health.now, zone)[:10]
    return f"{incident.state(interval)} since {time if is_today else day}"


def headline(standing: Standing) -> Part:
    """Return the verdict, or that the disk is full in a day if all else is well."""
    summary, disk = verdict(standing.health, standing.zone), standing.disk
    if summary.tone is Tone.GOOD and disk.days_left is not None and disk.days_left < 1:
        text = f"collects, but the disk will be full in {disk.time_left}"
        text = text if disk.days_left else "collects, but the disk is full"
        return Part(text, Tone.BAD)
    return summary


def by_trouble(standings: Iterable[Standing]) -> list[Standing]:
    """Return *standings*, late systems first, then those in other trouble."""
    return sorted(
        standings,
        key=lambda standing: (not standing.health.late, not standing.health.in_trouble),
    )


class Overview(NamedTuple):
    """A system in a few words: its verdict, the newest data, coverage of 7 days."""

    system_id: str
    verdict: Part
    newest: str
    week: str


def overview(standings: Iterable[Standing]) -> Iterator[Overview]:
    """Yield an overview of each system, those in trouble first."""
    for standing in by_trouble(standings):
        health = standing.health
        yield Overview(
            standing.system_id,
            verdict(health, standing.zone),
            _newest(health),
            f"7 days {_week(health)}",
        )


def _week(health: Health) -> str:
    if health.is_lost:
        return "unknown"
    doubt = ", in doubt" if health.damage else ""
    return f"{percent(health.coverage['7d'].ratio)}{doubt}"


def facts(standing: Standing) -> list[Fact]:
    """Return the facts about a system's status, with the mirror if one is set."""
    health = standing.health
    mirror = [] if health.mirror is None else [Fact("Mirror", (_mirror(health),))]
    vehicles = [Fact("Vehicles", (_vehicles(standing),))] if health.vehicles else []
    known = [
        *(Fact("Running", tuple(_running(run, standing))) for run in standing.running),
        Fact("Last run", tuple(_last_run(standing))),
        Fact("Newest data", (behind(health), *_stale(standing))),
        Fact("Schedule", tuple(_schedule(standing))),
        Fact("Next slot", (Part(_next_slot(standing)),)),
        Fact("Runs, 24 h", (Part(_runs(health)),)),
        Fact("Coverage", tuple(_coverage(standing))),
        *vehicles,
        Fact("Waiting", (Part(_waiting(standing)),)),
        Fact("Disk", (_disk(standing),)),
        *mirror,
    ]
    if not health.is_lost:
        return known
    return [Fact(f.title, (UNKNOWN,)) if f.title in FROM_LEDGER else f for f in known]


def behind(health: Health) -> Part:
    """Return the age of the newest data."""
    if health.is_lost:
        return UNKNOWN
    if health.behind is None:
        return Part("no data")
    text = f"the newest slot with data began {ago(health.behind)}"
    return Part(text, Tone.BAD if health.late else Tone.PLAIN)


def _stale(standing: Standing) -> Iterator[Part]:
    """Yield how many of the last slots are stale, if these are more than a few."""
    if standing.health.has_old_data:
        count = standing.health.stale_slots
        text = f"; the last {count} slots have old data, see: "
        yield Part(f"{text}bikecollect feeds try {standing.system_id}")


def _newest(health: Health) -> str:
    if health.is_lost:
        return "data unknown"
    return "no data" if health.behind is None else f"data {ago(health.behind)}"


def _last_run(standing: Standing) -> Iterable[Part]:
    run = standing.health.last_run
    if run is None:
        yield Part("none yet")
        return
    word = run.outcome.value if run.outcome else "running"
    yield Part(word, Tone.BAD if run.exit_code else Tone.GOOD)
    when = ago(standing.health.now - run.started)
    cause = f" ({run.cause})" if run.cause else ""
    spent = f"{sum(run.seconds.values()):.2f} s"
    yield Part(f"{cause}, {when}, {count_of(run.rows, 'row')} in {spent}")
    if run.outcome is Outcome.RATE_LIMITED:
        yield Part(f"; {visible(run.error)}")


def _running(run: Run, standing: Standing) -> Iterator[Part]:
    """Yield since when *run* has been running; a person may end one that hangs."""
    spent = max(0.0, standing.health.now - run.started)
    since = clock_minute(run.started, standing.zone, 1)
    yield Part(f"since {since}, for {length(spent)}")
    if spent > standing.health.interval:
        yield Part(", longer than a slot", Tone.BAD)
        yield Part(f"; see: bikecollect runs show {run.run_id}")


def _schedule(standing: Standing) -> Iterable[Part]:
    health = standing.health
    if health.is_over:
        why = "the simulated city is no longer served"
        yield Part(f"none needed: {why if health.is_demo else 'it was stopped'}")
        return
    if health.last_run is None:
        yield Part("no run yet")
    elif health.silent is not None:
        yield Part(f"no run for {length(health.silent)}", Tone.BAD)
    elif health.unrecorded:
        last = ago(health.now - health.unrecorded)
        yield Part(f"the run {last} could not be recorded", Tone.BAD)
    else:
        since_last = ago(health.now - health.last_run.started)
        runs = count_of(health.runs, "run")
        yield Part(f"{runs} in 24 h, the last {since_last}")
    if standing.scheduled is False:
        yield Part("; no schedule found, see: bikecollect schedule install")
    elif health.silent is not None or health.last_run is None:
        yield Part("; see: bikecollect schedule show")


def _next_slot(standing: Standing) -> str:
    following, interval = standing.health.next_slot, standing.health.interval
    return local_minute(following, standing.zone, interval) if following else "none"


def _runs(health: Health) -> str:
    if not health.runs:
        return "none"
    return f"{health.good} of {health.runs} good, {percent(health.good / health.runs)}"


def _coverage(standing: Standing) -> Iterator[Part]:
    yield Part(_shares(standing, standing.health.coverage))
    if standing.health.damage:
        yield Part("; in doubt: files are missing or damaged", Tone.BAD)


def _vehicles(standing: Standing) -> Part:
    return Part(_shares(standing, standing.health.vehicles))


def _shares(standing: Standing, coverages: Mapping[str, Coverage]) -> str:
    """Return the shares of today and the last days, with the day if it is over."""
    labels = {"today": "today", "7d": "7 days", "30d": "30 days"}
    strip = standing.health.strip
    if standing.health.is_over and strip:
        labels["today"] = day_of(strip[-1][0], standing.zone)
    return ", ".join(f"{labels[n]} {percent(c.ratio)}" for n, c in coverages.items())


def _waiting(standing: Standing) -> str:
    return (
        f"{standing.inbox} in the inbox, "
        f"{count_of(standing.outbox, 'mail')} in the outbox, "
        f"{standing.rejected} rejected"
    )


def _mirror(health: Health) -> Part:
    text = visible(health.mirror.text(health.now)) if health.mirror else ""
    return Part(text, Tone.BAD if health.is_mirror_behind else Tone.PLAIN)


def _disk(standing: Standing) -> Part:
    disk = standing.disk
    text = f"{size(disk.used)} used, {size(disk.free)} free"
    if standing.health.is_over:
        return Part(text)
    if not disk.free:
        return Part(f"{text}: no slot can be collected", Tone.BAD)
    if disk.daily is None:
        return Part(f"{text}; growth not yet known")
    text = f"{text}; {size(disk.daily)} a day"
    return Part(f"{text}, full in {disk.time_left}" if disk.days_left else text)
