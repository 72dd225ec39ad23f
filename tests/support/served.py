"""A loopback server whose answers a test sets."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

POLL = 0.01
"""Seconds that a server takes at most to notice that it has to end."""


@dataclass
class Answer:
    """A response: *body* with *status* and more *headers*."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class QuietServer(ThreadingHTTPServer):
    """Serves each connection in a thread; clients that vanish are no error."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing."""


class Responder(BaseHTTPRequestHandler):
    """Sends answers, dated by *clock*; a subclass has the methods for requests."""

    clock: Callable[[], float] = staticmethod(time.time)

    def send(self, reply: Answer) -> None:
        """Send *reply*."""
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the Date of an answer."""
        return formatdate(type(self).clock(), usegmt=True)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def serving(
    answer: Callable[[str], Answer], *, clock: Callable[[], float] = time.time
) -> Iterator[str]:
    """Serve *answer* (of a path with its query) on loopback; yield the address.

    The Date of the answers is that of *clock*.
    """

    class Handler(Responder):
        def do_GET(self) -> None:
            self.send(answer(self.path))

    Handler.clock = staticmethod(clock)
    with QuietServer(("127.0.0.1", 0), Handler) as server, running(server) as url:
        yield url


@contextmanager
def running(server: HTTPServer) -> Iterator[str]:
    """Run *server* in a thread; yield its address."""
    arguments = {"poll_interval": POLL}
    threading.Thread(target=server.serve_forever, kwargs=arguments, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
