"""The command in the tests' own process, where the process is not the subject.

A fork of `command.bikecollect` costs several times what the command does: the kernel
copies what it touches of the memory it has in common with the others.
"""

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from subprocess import CompletedProcess
from typing import TextIO

import forking
import pytest
from command import run_command

from bikecollect import __main__ as program
from bikecollect.cli import main
from bikecollect.cli.printing import Screen
from bikecollect.core import process, user_folders
from bikecollect.core.secrets import redact

ROOT = str(Path(__file__).parents[2])
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STARTUP = forking.startup(os.environ)
SCREEN = {
    name: vars(Screen)[name] for name in ("clear", "redact", "config", "shard", "lost")
}
"""How a process prints at its start."""


def bikecollect(
    *arguments: object, answers: str = "", **env: str
) -> CompletedProcess[str]:
    """Run ``bikecollect`` with *arguments* here; *env* is added to the environment.

    What matters when Python starts, or to its libraries, has a process of its own, and
    so has a command that is given *answers*, or runs beside another one.
    """
    words, environment = [*map(str, arguments)], {**os.environ, **env}
    is_beside = threading.current_thread() is not threading.main_thread()
    differs = "TZ" in environment or forking.startup(environment) != STARTUP
    if answers or is_beside or differs:
        return run_command(words, answers, environment)
    with as_if_started(env) as patch, taken(1) as stdout, taken(2) as stderr:
        patch.setattr(sys, "stdin", TextIOWrapper(BytesIO()))
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        patch.setattr(sys, "argv", [program.__file__, *words])
        code = main.run(words)
        stdout.seek(0)
        stderr.seek(0)
        texts = stdout.read(), stderr.read()
    return CompletedProcess(["bikecollect", *words], int(code), *texts)


@contextmanager
def taken(descriptor: int) -> Iterator[TextIO]:
    """Yield a file in memory that has what is written to *descriptor* meanwhile."""
    kept = os.dup(descriptor)
    usual = sys.__stdout__ if descriptor == 1 else sys.__stderr__
    assert usual
    memory = os.memfd_create("output")
    with os.fdopen(memory, "w+", encoding="utf-8", errors=usual.errors) as output:
        os.dup2(output.fileno(), descriptor)
        try:
            yield output
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)


@contextmanager
def as_if_started(env: Mapping[str, str]) -> Iterator[pytest.MonkeyPatch]:
    """Let this process be as one that has begun with *env*, and restore it."""
    logger = logging.getLogger("bikecollect")
    before = logger.handlers[:], logger.level, logger.propagate
    umask = os.umask(0o027)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        # Pytest puts the source first: what is installed comes first for a user.
        patch.setattr(sys, "path", [*(p for p in sys.path if p != ROOT), ROOT])
        patch.setattr(tempfile, "tempdir", None)
        patch.setattr(user_folders, "_beside", [])
        patch.setattr(redact, "_learned", {})
        for name, value in SCREEN.items():
            patch.setattr(Screen, name, value)
        # A run that takes too long would end the tests.
        patch.setattr(process, "arm", lambda _: None)
        try:
            yield patch
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.umask(umask)
            logger.handlers[:], logger.level, logger.propagate = before
