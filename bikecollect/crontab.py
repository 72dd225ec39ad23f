"""The user's crontab, through the program that owns it; and unit files."""

import os
import shutil
import subprocess
from pathlib import Path

from bikecollect.durable import make_folder, sync_folder, write_file
from bikecollect.errors import FeedUnavailable, StorageError

PATIENCE = 20.0
NONE = "no crontab for"


def read() -> str:
    """Return the user's crontab, empty where there is none.

    Raises FeedUnavailable where the program is missing, StorageError where it fails.
    """
    done = _run(["-l"])
    if done.returncode and NONE not in done.stderr:
        raise StorageError(f"crontab -l failed: {done.stderr.strip()}")
    return "" if done.returncode else done.stdout


def write(text: str) -> None:
    """Make *text* the user's crontab; raises as `read` does."""
    done = _run(["-"], text)
    if done.returncode:
        raise StorageError(f"crontab refused the new lines: {done.stderr.strip()}")


def write_unit(path: Path, text: str) -> None:
    """Write the unit file *path* in one step; raises StorageError."""
    try:
        make_folder(path.parent)
        aside = path.with_name(f".{path.name}.tmp")
        write_file(aside, text.encode("utf-8"))
        aside.chmod(0o644)
        aside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def remove_unit(path: Path) -> bool:
    """Remove the unit file *path*; return whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error}") from error
    return True


def systemctl(*arguments: str) -> str:
    """Run systemctl; return what went wrong, empty where nothing did."""
    program = shutil.which("systemctl")
    if program is None:
        return "systemctl is not here"
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or "it failed") if done.returncode else ""


def _run(
    arguments: list[str], text: str | None = None
) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("crontab", path=f"{_path()}:/usr/bin:/bin")
    if program is None:
        raise FeedUnavailable(
            "there is no program crontab here: install cron (on Debian and Ubuntu: "
            "apt install cron), or use --systemd",
            cause="crontab",
        )
    try:
        return subprocess.run(  # noqa: S603 - fixed words
            [program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            errors="surrogateescape",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"crontab: {error}") from error


def _path() -> str:
    return os.environ.get("PATH", "")
