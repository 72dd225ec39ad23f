"""Scripts can collect in-process, with their own clock."""

import importlib
import time
from pathlib import Path

from served import Answer, serving

from bikecollect.setup.loader import load
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City


def test_a_script_collects_by_its_own_clock(tmp_path: Path) -> None:
    """`collect.collector.collect` takes settings and a clock, and returns the runs."""
    collector = importlib.import_module("bikecollect.collect.collector")
    noon = int(time.time()) // 86_400 * 86_400 + 43_200.0
    path = tmp_path / "bikecollect.toml"
    with serving(lambda _: Answer(dialects.youbike(City(20), noon))) as url:
        path.write_text(
            f'data_dir = "data"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
            'timezone = "Asia/Taipei"\n',
            encoding="utf-8",
        )
        (run,) = collector.collect(load(str(path)), clock=lambda: noon)

    assert (run.slot, run.rows, int(run.exit_code)) == (noon, 20, 0)
