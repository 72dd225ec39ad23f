"""Serves the app: python -P -m bikecollect.app HOST PORT [NAME]... (`bikecollect app`).

Its address is printed once it answers, and it answers once everything that the first
page needs is loaded.
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
"""The environment variable with the app's address."""
CHART_PAGES = ("station", "city", "collection", "systems")
"""The pages that import Altair, which the first page has no need of."""
SOON = 0.02


def _announce(address: str) -> None:
    """Print *address* once the server answers, then load the other pages."""
    place = urlsplit(address)
    while True:
        try:
            socket.create_connection((place.hostname, place.port or 80), 1).close()
        except OSError:
            time.sleep(SOON)
        else:
            break
    click.echo(f"The data app: {address} (Ctrl-C ends it)")
    for page in CHART_PAGES:
        import_module(f"bikecollect.app.pages.{page}")


def main(host: str, port: str, *names: str) -> None:
    """Load what the first page needs, then serve it."""
    opening = threading.Thread(target=current.warm)
    opening.start()
    # Each cache of the pages would warn that there is no server yet.
    logging.disable(logging.WARNING)
    server = import_module("bikecollect.app.server")
    import_module("bikecollect.app.pages.now")
    logging.disable(logging.NOTSET)
    opening.join()
    address = os.environ[ADDRESS]
    threading.Thread(target=_announce, args=[address], daemon=True).start()
    server.serve(host, int(port), names)


if __name__ == "__main__":
    main(*sys.argv[1:])
