"""Facts about this machine: the type of a file system, a running cron daemon."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError
from bikecollect.core.text import to_run
from bikecollect.storage.data_folder import MARKER, check_mounted, state_home
from bikecollect.storage.files import flock, trusted_files
from bikecollect.storage.files.durable import REMEDIES, sync_folder
from bikecollect.storage.files.entries import mount_of
from bikecollect.storage.files.known_folders import OF_A_SERVER, REMOTE
from bikecollect.storage.files.trusted_files import (
    WITHOUT_MODES,
    owned_by_us,
    quoted,
    user_name,
)

BAD_FILE_SYSTEMS = {
    "9p": "syncs may not reach the disk",
    **dict.fromkeys(WITHOUT_MODES, "no permissions, and not safe in a crash"),
    "tmpfs": "it is in memory and lost at a reboot",
    "overlay": "it may be deleted with its container",
}
CRON_DAEMONS = frozenset({"cron", "crond", "cronie", "fcron"})
KERNEL_FILE_SYSTEMS = frozenset(
    {
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "mqueue",
        "proc",
        "pstore",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    }
)
"""File systems that show the state of the kernel, and store no files."""


def unusable(place: Path, folder: Path) -> tuple[str, str] | None:
    """Return why nothing can be stored in *place*, and a remedy; None if it can.

    *folder* is *place*, or its nearest parent that exists. Raises OSError.
    """
    if not folder.is_dir():
        text = f"{folder} is a file, not a folder"
        return text, "move it away, or change data_dir"
    kind, mount, _ = mount_of(folder)
    if kind in KERNEL_FILE_SYSTEMS:
        text = f"{place} is not on a disk but in a file system of the kernel ({kind})"
        return text, "set data_dir to a folder on a disk"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        text = f"the file system of {place} is mounted read-only, as after disk errors"
        remount = trusted_files.as_root(f"mount -o remount,rw {mount or place}")
        return text, f"see `dmesg`; then: {remount}"
    if not flock.is_supported(place / "lock"):
        text = f"the file system of {place} has no file locks, so no run can commit"
        return text, REMEDIES[errno.EINVAL]
    try:
        sync_folder(folder)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return f"{folder}: {error.strerror}", REMEDIES[errno.EINVAL]
    return None


def not_creatable(place: Path) -> tuple[str, str] | None:
    """Return why a fetch cannot create *place*, and a remedy; None if it can.

    The remedy is a part of a message: before a command it says that it is to be run.
    """
    try:
        check_mounted(place)
        parent = nearest_existing(place)
        if os.access(parent, os.W_OK):
            return None
    except SettingsError as error:
        if error.cause != "not-mounted":
            problem, _, remedy = str(error).rpartition("; ")
            return problem, remedy
        problem = str(error).partition(": is its disk mounted?")[0]
        if not problem.endswith(MARKER):
            return problem, "mount its disk, or correct the link"
        new = f"mkdir -p {quoted(place)} && touch {quoted(place / MARKER)}"
        return problem, f"mount its disk; to start a new history: {new}"
    except OSError as error:
        return str(error), "change data_dir"
    remedy = to_run(owned_by_us(place.parent))
    return f"no permission to write to {parent}", remedy


def nearest_existing(place: Path) -> Path:
    """Return *place*, or its nearest parent that exists."""
    return place if place.exists() else nearest_existing(place.parent)


def with_files(place: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """Yield *place* and the files in it that match *patterns*."""
    yield place
    for pattern in patterns:
        yield from place.glob(pattern)


def file_system(place: Path) -> str:
    """Return the type of the file system of *place*, empty if unknown."""
    return mount_of(place).kind


def doubt_of(kind: str) -> str:
    """Return why a ledger is not safe on a file system of *kind*, empty if it is."""
    is_remote = kind.startswith(REMOTE)
    return BAD_FILE_SYSTEMS.get(kind) or (OF_A_SERVER if is_remote else "")


def cron_daemon(processes: Path = Path("/proc")) -> str | None:
    """Return the name and process id of a running cron daemon, empty if none runs.

    None if that is unknown: where other users' processes are hidden (`hidepid`), even
    the first one is.
    """
    names: dict[str, str] = {}
    for path in processes.glob("[0-9]*/comm"):
        with suppress(OSError):
            names[path.parent.name] = path.read_text(encoding="utf-8").strip()
    for number, name in names.items():
        if name in CRON_DAEMONS:
            return f"{name} runs, process {number}"
    return "" if "1" in names else None


def state_problem() -> tuple[str, str] | None:
    """Return why the alert state cannot be kept, and a remedy; None if it can.

    A run as another user (`sudo -E`) may have left files that this user cannot change.
    """
    home = state_home()
    me = user_name(os.geteuid())
    remedy = trusted_files.as_root(f"chown -R {me} {quoted(home)}")
    try:
        paths = [home, home / "incidents"]
        paths = [path for path in paths if path.exists()]
        paths += (home / "incidents").iterdir() if paths[1:] else []
    except OSError as error:
        return f"cannot use the state folder {home}: {error.strerror}", remedy
    locked = [path for path in paths if not os.access(path, os.R_OK | os.W_OK)]
    if not locked:
        return None
    return f"cannot change {locked[0]}: alerts cannot be remembered", remedy
