"""A day of hostile answers among good ones; prints the cost of each run as JSON.

Run as a program: ``python hostile_day.py SETTINGS NOTE PLAN``. NOTE tells the feed what
to answer (see `hostile_feed`). Each run has a clock of ours. One whose answers may cost
much is a process of its own, as cron's would be; the others are one after another in
this process, which costs less than to copy its memory. What was taken of memory is the
kernel's account.
"""

import gc
import importlib
import json
import os
import pkgutil
import re
import resource
import signal
import sys
import time
from pathlib import Path

import bikecollect
from bikecollect.setup.loader import load
from bikecollect.simulator.demo import Time
from bikecollect.wiring.collection import collect

BEGIN = 1_795_276_800.0  # midnight in Taipei
INTERVAL = 600
PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)
SECONDS = 20
"""Of CPU that a run may take: one that takes more is killed, and counted so."""


def import_all() -> None:
    """Import what a run may need, once, so that each child has it.

    Garbage is not collected, as in the command: a child would copy all memory for it.
    """
    for name in ("core", "feeds", "storage", "collect", "alerts", "wiring"):
        package = importlib.import_module(f"{bikecollect.__name__}.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for name in ("tomllib", "requests", "smtplib", "email.policy", "sqlite3"):
        importlib.import_module(name)
    gc.disable()


def run(path: str, moment: float) -> int:
    """Fetch all systems at *moment*, in this process; return its exit code."""
    clock = Time(moment)
    uptime = 9e5 + moment - BEGIN
    try:
        runs = collect(
            load(path), clock=clock, stop=clock, monotonic=clock, uptime=lambda: uptime
        )
    except BaseException:  # noqa: BLE001 - its traceback is the test's
        sys.excepthook(*sys.exc_info())
        return 99
    return max(system_run.exit_code for system_run in runs)


def forked(path: str, moment: float) -> tuple[int, float]:
    """Do `run` in a child; return its exit code or signal, and its peak memory in MB.

    It is killed if it takes too much CPU.
    """
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        code = run(path, moment)
        sys.stderr.flush()
        os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024 / 1e6


def here(path: str, moment: float) -> tuple[int, float]:
    """Do `run` in this process; return the same as `forked`."""
    begun = time.process_time()
    code = run(path, moment)
    is_slow = time.process_time() - begun > SECONDS
    # The kernel's account of a process begins with the one that started it.
    (peak,) = PEAK.findall(Path("/proc/self/status").read_text("utf-8"))
    return -signal.SIGXCPU if is_slow else code, int(peak) * 1024 / 1e6


def main() -> None:
    """Play the plan: the kinds of the two systems' answers, slot by slot."""
    import_all()
    path, note, plan = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    load(path)  # it compiles patterns, which each child would do
    os.umask(0o027)
    runs = []
    for number, (kinds, is_costly) in enumerate(json.loads(plan.read_text("utf-8"))):
        moment = BEGIN + number * INTERVAL + 2
        aside = note.with_suffix(".tmp")
        aside.write_text(json.dumps({"moment": moment, "kinds": kinds}))
        aside.rename(note)
        code, memory = (forked if is_costly else here)(path, moment)
        runs.append((code, round(memory, 1), kinds))
    sys.stdout.write(json.dumps(runs))


if __name__ == "__main__":
    main()
