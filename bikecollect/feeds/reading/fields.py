"""Dialects: the fields of a station in one kind of feed, known or set by the user."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bikecollect.core.errors import SettingsError
from bikecollect.core.snapshot import StationInformation, StationStatus
from bikecollect.core.text import suggestion
from bikecollect.feeds.reading.aliases import Table
from bikecollect.feeds.reading.values import RawCounts, flag

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


@dataclass(frozen=True, eq=False, repr=False)
class Dialect:
    """The fields and formats of a station in one kind of feed.

    *table* has the spellings of each column; a list without the *needed* columns is
    rejected. *known_fields* are all fields that the dialect may have. *flag* parses
    booleans; *texts* has parsers of single text columns. *ebikes* and *vehicles* sum a
    station's counts by type, None if it has none; *kinds* counts vehicles by kind, None
    if the settings do not ask for it.
    """

    table: Table
    needed: Sequence[str]
    known_fields: frozenset[str]
    flag: Callable[[Any], bool | None] = flag
    texts: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    ebikes: Callable[[RawCounts], int | None] = lambda _: None
    vehicles: Callable[[RawCounts], int | None] = lambda _: None
    kinds: Callable[[RawCounts, int | None], Mapping[str, int]] | None = None

    def with_fields(
        self, fields: Mapping[str, str], *, kinds: bool = False
    ) -> "Dialect":
        """Return this dialect with the *fields* of the settings, by column.

        They are tried before the known spellings. If *kinds*, vehicles are counted by
        kind: bicycles, e-bikes.
        """
        named = {
            column: (name, *self.table.get(column, ()))
            for column, name in fields.items()
            if column != STAMP_FORMAT
        }
        dialect = replace(self, table={**self.table, **named})
        if not kinds:
            return dialect
        from bikecollect.feeds.reading.vehicle_types import bicycles  # rarely used

        return replace(dialect, kinds=bicycles)


def validate(fields: Mapping[str, str], place: str) -> None:
    """Raise SettingsError if *fields*, the table at *place*, has an unknown key."""
    for key, name in fields.items():
        if key not in KEYS:
            hint = suggestion(key, KEYS)
            raise SettingsError(f'unknown column "{key}" in {place}{hint}')
        if not name:
            raise SettingsError(
                f"{place}.{key} is empty: give the name of a field of the feed"
            )
    if STAMP_FORMAT in fields:
        check_form(fields[STAMP_FORMAT], f"{place}.{STAMP_FORMAT}")


def check_form(form: str, key: str) -> None:
    """Raise SettingsError if strptime cannot read what strftime writes with *form*.

    *form* must have the year, and with hours of 12 also AM or PM.
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
