"""Read the publisher and the licence of a system from GBFS's system_information."""

import json
from typing import Any
from urllib.parse import urlsplit

from bikecollect.core.text import message
from bikecollect.feeds.reading.aliases import gbfs_document
from bikecollect.feeds.reading.json_payload import at
from bikecollect.feeds.reading.values import in_language

DOCUMENT = "system_information"
NOTE = "gbfs.publisher"
"""The note in which the publisher is remembered."""
MAX_TEXT = 300
LICENSES = {
    "creativecommons.org/publicdomain/zero/1.0": "CC0-1.0",
    "creativecommons.org/licenses/by/3.0": "CC-BY-3.0",
    "creativecommons.org/licenses/by/4.0": "CC-BY-4.0",
    "creativecommons.org/licenses/by-sa/4.0": "CC-BY-SA-4.0",
    "creativecommons.org/licenses/by-nc/4.0": "CC-BY-NC-4.0",
    "opendatacommons.org/licenses/odbl/1-0": "ODbL-1.0",
    "opendatacommons.org/licenses/odbl": "ODbL-1.0",
    "opendatacommons.org/licenses/by/1-0": "ODC-By-1.0",
    "data.norge.no/nlod/en/2.0": "NLOD-2.0",
    "data.norge.no/nlod/no/2.0": "NLOD-2.0",
    "nationalarchives.gov.uk/doc/open-government-licence/version/3": "OGL-UK-3.0",
}
"""SPDX ids by the address of a licence: most feeds state only the address."""
ENDS = ("/legalcode", "/deed.en", "/deed")


def publisher(body: bytes, language: str = "") -> dict[str, str]:
    """Return the publisher stated in *body*, in *language* if it has several.

    The keys are title, name, url, license and license_url; unknown ones are absent.
    Values are texts in GBFS 1 and 2, lists of texts by language in GBFS 3. Raises
    PayloadError if *body* is not JSON.

    >>> publisher(b'{"data": {"name": "Velo", "license_id": "CC0-1.0"}}')
    {'title': 'Velo', 'license': 'CC0-1.0'}
    """
    data = at(gbfs_document(body), "data")

    def first(*names: str) -> str:
        texts = (_text(at(data, name), language) for name in names)
        return next(filter(None, texts), "")

    def address(*names: str) -> str:
        return next(filter(is_web_address, (first(name) for name in names)), "")

    known = {
        "title": first("name", "short_name"),
        "name": first("attribution_organization_name", "operator"),
        "url": address("attribution_url", "url"),
        "license_url": address("license_url"),
        "license": first("license_id") or license_of(address("license_url")),
    }
    return {key: value for key, value in known.items() if value}


def license_of(url: str) -> str:
    """Return the SPDX id of the licence at *url*, empty if unknown.

    >>> license_of("https://www.opendatacommons.org/licenses/odbl/1-0/"), license_of("")
    ('ODbL-1.0', '')
    """
    parts = urlsplit(url.lower())
    place = f"{parts.netloc}{parts.path}".removeprefix("www.").rstrip("/")
    for end in ENDS:
        place = place.removesuffix(end)
    return LICENSES.get(place, "")


def parsed_note(note: str) -> dict[str, str]:
    """Return the result of `publisher` stored in *note*, empty if it is damaged."""
    try:
        known = json.loads(note)["publisher"]
        return {str(key): message(text) for key, text in known.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _text(value: Any, language: str) -> str:
    if isinstance(value, list):
        texts = {str(at(item, "language")): at(item, "text") for item in value}
        value = in_language(texts, language) or next(iter(texts.values()), None)
    return message(value.strip())[:MAX_TEXT] if isinstance(value, str) else ""


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
