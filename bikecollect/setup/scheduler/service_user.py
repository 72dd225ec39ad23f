"""The system user of a system-wide service: made, given its folder, and able to read.

A user of its own can do nothing but collect. A static one, not systemd's DynamicUser,
for people shall read the data: whoever is in its group may.
"""

import grp
import os
import pwd
import shlex
import shutil
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.setup.scheduler import systemd
from bikecollect.storage.files import durable

NAME = "bikecollect"
ROOT = 0
MODE = 0o750
"""Of the folder of the data: the group reads."""
DECLARED = f'u {NAME} - "collects the history of bike-share systems"'
"""After sysusers.d(5)."""


def chosen(data: Path) -> str:
    """Return who shall run the service: who owns *data*, but never root.

    >>> chosen(Path("/nowhere"))
    'bikecollect'
    """
    uid = data.stat().st_uid if data.exists() else ROOT
    if uid == ROOT:
        return NAME
    return next((e.pw_name for e in pwd.getpwall() if e.pw_uid == uid), str(uid))


def prepare(data: Path) -> None:
    """Make the user where it is missing, and its folder *data*, where it may write.

    Raises StorageError where the machine refuses, and SettingsError for a folder in
    which root has collected: what lies in it must be given away by hand.
    """
    _make_user()
    try:
        durable.make_folder(data)
        if data.stat().st_uid != ROOT:
            return
        if any(data.iterdir()):
            raise SettingsError(
                f"{data} belongs to root and is not empty, but the service is no "
                f"longer root's; run: {given(data)}"
            )
        shutil.chown(data, NAME, NAME)
        data.chmod(MODE)
    except (OSError, LookupError) as error:
        raise StorageError(f"cannot make {data} for {NAME}: {error}") from error


def given(data: Path) -> str:
    """Return the command that gives *data*, and all in it, to the service's user."""
    return shlex.join(["chown", "-R", f"{NAME}:{NAME}", str(data)])


def obstacles(user: str, program: Path, files: Iterable[Path]) -> list[str]:
    """Return what keeps *user* from running *program* or reading *files*.

    Each with what changes it. Nothing is said where there is no such user.
    """
    try:
        about = pwd.getpwnam(user)
    except KeyError:
        return []
    groups = os.getgrouplist(user, about.pw_gid)
    group = grp.getgrgid(about.pw_gid).gr_name
    found = []
    if place := _shut(program, about.pw_uid, groups):
        found.append(
            f"{user} cannot run {program} ({place} is closed to it): install "
            "bikecollect where everybody may run it, such as in /opt/bikecollect"
        )
    for path in files:
        place = _shut(path, about.pw_uid, groups)
        if place == path:
            name = shlex.quote(str(path))
            cure = f"chgrp {group} {name} && chmod 640 {name}"
            found.append(f"{user} cannot read {path}; run: {cure}")
        elif place:
            found.append(
                f"{user} cannot read {path} ({place} is closed to it): move it to /etc"
            )
    return found


def _make_user() -> None:
    with suppress(KeyError):
        pwd.getpwnam(NAME)
        return
    error = systemd.control(["systemd-sysusers", "--inline", DECLARED])
    if error:
        raise StorageError(
            f"cannot make the user {NAME}: {error}; make it, then install again: "
            f"useradd --system --user-group {NAME}"
        )


def _shut(path: Path, uid: int, groups: Collection[int]) -> Path | None:
    """Return the first place on the way to *path* that is closed to *uid*."""
    way = path.resolve()
    for place in (*reversed(way.parents), way):
        try:
            about = place.stat()
        except OSError:
            return None  # not there, or not for us to see: systemd will say so
        needed = stat.S_IXOTH if stat.S_ISDIR(about.st_mode) else stat.S_IROTH
        shift = 6 if about.st_uid == uid else 3 if about.st_gid in groups else 0
        if not about.st_mode >> shift & needed:
            return path if place == way else place
    return None
