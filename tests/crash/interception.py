"""Faults at single system calls of a process, by the kernel's filter or by strace.

A tracer stops its process at each system call, which costs more than a whole run. A
filter (see `seccomp_unotify(2)`) stops only calls of some names: each waits until this
process lets it happen, lets it fail, or kills the other process before it has any
effect. Where the kernel or the container has no such filters, strace does the same.

What is on the disk while a call waits is what a kill would leave: one process shows it
for all calls.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import forking
from readiness import NUMBERS

RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTIFICATION = struct.Struct("=QIIi60x")
ANSWER = struct.Struct("=QqiI")
CONTINUE = 1
LATEST = 120.0
"""Seconds within which a process must be ready for its fault."""
TICK = 100
"""Milliseconds between two looks whether the process has ended."""
NAMES = {number: name for name, number in NUMBERS.items()}
Judge = Callable[[int, str], str]
"""Returns what happens at a thread's call of a name: empty, or as in `Fault`."""


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
    with judging(listener, judge_of(fault, process.pid)):
        return process.communicate()


def judge_of(fault: Fault, main: int = 0) -> Judge:
    """Return the judge that lets *fault* happen in a process whose thread is *main*."""
    seen: Counter[int] = Counter()

    def judge(thread: int, name: str) -> str:
        seen[thread] += 1
        is_met = seen[thread] == fault.number and (fault.follows or thread == main)
        return fault.what if is_met else ""

    return judge


def run_with_pauses(
    start: Callable[[str], forking.Fork], look: Callable[[str], None]
) -> bool:
    """Run the process of *start*; return whether its calls can wait.

    If so, *look* gets each call that waits, as ``NAME:N`` for the Nth NAME of its
    thread, and it happens when *look* has returned.
    """
    process, listener = _started(start)
    if listener is None:
        process.communicate("\n")
        return False
    seen: Counter[tuple[int, str]] = Counter()

    def judge(thread: int, name: str) -> str:
        seen[thread, name] += 1
        look(f"{name}:{seen[thread, name]}")
        return ""

    with judging(listener, judge):
        process.communicate()
    return True


@contextmanager
def judging(listener: int, judge: Judge) -> Iterator[None]:
    """Let *judge* judge the calls that *listener* tells of."""
    ended = threading.Event()
    thread = threading.Thread(target=_answer_all, args=(listener, judge, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        assert b"attached" in first, first
        ended = process.communicate("\n")
        tracer.stderr.read()
    return ended


def _answer_all(listener: int, judge: Judge, ended: threading.Event) -> None:
    """Answer each call that *listener* tells of, until the process has *ended*."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    try:
        while not ended.is_set():
            for _, event in poll.poll(TICK):
                if not event & select.POLLIN:
                    ended.wait()
                    break
                with suppress(FileNotFoundError):  # the process was killed meanwhile
                    _answer(listener, judge)
    finally:
        os.close(listener)


def _answer(listener: int, judge: Judge) -> None:
    """Answer the next call that *listener* tells of, as *judge* says."""
    buffer = bytearray(NOTIFICATION.size)
    fcntl.ioctl(listener, RECEIVE, buffer)
    number, thread, _, call = NOTIFICATION.unpack(buffer)
    kind, _, what = judge(thread, NAMES[call]).partition("=")
    if kind == "signal":
        os.kill(_process_of(thread), getattr(signal, what))
        return
    error = -getattr(errno, what) if kind else 0
    answer = ANSWER.pack(number, 0, error, 0 if kind else CONTINUE)
    fcntl.ioctl(listener, SEND, bytearray(answer))


def _process_of(thread: int) -> int:
    text = Path(f"/proc/{thread}/status").read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("Tgid:"))
    return int(line.split()[1])
