"""A run that commits stations and vehicles is killed at every step, and failed."""

import csv
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import harness
import pytest
import vehicle_driver
from vehicle_driver import stations, vehicles

from bikecollect.storage.data_folder import MARKER
from bikecollect.storage.files import marker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed"
    ),
]
DATASETS = {"station_status": stations, "vehicles/vehicle_status": vehicles}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with two runs; the harness runs our driver meanwhile."""
    folder = tmp_path_factory.mktemp("vehicles") / "city"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(harness, "DRIVER", Path(vehicle_driver.__file__))
        for number in (1, 2):
            assert vehicle_driver.run(folder, number, number).exit_code == 0
        (folder / MARKER).write_bytes(b"")  # of an earlier version: it has no name
        yield folder


@pytest.fixture(scope="module")
def calls(template: Path) -> list[str]:
    """Return every system call of a run that changes something on the disk."""
    folder = template.with_name("counted")
    shutil.copytree(template, folder)
    return harness.every_call(folder, 3, 3)


def violations(folder: Path, numbers: Iterable[int]) -> list[str]:
    """Return the violations: each accepted run once, in both datasets."""
    left = [path.name for path in (folder / "payloads/inbox").iterdir()]
    problems = [f"{name} is left in the inbox" for name in left]
    for dataset, expected in DATASETS.items():
        groups: dict[str, list[list[str]]] = {}
        for path in sorted((folder / dataset).glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as lines:
                for row in [*csv.reader(lines)][1:]:
                    groups.setdefault(row[0], []).append(row)
        by_number = {number: expected(number) for number in numbers}
        for number, values in by_number.items():
            same = [r for r in groups.values() if {c[2]: c[3] for c in r} == values]
            if len(same) != 1 or len(same[0]) != len(values):
                problems.append(f"run {number} is in {dataset} {len(same)} times")
        # A payload that cannot be written is committed from memory, if that works.
        runs = [expected(number) for number in range(1, 6)]
        for slot, rows in groups.items():
            if {row[2]: row[3] for row in rows} not in runs:
                problems.append(f"{slot} in {dataset} is not what a run fetched")
        own = folder / Path(dataset).parent
        problems += harness.ledger_violations(own, len(groups))
    return problems


def heal(folder: Path) -> list[str]:
    """Let two runs recover *folder*; return the violations."""
    numbers = {1, 2, 4, 5} | harness.accepted(folder)
    marker.write_name(folder / MARKER)  # it may be a copy with another name
    for number in (4, 5):
        vehicle_driver.run(folder, number, number)
    return violations(folder, numbers)


def test_a_run_with_vehicles_that_is_killed_anywhere_is_healed(
    template: Path, calls: list[str]
) -> None:
    """Both files have each accepted slot once, and both ledgers agree with them."""
    bad = harness.each_kill(template, calls, (3, 3), heal)
    harness.account("vehicles killed", len(calls), bad)

    assert len(calls) > 30
    assert bad == {}


@pytest.mark.parametrize("what", ["error=EIO", "error=ENOSPC"])
def test_a_run_with_vehicles_that_fails_anywhere_is_healed(
    template: Path, calls: list[str], what: str
) -> None:
    """Both files have each accepted slot once, and both ledgers agree with them."""

    def healed(folder: Path, _code: int) -> list[str]:
        return heal(folder)

    bad = harness.each_error(template, calls, what, healed, run=(3, 3))
    harness.account(f"vehicles {what}", len(calls), bad)

    assert bad == {}


def test_the_vehicles_are_committed_before_the_payload_moves_on(
    template: Path,
) -> None:
    """Write, sync, ledger of the vehicles; then of the stations; then the payload."""
    folder = template.with_name("ordered")
    shutil.copytree(template, folder)
    calls = "trace=openat,renameat,rename,renameat2"
    assert harness.strace(folder, 3, 3, "-y", "-e", calls) == 0
    text = Path(f"{folder}.trace").read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if "= -1" not in line]

    def first(*words: str) -> int:
        return next(
            n for n, line in enumerate(lines) if all(word in line for word in words)
        )

    vehicles_at = first("vehicle_status/", "O_APPEND")
    stations_at = first("station_status/", "O_APPEND")
    moved_at = first("rename", "payloads/kept/")
    assert vehicles_at < stations_at < moved_at
