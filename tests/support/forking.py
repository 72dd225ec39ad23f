"""Forks of one process that has imported the program: what tests run as processes."""

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

import fork_server

STARTUP = ("PYTHON", "LANG", "LC_", "LD_")
"""Beginnings of variables that matter when Python starts, and not later."""
TIMEOUT = 120.0
"""Seconds after which a command hangs: many times what it takes on a busy machine."""


class Fork:
    """A process that was forked by the server for a program and its arguments."""

    def __init__(
        self, pid: int, stdin: int, outputs: tuple[int, int], status: BinaryIO
    ) -> None:
        self.pid = pid
        self._stdin = stdin
        self._outputs = outputs
        self._status = status

    def communicate(self, answers: str = "") -> tuple[int, str, str]:
        """Send *answers*; return the exit code and both outputs."""
        with suppress(BrokenPipeError), os.fdopen(self._stdin, "wb") as keyboard:
            keyboard.write(answers.encode("utf-8"))
        try:
            stdout, stderr = _read(*self._outputs)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        with self._status as status:
            (ended,) = fork_server.WORD.unpack(status.read(fork_server.WORD.size))
        return os.waitstatus_to_exitcode(ended), stdout, stderr

    def complaint(self) -> str:
        """Wait for standard error; return what there is, empty if it was closed."""
        return os.read(self._outputs[1], 65_536).decode("utf-8")

    def kill(self) -> int:
        """Kill the process, unless it has ended; return its exit code."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        code, *_ = self.communicate()
        return code


class ForkServer:
    """The server of this process; it ends when the connection is closed."""

    def __init__(self) -> None:
        self.startup = startup(os.environ)
        self._connection, theirs = socket.socketpair()
        # Pipes as those of its forks: none is a file or a terminal.
        self._process = subprocess.Popen(
            [sys.executable, fork_server.__file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        atexit.register(self.end)

    def fork(
        self,
        program: str,
        arguments: list[str],
        env: Mapping[str, str],
        *,
        stdout: int | None = None,
        terminal: int | None = None,
        imports: Sequence[str] = (),
    ) -> Fork:
        """Fork for *program* with *arguments*, in the current folder.

        What it prints goes to the descriptor *stdout*, by default to the `Fork`. A
        *terminal* is its stdin, stdout and stderr. The server imports the modules
        *imports* first, and keeps them for later forks.
        """
        request = {
            "program": program,
            "arguments": arguments,
            "env": dict(env),
            "cwd": str(Path.cwd()),
            "imports": [*imports],
        }
        text = json.dumps(request).encode("ascii")
        stdin, printed, stderr, status = (os.pipe() for _ in range(4))
        if stdout is not None:
            os.dup2(stdout, printed[1])
        if terminal is not None:
            for descriptor in (stdin[0], printed[1], stderr[1]):
                os.dup2(terminal, descriptor)
        theirs = [stdin[0], printed[1], stderr[1], status[1]]
        message = fork_server.LENGTH.pack(len(text)) + text
        socket.send_fds(self._connection, [message], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        reader = os.fdopen(status[0], "rb")
        (pid,) = fork_server.WORD.unpack(reader.read(fork_server.WORD.size))
        return Fork(pid, stdin[1], (printed[0], stderr[0]), reader)

    def end(self) -> None:
        """End the server, and with it this process's part of it."""
        self._connection.close()
        self._process.communicate()


@cache
def server() -> ForkServer:
    """Return the server of this process, which is started on first use."""
    return ForkServer()


def startup(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *env* that matter only when Python starts."""
    return {name: env[name] for name in env if name.startswith(STARTUP)}


def _read(stdout: int, stderr: int) -> list[str]:
    """Return the output on both descriptors until they are closed."""
    outputs = {stdout: bytearray(), stderr: bytearray()}
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
