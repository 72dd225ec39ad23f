"""GBFS as a process: the addresses of its documents, and what their hosts receive."""

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from served import running
from test_client import client, tls_server

from bikecollect.core.payload import Memory
from bikecollect.feeds.gbfs.document_places import FEEDS
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.http.access import Access
from bikecollect.feeds.http.retry import Budget

STATION = {"station_id": "1", "num_bikes_available": 3, "num_docks_available": 5}
STATUS = {"last_updated": 1_800_000_000, "ttl": 0, "data": {"stations": [STATION]}}
KEY = "SECRETKEY123"


class Publisher:
    """Documents by path and query; records the requests and their headers."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    @property
    def asked(self) -> list[str]:
        """Return the requests, in order."""
        return [path for path, _ in self.requests]

    def listing(self, *urls: str) -> dict[str, Any]:
        """Return a gbfs.json that lists a status, and an information if given."""
        names = ("station_status", "station_information")
        feeds = [
            {"name": n, "url": u.replace("BASE", self.url)}
            for n, u in zip(names, urls, strict=False)
        ]
        return {"last_updated": 1_800_000_000, "ttl": 0, "data": {"feeds": feeds}}


@contextmanager
def publishing() -> Iterator[Publisher]:
    """Serve a publisher on loopback."""
    publisher = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.requests.append((self.path, dict(self.headers)))
            document = publisher.documents.get(self.path)
            body = (
                document
                if isinstance(document, bytes)
                else json.dumps(document).encode()
            )
            self.send_response(404 if document is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with server, running(server) as publisher.url:
        yield publisher


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """Return a publisher that is served."""
    with publishing() as one:
        yield one


@pytest.fixture
def other() -> Iterator[Publisher]:
    """Return another publisher, on a separate origin."""
    with publishing() as one:
        yield one


def settings(folder: Path, url: str, more: str = "", interval: str = "1min") -> Path:
    """Write the settings of one GBFS system; return their path."""
    path = folder / "bikecollect.toml"
    path.touch(0o600)
    path.write_text(
        f'data_dir = "data"\ninterval = "{interval}"\n[systems.city]\nfeed = "gbfs"\n'
        f'url = "{url}"\ntimezone = "UTC"\n{more}\n',
        encoding="utf-8",
    )
    return path


def fetched(path: Path) -> tuple[int, dict[str, Any], str]:
    """Fetch once; return the exit code, the JSON of the run, and stderr."""
    process = bikecollect("--config", path, "fetch", "--format", "json")
    return process.returncode, json.loads(process.stdout), process.stderr


def written(folder: Path) -> str:
    """Return everything in *folder*: files, contents of zips, SQLite."""
    texts = []
    for path in folder.rglob("*"):
        if path.suffix == ".zip":
            texts.append(zipfile.ZipFile(path).read("fetch.json").decode())
        elif path.name == "ledger.sqlite3":
            with closing(sqlite3.connect(path)) as ledger:
                texts += list(ledger.iterdump())
        elif path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("./status.json", "/a/b/status.json"),
        ("status.json", "/a/b/status.json"),
        ("../status.json", "/a/status.json"),
        ("/status.json", "/status.json"),
        ("?feed=status", "/a/b/gbfs.json?feed=status"),
        (" BASE/status.json\n", "/status.json"),
    ],
)
def test_relative_addresses_are_resolved(
    tmp_path: Path, publisher: Publisher, address: str, path: str
) -> None:
    """Against the gbfs.json that lists them."""
    publisher.documents["/a/b/gbfs.json"] = publisher.listing(address)
    publisher.documents[path] = STATUS
    code, run, _ = fetched(settings(tmp_path, f"{publisher.url}/a/b/gbfs.json"))

    assert (code, run["rows"]) == (0, 1)


@pytest.mark.parametrize(
    "address",
    ["http://[", "http://a b/", "ftp://example.org/s", "http://x:99999/", "http:///s"],
)
def test_a_malformed_address_is_named_at_once(
    tmp_path: Path, publisher: Publisher, address: str
) -> None:
    """Exit 76 after gbfs.json alone, without another attempt or a traceback."""
    publisher.documents["/gbfs.json"] = publisher.listing(address)
    code, run, stderr = fetched(settings(tmp_path, f"{publisher.url}/gbfs.json"))

    assert (code, run["cause"]) == (76, "address")
    assert "the address of station_status is malformed" in stderr
    assert publisher.asked == ["/gbfs.json"]


@pytest.mark.parametrize("address", ["http://169.254.169.254/x", "http://10.0.0.1/x"])
def test_an_address_of_another_network_is_refused_at_once(
    tmp_path: Path, publisher: Publisher, address: str
) -> None:
    """Exit 76, and the setting that would allow it."""
    publisher.documents["/gbfs.json"] = publisher.listing(address)
    code, run, stderr = fetched(settings(tmp_path, f"{publisher.url}/gbfs.json"))

    assert (code, run["cause"]) == (76, "address")
    assert 'private_hosts = ["' in stderr


def test_a_malformed_address_in_the_settings_is_a_settings_error(
    tmp_path: Path,
) -> None:
    """Exit 78, the key, and no traceback."""
    process = bikecollect("--config", settings(tmp_path, "http://["), "fetch")

    assert process.returncode == 78
    assert "systems.city.url is not an address" in process.stderr


def test_the_key_of_a_feed_goes_to_its_own_documents(
    tmp_path: Path, publisher: Publisher
) -> None:
    """Listed without it, requested with it; it is in no file."""
    publisher.documents[f"/gbfs.json?key={KEY}"] = publisher.listing(
        "BASE/status.json?lang=en", f"BASE/information.json?key={KEY}"
    )
    publisher.documents[f"/status.json?lang=en&key={KEY}"] = STATUS
    path = settings(tmp_path, f"{publisher.url}/gbfs.json?key={KEY}")
    code, run, _ = fetched(path)
    assert (code, run["rows"]) == (0, 1)
    assert f"/information.json?key={KEY}" in publisher.asked
    assert KEY not in written(tmp_path / "data")


def test_neither_key_nor_header_goes_to_another_host(
    tmp_path: Path, publisher: Publisher, other: Publisher
) -> None:
    """Unless it is in `credential_hosts`."""
    publisher.documents[f"/gbfs.json?key={KEY}"] = publisher.listing(
        f"{other.url}/status.json"
    )
    other.documents["/status.json"] = STATUS
    header = 'headers = {X-Api-Key = "another-secret"}'
    path = settings(tmp_path, f"{publisher.url}/gbfs.json?key={KEY}", header)
    assert fetched(path)[0] == 0

    assert publisher.requests[0][1]["X-Api-Key"] == "another-secret"
    assert other.asked == ["/status.json"]
    assert "X-Api-Key" not in other.requests[0][1]

    host = other.url.removeprefix("http://")
    more = f'{header}\ncredential_hosts = ["{host}"]'
    path = settings(tmp_path, f"{publisher.url}/gbfs.json?key={KEY}", more)
    other.documents = {f"/status.json?key={KEY}": STATUS}
    bikecollect("--config", path, "fetch", "--dry-run")
    assert other.requests[-1][1]["X-Api-Key"] == "another-secret"


@pytest.mark.parametrize(
    "address", ["BASE/status.json?token=abcdef0123456789", "http://u:abcdef01@HOST/s"]
)
def test_a_publishers_tokens_are_not_stored(
    tmp_path: Path, publisher: Publisher, address: str
) -> None:
    """An address that has one is looked up again in each run."""
    host = publisher.url.removeprefix("http://")
    publisher.documents["/gbfs.json"] = publisher.listing(address.replace("HOST", host))
    publisher.documents["/status.json?token=abcdef0123456789"] = STATUS
    publisher.documents["/s"] = STATUS
    path = settings(tmp_path, f"{publisher.url}/gbfs.json", interval="12s")
    codes = {fetched(path)[0] for _ in range(3)}

    assert codes == {0}
    assert publisher.asked.count("/gbfs.json") >= 2
    assert "abcdef01" not in written(tmp_path / "data")


def test_addresses_without_secrets_are_stored(
    tmp_path: Path, publisher: Publisher
) -> None:
    """The next run requests only the status."""
    publisher.documents["/gbfs.json"] = publisher.listing("BASE/status.json")
    publisher.documents["/status.json"] = STATUS
    get = client(Budget(), access=Access(f"{publisher.url}/gbfs.json"))
    feed = Gbfs(f"{publisher.url}/gbfs.json", None)  # type: ignore[arg-type]
    notes = feed.fetch(get, Memory(now=1000.0)).notes
    feed.fetch(get, Memory(notes, frozenset({"1"}), 1300.0))

    assert publisher.asked == ["/gbfs.json", "/status.json", "/status.json"]
    assert publisher.url + "/gbfs.json" not in notes[FEEDS]


def test_http_documents_of_an_https_feed_are_requested_by_https_first(
    tmp_path: Path, publisher: Publisher
) -> None:
    """If that fails, by http, without secrets; this is stored."""
    publisher.documents["/status.json"] = STATUS
    listing = json.dumps(publisher.listing("BASE/status.json")).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(listing) + listing
    with tls_server("127.0.0.1", answer) as (url, authority):
        get, notes = _secure_fetch(tmp_path, url, authority)

    tried = [attempt.url for attempt in get.attempts]
    place = publisher.url.removeprefix("http://")
    assert tried[1] == f"https://{place}/status.json"
    assert tried[-1] == f"http://{place}/status.json"
    assert "X-Api-Key" not in publisher.requests[-1][1]
    assert json.loads(notes[FEEDS])["status"] == f"{publisher.url}/status.json"


def test_http_documents_are_read_by_https_where_that_works(tmp_path: Path) -> None:
    """The server requires TLS: nothing is requested in clear text."""
    answers: list[bytes] = []
    with tls_server("127.0.0.1", answers) as (url, authority):
        place = url.removeprefix("https://").partition("/")[0]
        feeds = [{"name": "station_status", "url": f"http://{place}/status.json"}]
        for value in ({"data": {"feeds": feeds}}, STATUS):
            body = json.dumps(value).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            answers.append(head + body)
        get, notes = _secure_fetch(tmp_path, url, authority)

    assert {attempt.url.partition(":")[0] for attempt in get.attempts} == {"https"}
    assert json.loads(notes[FEEDS])["status"] == f"https://{place}/status.json"


def _secure_fetch(folder: Path, url: str, authority: Any) -> tuple[Any, Any]:
    """Fetch the feed at the https address *url*; return the client and the notes."""
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    access = Access(url, {"X-Api-Key": "secret"}, ca_bundle=str(bundle))
    get = client(Budget(), access=access)
    return get, Gbfs(url, None).fetch(get, Memory(now=1.0)).notes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b"SECRET-inside = 1",
        b'{"SECRET-inside": 1}',
        b'"SECRET-inside"',
        b'{"data": {"stations": [{"station_id": 1, "num_bikes_available": 2}, '
        b'["SECRET-inside"]]}}',
    ],
)
def test_the_body_of_another_host_is_not_quoted(
    tmp_path: Path, publisher: Publisher, other: Publisher, body: bytes
) -> None:
    """Neither on the screen nor in a file; that of the feed's own host is."""
    other.documents["/s"] = publisher.documents["/s"] = body
    publisher.documents["/gbfs.json"] = publisher.listing(f"{other.url}/s")
    path = settings(tmp_path, f"{publisher.url}/gbfs.json", interval="12s")
    process = bikecollect("--config", path, "fetch")
    assert process.returncode == 65
    assert "SECRET-inside" not in process.stderr + written(tmp_path / "data")

    publisher.documents["/gbfs.json"] = publisher.listing("BASE/s")
    process = bikecollect("--config", path, "fetch", "--dry-run")
    assert "SECRET-inside" in process.stderr


def test_a_higher_version_on_another_host_is_not_quoted(
    publisher: Publisher, other: Publisher
) -> None:
    """Its counts are no numbers: the reason does not tell what they are."""
    offer = {"version": "3.0", "url": f"{other.url}/gbfs.json"}
    listing = publisher.listing("BASE/s")
    versions = {"name": "gbfs_versions", "url": f"{publisher.url}/v"}
    listing["data"]["feeds"].append(versions)
    publisher.documents = {"/g": listing, "/v": {"data": {"versions": [offer]}}}
    publisher.documents["/s"] = STATUS
    station = {"station_id": "1", "num_bikes_available": "SECRET-inside"}
    odd = {"data": {"stations": [station]}}
    other.documents = {"/gbfs.json": other.listing("BASE/s"), "/s": odd}
    get = client(Budget(), access=Access(f"{publisher.url}/g"))
    feed = Gbfs(f"{publisher.url}/g", UTC)
    finding = feed.fetch(get, Memory(now=1.0)).findings["version 3.0"]

    assert "GBFS 3.0 is offered but does not work (" in finding
    assert "SECRET-inside" not in finding
