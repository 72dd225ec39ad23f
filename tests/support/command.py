"""The command as a process of its own."""

import os
import subprocess
import sys


def bikecollect(
    *arguments: object, answers: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``bikecollect`` with *arguments*; *answers* are typed, *env* is added."""
    return subprocess.run(
        [sys.executable, "-m", "bikecollect", *map(str, arguments)],
        input=answers,
        text=True,
        capture_output=True,
        timeout=60,
        start_new_session=True,  # a password is asked of the terminal, if there is one
        check=False,
        env={**os.environ, **env},
    )
