"""The user's folders for settings, data and state, by the XDG specification."""

import os
from pathlib import Path

OURS = "bikecollect"


def config_home() -> Path | None:
    """Return the folder for the user's settings, None for a user without a home."""
    return _home("XDG_CONFIG_HOME", ".config")


def data_home() -> Path | None:
    """Return the folder for the user's data, None for a user without a home."""
    return _home("XDG_DATA_HOME", ".local/share")


def state_home() -> Path | None:
    """Return the folder for state that is kept between runs, None without a home."""
    return _home("XDG_STATE_HOME", ".local/state")


def _home(variable: str, default: str) -> Path | None:
    # "If an implementation encounters a relative path it should consider the path
    # invalid and ignore it": it would be relative to the current folder.
    folder = Path(os.environ.get(variable, ""))
    if folder.is_absolute():
        return folder
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / default if home.is_absolute() else None
