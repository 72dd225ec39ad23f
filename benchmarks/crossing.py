"""Measure reports by DuckDB and by Spark over one, ten and a hundred systems.

python benchmarks/crossing.py FOLDER [DAYS] makes DAYS of a simulated city in FOLDER
(once), hard-links them to a hundred systems, and runs the user's command for each
report, engine and number of systems. Java must be there; Spark has two cores.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import year

from bikecollect.core.slots import DAY, Slot, day_of

SYSTEMS = (1, 10, 100)
REPORTS = (
    ("availability", "--by", "system"),
    ("reliability",),
    ("episodes", "--least", "24"),
)
ENGINES = (("duckdb",), ("spark", "--master", "local[2]"))
MAX_SECONDS = 420
TOML = '[systems.{}]\nfeed = "youbike"\nurl = "http://127.0.0.1/"\ntimezone = "{}"\n'


def main() -> None:
    """Make the systems, measure, and print a table."""
    folder = Path(sys.argv[1])
    year.DAYS = int(sys.argv[2]) if sys.argv[2:] else year.DAYS
    year.FIRST = year.TODAY - year.DAYS * DAY
    data = folder / "data"
    if not (folder / "bikecollect.toml").exists():
        sys.argv[1] = str(data)
        year.main()
    for number in range(max(SYSTEMS)):
        _link(data, f"city{number:03}")
    sys.stdout.write(f"{year.DAYS} days of 1,600 stations, a system\n")
    sys.stdout.write("systems  report        engine   wall s   CPU s   MiB   lines\n")
    for systems in SYSTEMS:
        settings = _settings(folder, systems)
        for report in REPORTS:
            for engine in ENGINES:
                sys.stdout.write(_measured(settings, systems, report, engine))
                sys.stdout.flush()


def _link(data: Path, system_id: str) -> None:
    """Give the system *system_id* the days of the first one."""
    if (data / system_id).exists():
        return
    for source in (data / "archive").rglob(f"system_id={year.SYSTEM}"):
        target = source.with_name(f"system_id={system_id}")
        shutil.copytree(source, target, copy_function=os.link)
    shutil.copytree(data / year.SYSTEM, data / system_id)


def _settings(folder: Path, systems: int) -> Path:
    """Return the settings file of the first *systems*."""
    path = folder / f"{systems}.toml"
    names = (f"city{number:03}" for number in range(systems))
    zone = str(year.ZONE)
    text = 'data_dir = "data"\n' + "".join(TOML.format(name, zone) for name in names)
    path.write_text(text, encoding="utf-8")
    return path


def _measured(
    settings: Path, systems: int, report: tuple[str, ...], engine: tuple[str, ...]
) -> str:
    """Return a line about the *report* by *engine*, with its largest process."""
    command = [sys.executable, "-m", "bikecollect", "--config", str(settings)]
    until = day_of(Slot(year.TODAY - DAY), year.ZONE)
    command += ["report", *report, "--until", until, "--format", "csv"]
    command += ["--engine", *engine] if engine[0] != "duckdb" else []
    head = f"{systems:7}  {report[0]:<12}  {engine[0]:<7}  "
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        limited = ["timeout", str(MAX_SECONDS), *command]
        process = subprocess.Popen(limited, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        out.seek(0)
        lines = sum(1 for _ in out) - 1
        errors.seek(0)
        last = errors.read()[-200:].decode(errors="replace").strip()
    if status:
        return f"{head}failed after {wall:.0f} s: {last}\n"
    cpu = usage.ru_utime + usage.ru_stime
    memory = usage.ru_maxrss // 1024
    return f"{head}{wall:6.1f}  {cpu:6.1f}  {memory:4}  {lines:6}\n"


if __name__ == "__main__":
    main()
