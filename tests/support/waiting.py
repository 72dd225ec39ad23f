"""Waiting for other processes, with a limit: a hanging test would stop all others."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0
"""Seconds: many times what anything here takes on a busy machine."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return once *condition* holds; fail with *what* when it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether process *pid* runs; one that ended and was not waited for does not.

    An orphan stays such a zombie where the first process of a container waits for none.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in {"Z", "X"}
