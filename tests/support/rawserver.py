"""A server that misbehaves at the level of the socket."""

import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

Misdeed = Callable[[socket.socket], None]
BODY = b'{"stations": [1, 2, 3]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n"


def sends(data: bytes) -> Misdeed:
    """Return an action that sends *data* and disconnects."""
    return lambda peer: peer.sendall(data)


def answers(body: bytes, status: str = "200 OK", headers: bytes = b"") -> Misdeed:
    """Return an action that sends a proper answer."""
    length = str(len(body)).encode()
    head = b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: " + length
    return sends(head + b"\r\n" + headers + b"Connection: close\r\n\r\n" + body)


def drips(head: bytes, drop: bytes = b" ") -> Misdeed:
    """Return an action that sends *head*, then a *drop* every twentieth of a second."""

    def deed(peer: socket.socket) -> None:
        peer.sendall(head)
        for _ in range(200):
            time.sleep(0.05)
            peer.sendall(drop)

    return deed


def hangs(peer: socket.socket) -> None:
    """Send nothing until the other side has disconnected."""
    peer.settimeout(10)
    peer.recv(1)


def resets(peer: socket.socket) -> None:
    """Send half a body, then a reset."""
    peer.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def floods(peer: socket.socket) -> None:
    """Send an endless body."""
    peer.sendall(HEAD + b"\r\n")
    while True:
        peer.sendall(b"x" * 65_536)


def bombs(peer: socket.socket) -> None:
    """Send a small body that is 256 MiB when decompressed."""
    length = str(len(bomb())).encode()
    peer.sendall(GZIP + b"Content-Length: " + length + b"\r\n\r\n" + bomb())


@cache
def bomb() -> bytes:
    """Return 256 MiB of zeros as a gzip of a quarter of a megabyte.

    Each MiB is compressed alike, as its window is flushed: one is compressed for all.
    """
    zeros, count = bytes(1024 * 1024), 256
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(count):
        check = zlib.crc32(zeros, check)
    head, end = gzip.compress(b"")[:10], deflate.flush()
    return head + part * count + end + struct.pack("<2I", check, len(zeros) * count)


@contextmanager
def misbehaving(*deeds: Misdeed) -> Iterator[tuple[str, Sequence[float]]]:
    """Serve the *deeds* in turn, the last repeatedly; yield address and arrivals."""
    arrivals: list[float] = []

    def serve(peer: socket.socket, deed: Misdeed) -> None:
        with peer, suppress(OSError):
            peer.recv(65_536)
            deed(peer)

    def listen() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                deed = deeds[min(len(arrivals), len(deeds) - 1)]
                arrivals.append(time.monotonic())
                threading.Thread(target=serve, args=(peer, deed), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        port = listener.getsockname()[1]
        yield f"http://127.0.0.1:{port}/feed.json", arrivals
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
