"""The process as a whole: its alarm and its umask."""

import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bikecollect.core import process
from bikecollect.core.errors import Interrupted
from bikecollect.storage.ledger import Ledger

READ = """
import sys
from bikecollect.core import process
process.prepare()
print(repr(sys.stdin.read()), sys.stdin.isatty())
"""
HANG = """
import time
from bikecollect.core import process
process.ALARM_FLOOR = 0.2
process.arm(0)
time.sleep(20)
"""


@pytest.fixture(scope="module")
def _a_command_has_run() -> None:
    """Leave the handlers of signals that a command sets."""
    process.listen(process.Stop())


@pytest.mark.usefixtures("_a_command_has_run")
def test_a_process_of_the_tests_can_be_terminated() -> None:
    """A command that a fixture of a module runs leaves no handlers to the tests."""
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


MIB = 1 << 20


@pytest.mark.parametrize(
    ("before", "most"),
    [(resource.RLIM_INFINITY, 1 << 40), (MIB, MIB)],
    ids=["none", "small"],
)
def test_memory_is_bounded_for_a_while_and_never_above_the_limit_before(
    before: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit the kernel would kill the run; that of the user stays."""
    limits = [before]
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits[-1], unlimited))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both[0]))

    with process.bounded_memory(32 * MIB):
        during = limits[-1]

    assert 0 < during <= most
    assert limits == [before, during, before]


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("exec ", -signal.SIGALRM),
        ("exec env --block-signal=ALRM ", -signal.SIGALRM),
        ("unshare --user --map-root-user --pid --fork ", 128 + signal.SIGALRM),
    ],
    ids=["alone", "blocked", "first-of-a-container"],
)
def test_the_kernel_ends_a_run_that_hangs(before: str, code: int) -> None:
    """The alarm's default action kills the run, even in a blocking call (fault 59).

    The first process of a container has no default actions: there it ends itself.
    """
    shell = ["sh", "-c", f'{before}"$0" -c "$1"', sys.executable, HANG]
    child = subprocess.run(shell, check=False, timeout=10)

    assert child.returncode == code


REARM = """
import threading
from bikecollect.core import process
process.arm(300)
process.arm(3600)
timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
print([t.interval for t in timers if not t.finished.is_set()])
"""


def test_an_alarm_replaces_the_one_before() -> None:
    """Also in the first process of a container: slots may be longer than at first."""
    container = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    command = [*container, sys.executable, "-c", REARM]
    child = subprocess.run(command, check=True, capture_output=True, text=True)

    assert child.stdout == "[3360.0]\n"


HANG_UP = """
import signal
from bikecollect.core import process
stop = process.Stop()
process.end_in_order()
process.listen(stop)
signal.raise_signal(signal.SIGHUP)
print(stop.signum)
"""


@pytest.mark.parametrize(("start", "signum"), [("", 1), ("trap '' HUP; ", 0)])
def test_a_signal_that_is_ignored_stays_so(start: str, signum: int) -> None:
    """`nohup bikecollect backfill &` goes on when its terminal is closed."""
    shell = ["sh", "-c", f'{start}exec "$0" -c "$1"', sys.executable, HANG_UP]
    child = subprocess.run(shell, check=True, capture_output=True, text=True)

    assert child.stdout == f"{signum}\n"


ENDING = """
import signal, time
from bikecollect.core import process
process.end_in_order()
for now in (1000, 1004, 1006):
    time.monotonic = lambda: now
    try:
        signal.raise_signal(signal.SIGTERM)
        print("goes on")
    except KeyboardInterrupt:
        print("ends")
"""


def test_a_second_signal_is_the_same_request_for_seconds_only() -> None:
    """`timeout` sends two; who sends another later sees that the first was lost."""
    child = subprocess.run(
        [sys.executable, "-c", ENDING], check=True, capture_output=True, text=True
    )

    assert child.stdout.split("\n")[:3] == ["ends", "goes on", "ends"]


def test_a_signal_amid_a_wait_ends_it() -> None:
    """Also between two lines of Python's own modules, and twice, as `timeout` does."""
    stop = process.Stop()

    def trace(frame: FrameType, _event: str, _value: object) -> Any:
        sys.settrace(None)
        frame.f_trace = None
        stop.set(signal.SIGTERM)
        sys.settrace(trace)
        return trace

    def wait() -> None:
        sys.settrace(trace)
        stop.wait(0)
        stop.set(signal.SIGTERM)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(60)  # it ends at once, or never

    assert not waiting.is_alive()
    assert stop.wait(0)


def test_a_closed_standard_input_is_empty() -> None:
    """Questions are not answered then, and `query -` has no text."""
    shell = ["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, READ]
    child = subprocess.run(shell, check=True, capture_output=True, text=True)

    assert child.stdout == "'' False\n"


@pytest.mark.parametrize(
    ("inherited", "mode"), [(0o000, 0o640), (0o022, 0o640), (0o077, 0o600)]
)
def test_the_mask_is_never_wider_than_it_was(
    tmp_path: Path, inherited: int, mode: int
) -> None:
    """An umask that excludes the group is kept, also for a ledger."""
    before = os.umask(inherited)
    try:
        process.prepare()
        (tmp_path / "new").touch()
        with closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
            ledger.open()
    finally:
        os.umask(before)

    for name in ("new", "ledger.sqlite3"):
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_new_files_are_not_readable_by_others(tmp_path: Path) -> None:
    """Only owner and group may read files created after the preparation."""
    before = os.umask(0)
    os.umask(before)
    try:
        process.prepare()
        (tmp_path / "new").touch()
    finally:
        os.umask(before)

    assert (tmp_path / "new").stat().st_mode & 0o007 == 0


def test_work_waits_for_a_free_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit of threads delays an attempt, and fails it only at its deadline."""
    real, refusals = threading.Thread.start, iter([True, True])

    def start(thread: threading.Thread) -> None:
        if next(refusals, False):
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(process, "SLICE", 0.01)

    assert process.deadline(lambda: "work", 60) == "work"
    assert list(refusals) == []
    refusals = iter([True])
    with pytest.raises(process.DeadlineError):
        process.deadline(lambda: "work", 0)


def test_a_wait_for_work_ends_when_a_stop_is_requested() -> None:
    """The work itself may hang until its deadline; its thread is abandoned."""
    answer = threading.Event()

    def check() -> None:
        raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        process.deadline(lambda: answer.wait(60), 1.0, check=check)
    answer.set()
