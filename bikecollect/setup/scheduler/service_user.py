"""The system user of a system-wide service: its creation, its folder, its access.

A separate user limits what the service can access. It is not systemd's DynamicUser, so
that members of its group can read the data.
"""

import grp
import os
import pwd
import shlex
import shutil
import stat
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.setup.scheduler import systemctl
from bikecollect.storage.files import durable
from bikecollect.storage.files.trusted_files import user_name

NAME = "bikecollect"
ROOT = 0
LINGER = Path("/var/lib/systemd/linger")
"""Has a file for each user whose timers also run while logged out."""
MODE = 0o750
"""Mode of the data folder: readable by the group."""
DECLARED = f'u {NAME} - "collects the history of bike-share systems"'
"""The declaration of the user, see sysusers.d(5)."""


def choose(data: Path) -> str:
    """Return the user that runs the service: the owner of *data*, but never root.

    >>> choose(Path("/nowhere"))
    'bikecollect'
    """
    uid = data.stat().st_uid if data.exists() else ROOT
    if uid == ROOT:
        return NAME
    return next((e.pw_name for e in pwd.getpwall() if e.pw_uid == uid), str(uid))


def to_linger() -> str:
    """Return the command by which our own timers run while we are logged out.

    It is empty if they do.
    """
    name = user_name(os.geteuid())
    return "" if (LINGER / name).exists() else f"loginctl enable-linger {name}"


def prepare(data: Path) -> None:
    """Create the user if it is missing, and the folder *data*, which it owns.

    Raises StorageError if that fails, and SettingsError if *data* has files of root:
    their owner must be changed by hand.
    """
    _create_user()
    try:
        durable.make_folder(data)
        if data.stat().st_uid != ROOT:
            return
        if any(data.iterdir()):
            raise SettingsError(
                f"{data} belongs to root and is not empty, but the service runs as "
                f"`{NAME}`; run: {chown_command(data)}"
            )
        shutil.chown(data, NAME, NAME)
        data.chmod(MODE)
    except (OSError, LookupError) as error:
        raise StorageError(f"cannot create {data} for `{NAME}`: {error}") from error


def chown_command(data: Path) -> str:
    """Return the command that makes the service's user own *data* and its contents."""
    return shlex.join(["chown", "-R", f"{NAME}:{NAME}", str(data)])


def obstacles(
    user: str,
    program: Path,
    files: Iterable[Path],
    *,
    code: Sequence[Path],
    prefix: Path | None,
) -> list[str]:
    """Return why *user* cannot run *program* or read *files*, each with the remedy.

    The program is installed in the virtual environment *prefix*, if in one, and needs
    its *code*, of which its interpreter may be elsewhere: that of `uv` or `pyenv` is in
    a home. Empty if *user* can do both, or does not exist yet.
    """
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return []
    groups = os.getgrouplist(user, account.pw_gid)
    group = grp.getgrgid(account.pw_gid).gr_name
    problems = []
    closed = (_first_closed(p, account.pw_uid, groups) for p in (program, *code))
    if place := next(filter(None, closed), None):
        if prefix and place.is_relative_to(prefix):  # installed with a umask of 077
            remedy = f"; run: {_opening(prefix)}"
        else:
            remedy = (
                ": install bikecollect where every user can run it, such as "
                "/opt/bikecollect, with a Python that every user can run"
            )
        text = f"{user} cannot run {program} (no access to {place})"
        problems.append(text + remedy)
    for path in files:
        place = _first_closed(path, account.pw_uid, groups)
        if place == path:
            name = shlex.quote(str(path))
            remedy = f"chgrp {group} {name} && chmod 640 {name}"
            problems.append(f"{user} cannot read {path}; run: {remedy}")
        elif place:
            problems.append(
                f"{user} cannot read {path} (no access to {place}): move it to /etc"
            )
    return problems


def _opening(prefix: Path) -> str:
    """Return the command that lets all users run what is installed in *prefix*.

    It does not open what else is there, perhaps settings with a password.

    >>> _opening(Path("/opt/x"))
    'cd /opt/x && chmod a+rX . && chmod -R a+rX bin lib pyvenv.cfg'
    """
    place = shlex.quote(str(prefix))
    return f"cd {place} && chmod a+rX . && chmod -R a+rX bin lib pyvenv.cfg"


def _create_user() -> None:
    with suppress(KeyError):
        pwd.getpwnam(NAME)
        return
    error = systemctl.control(["systemd-sysusers", "--inline", DECLARED])
    if error:
        raise StorageError(
            f"cannot create the user `{NAME}`: {error}; create it, then install again: "
            f"useradd --system --user-group {NAME}"
        )


def _first_closed(path: Path, uid: int, groups: Collection[int]) -> Path | None:
    """Return the first part of *path* that *uid* cannot enter or read."""
    target = path.resolve()
    for place in (*reversed(target.parents), target):
        try:
            status = place.stat()
        except OSError:
            return None  # missing, or not visible to us: systemd reports it
        needed = stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else stat.S_IROTH
        shift = 6 if status.st_uid == uid else 3 if status.st_gid in groups else 0
        if not status.st_mode >> shift & needed:
            return path if place == target else place
    return None
