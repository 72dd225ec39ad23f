"""Worker processes: real ones, which are killed and stopped."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from waiting import wait_until

from bikecollect.collect.parallel.pool import Work, shares
from bikecollect.collect.parallel.workers import Workers
from bikecollect.core.errors import Outcome
from bikecollect.core.process import Stop, listen
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot

PARTS = (["a", "b"], ["c", "d"])


def run(name: str) -> Run:
    """Return the run of a system that was collected."""
    return Run("0", name, Slot(0), 0.0).ended(Outcome.COLLECTED)


def work(folder: Path, *, before: Callable[[str], object] = lambda _: None) -> Work:
    """Return work that calls *before* for each system; reports make a file each."""

    def results(names: Sequence[str]) -> Iterator[Run]:
        for name in names:
            before(name)
            yield run(name)

    def end_reports(runs: Sequence[Run]) -> None:
        for ended in runs:
            (folder / ended.system_id).write_text(str(os.getpid()), encoding="ascii")

    return Work(results, end_reports)


def reported(folder: Path) -> list[str]:
    """Return the systems whose runs were reported, in any process."""
    return sorted(path.name for path in folder.iterdir())


def test_each_share_runs_in_a_process_until_its_runs_are_reported(
    tmp_path: Path,
) -> None:
    """The process that fetched a system also ends its report."""
    workers = Workers(PARTS, work(tmp_path), Stop())
    runs = list(workers.results())
    assert reported(tmp_path) == []
    workers.end_reports(runs)

    assert sorted(run.system_id for run in runs) == ["a", "b", "c", "d"]
    processes = {name: (tmp_path / name).read_text("ascii") for name in "abcd"}
    assert processes["a"] == processes["b"] != processes["c"] == processes["d"]
    assert str(os.getpid()) not in processes.values()


def test_a_process_that_is_killed_costs_only_its_unfinished_runs(
    tmp_path: Path,
) -> None:
    """Its finished runs are reported, and the other share is complete."""

    def kill(name: str) -> None:
        if name == "b":
            os.kill(os.getpid(), signal.SIGKILL)

    workers = Workers(PARTS, work(tmp_path, before=kill), Stop())
    runs = list(workers.results())
    workers.end_reports(runs)

    assert sorted(run.system_id for run in runs) == ["a", "c", "d"]
    assert reported(tmp_path) == ["c", "d"]


def test_a_bug_in_a_process_shows_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends the process, as a kill does."""

    def fail(name: str) -> None:
        if name == "a":
            raise ZeroDivisionError("oh")

    workers = Workers(PARTS, work(tmp_path, before=fail), Stop())
    runs = list(workers.results())
    workers.end_reports(runs)

    assert sorted(run.system_id for run in runs) == ["c", "d"]
    assert "Process" not in capfd.readouterr().err


def test_a_request_to_stop_reaches_the_processes(tmp_path: Path) -> None:
    """A signal to the first process ends the waits of all."""
    stop = Stop()

    def wait(_: str) -> None:
        here = Stop()
        listen(here)
        (tmp_path / f"waiting-{os.getpid()}").touch()
        assert here.wait(60)
        assert here.signum == signal.SIGTERM

    workers = Workers((["a"], ["b"]), work(tmp_path, before=wait), stop)

    def stop_once_they_wait() -> None:
        wait_until(lambda: len([*tmp_path.iterdir()]) == 2, "two waiting processes")
        stop.set(signal.SIGTERM)

    threading.Thread(target=stop_once_they_wait, daemon=True).start()

    assert len(list(workers.results())) == 2
    workers.end_reports([])


def test_without_processes_all_systems_run_in_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on processes only takes more time."""

    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    workers = Workers(PARTS, work(tmp_path), Stop())
    runs = list(workers.results())
    workers.end_reports(runs)

    assert {(tmp_path / name).read_text("ascii") for name in "abcd"} == {
        str(os.getpid())
    }


def test_the_systems_of_a_host_share_a_process() -> None:
    """So that its limit holds; the others balance the numbers."""
    hosts = {f"a{n}": "a" for n in range(100)} | {f"b{n}": f"b{n}" for n in range(100)}

    first, second = shares(hosts, 2)

    assert set(first) == {f"a{n}" for n in range(100)}
    assert set(second) == {f"b{n}" for n in range(100)}
    assert len(shares(hosts, 8)) == 3
    assert shares(hosts, 1) == [list(hosts)]
