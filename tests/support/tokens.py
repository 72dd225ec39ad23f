"""A simulated platform: a token server, and a city that requires its tokens."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import tdx
from served import Answer, QuietServer, Responder, running

from bikecollect.core.run import Run
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.wiring.collection import collect

BEGIN = 1_795_276_800.0
"""Midnight in Taipei, 2026-11-22."""
SECRET = "s3cret-of-the-client"
TOKEN, AVAILABILITY = "/token", "/v2/Bike/Availability/City/Simport"
STATIONS = "/v2/Bike/Station/City/Simport"
Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Platform:
    """Gives tokens to the client "me", and documents to requests with a valid token.

    If *obeys_top*, documents are paged by `$top` and `$skip`, as those of TDX are.
    *token_reply* and *replies* (by path) replace the usual answers. *issued* has the
    tokens in order, *forms* what was posted, *logins* the header of each post, and
    *bearers* what each document was asked with.
    """

    folder: Path
    lifetime: object = 86_400
    base: str = ""
    city: City = field(default_factory=lambda: City(12))
    clock: Time = field(default_factory=lambda: Time(BEGIN))
    issued: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    forms: list[dict[str, str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    bearers: list[tuple[str, str]] = field(default_factory=list)
    token_reply: Callable[[], Reply] | None = None
    replies: dict[str, Callable[[], Reply]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    oauth2: dict[str, str] = field(default_factory=dict)
    interval: str = "5min"
    names: tuple[str, ...] = ("city",)
    obeys_top: bool = False

    @property
    def settings(self) -> Settings:
        """Settings of systems that share one client."""
        self.secret_file.parent.mkdir(parents=True, exist_ok=True)
        if not self.secret_file.exists():
            self.secret_file.write_text(f"{SECRET}\n", encoding="utf-8")
            self.secret_file.chmod(0o600)
        oauth2 = {
            "token_url": self.base + TOKEN,
            "client_id": "me",
            "client_secret_file": str(self.secret_file),
            **self.oauth2,
        }
        system = {
            "feed": "tdx",
            "url": f"{self.base}{AVAILABILITY}?$format=JSON",
            "timezone": "Asia/Taipei",
            "oauth2": oauth2,
            **self.more,
        }
        top = {"data_dir": str(self.folder), "interval": self.interval}
        return parse({**top, "systems": dict.fromkeys(self.names, system)})

    @property
    def secret_file(self) -> Path:
        """The file with the client's secret."""
        return self.folder / "secret"

    def fetch(self) -> Run:
        """Run the next slot of the first system."""
        return self.fetch_all()[0]

    def fetch_all(self) -> list[Run]:
        """Run the next slot of all systems."""
        self.clock.now = (self.clock.now + 300) // 300 * 300 + 2
        return collect(
            self.settings, clock=self.clock, stop=self.clock, monotonic=self.clock
        )

    def post(self, form: dict[str, str]) -> Reply:
        """Answer a request for a token."""
        self.forms.append(form)
        if self.token_reply is not None:
            return self.token_reply()
        if (form.get("client_id"), form.get("client_secret")) != ("me", SECRET):
            return 401, {}, b'{"error": "invalid_client"}'
        token = f"token-number-{len(self.issued)}"
        self.issued.append(token)
        self.valid.add(token)
        answer = {"access_token": token, "token_type": "Bearer"}
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime  # type: ignore[assignment]
        return 200, {}, json.dumps(answer).encode()

    def get(self, path: str, bearer: str) -> Reply:
        """Answer a request for a document."""
        self.bearers.append((path, bearer))
        if path in self.replies:
            return self.replies[path]()
        if bearer.removeprefix("Bearer ") not in self.valid:
            return 401, {}, b"{}"
        if path == AVAILABILITY:
            return 200, {}, tdx.availability(self.city, self.clock.now)
        if path == STATIONS:
            return 200, {}, tdx.stations(self.city, self.clock.now)
        return 404, {}, b"{}"


def page(body: bytes, query: Mapping[str, str]) -> bytes:
    """Return the part of the list in *body* that *query* asks for."""
    begin = int(query.get("$skip", 0))
    return json.dumps(
        json.loads(body)[begin:][: int(query.get("$top", 10_000))]
    ).encode()


@contextmanager
def platform(folder: Path, **fields: Any) -> Iterator[Platform]:
    """Serve a platform on loopback; yield it."""
    own = Platform(folder, **fields)

    class Handler(Responder):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, urlsplit(self.path).query
            status, more, body = own.get(path, self.headers.get("Authorization", ""))
            if own.obeys_top and status == HTTPStatus.OK:
                body = page(body, dict(parse_qsl(query)))
            self._send((status, more, body))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            own.logins.append(self.headers.get("Authorization", ""))
            self._send(own.post(dict(parse_qsl(body.decode()))))

        def _send(self, reply: Reply) -> None:
            status, headers, body = reply
            self.send(Answer(body, status, headers))

    Handler.clock = staticmethod(lambda: own.clock.now)
    with QuietServer(("127.0.0.1", 0), Handler) as server, running(server) as own.base:
        yield own
