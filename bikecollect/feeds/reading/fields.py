"""Fields set by the user for single columns of a known dialect."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from bikecollect.core.errors import SettingsError
from bikecollect.core.snapshot import StationInformation, StationStatus
from bikecollect.core.text import suggestion

STAMP_FORMAT = "stamp_format"
COLUMNS = tuple(
    dict.fromkeys((*StationStatus._fields, *StationInformation._fields[:-1]))
)
"""The columns of both files that a feed can fill."""
KEYS = frozenset({*COLUMNS, "last_updated", STAMP_FORMAT})
SAMPLE, SAME_DAYS = datetime(2026, 11, 22, 22, 5, tzinfo=UTC), 2015
"""A moment, and a year whose days have the same weekdays and numbers."""
MAX_FORM = 100
"""Characters of a stamp's format; strftime may take a kilobyte for each of them."""


def validate(fields: Mapping[str, str], place: str) -> None:
    """Raise SettingsError if *fields*, the table at *place*, has an unknown key."""
    for key, field in fields.items():
        if key not in KEYS:
            hint = suggestion(key, KEYS)
            raise SettingsError(f'unknown column "{key}" in {place}{hint}')
        if not field:
            raise SettingsError(
                f"{place}.{key} is empty: give the name of a field of the feed"
            )
    if STAMP_FORMAT in fields:
        check_form(fields[STAMP_FORMAT], f"{place}.{STAMP_FORMAT}")


def check_form(form: str, key: str) -> None:
    """Raise SettingsError if strptime cannot read what strftime writes with *form*.

    Neither may the year be lost, nor the half of the day.
    """
    if len(form) > MAX_FORM:
        text = f"{len(form)} characters, more than {MAX_FORM}"
        raise SettingsError(f"{key} is too long: {text}")
    begin = f'{key} = "{form}"'
    try:
        if SAMPLE.strftime(form) == SAMPLE.replace(year=SAME_DAYS).strftime(form):
            raise SettingsError(f"{begin} has no year (%Y)")
        read = datetime.strptime(SAMPLE.strftime(form), form)  # noqa: DTZ007 - the zone is not used
    except (ValueError, re.error) as error:
        raise SettingsError(f"{begin}: {error}") from error
    if read.hour == SAMPLE.hour - 12:
        raise SettingsError(f"{begin} has hours of 12 without AM or PM (%p)")
