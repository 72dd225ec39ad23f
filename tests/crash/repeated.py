"""Runs that fail at a system call, one after another in one process.

A process for each of them costs several times what the run does. Each has a thread of
its own, since a filter of calls concerns a thread. If a run leaves a file open, the
process ends, as it would have done: the next one has another process.

Run as a program, it does the runs: ``repeated.py DRIVER ADDRESS``.
"""

import importlib
import json
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

import forking
from interception import Fault, judge_of, judging
from readiness import lets_wait

from bikecollect.core import process
from bikecollect.core.run import Run

BUG = 1
"""The exit code of Python after a traceback."""
LARGEST = 65_536
"""Bytes of a message."""


class Repeated:
    """A process that runs *driver*, a module with a function `run`."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        self._process: forking.Fork | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def fail(self, folder: Path, number: int, slot: int, fault: Fault) -> int | None:
        """Run it with *fault*; return its exit code, or None if calls cannot fail."""
        if self._process is None:
            self._begin()
        arguments = [str(folder), number, slot]
        self._connection.send(json.dumps([fault.name, arguments]).encode())
        _, descriptors, _, _ = socket.recv_fds(self._connection, 1, 1)
        if not descriptors:
            self._end()
            return None
        with judging(descriptors[0], judge_of(fault)):
            codes, is_over = json.loads(self._connection.recv(LARGEST))
        if is_over:
            self._end()
        return int(codes[0]) if codes else BUG

    def _begin(self) -> None:
        address = f"bikecollect-{os.getpid()}-{secrets.token_hex(8)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.bind(f"\0{address}")
            server.listen()
            self._process = forking.server().fork(
                __file__, [self._driver, address], os.environ
            )
            self._connection, _ = server.accept()

    def _end(self) -> None:
        if self._process is not None:
            self._connection.close()
            self._process.communicate()
            self._process = None


def main(driver: str, address: str) -> None:
    """Run *driver* for each message at *address*, until one leaves a file open."""
    module = importlib.import_module(driver)
    process.prepare()
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(f"\0{address}")
        before, is_over = open_files(), False
        while not is_over and (message := connection.recv(LARGEST)):
            name, (folder, *run) = json.loads(message)
            codes: list[int] = []
            arguments = (connection, name, partial(module.run, Path(folder), *run))
            thread = threading.Thread(target=run_filtered, args=(*arguments, codes))
            thread.start()
            thread.join()
            is_over = open_files() != before
            connection.send(json.dumps([codes, is_over]).encode())
    os._exit(0)


def open_files() -> set[Path]:
    """Return the descriptors of this process."""
    return set(Path("/proc/self/fd").iterdir())


def run_filtered(
    connection: socket.socket, name: str, run: Callable[[], Run], codes: list[int]
) -> None:
    """Add the exit code of *run* to *codes*; its calls called *name* may fail."""
    if not lets_wait(connection, [name]):
        connection.send(b"?")
        os._exit(0)
    codes.append(run().exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
