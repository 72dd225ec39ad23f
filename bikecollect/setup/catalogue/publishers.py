"""The publisher of a feed and the licence of its data, for pages and datasets."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from bikecollect.core.errors import SettingsError
from bikecollect.core.text import message, suggestion
from bikecollect.feeds.reading.publisher_reader import NOTE, is_web_address, parsed_note
from bikecollect.setup.catalogue import builtin
from bikecollect.setup.settings import Settings, System
from bikecollect.storage.ledger_reader import History

TAIWAN = ("OGDL-Taiwan-1.0", "https://data.gov.tw/license")
NORWAY = ("NLOD-2.0", "https://data.norge.no/nlod/en/2.0")
LICENSES = {
    "tcgbusfs.blob.core.windows.net": TAIWAN,
    "data.ntpc.gov.tw": TAIWAN,
    "opendata.tycg.gov.tw": TAIWAN,
    "tdx.transportdata.tw": TAIWAN,
    "api.entur.io": NORWAY,
}
"""SPDX id and address of the licence of all data, by host of the feed."""


class Publisher(NamedTuple):
    """The publisher of a system's feed, and the licence of the data.

    *title* is the name of the system, *host* the host of the feed, *license* an SPDX id
    or a name, and *attribution* the text that the licence requires. Unknown values are
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

    @property
    def has_license(self) -> bool:
        """Whether the licence of the data is known."""
        return bool(self.license or self.license_url)

    @property
    def is_simulated(self) -> bool:
        """Whether the data are a demo's."""
        return self.attribution == SIMULATED


SIMULATED = "Simulated data of bikecollect's demo: this city does not exist"
DEMO = {
    "attribution": SIMULATED,
    "license": "CC0-1.0",
    "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
}
"""What is stated of a demo's data, whatever its feed was."""
KEYS = ("title", "name", "url", "license", "license_url", "attribution")
"""The keys of the table ``publisher`` in a system's settings."""


def publisher_in(settings: Settings, name: str) -> Publisher:
    """Return the publisher of the system *name* of *settings*, see `publisher_of`.

    The data of a demo are said to be simulated.
    """
    history = History(name, settings.data / name)
    notes = history.select("SELECT value FROM memory WHERE key = ?", NOTE)
    stated = parsed_note(notes[0][0]) if notes else {}
    if settings.is_demo(name):
        stated = {**stated, **DEMO}
    return publisher_of(name, settings.systems[name], stated)


def publisher_of(
    name: str, system: System, stated: Mapping[str, str] = {}
) -> Publisher:
    """Return the publisher of the system *name*.

    Values of the settings take precedence over those *stated* by the feed, and these
    over the catalogue.
    """
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
    of_feed = {key: text for key, text in stated.items() if key in KEYS}
    if entry:
        of_feed.pop("title", None)
    if of_feed.keys() & {"license", "license_url"}:
        known = known._replace(license="", license_url="")
    known = known._replace(**of_feed)
    own = {key: message(text) for key, text in system.publisher.items()}
    if "license" in own:
        own.setdefault("license_url", "")
    return known._replace(**own)


def unknown_license(name: str, where: str) -> str:
    """Return that the licence of the data of *name* is unknown *where* it is needed.

    >>> print(unknown_license("city", "the pages say"))
    the pages say that the licence of the data is unknown; ask the publisher, then \
set in the settings: [systems.city] publisher = {name = "...", license = "..."}
    """
    return (
        f"{where} that the licence of the data is unknown; ask the publisher, then set "
        f'in the settings: [systems.{name}] publisher = {{name = "...", license = '
        '"..."}'
    )


def check(place: str, key: str, text: str) -> None:
    """Raise SettingsError for an unknown *key* at *place*, or an invalid address."""
    if key not in KEYS:
        hint = suggestion(key, KEYS, "") or f"known: {', '.join(KEYS)}"
        raise SettingsError(f'unknown setting "{place}.{key}"; {hint}')
    if key.endswith("url") and not is_web_address(text):
        raise SettingsError(
            f"{place}.{key} must be an address such as https://example.org/"
        )
