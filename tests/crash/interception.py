"""Faults at single system calls of a process, by the kernel's filter or by strace.

A tracer stops its process at each system call, which costs more than a whole run. A
filter (see `seccomp_unotify(2)`) stops only calls of one name: each waits until this
process lets it happen, lets it fail, or kills the other process before it has any
effect. Where the kernel or the container has no such filters, strace does the same.
"""

import errno
import fcntl
import os
import secrets
import select
import signal
import socket
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import forking

RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTIFICATION = struct.Struct("=QII64x")
ANSWER = struct.Struct("=QqiI")
CONTINUE = 1
LATEST = 120.0
"""Seconds within which a process must be ready for its fault."""
TICK = 100
"""Milliseconds between two looks whether the process has ended."""
ALONE = threading.Lock()
"""Held to start a process, and to run in this one: a new process has our descriptors,
and so the run's lock, until it executes its program."""


class Fault(NamedTuple):
    """*what* happens at the call *number* of those called *name*, in each thread.

    *what* is ``signal=SIGKILL``, or ``error=`` and the name of an error. If it only
    concerns the main thread, *follows* is false.
    """

    name: str
    number: int
    what: str
    follows: bool = True

    @property
    def options(self) -> list[str]:
        """The options of strace that do the same.

        No other call is traced: to print them all takes longer than the run.
        """
        inject = f"inject={self.name}:{self.what}:when={self.number}"
        return [*(["-f"] if self.follows else []), "-e", inject, "-e", self._filter]

    @property
    def _filter(self) -> str:
        return f"trace={self.name}"


def run_with_fault(
    start: Callable[[str], forking.Fork], fault: Fault, trace: Path
) -> tuple[int, str, str]:
    """Return how the process of *start* ends, and what it prints, with *fault*.

    *start* gets the address for `readiness.wait_for_tracer`. *trace* is for strace.
    """
    process, listener = _started(start)
    if listener is None:
        return _traced(process, fault.options, trace)
    ended = threading.Event()
    judge = threading.Thread(target=_judge, args=(listener, fault, process.pid, ended))
    judge.start()
    try:
        return process.communicate()
    finally:
        ended.set()
        judge.join()


def run_traced(
    start: Callable[[str], forking.Fork], options: Sequence[str], trace: Path
) -> tuple[int, str, str]:
    """Return how the process of *start* ends; strace with *options* writes *trace*."""
    process, listener = _started(start)
    assert listener is None
    return _traced(process, options, trace)


def _started(start: Callable[[str], forking.Fork]) -> tuple[forking.Fork, int | None]:
    """Return the process of *start* once it is ready, and its listener, if any."""
    address = f"bikecollect-{os.getpid()}-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{address}")
        server.listen()
        process = start(address)
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(process.pid)
            with os.fdopen(pidfd):
                select.select([server.fileno(), pidfd], [], [], LATEST)
        server.setblocking(False)
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            raise AssertionError(f"not ready: {process.communicate()}") from None
        with connection:
            connection.setblocking(True)
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    return process, descriptors[0] if descriptors else None


def _traced(
    process: forking.Fork, options: Sequence[str], trace: Path
) -> tuple[int, str, str]:
    command = ["strace", "-o", str(trace), *options, "-p", str(process.pid)]
    with ALONE:
        strace = subprocess.Popen(command, stderr=subprocess.PIPE)
    with strace as tracer:
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        assert b"attached" in first, first
        ended = process.communicate("\n")
        tracer.stderr.read()
    return ended


def _judge(listener: int, fault: Fault, pid: int, ended: threading.Event) -> None:
    """Answer each call that *listener* tells of, until the process has *ended*."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    seen: Counter[int] = Counter()
    while not ended.is_set():
        for _, event in poll.poll(TICK):
            if not event & select.POLLIN:
                ended.wait()
                break
            with suppress(FileNotFoundError):  # the process was killed meanwhile
                _answer(listener, fault, pid, seen)
    os.close(listener)


def _answer(listener: int, fault: Fault, pid: int, seen: Counter[int]) -> None:
    """Answer the next call that *listener* tells of; *seen* counts those of threads."""
    buffer = bytearray(NOTIFICATION.size)
    fcntl.ioctl(listener, RECEIVE, buffer)
    number, thread, _ = NOTIFICATION.unpack(buffer)
    seen[thread] += 1
    kind, _, what = fault.what.partition("=")
    if seen[thread] != fault.number or not (fault.follows or thread == pid):
        answer = ANSWER.pack(number, 0, 0, CONTINUE)
    elif kind == "signal":
        os.kill(_process_of(thread), getattr(signal, what))
        return
    else:
        answer = ANSWER.pack(number, 0, -getattr(errno, what), 0)
    fcntl.ioctl(listener, SEND, bytearray(answer))


def _process_of(thread: int) -> int:
    text = Path(f"/proc/{thread}/status").read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("Tgid:"))
    return int(line.split()[1])
