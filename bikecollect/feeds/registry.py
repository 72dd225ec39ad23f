"""Registry of the dialects; each is imported only when it is used."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import tzinfo

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.payload import Document, Documents
from bikecollect.core.snapshot import Snapshot, VehicleSnapshot
from bikecollect.feeds import Feed
from bikecollect.feeds.http.urls import same_origin
from bikecollect.feeds.reading.drift import no_numbers, repeated
from bikecollect.feeds.reading.json_payload import bare

MARKS = (b"\n", b"\r", b"\t", b"  ", b",]", b",}", b", ]", b", }")
"""One of these is in each document with a comma before the end of a list or object."""
DIALECTS = ("youbike", "gbfs", "tdx", "citybikes", "mapped")


def build(
    feed: str,
    *,
    url: str,
    timezone: tzinfo,
    language: str,
    mapping: Mapping[str, str],
    fields: Mapping[str, str],
    version: str,
    interval: int,
    kinds: bool,
    vehicles: bool,
) -> Feed:
    """Return the dialect called *feed*; raises SettingsError for an unknown one.

    Errors of its `read` quote documents only if they are from the host of *url*.
    """
    dialect: Feed
    match feed:  # only the dialect in use is imported
        case "youbike":
            from bikecollect.feeds.youbike import YouBike

            dialect = YouBike(url, timezone, fields, kinds=kinds)
        case "gbfs":
            from bikecollect.feeds.gbfs.feed import Gbfs

            dialect = Gbfs(
                url,
                timezone,
                language,
                fields,
                pin=version,
                interval=interval,
                kinds=kinds,
                vehicles=vehicles,
            )
        case "tdx":
            from bikecollect.feeds.tdx.feed import Tdx

            dialect = Tdx(url, timezone, fields, kinds=kinds)
        case "citybikes":
            from bikecollect.feeds.citybikes import CityBikes

            dialect = CityBikes(url, fields, zone=timezone, kinds=kinds)
        case "mapped":
            from bikecollect.feeds.mapped import Mapped

            dialect = Mapped(url, timezone, mapping)
        case _:
            known = ", ".join(DIALECTS)
            raise SettingsError(f'feed = "{feed}": choose one of {known}')
    return _QuotingOwnHost(dialect, url)


def vehicle_reader(
    url: str, timezone: tzinfo
) -> Callable[[Documents], VehicleSnapshot]:
    """Return a function that reads the vehicles in payloads of the GBFS feed at *url*.

    Stamps without a zone may be in *timezone*. It raises PayloadError.
    """
    from bikecollect.feeds.reading import vehicle_reader  # needed for vehicles only

    def read(documents: Documents) -> VehicleSnapshot:
        with _quoting_own_host(documents, url):
            bodies = {document.name: document.body for document in documents}
            fetched_at = max(document.fetched_at for document in documents)
            return vehicle_reader.snapshot(bodies, timezone, fetched_at)

    return read


class _QuotingOwnHost:
    """A feed whose errors quote only documents of its own host."""

    def __init__(self, feed: Feed, url: str) -> None:
        self._feed, self._url = feed, url
        self.fetch, self.renames = feed.fetch, feed.renames

    def read(self, documents: Documents) -> Snapshot:
        """Parse *documents*; raises PayloadError.

        Text around the JSON of a document is ignored and reported as a finding;
        repeated fields and numbers that JSON does not have are reported, too.
        """
        with _quoting_own_host(documents, self._url):
            snapshot = self._feed.read(documents)
        findings = {
            f"text around {document.name}": f"{document.name} has text before or after "
            "its JSON, which is ignored"
            for document in documents
            if bare(document.body) is not document.body
        }
        for document in documents:
            findings |= repeated(document.body)
            findings |= no_numbers(document.name, document.body)
            findings |= _commas(document)
        if not findings:
            return snapshot
        return replace(snapshot, findings={**snapshot.findings, **findings})


def _commas(document: Document) -> dict[str, str]:
    """Return a finding if *document* has commas that JSON does not have."""
    if not any(mark in document.body for mark in MARKS):
        return {}
    from bikecollect.feeds.reading.defects import commas  # rarely needed

    return commas.findings(document.name, document.body)


@contextmanager
def _quoting_own_host(documents: Documents, url: str) -> Iterator[None]:
    """Remove quotes from errors unless all *documents* are from the host of *url*."""
    try:
        yield
    except PayloadError as error:
        if all(same_origin(document.url, url) for document in documents):
            raise
        raise error.unquoted() from None
