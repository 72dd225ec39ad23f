"""What an exception of requests means: the error of a feed, its cause and its place."""

import os
import re
from urllib.parse import urlsplit

from urllib3 import exceptions as wire

from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
)
from bikecollect.feeds.http.plain_requests import requests
from bikecollect.feeds.http.urls import Url

http = requests.exceptions
THROUGH = " through the proxy "
ABORTED = "Connection aborted"
"""In the errors of requests: there was a connection, but no response."""
PROXY_CREDENTIALS = requests.codes.proxy_authentication_required
_TIMEOUTS = (http.ConnectTimeout, http.ReadTimeout, wire.TimeoutError, TimeoutError)
_PLACES = (http.InvalidSchema, http.InvalidURL, wire.LocationParseError)
_CUTS = (wire.IncompleteRead, wire.ProtocolError, http.ChunkedEncodingError)
_BREAKS = (OSError, http.RequestException)
_NOISE = (wire.HTTPError, ValueError)
_SOCKS = r"SOCKSConnection\(.*a new connection: (?:0x\w+: )?([\w\[\] -]{1,80})"
"""The error of a socks proxy, with PySocks' words for it."""
_ALERT = re.compile(r"x15\\+x03")
"""The first bytes of an alert of TLS, in the repr of an error."""
_HANDSHAKE = {
    "protocol version": "it has only versions of TLS before 1.2",
    "certificate required": "it requires a client certificate",
    "handshake failure": "no common cipher, or it requires a client certificate",
    "wrong version number": "the response is not TLS",
    "no certificate or crl found": "there is no certificate in ca_bundle",
    "PEM lib": "a certificate in ca_bundle is damaged",
}
"""What some errors of TLS mean, by a part of their text."""
_UNRESOLVED = ("NameResolution", "gaierror")
"""The error of a host name that does not resolve, of urllib3 or of the system."""
_PROXY = dict.fromkeys(_UNRESOLVED, "its name does not resolve")
_PROXY |= {"timed out": "it timed out", "Disconnected": "it closed the connection"}


def route(new: requests.Session, url: Url) -> str:
    """Return *url* for messages, with the proxy by which the session *new* requests it.

    An error of a proxy must not look like one of the feed.
    """
    used = new.merge_environment_settings(url.text, {}, None, None, None)
    proxy = requests.utils.select_proxy(url.text, used["proxies"])
    if not proxy:
        return url.plain
    # The user first: a password may contain a slash, although it should not.
    place = re.sub(r"^\w+://", "", proxy).rpartition("@")[2].partition("/")[0]
    return f"{url.plain}{THROUGH}{place}"


def translated(error: BaseException, place: str) -> BaseException:
    """Return *error* as a BikecollectError; errors of requests contain the whole URL.

    *place* is a `route`. Other errors (bugs) are returned unchanged.
    """
    if isinstance(error, FeedError | PayloadError):
        return error
    text = repr(error)
    if named := _of_proxy_or_tls(error, text, place) or _by_text(text, place):
        return named
    for kinds, cause, message in (
        (_TIMEOUTS, "timeout", f"{place} timed out"),
        (_PLACES, "address", f"{place} is not a valid address"),
        (_CUTS, "truncated", f"the response of {place} was truncated"),
        (http.InvalidHeader, "protocol", f"contradictory headers of {place}"),
        (_BREAKS, "connect", f"cannot connect to {place}{_reason(text)}"),
        (_NOISE, "protocol", f"the response of {place} is not HTTP"),
    ):
        if isinstance(error, kinds):
            error_class = ProtocolError if kinds is _PLACES else FeedUnavailable
            return error_class(message, cause=cause)
    return error


def _of_proxy_or_tls(error: BaseException, text: str, place: str) -> FeedError | None:
    """Return the error for *error*, shown as *text*, if it is of a proxy or of TLS."""
    if isinstance(error, http.ProxyError):
        return _of_proxy(text, place)
    if (socks := re.search(_SOCKS, text)) and THROUGH in place:
        return FeedUnavailable(f"cannot request {place}: {socks[1]}", cause="proxy")
    if isinstance(error, http.SSLError):
        reason = _of_tls(text)
        if "certificate verify failed" in text:
            return ProtocolError(f"TLS of {place} cannot be verified: {reason}")
        return ProtocolError(f"no TLS connection to {place}: {reason}")
    if isinstance(error, _PLACES) and THROUGH in place:  # our address was parsed before
        return _proxy_unusable(text, place)
    return None


def _of_tls(text: str) -> str:
    """Return the reason in the *text* of an error of TLS, and its meaning if known."""
    # The class's arguments, as shown in the repr of the errors around it.
    pattern = (
        r"\(\d+, [\\'\"]+(?:\[.*?\] )?(?:certificate verify failed: )?(.*?) \(_ssl"
    )
    match = re.search(pattern, text)
    reason = match[1].replace("\\", "") if match else "no common protocol"
    meaning = next((_HANDSHAKE[part] for part in _HANDSHAKE if part in reason), "")
    return f"{meaning} ({reason})" if meaning else reason


def _by_text(text: str, place: str) -> FeedUnavailable | None:
    """Return the error for an exception that only its *text* distinguishes."""
    if any(part in text for part in _UNRESOLVED):
        return FeedUnavailable(
            f"the host name of {place} does not resolve", cause="dns"
        )
    if ABORTED not in text:
        return None
    if re.search(r"LineTooLong|more than 100 (?:headers|interim)", text):
        large = f"{place} sent too many or too long headers or interim responses"
        return FeedUnavailable(large, cause="connect")
    if re.search("BadStatusLine|UnknownProtocol", text):
        not_http = f"the response of {place} is not HTTP"
        not_http += ", but TLS: use https://" if _ALERT.search(text) else ""
        return FeedUnavailable(not_http, cause="connect")
    # A server with TLS often only closes; port 80, the usual one, never has it.
    parts = urlsplit(place)
    hint = (
        " (does it require https://?)" if parts.scheme == "http" and parts.port else ""
    )
    closed = f"{place} closed the connection without a response{hint}"
    return FeedUnavailable(closed, cause="connect")


def _reason(text: str) -> str:
    """Return the system's reason in an error shown as *text*, after a colon.

    >>> _reason("NewConnectionError('...: [Errno 111] Connection refused')")
    ': connection refused'
    >>> _reason("BadStatusLine('[Errno 99999999999]')")  # a proxy may send that
    ''
    """
    match = re.search(r"\[Errno (\d{1,3})\]", text)
    return f": {os.strerror(int(match[1])).lower()}" if match else ""


def _of_proxy(text: str, place: str) -> FeedUnavailable:
    """Return the error of a proxy whose exception is shown as *text*."""
    answer = re.search(r"Tunnel connection failed: (\d{3})", text)
    if answer:
        return proxy_answered(place, int(answer[1]))
    reasons = (words for part, words in _PROXY.items() if part in text)
    reason = next(reasons, f"it cannot be connected to{_reason(text)}")
    if "SSLError" in text or "SSLCert" in text:
        reason = f"no TLS connection to it: {_of_tls(text)}"
    return FeedUnavailable(f"cannot request {place}: {reason}", cause="proxy")


def _proxy_unusable(text: str, place: str) -> ProtocolError:
    """Return the error of a proxy whose address, as the error *text* says, is unusable.

    That of the settings was checked; one of the environment was not.
    """
    reason = "the proxy's address is not valid; see the proxy variables of this user"
    if "SOCKS" in text:
        reason = "a socks proxy requires PySocks: pip install 'requests[socks]'"
    return ProtocolError(f"cannot request {place}: {reason}", cause="address")


def proxy_answered(place: str, status: int) -> FeedUnavailable:
    """Return the error of a proxy that answered the HTTP *status* itself."""
    hint = ": it requires other credentials" if status == PROXY_CREDENTIALS else ""
    return FeedUnavailable(
        f"cannot request {place}: it answered HTTP {status}{hint}",
        cause="proxy",
        http_status=status,
    )
