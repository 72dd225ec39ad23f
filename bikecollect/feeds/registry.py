"""Which dialect reads a system's feed; each is imported when it is needed."""

from collections.abc import Mapping
from datetime import tzinfo

from bikecollect.core.errors import SettingsError
from bikecollect.feeds import Feed

DIALECTS = ("youbike", "gbfs", "citybikes", "mapped")


def build(
    feed: str,
    *,
    url: str,
    timezone: tzinfo,
    language: str,
    mapping: Mapping[str, str],
    fields: Mapping[str, str],
) -> Feed:
    """Return the dialect called *feed*; raises SettingsError for an unknown one."""
    if feed == "youbike":
        from bikecollect.feeds.youbike import YouBike  # noqa: PLC0415 - only this one

        return YouBike(url, timezone, fields)
    if feed == "gbfs":
        from bikecollect.feeds.gbfs import Gbfs  # noqa: PLC0415 - only this one

        return Gbfs(url, timezone, language, fields)
    if feed == "citybikes":
        from bikecollect.feeds.citybikes import CityBikes  # noqa: PLC0415 - only this

        return CityBikes(url, fields)
    if feed == "mapped":
        from bikecollect.feeds.mapped import Mapped  # noqa: PLC0415 - only this one

        return Mapped(url, timezone, mapping)
    raise SettingsError(f'feed = "{feed}": choose one of {", ".join(DIALECTS)}')
