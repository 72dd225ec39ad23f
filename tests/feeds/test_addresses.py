"""Addresses: parsing, the networks they lead to, and which hosts get secrets."""

import pytest

from bikecollect.core.errors import ProtocolError, SettingsError
from bikecollect.feeds.http.access import Access, Scope
from bikecollect.feeds.http.networks import AddressGuard, kind_of, numeric
from bikecollect.feeds.http.redirects import same_site
from bikecollect.feeds.http.urls import joined, parse, plain, shown
from bikecollect.setup import loader


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://[", "Invalid IPv6 URL"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://[::1]x/", "(invalid port|Invalid IPv6 URL)"),  # by version of Python
        ("http://[v1.x]/", "At least 3 parts"),
        ("http://", "no host"),
        ("http:///gbfs.json", "no host"),
        ("http://a b/", "invalid host name"),
        ("http://a..b/", "invalid host name"),
        ("http://%31%32/", "invalid host name"),
        ("http://" + "a" * 64 + ".org/", "invalid host name"),
        ("http://\u202eevil.org/", "invalid host name"),
        ("http://example.org:0/", "invalid port"),
        ("http://example.org:65536/", "invalid port"),
        ("http://example.org:http/", "invalid port"),
        ("http://example.org\\@evil.org/", "backslash"),
        ("http://exa\tmple.org/", "control"),
        ("http://example.org/" + "x" * 4_000, "more than 4000"),
        ("ftp://example.org/", "does not begin with"),
        ("example.org/gbfs.json", "does not begin with"),
        ("./gbfs.json", "does not begin with"),
    ],
)
def test_an_invalid_address_is_refused_with_the_reason(url: str, what: str) -> None:
    """By the parser, and by the settings with their key, as settings errors."""
    with pytest.raises(ValueError, match=what):
        parse(url)
    system = {"feed": "gbfs", "url": url, "timezone": "UTC"}
    with pytest.raises(SettingsError, match=rf"systems\.x\.url is not .*{what}"):
        loader.parse({"systems": {"x": system}})


@pytest.mark.parametrize(
    "section",
    [{"ping": {"url": "https://hc.org:x/uuid"}}, {"tell": {"webhook": "http://["}}],
)
def test_the_other_addresses_of_the_settings_are_checked_too(
    section: dict[str, object],
) -> None:
    """A malformed ping or webhook is rejected before it is needed."""
    with pytest.raises(SettingsError, match=r"(ping\.url|tell\.webhook) is not an"):
        loader.parse(section)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("proxy", "http://[", "proxy is not an address"),
        ("proxy", "proxy:99999", "proxy is not an address"),
        ("proxy", "socks5://proxy:1080", "requires PySocks"),
        ("redirects", "same-host", 'true, false or "same-site"'),
        ("headers", {"X-Key": "a\nb"}, "not a valid HTTP header"),
        ("headers", {"X Key": "a"}, "not a valid HTTP header"),
        ("headers", {"X-Key": "\u7ad9"}, "not a valid HTTP header"),
        ("credential_hosts", ["https://example.org"], "is not a host"),
        ("credential_hosts", ["a/b"], "is not a host"),
        ("private_hosts", [""], "is not a host"),
        ("max_body", "64 MB", "is not a size"),
        ("max_body", "0MiB", "is not a size"),
    ],
)
def test_unusable_request_settings_are_settings_errors(
    key: str, value: object, what: str
) -> None:
    """With the key, before any network access."""
    system = {"feed": "gbfs", "url": "https://example.org/", "timezone": "UTC"}
    with pytest.raises(SettingsError, match=what) as failed:
        loader.parse({"systems": {"x": {**system, key: value}}})

    assert f"systems.x.{key}" in str(failed.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("HTTPS://User:pw@Example.ORG:443/a b?q=\u00fc#x", "https://example.org/a%20b"),
        ("http://\u2461\u2461.example/", "http://22.example/"),
        ("http://m\u00fcller.example", "http://xn--mller-kva.example/"),
        ("http://[::FFFF:1.2.3.4]:80/x", "http://[::ffff:102:304]/x"),
        (" https://example.org:8443/x ", "https://example.org:8443/x"),
    ],
)
def test_an_address_is_normalised(url: str, text: str) -> None:
    """So that the check and the request use the same host."""
    assert parse(url).text.partition("?")[0] == text


def test_addresses_are_shown_without_secrets() -> None:
    """Neither user info nor keys, even of a malformed one."""
    assert plain("https://u:p@example.org/x?key=1#y") == "https://example.org/x"
    assert shown("https://u:p@a.org/x?size=10&apiKey=12") == (
        "https://a.org/x?size=10&apiKey=***"
    )
    assert plain("http://me:secret@[/x?key=1") == "http://[/x"


def test_a_relative_address_is_resolved() -> None:
    """Against the document that has it; what cannot be resolved is unchanged."""
    base = "https://example.org/gbfs/v2/gbfs.json"
    assert joined(base, "./s.json") == "https://example.org/gbfs/v2/s.json"
    assert joined(base, "/s.json") == "https://example.org/s.json"
    assert joined(base, "//cdn.org/s.json") == "https://cdn.org/s.json"
    assert joined(base, "http://[") == "http://["


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.8.8.8", "loopback"),
        ("0.0.0.0", "loopback"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "loopback"),
        ("::1", "loopback"),
        ("::7f00:1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:a00:1", "private"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("2002:a00:1::1", "private"),
        ("2001:0:a00:1::1", "private"),
        ("fe80::5efe:192.168.0.1", "private"),
        ("fe80::1%eth0", "link-local"),
        ("fd00::1", "private"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("1.1.1.1", ""),
        ("172.32.0.1", ""),
        ("100.128.0.1", ""),
        ("2606:4700::1111", ""),
        ("::ffff:1.1.1.1", ""),
        ("64:ff9b::1.1.1.1", ""),
    ],
)
def test_addresses_are_classified(address: str, kind: str) -> None:
    """Also an IPv4 address within an IPv6 one."""
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    "spelling",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0x7f.0.1"],
)
def test_an_address_is_recognised_in_every_spelling(spelling: str) -> None:
    """Decimal, octal, hexadecimal and short ones lead to the same host."""
    assert numeric(spelling) == "127.0.0.1"
    with pytest.raises(ProtocolError, match="private_hosts") as failed:
        AddressGuard("feed.example.org").check_name(spelling)

    assert failed.value.cause == "address"


def test_a_public_feed_may_not_name_local_hosts() -> None:
    """Neither localhost nor a name that only a local resolver can resolve."""
    for name in ("localhost", "printer", "nas.local", "db.internal", "x.home.arpa"):
        with pytest.raises(ProtocolError, match="private network"):
            AddressGuard("feed.example.org").check_name(name)

    AddressGuard("127.0.0.1").check_name("localhost")
    AddressGuard("feed.example.org", ["nas.local"]).check_name("nas.local")
    AddressGuard("feed.example.org").check_name("other.example.org")


def answer(*addresses: str) -> list[tuple[object, object, int, str, tuple[str, int]]]:
    """Return what getaddrinfo would."""
    return [(2, 1, 6, "", (address, 80)) for address in addresses]


def test_a_name_with_a_private_address_is_refused() -> None:
    """All of its addresses are checked; only public ones are used."""
    guard = AddressGuard("feed.example.org")
    with pytest.raises(ProtocolError, match=r"evil.org is a private .*10\.0\.0\.1"):
        guard.allowed("evil.org", answer("10.0.0.1", "127.0.0.1"))

    mixed = guard.allowed("evil.org", answer("127.0.0.1", "1.1.1.1"))
    assert [entry[4][0] for entry in mixed] == ["1.1.1.1"]


def test_the_feeds_own_host_may_be_private() -> None:
    """Its documents may name other private hosts, if it is obviously local."""
    intranet = AddressGuard("10.0.0.5")
    assert intranet.allowed("10.0.0.5", answer("10.0.0.5"))
    assert intranet.allowed("other.org", answer("192.168.0.9"))
    with pytest.raises(ProtocolError, match="loopback"):
        intranet.allowed("other.org", answer("127.0.0.1"))
    with pytest.raises(ProtocolError, match="link-local"):
        intranet.check_name("169.254.169.254")


def test_a_public_host_does_not_move_into_our_network() -> None:
    """A name that is rebound to a loopback address is rejected (DNS rebinding)."""
    guard = AddressGuard("feed.example.org")
    assert guard.allowed("feed.example.org", answer("1.1.1.1"))
    with pytest.raises(ProtocolError, match="was public before"):
        guard.allowed("feed.example.org", answer("127.0.0.1"))

    split_horizon = AddressGuard("feed.example.org")
    assert split_horizon.allowed("feed.example.org", answer("10.0.0.1"))


SYSTEM = {"feed": "gbfs", "url": "https://example.org/", "timezone": "UTC"}
KEYED = Access(
    url="https://me:hunter22@example.org/gbfs.json?key=SECRETKEY123&lang=en",
    headers={"X-Api-Key": "another-secret"},
    credential_hosts=["cdn.example.net"],
)


@pytest.mark.parametrize(
    ("url", "covered"),
    [
        ("https://example.org/status.json", True),
        ("https://EXAMPLE.org:443/status.json", True),
        ("https://cdn.example.net/status.json", True),
        ("https://cdn.example.net:8443/status.json", True),
        ("http://example.org/status.json", False),
        ("http://cdn.example.net/status.json", False),
        ("https://example.org:8443/status.json", False),
        ("https://www.example.org/status.json", False),
        ("https://example.org.evil.net/status.json", False),
        ("https://evil.net/status.json", False),
    ],
)
def test_credentials_go_to_the_feeds_own_host(url: str, *, covered: bool) -> None:
    """And to those in `credential_hosts`; never from https to http."""
    scope = Scope(KEYED)
    headers = scope.headers(parse(url))
    sent = scope.with_keys(parse(url)).text

    assert ("Authorization" in headers, "X-Api-Key" in headers) == (covered, covered)
    assert ("SECRETKEY123" in sent) == covered
    assert "lang" not in sent


@pytest.mark.parametrize("named", ["CDN.Example.net", "cdn.example.net:443", "[::1]"])
def test_hosts_are_compared_in_any_spelling(named: str) -> None:
    """As addresses spell them, with capitals, a port or brackets."""
    home = Access("https://example.org/", {"X-Api-Key": "k"}, credential_hosts=[named])
    place = "[0:0::1]" if "[" in named else "cdn.example.net"
    loader.parse({"systems": {"x": {**SYSTEM, "credential_hosts": [named]}}})

    assert Scope(home).headers(parse(f"https://{place}/")) == {"X-Api-Key": "k"}
    AddressGuard("example.org", [named]).check_name(parse(f"https://{place}/").host)


def test_an_ipv6_host_in_a_message_can_be_pasted() -> None:
    """An IPv6 address is printed with its brackets."""
    with pytest.raises(ProtocolError) as failed:
        AddressGuard("example.org").check_name("::ffff:7f00:1")

    assert 'private_hosts = ["[::ffff:7f00:1]"]' in str(failed.value)


def test_http_may_become_https_with_its_credentials() -> None:
    """The upgrade is safe, the reverse is not."""
    scope = Scope(Access("http://example.org/", {"X-Api-Key": "k"}))

    assert scope.headers(parse("https://example.org/x")) == {"X-Api-Key": "k"}


def test_a_key_that_a_document_copies_is_not_sent_elsewhere() -> None:
    """It is removed from the query; elsewhere in the address it is an error."""
    scope = Scope(KEYED)
    stripped = scope.with_keys(parse("https://evil.net/s?key=SECRETKEY123&a=1"))
    assert stripped.text == "https://evil.net/s?a=1"

    with pytest.raises(ProtocolError, match=r"credential_hosts = ..evil.net"):
        scope.with_keys(parse("https://evil.net/another-secret/s"))
    with pytest.raises(ProtocolError, match="credential_hosts"):
        scope.with_keys(parse("https://x:hunter22@evil.net/s"))


def test_user_info_of_a_document_is_kept() -> None:
    """It is sent to the host for which it was written, ours is not."""
    scope = Scope(KEYED)

    assert scope.headers(parse("https://you:too@evil.net/")) == {
        "Authorization": "Basic eW91OnRvbw=="
    }


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("http://example.org/", "https://example.org/", True),
        ("https://a.example.org/", "https://b.c.example.org/", True),
        ("https://a.city.gov.uk/", "https://b.city.gov.uk/", True),
        ("https://a.gov.uk/", "https://b.gov.uk/", False),
        ("https://x.com.tw/", "https://y.com.tw/", False),
        ("https://example.org/", "http://example.org/", False),
        ("https://example.org/", "https://example.net/", False),
        ("http://10.0.0.1/", "http://10.0.0.2/", False),
        ("http://10.0.0.1/", "http://10.0.0.1:8080/", True),
        ("http://localhost/", "http://intranet/", False),
    ],
)
def test_a_site_is_a_registered_domain(old: str, new: str, *, same: bool) -> None:
    """And no step leads from https to http."""
    assert same_site(parse(old), parse(new)) is same
