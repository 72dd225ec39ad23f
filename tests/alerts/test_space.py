"""Low space is reported before the disk is full."""

import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from served import Answer, serving
from small_disk import needs_namespaces

from bikecollect.alerts import space
from bikecollect.alerts.space import DailySpace, Space
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

GB = 1_000_000_000
BEGIN = date(2026, 11, 22)


def days(*free: float, inodes: int = 0) -> list[DailySpace]:
    """Return measurements of consecutive days, in GB."""
    return [
        DailySpace(str(BEGIN + timedelta(n)), int(gb * GB), inodes)
        for n, gb in enumerate(free)
    ]


@pytest.mark.parametrize(
    ("now", "history", "expected"),
    [
        (Space(50 * GB, 100 * GB), (), {"space": None}),
        (Space(199_000_000, 100 * GB), (), "199.0 MB free"),
        (Space(240_000_000, 100 * GB), (), {}),  # neither begins nor ends the warning
        (Space(251_000_000, 100 * GB), (), {"space": None}),
        (Space(50_000_000, GB // 2), (), {}),
        (Space(49_000_000, GB // 2), (), "49.0 MB free"),  # a small disk
        (Space(50 * GB, 99 * GB, 1_999, 10**6), (), "1,999 inodes free"),
        (Space(50 * GB, 99 * GB, 2_501, 10**6), (), {"space": None}),
        (Space(50 * GB, 99 * GB, 0, 0), (), {"space": None}),  # btrfs
        (Space(0, 99 * GB), (), "the disk. No slot can be collected now"),
        (Space(9 * GB, 99 * GB, 0, 10**6), (), "the disk. No slot can be collected"),
        (Space(9 * 2**20, 99 * GB), (), "the disk. Slots are collected until it is"),
        (Space(39 * GB, 99 * GB), days(48, 45, 42, 39), "used up in 13 days"),
        (Space(3 * GB, 99 * GB), days(12, 9, 6, 3), "used up in 1 day at"),
        (Space(45 * GB, 99 * GB), days(54, 51, 48, 45), {}),
        (Space(60 * GB, 99 * GB), days(69, 66, 63, 60), {"space": None}),
        (
            Space(5 * GB, 99 * GB),
            days(20, 5, 5),
            {"space": None},
        ),  # too few measurements
        (Space(60 * GB, 99 * GB), days(40, 50, 55, 60), {"space": None}),
        (Space(47 * GB, 99 * GB), days(48, 48, 47, 9), {"space": None}),  # a backup
        (Space(9 * GB, 99 * GB), days(48, 48, 47, 47), {"space": None}),  # now
    ],
)
def test_little_space_or_less_than_two_weeks_warns(
    now: Space, history: list[DailySpace], expected: object
) -> None:
    """By bytes, inodes, and the days left at the rate of the last week."""
    observed = space.of_space(Path("/data/a"), now, history)

    signal = observed.get("space")
    if signal is None:
        assert observed == expected
    else:
        assert str(expected) in signal.text
        assert "/data/a" in signal.text
        assert signal.lost == 0


def test_inodes_have_a_rate_of_their_own() -> None:
    """Many small files can fill a disk that has free bytes."""
    history = [
        DailySpace(str(BEGIN + timedelta(n)), 50 * GB, 100_000 - n * 5_000)
        for n in range(8)
    ]
    now = Space(50 * GB, 99 * GB, 65_000, 10**6)

    assert space.days_left(history, now) == 13.0


def test_days_of_a_clock_that_was_ahead_are_dropped() -> None:
    """They are no basis for a rate; at most eight days are kept, each once."""
    known = days(9, 8, 7)
    known = list(space.noted(known, "2027-12-01", Space(6 * GB, 9 * GB)))

    assert space.noted(known, "2026-11-25", Space(GB, 9 * GB)) == (
        *days(9, 8, 7),
        DailySpace("2026-11-25", GB, 0),
    )
    assert len(space.noted(days(*range(9)), "2026-12-09", Space(0, 1))) == 8
    assert space.noted(known, "2027-12-01", Space(0, 1)) == tuple(known)
    assert space.noted(known, "2027-12-02", None) == tuple(known)


SCRIPT = """
set -e
mount -t tmpfs -o size={size},nr_inodes={inodes} none {disk}
{fill}
{python} -m bikecollect --config {config} fetch || echo "fetch ended $?"
{python} -m bikecollect --config {config} status --alert || echo "status ended $?"
{python} -m bikecollect --config {config} doctor --offline || true
"""


@needs_namespaces
@pytest.mark.parametrize(
    ("size", "inodes", "fill"),
    [
        ("40m", 4_000, "head -c 38000000 /dev/zero > {disk}/ballast"),
        ("40m", 400, "for n in $(seq 352); do : > {disk}/f$n; done"),
    ],
)
def test_a_disk_with_little_left_collects_and_warns(
    tmp_path: Path, size: str, inodes: int, fill: str
) -> None:
    """A real disk, nearly without bytes or inodes: the slot is collected (fault 51)."""
    disk, config = tmp_path / "disk", tmp_path / "bikecollect.toml"
    disk.mkdir()
    with serving(lambda _: Answer(dialects.youbike(City(20), time.time()))) as url:
        config.write_text(
            f'data_dir = "{disk}/data"\n[systems.a]\nfeed = "youbike"\nurl = "{url}"\n'
            'timezone = "Asia/Taipei"\n',
            encoding="utf-8",
        )
        config.chmod(0o600)
        script = SCRIPT.format(
            size=size,
            inodes=inodes,
            disk=disk,
            config=config,
            python=sys.executable,
            fill=fill.format(disk=disk),
        )
        process = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", script],
            capture_output=True,
            text=True,
            check=True,
        )

    assert "fetch ended" not in process.stdout, process.stdout + process.stderr
    assert "the disk will soon be full" in process.stdout
    assert "status ended 1" in process.stdout
    text = " ".join(process.stdout.split())
    assert f"free on the disk of {disk}/data/a" in text
