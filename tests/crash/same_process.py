"""A command in the tests' own process, at a set time and with a simulated feed.

A process for each of the healthy calls that follow a killed one costs several times
what the call does.
"""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from command_driver import BOOTED, set_clock

from bikecollect.cli import main
from bikecollect.cli.printing import Screen
from bikecollect.core import process, user_folders
from bikecollect.core.secrets import redact
from bikecollect.storage import lock
from bikecollect.storage.runs import packed
from bikecollect.wiring import collection, history

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_here(
    command: Sequence[str],
    *,
    moment: float,
    client: Callable[..., object],
    env: Mapping[str, str],
    pack: bool = False,
    booted: float = BOOTED,
) -> tuple[int, str]:
    """Run *command* at *moment*; return its exit code and its output.

    *client* makes the client of its feed; *booted* is when the machine was started.
    With *pack* all archived runs are packed.
    """
    with _as_if_started(env) as patch:
        set_clock(moment, patch.setattr, booted)
        patch.setattr(history.shown, "__defaults__", (time.time,))
        patch.setattr(collection, "_client", client)
        patch.setattr(lock, "BREATH", 0)  # no other command waits for the lock
        if pack:
            patch.setattr(packed, "RECENT", 0)
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = main.run(command)
    return code, out.getvalue() + err.getvalue()


@contextmanager
def _as_if_started(env: Mapping[str, str]) -> Iterator[pytest.MonkeyPatch]:
    """Let this process be as one that has begun with *env*, and restore it."""
    logger = logging.getLogger("bikecollect")
    before = logger.handlers[:], logger.level, logger.propagate
    umask = os.umask(0o027)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", None)
        patch.setattr(user_folders, "_beside", [])
        patch.setattr(redact, "_learned", {})
        patch.setattr(Screen, "lost", None)
        try:
            yield patch
        finally:
            process.disarm()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.umask(umask)
            logger.handlers[:], logger.level, logger.propagate = before
