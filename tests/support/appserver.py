"""The data app of a test: ``bikecollect app``, as a separate process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port


@contextmanager
def app_serving(
    config: Path,
    *words: str,
    folder: Path | None = None,
    base_path: str = "",
    **env: str,
) -> Iterator[str]:
    """Serve the app by the settings at *config*, from *folder*; yield its address.

    With *base_path* its pages are below that path.

    It is ended as by Ctrl-C, without a traceback, and leaves nothing in its folder for
    what is temporary.
    """
    port = free_port()
    aside = config.parent
    command = ["-P", "-m", "bikecollect", "--config", str(config), "app", *words]
    with subprocess.Popen(
        [sys.executable, *command, "--port", str(port), "--base-path", base_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(aside), **env},
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        address = f"http://127.0.0.1:{port}{base_path}"
        assert line == f"The data app: {address} (Ctrl-C ends it)\n", line
        yield address
        server.send_signal(signal.SIGINT)
        assert "Traceback" not in server.communicate(timeout=60)[0]
        assert server.returncode == 130
    assert not list(aside.glob("bikecollect-*")), "what was copied is removed"
