"""Time zones: whether a name is one, and the zone of a place or a country."""

import errno
import re
from collections.abc import Iterable
from functools import cache
from zoneinfo import ZoneInfo

from bikecollect.core.errors import SettingsError

NO_ZONE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors for a name that no file of a time zone has."""

OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-][0-9]{1,2})(?::?00)?", re.IGNORECASE)
"""An offset from UTC in whole hours, which is no name of a time zone."""


def is_zone(name: str) -> bool:
    """Return whether *name* is an IANA time zone."""
    return bool(name) and _error(name) is None


def check_zone(key: str, zone: str, example: str = "Asia/Taipei") -> None:
    """Raise SettingsError if *zone*, the value of *key*, is neither empty nor known."""
    error = _error(zone) if zone else None
    if error is None:
        return
    if isinstance(error, OSError) and error.errno not in NO_ZONE:
        raise SettingsError(
            f'{key}: cannot read the time zone "{zone}": {error.strerror}'
        )
    fixed = _fixed(zone)
    hint = f', or "{fixed}" for {zone} all year (its sign is reversed)' if fixed else ""
    raise SettingsError(
        f'{key}: unknown time zone "{zone}"; use an IANA name such as "{example}"{hint}'
    )


def _fixed(text: str) -> str:
    """Return the name of the zone with the offset *text*, empty if there is none.

    >>> _fixed("UTC+1"), _fixed("-05:00"), _fixed("GMT+99"), _fixed("Oslo")
    ('Etc/GMT-1', 'Etc/GMT+5', '', '')
    """
    match = OFFSET.fullmatch(text)
    name = f"Etc/GMT{-int(match[1]):+d}" if match else ""
    return name if is_zone(name) else ""


def _error(name: str) -> Exception | None:
    """Return the error when the time zone *name* is read, None if it can be."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        return error
    return None


def zone_of_places(places: Iterable[tuple[float, float]]) -> str:
    """Return the time zone at the median of *places* (latitude, longitude).

    Empty if unknown, or if the extra `catalogue` is not installed.
    """
    places = list(places)
    try:
        from tzfpy import get_tz  # an extra
    except ImportError:
        return ""
    if not places:
        return ""
    from statistics import median  # not at the top: each fetch imports this module

    name = str(
        get_tz(median(lon for _, lon in places), median(lat for lat, _ in places))
    )
    return name if is_zone(name) and not name.startswith("Etc/") else ""


@cache
def zone_of_country(code: str) -> str:
    """Return the only time zone of the country *code*, empty if it has several.

    >>> zone_of_country("FR"), zone_of_country("US")
    ('Europe/Paris', '')
    """
    from bikecollect.collect.reading.zone_places import table  # not for a fetch

    zones = [
        line.split("\t")[2]
        for line in table().splitlines()
        if line.startswith(f"{code}\t") and len(code) == 2  # noqa: PLR2004 - ISO 3166
    ]
    return zones[0].split()[0] if len(zones) == 1 else ""
