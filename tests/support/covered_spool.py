"""``bikecollect`` with a folder in place of /var/spool/cron, in a mount namespace.

Run as a program by `forking`: ``python covered_spool.py FOLDER [ARGUMENT]...``.
"""

import ctypes
import os
import runpy
import sys
import tempfile
from pathlib import Path

CRON = b"/var/spool/cron"
OF_THE_MACHINE = (Path("/etc/cron.d"), Path("/etc/crontab"))
"""Crontabs of the whole machine: its own lines would be found, too."""
NO_CRONTAB = "no-crontab"
"""The folder with the program that stands for `crontab` in other tests."""
NEW_NAMESPACE, BIND, PRIVATE = 0x20000, 0x1000, 0x44000
"""CLONE_NEWNS of unshare(2); MS_BIND, and MS_PRIVATE with MS_REC, of mount(2)."""


def cover(folder: str) -> None:
    """Mount *folder* over the machine's crontabs, for this process and its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(NEW_NAMESPACE))
    _check(libc.mount(b"none", b"/", None, ctypes.c_ulong(PRIVATE), None))
    source = os.fsencode(folder)
    _check(libc.mount(source, CRON, None, ctypes.c_ulong(BIND), None))
    empty = tempfile.mkdtemp(dir=folder)
    for place, by in zip(OF_THE_MACHINE, (empty, os.devnull), strict=True):
        if place.exists():
            source, target = os.fsencode(by), os.fsencode(place)
            _check(libc.mount(source, target, None, ctypes.c_ulong(BIND), None))
    parts = map(Path, os.environ["PATH"].split(os.pathsep))
    own = [str(part) for part in parts if part.name != NO_CRONTAB]
    os.environ["PATH"] = os.pathsep.join(own)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), "cannot cover the crontabs")


if __name__ == "__main__":
    cover(sys.argv.pop(1))
    runpy.run_module("bikecollect", run_name="__main__", alter_sys=True)
