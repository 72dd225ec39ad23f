"""Serve the feeds of many systems on loopback, each on its own address.

Run: serve_systems.py STATIONS LATENCY. The path says how a feed behaves: /ok, /error
(500), /hang (no answer), /drip (a byte every five seconds).
"""

import asyncio
import gzip
import sys

from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

BODY = gzip.compress(dialects.youbike(City(int(sys.argv[1])), 1.8e9), 6)
LATENCY = float(sys.argv[2])
HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n"
    "Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
).encode()
ERROR = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request as its path says."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        kind = head.split(b" ", 2)[1].strip(b"/").decode()
        await asyncio.sleep(3_600 if kind == "hang" else LATENCY)
        if kind == "drip":
            for byte in HEAD + BODY:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(5)
        writer.write(ERROR if kind == "error" else HEAD + BODY)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Listen on all loopback addresses, print the port, and serve."""
    server = await asyncio.start_server(answer, "0.0.0.0", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
