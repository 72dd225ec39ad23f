"""Units on disk, and systemctl."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.storage import durable

SYSTEM_WIDE = Path("/etc/systemd/system")
PATIENCE = 60.0


def user_folder() -> Path:
    """Return where the user's own units lie."""
    home = user_folders.config_home()
    if home is None:
        raise SettingsError("you have no home folder, where your units would lie")
    return home / "systemd" / "user"


def read(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the text of those units called *names* that are in *folder*."""
    try:
        return {
            name: (folder / name).read_text(encoding="utf-8", errors="replace")
            for name in names
            if (folder / name).exists()
        }
    except OSError as error:
        raise StorageError(f"cannot read {error.filename}: {error.strerror}") from error


def write(folder: Path, units: Mapping[str, str]) -> None:
    """Write *units* (texts by name) to *folder*, each whole or not at all."""
    try:
        durable.make_folder(folder)
        for name, text in units.items():
            temporary = folder / f".{name}.tmp"
            durable.write_file(temporary, text.encode())
            temporary.chmod(0o644)
            temporary.replace(folder / name)
        durable.sync_folder(folder)
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"cannot write {where}: {error.strerror}") from error


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove the units called *names* from *folder*, where they are there."""
    try:
        for name in names:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"cannot remove {where}: {error.strerror}") from error


def control(*commands: Sequence[str]) -> str:
    """Run *commands* in turn, up to one that fails; return why it did, else ""."""
    for each in commands:
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, no shell
                each, capture_output=True, timeout=PATIENCE, check=False, text=True
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{each[0]}: {getattr(error, 'strerror', '') or error}"
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
            return f"{each[0]}: {lines[0]}"
    return ""
