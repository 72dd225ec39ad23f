"""URLs: strict parsing, resolution, and forms without secrets for messages."""

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from bikecollect.core.secrets.names import is_secret_name

MAX_LENGTH = 4_000
PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?"
_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.-]*:"
_CONTROLS = r"[\x00-\x1f\x7f]"
_PATH = "/%:@!$&'()*+,;=~?[]|"
_MAX_SHOWN = 300


class Url(NamedTuple):
    """The parts of a URL; *user* is its user info, *port* is always set."""

    scheme: str
    user: str
    host: str
    port: int
    path: str
    query: str

    @property
    def place(self) -> str:
        """Scheme, host, and the port unless it is the scheme's default."""
        host = bracketed(self.host)
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def plain(self) -> str:
        """The URL without user info, query and fragment, which may be secret."""
        return f"{self.place}{self.path}"[:_MAX_SHOWN]

    @property
    def text(self) -> str:
        """The URL to request: without user info and fragment.

        It is rebuilt from its parts, so that any other parser sees the same host.
        """
        query = f"?{self.query}" if self.query else ""
        return f"{self.place}{self.path}{query}"


def bracketed(host: str) -> str:
    """Return *host* in the form used in URLs and settings.

    >>> bracketed("::1"), bracketed("example.org")
    ('[::1]', 'example.org')
    """
    return f"[{host}]" if ":" in host else host


def parse(url: str) -> Url:
    """Return the parts of *url*; raises ValueError with the reason.

    >>> parse("https://me:pw@Example.org:8443/gbfs.json?key=1#top").text
    'https://example.org:8443/gbfs.json?key=1'
    >>> parse("http://[")
    Traceback (most recent call last):
    ValueError: Invalid IPv6 URL
    """
    url = url.strip()
    if len(url) > MAX_LENGTH:
        raise ValueError(f"it has more than {MAX_LENGTH} characters")
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
    """Return the host and the port (0 for none) in *place*.

    Raises ValueError with the reason.

    >>> host_and_port("CDN.example.org:8443"), host_and_port("[::FFFF:a00:1]")
    (('cdn.example.org', 8443), ('::ffff:a00:1', 0))
    """
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        host = _ipv6(host)
    else:
        host, colon, port = place.partition(":")
        host, port = _name(host), colon + port
    if port[:1] not in {"", ":"} or not _is_number(port[1:]):
        raise ValueError(f"invalid port {port[:20]!a}")
    number = int(port[1:] or 0)
    if number > 65_535 or (number == 0 and port[1:]):  # noqa: PLR2004 - the last port
        raise ValueError(f"invalid port {number}")
    return host, number


def _is_number(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) <= 5)  # noqa: PLR2004 - digits of the last port


def _ipv6(text: str) -> str:
    """Return the IPv6 address *text*, whose zone follows %25 or %."""
    import ipaddress  # urllib.parse has it already

    address, percent, zone = text.partition("%")
    zone = zone.removeprefix("25")
    if percent and not re.fullmatch(r"[\w.-]{1,32}", zone, re.ASCII):
        raise ValueError("invalid IPv6 zone")
    ip = ipaddress.IPv6Address(address)
    text = ip.compressed
    if ip.ipv4_mapped is not None:  # Python 3.13 writes it dotted, 3.11 did not
        number = int(ip.ipv4_mapped)
        text = f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    return f"{text}{percent}{zone}"


def _name(text: str) -> str:
    """Return the host name *text* in ASCII and lower case."""
    if not text:
        raise ValueError("it has no host")
    try:
        host = text.lower() if text.isascii() else text.encode("idna").decode().lower()
    except UnicodeError:
        host = ""
    if not re.fullmatch(_HOST, host):
        raise ValueError(f"invalid host name {text[:80]!a}")
    return host


def joined(base: str, url: str) -> str:
    """Return *url* resolved against *base*, the address of the document that lists it.

    An invalid one is returned unchanged; requesting it reports the error.

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
    """Return whether *url* has the host and port of *home*, or upgrades it to https.

    True for one that cannot be parsed.

    >>> same_origin("https://example.org/x", "http://EXAMPLE.org/gbfs.json")
    True
    """
    try:
        return of_origin(parse(url), parse(home))
    except ValueError:
        return True


def of_origin(url: Url, home: Url) -> bool:
    """Return whether *url* has the host and port of *home*, or upgrades it to https."""
    upgraded = (home.port, url.port) == (PORTS["http"], PORTS["https"])
    return url.host == home.host and (url.port == home.port or upgraded)


def plain(url: str) -> str:
    """Return *url* without user info, query and fragment; never raises.

    >>> plain("https://me:pw@example.org/x?key=1"), plain("http://[?key=1")
    ('https://example.org/x', 'http://[')
    """
    try:
        return parse(url).plain
    except ValueError:
        bare = re.split("[?#]", url, maxsplit=1)[0]
        bare = re.sub("//[^/]*@", "//", bare)
        return quote(bare, safe=_PATH, errors="backslashreplace")[:_MAX_SHOWN]


def shown(url: str) -> str:
    """Return *url* for messages, with secrets in its query masked; never raises.

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
    return parts._replace(query=query).text[:_MAX_SHOWN]
