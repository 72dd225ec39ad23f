"""The command as a separate process."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import suppress

import forking

MAX_TYPED = 65_536
"""Bytes that a pipe holds."""


def bikecollect(
    *arguments: object, answers: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``bikecollect`` with *arguments*; *answers* are typed, *env* is added."""
    return run_command([*map(str, arguments)], answers, {**os.environ, **env})


def run_command(
    arguments: list[str], answers: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command in the current folder, with *env* as its environment."""
    same_start = forking.startup(env) == forking.server().startup
    way = forked if same_start and len(answers) <= MAX_TYPED else started
    return way(arguments, answers, env)


def begun(*arguments: object, **env: str) -> forking.Fork:
    """Begin ``bikecollect`` with *arguments*; the test kills it, or awaits its end."""
    environment = {**os.environ, **env}
    assert forking.startup(environment) == forking.server().startup
    return forking.server().fork("", [*map(str, arguments)], environment)


def forked(
    arguments: list[str],
    answers: str,
    env: Mapping[str, str],
    *,
    stdout: int | None = None,
    program: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run the command, or *program*, in a fork of a process that has imported it."""
    ended = (
        forking.server()
        .fork(program, arguments, env, stdout=stdout)
        .communicate(answers)
    )
    return subprocess.CompletedProcess(["bikecollect", *arguments], *ended)


def started(
    arguments: list[str], answers: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command in a Python that starts for it."""
    return subprocess.run(
        [sys.executable, "-m", "bikecollect", *arguments],
        input=answers,
        text=True,
        capture_output=True,
        timeout=forking.TIMEOUT,
        start_new_session=True,  # a password is asked of the terminal, if there is one
        check=False,
        env=env,
    )


def on_terminal(*arguments: object, columns: int = 80, **env: str) -> str:
    """Run ``bikecollect`` with *arguments* on a terminal; return what that shows."""
    environment = {**os.environ, "TERM": "xterm", **env}
    assert forking.startup(environment) == forking.server().startup
    screen, terminal = pty.openpty()
    try:
        termios.tcsetwinsize(terminal, (24, columns))
        process = forking.server().fork(
            "", [*map(str, arguments)], environment, terminal=terminal
        )
        os.close(terminal)
        shown = _read_screen(screen, process)
    finally:
        os.close(screen)
    process.communicate()
    return shown.replace("\r\n", "\n").replace("\r", "\n")


def _read_screen(screen: int, process: forking.Fork) -> str:
    """Return what *process* writes to *screen* until it closes its terminal."""
    shown = b""
    end = time.monotonic() + forking.TIMEOUT
    with suppress(OSError):  # at its end
        while True:
            left = max(0, end - time.monotonic())
            if not select.select([screen], [], [], left)[0]:
                os.killpg(process.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired("bikecollect", forking.TIMEOUT)
            shown += os.read(screen, 65_536)
    return shown.decode("utf-8")
