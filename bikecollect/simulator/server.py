"""The city as a live feed on loopback, with simulated outages."""

import gzip
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

HTML = b"<html><body>Scheduled maintenance</body></html>"
POLL = 0.02
"""Maximum seconds until the server notices that it has to end."""


@dataclass(frozen=True)
class Outage:
    """A fault of the feed from *start* until *end*, in epoch seconds.

    The *kind* is outage (HTTP 503), renamed (another name for the field of the bikes),
    garbage (a web page with status 200) or empty (a list without stations).
    """

    start: float
    end: float
    kind: str


class _Server(ThreadingHTTPServer):
    """A server that ignores clients that disconnect."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the error of a client."""


class LiveFeed:
    """A context manager that serves a city on loopback; *clock* is its time.

    ``/youbike.json`` and ``/gbfs/gbfs.json`` are the city, ``/gbfs/scooters.json`` its
    scooters alone; the same paths under ``/city/N/`` are other cities of the same size,
    with seed N.
    """

    def __init__(
        self,
        city: City,
        *,
        clock: Callable[[], float],
        outages: Sequence[Outage] = (),
        port: int = 0,
    ) -> None:
        self._city, self._clock, self._outages = city, clock, outages
        feed = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                feed.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
                pass

            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate(feed._clock(), usegmt=True)

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def youbike_url(self) -> str:
        """The address of the city in YouBike's format."""
        return f"{self.url}/youbike.json"

    @property
    def gbfs_url(self) -> str:
        """The address of the city in the GBFS format."""
        return f"{self.url}/gbfs/gbfs.json"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer *request* with the city's state at this moment."""
        moment = self._clock()
        kind = next((o.kind for o in self._outages if o.start <= moment < o.end), "")
        if kind == "outage":
            _send(request, 503, b"out of service", "text/plain")
            return
        body = self._body(request.path, moment, kind)
        status = 404 if body is None else 200
        _send(request, status, body or b"not found", "application/json")

    def _body(self, path: str, moment: float, kind: str) -> bytes | None:
        city, base, parts = self._city, self.url, path.strip("/").split("/")
        if parts[0] == "city" and len(parts) > 2 and parts[1].isdigit():  # noqa: PLR2004 - city/N/file
            city, base = replace(city, seed=int(parts[1])), f"{base}/city/{parts[1]}"
            parts = parts[2:]
        name = parts[-1].removesuffix(".json")
        if kind == "garbage":
            return HTML
        if parts == ["youbike.json"]:
            renamed = kind == "renamed"
            return (
                b"[]"
                if kind == "empty"
                else dialects.youbike(city, moment, renamed=renamed)
            )
        if parts[0] == "gbfs":
            if name == "free_bike_status":
                return dialects.free_bikes(city, moment)
            if name == "scooters":
                return dialects.scooters_only(f"{base}/gbfs", moment)
            renamed = kind == "renamed"
            documents = dialects.gbfs(city, moment, f"{base}/gbfs", renamed=renamed)
            return documents.get(name)
        return None


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    body = gzip.compress(body, 1) if zipped else body
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    if zipped:
        request.send_header("Content-Encoding", "gzip")
    request.end_headers()
    request.wfile.write(body)
