"""Which dialect reads a system's feed; each is imported when it is needed."""

from collections.abc import Mapping
from datetime import tzinfo

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.payload import Documents
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import Feed
from bikecollect.feeds.http.urls import same_origin

DIALECTS = ("youbike", "gbfs", "citybikes", "mapped")


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
) -> Feed:
    """Return the dialect called *feed*; raises SettingsError for an unknown one.

    Where a payload's documents came from another host than that of *url*, the errors
    of its `read` do not quote them.
    """
    if feed == "youbike":
        from bikecollect.feeds.youbike import YouBike  # only this one

        return _Discreet(YouBike(url, timezone, fields, kinds=kinds), url)
    if feed == "gbfs":
        from bikecollect.feeds.gbfs import Gbfs  # only this one

        gbfs = Gbfs(
            url,
            timezone,
            language,
            fields,
            pin=version,
            interval=interval,
            kinds=kinds,
        )
        return _Discreet(gbfs, url)
    if feed == "citybikes":
        from bikecollect.feeds.citybikes import CityBikes  # only this

        return _Discreet(CityBikes(url, fields, kinds=kinds), url)
    if feed == "mapped":
        from bikecollect.feeds.mapped import Mapped  # only this one

        return _Discreet(Mapped(url, timezone, mapping), url)
    raise SettingsError(f'feed = "{feed}": choose one of {", ".join(DIALECTS)}')


class _Discreet:
    """A feed that quotes its own host only."""

    def __init__(self, feed: Feed, url: str) -> None:
        self._feed, self._url = feed, url
        self.fetch, self.renames = feed.fetch, feed.renames

    def read(self, documents: Documents) -> Snapshot:
        """Return what *documents* say; raises PayloadError."""
        try:
            return self._feed.read(documents)
        except PayloadError as error:
            if all(same_origin(each.url, self._url) for each in documents):
                raise
            raise error.unquoted() from None
