"""Parse the interval of the settings, such as ``5min``."""

import re

from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import DAY

UNITS = {"s": 1, "min": 60, "h": 3600}


def parse_interval(text: str) -> int:
    """Return the interval *text* in seconds; raises SettingsError if it is invalid.

    >>> parse_interval("5min")
    300
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*(s|min|h)\s*", text)
    length = int(match[1]) * UNITS[match[2]] if match else 0
    if not length or DAY % length:
        raise SettingsError(
            f'interval = "{text}" must be a number with s, min or h that divides '
            'a day, such as "5min"'
        )
    return length
