"""The fields that a user names for single columns of a known dialect."""

from collections.abc import Mapping

from bikecollect.core.errors import SettingsError
from bikecollect.core.snapshot import StationInformation, StationStatus

STAMP_FORMAT = "stamp_format"
COLUMNS = tuple(
    dict.fromkeys((*StationStatus._fields, *StationInformation._fields[:-1]))
)
"""The columns of both files that a feed can fill."""
KEYS = frozenset({*COLUMNS, "last_updated", STAMP_FORMAT})


def validate(fields: Mapping[str, str], place: str) -> None:
    """Raise SettingsError where *fields*, the table at *place*, has an unknown key."""
    for key, field in fields.items():
        if key not in KEYS:
            raise SettingsError(f'unknown column "{key}" in {place}{nearest(key)}')
        if not field:
            raise SettingsError(f"{place}.{key} is empty: name a field of the feed")


def nearest(key: str) -> str:
    """Return the end of a sentence that asks for the column most like *key*."""
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(key, KEYS, 1)
    return f', did you mean "{near[0]}"?' if near else ""
