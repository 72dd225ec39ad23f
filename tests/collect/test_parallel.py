"""Many systems in one call: the threads' turns, with a simulated clock."""

import threading
from collections.abc import Callable

import pytest

from bikecollect.collect.fetching.rate_limit import Limit
from bikecollect.collect.parallel.pool import Pool, Task, Turn
from bikecollect.core.errors import Outcome, Overload, RateLimited
from bikecollect.core.process import Stop, Times
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot

NOW = 1_795_276_800.0


class Clock:
    """A clock that the tasks advance."""

    def __init__(self) -> None:
        self.now = 0.0

    def times(self) -> Times:
        """Return it as both clocks of a call."""
        return Times(lambda: NOW + self.now, lambda: self.now, Stop())


def result(name: str, turn: Turn) -> Run:
    """Return the result of a system whose task took *turn*."""
    run = Run("0", name, Slot(0), 0.0)
    return run.failed(turn.error) if turn.error else run.ended(Outcome.COLLECTED)


def task(
    name: str,
    host: str = "",
    *,
    meanwhile: Callable[[Turn], object] = lambda _: None,
    not_before: float = 0.0,
) -> Task:
    """Return the task of a system, during which *meanwhile* happens."""

    def work(turn: Turn) -> Run:
        meanwhile(turn)
        return result(name, turn)

    limit = Limit(not_before, system=name)
    return Task(host or f"{name}.example", work, lambda: limit)


def outcomes(pool: Pool) -> dict[str, str]:
    """Run *pool* and return the outcome of each system."""
    runs = pool.results()
    return {run.system_id: run.outcome.value if run.outcome else "" for run in runs}


def test_results_come_as_the_systems_end() -> None:
    """A slow system does not delay the results of the others."""
    last_has_ended = threading.Event()
    tasks = [
        task("slow", meanwhile=lambda _: last_has_ended.wait(60)),
        task("fast", meanwhile=lambda _: last_has_ended.set()),
    ]

    assert list(outcomes(Pool(tasks, 210, Clock().times()))) == ["fast", "slow"]


def test_a_host_gets_eight_systems_at_a_time() -> None:
    """The host's other systems wait; those of other hosts do not."""
    active, most, lock = 0, 0, threading.Lock()
    others_ended, eight = threading.Event(), threading.Event()

    def at_the_host(_: Turn) -> None:
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
            if active == 8:
                eight.set()
        others_ended.wait(60)
        with lock:
            active -= 1

    def elsewhere(_: Turn) -> None:
        eight.wait(60)
        others_ended.set()

    tasks = [task(f"s{n}", "one.example", meanwhile=at_the_host) for n in range(30)]
    tasks.append(task("other", meanwhile=elsewhere))

    assert len(outcomes(Pool(tasks, 210, Clock().times()))) == 31
    assert most == 8


def test_feeds_that_hang_leave_the_others_their_time() -> None:
    """Each feed gets its share of the remaining time, so the last one has a turn."""
    clock, seconds = Clock(), list[float]()

    def hang(turn: Turn) -> None:
        seconds.append(turn.seconds)
        clock.now += turn.seconds

    tasks = [task(f"s{n}", meanwhile=hang) for n in range(6)]
    pool = Pool([*tasks, task("healthy")], 210, clock.times(), threads=1)

    assert set(outcomes(pool).values()) == {"collected"}
    assert seconds == [30.0] * 6


def test_a_few_systems_have_all_the_time_there_is() -> None:
    """Time is not divided while there are threads and connections for all."""
    seconds: list[float] = []
    tasks = [
        task(
            f"s{n}", "one.example", meanwhile=lambda turn: seconds.append(turn.seconds)
        )
        for n in range(8)
    ]

    outcomes(Pool(tasks, 210, Clock().times()))

    assert seconds == [210.0] * 8


def test_a_system_without_a_turn_is_recorded() -> None:
    """With the outcome `overload` and the advice."""
    clock, errors = Clock(), list[object]()

    def slow(turn: Turn) -> None:
        errors.append(turn.error)
        clock.now += 103.0

    tasks = [task(f"s{n}", meanwhile=slow) for n in range(4)]

    assert outcomes(Pool(tasks, 210, clock.times(), threads=1)) == {
        "s0": "collected",
        "s1": "collected",
        "s2": "collected",
        "s3": "overload",
    }
    assert isinstance(errors[3], Overload)
    assert str(errors[3]) == (
        "no time left for this system: 4 systems had 210 s; fetch fewer systems per "
        "call, use more machines, or set a longer interval"
    )


def test_a_host_that_asks_for_a_pause_gets_it_for_all_its_systems() -> None:
    """In the meantime the systems of other hosts have their turns."""
    clock, begun = Clock(), list[tuple[str, float]]()

    def note(name: str, seconds: float) -> Callable[[Turn], None]:
        def meanwhile(_: Turn) -> None:
            begun.append((name, clock.now))
            clock.now += seconds

        return meanwhile

    tasks = [
        task("a1", "a.example", meanwhile=note("a1", 0), not_before=NOW + 30),
        task("a2", "a.example", meanwhile=note("a2", 0)),
        task("b", meanwhile=note("b", 20)),
        task("c", meanwhile=note("c", 20)),
        task("d", meanwhile=note("d", 0)),
    ]
    outcomes(Pool(tasks, 210, clock.times(), threads=1))

    assert begun == [("a1", 0), ("b", 0), ("c", 20), ("a2", 40), ("d", 40)]


def test_a_pause_beyond_the_call_ends_the_other_systems_of_the_host() -> None:
    """They are not requested, and record the end of the pause."""
    turns: list[Turn] = []
    tasks = [
        task("a1", "a.example", not_before=NOW + 600),
        task("a2", "a.example", meanwhile=turns.append),
        task("b"),
    ]

    assert outcomes(Pool(tasks, 210, Clock().times(), threads=1)) == {
        "a1": "collected",
        "a2": "rate-limited",
        "b": "collected",
    }
    assert isinstance(turns[0].error, RateLimited)
    assert turns[0].error.not_before == NOW + 600
    assert turns[0].error.limited == "a1"
    assert "another system of this host, a1, is rate-limited" in str(turns[0].error)


def test_a_request_to_stop_ends_the_wait_for_a_host() -> None:
    """The tasks get their turns, and handle the request themselves."""
    times = Clock().times()
    tasks = [
        task(
            "a1",
            "a.example",
            not_before=NOW + 30,
            meanwhile=lambda _: times.stop.set(15),
        ),
        task("a2", "a.example"),
    ]

    assert len(outcomes(Pool(tasks, 210, times, threads=1))) == 2


def test_without_threads_systems_are_collected_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit on processes only takes more time."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert len(outcomes(Pool([task("a"), task("b")], 210, Clock().times()))) == 2


def test_with_few_threads_half_of_them_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each attempt to fetch needs another thread."""
    real, started = threading.Thread.start, list[threading.Thread]()
    workers: set[int] = set()

    def start(thread: threading.Thread) -> None:
        if len(started) == 10:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    barrier = threading.Barrier(5, timeout=60)

    def work(_: Turn) -> None:
        workers.add(threading.get_ident())
        barrier.wait()

    tasks = [task(f"s{n}", meanwhile=work) for n in range(20)]

    assert len(outcomes(Pool(tasks, 210, Clock().times()))) == 20
    assert len(workers) == 5


def test_a_bug_in_a_task_is_raised_by_the_call() -> None:
    """After all others have ended."""

    def fail(_: Turn) -> None:
        raise ZeroDivisionError("oh")

    ended: list[Turn] = []
    tasks = [task("a", meanwhile=fail), task("b", meanwhile=ended.append)]

    with pytest.raises(ZeroDivisionError, match="oh"):
        list(Pool(tasks, 210, Clock().times(), threads=1).results())
    assert len(ended) == 1
