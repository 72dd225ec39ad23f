"""Scripts can collect in-process, with their own clock."""

import importlib
import time
from pathlib import Path

from served import Answer, serving

from bikecollect.setup.loader import load
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

collect = importlib.import_module("bikecollect.collect.collector").collect


def test_a_script_collects_by_its_own_clock(tmp_path: Path) -> None:
    """`collect.collector.collect` takes settings and a clock, and returns the runs."""
    noon = int(time.time()) // 86_400 * 86_400 + 43_200.0
    path = tmp_path / "bikecollect.toml"
    with serving(lambda _: Answer(dialects.youbike(City(20), noon))) as url:
        path.write_text(
            f'data_dir = "data"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
            'timezone = "Asia/Taipei"\n',
            encoding="utf-8",
        )
        (run,) = collect(load(str(path)), clock=lambda: noon)

    assert (run.slot, run.rows, int(run.exit_code)) == (noon, 20, 0)


def test_a_run_names_the_mirror_for_what_it_found_lost(tmp_path: Path) -> None:
    """The ledger, then a daily file: notices go into the mail about it."""
    noon = int(time.time()) // 86_400 * 86_400 + 43_200.0
    path, folder = tmp_path / "bikecollect.toml", tmp_path / "data/city"
    with serving(lambda _: Answer(dialects.youbike(City(2), noon))) as url:
        path.write_text(
            f'data_dir = "data"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
            'timezone = "Asia/Taipei"\n[archive]\nmirror = "s3://mine"\n',
            encoding="utf-8",
        )
        told = []
        for number, lost in enumerate(["ledger.sqlite3*", "station_status/*", "x"]):
            (run,) = collect(load(str(path)), clock=lambda n=number: noon + 300 * n)
            told.append(" ".join(notice.text for notice in run.notices))
            for file in (*folder.glob(lost), *folder.glob("payloads/kept/*/*.zip")):
                file.unlink()

    command = "bikecollect backfill city --from s3://mine"
    assert told[1].startswith("city/ledger.sqlite3 was missing: ")
    assert f"; for the runs that the mirror has: {command}" in told[1]
    assert f"; fill what the mirror has: {command}; else " in told[2]
