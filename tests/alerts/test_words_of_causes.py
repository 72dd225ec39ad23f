"""A mail names the cause of lost slots as reports do."""

from pathlib import Path

import pytest
from every_cause import ENDED
from world import World

from bikecollect.alerts.signals import as_seen, of_run
from bikecollect.core.causes import cause_of, slots_by_cause
from bikecollect.core.errors import Outcome

TOLD_LATER = {Outcome.INTERRUPTED, Outcome.KILLED, Outcome.COLLECTED}
RUNS = [
    *((outcome, cause) for outcome, cause in ENDED if outcome not in TOLD_LATER),
    *((Outcome.PROTOCOL, cause) for cause in ("redirect", "address")),
    *((Outcome.UNAVAILABLE, cause) for cause in ("timeout", "version", "protocol")),
    *((Outcome.REJECTED, cause) for cause in ("not-json", "no-stations")),
    (Outcome.DEFERRED, "ledger-busy"),
]


@pytest.mark.parametrize(("outcome", "cause"), RUNS)
def test_a_failed_run_has_one_cause_for_its_readers(
    tmp_path: Path, outcome: Outcome, cause: str
) -> None:
    """The incident has the run's own word, which programs know."""
    run = World(tmp_path / "city").begin().ended(outcome, cause, "an error")

    signals = of_run(run, None).items()
    ((kind, word),) = ((kind, s.cause) for kind, s in signals if s is not None)

    assert word == cause
    assert slots_by_cause(kind, {word: 1}) == [(cause_of(as_seen(run)), 1)]


def test_a_disk_whose_error_is_known_is_a_disk_all_the_same(tmp_path: Path) -> None:
    """The detail follows a colon, as in a report."""
    run = World(tmp_path / "city").begin()
    run = run.ended(Outcome.DISK, "disk", "cannot write x: Permission denied")

    signal = of_run(run, None)["disk"]

    assert signal is not None
    assert slots_by_cause("disk", {signal.cause: 2, "disk": 3}) == [
        ("disk", 3),
        ("disk: denied", 2),
    ]
