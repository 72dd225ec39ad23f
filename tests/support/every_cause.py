"""A world whose missing slots have every cause; no slot but the first was reported."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from templates import copied
from world import NOON, World, body

from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import RUNS_LOST, Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.storage.alert_ledger import AlertLedger

START, INTERVAL = int(NOON), 300
ENDED: Sequence[tuple[Outcome, str]] = (
    (Outcome.BUG, "bug"),
    (Outcome.CREDENTIALS, "credentials"),
    (Outcome.DISK, "disk"),
    (Outcome.DISK, "ledger"),
    (Outcome.UNAVAILABLE, "no-stations"),
    (Outcome.UNAVAILABLE, "dns"),
    (Outcome.UNAVAILABLE, "http-503"),
    (Outcome.INTERRUPTED, "signal"),
    (Outcome.KILLED, "killed"),
    (Outcome.DEFERRED, "lock"),
    (Outcome.SETTINGS, "not-mounted"),
    (Outcome.SETTINGS, "folder"),
    (Outcome.SETTINGS, "settings"),
    (Outcome.OVERLOAD, "overload"),
    (Outcome.PROTOCOL, "tls"),
    (Outcome.RATE_LIMITED, "rate-limited"),
    (Outcome.REJECTED, "drift"),
    (Outcome.COLLECTED, ""),
)
"""Runs that left no block, of the slots 1 to 18."""
SLOTS = 49
COUNTS = dict.fromkeys(
    (
        *("bug", "credentials", "ledger", "feed: no-stations", "network: dns"),
        *("http-503", "interrupted", "killed", "lock", "not-mounted", "folder"),
        *("settings", "overload", "protocol: tls", "rate-limited"),
        *("rejected: drift", "damaged", "clock"),
    ),
    1,
)
COUNTS |= dict.fromkeys(("not-started", "older-folder", "unknown"), 2)
COUNTS |= dict.fromkeys(("disk", "asleep", "asleep or not-started", "host-off"), 3)
"""The missing slots by cause."""


class Machine:
    """The clocks of the machine of a *world*; *slept* are seconds since its boot."""

    def __init__(self, world: World) -> None:
        self.world, self.slept = world, 0.0
        self.boot, self.booted = "boot", START - 9_000.0

    def run(self, number: int) -> Run:
        """Return a run that begins in the slot with this *number*."""
        clock = self.world.clock
        clock.now = START + number * INTERVAL + 2.0
        self.world.uptime = clock.now - self.booted
        awake = self.world.uptime - self.slept
        return replace(self.world.begin(), boot_id=self.boot, awake=awake)

    def collect(self, number: int) -> Run:
        """Collect the slot with this *number*."""
        run = self.run(number)
        self.world.feed.answer = body({"a": number, "b": 2})
        return self.world.cycle().run(run)

    def record(self, run: Run) -> None:
        """Write a *run* that left no block."""
        self.world.ledger.open()
        self.world.ledger.record([run])
        self.world.ledger.close()

    def reboot(self, number: int) -> None:
        """Begin a new boot within the slot with this *number*."""
        self.boot, self.slept = f"{self.boot}2", 0.0
        self.booted = START + number * INTERVAL + 1.0


def save(world: World, kind: str, first: int, last: int, cause: str) -> None:
    """Store a closed incident of the slots from *first* to *last*."""
    opened, latest = (Slot(START + number * INTERVAL) for number in (first, last))
    slots, name = last - first + 1, f"{kind}-{opened}"
    incident = Incident(name, kind, opened, latest, latest, slots, slots, told=1)
    ledger = AlertLedger(world.folder / "ledger.sqlite3")
    assert ledger.save([incident._replace(causes={cause: slots})])


@copied
def every_cause(folder: Path) -> World:
    """Return the world; the slots that are not missing were collected."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").write_text("city\n", encoding="utf-8")
    machine = Machine(world)
    machine.collect(0)
    for number, (outcome, cause) in enumerate(ENDED, start=1):
        machine.record(machine.run(number).ended(outcome, cause, "an error"))
    machine.collect(21)  # two slots without a run
    machine.slept += 900
    machine.collect(25)
    machine.slept += 450
    machine.collect(29)
    machine.reboot(33)
    machine.collect(33)
    machine.collect(34)
    early = machine.run(35)
    ahead = Slot(early.slot + 12 * INTERVAL)
    early = replace(early, slot=ahead, started=early.started + 12 * INTERVAL)
    machine.record(early.ended(Outcome.DUPLICATE, "", ""))
    machine.collect(36)
    save(world, "damage", 37, 38, "older-folder")
    machine.collect(39)
    save(world, "ledger", 42, 42, RUNS_LOST)
    machine.collect(42)
    save(world, "disk", 43, 44, "disk")
    for number in range(45, SLOTS):
        machine.collect(number)
    return world
