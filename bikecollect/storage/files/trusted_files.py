"""Files that decide what runs: whose they are, and who else may change them."""

import os
import stat
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError, UntrustedFile
from bikecollect.storage.files.regular_file import read_file

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
        raise UntrustedFile(
            f"others may put files into {path}: what you use must lie in a folder that "
            "only you may write to",
            f"mkdir -m 700 {quoted(path / 'mine')}, and move it there",
        )


def check_owner(path: Path, whole: Path) -> None:
    """Raise SettingsError where *path*, in the folder *whole*, is another user's."""
    owners = {path.lstat().st_uid, path.stat().st_uid} - {ROOT, os.geteuid()}
    if not owners:
        return
    them, me = user_name(owners.pop()), user_name(os.geteuid())
    raise UntrustedFile(
        f"{path} belongs to the user {them}: call bikecollect as {them}, or take the "
        "folder over",
        f"sudo chown -R {me} {quoted(whole)}",
    )


def check_closed(path: Path) -> None:
    """Raise SettingsError where others may write to the folder *path*."""
    about = path.stat()
    if _others_write(path):
        raise UntrustedFile(
            f"others may write to {path} (mode {stat.S_IMODE(about.st_mode):04o})",
            f"{_sudo(about.st_uid)}chmod go-w {quoted(path)}",
        )


def others_read(path: Path) -> bool:
    """Return whether more than its owner may read *path*, or whom root has chosen.

    That is a group of one's own, or any that root gave a file of root's to.
    """
    about = path.stat()
    if about.st_mode & 0o007:
        return True
    given = about.st_uid == ROOT != about.st_gid
    return bool(about.st_mode & 0o070) and not (given or _only_mine(path, about.st_gid))


def read_secret(path: Path) -> str:
    """Return the secret in the file *path*: one line of a file of one's own.

    Raises OSError, and SettingsError where others may read or change the file,
    or where it holds something else than one line, such as a private key.
    """
    check_file(path)
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise UntrustedFile(
            f"others may read the secret in {path} (mode {mode:04o})",
            f"chmod 600 {quoted(path)}",
        )
    return read_credential(path)


def read_credential(path: Path) -> str:
    """Return the secret in *path* as `read_secret`, whoever owns the file.

    For what systemd put there: it keeps others out by means of its own.
    """
    data = read_file(os.path.realpath(path), SECRET_BYTES)
    try:
        text = data.removeprefix(BOM_UTF8).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error.reason}") from error
    if not text or any(each in text for each in "\r\n\0"):
        raise SettingsError(f"{path} must hold one line, the secret, and no more")
    return text


def credential(name: str) -> Path | None:
    """Return the service's credential called *name*, None where it has none.

    A name with a slash is a path, and none: it could lead anywhere.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder or "/" in name:
        return None
    path = Path(folder) / name
    return path if path.is_file() else None


def weak_parent(path: Path) -> Path | None:
    """Return the nearest folder above *path* that others may rename, None for none.

    Beside those that `check_file` refuses: whoever may write to a folder may put
    another one in place of each in it.
    """
    for place in path.absolute().parents[:-1]:
        about = place.parent.stat()
        ours = about.st_uid in {ROOT, os.geteuid()}
        if not ours or (
            _others_write(place.parent) and not about.st_mode & stat.S_ISVTX
        ):
            return place
    return None


def quoted(path: Path) -> str:
    """Return *path* as a word of a command."""
    import shlex  # only on the way to an error

    return shlex.quote(str(path))


def user_name(uid: int) -> str:
    """Return the name of the user *uid*, or the number where it has none."""
    import pwd  # only on the way to an error

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
        raise UntrustedFile(
            f"{path} belongs to the user {user_name(about.st_uid)}, who may change it "
            "at any time",
            f"sudo chown {user_name(os.geteuid())} {quoted(path)}",
            first="if you trust what it holds, ",
        )
    sticky = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
    if not stat.S_ISLNK(about.st_mode) and not sticky and _others_write(path):
        raise UntrustedFile(
            f"others may write to {path} (mode {stat.S_IMODE(about.st_mode):04o})",
            f"{_sudo(about.st_uid)}chmod go-w {quoted(path)}",
            first="look at what it holds, then ",
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
    import grp  # only where a group may write
    import pwd

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
