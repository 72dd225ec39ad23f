"""Serve one YouBike payload of a simulated city on loopback, for the benchmarks."""

import gzip
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

# Its local times are Taipei's; those of a system elsewhere are off by SECONDS.
STATIONS, SECONDS = map(int, sys.argv[1:])
BODY = dialects.youbike(City(STATIONS), time.time() + SECONDS)
PACKED = gzip.compress(BODY, 6)


class Handler(BaseHTTPRequestHandler):
    """Answers every path with the payload."""

    def do_GET(self) -> None:
        """Send the payload, packed where that is accepted."""
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        body = PACKED if packed else BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_address[1]}/ {len(BODY)}", flush=True)
server.serve_forever()
