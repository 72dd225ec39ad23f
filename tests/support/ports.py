"""Ports for servers that are started, or started again, after their port is known."""

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000
_chance = random.SystemRandom()  # each worker draws others


def free_port() -> int:
    """Return a port on loopback without a listener.

    It lies below those that the kernel gives to connections: a busy machine would give
    it to one of them before the server of the test begins, or while that is down.
    """
    first = int(RANGE.read_text(encoding="ascii").split()[0])
    while True:
        port = _chance.randrange(LOWEST, first)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
