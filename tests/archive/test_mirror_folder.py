"""The mirror may be a folder of another disk, with the faults of such disks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import bikecollect
from keeping import archived_past_days
from mirrored import PART
from world import World

pytest.importorskip("duckdb")
pytest.importorskip("obstore")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two archived days, long past."""
    return archived_past_days(folder)


@pytest.fixture
def nas(world: World, config: Path, tmp_path: Path) -> Path:
    """Return the folder that is the mirror of the world, and has its days."""
    assert world.folder
    place = tmp_path / "nas" / "bikes"
    with config.open("a", encoding="utf-8") as out:
        out.write(f'[archive]\nmirror = "file://{place}"\n')
    assert bikecollect("--config", config, "push").returncode == 0
    return place


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_disk_without_hard_links_keeps_what_is_replaced(
    nas: Path, config: Path
) -> None:
    """As on FAT: what a changed file had is kept aside by a copy."""
    (nas / PART).write_bytes(b"not Parquet")
    fault = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM"]
    command = [sys.executable, "-m", "bikecollect", "--config", str(config), "push"]

    process = subprocess.run(
        ["strace", "-f", "-o", os.devnull, *fault, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    (kept,) = (nas / "replaced" / PART).iterdir()
    found = bikecollect("--config", config, "verify", "--mirror")
    assert (process.returncode, process.stderr) == (0, "")
    assert kept.read_bytes() == b"not Parquet"
    assert found.returncode == 0


def test_the_error_of_a_folder_is_that_of_the_system(nas: Path, config: Path) -> None:
    """It is not cut, and does not name parts of the library."""
    shutil.rmtree(nas / "live", ignore_errors=True)
    (nas / "live").write_bytes(b"")

    process = bikecollect("--config", config, "push", "--live")

    assert process.returncode == 69
    assert process.stderr.endswith(": Not a directory\n")
