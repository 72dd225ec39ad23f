"""A real S3 server as a separate process, and a proxy that injects faults."""

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from ports import free_port
from served import QuietServer, running
from waiting import wait_until

BUCKET = "bikes"
MOTO = """
from moto import backends, server
names = [*backends.list_of_moto_modules()]
backends.list_of_moto_modules = lambda: names
server.main()
"""
"""Moto's server; it would look for its own packages on the disk at each request."""
SECRET = "0123456789abcdefSECRET/KEY"
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request"
}
HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "server", "date"})
"""Headers that are of one connection, or that the proxy writes itself."""


def environment(url: str) -> dict[str, str]:
    """Return the environment for using the server at *url*."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing-key-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


class S3Server:
    """Moto's S3 server in its own process, with a bucket; nothing is stored on disk."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, with an empty bucket."""
        arguments = ["-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", MOTO, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "the S3 server starts")
        self.request("PUT", f"/{BUCKET}")

    def stop(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send a request to the server; return its response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, SIGNED)
            return connection.getresponse().read()
        finally:
            connection.close()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the S3 server ended"
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True


@dataclass
class Fault:
    """The fault of a request: answered with *status*, or its body *cut* or changed.

    The answer names the *code* of S3.

    With *flip* a bit of what is sent, or of what is downloaded, changes. With *hold*
    the request waits for the event before it is passed on.
    """

    status: int = 0
    code: str = "SlowDown"
    cut: bool = False
    flip: bool = False
    hold: threading.Event | None = None


@dataclass
class Proxy:
    """A proxy at *url*; *fault* returns the fault of a request by method and path."""

    url: str = ""
    fault: Callable[[str, str], Fault | None] = lambda method, path: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def puts(self) -> list[str]:
        """Return the written paths, without the bucket and its prefix."""
        return [
            urlsplit(path).path.split("/", 3)[-1]
            for method, path in self.requests
            if method == "PUT"
        ]


class ProxyHandler(BaseHTTPRequestHandler):
    """Passes each request on to *upstream*, unless *proxy* has a fault for it."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy
    upstream: S3Server

    def _pass(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        path = unquote(self.path)
        self.proxy.requests.append((self.command, path))
        fault = self.proxy.fault(self.command, path) or Fault()
        if fault.cut:
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        body = self.rfile.read(size)
        if fault.hold:
            fault.hold.wait(60)
        if fault.flip and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault.status:
            self._answer(
                fault.status, [], f"<Error><Code>{fault.code}</Code></Error>".encode()
            )
        else:
            self._forward(body, flip=fault.flip and self.command == "GET")

    def _forward(self, body: bytes, *, flip: bool) -> None:
        port = self.upstream.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            data = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:] if flip else data
        except OSError:
            self.close_connection = True
            return
        finally:
            connection.close()
        self._answer(answer.status, answer.getheaders(), data)

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        kept = {name.lower(): text for name, text in headers}
        kept.setdefault("content-length", str(len(data)))
        for name, text in kept.items():
            if name not in HOP:
                self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        """Pass a download or a list on."""
        self._pass()

    def do_HEAD(self) -> None:
        """Pass a request for an object's metadata on."""
        self._pass()

    def do_PUT(self) -> None:
        """Pass an upload or a copy on."""
        self._pass()

    def do_POST(self) -> None:
        """Pass the start or the end of an upload in pieces on."""
        self._pass()

    def do_DELETE(self) -> None:
        """Pass the end of a broken upload on."""
        self._pass()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def faulty(server: S3Server) -> Iterator[Proxy]:
    """Yield a proxy before *server*."""
    proxy = Proxy()

    class Handler(ProxyHandler):
        pass

    Handler.proxy, Handler.upstream = proxy, server
    address = ("127.0.0.1", 0)
    with QuietServer(address, Handler) as http_server, running(http_server) as url:
        proxy.url = url
        yield proxy
