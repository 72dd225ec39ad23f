"""The versions of a GBFS system, and new addresses of its documents."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bikecollect.core.errors import FeedError, FeedUnavailable, PayloadError
from bikecollect.core.payload import (
    ONCE,
    Document,
    Getter,
    RefusedDocumentsError,
    about,
)
from bikecollect.feeds.gbfs import document_places
from bikecollect.feeds.gbfs.discovery import (
    TRIES,
    VERSIONS,
    Listing,
    ask,
    listed,
    offers,
    version,
)
from bikecollect.feeds.gbfs.document_places import (
    INFORMATION,
    STATUS,
    TYPES,
    VEHICLES,
    Places,
)
from bikecollect.feeds.gbfs.extras import BODIES
from bikecollect.feeds.gbfs.reader import ReadOptions
from bikecollect.feeds.http.urls import joined
from bikecollect.feeds.reading.aliases import gbfs_document
from bikecollect.feeds.reading.json_payload import decode

UNSUPPORTED = (4, 0)  # and all higher versions
SAME_IDS = 0.9
"""Least share of common station ids for a switch from one version to another."""


@dataclass
class Fetch:
    """The state of one fetch; *moved* is a new address of the station information.

    *information* is that of a higher version, if it was requested to try that.
    """

    places: Places
    status: Document
    listing: Document | None = None
    moved: str = ""
    information: Document | None = None
    findings: dict[str, str] = field(default_factory=dict)

    @property
    def for_extras(self) -> tuple[Places, Document, str, Document | None]:
        """What the request of the other documents needs, see `ExtrasFetcher`."""
        return self.places, self.status, self.moved, self.information


def adopt(get: Getter, url: str, state: Fetch, listing: Listing) -> None:
    """Adopt the addresses of *listing*; that of the status is tried first.

    *state* is the fetch of the system at *url*.
    """
    places, listed = state.places, document_places.in_listing(listing)
    status = listed.get(STATUS, "")
    if not status and places.main == STATUS:
        state.findings |= document_places.UNLISTED
    if status and status != places.addresses.get(STATUS):
        trial = Places({STATUS: status})
        try:
            document = trial.status(get, url, tries=ONCE)
        except (FeedError, PayloadError) as error:
            if places.main == STATUS:
                state.findings["status moved"] = (
                    f"gbfs.json lists a new address for station_status that does "
                    f"not work ({error}): the old one remains in use"
                )
        else:
            state.status = state.status if places.main == STATUS else document
            places.addresses[STATUS] = trial.addresses[STATUS]
    state.moved = listed.get(INFORMATION, "") if places.main == STATUS else ""
    if state.moved == places.addresses.get(INFORMATION, ""):
        state.moved = ""
    elif state.moved and INFORMATION not in places.addresses:
        places.addresses[INFORMATION] = state.moved
    others = document_places.NAMES.keys() - {STATUS, INFORMATION}
    places.addresses |= {name: listed[name] for name in others if name in listed}
    for name in BODIES.keys() - listed.keys():
        places.addresses.pop(name, None)  # its last content remains in use


def pinned(
    get: Getter,
    listed: Callable[..., Listing],
    listing: Listing,
    pin: str,
    url: str,
    *,
    tries: int,
) -> Listing:
    """Return the gbfs.json of the version *pin*, *listing* if that is empty.

    *listed* requests a gbfs.json. Raises FeedUnavailable if the system at *url* does
    not offer the version.
    """
    if not pin or listing.version == pin:
        return listing
    offer = offered(get, listing, url, tries=min(tries, TRIES))
    if pin not in offer:
        versions = ", ".join(sorted({*offer, listing.version}))
        raise FeedUnavailable(
            f"version {pin} is not offered, only {versions}", cause="version"
        )
    return listed(offer[pin], tries=tries)


def offered(
    get: Getter, listing: Listing, url: str, *, tries: int = ONCE
) -> dict[str, str]:
    """Return the addresses of the gbfs.json of each version on offer.

    Raises FeedError or RefusedDocumentsError if the list of versions cannot be read.
    """
    if "gbfs_versions" not in listing.addresses:
        return {}
    place = listing.addresses["gbfs_versions"]
    offer, _ = ask(get, VERSIONS, place, url, check=decode, tries=tries)
    try:
        with about(offer.url):
            versions = offers(gbfs_document(offer.body))
    except PayloadError as error:
        raise RefusedDocumentsError(error, listing.document, offer) from error
    return {number: joined(offer.url, address) for number, address in versions}


def newer(
    get: Getter,
    url: str,
    options: ReadOptions,
    state: Fetch,
    listing: Listing,
    *,
    vehicles: bool,
) -> Fetch | None:
    """Return a fetch by the highest version on offer, None if it fails.

    *state* is the fetch by *listing*, of the system at *url*.
    """
    current, new = state.places.version, ""
    needed = {INFORMATION, TYPES, *([VEHICLES] if vehicles else [])}
    needed &= state.places.addresses.keys()
    try:
        offer = offered(get, listing, url)
        higher = [v for v in offer if version(current) < version(v) < UNSUPPORTED]
        new = max(higher, key=version, default="")
        if not new:
            return None
        other = listed(get, offer[new], url, options.language, tries=ONCE)
        places = document_places.places(other, own=offer[new])
        places.version = new
        places.check_lists(needed)
        status = places.status(get, url, tries=ONCE)
        document_places.check_no_worse(status, state.status, options)
        is_needed = INFORMATION in needed
        information = places.information(get, url) if is_needed else None
    except (FeedError, PayloadError) as error:
        if new:
            state.findings[f"version {new}"] = (
                f"GBFS {new} is offered but does not work ({error}): {current} is read"
            )
        return None
    note = document_places.remembered(places.note(url, ""), url, "")
    if note is None or STATUS not in note.addresses:
        return None  # its addresses contain secrets and could not be remembered
    return Fetch(places, status, other.document, information=information)


def gone_back(state: Fetch, lower: Fetch, reason: str, now: float) -> Fetch:
    """Return *lower*, a fetch by the version of the settings, if its ids are the same.

    The version of *state* is worse for a *reason*, and was adopted earlier.
    """
    new, old = state.places.version, lower.places.version
    if document_places.in_common(state.status, lower.status) < SAME_IDS:
        state.findings[f"version {new} stands still"] = (
            f"GBFS {new} is worse than {old} now ({reason}), but their station ids "
            f'differ: {new} remains in use; version = "{old}" in the settings switches '
            "to it"
        )
        return state
    lower.places.worked = now
    lower.findings[f"back to {old} at {int(now)}"] = (
        f"GBFS {old} is read again: {new} is worse now ({reason})"
    )
    return lower
