"""Compaction on a disk that is nearly full leaves nothing, and takes no reserve."""

import subprocess
import sys
from pathlib import Path

import pytest
from quiet_settings import write_settings
from small_disk import needs_namespaces
from world import World

from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")
LEFT = {"no room": 300_000, "less than the reserve": 120_000}


@needs_namespaces
@pytest.mark.parametrize("left", LEFT.values(), ids=list(LEFT))
def test_compact_leaves_no_partial_files_on_a_full_disk(
    tmp_path: Path, left: int
) -> None:
    """It ends with 74 and frees its files; with space the day is archived.

    What may be taken is the state of the alerts, 64 KiB, which is made when one is due.
    """
    world = World(tmp_path / "data" / "city")
    stations = {f"station {number}": number for number in range(400)}
    for _ in range(4):
        world.fetch(stations, after=300)
    world.fetch(stations, after=DAY)
    (tmp_path / "data/city/.bikecollect").touch()
    disk = tmp_path / "disk"
    disk.mkdir()
    config = write_settings(tmp_path / "bikecollect.toml", disk, "city")
    compact = f"{sys.executable} -m bikecollect --config {config} compact"
    script = f"""
mount -t tmpfs -o size=8m none {disk} || exit 1
cp -r {tmp_path}/data/city {disk}/city
free() {{ df --output=avail -B1 {disk} | tail -1; }}
head -c $(($(free) - {left})) /dev/zero > {disk}/ballast
before=$(free)
{compact}
echo "ended $?"
find {disk}/archive -name '*.tmp' -o -name '*.parquet'
[ $(($(free) + 110000)) -ge $before ] && echo "nothing taken"
rm {disk}/ballast
{compact} > /dev/null
echo "ended $?"
"""
    process = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )

    assert process.stdout.splitlines() == ["ended 74", "nothing taken", "ended 0"]
    assert "not archived" in process.stderr
