"""A run is killed, failed and torn at every step; nothing accepted is lost."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import driver
import harness
import pytest
from interception import Fault
from small_disk import needs_namespaces

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a history of three runs."""
    return harness.history(tmp_path_factory.mktemp("crash") / "city")


@pytest.fixture(scope="module")
def earlier(template: Path) -> bytes:
    """Return the bytes of the earlier day."""
    return (template / "station_status/2026-11-21.csv").read_bytes()


@pytest.fixture(scope="module")
def calls(template: Path) -> list[str]:
    """Return every system call of a run that changes something on the disk."""
    folder = template.with_name("counted")
    shutil.copytree(template, folder)
    return harness.every_call(folder, 4, 2)


@needs_strace
def test_a_kill_at_every_system_call_is_healed(
    template: Path, earlier: bytes, calls: list[str]
) -> None:
    """SIGKILL at each of them, then two runs: every accepted slot once (fault 68)."""

    def heal(folder: Path) -> list[str]:
        numbers = {1, 2, 3, 5, 6} | harness.accepted(folder)
        harness.recover(folder, 5, 3)
        return harness.violations(folder, numbers, earlier)

    bad = harness.each_kill(template, calls, (4, 2), heal)
    harness.account("kill", len(calls), bad)
    assert len(calls) > 20
    assert bad == {}


@needs_strace
@pytest.mark.parametrize("what", ["signal=SIGKILL", "error=EIO"])
def test_a_filter_of_calls_does_the_same_as_strace(
    template: Path, calls: list[str], what: str
) -> None:
    """The run ends with the same code, and leaves the same files and rows."""

    def ended(case: str, run: Callable[[Path, Fault], int]) -> tuple[object, ...]:
        folder = template.with_name("compared")
        shutil.copytree(template, folder)
        code = run(folder, harness.fault_at(case, what))
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        rows = (folder / "station_status/2026-11-22.csv").read_bytes()
        shutil.rmtree(folder)
        return code, files, rows

    def strace(folder: Path, fault: Fault) -> int:
        return harness.strace(folder, 4, 2, *fault.options)

    def fail(folder: Path, fault: Fault) -> int:
        return harness.fail(folder, 4, 2, fault)

    cases = calls[::6]
    assert [ended(case, fail) for case in cases] == [
        ended(case, strace) for case in cases
    ]


@needs_strace
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_error_at_every_system_call_is_healed(
    template: Path, earlier: bytes, calls: list[str], error: str
) -> None:
    """Each call fails once, the next run recovers (faults 48, 50, 53, 54, 55)."""

    def heal(folder: Path, code: int) -> list[str]:
        numbers = {1, 2, 3, 5, 6} | harness.accepted(folder)
        harness.recover(folder, 5, 3)
        bad = harness.violations(folder, numbers, earlier)
        return bad if code in {0, 74, 75} else [*bad, f"ended with {code}"]

    bad = harness.each_error(template, calls, f"error={error}", heal, run=(4, 2))
    harness.account(error, len(calls), bad)
    assert bad == {}


@needs_strace
def test_a_read_that_fails_once_costs_neither_slot_nor_ledger(
    template: Path, earlier: bytes
) -> None:
    """EIO at each read of the ledger, a payload or a folder (fault 55)."""
    counted = template.with_name("read-count")
    shutil.copytree(template, counted)
    cases = harness.every_call(counted, 4, 2, "pread64,getdents64")

    def prepare(folder: Path) -> None:
        (folder / "ledger.sqlite3-check").touch()

    def heal(folder: Path, _code: int) -> list[str]:
        numbers = {1, 2, 3, 5, 6} | harness.accepted(folder)
        harness.recover(folder, 5, 3)
        aside = [path.name for path in folder.glob("*.damaged-*")]
        rejected = [path.name for path in folder.glob("payloads/rejected/*")]
        return [*harness.violations(folder, numbers, earlier), *aside, *rejected]

    bad = harness.each_error(
        template, cases, "error=EIO", heal, run=(4, 2), prepare=prepare
    )
    harness.account("EIO of reads", len(cases), bad)
    assert len(cases) > 10
    assert bad == {}


@needs_strace
def test_an_older_ledger_under_the_log_of_a_killed_run_is_healed(
    template: Path, earlier: bytes
) -> None:
    """A backup is restored after a kill at each change of the ledger (fault 64)."""
    base = template.with_name("older")
    shutil.copytree(template, base)
    older = (base / "ledger.sqlite3").read_bytes()
    for number in range(4, 30):
        driver.run(base, number, number - 2)
    counted = base.with_name("older-count")
    shutil.copytree(base, counted)
    cases = harness.every_call(counted, 30, 28, "pwrite64,fdatasync")

    def heal(folder: Path) -> list[str]:
        (folder / "ledger.sqlite3").write_bytes(older)
        (folder / "ledger.sqlite3-shm").unlink(missing_ok=True)
        numbers = {*range(1, 30), 31, 32} | harness.accepted(folder)
        harness.recover(folder, 31, 29)
        return harness.violations(folder, numbers, earlier)

    bad = harness.each_kill(base, cases, (30, 28), heal)
    harness.account("older ledger", len(cases), bad)
    assert len(cases) > 5
    assert bad == {}


@needs_strace
def test_a_kill_during_the_recovery_is_recovered(
    template: Path, earlier: bytes, calls: list[str]
) -> None:
    """Killed between CSV and ledger, and again at each call of the next (fault 72)."""
    torn = template.with_name("torn")
    shutil.copytree(template, torn)
    _die_before_commit(torn)
    again = torn.with_name("torn-count")
    shutil.copytree(torn, again)
    cases = harness.every_call(again, 5, 3)

    def heal(folder: Path) -> list[str]:
        numbers = {1, 2, 3, 6, 7} | harness.accepted(folder)
        harness.recover(folder, 6, 4)
        return harness.violations(folder, numbers, earlier)

    bad = harness.each_kill(torn, cases, (5, 3), heal)
    harness.account("double kill", len(cases), bad)
    assert len(cases) > len(calls)
    assert bad == {}


def _die_before_commit(folder: Path) -> None:
    """Leave run 4 like a kill between the CSV's bytes and the ledger."""
    kept = folder / "payloads/kept/2026-11-22"
    ledger = (folder / "ledger.sqlite3").read_bytes()
    driver.run(folder, 4, 2)
    (folder / "ledger.sqlite3").write_bytes(ledger)
    (payload,) = kept.glob("*00000004.zip")
    payload.rename(folder / "payloads/inbox" / payload.name)


def _torn(data: bytes, cut: int) -> bytes:
    return data[:cut]


def _zeroed(data: bytes, cut: int) -> bytes:
    return data[:cut] + b"\0" * (len(data) - cut)


def _garbage(data: bytes, cut: int) -> bytes:
    return data[:cut] + random.Random(cut).randbytes(len(data) - cut)


@pytest.mark.parametrize("damage", [_torn, _zeroed, _garbage])
def test_a_damaged_tail_is_written_again(
    template: Path, earlier: bytes, damage: Callable[[bytes, int], bytes]
) -> None:
    """The last block torn, zeroed or garbage from any byte on (fault 62)."""
    base = template.with_name(f"tail-{damage.__name__}")
    shutil.copytree(template, base)
    end = (base / "station_status/2026-11-22.csv").stat().st_size
    _die_before_commit(base)
    content = (base / "station_status/2026-11-22.csv").read_bytes()

    def attempt(folder: Path, case: str) -> list[str]:
        file = folder / "station_status/2026-11-22.csv"
        file.write_bytes(damage(content, int(case)))
        harness.recover(folder, 5, 3)
        return harness.violations(folder, {1, 2, 3, 4, 5, 6}, earlier)

    cases = [str(n) for n in range(end, len(content) + 1, 24)]
    bad = harness.each_case(base, cases, attempt)
    harness.account(damage.__name__, len(cases), bad)
    assert bad == {}


def test_two_writers_with_random_kills_leave_each_slot_once(
    template: Path, earlier: bytes
) -> None:
    """Two processes per slot, one in five killed at a random moment (fault 84)."""
    folder = template.with_name("two")
    shutil.copytree(template, folder)
    dice = random.Random(1)
    number = 3
    for slot in range(2, 22):
        pair = []
        for _ in range(2):
            number += 1
            pair.append(harness.start(folder, number, slot))
        if dice.random() < 0.4:
            harness.kill_after(dice.uniform(0, 0.06), pair[0])
        for writer in pair:
            writer.communicate()
    harness.recover(folder, number + 1, 22)

    bad = harness.violations(folder, {1, 2, 3, number + 1, number + 2}, earlier)
    harness.account("two writers", 20, {"two": bad} if bad else {})
    assert bad == []


def test_a_mutant_that_trusts_the_ledgers_end_is_caught(
    template: Path, earlier: bytes
) -> None:
    """A recovery that cuts to the ledger's end loses slots when the ledger is lost."""
    folder = template.with_name("trust")
    shutil.copytree(template, folder)
    for path in folder.glob("ledger.sqlite3*"):
        path.unlink()
    harness.start(folder, 4, 2, "--mutant", "trust-ledger-end").communicate()

    assert harness.violations(folder, {1, 2, 3, 4}, earlier) != []


def test_a_lost_ledger_costs_nothing(template: Path, earlier: bytes) -> None:
    """The same without the mutant: every slot is adopted (fault 64)."""
    folder = template.with_name("lost")
    shutil.copytree(template, folder)
    for path in folder.glob("ledger.sqlite3*"):
        path.unlink()
    harness.recover(folder, 4, 2)

    assert harness.violations(folder, {1, 2, 3, 4, 5}, earlier) == []


@needs_namespaces
def test_a_full_disk_loses_no_accepted_slot(
    template: Path, earlier: bytes, tmp_path: Path
) -> None:
    """A tmpfs that fills up: 74 until there is space, then all is there (fault 49)."""
    script = f"""
set -e
mount -t tmpfs -o size=1500k none {tmp_path}
cp -r {template} {tmp_path}/city
head -c 2000000 /dev/zero > {tmp_path}/ballast 2>/dev/null || true
for n in 4 5 6; do
  {sys.executable} {harness.DRIVER} {tmp_path}/city $n $((n - 2)) || echo "ended $?"
done
rm {tmp_path}/ballast
for n in 7 8; do
  {sys.executable} {harness.DRIVER} {tmp_path}/city $n $((n - 2)) || echo "ended $?"
done
cp -r {tmp_path}/city {tmp_path}.after
"""
    process = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
    )

    after = Path(f"{tmp_path}.after")
    assert process.stdout.splitlines() == ["ended 74"] * 3, process.stderr
    assert harness.violations(after, {1, 2, 3, 7, 8}, earlier) == []
