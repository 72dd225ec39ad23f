"""The interval of the settings, such as ``5min``: parsed, and shown to people."""

import re
from collections.abc import Iterable

from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import DAY, MINUTE
from bikecollect.core.text import length

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


def interval_text(interval: int) -> str:
    """Return *interval* in seconds for people, exactly.

    >>> interval_text(300), interval_text(90)
    ('5 min', '90 s')
    """
    return f"{interval} s" if interval % MINUTE else length(interval)


def lengths(intervals: Iterable[int]) -> str:
    """Return *intervals* in seconds, which held in turn, for people.

    >>> lengths([300]), lengths([900, 1_800])
    ('5 min', '15 min, then 30 min')
    """
    return ", then ".join(map(interval_text, intervals))
