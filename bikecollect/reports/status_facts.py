"""What there is to say of how a system stands, in words, each with its tone."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from bikecollect.core.text import ago, length, local_minute, percent, size
from bikecollect.reports.health import Health
from bikecollect.reports.status import Standing

BEYOND_ANY_PLAN = 5_000
"""Days after which a full disk need not be counted on."""


class Tone(Enum):
    """How good what is said is."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


class Part(NamedTuple):
    """Words of one tone."""

    text: str
    tone: Tone = Tone.PLAIN


class Fact(NamedTuple):
    """What is said under one title."""

    title: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(part.text for part in self.parts)


def verdict(health: Health) -> Part:
    """Return whether all is well, in a few words."""
    if not health.in_trouble:
        return Part("all is well", Tone.GOOD)
    count = len(health.incidents)
    late = "late" if health.late else ""
    many = f"{count} open incident{'s' if count > 1 else ''}" if count else ""
    return Part(" and ".join(word for word in (late, many) if word), Tone.BAD)


def facts(standing: Standing) -> list[Fact]:
    """Return how a system stands, each fact with its title."""
    health = standing.health
    return [
        Fact("Last run", tuple(_last_run(standing))),
        Fact("Newest data", (behind(health),)),
        Fact("Cron", (_cron(health),)),
        Fact("Next slot", (Part(local_minute(health.next_slot, standing.zone)),)),
        Fact("Runs, 24 h", (Part(_runs(health)),)),
        Fact("Coverage", (Part(_coverage(health)),)),
        Fact("Waiting", (Part(_waiting(standing)),)),
        Fact("Disk", (Part(_disk(standing)),)),
    ]


def behind(health: Health) -> Part:
    """Return how old the newest data is."""
    if health.behind is None:
        return Part("no block yet")
    text = f"the newest block's slot began {ago(health.behind)}"
    return Part(text, Tone.BAD if health.late else Tone.PLAIN)


def _last_run(standing: Standing) -> Iterable[Part]:
    run = standing.health.last_run
    if run is None:
        yield Part("none yet")
        return
    word = run.outcome.value if run.outcome else "at work"
    yield Part(word, Tone.BAD if run.exit_code else Tone.GOOD)
    when = ago(standing.health.now - run.started)
    cause = f" ({run.cause})" if run.cause else ""
    spent = f"{sum(run.seconds.values()):.2f} s"
    yield Part(f"{cause}, {when}, {run.rows} rows in {spent}")


def _cron(health: Health) -> Part:
    if health.last_run is None:
        return Part("no run yet; see: bikecollect schedule show")
    if health.silent is not None:
        text = f"no run since {length(health.silent)}; see: bikecollect schedule show"
        return Part(text, Tone.BAD)
    return Part("runs are started")


def _runs(health: Health) -> str:
    if not health.runs:
        return "none"
    return f"{health.good} of {health.runs} good, {percent(health.good / health.runs)}"


def _coverage(health: Health) -> str:
    words = {"today": "today", "7d": "7 days", "30d": "30 days"}
    return ", ".join(
        f"{words[name]} {percent(each.ratio)}" for name, each in health.coverage.items()
    )


def _waiting(standing: Standing) -> str:
    return (
        f"{standing.inbox} in the inbox, {standing.outbox} mails in the outbox, "
        f"{standing.rejected} rejected"
    )


def _disk(standing: Standing) -> str:
    disk = standing.disk
    text = f"{size(disk.used)} used, {size(disk.free)} free"
    if disk.daily is None or disk.days_left is None:
        return f"{text}; growth not yet known"
    known = disk.days_left < BEYOND_ANY_PLAN
    days = f"{disk.days_left:,.0f} days" if known else "many years"
    return f"{text}; {size(disk.daily)} a day, full in {days}"
