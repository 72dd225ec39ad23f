"""Ping a dead-man switch at the start of a call, and with its exit code."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bikecollect.core.logs import of_run
from bikecollect.core.run import Run

log = logging.getLogger(__name__)


class Pinger(NamedTuple):
    """Pings an address: *send* takes the signal, and returns an error text.

    If *start*, the start is signalled too. A ping takes at most *seconds*.
    """

    send: Callable[[str], str]
    start: bool
    seconds: float


@contextmanager
def pinged(ping: Pinger) -> Iterator[list[Run]]:
    """Ping at the start, and with the exit code of the runs in the yielded list."""
    runs: list[Run] = []
    thread = _start_ping(ping) if ping.start else None
    yield runs
    if thread is not None:
        thread.join(ping.seconds)
    if runs:
        code = max(run.exit_code for run in runs)
        error = ping.send(str(code) if code else "")
        if error:
            with of_run(runs[0].system_id, runs[0].run_id):  # it needs some log
                log.warning("ping failed: %s", error, extra={"is_reported": True})


def _start_ping(ping: Pinger) -> threading.Thread | None:
    """Ping at the start in a thread; return it, None if the system allows none."""
    thread = threading.Thread(target=ping.send, args=("start",), daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        log.warning("no ping at the start: %s", error)
        return None
    return thread
