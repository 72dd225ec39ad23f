"""Redirects: their targets, and whether they are followed."""

from bikecollect.core.errors import ProtocolError
from bikecollect.feeds.http import networks
from bikecollect.feeds.http.access import SAME_SITE
from bikecollect.feeds.http.urls import Url, joined, parse, shown

LINK_LOCAL = "link-local"
"""The network of addresses such as 169.254.169.254, with a cloud's credentials."""
FOLLOWED = frozenset({301, 302, 303, 307, 308})
_PUBLIC_LABELS = frozenset(
    [
        "ac",
        "co",
        "com",
        "edu",
        "go",
        "gob",
        "gouv",
        "gov",
        "gv",
        "ltd",
        "me",
        "mil",
        "net",
        "nom",
        "or",
        "org",
        "plc",
        "sch",
    ]
)
"""Second-level labels under which names are registered (co.uk, com.tw)."""
_LABELS = 2


def target(url: Url, location: str, status: int, *, policy: bool | str) -> Url:
    """Return the target of a redirect of *url*; raises ProtocolError if not followed.

    The message says what to set.
    """
    if status not in FOLLOWED:
        raise _refused(f"{url.plain} answered {status}, not with a document", status)
    if not location:
        text = f"{url.plain} redirects (HTTP {status}) without saying where to"
        raise _refused(text, status)
    try:
        new = parse(joined(url.text, location))
    except ValueError as error:
        text = f"{url.plain} redirects (HTTP {status}) to an invalid address: "
        raise _refused(f"{text}{shown(location)} ({error})", status) from error
    if new == url and not policy:
        raise _refused(
            f"{url.plain} redirects (HTTP {status}) to itself, as servers do that set "
            "a cookie first: redirects = true follows it",
            status,
        )
    if policy is True or (policy == SAME_SITE and same_site(url, new)):
        return new
    if (address := networks.numeric(new.host)) and (
        networks.kind_of(address) == LINK_LOCAL
    ):
        raise _refused(
            f"{url.plain} redirects (HTTP {status}) to {shown(new.text)}, an address "
            "that no feed has: do not set it as url, ask the publisher",
            status,
        )
    ways = f'redirects = "{SAME_SITE}" or true'
    ways = ways if same_site(url, new) else "redirects = true"
    raise _refused(
        f"{url.plain} redirects (HTTP {status}) to {shown(new.text)}: set url to that "
        f"address or, if a document of the feed lists the old one, set {ways}",
        status,
    )


def same_site(old: Url, new: Url) -> bool:
    """Return whether *new* has the same registered domain and no weaker scheme.

    >>> same_site(parse("http://a.example.co.uk/"), parse("https://b.example.co.uk/"))
    True
    """
    if (old.scheme, new.scheme) == ("https", "http"):
        return False
    return old.host == new.host or "" != _domain(old.host) == _domain(new.host)


def _domain(host: str) -> str:
    """Return the registered domain of *host*, empty for an IP address or one label."""
    labels = host.rstrip(".").split(".")
    if ":" in host or labels[-1].isdigit() or len(labels) < _LABELS:
        return ""
    country = len(labels[-1]) == _LABELS and labels[-2] in _PUBLIC_LABELS
    length = _LABELS + country
    return ".".join(labels[-length:]) if len(labels) >= length else ""


def _refused(text: str, status: int) -> ProtocolError:
    return ProtocolError(text, cause="redirect", http_status=status)
