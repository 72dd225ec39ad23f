"""The command as a separate process."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping

import forking
import pytest

MOST_TYPED = 65_536
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
    way = forked if same_start and len(answers) <= MOST_TYPED else started
    return way(arguments, answers, env)


def forked(
    arguments: list[str],
    answers: str,
    env: Mapping[str, str],
    stdout: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command in a fork of a process that has imported it."""
    ended = forking.server().fork("", arguments, env, stdout).communicate(answers)
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


def on_terminal(*arguments: object, **env: str) -> str:
    """Run ``bikecollect`` with *arguments* on a terminal; return its output."""
    script = shutil.which("script")
    if script is None:
        pytest.skip("needs the program script, which provides a terminal")
    command = [sys.executable, "-m", "bikecollect", *map(str, arguments)]
    process = subprocess.run(
        [script, "-qec", shlex.join(command), "/dev/null"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=forking.TIMEOUT,
        check=False,
        env={**os.environ, "TERM": "xterm", **env},
    )
    return process.stdout
