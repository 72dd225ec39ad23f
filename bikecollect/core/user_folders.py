"""The user's own folders, as the XDG base directory specification names them."""

import os
from pathlib import Path

OURS = "bikecollect"


def config_home() -> Path | None:
    """Return the folder of the user's settings, None for a user without a home."""
    return _home("XDG_CONFIG_HOME", ".config")


def data_home() -> Path | None:
    """Return the folder of the user's data, None for a user without a home."""
    return _home("XDG_DATA_HOME", ".local/share")


def state_home() -> Path | None:
    """Return the folder of what must outlive a run, None without a home."""
    return _home("XDG_STATE_HOME", ".local/state")


def _home(variable: str, usual: str) -> Path | None:
    # "If an implementation encounters a relative path it should consider the path
    # invalid and ignore it": it would be looked for in the current folder.
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / usual if home.is_absolute() else None
