"""A command in the tests' own process, at a set time and with a simulated feed.

A process for each of the healthy calls that follow a killed one costs several times
what the call does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from command_driver import BOOTED, set_clock
from in_process import as_if_started

from bikecollect.cli import main
from bikecollect.storage import lock
from bikecollect.storage.runs import packed
from bikecollect.wiring import collection, history


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
    with as_if_started(env) as patch:
        set_clock(moment, patch.setattr, booted)
        patch.setattr(history.shown, "__defaults__", (time.time,))
        patch.setattr(collection, "_client", client)
        patch.setattr(lock, "BREATH", 0)  # no other command waits for the lock
        if pack:
            patch.setattr(packed, "RECENT", 0)
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = main.run(command)
    return code, out.getvalue() + err.getvalue()
