"""The user's folders for settings, data and state, by the XDG specification.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

import os
import stat
from pathlib import Path

OURS = "bikecollect"
VAR_TMP = Path("/var") / "tmp"
NOWHERE = Path("/proc/nowhere")
"""Stands for a folder that does not exist; in proc(5) not even root can create one."""
STATE = ".state"
"""The folder in the data folder for the state of users without a home."""


def config_home() -> Path | None:
    """Return the folder for the user's settings, None for a user without a home."""
    return _home("XDG_CONFIG_HOME", ".config")


def data_home() -> Path | None:
    """Return the folder for the user's data, None for a user without a home."""
    return _home("XDG_DATA_HOME", ".local/share")


def state_home() -> Path | None:
    """Return the folder for state that is kept between runs.

    If no home is writable (`docker run -u 12345`) it is the one of
    `use_state_beside`, or None if that was not called.
    """
    home = _home("XDG_STATE_HOME", ".local/state")
    if home is not None and _can_be_made(home / OURS):
        return home
    return _beside[-1] if _beside else home


def place_of_settings() -> Path:
    """Return the folder for the user's settings, or NOWHERE; no disk is asked."""
    return _place("XDG_CONFIG_HOME", ".config")


def place_of_state() -> Path:
    """Return where the user's state is, if it is there; no disk is asked."""
    return _place("XDG_STATE_HOME")


def lasting_home() -> Path | None:
    """Return the folder for what must be known without the data disk.

    If no home is writable it is one in `$TMPDIR`, else in `/var/tmp`, which is kept at
    a reboot; None if that belongs to another user.
    """
    home = _home("XDG_STATE_HOME", ".local/state")
    if home is not None and _can_be_made(home / OURS):
        return home
    temporary = Path(os.environ.get("TMPDIR", ""))
    temporary = temporary if temporary.is_absolute() else VAR_TMP
    if not temporary.is_dir():
        return None
    spare = temporary / f"{OURS}-{os.geteuid()}"
    try:
        status = spare.lstat()
    except OSError:
        return spare
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return spare if is_own else None


def cache_home() -> Path | None:
    """Return the folder for recreatable copies; falls back like `state_home`."""
    home = _home("XDG_CACHE_HOME", ".cache")
    if home is not None and _can_be_made(home / OURS):
        return home
    return _beside[-1] if _beside else home


_beside: list[Path] = []


def use_state_beside(data: Path) -> None:
    """Keep state in the folder *data* if the user has no home for it."""
    _beside[:] = [data / STATE]


def _can_be_made(folder: Path) -> bool:
    """Return whether we can write to *folder*, or create it."""
    try:
        while not folder.exists():
            folder = folder.parent
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


def _place(variable: str, default: str = "") -> Path:
    if (own := _own(variable)) is not None:
        return own
    home = _user_home()
    return NOWHERE if home is None else home / default


def _home(variable: str, default: str) -> Path | None:
    if (own := _own(variable)) is not None:
        return own
    home = _user_home()
    return None if home is None or _is_missing(home) else home / default


def _own(variable: str) -> Path | None:
    # "If an implementation encounters a relative path it should consider the path
    # invalid and ignore it": it would be relative to the current folder.
    own = Path(os.environ.get(variable, ""))
    return own if own.is_absolute() else None


def _user_home() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_absolute() else None


def _is_missing(home: Path) -> bool:
    """Return whether there is no folder *home*, as for `nobody`: root could create it.

    One that cannot be reached may be there.
    """
    try:
        return not stat.S_ISDIR(home.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
