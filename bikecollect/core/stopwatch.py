"""A stopwatch: how long each stage of a run took, said as it ends."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Stopwatch:
    """Times the stages of one run of the system called *name*.

    *seconds* maps each stage to its length; a stage that comes again is added to.
    """

    def __init__(self, name: str = "") -> None:
        self.seconds: dict[str, float] = {}
        self._name = name

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done within, as *stage*."""
        began = time.monotonic()
        try:
            yield
        finally:
            passed = time.monotonic() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + passed
            log.info("%s: %-7s %8.3f s", self._name, stage, passed)
