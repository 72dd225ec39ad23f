"""Files that decide what runs: whose they are, and who else may change them."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError

SECRET_BYTES = 4_096
ROOT = 0
LINKS = 40
"""As many as Linux follows."""


def check_file(path: Path) -> None:
    """Raise SettingsError where others may change or replace the file *path*.

    Only root and the user of this process may: own it and its folder, own the links
    that lead to it, and write there. Nothing is said of what is not there.
    """
    for place in _way(path):
        _check(place.parent)
        _check(place)


def check_folder(path: Path) -> None:
    """Raise SettingsError where others may put files into the folder *path*."""
    for place in _way(path):
        _check(place)
    if path.is_dir() and _others_write(path):  # and sticky, or it were refused above
        raise SettingsError(
            f"others may put files into {path}: move what you use to a folder that "
            "only you may write to"
        )


def read_regular(path: Path, most: int) -> bytes:
    """Return what the regular file *path* holds, *most* bytes at most.

    Never waits for another process (a FIFO, a device). Raises OSError, and
    SettingsError for what is no regular file or longer.
    """
    # A device may act when it is opened: what it is comes first, and again after.
    if not stat.S_ISREG(path.stat().st_mode):
        raise SettingsError(f"{path} is not a regular file")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(fd, "rb") as opened:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SettingsError(f"{path} is not a regular file")
        data = opened.read(most + 1)
    if len(data) > most:
        raise SettingsError(f"{path} is longer than {most:,} bytes")
    return data


def read_secret(path: Path) -> str:
    """Return the secret in the file *path*: one line of a file of one's own.

    Raises OSError, and SettingsError where others may read or change the file,
    or where it holds something else than one line, such as a private key.
    """
    check_file(path)
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise SettingsError(
            f"others may read the secret in {path} (mode {mode:04o}); "
            f"run: chmod 600 {quoted(path)}"
        )
    return read_credential(path)


def read_credential(path: Path) -> str:
    """Return the secret in *path* as `read_secret`, whoever owns the file.

    For what systemd put there: it keeps others out by means of its own.
    """
    data = read_regular(path, SECRET_BYTES)
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error.reason}") from error
    if not text or any(each in text for each in "\r\n\0"):
        raise SettingsError(f"{path} must hold one line, the secret, and no more")
    return text


def quoted(path: Path) -> str:
    """Return *path* as a word of a command."""
    import shlex  # noqa: PLC0415 - only on the way to an error

    return shlex.quote(str(path))


def user_name(uid: int) -> str:
    """Return the name of the user *uid*, or the number where it has none."""
    import pwd  # noqa: PLC0415 - only on the way to an error

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _way(path: Path) -> Iterator[Path]:
    """Yield *path*, and what each link at its place leads to; those that are there."""
    for _ in range(LINKS):
        if not os.path.lexists(path):
            return
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _check(path: Path) -> None:
    about = path.lstat()
    if about.st_uid not in {ROOT, os.geteuid()}:
        me = user_name(os.geteuid())
        raise SettingsError(
            f"{path} belongs to the user {user_name(about.st_uid)}, who may change it "
            "at any time; if you trust what it holds, run: "
            f"sudo chown {me} {quoted(path)}"
        )
    sticky = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
    if not stat.S_ISLNK(about.st_mode) and not sticky and _others_write(path):
        raise SettingsError(
            f"others may write to {path} (mode {stat.S_IMODE(about.st_mode):04o}); "
            "look at what it holds, then run: "
            f"{_sudo(about.st_uid)}chmod go-w {quoted(path)}"
        )


def _sudo(owner: int) -> str:
    return "" if owner == os.geteuid() else "sudo "


def _others_write(path: Path) -> bool:
    about = path.stat()
    if about.st_mode & stat.S_IWOTH:
        return True
    return bool(about.st_mode & stat.S_IWGRP) and not _only_mine(path, about.st_gid)


def _only_mine(path: Path, gid: int) -> bool:
    """Tell whether nobody but the user of this process is in the group *gid*.

    Many systems give each user such a group, and a mask that lets it write. The
    group's bits mean something else where the file has an access control list.
    """
    import grp  # noqa: PLC0415 - only where a group may write
    import pwd  # noqa: PLC0415 - as above

    uid = os.geteuid()
    if uid == ROOT or _has_access_list(path):
        return False
    try:
        me, members = pwd.getpwuid(uid), grp.getgrgid(gid).gr_mem
    except KeyError:
        return False
    others = [e.pw_name for e in pwd.getpwall() if e.pw_gid == gid and e.pw_uid != uid]
    return me.pw_gid == gid and not others and set(members) <= {me.pw_name}


def _has_access_list(path: Path) -> bool:
    with suppress(OSError):
        return "system.posix_acl_access" in os.listxattr(path)
    return False
