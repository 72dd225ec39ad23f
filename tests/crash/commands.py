"""Commands that are killed or fail at their system calls, and the invariants after."""

import csv
import io
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import command_driver
import duckdb
import forking
from command_driver import client_of, stations
from driver import INTERVAL
from harness import ledger_violations
from interception import Fault, run_traced, run_with_fault, run_with_pauses
from same_process import run_here
from world import NOON

DRIVER = command_driver.__file__
CALLS = (
    "openat,write,pwrite64,fsync,fdatasync,rename,unlink,ftruncate,mkdir,rmdir,flock"
)
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$", re.MULTILINE)
LATER = 1_000
"""A slot, counted from noon, at which the days of a history are closed."""
SYSTEM = """
[systems.{}]
feed = "gbfs"
url = "http://h/gbfs"
timezone = "Asia/Taipei"
"""


@dataclass
class Site:
    """A folder with settings, data, a home, and folders for temporary files."""

    root: Path
    systems: Sequence[str] = ("city",)
    more: str = ""
    slots: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "data"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        text = f'data_dir = "{self.root}/data"\n{self.more}'
        config = self.root / "bikecollect.toml"
        config.write_text(text + "".join(map(SYSTEM.format, self.systems)))
        config.chmod(0o600)

    @property
    def city(self) -> Path:
        """The folder of the first system."""
        return self.root / "data" / self.systems[0]

    def copy(self, root: Path, source: Path | None = None) -> "Site":
        """Return a copy of this site, or of *source*, at *root*."""
        shutil.copytree(source or self.root, root)
        return Site(root, self.systems, self.more, dict(self.slots))

    def run(
        self, *command: object, slot: int = LATER, number: int = 0, pack: bool = False
    ) -> tuple[int, str]:
        """Run *command* at *slot* in this process; return its exit code and output."""
        moment = NOON + slot * INTERVAL + 2
        return run_here(
            self._arguments(command),
            moment=moment,
            client=client_of(number, moment),
            env=self._env,
            pack=pack,
        )

    @property
    def _env(self) -> dict[str, str]:
        """The variables that a command gets besides those of this process."""
        return {
            "HOME": str(self.root / "home"),
            "XDG_STATE_HOME": str(self.root / "home/state"),
            "TMPDIR": str(self.root / "tmp"),
        }

    def _arguments(self, command: Iterable[object]) -> list[str]:
        return ["--config", str(self.root / "bikecollect.toml"), *map(str, command)]

    def start(
        self,
        *command: object,
        slot: int = LATER,
        number: int = 0,
        fail: Sequence[object] = (),
        pack: bool = False,
        hurry: bool = False,
        down: Sequence[str] = (),
        traced: Sequence[str] = (),
    ) -> forking.Fork:
        """Start *command* in a process; with *hurry* it does not pause for others.

        *down* and *traced* are more options of the driver.
        """
        arguments = ["--slot", str(slot), "--number", str(number)]
        arguments += ["--fail", *map(str, fail)] if fail else []
        arguments += ["--pack"] if pack else []
        arguments += ["--hurry"] if hurry else []
        arguments += [*down, *traced]
        arguments += ["--", *self._arguments(command)]
        return forking.server().fork(DRIVER, arguments, {**os.environ, **self._env})

    def trace(
        self, *command: object, options: Sequence[str], **how: Any
    ) -> tuple[int, str]:
        """Run *command* in a process, under strace; return the same as `run`."""

        def start(address: str) -> forking.Fork:
            return self.start(*command, traced=("--traced", address), **how)

        options = ["-f", "-y", *options]
        code, out, err = run_traced(start, options, Path(f"{self.root}.trace"))
        return code, out + err

    def fail(
        self, *command: object, fault: Fault, hurry: bool = True, **how: Any
    ) -> tuple[int, str]:
        """Run *command* in a process with *fault*; return the same as `run`."""
        call = ("--call", fault.name, "--traced")

        def start(address: str) -> forking.Fork:
            traced = (*call, address)
            return self.start(*command, traced=traced, hurry=hurry, **how)

        code, out, err = run_with_fault(start, fault, Path(f"{self.root}.trace"))
        return code, out + err

    def pause(self, *command: object, look: Callable[[str], None], **how: Any) -> bool:
        """Run *command*; before each of its calls *look* gets it, as in `calls`.

        Returns whether calls can wait here.
        """

        def start(address: str) -> forking.Fork:
            traced = ("--call", CALLS, "--traced", address)
            return self.start(*command, traced=traced, hurry=True, **how)

        return run_with_pauses(start, look)

    def fetch(self, number: int, slot: int) -> tuple[int, str]:
        """Run `fetch` as run *number* in *slot*, in this process."""
        self.slots[slot] = number
        return self.run("fetch", slot=slot, number=number)

    def calls(self, *command: object, expected: int = 0, **at: Any) -> list[str]:
        """Return the calls of a healthy run on files of this site, as ``NAME:N``.

        N counts the calls called NAME of a thread, as strace does. A call is skipped
        if that of another thread with the same N is elsewhere.
        """
        filters = ("-e", f"trace={CALLS}")
        code, printed = self.trace(*command, options=filters, **at)
        assert code == expected, printed
        text = Path(f"{self.root}.trace").read_text(encoding="utf-8", errors="replace")
        seen: Counter[tuple[str, str]] = Counter()
        calls: dict[str, None] = {}
        elsewhere: set[str] = set()
        for thread, name, rest in CALL.findall(text):
            seen[thread, name] += 1
            call = f"{name}:{seen[thread, name]}"
            if str(self.root) in rest:
                calls[call] = None
            else:
                elsewhere.add(call)
        calls = {call: None for call in calls if call not in elsewhere}
        return list(calls)

    def violations(self, system: str = "", slots: Iterable[int] = ()) -> list[str]:
        """Return how the rows of *system*, in CSV and archive, differ from the runs.

        *slots* may be missing.
        """
        folder = self.root / "data" / (system or self.systems[0])
        texts = {
            _iso(slot): sorted(stations(number).items())
            for slot, number in self.slots.items()
        }
        optional = {_iso(slot) for slot in slots}
        bad, rows = [], _csv_rows(folder)
        for slot, pairs in _parquet_rows(self.root / "data", folder.name).items():
            if rows.setdefault(slot, pairs) != pairs:
                bad.append(f"{slot} differs between the CSV and the archive")
        for slot in sorted({*texts, *rows}):
            if slot not in rows and slot not in optional:
                bad.append(f"{slot} is lost")
            elif slot in rows and sorted(rows[slot]) != texts.get(slot):
                bad.append(f"{slot} has other rows than were fetched")
        bad += ledger_violations(folder, len(rows))
        return bad + self._leftovers(folder.name)

    def age(self) -> None:
        """Make temporary files old, so that the next command may remove them."""
        for path in (*self.root.glob("tmp/*"), *self.root.glob(".*.part")):
            os.utime(path, (NOON, NOON))

    def _leftovers(self, system: str) -> list[str]:
        patterns = [f"data/{system}/payloads/inbox/*", f"data/{system}/**/*.tmp"]
        patterns += ["data/archive/**/*.tmp", "tmp/*", ".*.part"]
        paths = [path for pattern in patterns for path in self.root.glob(pattern)]
        return [f"{path.relative_to(self.root)} is left" for path in paths]


def end(process: forking.Fork, answers: str = "") -> tuple[int, str]:
    """Wait for *process*; return its exit code, and what it printed."""
    code, stdout, stderr = process.communicate(answers)
    return code, stdout + stderr


def _iso(slot: int) -> str:
    minutes = 12 * 60 + slot * 5
    day, rest = divmod(minutes, 1440)
    return f"2026-11-{22 + day:02}T{rest // 60:02}:{rest % 60:02}:00+08:00"


def _csv_rows(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the rows in the ledger's ranges, and in a file that has no damage."""
    rows: dict[str, list[tuple[str, str]]] = {}
    db = sqlite3.connect(folder / "ledger.sqlite3")
    ranges = db.execute('SELECT file, start, "end" FROM blocks').fetchall()
    damaged = {file for (file,) in db.execute("SELECT file FROM files WHERE damaged")}
    db.close()
    for path in sorted((folder / "station_status").glob("*.csv")):
        data, file = path.read_bytes(), str(path.relative_to(folder))
        pieces = [data[data.find(b"\n") + 1 :]]
        if file in damaged:
            pieces = [data[start:end] for name, start, end in ranges if name == file]
        lines = b"".join(pieces).decode("utf-8", "replace")
        for cells in csv.reader(io.StringIO(lines, newline="")):
            rows.setdefault(cells[0], []).append((cells[2], cells[3]))
    return rows


def _parquet_rows(data: Path, system: str) -> dict[str, list[tuple[str, str]]]:
    rows: dict[str, list[tuple[str, str]]] = {}
    folder = data / f"archive/station_status/system_id={system}"
    paths = [str(path) for path in folder.glob("date=*/part.parquet")]
    if not paths:
        return rows
    sql = "SELECT slot, station_id, num_vehicles_available FROM read_parquet(?)"
    for slot, station_id, count in _engine().execute(sql, [paths]).fetchall():
        name = _iso((int(slot) - int(NOON)) // 300)
        rows.setdefault(name, []).append((station_id, str(count)))
    return rows


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB that keeps no files in memory; to start it takes long."""
    return duckdb.connect(config={"threads": 1, "enable_external_file_cache": False})
