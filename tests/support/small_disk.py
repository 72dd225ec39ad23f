"""A small disk that tests mount and fill."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_namespaces = pytest.mark.skipif(
    subprocess.run(
        ["unshare", "-Urm", "true"], check=False, capture_output=True
    ).returncode
    != 0,
    reason="no user namespaces here",
)
"""The mark of tests whose script mounts a disk in a namespace of its own."""


@contextmanager
def mounted(place: Path, size: str = "256k") -> Iterator[Path]:
    """Mount a disk of *size* at *place*; skip the test where that is not possible."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root can mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def remount(disk: Path, options: str) -> None:
    """Change the *options* of the mounted *disk*."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Fill the *disk* to the last block."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
