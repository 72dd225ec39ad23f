"""A disk that hangs: a file system of FUSE whose server is stopped."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import PATIENCE, wait_until


class HangingDisk:
    """The disk mounted at *place*; its *server* answers until it hangs."""

    def __init__(self, place: Path, server: "subprocess.Popen[bytes]") -> None:
        self.place, self._server = place, server

    def hang(self) -> None:
        """Let it answer nothing any more."""
        self._server.send_signal(signal.SIGSTOP)

    def die(self) -> None:
        """End its server, as a lost connection does: each call fails at once."""
        self._server.kill()
        self._server.wait()

    def go_on(self) -> None:
        """Let it answer again, also what it was asked meanwhile."""
        self._server.send_signal(signal.SIGCONT)


@contextmanager
def hanging_disk(folder: Path) -> Iterator[HangingDisk]:
    """Mount a disk in *folder*; skip the test where that is not possible."""
    if shutil.which("bindfs") is None or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("no bindfs here")
    source, place = folder / "disk", folder / "mnt"
    source.mkdir()
    place.mkdir()
    server = subprocess.Popen(["bindfs", "-f", source, place], stderr=subprocess.PIPE)
    wait_until(lambda: place.is_mount() or server.poll() is not None, "mounted")
    if server.poll() is not None:
        server.communicate()
        pytest.skip("no FUSE here")
    disk = HangingDisk(place, server)
    try:
        yield disk
    finally:
        disk.go_on()
        subprocess.run(["fusermount", "-u", "-z", place], check=True)
        server.communicate(timeout=PATIENCE)
