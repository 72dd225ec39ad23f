"""Serve the app: python -P -m bikecollect.app HOST PORT [NAME]... (`bikecollect app`).

The server starts after all pages are loaded and the data of the first one are read.
Its address is printed when it responds.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from types import FrameType
from urllib.parse import urlsplit

import click

from bikecollect.app import environment
from bikecollect.app.queries import current
from bikecollect.storage.files import scratch

PAGES = ("now", "station", "city", "collection", "systems")
"""The modules of the pages."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SOON = 0.02


def _announce(address: str) -> None:
    """Print *address* once the server responds."""
    place = urlsplit(address)
    while True:
        try:
            socket.create_connection((place.hostname, place.port or 80), 1).close()
        except OSError:
            time.sleep(SOON)
        else:
            break
    click.echo(f"The data app: {address} (Ctrl-C ends it)")


def main(host: str, port: str, *names: str) -> None:
    """Load all pages and the data of the first one, then serve them."""
    opening = threading.Thread(target=current.warm)
    opening.start()
    # Otherwise each cache of the pages would warn that there is no server yet.
    logging.disable(logging.WARNING)
    server = import_module("bikecollect.app.server")
    for page in PAGES:
        import_module(f"bikecollect.app.pages.{page}")
    opening.join()
    import_module("bikecollect.app.frames").warm()
    logging.disable(logging.NOTSET)
    address = os.environ[environment.ADDRESS]
    threading.Thread(target=_announce, args=[address], daemon=True).start()
    server.serve(host, int(port), names)


def _end(signum: int, _frame: FrameType | None) -> None:
    """End the process at once: it only reads, and threads might end late or never."""
    scratch.remove_all()
    if signum != signal.SIGINT:  # systemd takes such an exit code for a failure
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)
    os._exit(128 + signum)


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    main(*sys.argv[1:])
