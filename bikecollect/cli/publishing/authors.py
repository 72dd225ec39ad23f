"""Who is to be cited for a dataset, and by which identifiers."""

import re
from typing import NamedTuple

from bikecollect.core.errors import UsageError

ORCID = re.compile(r"\s*\(?(?:https?://orcid\.org/)?((?:\d{4}-){3}\d{3}[\dX])\)?\s*$")
DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/[^\s\"<>]+)")


class Author(NamedTuple):
    """An author of a dataset: a person with *given* and *family* name, or a name."""

    name: str
    family: str = ""
    given: str = ""
    orcid: str = ""


def author(text: str) -> Author:
    """Return the author in *text*: "Family, Given" is a person, other text a name.

    An ORCID may follow. Raises UsageError if its check character is wrong.

    >>> author("Lovelace, Ada 0000-0002-1825-0097").orcid, author("City of X").family
    ('0000-0002-1825-0097', '')
    """
    found = ORCID.search(text)
    orcid = found[1] if found else ""
    if orcid and orcid[-1] != _check_character(orcid):
        raise UsageError(f"`{orcid}` is not an ORCID: its last character is wrong")
    name = text[: found.start()] if found else text
    family, comma, given = (part.strip() for part in name.partition(","))
    if comma and family and given:
        return Author(f"{family}, {given}", family, given, orcid)
    return Author(name.strip(), orcid=orcid)


def _check_character(orcid: str) -> str:
    """Return the last character that *orcid* should have (ISO 7064, MOD 11-2)."""
    total = 0
    for digit in orcid.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return "0123456789X"[(12 - total % 11) % 11]


def doi(text: str) -> str:
    """Return the DOI in *text*, which may be an address; raises UsageError.

    >>> doi("https://doi.org/10.5281/zenodo.123")
    '10.5281/zenodo.123'
    """
    found = DOI.fullmatch(text.strip())
    if not found:
        raise UsageError(f"`{text}` is not a DOI such as 10.5281/zenodo.1234567")
    return found[1]
