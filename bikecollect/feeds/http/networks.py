"""Which addresses a feed may lead to: public ones, and those the user named."""

import socket
from collections.abc import Collection, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from bikecollect.core.errors import ProtocolError
from bikecollect.feeds.http.urls import bracketed, host_and_port

KINDS = {
    "loopback": "0.0.0.0/8 127.0.0.0/8 ::/128 ::1/128",
    "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
    "link-local": "169.254.0.0/16 fe80::/10",
    "carrier-grade NAT": "100.64.0.0/10",
    "multicast": "224.0.0.0/4 ff00::/8",
    "reserved": "192.0.0.0/24 240.0.0.0/4 ::/96 100::/64 64:ff9b:1::/48",
}
"""Networks that are not the public Internet; of two that match, the first counts.

https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-. Networks for
examples and measurements stand for the public ones, in tests and behind some VPNs.
"""
LOCAL = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "test")
"""Last labels of names that the public DNS does not have."""
Found = tuple[Any, Any, int, str, Any]
"""An answer of getaddrinfo; the last part begins with the address."""


@cache
def _networks() -> list[tuple[str, Any]]:
    return [(k, ip_network(n)) for k, text in KINDS.items() for n in text.split()]


def kind_of(address: str) -> str:
    """Return the kind of network that *address* is of, empty for a public one.

    An IPv4 address inside of an IPv6 one decides, for it is where the packets go.

    >>> kind_of("127.0.0.1"), kind_of("::ffff:10.0.0.1"), kind_of("1.1.1.1")
    ('loopback', 'private', '')
    """
    ip = ip_address(address.partition("%")[0])
    inner = _embedded(ip) if isinstance(ip, IPv6Address) else []
    kinds = [_kind(each) for each in (*inner, ip)]
    return next((each for each in kinds if each), "")


def _kind(ip: IPv4Address | IPv6Address) -> str:
    return next((kind for kind, network in _networks() if ip in network), "")


def _embedded(ip: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that *ip* carries by one of the known schemes."""
    low = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if ip.ipv4_mapped:
        return [ip.ipv4_mapped]
    if ip.sixtofour:
        return [ip.sixtofour]
    if ip.teredo:
        return list(ip.teredo)
    isatap = (int(ip) >> 32) & 0xFFFF_FFFF in {0x0000_5EFE, 0x0200_5EFE}
    compatible = int(ip) >> 32 == 0 and int(ip) > 1
    return [low] if isatap or compatible or ip in IPv6Network("64:ff9b::/96") else []


def is_local_name(host: str) -> bool:
    """Return whether only a private network can know the name *host*.

    >>> is_local_name("printer"), is_local_name("nas.lan"), is_local_name("a.org")
    (True, True, False)
    """
    labels = host.rstrip(".").split(".")
    return len(labels) == 1 or labels[-1] in LOCAL or labels[-2:] == ["home", "arpa"]


def numeric(host: str) -> str:
    """Return the address that *host* is a spelling of, empty where it is a name.

    >>> numeric("2130706433"), numeric("0x7f.1"), numeric("example.org")
    ('127.0.0.1', '127.0.0.1', '')
    """
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return str(found[0][4][0])


class AddressGuard:
    """Lets connections go to public addresses, and to what the user named.

    *home* is the host of the feed's own address, wherever it lies. Where that is an
    address or a name of a private network, the feed's documents may name others of
    the same kind; *trusted* hosts are the user's word for more. *home_is_public* says
    that it was found in the public Internet.
    """

    def __init__(
        self,
        home: str,
        trusted: Collection[str] = (),
        *,
        home_is_public: bool = False,
    ) -> None:
        self._home = home
        self._trusted = {host for host, _ in map(host_and_port, trusted)}
        self.home_is_public = home_is_public

    def check_name(self, host: str) -> None:
        """Raise ProtocolError where *host* is refused without asking the DNS."""
        if host == self._home or host in self._trusted:
            return
        address = numeric(host)
        if address:
            self._check(host, address)
        elif is_local_name(host) and not self._is_private():
            raise _refused(host, "a name of a private network")

    def admitted(self, host: str, found: Sequence[Found]) -> list[Found]:
        """Return those of the addresses *found* for *host* that may be connected to.

        Raises ProtocolError where none may.
        """
        if host in self._trusted:
            return list(found)
        public = [each for each in found if not kind_of(each[4][0])]
        if host == self._home:
            # A name that has led to the public Internet does not move into ours.
            for each in found if self.home_is_public and not public else ():
                raise _refused(host, f"{each[4][0]} now, and was public before")
            self.home_is_public = self.home_is_public or bool(public)
            return public or list(found)
        for each in found if not public else ():
            self._check(host, each[4][0])
        return public or list(found)

    def _check(self, host: str, address: str) -> None:
        kind = kind_of(address)
        if kind and kind not in self._kinds():
            shown = "" if host == address else f" ({address})"
            raise _refused(host, f"a {kind} address{shown}")

    def _is_private(self) -> bool:
        address = numeric(self._home)
        return bool(kind_of(address)) if address else is_local_name(self._home)

    def _kinds(self) -> set[str]:
        """Return the kinds of network that the feed's own host is of."""
        if not self._is_private():
            return set()
        try:
            found = socket.getaddrinfo(self._home, None)
        except (OSError, UnicodeError):
            return set()
        return {kind_of(str(each[4][0])) for each in found}


def _refused(host: str, what: str) -> ProtocolError:
    host = bracketed(host)
    return ProtocolError(
        f"{host} is {what}: a feed may not lead there; if it is yours, "
        f'set private_hosts = ["{host}"]',
        cause="address",
    )
