"""Redirects: where they lead, and whether they are followed."""

from bikecollect.core.errors import ProtocolError
from bikecollect.feeds.http.access import SAME_SITE
from bikecollect.feeds.http.urls import Url, joined, parse, shown

FOLLOWED = frozenset({301, 302, 303, 307, 308})
_OF_MANY = frozenset(
    {
        *("ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "gv", "ltd", "me"),
        *("mil", "net", "nom", "or", "org", "plc", "sch"),
    }
)
"""Labels below a country's under which anybody may have a name (co.uk, com.tw)."""
_LABELS = 2


def target(url: Url, location: str, status: int, *, policy: bool | str) -> Url:
    """Return where a redirect of *url* leads; raises ProtocolError where it ends.

    The message says what to put into the settings.
    """
    if status not in FOLLOWED or not location:
        raise _refused(f"{url.plain} answered {status} without a body", status)
    try:
        new = parse(joined(url.text, location))
    except ValueError as error:
        what = f"{url.plain} redirects (HTTP {status}) to an address that cannot be"
        raise _refused(f"{what} asked: {shown(location)} ({error})", status) from error
    if policy is True or (policy == SAME_SITE and same_site(url, new)):
        return new
    ways = f'redirects = "{SAME_SITE}" or true'
    ways = ways if same_site(url, new) else "redirects = true"
    raise _refused(
        f"{url.plain} redirects (HTTP {status}) to {shown(new.text)}: set url to that "
        f"address, or, where a document of the feed names the old one, set {ways}",
        status,
    )


def same_site(old: Url, new: Url) -> bool:
    """Return whether *new* is of the same registered domain, and not less safe.

    >>> same_site(parse("http://a.example.co.uk/"), parse("https://b.example.co.uk/"))
    True
    """
    if (old.scheme, new.scheme) == ("https", "http"):
        return False
    return old.host == new.host or "" != _domain(old.host) == _domain(new.host)


def _domain(host: str) -> str:
    """Return the registered domain of *host*, empty for an address or one label."""
    labels = host.rstrip(".").split(".")
    if ":" in host or labels[-1].isdigit() or len(labels) < _LABELS:
        return ""
    country = len(labels[-1]) == _LABELS and labels[-2] in _OF_MANY
    length = _LABELS + country
    return ".".join(labels[-length:]) if len(labels) >= length else ""


def _refused(text: str, status: int) -> ProtocolError:
    return ProtocolError(text, cause="redirect", http_status=status)
