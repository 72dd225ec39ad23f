"""Parse publishers' time stamps to epoch seconds; invalid ones become None."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

FIRST_STAMP = 1_104_537_600
"""2005-01-01; older stamps are sentinels, such as 0, 18001 and 86400."""
LAST_STAMP = 4_102_444_800
MILLISECONDS = 100_000_000_000
"""Larger numbers are milliseconds, microseconds or nanoseconds."""
MINGUO = 1911
"""Year 0 of the Minguo calendar (Taiwan), whose years have three digits today."""
UPDATED = ("last_updated", "lastUpdatedOther", "lastUpdated")
MAX_LENGTH = 60
USUAL_LENGTH = len("2026-11-22 12:00:00")
NEAR = 900.0
"""Seconds between a feed's stamp and its fetch by which its zone is guessed."""
FEW = 20
"""If none of so many reports lacks a zone, none does."""
AHEAD = 120.0
"""Seconds by which a feed's clock may be ahead of ours."""
MAX_NUMBER = 10**19
"""Above the end of this century in nanoseconds."""

_TIME = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?"
_ZONE = r"(z|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?|utc|gmt)?z?"
_TAIL = rf"(?:[T ,]*{_TIME})?\s*(am|pm)?\s*{_ZONE}"
_PATTERNS = {
    "ymd": rf"(\d{{3,4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TAIL}",
    "dmy": rf"(\d{{1,2}})[-.](\d{{1,2}})[-.](\d{{4}}){_TAIL}",
}
"""Not compiled in advance: ISO 8601 is parsed without them."""
_COMPACT = (
    r"(\d{4})(\d\d)(\d\d)[T ]?(\d\d)(\d\d)(?:(\d\d)(?:[.,]?\d{1,6})?)?\s*"
    r"(z|utc|gmt|[+-]\d{2}(?::?\d{2})?)?"
)
_MINGUO = r"(1[0-3]\d)(\d\d)(\d\d)[T ]?(\d\d)(\d\d)(\d\d)()"
"""As milliseconds these would be of 2014 or before."""
_LEAP = r"(\d:\d\d):60(?!\d)"
"""A leap second, which epoch seconds do not have: the second before stands for it."""
_DOTNET = r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/"
_DATE_WORD = r"(?:sun|mon|tue|wed|thu|fri|sat)\w*"
_DATE_WORD += r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*"
_HALF = r"\s*(?<![a-z])([ap])\.?m\b\.?"
_ZONE_NAME = r"\[[\w/+-]+\]$"
_CHINESE = str.maketrans(
    {"年": "-", "月": "-", "日": " ", "時": ":", "分": ":", "秒": ""}
)
_HALVES = (("上午", "am"), ("下午", "pm"))


class Stamps:
    """Parses a publisher's stamps to epoch seconds; naive ones are in *zone*.

    *form* is a strptime format that is tried first. The hour before winter time occurs
    twice: the second one is meant if it was there when the feed was *fetched_at*. The
    stations of a snapshot share few distinct stamps: each is parsed once.
    """

    def __init__(
        self, zone: tzinfo, form: str = "", *, fetched_at: float = 0.0
    ) -> None:
        self._zone = zone
        self._form = form
        self._latest = fetched_at + AHEAD
        self._is_used = False
        # Keyed by text: hashes of text are random, those of numbers can be chosen.
        self._known: dict[str, int | None] = {}

    @property
    def used_zone(self) -> ZoneInfo | None:
        """The time zone, if a stamp without an offset was read in it."""
        zone = self._zone
        return zone if self._is_used and isinstance(zone, ZoneInfo) else None

    def __call__(self, value: Any) -> int | None:
        """Return *value* in epoch seconds, None if it is not a plausible stamp."""
        if type(value) is str and value in self._known:
            return self._known[value]
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return None
        if isinstance(value, int) and not 0 <= value <= MAX_NUMBER:
            return None
        text = value.strip() if isinstance(value, str) else str(value)
        if len(text) > MAX_LENGTH:
            return None
        if text not in self._known:
            self._known[text] = self._parse(text)
        return self._known[text]

    def of_reports(self, reported: Sequence[Any]) -> "Stamps":
        """Return the stamps of the stations or vehicles, which have *reported* then."""
        return self

    def _parse(self, text: str) -> int | None:
        seconds = self._by_minute(text)
        return self._parse_alone(text) if seconds is None else seconds

    def _by_minute(self, text: str) -> int | None:
        """Parse ``YYYY-MM-DD hh:mm:ss`` by its minute, None if that is not possible.

        The stamps of a snapshot are in few minutes, and each minute is parsed once.
        """
        is_usual = len(text) == USUAL_LENGTH and text[4] == text[7] == "-"
        if self._form or not is_usual or not text[13] == text[16] == ":":
            return None
        seconds = text[17:]
        if not "00" < seconds < "60" or not (seconds.isascii() and seconds.isdigit()):
            return None
        begin = self(f"{text[:17]}00")
        return None if begin is None or begin == LAST_STAMP else begin + int(seconds)

    def _parse_alone(self, text: str) -> int | None:
        if ":60" in text:
            text = re.sub(_LEAP, r"\1:59", text)
        try:
            seconds = self._seconds(text)
        except (ValueError, OverflowError):
            return None
        if seconds is None or not FIRST_STAMP <= seconds <= LAST_STAMP:
            return None
        return int(seconds)

    def _seconds(self, text: str) -> float | None:
        return (
            self._by_form(text)
            or self._compact(text)
            or _epoch(text)
            or self._date_and_time(text)
        )

    def _by_form(self, text: str) -> float | None:
        """Parse *text* by the format of the settings."""
        try:
            moment = datetime.strptime(text, self._form) if self._form else None  # noqa: DTZ007 - the zone is set below
        except ValueError:
            return None
        return self._epoch_seconds(moment) if moment else None

    def _compact(self, text: str) -> float | None:
        """Parse ``YYYYMMDD[T]hhmm[ss]``, with an optional fraction and zone."""
        if not text[:8].isdigit():
            return None
        match = re.fullmatch(_COMPACT, text, re.IGNORECASE)
        if match is None or not "1990" < match[1] < "2100":
            match = re.fullmatch(_MINGUO, text)
        if match is None:
            return None
        *parts, offset = match.groups()
        year, month, day, hour, minute, second = (int(part or 0) for part in parts)
        year, zone = year + (MINGUO if year < MINGUO else 0), _zone(offset)
        try:
            return self._epoch_seconds(
                datetime(year, month, day, hour, minute, second, tzinfo=zone)
            )
        except ValueError:
            return None

    def _date_and_time(self, text: str) -> float | None:
        """Parse ISO 8601 and the other usual spellings of date and time."""
        if text[-1:] == "]":
            text = re.sub(_ZONE_NAME, "", text)
        try:
            return self._epoch_seconds(datetime.fromisoformat(text))
        except ValueError:
            pass
        for chinese, half in _HALVES:
            if chinese in text:
                text = f"{text.replace(chinese, ' ')} {half}"
        text = text.translate(_CHINESE).replace(": ", " ").strip(" :")
        for order, pattern in _PATTERNS.items():
            if match := re.fullmatch(pattern, text, re.IGNORECASE):
                return self._epoch_seconds(_date(order, match))
        return self._by_name(text)

    def _by_name(self, text: str) -> float | None:
        """Parse dates with the name of a month, and names of the own zone.

        China's and Taiwan's CST is not that of America; names that are not known are
        not the own zone.
        """
        from email.utils import parsedate_to_datetime

        words = re.findall(r"[A-Za-z]{2,}", text)
        name = next(filter(self._zone_names().__contains__, words), None)
        if name is not None:
            bare = re.sub(rf"\s*\b{name}\b", "", text)
            seconds = self._date_and_time(bare) if bare != text else None
            return None if seconds is None else self._at(seconds, name)
        half = re.search(_HALF, text, re.IGNORECASE)
        bare = text.replace(half[0], "", 1) if half else text
        moment = parsedate_to_datetime(bare.replace("-0000", "+0000"))
        names = re.sub(_DATE_WORD, "", bare, flags=re.IGNORECASE)
        if not words or (moment.tzinfo is None and re.search("[A-Za-z]{2}", names)):
            return None
        if half:
            hour = _hour(moment.hour, f"{half[1].lower()}m")
            moment = moment.replace(hour=hour)
        return self._epoch_seconds(moment)

    def _at(self, seconds: float, name: str) -> float:
        """Return *seconds*, or the same local time an hour earlier or later, by *name*.

        The hour before winter time occurs twice.
        """
        own, *others = (
            datetime.fromtimestamp(seconds + more, self._zone)
            for more in (0, 3_600, -3_600)
        )
        bare = own.replace(tzinfo=None)
        same = (other for other in others if other.replace(tzinfo=None) == bare)
        named = (other.timestamp() for other in same if other.tzname() == name)
        return seconds if own.tzname() == name else next(named, seconds)

    def _zone_names(self) -> set[str | None]:
        """Return the names of the own zone in winter and summer, without UTC's."""
        days = (datetime(2026, month, 1, tzinfo=self._zone) for month in (1, 7))
        return {day.tzname() for day in days} - {"UTC", "GMT"}

    def _epoch_seconds(self, moment: datetime) -> float:
        if moment.tzinfo is not None:
            return moment.timestamp()
        self._is_used = True
        first = moment.replace(tzinfo=self._zone).timestamp()
        second = moment.replace(tzinfo=self._zone, fold=1).timestamp()
        return second if first < second <= self._latest else first


def stamp_of(document: Any) -> Any:
    """Return the stamp of a GBFS *document* in any known spelling, None without one."""
    fields = document if isinstance(document, Mapping) else {}
    return next((fields[k] for k in UPDATED if fields.get(k) is not None), None)


def of_feed(updated: Any, zone: tzinfo, fetched_at: float, form: str = "") -> Stamps:
    """Return the stamps of a feed that should be in UTC, and was *updated* then.

    Stamps without a zone are read in *zone* if the feed's stamp would be in the future
    in UTC, or is near the time of the fetch only in *zone*; those of its stations by
    themselves, see `report_zone`. *form* is as in `Stamps`.

    >>> zone = timezone(timedelta(hours=-5))
    >>> [of_feed(text, zone, 1.8e9)(text) for text in ("2027-01-15T03:00", "1.8e9")]
    [1800000000, 1800000000]
    >>> of_feed("2027-01-15T02:00", zone, 1.8e9)("2027-01-15T02:00")
    1799978400
    """
    utc = _FeedStamps(UTC, form, fetched_at=fetched_at, zone=zone)
    local = _FeedStamps(zone, form, fetched_at=fetched_at, zone=zone)
    stamp = utc(updated)
    if stamp is None:
        return utc if local(updated) is None else local  # it names the zone
    if not fetched_at or abs(stamp - fetched_at) <= NEAR:
        return utc
    is_local = abs((local(updated) or 0) - fetched_at) <= NEAR
    return local if is_local or stamp > fetched_at else utc


class _FeedStamps(Stamps):
    """The stamps of a feed; those of its reports are in UTC or in *zone*."""

    def __init__(
        self, own: tzinfo, form: str, *, fetched_at: float, zone: tzinfo
    ) -> None:
        super().__init__(own, form, fetched_at=fetched_at)
        self._readings = Stamps(UTC, form), Stamps(zone, form, fetched_at=fetched_at)
        self._fetched_at = fetched_at

    def of_reports(self, reported: Sequence[Any]) -> Stamps:
        """Return the stamps by which the *reported* ones without a zone are recent."""
        utc, local = self._readings
        texts = islice((value for value in reported if type(value) is str), FEW)
        if not self._fetched_at or all(utc(text) == local(text) for text in texts):
            return self
        from bikecollect.feeds.reading.zones import report_zone  # rarely needed

        return report_zone.fitting(reported, utc, local, self._fetched_at) or self


def other_reading(updated: Any, stamp: Any, zone: tzinfo, form: str = "") -> int | None:
    """Return *updated* in the other of both zones than `of_feed`, which read *stamp*.

    None if it has a zone itself: both are the same.

    >>> zone = timezone(timedelta(hours=-5))
    >>> other_reading("2027-01-15T08:00", 1_800_000_000, zone)
    1800018000
    """
    both = Stamps(UTC, form)(updated), Stamps(zone, form)(updated)
    return next((reading for reading in both if reading != stamp), None)


def _epoch(text: str) -> float | None:
    """Parse a number of seconds, milli-, micro- or nanoseconds to seconds."""
    dotnet = re.fullmatch(_DOTNET, text) if text[:1] == "/" else None
    try:
        seconds = float(dotnet[1] if dotnet else text)
    except ValueError:
        return None
    while MILLISECONDS < seconds < float("inf"):
        seconds /= 1000
    return seconds


def _date(order: str, match: re.Match[str]) -> datetime:
    """Return the date and time in *match*; raises ValueError for an invalid one."""
    first, month, last, hour, minute, second, half, offset = match.groups()
    year, day = (int(first), int(last)) if order == "ymd" else (int(last), int(first))
    hour = _hour(int(hour or 0), half.lower()) if half else int(hour or 0)
    return datetime(
        year + MINGUO if len(first) == 3 else year,  # noqa: PLR2004 - see MINGUO
        int(month),
        day,
        hour,
        int(minute or 0),
        int(second or 0),
        tzinfo=_zone(offset),
    )


def _hour(hour: int, half: str) -> int:
    """Return *hour* of the 12-hour clock as one of 24; *half* is "am" or "pm"."""
    if not 1 <= hour <= 12:  # noqa: PLR2004 - 12-hour clock
        raise ValueError(f"{hour} {half}")
    return hour % 12 + (12 if half == "pm" else 0)


def _zone(offset: str | None) -> tzinfo | None:
    """Return the zone of ``Z``, ``UTC`` or ``+08:00``; None for an empty one."""
    if not offset:
        return None
    offset = offset.lower().removeprefix("utc").removeprefix("gmt")
    if offset[:1] not in {"+", "-"}:
        return UTC
    digits = offset[1:].replace(":", "")
    hours, minutes = int(digits[:-2] or digits), int(digits[-2:])
    if len(digits) <= 2:  # noqa: PLR2004 - hours only
        hours, minutes = int(digits), 0
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))
