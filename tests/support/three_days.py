"""Three archived days on which every report runs, and how answers are compared."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from keeping import compacted, compactor
from templates import copied
from world import NOON, World

from bikecollect.core.slots import DAY
from bikecollect.reports.registry import Values

VALUES = Values(
    since=date(2026, 11, 1),
    until=date(2026, 12, 31),
    interval=300,
    minute=740,
    first_hour=144,
)
Rows = list[tuple[Any, ...]]
WITHOUT_ROWS = {
    "neighbours",
    "vehicles",
    "vehicle_grid",
    "vehicle_idle",
    "vehicle_ids",
}
"""Of this feed, which has neither places nor vehicles."""


def tidy(rows: Sequence[Sequence[Any]]) -> Rows:
    """Return *rows*, floats to nine digits, sorted."""
    rounded = [
        tuple(float(f"{v:.9g}") if isinstance(v, float) else v for v in row)
        for row in rows
    ]
    return sorted(rounded, key=repr)


@copied
def three_days(folder: Path) -> World:
    """Archive three days with gaps, NULLs, a renaming and a late station."""
    world = World(folder / "bikes" / "city")
    for day in range(3):
        world.clock.now = NOON + day * DAY
        for number in range(40):
            world.clock.now += 300 if number % 7 else 900
            world.uptime = world.clock.now - NOON
            stations: dict[str, Any] = {
                "0001": number % 5,
                "0002": (number // 6) % 2 * 4,
                "x,y": None if number % 4 == 0 else 3,
            }
            if day:
                stations["late"] = number % 2
            names = {"0002": "Elsewhere"} if day == 2 else {}
            world.fetch(stations, names=names)
    world.clock.now = NOON + 3 * DAY
    compacted(world)
    assert len(compactor(world).archive.days()) == 3
    return world
