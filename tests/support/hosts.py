"""Hosts on loopback that answer bytes in turn, and record their requests."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rawserver import BODY, HEAD


class Host:
    """A host that records its requests."""

    def __init__(self, port: int, answers: Sequence[bytes]) -> None:
        self.port, self.answers = port, answers
        self.url = f"http://127.0.0.1:{self.port}/x.json"
        self.requests: list[str] = []

    def serve(self, peer: socket.socket) -> None:
        """Answer one request."""
        with peer:
            self.requests.append(peer.recv(65_536).decode("latin-1"))
            number = min(len(self.requests), len(self.answers)) - 1
            peer.sendall(self.answers[number])


@contextmanager
def listening(*answers: bytes) -> Iterator[Host]:
    """Yield a host that gives *answers* in turn, the last repeatedly."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        new = Host(listener.getsockname()[1], answers or (good(),))

        def listen() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                new.serve(peer)

        threading.Thread(target=listen, daemon=True).start()
        yield new
        listener.shutdown(socket.SHUT_RDWR)


def good(body: bytes = BODY, headers: str = "") -> bytes:
    """Return a complete answer."""
    head = f"Content-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return HEAD + head.encode() + body


def moved(target: str, status: int = 302) -> bytes:
    """Return a redirect to *target*."""
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()
