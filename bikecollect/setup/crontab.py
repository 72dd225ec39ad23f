"""The crontab of the user, through the program of that name."""

import os
import subprocess

from bikecollect.core.errors import NotInstalled, StorageError

PATIENCE = 30.0
NONE = ("no crontab for", "no such file or directory")
"""How the programs in use say that there is none yet: Debian, cronie; busybox."""


def read() -> bytes:
    """Return the crontab of the user who asks, empty where there is none."""
    done = _run(["-l"])
    if done.returncode == 0:
        return done.stdout
    said = _said(done)
    if any(each in said.lower() for each in NONE):
        return b""
    raise StorageError(f"cannot read your crontab: {said or done.returncode}")


def write(text: bytes) -> None:
    """Replace the crontab of the user by *text*; none is left where it is empty.

    What was written is read again: raises StorageError where it is not there.
    """
    done = _run(["-"], text) if text else _run(["-r"])
    if done.returncode != 0:
        why = _said(done) or str(done.returncode)
        raise StorageError(f"your crontab was not changed: {why}")
    if read() != text:
        raise StorageError(
            "the crontab that was written is not the one that is there; look at it "
            "with: crontab -l"
        )


def _run(arguments: list[str], text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - fixed words, no shell
            ["crontab", *arguments],  # noqa: S607 - found where the user has it
            input=text,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise NotInstalled(
            "there is no program crontab; install cron (apt-get install cron), or use "
            "a timer of systemd: bikecollect schedule install --systemd"
        ) from error
    except OSError as error:
        raise NotInstalled(f"cannot run crontab: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"crontab did not end in {PATIENCE:.0f} s") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = done.stderr.decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else ""
