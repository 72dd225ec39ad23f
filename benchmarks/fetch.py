"""One fetch against a plain script, in turn: CPU, wall, memory, and their ratios.

Run: make benchmark (or: .venv/bin/python benchmarks/fetch.py [PAIRS])
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.process import Stop
from bikecollect.setup.loader import load
from bikecollect.wiring.collection import collect

HERE = Path(__file__).parent
STATIONS = 1_600
TAIPEI = 8 * 3_600
"""Seconds that the payload's local times are ahead of UTC."""


@dataclass(frozen=True)
class Figures:
    """One process: seconds of CPU and wall, peak memory in MiB."""

    cpu: float
    wall: float
    mib: float


# A process that starts another hands down its own peak memory: the one that starts
# the measured ones must be small, so it is a bare interpreter.
LAUNCHER = """
import os, sys, time
began = time.monotonic()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - began
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, wall,
      usage.ru_maxrss / 1024)
"""


def measured(command: list[str]) -> Figures:
    """Run *command* and return its cost."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # cron's Python has its .pyc
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    process = subprocess.run(
        launcher, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    code, *figures = process.stdout.split()
    if code != "0":
        raise SystemExit(f"{command} ended with {code}")
    return Figures(*map(float, figures))


@contextmanager
def served(stations: int) -> Iterator[str]:
    """Serve a payload from another process; yield its address."""
    zone = ZoneInfo(late())
    ahead = datetime.now(zone).utcoffset() or timedelta()
    shift = ahead.total_seconds() - TAIPEI
    server_file = str(HERE / "serve_payload.py")
    command = [sys.executable, server_file, str(stations), f"{shift:.0f}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url, size = server.stdout.readline().split()
        print(f"payload: {stations} stations, {int(size) / 1000:.0f} kB")
        try:
            yield url
        finally:
            server.kill()


def settings(folder: Path, systems: dict[str, str]) -> Path:
    """Write settings for *systems* (address by name) and return their path."""
    path = folder / "bikecollect.toml"
    tables = (
        f'[systems.{name}]\nfeed = "youbike"\nurl = "{url}"\ntimezone = "{late()}"\n'
        for name, url in systems.items()
    )
    text = f'data_dir = "data"\ninterval = "5min"\n{"".join(tables)}'
    path.write_text(text, encoding="utf-8")
    return path


def late() -> str:
    """Return a time zone in which it is the last hour of the day now."""
    ahead = 23 - time.gmtime().tm_hour
    ahead = ahead - 24 if ahead > 12 else ahead  # noqa: PLR2004 - the zones there are
    return f"Etc/GMT{-ahead:+d}"


def ours(path: Path, *, fresh: Callable[[], object]) -> Figures:
    """Return the figures of one fetch, after *fresh* has made room for its slot."""
    fresh()
    command = [sys.executable, "-m", "bikecollect", "--config", str(path), "fetch"]
    return measured(command)


def must_collect(path: Path, fresh: Callable[[], object]) -> None:
    """End the benchmark unless a run collects all stations."""
    fresh()
    command = [sys.executable, "-m", "bikecollect", "--config", str(path), "fetch"]
    process = subprocess.run(
        [*command, "--format", "json"], check=True, stdout=subprocess.PIPE, text=True
    )
    run = json.loads(process.stdout)
    if (run["outcome"], run["rows"]) != ("collected", STATIONS):
        raise SystemExit(f"not a whole fetch: {process.stdout}")


def compare(
    title: str, one: Callable[[], Figures], other: Callable[[], Figures], pairs: int
) -> None:
    """Run the two in turn and print medians, and the medians of the paired ratios."""
    one(), other()
    runs = [(one(), other()) for _ in range(pairs)]
    print(f"\n{title} ({pairs} pairs, medians)")
    print(f"{'':14}{'bikecollect':>13}{'script':>10}{'ratio':>8}")
    for name, unit in (("cpu", "s"), ("wall", "s"), ("mib", "MiB")):
        mine = [getattr(a, name) for a, _ in runs]
        theirs = [getattr(b, name) for _, b in runs]
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
        print(
            f"{name:>6} [{unit:>3}]{statistics.median(mine):>15.3f}"
            f"{statistics.median(theirs):>10.3f}{ratio:>8.2f}"
        )


def fill(path: Path, slots: Iterable[int]) -> None:
    """Collect the slots that many slots ago, with an injected clock."""
    now = time.time()
    for number in slots:
        clock = partial(float, now - number * 300)
        (run,) = collect(load(str(path)), clock=clock, stop=Stop())
        if run.exit_code:
            raise SystemExit(run.error)


def _forget_today(folder: Path) -> Callable[[], object]:
    """Return a function that restores the data, so that the next run has a slot.

    If there are none to restore, the list of known folders is forgotten too.
    """
    kept, state = folder.with_name("kept"), folder.with_name("state")

    def fresh() -> None:
        others = [] if kept.exists() else [str(state)]
        subprocess.run(["rm", "-rf", str(folder), *others], check=True)
        if kept.exists():
            subprocess.run(["cp", "-r", str(kept), str(folder)], check=True)
            os.sync()  # or the run's fsync would pay for the copy

    return fresh


def main(pairs: int) -> None:
    """Measure the empty day, the full day, and a hundred systems in one call."""
    with tempfile.TemporaryDirectory() as temporary, served(STATIONS) as url:
        os.environ["XDG_STATE_HOME"] = f"{temporary}/state"
        folder = Path(temporary)
        path = settings(folder, {"city": url})
        script = [sys.executable, str(HERE / "baseline_script.py"), url, temporary]
        fresh = _forget_today(folder / "data")
        other = partial(measured, script)
        fill(path, range(300, 301))
        (folder / "data").rename(folder / "kept")
        must_collect(path, fresh)
        compare("new day", partial(ours, path, fresh=fresh), other, pairs)
        shutil.rmtree(folder / "data")  # it holds this slot: runs would be duplicates
        shutil.rmtree(folder / "state")
        fill(path, range(int(time.time() // 300 % 12) + 276, 0, -1))
        shutil.rmtree(folder / "kept")
        (folder / "data").rename(folder / "kept")
        must_collect(path, fresh)
        compare("end of the day", partial(ours, path, fresh=fresh), other, pairs)
    with tempfile.TemporaryDirectory() as temporary, served(300) as url:
        os.environ["XDG_STATE_HOME"] = f"{temporary}/state"
        folder = Path(temporary)
        path = settings(folder, {f"city{n}": url for n in range(100)})
        fresh = _forget_today(folder / "data")
        runs = [ours(path, fresh=fresh) for _ in range(3)]
        best = statistics.median(run.wall for run in runs)
        print(f"\na hundred systems of 300 stations in one call: {best:.2f} s wall,")
        print(f"{statistics.median(r.cpu for r in runs):.2f} s CPU, ", end="")
        print(f"{statistics.median(r.mib for r in runs):.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
