"""Calls of systemctl, for the units of the machine or of the user."""

import os
import subprocess
from collections.abc import Sequence

TIMEOUT = 60.0


def control(*commands: Sequence[str]) -> str:
    """Run *commands* in order until one fails; return its error, else ""."""
    for command in commands:
        process, error = _run(command)
        if process is None:
            return error
        if process.returncode:
            message = process.stderr.strip() or f"exit code {process.returncode}"
            return f"{command[0]}: {message.splitlines()[0]}"
    return ""


def activity(unit: str, *, system_wide: bool) -> tuple[str, str]:
    """Return the state of *unit*, such as active or inactive, and why it is unknown."""
    return _asked("is-active", unit, system_wide=system_wide)


def is_disabled(unit: str, *, system_wide: bool) -> bool:
    """Return whether *unit* is known not to start with the machine."""
    return _asked("is-enabled", unit, system_wide=system_wide)[0] == "disabled"


def _asked(question: str, unit: str, *, system_wide: bool) -> tuple[str, str]:
    process, error = _run([*words(system_wide=system_wide), question, unit])
    if process is None:
        return "", error
    problem = process.stderr.strip().partition("\n")[0]
    return ("", problem) if problem else (process.stdout.strip(), "")


def _run(
    command: Sequence[str],
) -> tuple[subprocess.CompletedProcess[str] | None, str]:
    """Run *command*; return its process, or None and why it could not be run.

    `sudo -u`, `su` and cron set no `XDG_RUNTIME_DIR`, which leads to a user's manager.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    try:
        process = subprocess.run(  # noqa: S603 - fixed words, no shell
            command,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": runtime},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{command[0]}: {getattr(error, 'strerror', '') or error}"
    return process, ""


def words(*, system_wide: bool) -> list[str]:
    """Return the command that controls units of the machine or of the user."""
    return ["systemctl"] if system_wide else ["systemctl", "--user"]
