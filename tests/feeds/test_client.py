"""The client against servers that misbehave."""

import gzip
import json
import socket
import ssl
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
import rawserver
import trustme
from rawserver import BODY, GZIP, HEAD, answers, drips, misbehaving, sends
from served import Answer, serving

from bikecollect.core.errors import (
    BikecollectError,
    CredentialsError,
    FeedError,
    FeedUnavailable,
    Interrupted,
    Overload,
    PayloadError,
    ProtocolError,
    RateLimited,
)
from bikecollect.core.payload import ONCE
from bikecollect.core.process import Stop
from bikecollect.feeds.http.access import Access
from bikecollect.feeds.http.client import Client
from bikecollect.feeds.http.retry import Budget
from bikecollect.setup import probe

SHORT = Budget(connect=0.3, idle=0.4, attempt=0.5, total=0.8)


class Patient(Stop):
    """A stop whose waits pass at once, with its own clock."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def wait(self, seconds: float) -> bool:
        """Let *seconds* pass."""
        self.passed += seconds
        return super().wait(0)

    def monotonic(self) -> float:
        """Return the real time plus the time waited."""
        return time.monotonic() + self.passed


def client(
    budget: Budget = SHORT,
    stop: Patient | None = None,
    access: Access | None = None,
    **more: object,
) -> Client:
    """Return a client whose waits pass at once."""
    stop = stop or Patient()
    return Client(
        budget=budget,
        stop=stop,
        monotonic=stop.monotonic,
        random=lambda: 0.0,
        access=access,
        **more,  # type: ignore[arg-type]
    )


def parse(body: bytes) -> None:
    """Check a body like a feed does."""
    try:
        json.loads(body)
    except ValueError as error:
        raise PayloadError("the response is not JSON", cause="not-json") from error


ZIPPED = gzip.compress(BODY)
LENGTH = b"Content-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        pytest.param(rawserver.hangs, "timeout", id="silent (fault 8)"),
        pytest.param(drips(HEAD + LENGTH % 900), "timeout", id="body drips (fault 5)"),
        pytest.param(drips(b"HTTP/1.1 200 O"), "timeout", id="head drips (fault 6)"),
        pytest.param(
            drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout", id="100s (fault 7)"
        ),
        pytest.param(
            sends(HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n"),
            "connect",
            id="200 headers (fault 7)",
        ),
        pytest.param(
            sends(HEAD + LENGTH % 900 + BODY), "truncated", id="short (fault 9)"
        ),
        pytest.param(
            sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + BODY),
            "truncated",
            id="chunk cut (fault 10)",
        ),
        pytest.param(
            sends(GZIP + LENGTH % (len(ZIPPED) - 9) + ZIPPED[:-9]),
            "truncated",
            id="gzip cut (fault 12)",
        ),
        pytest.param(
            sends(GZIP + LENGTH % len(BODY) + BODY), "encoding", id="no gzip (fault 13)"
        ),
        pytest.param(
            sends(GZIP + LENGTH % (len(ZIPPED) + 4) + ZIPPED + b"more"),
            "truncated",
            id="gzip followed (fault 13)",
        ),
        pytest.param(
            sends(GZIP + LENGTH % len(ZIPPED) + ZIPPED[:-8] + b"\0" * 8),
            "encoding",
            id="gzip with a wrong sum (fault 13)",
        ),
        pytest.param(
            sends(HEAD + b"Content-Encoding: br\r\n" + LENGTH % len(BODY) + BODY),
            "encoding",
            id="brotli (fault 14)",
        ),
        pytest.param(rawserver.resets, "truncated", id="reset (fault 17)"),
        pytest.param(answers(b"", "500 Oops"), "http-500", id="500 (fault 18)"),
        pytest.param(answers(b"", "503 Busy"), "http-503", id="503 (fault 18)"),
        pytest.param(
            sends(b"HTTP/1.1 101 Other\r\n" + LENGTH % 0), "http-101", id="101"
        ),
        pytest.param(sends(b"SSH-2.0-OpenSSH\r\n"), "connect", id="no HTTP at all"),
    ],
)
def test_a_broken_answer_has_its_cause(deed: rawserver.Misdeed, cause: str) -> None:
    """For any behaviour of the server the run ends, with a cause and its address."""
    with misbehaving(deed) as (url, _), pytest.raises(FeedUnavailable) as failed:
        client()("feed", url)

    assert failed.value.cause == cause
    assert "127.0.0.1" in str(failed.value)


@pytest.mark.parametrize(
    "first",
    [
        answers(b"", "502 Bad Gateway"),
        answers(b"<html>proxy</html>"),
        sends(HEAD + LENGTH % 900 + BODY),
        rawserver.resets,
    ],
)
def test_a_temporary_failure_is_tried_again(first: rawserver.Misdeed) -> None:
    """The second answer is used, and both attempts are recorded (faults 18, 29)."""
    get = client(Budget())
    with misbehaving(first, answers(BODY)) as (url, arrivals):
        document = get("feed", url, check=parse)

    assert document.body == BODY
    assert len(arrivals) == len(get.attempts) == 2
    assert get.attempts[0].error != ""


@pytest.mark.parametrize("status", [100, 102, 103])
def test_responses_before_the_final_one_are_skipped(status: int) -> None:
    """Any of 1xx, and several (RFC 9110, 15.2)."""
    hints = b"HTTP/1.1 %d Wait\r\nLink: </a.css>; rel=preload\r\n\r\n" % status
    with misbehaving(sends(hints * 2 + HEAD + LENGTH % len(BODY) + BODY)) as (url, _):
        document = client()("feed", url, tries=ONCE)

    assert (document.http_status, document.body) == (200, BODY)


def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    """A server may close an idle connection: that costs no try of the next document."""

    def answer_once(peer: socket.socket) -> None:
        peer.sendall(HEAD + LENGTH % len(BODY) + BODY)
        peer.recv(65_536)  # the next request gets no response

    get = client(Budget())
    with misbehaving(answer_once) as (url, arrivals):
        get("status", url)
        document = get("information", url, tries=ONCE)

    assert document.body == BODY
    assert len(arrivals) == len(get.attempts) == 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "closed the connection without"),
        (b"SSH-2.0-OpenSSH\r\n", "is not HTTP"),
        (b"HTTP/2 200\r\n\r\n", "is not HTTP"),
        (b"HTTP/1.1 102 Wait\r\n\r\n" * 101, "headers or interim responses"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "contradict"),
    ],
)
def test_an_answer_that_is_none_is_not_called_a_failed_connection(
    sent: bytes, words: str
) -> None:
    """The server was reached, which matters to whoever looks for the cause."""
    with (
        misbehaving(sends(sent)) as (url, _),
        pytest.raises(FeedUnavailable, match=words),
    ):
        client()("feed", url, tries=ONCE)


def test_a_response_that_is_not_http_is_not_requested_twice() -> None:
    """Only a connection that was closed is replaced at once, in the same attempt."""
    get = client(Budget())
    with misbehaving(answers(BODY), sends(b"HTTP/9 200\r\n\r\n")) as (url, arrivals):
        get("status", url)
        with pytest.raises(FeedUnavailable):
            get("information", url, tries=ONCE)

    assert len(arrivals) == len(get.attempts) == 2


def test_the_last_wrong_body_is_kept_as_evidence() -> None:
    """A body that is never JSON is returned, after four attempts (fault 29)."""
    with misbehaving(answers(b"<html>down</html>")) as (url, arrivals):
        document = client(Budget())("feed", url, check=parse)

    assert document.body == b"<html>down</html>"
    assert len(arrivals) == 4


def test_an_encoding_that_is_not_known_is_requested_as_often() -> None:
    """Of a server that always sends it, not until the end of the slot's time."""
    brotli = answers(BODY, headers=b"Content-Encoding: br\r\n")
    with misbehaving(brotli) as (url, arrivals), pytest.raises(FeedUnavailable):
        client(Budget())("feed", url)

    assert len(arrivals) == 4


def test_a_bug_in_the_check_does_not_cost_the_payload() -> None:
    """After an exception that is no PayloadError the body is accepted."""

    def broken(_: bytes) -> None:
        raise ZeroDivisionError

    with misbehaving(answers(BODY)) as (url, _):
        assert client()("feed", url, check=broken).body == BODY


@pytest.mark.parametrize("deed", [rawserver.floods, rawserver.bombs])
def test_a_body_too_large_is_cut_off(deed: rawserver.Misdeed) -> None:
    """An endless body or a gzip bomb never fills the memory (faults 15, 16)."""
    budget = Budget(wire_bytes=1_000_000, inflated_bytes=4_000_000, total=20)
    with misbehaving(deed) as (url, _):
        tracemalloc.start()
        with pytest.raises(PayloadError) as failed:
            client(budget)("feed", url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert failed.value.cause == "too-large"
    assert peak < 400_000_000


def test_a_rate_limit_within_the_budget_is_waited_for() -> None:
    """429 with a short Retry-After: wait that long, then try again (fault 19)."""
    stop = Patient()
    limited = answers(b"", "429 Slow", b"Retry-After: 40\r\n")
    with misbehaving(limited, answers(BODY)) as (url, arrivals):
        client(Budget(), stop)("feed", url)

    assert len(arrivals) == 2
    assert stop.passed == 40


@pytest.mark.parametrize(
    "header",
    [
        b"Retry-After: 3600",
        b"Retry-After: 3600.0 seconds",
        b"RateLimit-Reset: 3600",
        b'RateLimit: "hour";r=0;t=3600, "day";r=900;t=80000',
        b"RateLimit: limit=60, remaining=0, reset=3600",
        b"Retry-After: never\r\nX-RateLimit-Reset: 3600",
    ],
)
def test_a_long_rate_limit_ends_the_run_without_another_request(header: bytes) -> None:
    """429 with a long Retry-After, or a reset: no more requests (fault 20)."""
    limited = answers(b"", "429 Slow", header + b"\r\n")
    get = client(Budget(), clock=lambda: 1000.0)
    with misbehaving(limited) as (url, arrivals), pytest.raises(RateLimited) as failed:
        get("feed", url)

    assert failed.value.not_before == 4600
    assert len(arrivals) == 1


def test_a_retry_after_of_years_is_not_told_as_a_time_to_wait_for() -> None:
    """It is an error of the server, and later runs do not wait for it."""
    limited = answers(b"", "429 Slow", b"Retry-After: 99999999999\r\n")
    get = client(Budget(), clock=lambda: 1000.0)
    words = "HTTP 429: retry in more than a month, which ends this run only"
    with misbehaving(limited) as (url, _), pytest.raises(RateLimited, match=words):
        get("feed", url)


@pytest.mark.parametrize(("interval", "passed"), [(300, [0, 1, 61, 121]), (30, [0, 1])])
def test_a_rate_limit_without_a_pause_is_tried_a_few_times(
    interval: int, passed: list[float]
) -> None:
    """A single 429 costs a second; after more, each minute and once at the deadline."""
    stop, times = Patient(), []

    def limited(peer: socket.socket) -> None:
        times.append(stop.passed)
        answers(b"", "429 Slow")(peer)

    budget = Budget.for_interval(interval)
    with misbehaving(limited) as (url, _), pytest.raises(FeedUnavailable, match="429"):
        client(budget, stop)("feed", url)

    assert times[:-1] == passed


def test_a_long_outage_gets_one_last_try_at_the_end() -> None:
    """503 with Retry-After 3600 does not end the attempts of the slot (fault 21)."""
    busy = answers(b"", "503 Busy", b"Retry-After: 3600\r\n")
    with misbehaving(busy, answers(BODY)) as (url, _):
        assert client(Budget())("feed", url).body == BODY


@pytest.mark.parametrize("word", [b"soon", b"-5", b"Mon, 01 Jan 1990 00:00:00 GMT"])
def test_an_invalid_retry_after_is_ignored(word: bytes) -> None:
    """Garbage and past dates are treated as absent (fault 22)."""
    stop = Patient()
    busy = answers(b"", "429 Slow", b"Retry-After: " + word + b"\r\n")
    with misbehaving(busy, answers(BODY)) as (url, _):
        client(Budget(), stop)("feed", url)

    assert stop.passed == 1.0


@pytest.mark.parametrize("status", ["401 No", "403 No"])
def test_refused_credentials_are_tried_once_more(status: str) -> None:
    """One more attempt after ten seconds, then a person is needed (fault 23)."""
    stop = Patient()
    with (
        misbehaving(answers(b"", status)) as (url, arrivals),
        pytest.raises(CredentialsError, match="denied, no credentials were sent"),
    ):
        client(Budget(), stop)("feed", url)

    assert len(arrivals) == 2
    assert stop.passed == 10.0


def test_a_trial_does_not_wait_for_rejected_credentials() -> None:
    """`feeds try` reports them at once; ten seconds change no password."""
    stop = Patient()
    with (
        misbehaving(answers(b"", "401 No")) as (url, arrivals),
        pytest.raises(CredentialsError),
    ):
        probe.try_feed(url, stop=stop)

    assert len(arrivals) == 1
    assert stop.passed == 0.0


@pytest.mark.parametrize("status", ["404 Gone", "410 Gone"])
def test_a_missing_feed_is_tried_once_more(status: str) -> None:
    """A wrong address does not use the whole budget (fault 24)."""
    with misbehaving(answers(b"", status)) as (url, arrivals), pytest.raises(FeedError):
        client(Budget())("feed", url)

    assert len(arrivals) == 2


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://other.example/x?key=s", "/loop"]
)
def test_a_redirect_is_not_followed(target: str) -> None:
    """Only its host is named, nothing is sent there (faults 25, 109)."""
    moved = answers(b"", "302 Found", f"Location: {target}\r\n".encode())
    with misbehaving(moved) as (url, arrivals), pytest.raises(ProtocolError) as failed:
        client(Budget())("feed", url)

    assert failed.value.cause == "redirect"
    assert "key=s" not in str(failed.value)
    assert len(arrivals) == 2


def test_a_redirect_to_an_address_in_utf_8_is_followed_to_it() -> None:
    """Header fields are read as Latin-1: the letter would be encoded twice."""
    moved = answers(b"", "302 Found", "Location: /données.json\r\n".encode())
    access = Access(redirects=True)
    with misbehaving(moved) as (url, _), pytest.raises(ProtocolError) as failed:
        client(Budget(), access=access)("feed", url)

    assert "/donn%C3%A9es.json" in str(failed.value)


def test_a_silent_resolver_does_not_hold_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that never resolves times out at the deadline (fault 3)."""
    over = threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        over.wait(60)
        raise socket.gaierror(-3, "over")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(FeedUnavailable) as failed:
        client()("feed", "http://feed.invalid/x")
    over.set()

    assert failed.value.cause == "timeout"


def test_a_limit_of_threads_is_not_blamed_on_the_feed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If this machine starts no thread, that is the error; the feed was not asked."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(Overload, match=r"ulimit -u") as failed:
        client(Budget(attempt=0.1, total=0.1))("feed", "http://feed.invalid/x")

    assert "timed out" not in str(failed.value)


def test_an_unknown_name_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolvers fail momentarily: the cause is dns, and it is retried (fault 4)."""

    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    get = client(Budget())
    with pytest.raises(FeedUnavailable) as failed:
        get("feed", "http://feed.invalid/x")

    assert failed.value.cause == "dns"
    assert len(get.attempts) > 5


def test_a_closed_port_is_tried_until_the_deadline() -> None:
    """Connection refused: about thirteen attempts in 150 s (fault 1)."""
    get = client(Budget())
    with pytest.raises(FeedUnavailable) as failed:
        get("feed", "http://127.0.0.1:9/x")

    assert failed.value.cause == "connect"
    assert str(failed.value).endswith("/x: connection refused")
    assert 8 <= len(get.attempts) <= 20


def test_a_signal_cuts_the_wait_short() -> None:
    """A stop that is set ends an attempt while the server still hangs (fault 69)."""
    stop, over = Patient(), threading.Event()
    waited = []

    def hangs(_: socket.socket) -> None:
        stop.set(15)
        waited.append(over.wait(20))

    with misbehaving(hangs) as (url, _), pytest.raises(Interrupted):
        client(Budget(), stop)("feed", url)

    assert waited == []
    over.set()


def test_netrc_and_proxies_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a proxy variable nor .netrc changes a request (faults 27, 28)."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[str] = []

    def look(peer: socket.socket) -> None:
        peer.sendall(HEAD + LENGTH % len(BODY) + BODY)

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            seen.append(peer.recv(65_536).decode("latin-1"))
            look(peer)

    threading.Thread(target=serve, daemon=True).start()
    get = client(access=Access(headers={"Authorization": "Key mine"}))
    document = get("feed", f"http://127.0.0.1:{listener.getsockname()[1]}/")
    listener.close()

    assert document.body == BODY
    assert "Authorization: Key mine" in seen[0]


@pytest.mark.parametrize(
    ("name", "trusted", "word"),
    [
        ("127.0.0.1", False, "verified: (self-signed|unable to get local issuer)"),
        ("other.example", True, "verified: IP address mismatch.* for '127.0.0.1'"),
    ],
)
def test_tls_that_cannot_be_verified_is_refused(
    tmp_path: Path, *, name: str, trusted: bool, word: str
) -> None:
    """An unknown authority or a wrong name ends with a protocol error (fault 26)."""
    with tls_server(name) as (url, authority):
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        access = Access(ca_bundle=str(bundle) if trusted else "")
        get = client(Budget(), access=access)
        with pytest.raises(ProtocolError, match=word) as failed:
            get("feed", url)

    assert failed.value.cause == "tls"
    assert len(get.attempts) == 3


def test_tls_of_a_trusted_server_is_used(tmp_path: Path) -> None:
    """The same server with its authority in ca_bundle gives its body."""
    with tls_server("127.0.0.1") as (url, authority):
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        access = Access(ca_bundle=str(bundle))
        document = client(Budget(), access=access)("feed", url)

    assert document.body == BODY


def test_a_ca_bundle_precedes_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with trust_env, whose variables requests would prefer."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with tls_server("127.0.0.1") as (url, authority):
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        access = Access(ca_bundle=str(tmp_path / "ca.pem"), trust_env=True)
        document = client(Budget(), access=access)("feed", url)

    assert document.body == BODY


def test_missing_certificates_are_reported(tmp_path: Path) -> None:
    """A missing file, and one without certificates, are no network error."""
    (tmp_path / "empty.pem").write_text("nothing\n", encoding="utf-8")
    ends = "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
    (tmp_path / "torn.pem").write_text(ends % "MIIB", encoding="utf-8")
    errors = []
    with tls_server("127.0.0.1") as (url, _):
        for name in ("none.pem", "empty.pem", "torn.pem"):
            get = client(Budget(), access=Access(ca_bundle=str(tmp_path / name)))
            with pytest.raises(ProtocolError) as failed:
                get("feed", url)
            errors.append(str(failed.value))

    assert errors[0] == f"ca_bundle {tmp_path}/none.pem does not exist"
    assert "there is no certificate in ca_bundle" in errors[1]
    assert "a certificate in ca_bundle is damaged" in errors[2]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.pem", "does not exist"), ("broken-link.pem", "cannot be read")],
)
def test_missing_certificates_of_the_environment_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, reason: str
) -> None:
    """It was "cannot connect", without a reason; ca_bundle is used where it is set."""
    (tmp_path / "broken-link.pem").symlink_to("nowhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
    with tls_server("127.0.0.1") as (url, _), pytest.raises(ProtocolError) as failed:
        client(Budget(), access=Access(trust_env=True))("feed", url)

    assert str(failed.value) == f"REQUESTS_CA_BUNDLE {tmp_path / name} {reason}"


def test_plain_http_at_an_https_address_is_reported() -> None:
    """A server without TLS."""
    with misbehaving(answers(BODY)) as (url, _):
        get = client(Budget())
        with pytest.raises(
            ProtocolError, match=r"response is not TLS \(.*wrong version"
        ):
            get("feed", url.replace("http://", "https://"))


def test_tls_at_an_http_address_is_reported() -> None:
    """A server answers the request with an alert of TLS, or only closes."""
    alert = sends(bytes([21, 3, 1, 0, 2, 2, 70]))
    with misbehaving(alert) as (url, _), tls_server("127.0.0.1") as (secure, _):
        with pytest.raises(FeedUnavailable, match="not HTTP, but TLS: use https://"):
            client(Budget())("feed", url)
        with pytest.raises(FeedUnavailable, match=r"response \(does it require https:"):
            client(Budget())("feed", secure.replace("https://", "http://"))


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        (70, "it has only versions of TLS before 1.2"),
        (40, "or it requires a client certificate"),
        (112, "unrecognized name"),
    ],
)
def test_a_handshake_that_fails_is_no_bad_certificate(alert: int, words: str) -> None:
    """The run said "cannot be verified", although no certificate was received."""
    with misbehaving(sends(bytes([21, 3, 3, 0, 2, 2, alert]))) as (url, _):
        place = url.replace("http://", "https://")
        with pytest.raises(ProtocolError, match="no TLS connection to") as failed:
            client(Budget())("feed", place)

    assert words in str(failed.value)


class tls_server:  # used as a function
    """A TLS server with a certificate for *name*; yields address and authority.

    It sends *answers*, one after the other where it is a list.
    """

    def __init__(self, name: str, answers: bytes | list[bytes] = b"") -> None:
        self._answers = answers
        self._authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(self._context)

    def __enter__(self) -> tuple[str, trustme.CA]:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        port = self._listener.getsockname()[1]
        return f"https://127.0.0.1:{port}/x", self._authority

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(peer, server_side=True) as secure:
                    secure.recv(65_536)
                    secure.sendall(self._answer())
            except OSError:
                peer.close()

    def _answer(self) -> bytes:
        if isinstance(self._answers, list):
            return self._answers.pop(0)
        return self._answers or HEAD + LENGTH % len(BODY) + BODY

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_good_answer_has_the_servers_clock() -> None:
    """The Date header is kept, to detect a wrong clock (fault 77)."""
    with serving(lambda _: Answer(BODY)) as url:
        document = client()("feed", url)

    assert document.date is not None
    assert abs(document.date - document.fetched_at) < 5


def test_a_date_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an asctime date, which RFC 9110 allows: not in this machine's zone."""
    monkeypatch.setenv("TZ", "Asia/Taipei")
    time.tzset()
    try:
        with serving(lambda _: Answer(BODY), clock=lambda: 0.0) as url:
            document = client(clock=lambda: 5.0)("feed", url)
        asctime = b"Date: Thu Jan  1 00:00:07 1970\r\n"
        with misbehaving(answers(BODY, headers=asctime)) as (url, _):
            other = client(clock=lambda: 5.0)("feed", url)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert (document.date, other.date) == (0.0, 7.0)


@pytest.mark.parametrize(("since", "server"), [(0.0, 5_000.0), (5_000.0, 5_000.0)])
def test_a_response_from_a_cache_tells_the_time_of_now(
    since: float, server: float
) -> None:
    """Some caches keep the Date of the origin, others set their own; both state Age."""
    aged = Answer(BODY, headers={"Age": "7200"})
    with serving(lambda _: aged, clock=lambda: since) as url:
        document = client(clock=lambda: 5_000.0)("feed", url)

    assert document.date == server


MEMBERS = gzip.compress(BODY[:9]) + gzip.compress(b"") + gzip.compress(BODY[9:])


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Content-Encoding: utf-8", BODY),
        (b"Content-Encoding: none", BODY),
        (b"Content-Encoding: identity, GZIP", gzip.compress(BODY)),
        (b"Content-Encoding: gzip", MEMBERS),
        (b"Content-Encoding: gzip", gzip.compress(ZIPPED)),
        (b"Transfer-Encoding: chunked", b"17\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ],
    ids=["charset", "none", "list", "gzip members", "twice", "chunked with a length"],
)
def test_an_odd_body_is_read_as_other_clients_read_it(
    header: bytes, body: bytes
) -> None:
    """A charset is no encoding, a gzip has members, chunks make a length void."""
    with misbehaving(answers(body, headers=header + b"\r\n")) as (url, _):
        document = client()("feed", url)

    assert document.body == BODY


def test_gzip_members_count_together_for_the_limits() -> None:
    """Neither their size nor their number is unlimited, nor what they contain."""
    many = gzip.compress(bytes(40_000)) * 9
    for body in (many, gzip.compress(b"") * 1_001, gzip.compress(many)):
        packed = sends(GZIP + LENGTH % len(body) + body)
        budget = SHORT._replace(inflated_bytes=200_000)
        with misbehaving(packed) as (url, _), pytest.raises(BikecollectError):
            client(budget)("feed", url)


def test_a_body_without_length_that_ends_early_is_tried_again() -> None:
    """HTTP cannot detect the truncation, the check of the body can (fault 11)."""
    cut = sends(HEAD + b"\r\n" + BODY[:9])
    with misbehaving(cut, answers(BODY)) as (url, arrivals):
        document = client(Budget())("feed", url, check=parse)

    assert document.body == BODY
    assert len(arrivals) == 2


NAME = '{"name": "許功蓋站", "city": "Café"}'


@pytest.mark.parametrize(
    ("sent", "declared", "read"),
    [
        (NAME.encode("cp950", "ignore"), b"big5", NAME.replace("é", "")),
        (NAME.encode("gb18030"), b'"GBK"', NAME),
        ("裏".encode("cp950"), b"x-Big5", "裏"),
        ("ナシ".encode("cp932"), b"Shift_JIS", "ナシ"),
        ("Café crème".encode("latin-1"), b"ISO-8859-1", "Café crème"),
        (NAME.encode(), b"latin-1", ""),
        (NAME.encode() + b"Caf\xc3", b"latin-1", ""),
        ("捷運市政府站".encode("cp950"), b"latin-1", ""),
        ("Café".encode("latin-1"), b"utf-8", ""),
        ("許".encode("cp950"), b"klingon", ""),
    ],
)
def test_a_body_is_read_by_its_charset_if_it_is_not_utf_8(
    sent: bytes, declared: bytes, read: str
) -> None:
    """The bytes are kept as they came (fault 42).

    UTF-8 labelled as Latin-1 is UTF-8, and so is what a few damaged letters have.
    """
    header = b"Content-Type: application/json; charset=" + declared + b"\r\n"
    with misbehaving(answers(sent, headers=header)) as (url, _):
        document = client()("feed", url)

    assert document.body == (read.encode() or sent)
    assert document.received == sent
    assert document.charset == (declared.decode().strip('"') if read else "")
