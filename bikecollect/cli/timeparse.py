"""Parse times as people write them: a day, a time, or a duration before now."""

import logging
import re
from calendar import monthrange
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bikecollect.cli.printing import is_on_terminal
from bikecollect.core.errors import UsageError
from bikecollect.core.slots import GRACE, Slot, bounds, day_of

log = logging.getLogger(__name__)
LATEST = 7_258_118_400.0
"""The beginning of the year 2200, later than any slot."""
EPOCH_YEAR = 1970
FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"
DAYS_AGO = {"today": 0, "yesterday": 1}
DAY_ONLY = re.compile(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d(-?\d)?|today|yesterday")
"""A day without a time, by its name or in the forms of ISO 8601, or a week."""
WEEK_ONLY = re.compile(r"\d{4}-?W\d\d")
"""A week of ISO 8601, from Monday to Sunday."""
DATE, DECEMBER = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})"), 12
DATED = re.compile(r"\d{4}-?(\d\d|W)")
DAYS_BEFORE = re.compile(r"\d{1,5}\s*[dw]")
TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(:\d\d)?")
UNITS = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment(text: str, zone: ZoneInfo, now: float) -> float:
    """Return the time *text* in epoch seconds.

    *text* is an ISO 8601 day or time (in *zone* if it has no offset), a time of day
    (its latest occurrence; a run may already fill a slot that begins within the grace),
    `today` or `yesterday` (their beginning), or a duration before now: 30min, 24h, 7d,
    2w. A time before 1970 counts as the beginning of that year, one after 2199 as the
    end of that.

    >>> moment("1970-01-02", ZoneInfo("UTC"), 0)
    86400.0
    >>> moment("2h", ZoneInfo("UTC"), 10_000)
    2800
    >>> moment("yesterday", ZoneInfo("Asia/Taipei"), 180_000)
    57600.0
    >>> moment("1900-01-01", ZoneInfo("UTC"), 0)
    0.0
    """
    ago = re.fullmatch(r"(\d{1,5})\s*(min|h|d|w)", text)
    if ago:
        return max(0.0, now - int(ago[1]) * UNITS[ago[2]])
    if TIME_OF_DAY.fullmatch(text):
        return _time_of_day(text, zone, now)
    if text in DAYS_AGO:
        day = date.fromisoformat(day_of(Slot(int(now)), zone))
        text = str(day - timedelta(days=DAYS_AGO[text]))
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(text) from error
    try:
        seconds = (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp()
    except (OverflowError, ValueError):  # within a day of the year 1 or 9999
        seconds = LATEST if parsed.year > EPOCH_YEAR else 0.0
    return min(max(seconds, 0.0), LATEST)


def days(
    since: str | None, until: str | None, zone: ZoneInfo, now: float
) -> tuple[str, str]:
    """Return the first day of a range of days, and the day after its last.

    Both *since* and *until* are in the range; None means no limit. Raises UsageError if
    the range is empty.

    >>> days("1970-01-02T23:00", "1970-01-03", ZoneInfo("Asia/Taipei"), 0)
    ('1970-01-02', '1970-01-04')
    """
    first = _day(since, zone, now) if since else FIRST_DAY
    last = last_day(until, zone, now) if until else LAST_DAY
    if first > last:
        raise _reversed(since, until)
    end = date.fromisoformat(last) + timedelta(days=1) if until else LAST_DAY
    return first, str(end)


def warn_of_times(since: str | None, until: str | None) -> None:
    """Warn of a time where days are read: all of its day is in the figures.

    Cron would mail the warning of ``24h`` or ``08:00``, which a job may have for ever:
    it is for a person at a terminal.
    """
    for option, text in (("since", since), ("until", until)):
        if not text or DAY_ONLY.fullmatch(text) or DAYS_BEFORE.fullmatch(text):
            continue
        if DATED.match(text) or is_on_terminal():
            log.warning('--%s "%s": whole days are read, that one too', option, text)


def slots(
    since: str | None, until: str | None, zone: ZoneInfo, now: float
) -> tuple[Slot | None, Slot | None]:
    """Return the first second of a range of slots, and the end of the range.

    If *until* is a day or a week, it is in the range; if it is a time, it is the end.
    Raises UsageError if the range is empty.

    >>> slots("1970-01-01", "1970-01-02", ZoneInfo("UTC"), 0)
    (0, 172800)
    >>> slots("yesterday", "today", ZoneInfo("UTC"), 90_000)
    (0, 172800)
    >>> slots("1970-W02", "1970-W02", ZoneInfo("UTC"), 0)
    (345600, 950400)
    """
    begin = Slot(int(moment(since, zone, now))) if since else None
    end = Slot(int(moment(until, zone, now))) if until else None
    if until and end is not None and DAY_ONLY.fullmatch(until):
        _, end = bounds(last_day(until, zone, now), zone)
    if begin is not None and end is not None and begin >= end:
        raise _reversed(since, until)
    return begin, end


def last_day(text: str, zone: ZoneInfo, now: float) -> str:
    """Return the local day of *text*, of a week its Sunday.

    >>> [last_day(t, ZoneInfo("UTC"), 0) for t in ("2026-W43", "2026-W43-2")]
    ['2026-10-25', '2026-10-20']
    """
    day = _day(text, zone, now)
    if not WEEK_ONLY.fullmatch(text):
        return day
    return str(date.fromisoformat(day) + timedelta(days=6))


def _day(text: str, zone: ZoneInfo, now: float) -> str:
    return day_of(Slot(int(moment(text, zone, now))), zone)


def _reversed(since: str | None, until: str | None) -> UsageError:
    return UsageError(f'--since "{since}" is not before --until "{until}"')


def _time_of_day(text: str, zone: ZoneInfo, now: float) -> float:
    hour, minute, second = map(int, f"{text}:00".split(":")[:3])
    try:
        today = datetime.fromtimestamp(now, zone).replace(
            hour=hour, minute=minute, second=second, microsecond=0
        )
    except ValueError as error:
        raise _invalid(text) from error
    if today.timestamp() > now + GRACE:
        today -= timedelta(days=1)
    return today.timestamp()


def _invalid(text: str) -> UsageError:
    date_ = DATE.match(text)
    if date_ and int(date_[1]) and 1 <= (month := int(date_[2])) <= DECEMBER:
        last = monthrange(int(date_[1]), month)[1]
        if int(date_[3]) > last:
            name = f"{date(2000, month, 1):%B} {date_[1]}"
            return UsageError(f'invalid day "{text}": {name} has {last} days')
    return UsageError(
        f'invalid time "{text}"; use a day (2026-11-22, yesterday), a week '
        "(2026-W47), a time (2026-11-22T10:05, 10:05, 10:05:30), or a duration before "
        "now (24h, 7d)"
    )


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def weekly(text: str) -> tuple[int, int]:
    """Return the weekday (0 = Monday) and the minute of the day of *text*.

    >>> weekly("Mon 08:30"), weekly("sunday 7.05")
    ((0, 510), (6, 425))
    """
    match = re.fullmatch(r"\s*([a-z]{3})[a-z]*\s+(\d{1,2})[:.](\d\d)\s*", text.lower())
    if match and match[1] in WEEKDAYS and int(match[2]) < 24 and int(match[3]) < 60:  # noqa: PLR2004 - clock
        return WEEKDAYS.index(match[1]), int(match[2]) * 60 + int(match[3])
    raise UsageError(
        f'invalid time of the week "{text}"; give weekday and time: "Mon 08:30"'
    )
