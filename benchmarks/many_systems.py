"""A call for many systems, beside a plain script: wall, CPU and memory.

Run: .venv/bin/python benchmarks/many_systems.py [SYSTEMS] [FAILING PER CENT] [STATIONS]

Each system has its own address, and answers after 200 ms. Of the failing ones a
third answers 500, a third hangs, a third drips.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from fetch import LAUNCHER, settings

HERE = Path(__file__).parent
LATENCY = 0.2
INTERVAL = 300


@contextmanager
def served(stations: int) -> Iterator[int]:
    """Serve the feeds from another process; yield the port."""
    command = [
        sys.executable,
        str(HERE / "serve_systems.py"),
        str(stations),
        str(LATENCY),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def addresses(systems: int, failing: int, port: int) -> dict[str, str]:
    """Return the address of each system by name; *failing* per cent of them fail."""
    kinds = ("error", "hang", "drip")
    feeds = {}
    for n in range(systems):
        host = f"127.{1 + n // 62_500}.{n // 250 % 250}.{n % 250 + 1}"
        kind = kinds[n % 3] if n * 37 % 100 < failing else "ok"
        feeds[f"city{n}"] = f"http://{host}:{port}/{kind}"
    return feeds


def run(title: str, command: list[str]) -> str:
    """Run *command*, print its cost, and return its output."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # cron's Python has its .pyc
    with tempfile.TemporaryFile("w+") as output:
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
        process = subprocess.Popen(
            launcher,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        sizes: list[float] = []
        sampler = Thread(target=_sample, args=(process, sizes), daemon=True)
        sampler.start()
        try:
            text, _ = process.communicate(timeout=INTERVAL)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            print(f"{title:12} did not end within {INTERVAL} s")
            return ""
    most = max(sizes, default=0.0)
    *lines, figures = text.splitlines()
    code, cpu, wall, _ = map(float, figures.split())
    spent = f"{wall:6.1f} s wall, {cpu:6.1f} s CPU"
    print(f"{title:12} exit {code:.0f}, {spent}, {most:4.0f} MiB")
    return "\n".join(lines)


def _sample(process: subprocess.Popen[str], sizes: list[float]) -> None:
    """Add the memory of all processes of the session of *process*, in MiB, to *sizes*.

    Memory that processes share counts once (PSS).
    """
    while process.poll() is None:
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                if os.getsid(int(folder.name)) == process.pid:
                    text = (folder / "smaps_rollup").read_text(encoding="ascii")
                    total += int(text.partition("Pss:")[2].split()[0])
        sizes.append(total / 1024)
        time.sleep(0.2)


def main(systems: int = 1_000, failing: int = 0, stations: int = 300) -> None:
    """Measure the first call, the second, and the script."""
    with tempfile.TemporaryDirectory() as temporary, served(stations) as port:
        os.environ["XDG_STATE_HOME"] = f"{temporary}/state"
        folder = Path(temporary)
        feeds = addresses(systems, failing, port)
        path = settings(folder, feeds)
        print(f"{systems} systems of {stations} stations, {failing} % failing")
        fetch = [sys.executable, "-m", "bikecollect", "--config", str(path), "fetch"]
        text = run("first call", [*fetch, "--format", "json"])
        outcomes = Counter(json.loads(line)["outcome"] for line in text.splitlines())
        print(f"{'':12} {dict(outcomes)}")
        (folder / "feeds.json").write_text(json.dumps(feeds), encoding="utf-8")
        (folder / "script").mkdir()
        script = [sys.executable, str(HERE / "many_systems_script.py")]
        run("the script", [*script, f"{temporary}/feeds.json", f"{temporary}/script"])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
