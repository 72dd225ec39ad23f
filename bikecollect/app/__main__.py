"""Serves the app: python -P -m bikecollect.app HOST PORT [NAME]... (`bikecollect app`).

Its address is said once it answers, and it answers once all that the first page needs
is loaded: who follows it waits for nothing but the page.
"""

import logging
import os
import socket
import sys
import threading
import time
from importlib import import_module
from urllib.parse import urlsplit

import click

from bikecollect.app.queries import current

ADDRESS = "BIKECOLLECT_APP_ADDRESS"
"""Names the variable that has the app's address."""
PAGES = ("now", "station", "city", "collection")
SOON = 0.02


def _say(address: str) -> None:
    """Say *address*, once somebody answers there."""
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
    """Load what the first page needs, then serve it."""
    opening = threading.Thread(target=current.warm)
    opening.start()
    # What the pages cache has no server yet, and says so once for each: no news.
    logging.disable(logging.WARNING)
    server = import_module("bikecollect.app.server")
    for page in PAGES:
        import_module(f"bikecollect.app.pages.{page}")
    logging.disable(logging.NOTSET)
    opening.join()
    threading.Thread(target=_say, args=[os.environ[ADDRESS]], daemon=True).start()
    server.serve(host, int(port), names)


if __name__ == "__main__":
    main(*sys.argv[1:])
