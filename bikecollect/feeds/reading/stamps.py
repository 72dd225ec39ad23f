"""Stamps as publishers write them, read to epoch seconds: nonsense becomes None."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

FIRST_STAMP = 1_104_537_600
"""2005-01-01: older stamps are sentinels, such as 0, 18001 and 86400."""
LAST_STAMP = 4_102_444_800
MILLISECONDS = 100_000_000_000
"""Larger numbers count milliseconds, or still smaller parts."""
MINGUO = 1911
"""Year 0 of Taiwan's own count of years, which has three digits today."""
LONGEST = 60
MOST = 10**19
"""The end of this century in nanoseconds is less."""

_TIME = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?"
_TAIL = rf"(?:[T ,]*{_TIME})?\s*(am|pm)?\s*(z|utc|gmt|[+-]\d{{2}}(?::?\d{{2}})?)?z?"
_FORMS = {
    "ymd": re.compile(
        rf"(\d{{3,4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TAIL}", re.IGNORECASE
    ),
    "dmy": re.compile(
        rf"(\d{{1,2}})[-.](\d{{1,2}})[-.](\d{{4}}){_TAIL}", re.IGNORECASE
    ),
}
_COMPACT = re.compile(
    r"(\d{4})(\d\d)(\d\d)[T ]?(\d\d)(\d\d)(?:(\d\d)(?:[.,]?\d{1,6})?)?\s*"
    r"(z|utc|gmt|[+-]\d{2}(?::?\d{2})?)?",
    re.IGNORECASE,
)
_DOTNET = re.compile(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/")
_ZONE_NAME = re.compile(r"\[[\w/+-]+\]$")
_CHINESE = str.maketrans(
    {"年": "-", "月": "-", "日": " ", "時": ":", "分": ":", "秒": ""}
)
_HALVES = (("上午", "am"), ("下午", "pm"))


class Stamps:
    """Reads the publisher's stamps to epoch seconds; naive ones are in *zone*.

    *form* is strptime's, for what no form here reads. Most stations of a snapshot
    share few stamps: each is read once.
    """

    def __init__(self, zone: tzinfo, form: str = "") -> None:
        self._zone = zone
        self._form = form
        # By text: its hash cannot be foreseen, that of a number can be chosen.
        self._known: dict[str, int | None] = {}

    def __call__(self, value: Any) -> int | None:
        """Return the moment that *value* means, None for nonsense."""
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return None
        if isinstance(value, int) and not 0 <= value <= MOST:
            return None
        text = value.strip() if isinstance(value, str) else str(value)
        if len(text) > LONGEST:
            return None
        if text not in self._known:
            self._known[text] = self._read(text)
        return self._known[text]

    def _read(self, text: str) -> int | None:
        try:
            seconds = self._seconds(text)
        except (ValueError, OverflowError):
            return None
        if seconds is None or not FIRST_STAMP <= seconds <= LAST_STAMP:
            return None
        return int(seconds)

    def _seconds(self, text: str) -> float | None:
        return (
            self._formed(text)
            or self._compact(text)
            or _epoch(text)
            or self._written(text)
        )

    def _formed(self, text: str) -> float | None:
        """Return the moment of *text* in the form that the settings name."""
        try:
            moment = datetime.strptime(text, self._form) if self._form else None  # noqa: DTZ007 - zoned below
        except ValueError:
            return None
        return self._moment(moment) if moment else None

    def _compact(self, text: str) -> float | None:
        """Return the moment of ``YYYYMMDD[T]hhmm[ss]``, with what may follow."""
        found = _COMPACT.fullmatch(text)
        if found is None or not "1990" < found[1] < "2100":
            return None
        *parts, offset = found.groups()
        year, month, day, hour, minute, second = (int(each or 0) for each in parts)
        zone = _zone(offset)
        try:
            return self._moment(
                datetime(year, month, day, hour, minute, second, tzinfo=zone)
            )
        except ValueError:
            return None

    def _written(self, text: str) -> float | None:
        """Return the moment of a date and a time as people or programs write them."""
        text = _ZONE_NAME.sub("", text)
        try:
            return self._moment(datetime.fromisoformat(text))
        except ValueError:
            pass
        for chinese, half in _HALVES:
            if chinese in text:
                text = f"{text.replace(chinese, ' ')} {half}"
        text = text.translate(_CHINESE).replace(": ", " ").strip(" :")
        for form, pattern in _FORMS.items():
            if found := pattern.fullmatch(text):
                return self._moment(_date(form, found))
        return self._mail(text) if text[:1].isalpha() else None

    def _mail(self, text: str) -> float | None:
        """Return the moment of a date in the form of mails and HTTP."""
        from email.utils import parsedate_to_datetime

        return self._moment(parsedate_to_datetime(text))

    def _moment(self, moment: datetime) -> float:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        return moment.timestamp()


def _epoch(text: str) -> float | None:
    """Return epoch seconds, milli-, micro- or nanoseconds as seconds."""
    dotnet = _DOTNET.fullmatch(text)
    try:
        seconds = float(dotnet[1] if dotnet else text)
    except ValueError:
        return None
    while MILLISECONDS < seconds < float("inf"):
        seconds /= 1000
    return seconds


def _date(form: str, found: re.Match[str]) -> datetime:
    """Return the date and time that *found* holds; raises ValueError for none."""
    first, month, last, hour, minute, second, half, offset = found.groups()
    year, day = (int(first), int(last)) if form == "ymd" else (int(last), int(first))
    hour = int(hour or 0)
    if half and not 1 <= hour <= 12:  # noqa: PLR2004 - a clock's face
        raise ValueError(f"{hour} {half}")
    if half:
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    return datetime(
        year + MINGUO if len(first) == 3 else year,  # noqa: PLR2004 - see MINGUO
        int(month),
        day,
        hour,
        int(minute or 0),
        int(second or 0),
        tzinfo=_zone(offset),
    )


def _zone(offset: str | None) -> tzinfo | None:
    """Return the zone of ``Z``, ``UTC`` or ``+08:00``; None where nothing is said."""
    if not offset:
        return None
    if offset[0] not in "+-":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))
