"""Who publishes a feed, and the licence of its data: for pages and datasets."""

from typing import NamedTuple
from urllib.parse import urlsplit

from bikecollect.core.errors import SettingsError
from bikecollect.core.text import message
from bikecollect.setup.catalogue import builtin
from bikecollect.setup.settings import System

TAIWAN = ("OGDL-Taiwan-1.0", "https://data.gov.tw/license")
NORWAY = ("NLOD-2.0", "https://data.norge.no/nlod/en/2.0")
LICENSES = {
    "tcgbusfs.blob.core.windows.net": TAIWAN,
    "data.ntpc.gov.tw": TAIWAN,
    "opendata.tycg.gov.tw": TAIWAN,
    "tdx.transportdata.tw": TAIWAN,
    "api.entur.io": NORWAY,
}
"""SPDX id and address of the licence of all data of a host."""


class Publisher(NamedTuple):
    """The publisher of a system's feed, and the licence of the data.

    *title* is the name of the system; *host* that of the feed. *license* is an SPDX id
    or a name, *attribution* the text that the licence requires; what is unknown is
    empty.
    """

    title: str
    name: str
    host: str
    url: str = ""
    license: str = ""
    license_url: str = ""
    attribution: str = ""

    @property
    def credit(self) -> str:
        """The line that names the source of the data."""
        return self.attribution or f"Data: {self.name or self.host}"


KEYS = ("title", "name", "url", "license", "license_url", "attribution")
"""The keys of the table ``publisher`` of a system's settings."""


def publisher_of(name: str, system: System) -> Publisher:
    """Return the publisher of the system *name*: of its settings, else known to us."""
    entry = builtin.find(name)
    host = urlsplit(system.url).hostname or ""
    license_id, license_url = LICENSES.get(host, ("", ""))
    known = Publisher(
        title=entry.name if entry else name,
        name=entry.operator if entry else "",
        host=host,
        url=entry.website if entry else "",
        license=license_id,
        license_url=license_url,
    )
    own = {key: message(text) for key, text in system.publisher.items()}
    if "license" in own:
        own.setdefault("license_url", "")
    return known._replace(**own)


def check(name: str, system: System) -> None:
    """Raise SettingsError for an unknown key, or an address that is none."""
    place = f"systems.{name}.publisher"
    for key, text in system.publisher.items():
        if key not in KEYS:
            from difflib import get_close_matches  # only for an error

            near = get_close_matches(key, KEYS, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(KEYS)}"
            raise SettingsError(f'unknown setting "{place}.{key}"; {hint}')
        if key.endswith("url") and not is_web_address(text):
            raise SettingsError(
                f"{place}.{key} must be an address such as https://example.org/"
            )


def is_web_address(text: str) -> bool:
    """Return whether *text* is an address that a page may link to.

    >>> is_web_address("https://a.org/x"), is_web_address("javascript:alert(1)")
    (True, False)
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
