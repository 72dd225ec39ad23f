"""What the doctor asks of the machine: its file systems, and whether cron runs."""

from collections.abc import Callable
from pathlib import Path

BAD_FILE_SYSTEMS = {
    "nfs": "locks and syncs are only as good as the server's",
    "nfs4": "locks and syncs are only as good as the server's",
    "cifs": "locks and syncs are only as good as the server's",
    "9p": "syncs may not reach the disk",
    "vfat": "no permissions, and a crash may damage it",
    "exfat": "no permissions, and a crash may damage it",
    "tmpfs": "it is memory: a reboot empties it",
    "overlay": "it may be gone with its container",
}


def file_system(place: Path) -> str:
    """Return the type of the file system that holds *place*, empty if unknown."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    except OSError:
        return ""
    real = str(place.resolve())
    for line in mounts.splitlines():
        _, where, name, *_ = line.split(" ")
        where = where.encode().decode("unicode_escape")
        inside = real == where or real.startswith(f"{where.rstrip('/')}/")
        if inside and len(where) >= len(best):
            best, kind = where, name
    return kind


def cron_daemon(
    names: tuple[str, ...] = ("cron", "crond", "cronie", "fcron", "busybox"),
    listing: Callable[[], list[Path]] = lambda: list(Path("/proc").glob("[0-9]*/comm")),
) -> str:
    """Return the name of a cron that runs, empty where none is seen."""
    for path in listing():
        try:
            name = path.read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if name in names[:-1]:
            return f"{name} runs, process {path.parent.name}"
    return ""
