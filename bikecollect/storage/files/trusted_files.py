"""Check files on which the program relies: who owns them, and who may change them."""

import errno
import os
import stat
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError, UntrustedFile
from bikecollect.core.text import AS_ROOT, to_run
from bikecollect.storage.files.entries import mount_of
from bikecollect.storage.files.regular_file import read_file

SECRET_BYTES = 4_096
ROOT = 0
PLAIN = frozenset({stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK})
WITHOUT_MODES = ("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk")
"""File systems of Windows: an option of the mount gives all files the same mode."""
LINKS = 40
"""The maximum number of links that Linux follows, see path_resolution(7)."""


def check_file(path: Path) -> None:
    """Raise SettingsError if others may change or replace the file *path*.

    Only root and the user of this process may own or write to the file, its folder
    and the links to it. A file that does not exist is skipped.
    """
    for place in _link_targets(path):
        _check(place.parent)
        _check(place)


def check_folder(path: Path) -> None:
    """Raise SettingsError if others may create files in the folder *path*."""
    for place in _link_targets(path):
        _check(place)
    if path.is_dir() and _others_write(path):  # sticky, or rejected above
        raise UntrustedFile(
            f"others may create files in {path}: use a folder that only you can write "
            "to",
            f"mkdir -m 700 {quoted(path / 'mine')}, and move it there",
        )


def check_owner(path: Path, root: Path) -> None:
    """Raise SettingsError if *path*, in the folder *root*, is another user's."""
    owners = {path.lstat().st_uid, path.stat().st_uid} - {ROOT, os.geteuid()}
    if not owners:
        return
    owner, me = user_name(owners.pop()), user_name(os.geteuid())
    raise UntrustedFile(
        f"{path} belongs to the user {owner}: run bikecollect as {owner}, or change "
        "the owner",
        as_root(f"chown -R {me} {quoted(root)}"),
    )


def check_closed(path: Path) -> None:
    """Raise SettingsError if others may write to the folder *path*."""
    info = path.stat()
    if _others_write(path):
        raise UntrustedFile(
            f"others may write to {path} (mode {stat.S_IMODE(info.st_mode):04o})",
            _closing(path, _as(info.st_uid, f"chmod go-w {quoted(path)}")),
        )


def check_writable(path: Path) -> None:
    """Raise PermissionError if the folder *path* is another user's and not writable."""
    is_foreign = path.stat().st_uid != os.geteuid()
    if is_foreign and not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def access_remedy(folder: Path, error: OSError) -> str:
    """Return what helps if *folder* cannot be reached, empty for other errors.

    Data of another user are named as such: what takes them over stops that user's runs.
    """
    if isinstance(error, NotADirectoryError):
        files = [path for path in (folder, *folder.parents) if path.is_file()]
        return "".join(f"; {path} is a file: move it away" for path in files)
    if not isinstance(error, PermissionError) or os.geteuid() == ROOT:
        return ""
    me, place, owner = user_name(os.geteuid()), quoted(folder), ""
    with suppress(OSError):
        if (uid := folder.stat().st_uid) == os.geteuid():
            return f"; run: chmod -R u+rwX {place}"
        owner = f"it belongs to {user_name(uid)}: run this as {user_name(uid)}, or "
    return f"; {owner}{to_run(as_root(f'chown -R {me} {place}'))}"


def others_read(path: Path) -> bool:
    """Return whether users other than the intended ones may read *path*.

    Intended are the owner, the owner's private group, and the group of a file that
    root owns.
    """
    info = path.stat()
    if info.st_mode & 0o007:
        return True
    by_root = info.st_uid == ROOT != info.st_gid
    return bool(info.st_mode & 0o070) and not (
        by_root or _is_private_group(path, info.st_gid)
    )


def read_secret(path: Path) -> str:
    """Return the secret in the file *path*: one line of a private file.

    Raises OSError, and SettingsError if others may read or change the file, or if it
    does not hold exactly one line (a private key, for example).
    """
    check_file(path)
    if path.is_dir():
        raise SettingsError(f"{path} is a folder, not a file with a secret")
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise UntrustedFile(
            f"others may read the secret in {path} (mode {mode:04o})",
            _closing(path, f"chmod 600 {quoted(path)}"),
        )
    return read_credential(path)


def read_credential(path: Path) -> str:
    """Return the secret in *path* like `read_secret`, without checking the owner.

    For systemd credentials, which systemd protects.
    """
    data = read_file(os.path.realpath(path), SECRET_BYTES)
    try:
        text = data.removeprefix(BOM_UTF8).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error.reason}") from error
    if not text or any(character in text for character in "\r\n\0"):
        raise SettingsError(f"{path} must hold exactly one line: the secret")
    return text


def credential(name: str) -> Path | None:
    """Return the path of the service's credential *name*, None if it has none.

    A name with a slash is ignored, because it could lead out of the folder.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder or "/" in name:
        return None
    path = Path(folder) / name
    return path if path.is_file() else None


def read_setting(key: str, name: str, path: Path) -> str:
    """Return the secret of the setting *key*; raises SettingsError if it is not safe.

    It is the service's credential *name* if there is one (see LoadCredential= in
    systemd.exec), else the line in the file *path*.
    """
    own = credential(name)
    try:
        return read_credential(own) if own else read_secret(path)
    except UntrustedFile as error:
        raise UntrustedFile(f"{key}: {error.problem}", error.remedy) from error
    except SettingsError as error:
        raise SettingsError(f"{key}: {error}") from error
    except OSError as error:
        raise SettingsError(f"{key}: cannot read {path}: {error.strerror}") from error


def check_bundle(key: str, path: Path) -> None:
    """Raise SettingsError if others can change the certificates in *path*."""
    try:
        check_file(path)
        usable = not path.exists() or path.is_file() or path.is_dir()
    except SettingsError as error:
        raise SettingsError(f"{key}: {error}") from error
    except OSError as error:
        raise SettingsError(f"{key}: cannot read {path}: {error.strerror}") from error
    if not usable:
        raise SettingsError(f"{key}: {path} is not a regular file")


def weak_parent(path: Path) -> Path | None:
    """Return the nearest folder above *path* that others may rename, None for none.

    `check_file` checks only the nearest folder, but a user who may write to a folder
    may replace any folder in it.
    """
    for folder in path.absolute().parents[:-1]:
        info = folder.parent.stat()
        is_ours = info.st_uid in {ROOT, os.geteuid()}
        if not is_ours or (
            _others_write(folder.parent) and not info.st_mode & stat.S_ISVTX
        ):
            return folder
    return None


def quoted(path: Path | str) -> str:
    """Return *path* or another word quoted for a shell command."""
    import shlex  # only on the way to an error

    return shlex.quote(str(path))


def from_mirror(before: str, system_id: str, mirror: str, after: str = "") -> str:
    """Return the command that fills a system from the *mirror*, between two texts.

    The result is empty if there is no mirror.

    >>> from_mirror("; or: ", "city", "s3://mine"), from_mirror("; or: ", "city", "")
    ('; or: bikecollect backfill city --from s3://mine', '')
    """
    if not mirror:
        return ""
    return f"{before}bikecollect backfill {system_id} --from {quoted(mirror)}{after}"


def user_name(uid: int) -> str:
    """Return the name of the user *uid*, or its number if it has no name."""
    import pwd  # only on the way to an error

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owned_by_us(folder: Path) -> str:
    """Return the command that creates *folder* for this user."""
    return as_root(f"install -d -o {user_name(os.geteuid())} {quoted(folder)}")


def _link_targets(path: Path) -> Iterator[Path]:
    """Yield *path* and the target of each link that it leads to, if they exist."""
    for _ in range(LINKS):
        if not os.path.lexists(path):
            return
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _check(path: Path) -> None:
    info = path.lstat()
    if stat.S_IFMT(info.st_mode) not in PLAIN:  # no chmod of a device is a remedy
        raise SettingsError(f"{path} is not a regular file")
    if info.st_uid not in {ROOT, os.geteuid()}:
        raise UntrustedFile(
            f"{path} belongs to the user {user_name(info.st_uid)}, who may change it "
            "at any time",
            as_root(f"chown {user_name(os.geteuid())} {quoted(path)}"),
            first="if you trust its content, ",
        )
    is_sticky = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX
    if not stat.S_ISLNK(info.st_mode) and not is_sticky and _others_write(path):
        raise UntrustedFile(
            f"others may write to {path} (mode {stat.S_IMODE(info.st_mode):04o})",
            _closing(path, _as(info.st_uid, f"chmod go-w {quoted(path)}")),
            first="check its content, then ",
        )


def as_root(command: str) -> str:
    """Return *command* as this user can run it with root's rights."""
    from shutil import which  # only after a mistake

    if os.geteuid() == ROOT:
        return command
    return f"sudo {command}" if which("sudo") else f"{AS_ROOT}{command}"


def _closing(path: Path, chmod: str) -> str:
    """Return what closes *path* to others: *chmod*, or options of its mount.

    On a disk of Windows a file has no mode of its own, and chmod changes nothing.
    """
    kind, folder, device = mount_of(path)
    if kind not in WITHOUT_MODES:
        return chmod
    options = f"uid={os.geteuid()},umask=077"
    again = f"mount -o {options} {quoted(device)} {quoted(folder)}"
    return as_root(f"sh -c {quoted(f'umount {quoted(folder)} && {again}')}")


def _as(owner: int, command: str) -> str:
    return command if owner == os.geteuid() else as_root(command)


def _others_write(path: Path) -> bool:
    info = path.stat()
    if info.st_mode & stat.S_IWOTH:
        return True
    is_group_writable = bool(info.st_mode & stat.S_IWGRP)
    return is_group_writable and not _is_private_group(path, info.st_gid)


def _is_private_group(path: Path, gid: int) -> bool:
    """Return whether only the user of this process is in the group *gid*.

    Many systems give each user such a group, and a umask that lets it write. If the
    file has an access control list, the group's bits have another meaning.
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
