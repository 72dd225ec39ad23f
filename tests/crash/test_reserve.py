"""A disk that is nearly full: data leave a reserve, with which a run is ended."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import harness
from small_disk import needs_namespaces


@needs_namespaces
def test_the_reserve_of_a_disk_ends_runs_and_takes_no_data(tmp_path: Path) -> None:
    """120 of 160 kB are left: 74, no more rows, and the ledger has the run."""
    template = harness.history(tmp_path / "city")
    disk, after = tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    script = f"""
set -e
mount -t tmpfs -o size=8m none {disk}
cp -r {template} {disk}/city
left=$(df --output=avail -B1 {disk} | tail -1)
head -c $((left - 120000)) /dev/zero > {disk}/ballast
for n in 4 5; do
  {sys.executable} {harness.DRIVER} {disk}/city $n $((n - 2)) || echo "ended $?"
done
cp -r {disk}/city {after}
rm {disk}/ballast
{sys.executable} {harness.DRIVER} {disk}/city 6 4
cp -r {disk}/city {after}/later
"""
    process = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )

    file = "station_status/2026-11-22.csv"
    assert process.stdout == "ended 74\nended 74\n"
    assert (after / file).read_bytes() == (template / file).read_bytes()
    db = sqlite3.connect(after / "ledger.sqlite3")
    runs = db.execute("SELECT outcome, cause, error FROM runs WHERE outcome = 'disk'")
    outcomes = runs.fetchall()
    db.close()
    assert [outcome[:2] for outcome in outcomes] == [("disk", "disk")] * 2
    assert "no space left except 0.2 MB reserved for the ledger" in outcomes[0][2]
    assert list((after / "payloads/inbox").iterdir()) == []
    assert (
        harness.violations(
            after / "later",
            {1, 2, 3, 6},
            (template / "station_status/2026-11-21.csv").read_bytes(),
        )
        == []
    )
