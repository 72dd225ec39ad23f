"""The client and hosts: redirects, credentials, private networks, and limits."""

import gzip
import json
import socket
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hosts import Host, good, moved
from rawserver import BODY, answers, bomb, misbehaving, sends
from served import Answer, serving
from test_client import client, tls_server

from bikecollect.alerts import webhooks
from bikecollect.core.errors import (
    CredentialsError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
)
from bikecollect.core.payload import ONCE
from bikecollect.feeds.http.access import Access
from bikecollect.feeds.http.connection_errors import translated
from bikecollect.feeds.http.retry import Budget

SECRET = {"Authorization": "Bearer swordfish-1234", "X-Api-Key": "k", "Cookie": "a=b"}
PUBLIC = "203.0.113.7"
"""A documentation network, used as a public address."""


def test_credentials_are_sent_only_to_their_host(host: Callable[..., Host]) -> None:
    """A document on another host is requested without headers, user, or key."""
    home, other = host(), host()
    url = home.url.replace("http://", "http://me:hunter22@") + "?key=SECRETKEY123"
    get = client(access=Access(url, {"X-Api-Key": "k", "Cookie": "a=b"}))
    get("status", home.url)
    get("information", other.url)

    assert "X-Api-Key: k" in home.requests[0]
    assert "Cookie: a=b" in home.requests[0]
    assert "Authorization: Basic bWU6aHVudGVyMjI=" in home.requests[0]
    assert "GET /x.json?key=SECRETKEY123 " in home.requests[0]
    assert "GET /x.json HTTP" in other.requests[0]
    for name in ("X-Api-Key", "Cookie", "Authorization", "SECRET"):
        assert name not in other.requests[0]


def test_credential_hosts_get_the_credentials(host: Callable[..., Host]) -> None:
    """With the port or without."""
    home, other = host(), host()
    for named in ("127.0.0.1", f"127.0.0.1:{other.port}"):
        get = client(access=Access(home.url, SECRET, credential_hosts=[named]))
        get("information", other.url)

    assert all("swordfish" in request for request in other.requests)


def test_a_redirect_takes_no_credentials_along(host: Callable[..., Host]) -> None:
    """Nor a key that its address repeats; back at the own host they are sent again."""
    other = host(moved("HOME"))
    home = host(moved(f"{other.url}?key=SECRETKEY123"), good())
    other.answers = (moved(home.url),)
    access = Access(f"{home.url}?key=SECRETKEY123", SECRET, redirects=True)
    document = client(access=access)("feed", access.url)

    assert document.body == BODY
    assert "swordfish" not in other.requests[0]
    assert "SECRETKEY123" not in other.requests[0]
    assert all("swordfish" in request for request in home.requests)


def test_credentials_never_go_from_https_to_http(
    host: Callable[..., Host], tmp_path: Any
) -> None:
    """A redirect from https to plain http is followed without them."""
    plain = host()
    with tls_server("127.0.0.1", moved(plain.url)) as (url, authority):
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        named = [f"127.0.0.1:{plain.port}"]
        access = Access(url, SECRET, named, redirects=True, ca_bundle=str(bundle))
        client(Budget(), access=access)("feed", url)

    assert "swordfish" not in plain.requests[0]


def test_a_401_without_credentials_names_the_setting(
    host: Callable[..., Host],
) -> None:
    """The error of a host that got none names `credential_hosts`."""
    home = host()
    other = host(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    get = client(access=Access(home.url, SECRET))
    with pytest.raises(CredentialsError, match=r"credential_hosts = .\"127\.0\.0\.1"):
        get("information", other.url)


@pytest.mark.parametrize("key", ["", "?api_key=swordfish"])
def test_a_403_with_credentials_says_that_these_are_rejected(
    host: Callable[..., Host], key: str
) -> None:
    """Headers of the settings, or a key in the address."""
    home = host(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    get = client(access=Access(home.url + key, {} if key else SECRET))
    with pytest.raises(CredentialsError, match="HTTP 403: credentials rejected"):
        get("feed", home.url + key)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_allowed_redirects_are_followed(host: Callable[..., Host], status: int) -> None:
    """All kinds, also relative ones; the document has its final address."""
    home = host(moved("/other/y.json", status), good())
    document = client(access=Access(redirects=True))("feed", home.url)

    assert document.url == home.url.replace("/x.json", "/other/y.json")


def test_redirects_within_the_site_are_followed_and_others_named(
    host: Callable[..., Host],
) -> None:
    """same-site: the same host is allowed; another is rejected, with its address."""
    home = host(moved("/y.json"), good())
    policy = Access(redirects="same-site")
    assert client(access=policy)("feed", home.url).body == BODY

    away = host(moved("http://moved.example.net/y.json?size=9&token=abcdefgh"))
    with pytest.raises(ProtocolError) as failed:
        client(access=policy)("feed", away.url)

    assert failed.value.cause == "redirect"
    assert "http://moved.example.net/y.json?size=9&token=***" in str(failed.value)
    assert "redirects = true" in str(failed.value)


def test_a_redirect_that_is_not_followed_names_what_to_set(
    host: Callable[..., Host],
) -> None:
    """The new address, and the setting that would allow it."""
    home = host(moved("/y.json", 301))
    with pytest.raises(ProtocolError) as failed:
        client()("feed", home.url)

    address = home.url.replace("x.json", "y.json")
    assert f"{home.url} redirects (HTTP 301) to {address}:" in str(failed.value)
    assert 'redirects = "same-site"' in str(failed.value)


@pytest.mark.parametrize("address", ["169.254.169.254", "0xa9fea9fe", "[fe80::1]"])
def test_a_redirect_to_an_address_that_no_feed_has_is_not_recommended(
    host: Callable[..., Host], address: str
) -> None:
    """Such as that of a cloud's credentials."""
    home = host(moved(f"http://{address}/latest"))
    with pytest.raises(ProtocolError, match="an address that no feed has") as failed:
        client()("feed", home.url)

    assert "set url to" not in str(failed.value)
    assert "redirects =" not in str(failed.value)


def test_a_redirect_to_itself_names_what_to_set(host: Callable[..., Host]) -> None:
    """Not its own address as a new one: a server that sets a cookie first does so."""
    home = host(moved("/x.json"))
    with pytest.raises(ProtocolError) as failed:
        client()("feed", home.url)

    assert "redirects (HTTP 302) to itself" in str(failed.value)
    assert "redirects = true follows it" in str(failed.value)


def test_a_circle_of_redirects_ends(host: Callable[..., Host]) -> None:
    """After five of them, in each of two attempts."""
    home = host(moved("/x.json"))
    with pytest.raises(ProtocolError, match="more than 5 redirects"):
        client(Budget(), access=Access(redirects=True))("feed", home.url)

    assert len(home.requests) == 12


@pytest.mark.parametrize("target", ["http://[", "file:///etc/passwd", "gopher://x/"])
def test_a_redirect_to_an_invalid_address_is_an_error(
    host: Callable[..., Host], target: str
) -> None:
    """Also where redirects are followed; nothing else is requested."""
    home = host(moved(target))
    with pytest.raises(ProtocolError, match="to an invalid address") as failed:
        client(access=Access(redirects=True))("feed", home.url)

    assert failed.value.cause == "redirect"


@pytest.mark.parametrize(
    ("status", "words"),
    [("301 Moved", "without saying where to"), ("300 Choose", "not with a document")],
)
def test_a_redirect_without_a_target_is_called_so(status: str, words: str) -> None:
    """A body was received with both: it is not missing."""
    deed = answers(BODY, status)
    with misbehaving(deed) as (url, _), pytest.raises(ProtocolError, match=words):
        client()("feed", url)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
@pytest.mark.parametrize("follow", [False, True])
def test_the_body_of_a_redirect_is_not_read(*, status: int, follow: bool) -> None:
    """However large it is, and whether it is followed or not (fault 15)."""
    head = f"HTTP/1.1 {status} Moved\r\nLocation: /x\r\nContent-Encoding: gzip\r\n"
    deed = sends(f"{head}Content-Length: {len(bomb())}\r\n\r\n".encode() + bomb())
    with misbehaving(deed) as (url, _):
        tracemalloc.start()
        with pytest.raises(ProtocolError):
            client(Budget(), access=Access(redirects=follow))("feed", url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("200 OK", ""),
        ("302 Found", "HTTP 302, a redirect; correct the address"),
        ("500 Oops", "HTTP 500"),
    ],
)
def test_the_answer_of_a_webhook_or_a_ping_is_not_read(status: str, error: str) -> None:
    """Whatever its size: only its status counts."""
    head = f"HTTP/1.1 {status}\r\nLocation: /x\r\nContent-Encoding: gzip\r\n"
    deed = sends(f"{head}Content-Length: {len(bomb())}\r\n\r\n".encode() + bomb())
    with misbehaving(deed) as (url, _):
        tracemalloc.start()
        errors = {webhooks.ping(url, ""), webhooks.post(url, "text")}
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert errors == {error}
    assert peak < 20_000_000


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return names with their addresses; each list is used up to its last.

    What is connected to at PUBLIC reaches this machine.
    """
    names: dict[str, Any] = {"connected": []}
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def resolved(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host not in names:
            return resolve(host, port, *more, **options)
        if options.get("flags"):
            raise socket.gaierror(-2, "not numeric")
        turns = names[host]
        address = turns.pop(0) if len(turns) > 1 else turns[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connected(self: socket.socket, address: Any) -> None:
        names["connected"].append(address[0])
        connect(self, ("127.0.0.1", address[1]) if address[0] == PUBLIC else address)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket.socket, "connect", connected)
    return names


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "inside.example.org",
        "0.0.0.0",
    ],
)
@pytest.mark.parametrize("way", ["document", "redirect"])
def test_a_public_feed_does_not_lead_into_our_network(
    host: Callable[..., Host], internet: dict[str, Any], place: str, way: str
) -> None:
    """Neither by its documents nor by redirects; no connection is made."""
    inside = host()
    internet["feed.example.org"] = [PUBLIC]
    internet["inside.example.org"] = ["127.0.0.1"]
    target = f"http://{place}:{inside.port}/secret"
    home = host(moved(target) if way == "redirect" else good())
    url = f"http://feed.example.org:{home.port}/x.json"
    get = client(Budget(), access=Access(url, redirects=True))
    with pytest.raises(ProtocolError, match="private_hosts") as failed:
        get("feed", url if way == "redirect" else target)

    assert failed.value.cause == "address"
    assert inside.requests == []
    assert set(internet["connected"]) <= {PUBLIC}
    assert len(get.attempts) == 1


@pytest.mark.parametrize("place", ["127.0.0.1", "2130706433", "localhost", "nas.lan"])
def test_a_proxy_is_not_asked_for_our_network(
    host: Callable[..., Host], place: str
) -> None:
    """It would resolve the name; the proxy itself may be anywhere."""
    proxy = host()
    access = Access("http://feed.example.org/", proxy=f"http://127.0.0.1:{proxy.port}")
    get = client(access=access)
    assert get("feed", "http://feed.example.org/").body == BODY
    with pytest.raises(ProtocolError, match="private_hosts"):
        get("feed", f"http://{place}/")

    assert len(proxy.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "text", "few"),
    [
        ("407 Login", "HTTP 407: it requires other credentials", True),
        ("502 X", "", False),
    ],
)
def test_an_error_of_a_proxy_names_the_proxy(
    scheme: str, status: str, text: str, *, few: bool
) -> None:
    """The feed is not blamed; a rejected password is neither shown nor sent often."""
    with misbehaving(answers(b"<html>", status)) as (url, arrivals):
        place = url.removeprefix("http://").partition("/")[0]
        access = Access(proxy=f"http://me:hunter22@{place}")
        with pytest.raises(FeedUnavailable, match="through the proxy") as failed:
            client(Budget(), access=access)("feed", f"{scheme}://feed.example.org/x")

    assert f"proxy {place}" in str(failed.value)
    assert text in str(failed.value)
    assert "hunter22" not in str(failed.value)
    assert failed.value.http_status == int(status[:3])
    assert (len(arrivals) <= 2) == few


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://no-such-proxy.invalid:3128", "its name does not resolve"),
        ("127.0.0.1:9", "it cannot be connected to: connection refused"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_missing_proxy_is_not_a_missing_feed(
    scheme: str, proxy: str, reason: str
) -> None:
    """The run said that the name of the feed does not resolve."""
    get = client(access=Access(proxy=proxy))
    with pytest.raises(FeedUnavailable, match=reason) as failed:
        get("feed", f"{scheme}://feed.example.org/x")

    assert failed.value.cause == "proxy"


def test_a_proxy_that_closes_is_not_called_unreachable() -> None:
    """It was connected to, so its address is right."""
    with misbehaving(sends(b"")) as (url, _):
        get = client(Budget(), access=Access(proxy=url))
        with pytest.raises(FeedUnavailable, match="it closed the connection"):
            get("feed", "http://feed.example.org/x", tries=ONCE)


@pytest.mark.parametrize(
    "reason",
    ["SOCKS5 authentication failed", "0x05: Connection refused", "[Errno 111] Refused"],
)
def test_an_error_of_a_socks_proxy_says_what_it_answered(reason: str) -> None:
    """PySocks' own errors look like those of a feed that cannot be connected to."""
    text = "SOCKSConnection(host='a.org', port=443): Failed to establish a new "
    error = requests.ConnectionError(
        f'NewConnectionError("{text}connection: {reason}")'
    )
    failed = translated(error, "https://a.org/ through the proxy b.org:1080")

    assert isinstance(failed, FeedUnavailable)
    assert failed.cause == "proxy"
    assert str(failed).endswith(f"b.org:1080: {reason.removeprefix('0x05: ')}")


def test_a_password_of_a_proxy_with_a_slash_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its address is read wrongly then, and the error names the proxy alone."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:12/hunter@127.0.0.1:9")
    get = client(access=Access(trust_env=True))
    with pytest.raises(FeedUnavailable, match=r"the proxy 127\.0\.0\.1:9:") as failed:
        get("feed", "https://feed.example.org/x")

    assert "me:12" not in str(failed.value)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5h://me:hunter22@127.0.0.1:9", "requires PySocks: pip install"),
        ("foo://127.0.0.1:9", "the proxy's address is not valid; see the proxy var"),
        ("http://127.0.0.1:port", "the proxy's address is not valid"),
    ],
)
def test_an_unusable_proxy_of_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    """The run said that the feed's address is not valid."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ProtocolError, match=words) as failed:
        client(access=Access(trust_env=True))("feed", "https://feed.example.org/x")

    assert "hunter22" not in str(failed.value)


@pytest.mark.filterwarnings("error::urllib3.exceptions.InsecureRequestWarning")
def test_the_certificate_of_a_proxy_is_verified_for_a_feed_without_tls() -> None:
    """It received the proxy's password, and each run printed a warning."""
    with tls_server("127.0.0.1") as (url, _):
        place = url.removeprefix("https://").removesuffix("/x")
        access = Access(proxy=f"https://me:hunter22@{place}")
        with pytest.raises(
            FeedUnavailable, match="no TLS connection to it: "
        ) as failed:
            client(access=access)("feed", "http://feed.example.org/x")

    assert failed.value.cause == "proxy"


def test_too_many_headers_are_named() -> None:
    """The run said that the connection was closed without a response."""
    many = answers(BODY, headers=b"X: y\r\n" * 200)
    words = "too many or too long headers"
    with misbehaving(many) as (url, _), pytest.raises(FeedUnavailable, match=words):
        client()("feed", url)


def test_private_hosts_can_be_allowed(
    host: Callable[..., Host], internet: dict[str, Any]
) -> None:
    """By `private_hosts`, as the message says."""
    inside = host()
    internet["feed.example.org"], internet["db.internal"] = [PUBLIC], ["127.0.0.1"]
    access = Access("http://feed.example.org/", private_hosts=["db.internal"])
    document = client(access=access)("feed", f"http://db.internal:{inside.port}/")

    assert document.body == BODY


def test_a_name_is_resolved_once_for_the_check_and_the_connection(
    host: Callable[..., Host], internet: dict[str, Any]
) -> None:
    """Changing the address of a name in between has no effect (DNS rebinding)."""
    inside = host()
    internet["feed.example.org"] = [PUBLIC]
    internet["evil.example.org"] = [PUBLIC, "127.0.0.1"]
    get = client(Budget(), access=Access("http://feed.example.org/"))
    place = f"http://evil.example.org:{inside.port}/"
    assert get("feed", place).body == BODY
    assert internet["connected"] == [PUBLIC]
    with pytest.raises(ProtocolError, match="loopback"):
        get("feed", place)

    assert len(inside.requests) == 1


def test_the_feeds_own_name_cannot_be_bound_to_our_network(
    host: Callable[..., Host], internet: dict[str, Any]
) -> None:
    """Once it was public it must be public for the whole run."""
    inside = host()
    internet["feed.example.org"] = [PUBLIC, "127.0.0.1"]
    place = f"http://feed.example.org:{inside.port}/"
    get = client(Budget(), access=Access(place))
    get("feed", place)
    with pytest.raises(ProtocolError, match="was public before"):
        get("feed", place)


def test_a_feed_on_loopback_may_name_others_there(host: Callable[..., Host]) -> None:
    """Like a development server."""
    home, other = host(), host()
    get = client(access=Access(home.url))

    assert get("feed", other.url.replace("127.0.0.1", "localhost")).body == BODY


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("X-GZip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY, wbits=-15)),
        ("identity", BODY),
        ("identity", gzip.compress(BODY, mtime=0)),
    ],
)
def test_each_coding_that_servers_use_is_read(
    host: Callable[..., Host], coding: str, body: bytes
) -> None:
    """Gzip by both of its names, or as a file; deflate with a header and without."""
    home = host(good(body, f"Content-Encoding: {coding}\r\n"))

    assert client()("feed", home.url).body == BODY


WHOLE = f"Content-Range: bytes 0-{len(BODY) - 1}/{len(BODY)}\r\n"


@pytest.mark.parametrize(
    "status", [b"201 Created", b"203 Non-Authoritative", b"206 Partial Content"]
)
def test_a_complete_body_is_read_with_any_status_for_it(
    host: Callable[..., Host], status: bytes
) -> None:
    """Gateways, transforming proxies and caches answer so; a range may be all."""
    home = host(good(BODY, WHOLE).replace(b"200 OK", status))
    document = client()("feed", home.url)

    assert (document.body, document.total) == (BODY, None)


@pytest.mark.parametrize("header", ["", "0-9/11", "1-9/10", "0-9/*", "*/10"])
def test_a_part_of_a_body_is_not_read(host: Callable[..., Host], header: str) -> None:
    """A range that was not requested may be any part of it."""
    part = good(BODY, f"Content-Range: bytes {header}\r\n")
    home = host(part.replace(b"200 OK", b"206 Partial Content"))
    with pytest.raises(FeedUnavailable) as failed:
        client()("feed", home.url)

    assert failed.value.cause == "http-206"


@pytest.mark.parametrize("wbits", [15, -15])
def test_a_truncated_deflate_stream_is_tried_again(
    host: Callable[..., Host], wbits: int
) -> None:
    """The body is incomplete, even if Content-Length matches (fault 12)."""
    cut = zlib.compress(BODY * 9, wbits=wbits)[:-6]
    home = host(good(cut, "Content-Encoding: deflate\r\n"))
    with pytest.raises(FeedUnavailable) as failed:
        client()("feed", home.url)

    assert failed.value.cause == "truncated"


@pytest.mark.parametrize("piece", [b"{},", b"[" * 400 + b"]" * 400 + b","])
def test_a_small_answer_does_not_inflate_to_much(
    host: Callable[..., Host], piece: bytes
) -> None:
    """63 kB on the wire would be 64 MiB, and 1.8 GB when parsed."""
    text = b"[" + piece * (64 * 2**20 // len(piece)) + b"0]"
    home = host(good(gzip.compress(text, 9), "Content-Encoding: gzip\r\n"))
    access = Budget(wire_bytes=2**27, inflated_bytes=2**27, run_bytes=2**28)
    with pytest.raises(PayloadError, match="ratio is over 200") as failed:
        client(access._replace(attempt=30, total=60))("feed", home.url)

    assert failed.value.cause == "too-large"


def test_the_documents_of_a_run_are_bounded_together(
    host: Callable[..., Host],
) -> None:
    """Each is small enough, ten together are not."""
    home = host(good(b"x" * 500_000))
    budget = Budget(inflated_bytes=600_000, run_bytes=1_200_000)
    get = client(budget)
    get("page-0", home.url)
    get("page-1", home.url)
    with pytest.raises(PayloadError, match="max_body") as failed:
        get("page-2", home.url)

    assert failed.value.cause == "too-large"


def test_national_feeds_are_read_uncompressed() -> None:
    """26,000 stations' information and 60,000 vehicles in one run."""
    station = {"station_id": "0", "name": "x" * 60, "lat": 50.1, "lon": 8.1}
    more = {"address": "y" * 60, "rental_uris": {"web": "https://x.org/" + "z" * 200}}
    stations = json.dumps([{**station, **more}] * 26_000).encode()
    vehicle = {"vehicle_id": "v" * 36, "lat": 50.123456, "lon": 8.123456, **more}
    vehicles = json.dumps([vehicle] * 60_000).encode()
    bodies = {"/i": stations, "/v": vehicles}
    with serving(lambda path: Answer(bodies[path])) as url:
        get = client(Budget())
        documents = [get("information", f"{url}/i"), get("vehicles", f"{url}/v")]

    assert [len(document.body) for document in documents] == [
        len(stations),
        len(vehicles),
    ]


def test_a_malformed_address_fails_at_once() -> None:
    """It is named; nothing is requested or waited for."""
    get = client(Budget())
    with pytest.raises(
        ProtocolError, match=r"address of status .*'http://\['"
    ) as raised:
        get("status", "http://[")

    assert raised.value.cause == "address"
    assert get.attempts == []


def test_a_host_that_was_public_in_an_earlier_run_must_be_public(
    host: Callable[..., Host], internet: dict[str, Any]
) -> None:
    """The next run gets this fact: the name cannot be rebound."""
    inside = host()
    internet["feed.example.org"] = [PUBLIC, "127.0.0.1"]
    place = f"http://feed.example.org:{inside.port}/"
    first, second = client(Budget(), access=Access(place)), client(Budget())
    first("feed", place)
    assert first.public_host == "feed.example.org"

    second.public_host = first.public_host
    with pytest.raises(ProtocolError, match="was public before"):
        second("feed", place)

    moved_on_purpose = Access(place, private_hosts=["feed.example.org"])
    third = client(Budget(), access=moved_on_purpose)
    third.public_host = first.public_host
    assert third("feed", place).body == BODY
