"""Allow connections only to public addresses and to those allowed by the settings."""

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
"""Networks outside the public Internet; the first match is used.

https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-. Networks for
documentation and benchmarking count as public, for tests and some VPNs.
"""
LOCAL = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "test")
"""Top-level labels that do not exist in the public DNS."""
AddressInfo = tuple[Any, Any, int, str, Any]
"""A result of getaddrinfo; its last item is the socket address."""


@cache
def _networks() -> list[tuple[str, Any]]:
    return [(k, ip_network(n)) for k, text in KINDS.items() for n in text.split()]


def kind_of(address: str) -> str:
    """Return the kind of network of *address*, empty for a public one.

    For an IPv6 address with an embedded IPv4 address, that one decides: packets are
    routed to it.

    >>> kind_of("127.0.0.1"), kind_of("::ffff:10.0.0.1"), kind_of("1.1.1.1")
    ('loopback', 'private', '')
    """
    ip = ip_address(address.partition("%")[0])
    inner = _embedded(ip) if isinstance(ip, IPv6Address) else []
    kinds = map(_kind, (*inner, ip))
    return next((kind for kind in kinds if kind), "")


def _kind(ip: IPv4Address | IPv6Address) -> str:
    return next((kind for kind, network in _networks() if ip in network), "")


def _embedded(ip: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that are embedded in *ip*."""
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
    """Return whether the name *host* can exist only in a private network.

    >>> is_local_name("printer"), is_local_name("nas.lan"), is_local_name("a.org")
    (True, True, False)
    """
    labels = host.rstrip(".").split(".")
    return len(labels) == 1 or labels[-1] in LOCAL or labels[-2:] == ["home", "arpa"]


def numeric(host: str) -> str:
    """Return the IP address that *host* spells, empty for a host name.

    >>> numeric("2130706433"), numeric("0x7f.1"), numeric("example.org")
    ('127.0.0.1', '127.0.0.1', '')
    """
    try:
        infos = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return str(infos[0][4][0])


class AddressGuard:
    """Allows connections to public addresses, and to those allowed by the settings.

    *home*, the host of the feed's own address, is always allowed. If it is in a private
    network, the feed's documents may name other hosts in networks of that kind.
    *trusted* hosts are allowed by the settings. *home_is_public* is set if *home* was
    resolved to a public address.
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
        """Raise ProtocolError if *host* is not allowed, before resolving it."""
        if host == self._home or host in self._trusted:
            return
        address = numeric(host)
        if address:
            self._check(host, address)
        elif is_local_name(host) and not self._is_private():
            raise _refused(host, "a name of a private network")

    def allowed(self, host: str, infos: Sequence[AddressInfo]) -> list[AddressInfo]:
        """Return the addresses of *host* in *infos* that may be connected to.

        Raises ProtocolError if there is none.
        """
        if host in self._trusted:
            return list(infos)
        public = [info for info in infos if not kind_of(info[4][0])]
        if host == self._home:
            # DNS rebinding: a public name must not lead into the local network.
            for info in infos if self.home_is_public and not public else ():
                raise _refused(host, f"{info[4][0]} now, and was public before")
            self.home_is_public = self.home_is_public or bool(public)
            return public or list(infos)
        for info in infos if not public else ():
            self._check(host, info[4][0])
        return public or list(infos)

    def _check(self, host: str, address: str) -> None:
        kind = kind_of(address)
        if kind and kind not in self._kinds():
            shown = "" if host == address else f" ({address})"
            raise _refused(host, f"a {kind} address{shown}")

    def _is_private(self) -> bool:
        address = numeric(self._home)
        return bool(kind_of(address)) if address else is_local_name(self._home)

    def _kinds(self) -> set[str]:
        """Return the kinds of network that the feed's own host is in."""
        if not self._is_private():
            return set()
        try:
            infos = socket.getaddrinfo(self._home, None)
        except (OSError, UnicodeError):
            return set()
        return {kind_of(str(info[4][0])) for info in infos}


def _refused(host: str, reason: str) -> ProtocolError:
    host = bracketed(host)
    return ProtocolError(
        f"{host} is {reason}: not allowed; if it is yours, set "
        f'private_hosts = ["{host}"]',
        cause="address",
    )
