"""Read the names of a system's regions."""

from collections.abc import Mapping, Sequence

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.reading.aliases import gbfs_document, list_in
from bikecollect.feeds.reading.json_payload import at
from bikecollect.feeds.reading.values import localised, text


def names(body: bytes, paths: Sequence[str], language: str) -> Mapping[str, str]:
    """Return the names of the regions by id, empty if they cannot be read.

    *paths* are those at which the list may be in the document *body*.
    """
    try:
        value = gbfs_document(body)
    except PayloadError:
        return {}
    found = (
        (text(at(region, "region_id")), localised(at(region, "name"), language))
        for region in list_in(value, paths, ("region_id",)) or ()
    )
    return {key: name for key, name in found if key and name}
