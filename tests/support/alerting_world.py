"""Systems whose feeds fail at will, with mails and the other alert channels."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from served import Answer, serving

from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.wiring.collection import collect

BEGIN = 1_795_276_800.0  # midnight in Taipei
INTERVAL = 300
BEGIN_SLOT = Slot(int(BEGIN))
CITY = City(20)


class World:
    """Some systems whose feeds are up or down, and a clock that tests move."""

    def __init__(self, folder: Path, *names: str, **more: Any) -> None:
        self.clock = Time(BEGIN + 2)
        self.up = True
        self.down: frozenset[str] = frozenset()
        self.folder = folder
        self.names = names
        zones: dict[str, str] = more.pop("zones", {})
        self.zones = {name: {"timezone": zone} for name, zone in zones.items()}
        # The test's server sends the real date.
        tell: dict[str, Any] = {"mute": [], **dict(more.pop("tell", {}))}
        self.more = {**more, "tell": {**tell, "mute": [*tell["mute"], "clock"]}}

    def answer(self, path: str) -> Answer:
        """Return the city, or that it is out."""
        body = dialects.youbike(CITY, self.clock.now)
        is_up = self.up and path.rpartition("/")[2] not in self.down
        return Answer(body) if is_up else Answer(b"out", 503)

    @contextmanager
    def served(self, *, dated: bool = False) -> Iterator[Settings]:
        """Serve the feeds, *dated* by the tests' clock; yield the settings."""
        clock = self.clock if dated else time.time
        with serving(self.answer, clock=clock) as url:
            system = {"feed": "youbike", "timezone": "Asia/Taipei"}
            systems = {
                name: {**system, "url": f"{url}/{name}", **self.zones.get(name, {})}
                for name in self.names
            }
            values = {"data_dir": str(self.folder), "systems": systems, **self.more}
            yield parse(values)

    def slot(
        self,
        settings: Settings,
        *,
        up: bool = True,
        skip: int = 0,
        down: str = "",
        names: Sequence[str] = (),
    ) -> list[Run]:
        """Collect the next slot, after *skip* ones in which no run was started.

        The feeds of the systems *down*, of one letter each, do not work. Only those
        with the *names* are fetched, if there are any.
        """
        self.up, self.down = up, frozenset(down)
        self.clock.now = (self.clock.now // INTERVAL + 1 + skip) * INTERVAL + 2
        return self.run(settings, names)

    def run(
        self, settings: Settings, names: Sequence[str] = (), **more: Any
    ) -> list[Run]:
        """Collect now; *more* are clocks of the machine, which has long been up."""
        own: dict[str, Any] = {"uptime": lambda: 1e6, **more}
        return collect(
            settings,
            names,
            clock=self.clock,
            monotonic=self.clock,
            stop=self.clock,
            **own,
        )
