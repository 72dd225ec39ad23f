"""A process that has imported the program, and forks for each command.

Run as a program by `forking`: ``python fork_server.py SOCKET``, where SOCKET is the
number of an inherited descriptor. A message on it is the length of a JSON object (four
bytes), the object (``program``, ``arguments``, ``env``, ``cwd``, ``imports``), and four
descriptors: stdin, stdout, stderr, and one for the command's process id and then its
wait status.

What runs is ``python PROGRAM`` (``python -m bikecollect`` without one) but for the
start of Python and the imports: a process and a session of its own, with its own
descriptors, environment and signals.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import duckdb
import trail

import bikecollect

LENGTH = struct.Struct("!i")
WORD = struct.Struct("!q")
USED_BY_COMMANDS = (
    "requests",
    "duckdb",
    "smtplib",
    "email.message",
    "email.policy",
    "jinja2",
    "sqlite3",
)
USED_BY_DRIVERS = ("argparse", "ctypes", "world")
SKIPPED = ("bikecollect.app.", "bikecollect.__main__")


def import_all() -> None:
    """Import every module of the program, and what commands import when they run."""
    for module in pkgutil.walk_packages(bikecollect.__path__, "bikecollect."):
        if not module.name.startswith(SKIPPED):
            importlib.import_module(module.name)
    for name in USED_BY_COMMANDS + USED_BY_DRIVERS:
        importlib.import_module(name)
    trail.shorten()
    # The first database of a process takes longer; its threads end with it.
    duckdb.connect(config={"threads": 1}).close()


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for each message; return it in the fork, and nothing at the end.

    The end of a command writes a byte to a pipe (`signal.set_wakeup_fd`), so that one
    `select` waits for it and for the next message.
    """
    ended, wakeup = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            report_ended(statuses)
        if connection.fileno() not in ready:
            continue
        message = receive(connection)
        if message is None:
            return {}
        request, descriptors = message
        for name in request["imports"]:
            importlib.import_module(name)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            connection.close()
            for descriptor in (ended, wakeup, *statuses.values()):
                os.close(descriptor)
            become(request, descriptors)
            return request
        for descriptor in descriptors[:3]:
            os.close(descriptor)
        statuses[pid] = descriptors[3]
        report(descriptors[3], pid)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next request and its descriptors, or None at the end."""
    head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 4)
    if not head:
        return None
    text = b""
    while len(text) < LENGTH.unpack(head)[0]:
        text += connection.recv(LENGTH.unpack(head)[0] - len(text))
    return json.loads(text), descriptors


def report_ended(statuses: dict[int, int]) -> None:
    """Report the wait status of each command that has ended; forget its descriptor."""
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report(statuses[pid], status)
        os.close(statuses.pop(pid))


def report(descriptor: int, number: int) -> None:
    """Write *number* for the test, which may have stopped waiting."""
    with suppress(BrokenPipeError):
        os.write(descriptor, WORD.pack(number))


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Adopt the descriptors, environment, folder and arguments of *request*."""
    os.setsid()
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv = [request["program"], *request["arguments"]]
    sys.path[0] = request["cwd"]


if __name__ == "__main__":
    import_all()
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request and request["program"]:
        runpy.run_path(request["program"], run_name="__main__")
    elif request:
        runpy.run_module("bikecollect", run_name="__main__", alter_sys=True)
