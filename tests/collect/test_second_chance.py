"""The slot is collected although the disk fails for a moment before the fetch."""

import errno
import time
from pathlib import Path

import pytest
from served import Answer, serving

from bikecollect.core.errors import Outcome
from bikecollect.setup.loader import parse
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage import data_folder
from bikecollect.wiring.collection import collect


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize(
    ("failures", "outcome"), [(1, Outcome.COLLECTED), (9, Outcome.DISK)]
)
def test_the_folder_is_checked_twice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    failures: int,
    outcome: Outcome,
) -> None:
    """A first failure may be momentary; a second is reported as a disk error."""
    check, left = data_folder.check, [failures]

    def fail_first(folder: Path) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(number, "injected", str(folder))
        check(folder)

    monkeypatch.setattr(data_folder, "check", fail_first)
    with serving(lambda _: Answer(dialects.youbike(City(20), time.time()))) as url:
        system = {"feed": "youbike", "url": url, "timezone": "Asia/Taipei"}
        settings = parse({"data_dir": str(tmp_path), "systems": {"a": system}})
        (run,) = collect(settings)

    assert run.outcome is outcome
