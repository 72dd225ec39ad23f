"""A folder with a history, a run that dies in it, and the invariants afterwards."""

import csv
import io
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

import driver
import forking
from interception import Fault, run_traced, run_with_fault, run_with_pauses
from repeated import Repeated

DRIVER = Path(driver.__file__)
CALLS = (
    "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,"
    "ftruncate,mkdir,mkdirat,flock"
)
DAY = "2026-11-22"
UNREAD = (".log", "-shm")
"""Nothing is read from a log, and SQLite empties what was left of a -shm file."""
EARLIER = -288


def history(folder: Path) -> Path:
    """Make a folder with one slot of yesterday and two of today (runs 1 to 3)."""
    for number, slot in ((1, EARLIER), (2, 0), (3, 1)):
        assert driver.run(folder, number, slot).exit_code == 0
    return folder


def start(folder: Path, number: int, slot: int, *options: str) -> forking.Fork:
    """Start the driver with *options*, in a separate process."""
    arguments = [str(folder), str(number), str(slot), *options]
    return forking.server().fork(str(DRIVER), arguments, os.environ)


def kill_after(seconds: float, process: forking.Fork) -> None:
    """Kill *process* unless it ends within *seconds*."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(process.pid)
        with os.fdopen(pidfd):
            if not select.select([pidfd], [], [], seconds)[0]:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def strace(
    folder: Path, number: int, slot: int, *options: str, mutant: str = ""
) -> int:
    """Run the driver under strace with *options*; return its exit code."""

    def begin(address: str) -> forking.Fork:
        return start(folder, number, slot, "--mutant", mutant, "--traced", address)

    return run_traced(begin, ["-f", *options], Path(f"{folder}.trace"))[0]


def fail(folder: Path, number: int, slot: int, fault: Fault) -> int:
    """Run the driver with *fault*; return its exit code."""
    options = ("--call", fault.name, "--traced")

    def begin(address: str) -> forking.Fork:
        return start(folder, number, slot, *options, address)

    return run_with_fault(begin, fault, Path(f"{folder}.trace"))[0]


def every_call(folder: Path, number: int, slot: int, calls: str = CALLS) -> list[str]:
    """Return each of *calls* of a healthy run, as ``NAME:N`` for the Nth NAME."""
    assert strace(folder, number, slot, "-e", f"trace={calls}") == 0
    text = Path(f"{folder}.trace").read_text(encoding="utf-8", errors="replace")
    names = re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE)
    seen: Counter[str] = Counter()
    cases = []
    for name in names:
        seen[name] += 1
        cases.append(f"{name}:{seen[name]}")
    return cases


def fault_at(case: str, what: str) -> Fault:
    """Return the fault that does *what* at *case*, one of `every_call`."""
    name, _, number = case.partition(":")
    return Fault(name, int(number), what)


def accepted(folder: Path) -> set[int]:
    """Return the numbers of runs whose payload is durable, waiting or moved on."""
    payloads = folder.glob("payloads/**/*.zip")
    return {int(path.name.split(".")[1], 16) for path in payloads}


def recover(folder: Path, first: int, slot: int) -> None:
    """Let the next two runs do their work."""
    for more in range(2):
        driver.run(folder, first + more, slot + more)


def violations(folder: Path, numbers: Iterable[int], earlier: bytes) -> list[str]:
    """Return the violations: each accepted run once, ranges equal to bytes."""
    problems = []
    if (folder / "station_status/2026-11-21.csv").read_bytes() != earlier:
        problems.append("the earlier day was touched")
    groups: dict[str, list[list[str]]] = {}
    for path in sorted((folder / "station_status").glob("*.csv")):
        header, *rows = _rows(path.read_bytes())
        for row in rows:
            if len(row) != len(header):
                problems.append(f"a torn row in {path.name}")
            groups.setdefault(row[0], []).append(row)
    for number in sorted(numbers):
        problems += _missing(groups, number)
    for slot, rows in groups.items():
        if len(rows) != driver.STATIONS:
            problems.append(f"{len(rows)} rows in {slot}")
    problems += ledger_violations(folder, len(groups))
    left = [path.name for path in (folder / "payloads/inbox").iterdir()]
    problems += [f"{name} is left in the inbox" for name in left]
    return problems + _information(folder)


def ledger_violations(folder: Path, slots: int) -> list[str]:
    """Return the ledger's ranges that differ from the bytes, and a wrong number.

    It has a block for each of *slots*. The files of archived days may be gone.
    """
    problems = []
    db = sqlite3.connect(folder / "ledger.sqlite3")
    blocks = db.execute('SELECT file, start, "end", crc32 FROM blocks').fetchall()
    db.close()
    for file, start, end, crc in blocks:
        path = folder / file
        if path.exists() and zlib.crc32(path.read_bytes()[start:end]) != crc:
            problems.append(f"the ledger's range {start}-{end} of {file} differs")
    if len(blocks) != slots:
        problems.append(f"{len(blocks)} blocks in the ledger, {slots} in the files")
    return problems


def _rows(data: bytes) -> list[list[str]]:
    text = data.decode("utf-8", "replace")
    return list(csv.reader(io.StringIO(text, newline=""))) or [[]]


def _missing(groups: dict[str, list[list[str]]], number: int) -> list[str]:
    bikes_of = {name: str(bikes) for name, bikes in driver.stations(number).items()}
    same = [
        rows
        for rows in groups.values()
        if {row[2]: row[3] for row in rows if len(row) > 3} == bikes_of
    ]
    return [] if len(same) == 1 else [f"run {number} is there {len(same)} times"]


def _information(folder: Path) -> list[str]:
    _, *rows = _rows((folder / "station_information.csv").read_bytes())
    keys = [tuple(row[:2]) for row in rows]
    problems = (
        [] if len(set(keys)) == len(keys) else ["a station's version is there twice"]
    )
    if any(len(row) != 15 for row in rows):
        problems.append("a torn row in station_information.csv")
    if len({key[1] for key in keys}) != driver.STATIONS:
        problems.append("a station's information is missing")
    return problems


def each_kill(
    template: Path,
    cases: Collection[str],
    run: tuple[int, int],
    heal: Callable[[Path], list[str]],
) -> dict[str, list[str]]:
    """Kill a *run* (its number and slot) at each of *cases*; return what failed.

    *heal* gets what a kill leaves, and returns the violations; of equal folders it gets
    one.
    """
    folders = killed(template, cases, run)
    healed: dict[frozenset[tuple[str, bytes]], list[str]] = {}
    bad = {}
    for case in cases:
        left = content(folders / case)
        if left not in healed:
            healed[left] = heal(folders / case)
        bad[case] = healed[left]
    shutil.rmtree(folders)
    return {case: problems for case, problems in bad.items() if problems}


def killed(template: Path, cases: Collection[str], run: tuple[int, int]) -> Path:
    """Return a folder with one for each of *cases*: what a kill of *run* at it leaves.

    That is what is there while the call waits.
    """
    folders = Path(f"{template}-killed")
    running = folders / "running"
    shutil.copytree(template, running)
    names = ",".join({case.partition(":")[0] for case in cases})

    def begin(address: str) -> forking.Fork:
        return start(running, *run, "--call", names, "--traced", address)

    def look(case: str) -> None:
        if case in cases:
            shutil.copytree(running, folders / case)

    if not run_with_pauses(begin, look):
        for case in cases:
            shutil.copytree(template, folders / case)
            fail(folders / case, *run, fault_at(case, "signal=SIGKILL"))
    return folders


def content(folder: Path) -> frozenset[tuple[str, bytes]]:
    """Return each path in *folder*, with its bytes unless they are `UNREAD`."""
    return frozenset(
        (
            str(path.relative_to(folder)),
            path.read_bytes()
            if path.is_file() and not path.name.endswith(UNREAD)
            else b"",
        )
        for path in folder.rglob("*")
    )


def each_case(
    template: Path, cases: Iterable[str], attempt: Callable[[Path, str], list[str]]
) -> dict[str, list[str]]:
    """Run *attempt* for each of *cases* on a copy of *template*; return what failed."""
    violations = {}
    for case in cases:
        folder = template.with_name(f"{template.name}-{case}")
        shutil.copytree(template, folder)
        violations[case] = attempt(folder, case)
        shutil.rmtree(folder)
        Path(f"{folder}.trace").unlink(missing_ok=True)
    return {case: bad for case, bad in violations.items() if bad}


def each_error(
    template: Path,
    cases: Iterable[str],
    what: str,
    heal: Callable[[Path, int], list[str]],
    *,
    run: tuple[int, int],
    prepare: Callable[[Path], object] = lambda _: None,
) -> dict[str, list[str]]:
    """Let a *run* (its number and slot) meet *what* at each of *cases*.

    *prepare* gets its folder before; *heal* gets the folder and the run's exit code,
    and returns the violations.
    """
    with Repeated(DRIVER.stem) as repeated:

        def attempt(folder: Path, case: str) -> list[str]:
            prepare(folder)
            fault = fault_at(case, what)
            code = repeated.fail(folder, *run, fault)
            return heal(folder, fail(folder, *run, fault) if code is None else code)

        return each_case(template, cases, attempt)


def account(name: str, cases: int, bad: dict[str, list[str]]) -> None:
    """Print a family's figures; -s shows them."""
    print(json.dumps({"family": name, "cases": cases, "violations": len(bad)}))
