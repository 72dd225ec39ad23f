"""A power cut at every step of a run; nothing accepted is lost."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import driver
import harness
import powerloss
import pytest
from harness import UNREAD
from powerloss import Call, Disk

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a history of three runs."""
    return harness.history(tmp_path_factory.mktemp("power") / "city")


def trace(template: Path, number: int, slot: int, mutant: str = "") -> list[Call]:
    """Return the calls of run *number*, made on a copy, as if made on *template*."""
    folder = Path(tempfile.mkdtemp(dir=template.parent)) / "city"
    shutil.copytree(template, folder)
    options = ("-xx", "-s", "4000000", "-e", f"trace={powerloss.CALLS}")
    assert harness.strace(folder, number, slot, *options, mutant=mutant) == 0
    text = Path(f"{folder}.trace").read_text(encoding="ascii")
    hexed = "".join(f"\\x{b:02x}" for b in str(folder).encode())
    escaped = "".join(f"\\x{b:02x}" for b in str(template).encode())
    return powerloss.read_trace(text.replace(hexed, escaped), template)


def cut_everywhere(
    template: Path,
    calls: Sequence[Call],
    number: int,
    is_accepted: Callable[[Sequence[Call]], bool] | None = None,
) -> Iterator[str]:
    """Cut the power after each call, in each way; yield the violations."""
    earlier = (template / "station_status/2026-11-21.csv").read_bytes()
    folder = template.with_name("after")
    for name, accepted in distinct(template, calls, folder, is_accepted):
        numbers = {1, 2, 3, number + 1, number + 2}
        numbers |= {number} if accepted else set()
        harness.recover(folder, number + 1, number - 1)
        bad = harness.violations(folder, numbers, earlier)
        if bad:
            yield f"{name}: {bad}"


def distinct(
    template: Path,
    calls: Sequence[Call],
    folder: Path,
    is_accepted: Callable[[Sequence[Call]], bool] | None = None,
) -> Iterator[tuple[str, bool]]:
    """Make *folder* each distinct disk that a cut after each call may leave.

    Disks that differ in what is `UNREAD` are alike. Yields its name, and whether the
    payload was accepted by then.
    """
    disk = Disk(template)
    seen: set[int] = set()
    for step, call in enumerate(calls):
        disk.apply(call)
        accepted = (is_accepted or powerloss.is_accepted)(calls[: step + 1])
        for name, state in disk.states():
            content = ((p, state[p]) for p in sorted(state) if not p.endswith(UNREAD))
            key = hash((accepted, *content))
            if key not in seen:
                seen.add(key)
                powerloss.clear(folder)
                disk.write(state, folder)
                yield f"step {step} ({call.name} {call.path}), {name}", accepted


def test_a_power_cut_at_any_step_loses_nothing_accepted(template: Path) -> None:
    """Every legal state of the disk after every call is recovered (fault 61)."""
    assert list(cut_everywhere(template, trace(template, 4, 2), 4)) == []


@pytest.mark.parametrize("mutant", ["no-csv-fsync", "no-dir-fsync"])
def test_a_missing_fsync_is_caught(template: Path, mutant: str) -> None:
    """Without the CSV's or the folders' fsync the same harness finds losses."""
    calls = trace(template, 4, 2, mutant)
    rule = _is_named if mutant == "no-dir-fsync" else powerloss.is_accepted

    assert next(cut_everywhere(template, calls, 4, rule), "") != ""


def _is_named(calls: Sequence[Call]) -> bool:
    """Return whether the payload has its name: the mutant's rule for accepted."""
    return any(c.name == "rename" and ".tmp" in c.path for c in calls)


def test_the_order_of_the_commit_is_kept(template: Path) -> None:
    """Payload named, inbox synced, mark made, rows, ledger, payload moved."""
    calls = trace(template, 4, 2)
    csv, inbox = "station_status/2026-11-22.csv", "/payloads/inbox"

    def first(name: str, part: str, after: int = -1) -> int:
        return next(
            i
            for i, c in enumerate(calls)
            if i > after and c.name == name and part in c.path
        )

    named = first("rename", ".zip.tmp")
    accepted = next(
        i
        for i, c in enumerate(calls)
        if i > named and c.name == "sync" and c.path.endswith(inbox)
    )
    counted = first("create", ".zip.1.opened")
    durably = next(
        i
        for i, c in enumerate(calls)
        if i > counted and c.name == "sync" and c.path.endswith(inbox)
    )
    read = first("unlink", ".zip.1.opened")
    written = first("write", csv)
    synced = first("sync", csv)
    committed = first("sync", "ledger.sqlite3-wal", synced)
    moved = next(
        i
        for i, c in enumerate(calls)
        if c.name == "rename" and c.path.endswith(".zip") and "/kept/" in c.to
    )
    assert named < accepted < counted < durably < read < written
    assert written < synced < committed < moved


def test_the_first_run_ever_survives_a_power_cut(tmp_path: Path) -> None:
    """A cut while folders are created loses nothing that was accepted (fault 61)."""
    template = tmp_path / "city"
    template.mkdir()
    calls = trace(template, 1, 0)
    problems = []
    folder = tmp_path / "after"
    for name, accepted in distinct(template, calls, folder):
        driver.run(folder, 2, 1)
        text = (folder / "station_status/2026-11-22.csv").read_text(encoding="utf-8")
        rows = text.count("2026-11-22T12:00:00+08:00,")
        if rows not in ({driver.STATIONS} if accepted else {0, driver.STATIONS}):
            problems.append(f"{name}: {rows}")
    assert problems == []
