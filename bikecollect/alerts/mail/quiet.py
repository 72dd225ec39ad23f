"""Quiet hours: times of the day at which mails wait."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Self

from bikecollect.core.errors import SettingsError

_SPAN = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*")
MINUTES_OF_HOUR, HOURS_OF_DAY = 60, 24


@dataclass(frozen=True)
class QuietHours:
    """The minutes of the day from *begin* to *end*, which may be after midnight."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the hours *text*, None if it is empty; raises SettingsError.

        >>> QuietHours.parse("23:00-07:00")
        QuietHours(begin=1380, end=420)
        """
        if not text.strip():
            return None
        if match := _SPAN.fullmatch(text):
            first, first_minute, last, last_minute = map(int, match.groups())
            times = (
                (first * MINUTES_OF_HOUR + first_minute),
                (last * MINUTES_OF_HOUR + last_minute),
            )
            is_time = (
                max(first_minute, last_minute) < MINUTES_OF_HOUR
                and max(times) <= HOURS_OF_DAY * MINUTES_OF_HOUR
            )
            if is_time and times[0] != times[1]:
                return cls(*times)
        raise SettingsError(
            f'mail.quiet = "{text}" must be two times of the day, such as "23:00-07:00"'
        )

    def includes(self, moment: float, zone: tzinfo | None) -> bool:
        """Return whether *moment* is within, in local time of *zone* (None: ours)."""
        local_time = datetime.fromtimestamp(moment, UTC).astimezone(zone)
        minute = local_time.hour * MINUTES_OF_HOUR + local_time.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end
