"""The command as a process of its own, forked from one that imported the program."""

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import fork_server

STARTUP = ("PYTHON", "LANG", "LC_", "LD_")
"""Beginnings of variables that matter when Python starts, and not later."""
MOST_TYPED = 65_536
"""Bytes that a pipe holds."""
TIMEOUT = 120.0
"""Seconds after which a command hangs: many times what it takes on a busy machine."""


def bikecollect(
    *arguments: object, answers: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``bikecollect`` with *arguments*; *answers* are typed, *env* is added."""
    return run_command([*map(str, arguments)], answers, {**os.environ, **env})


def run_command(
    arguments: list[str], answers: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command in the current folder, with *env* as its environment."""
    same_start = _startup(env) == _server().startup
    way = forked if same_start and len(answers) <= MOST_TYPED else started
    return way(arguments, answers, env)


def _startup(env: Mapping[str, str]) -> dict[str, str]:
    """Return what of *env* matters when Python starts, and not later."""
    return {name: env[name] for name in env if name.startswith(STARTUP)}


def started(
    arguments: list[str], answers: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command in a Python that starts for it."""
    return subprocess.run(
        [sys.executable, "-m", "bikecollect", *arguments],
        input=answers,
        text=True,
        capture_output=True,
        timeout=TIMEOUT,
        start_new_session=True,  # a password is asked of the terminal, if there is one
        check=False,
        env=env,
    )


def forked(
    arguments: list[str], answers: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command in a fork of the server; see `fork_server`."""
    request = {"arguments": arguments, "env": env, "cwd": str(Path.cwd())}
    text = json.dumps(request).encode("ascii")
    typed, stdout, stderr, status = (os.pipe() for _ in range(4))
    theirs = [typed[0], stdout[1], stderr[1], status[1]]
    socket.send_fds(
        _server().connection, [fork_server.LENGTH.pack(len(text)) + text], theirs
    )
    for descriptor in theirs:
        os.close(descriptor)
    with os.fdopen(status[0], "rb") as reader:
        (pid,) = fork_server.WORD.unpack(reader.read(fork_server.WORD.size))
        with suppress(BrokenPipeError), os.fdopen(typed[1], "wb") as keyboard:
            keyboard.write(answers.encode("utf-8"))
        try:
            outputs = _read(stdout[0], stderr[0])
        except subprocess.TimeoutExpired:
            os.killpg(pid, signal.SIGKILL)
            raise
        (ended,) = fork_server.WORD.unpack(reader.read(fork_server.WORD.size))
    code = os.waitstatus_to_exitcode(ended)
    return subprocess.CompletedProcess(["bikecollect", *arguments], code, *outputs)


class ForkServer:
    """The server of this process; it ends when the connection is closed."""

    def __init__(self) -> None:
        self.startup = _startup(os.environ)
        self.connection, theirs = socket.socketpair()
        # Pipes as those of its commands: none is a file or a terminal.
        self.process = subprocess.Popen(
            [sys.executable, fork_server.__file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        atexit.register(self.end)

    def end(self) -> None:
        """End the server, and with it this process's part of it."""
        self.connection.close()
        self.process.communicate()


@cache
def _server() -> ForkServer:
    return ForkServer()


def _read(stdout: int, stderr: int) -> list[str]:
    """Return what is written to both descriptors until they are closed."""
    outputs = {stdout: b"", stderr: b""}
    end = time.monotonic() + TIMEOUT
    with selectors.DefaultSelector() as selector:
        for descriptor in outputs:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(end - time.monotonic())
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("bikecollect", TIMEOUT)
            for key, _ in ready:
                data = os.read(key.fd, 65_536)
                outputs[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    texts = (data.decode("utf-8") for data in outputs.values())
    return [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
