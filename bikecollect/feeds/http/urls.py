"""Addresses of the web: parsed strictly, resolved, and shown without secrets."""

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from bikecollect.core.secrets.names import is_secret_name

LONGEST = 4_000
PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?"
_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.-]*:"
_CONTROLS = r"[\x00-\x1f\x7f]"
_PATH = "/%:@!$&'()*+,;=~?[]|"
_SHOWN = 300


class Url(NamedTuple):
    """An address in its parts; *user* is its user info, *port* never absent."""

    scheme: str
    user: str
    host: str
    port: int
    path: str
    query: str

    @property
    def place(self) -> str:
        """Scheme, host, and the port where it is not the scheme's own."""
        host = bracketed(self.host)
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def plain(self) -> str:
        """The address without what may be secret."""
        return f"{self.place}{self.path}"[:_SHOWN]

    @property
    def text(self) -> str:
        """The address as it is asked for: without user info and fragment.

        It is put together anew, so that whoever reads it next finds the same host.
        """
        query = f"?{self.query}" if self.query else ""
        return f"{self.place}{self.path}{query}"


def bracketed(host: str) -> str:
    """Return *host* as addresses and settings have it.

    >>> bracketed("::1"), bracketed("example.org")
    ('[::1]', 'example.org')
    """
    return f"[{host}]" if ":" in host else host


def parse(url: str) -> Url:
    """Return the parts of *url*; raises ValueError saying what is wrong with it.

    >>> parse("https://me:pw@Example.org:8443/gbfs.json?key=1#top").text
    'https://example.org:8443/gbfs.json?key=1'
    >>> parse("http://[")
    Traceback (most recent call last):
    ValueError: Invalid IPv6 URL
    """
    url = url.strip()
    if len(url) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} characters")
    if not url.isprintable() and re.search(_CONTROLS, url):
        raise ValueError("it has control characters")
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError("it does not begin with http:// or https://")
    if "\\" in parts.netloc:
        raise ValueError("it has a backslash")
    user, _, place = parts.netloc.rpartition("@")
    host, port = host_and_port(place)
    return Url(
        scheme=parts.scheme,
        user=user,
        host=host,
        port=port or PORTS[parts.scheme],
        path=quote(parts.path or "/", safe=_PATH),
        query=quote(parts.query, safe=_PATH),
    )


def host_and_port(place: str) -> tuple[str, int]:
    """Return the host and the port (0 where none is given) in *place*.

    Raises ValueError saying what is wrong with it.

    >>> host_and_port("CDN.example.org:8443"), host_and_port("[::FFFF:a00:1]")
    (('cdn.example.org', 8443), ('::ffff:a00:1', 0))
    """
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        host = _ipv6(host)
    else:
        host, colon, port = place.partition(":")
        host, port = _name(host), colon + port
    if port[:1] not in {"", ":"} or not re.fullmatch(r"\d{0,5}", port[1:], re.ASCII):
        raise ValueError(f"{port[:20]!a} is not a port")
    number = int(port[1:] or 0)
    if number > 65_535 or (number == 0 and port[1:]):  # noqa: PLR2004 - the last port
        raise ValueError(f"there is no port {number}")
    return host, number


def _ipv6(text: str) -> str:
    """Return the address *text*, whose zone is written with %25 or %."""
    import ipaddress  # urllib.parse has it already

    address, percent, zone = text.partition("%")
    zone = zone.removeprefix("25")
    if percent and not re.fullmatch(r"[\w.-]{1,32}", zone, re.ASCII):
        raise ValueError("its IPv6 zone is malformed")
    return f"{ipaddress.IPv6Address(address).compressed}{percent}{zone}"


def _name(text: str) -> str:
    """Return the host name *text* in the letters of the DNS."""
    if not text:
        raise ValueError("it has no host")
    try:
        host = text.lower() if text.isascii() else text.encode("idna").decode().lower()
    except UnicodeError:
        host = ""
    if not re.fullmatch(_HOST, host):
        raise ValueError(f"{text[:80]!a} is not a host name")
    return host


def joined(base: str, url: str) -> str:
    """Return *url* resolved against the address of the document that has it.

    What cannot be resolved is returned as it is, for the one who asks to refuse.

    >>> joined("https://example.org/gbfs/gbfs.json", "./status.json")
    'https://example.org/gbfs/status.json'
    """
    if re.match(_SCHEME, url.strip()):
        return url
    try:
        return urljoin(base, url.strip())
    except ValueError:
        return url


def same_origin(url: str, home: str) -> bool:
    """Return whether *url* is of the host and the port of *home*, or its upgrade.

    One that cannot be parsed is of no other host.

    >>> same_origin("https://example.org/x", "http://EXAMPLE.org/gbfs.json")
    True
    """
    try:
        return of_origin(parse(url), parse(home))
    except ValueError:
        return True


def of_origin(url: Url, home: Url) -> bool:
    """Return whether *url* is of the host and the port of *home*, or its upgrade."""
    upgraded = (home.port, url.port) == (PORTS["http"], PORTS["https"])
    return url.host == home.host and (url.port == home.port or upgraded)


def plain(url: str) -> str:
    """Return *url* without what may be secret: user, query, fragment; never raises.

    >>> plain("https://me:pw@example.org/x?key=1"), plain("http://[?key=1")
    ('https://example.org/x', 'http://[')
    """
    try:
        return parse(url).plain
    except ValueError:
        bare = re.split("[?#]", url, maxsplit=1)[0]
        bare = re.sub("//[^/]*@", "//", bare)
        return quote(bare, safe=_PATH, errors="backslashreplace")[:_SHOWN]


def shown(url: str) -> str:
    """Return *url* for people: with its query, but for secrets; never raises.

    >>> shown("https://me:pw@example.org/x?size=1000&key=1")
    'https://example.org/x?size=1000&key=***'
    """
    try:
        parts = parse(url)
    except ValueError:
        return plain(url)
    names = (text.partition("=") for text in parts.query.split("&"))
    query = "&".join(
        f"{name}=***" if is_secret_name(name) else f"{name}{sign}{value}"
        for name, sign, value in names
    )
    return parts._replace(query=query).text[:_SHOWN]
