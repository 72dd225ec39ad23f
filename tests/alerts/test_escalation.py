"""Incidents: when alerts are sent, over whole days of outages."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bikecollect.alerts.escalation import step
from bikecollect.alerts.messages import MessageFacts, body, short, subject
from bikecollect.alerts.next_steps import NEXT_STEPS, TO_DO
from bikecollect.alerts.signals import CLOCK, of_run
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import (
    KINDS,
    VARIANTS,
    Event,
    EventType,
    Incident,
    Signal,
)
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot
from bikecollect.core.timeline.grid import Grid, Period

INTERVAL = 300
GRID = Grid.of(INTERVAL)
HOUR = 12
WHOLE_DAY = 24 * HOUR
BEGIN = 1_795_312_800 // INTERVAL * INTERVAL
BAD = Signal("timeout", "no answer within 30 s", lost=1)


def play(
    bad: Iterable[bool | None], kind: str = "fetch", sign: Signal = BAD
) -> list[tuple[int, Event]]:
    """Return the events of slots that are bad, good, or (None) not observed."""
    incidents: tuple[Incident, ...] = ()
    mails = []
    for number, is_bad in enumerate(bad):
        signs = {} if is_bad is None else {kind: sign if is_bad else None}
        slot = Slot(BEGIN + number * INTERVAL)
        incidents, events = step(incidents, slot, signs, GRID)
        mails += [(number, event) for event in events]
    return mails


def words(events: Iterable[tuple[int, Event]]) -> list[tuple[int, str]]:
    """Return the time in minutes and the subject of each alert."""
    return [(number * 5, event.what.name) for number, event in events]


def test_slots_of_an_earlier_interval_are_as_long_as_they_were() -> None:
    """Twelve lost slots of 30 seconds are six minutes, those of 5 minutes an hour."""
    began, slot = Slot(BEGIN), Slot(BEGIN + 3_600)
    lost = Incident("i", "fetch", began, Slot(began + 330), slots=12, told=1)
    lost = lost._replace(told_at=began, streak=began)
    changed = Grid((Period(0, 30), Period(began + 600, INTERVAL)))

    later = Grid((Period(0, 30), Period(slot + 1, INTERVAL)))
    (constant,), (short,), (both,) = (
        step([lost], slot, {"fetch": BAD}, grid)[1] for grid in (GRID, later, changed)
    )

    assert constant.what is both.what is EventType.ESCALATED
    assert short.what is EventType.REMINDED


def test_an_outage_of_a_day_is_five_mails_and_a_recovery() -> None:
    """Not 288 (fault 104): at once, 15 min, 1 h, 6 h, 24 h, and at the end."""
    events = play([True] * (WHOLE_DAY + 1) + [False] * 3)

    assert words(events) == [
        (0, "OPENED"),
        (15, "REMINDED"),
        (60, "ESCALATED"),
        (360, "REMINDED"),
        (1440, "REMINDED"),
        (1450, "RECOVERED"),
    ]
    last = events[-1][1].incident
    assert (last.lost, last.opened, last.last) == (289, BEGIN, BEGIN + DAY)
    assert last.causes == {"timeout": 289}

    # A day after the latest mail, the slot is good: no reminder that the feed is down.
    events = play([True] * 2 * WHOLE_DAY + [False] * 2)
    assert words(events)[-2:] == [(1440, "REMINDED"), (2885, "RECOVERED")]


def test_a_blip_is_two_mails_and_the_second_needs_two_good_slots() -> None:
    """An incident closes after two good slots, not after one."""
    events = play([True, False, True, False, False, False])
    assert words(events) == [(0, "OPENED"), (20, "RECOVERED")]


def test_every_other_slot_bad_for_a_day_is_two_mails() -> None:
    """It never closes: one mail at its start, one after an hour of lost slots."""
    events = play([number % 2 == 0 for number in range(WHOLE_DAY)])
    assert [what for _, what in words(events)] == [
        "OPENED",
        "ESCALATED",
    ]


DAYS = st.lists(
    st.tuples(st.integers(1, 11), st.integers(1, 23)), min_size=20, max_size=60
)


@given(DAYS)
def test_a_flapping_day_is_at_most_four_mails(rows: list[tuple[int, int]]) -> None:
    """For any sequence of outages under an hour and pauses under two (fault 104)."""
    rows = rows * (WHOLE_DAY // (2 * len(rows)) + 1)
    day = [bad for ill, well in rows for bad in [True] * ill + [False] * well]
    events = play(day[:WHOLE_DAY])
    assert len(events) <= 4, words(events)


slots = st.lists(
    st.tuples(st.sampled_from([True, False, None]), st.integers(1, 400)), max_size=12
)


@given(slots)
def test_no_open_incident_is_silent_for_longer_than_a_day(
    rows: list[tuple[bool | None, int]],
) -> None:
    """Reminders continue even while the feed cannot be judged.

    None is sent after a good slot, in which the problem was not there.
    """
    incidents: tuple[Incident, ...] = ()
    flat = [state for state, length in rows for _ in range(length)]
    for number, is_bad in enumerate(flat):
        signs = {} if is_bad is None else {"fetch": BAD if is_bad else None}
        slot = Slot(BEGIN + number * INTERVAL)
        incidents, events = step(incidents, slot, signs, GRID)
        troubled = [i for i in incidents if i.is_open and not i.good]
        assert all(slot - i.told_at < DAY for i in troubled)
        is_over = {event.what is EventType.RECOVERED for event in events}
        assert is_bad is not False or is_over <= {True}


@given(slots)
def test_every_reported_incident_has_a_recovery_mail(
    rows: list[tuple[bool | None, int]],
) -> None:
    """A recovery mail has all slots lost since the opening.

    It follows a mail that said otherwise, or has lost more than the one before.
    """
    flat = [state for state, length in rows for _ in range(length)]
    events = play([*flat, *[False] * (WHOLE_DAY // 4 + 2)])
    if not events:
        assert True not in flat
        return
    last = events[-1][1]
    assert last.what is EventType.RECOVERED
    told_open, told_lost = False, 0
    for _, event in events:
        if event.what is EventType.RECOVERED:
            assert told_open or event.incident.lost > told_lost
            told_open, told_lost = False, event.incident.lost
        else:
            told_open = True
    lost = {event.incident.incident_id: event.incident.lost for _, event in events}
    assert sum(lost.values()) == flat.count(True)


def test_trouble_at_the_same_hour_of_each_day_is_a_new_incident_each_day() -> None:
    """Such as a nightly maintenance, with a begin that varies by some minutes."""
    nights = [[*[False] * (24 - n % 2), *[True] * 6, *[False] * 258] for n in range(9)]
    events = [event for _, event in play([bad for night in nights for bad in night])]

    assert [event.what.name for event in events if event.what.name != "REMINDED"] == [
        "OPENED",
        "RECOVERED",
    ] * 9
    assert {e.incident.lost for e in events if e.what is EventType.RECOVERED} == {6}


def test_an_incident_is_not_continued_a_day_after_it_began() -> None:
    """A slot is lost every eleven hours: none is reported as one of many days."""
    events = play([number % (11 * HOUR) == 0 for number in range(60 * HOUR)])

    begun = [n // HOUR for n, event in events if event.what is EventType.OPENED]
    assert begun == [0, 11, 44]


def test_a_slot_lost_every_three_hours_is_one_mail_a_day() -> None:
    """After some mails of the first day, which have reported it as over."""
    events = play([number % (3 * HOUR) == 0 for number in range(5 * WHOLE_DAY)])
    days = [number // WHOLE_DAY for number, _ in events]
    assert [days.count(day) for day in range(5)] == [6, 1, 1, 1, 1]


def test_a_disk_that_is_nearly_full_at_times_is_a_few_mails() -> None:
    """Kinds with daily reminders are reported again too, and not at each end."""
    low = Signal("low-space", "150 MB free")
    events = play([number % 8 < 4 for number in range(3 * WHOLE_DAY)], "space", low)
    assert [event.what.name for _, event in events] == [
        "OPENED",
        *["RECOVERED"] * 2,
        "RETURNED",
        *["REMINDED"] * 2,
    ]


@pytest.mark.parametrize("kind", ["zone", "lost", "space", "archive", "mirror"])
def test_what_can_wait_for_a_day_is_reminded_of_once_a_day(kind: str) -> None:
    """Nor does it escalate after an hour: no slot is lost meanwhile."""
    events = play([True] * (2 * WHOLE_DAY + HOUR), kind, Signal("cause", "text"))

    words = [event.what.name for _, event in events]
    assert words == ["OPENED", "REMINDED", "REMINDED"]


def told(bad: Iterable[bool | None], sign: Signal = BAD) -> list[str]:
    """Return the subjects of the mails about slots that are *bad* or good."""
    zone = ZoneInfo("UTC")
    facts = MessageFacts("city", zone, zone, INTERVAL, Slot(BEGIN), "/srv/city")
    return [
        subject([(event, replace(facts, slot=Slot(BEGIN + number * INTERVAL)))])
        for number, event in play(bad, sign=sign)
    ]


def test_a_feed_that_is_mostly_up_is_not_called_down() -> None:
    """A day of one slot lost in three is no outage of a day."""
    mostly_up = told([number % 3 == 0 for number in range(WHOLE_DAY + HOUR)])
    assert mostly_up[-1].startswith("[bikecollect] city: feed down at times since ")

    is_down = [number not in (20, 21, 40) for number in range(WHOLE_DAY)]
    assert not any("at times" in text for text in told([*is_down, *[False] * 99]))


def test_an_outage_after_some_lost_slots_is_told_from_its_own_begin() -> None:
    """As the third problem of a day it continues the second, but not its subject."""
    blips = [number in (0, 60, 120) for number in range(15 * HOUR)]
    reminder = told([*blips, *[True] * (HOUR + 1)])[-1]
    assert reminder == "[bikecollect] city: feed down since 17:00, for 1 h 0 min"


def test_a_feed_that_denies_access_is_not_called_down() -> None:
    """A person has to renew a key, and sees that in a list of mails."""
    denied = Signal("credentials", "HTTP 401", lost=1)
    opened, resolved = told([True, False, False], denied)
    assert "city: feed denies access since " in opened
    assert "city: resolved: feed denies access " in resolved

    events = [play([True], sign=sign)[0][1] for sign in (denied, BAD)]
    zone = ZoneInfo("UTC")
    facts = MessageFacts("city", zone, zone, INTERVAL, Slot(BEGIN), "/srv/city")
    both = subject([(event, facts) for event in events])
    assert "city and 1 more: feed denies access or feed down since" in both


def test_trouble_that_returns_for_a_moment_is_in_a_second_recovery_mail() -> None:
    """Soon after the first, without an opening mail, but its slot is counted."""
    events = play([True, *[False] * 2, True, *[False] * 3 * HOUR])

    assert [what for _, what in words(events)] == ["OPENED", "RECOVERED", "RECOVERED"]
    assert [event.incident.lost for _, event in events] == [1, 1, 2]


def test_trouble_that_returns_hours_later_is_reported_at_once() -> None:
    """As a second incident of the day."""
    day = [True, *[False] * 5 * HOUR, *[True] * 2, *[False] * 7 * HOUR]
    events = play(day)
    assert [what for _, what in words(events)] == [
        "OPENED",
        "RECOVERED",
        "OPENED",
        "RECOVERED",
    ]
    assert [event.incident.lost for _, event in events] == [1, 1, 1, 2]

    # After a long outage, with its reminders, too.
    again = play([*[True] * HOUR, *[False] * 14 * HOUR, True])[-1]
    assert again[1].what is EventType.OPENED
    assert again[1].incident.lost == 1
    assert again[1].incident.opened == BEGIN + 15 * HOUR * INTERVAL


def test_a_second_long_outage_of_the_day_is_reminded_of() -> None:
    """Reminders are limited for flapping, not for a long outage."""
    day = [True, *[False] * HOUR, *[True] * 7 * HOUR]
    assert [what for _, what in words(play(day))] == [
        "OPENED",
        "RECOVERED",
        "OPENED",
        "ESCALATED",
        "REMINDED",
    ]


def test_a_long_outage_that_comes_back_is_one_incident() -> None:
    """It is reported again at once, with the numbers of the whole day."""
    day = [*[True] * 3 * HOUR, *[False] * HOUR, *[True] * 2, *[False] * 3 * HOUR]
    events = play(day)
    assert [what for _, what in words(events)][-3:] == [
        "RECOVERED",
        "RETURNED",
        "RECOVERED",
    ]
    assert events[-1][1].incident.lost == 3 * HOUR + 2


def test_trouble_that_returns_within_half_an_hour_is_not_reported_at_once() -> None:
    """It continues the previous incident."""
    events = play([True, *[False] * 4, True, *[False] * 3 * HOUR])
    assert words(events) == [(0, "OPENED"), (10, "RECOVERED"), (145, "RECOVERED")]
    assert events[-1][1].incident.lost == 2


@pytest.mark.parametrize(("pause", "number"), [(3, 0), (8, 1)])
def test_a_long_outage_that_comes_back_is_told_half_an_hour_after_its_end(
    pause: int, number: int
) -> None:
    """If it is over before that, the next recovery tells of both."""
    day = [*[True] * 3 * HOUR, *[False] * pause, True, *[False] * 3 * HOUR]
    names = [what for _, what in words(play(day))]

    assert (names.count("RETURNED"), names.count("RECOVERED")) == (number, 2)


def test_trouble_that_is_over_when_detected_is_one_mail() -> None:
    """The mail about missed slots says that they are over."""
    sign = Signal("host-off", "8 x off", lost=8, over=True, since=Slot(BEGIN - 2_400))
    events = play([True, *[False] * HOUR], "missed", sign)
    assert words(events) == [(0, "NOTED")]
    incident = events[0][1].incident
    assert (incident.lost, incident.opened) == (8, BEGIN - 2_400)
    assert incident.text == "8 x off"
    again = [True, False, True, *[False] * HOUR]
    (*_, (_, event)) = play(again, "missed", sign._replace(since=None, over=False))
    assert (event.incident.lost, event.incident.text) == (16, "most recently: 8 x off")


def test_another_damage_is_another_mail_at_once() -> None:
    """The same one, seen in every slot, is not; nor are more than a few in a day.

    What was repaired at once is never open.
    """
    lost = Signal("damage", "a.csv is missing", over=True)
    same = play([True] * (WHOLE_DAY + 8), "damage", lost)
    incidents: tuple[Incident, ...] = ()
    mails: list[Event] = []
    for number, text in enumerate("aabbbcdefghijklmnopqrstuvwxyz"):
        slot = Slot(BEGIN + number * INTERVAL)
        sign = lost._replace(text=text)
        incidents, events = step(incidents, slot, {"damage": sign}, GRID)
        mails += events
        assert not any(incident.is_open for incident in incidents)

    first = [event for event in mails if event.what is EventType.NOTED]
    assert words(same) == [(0, "NOTED"), (1440, "NOTED")]
    assert [event.incident.text for event in first] == list("abcdefgh")
    assert [event.incident.opened - BEGIN for event in first[:3]] == [0, 600, 1500]
    assert len({(e.incident.incident_id, e.incident.told) for e in mails}) == len(mails)
    assert len(mails) < 11


def test_a_second_loss_of_all_data_is_a_mail_although_the_first_is_just_over() -> None:
    """It has another time; seen in each slot, it is the same one."""
    incidents: tuple[Incident, ...] = ()
    mails: list[tuple[str, str]] = []
    for number, text in enumerate(("1", "1", "", "2", "2")):
        sign = Signal("earlier data", f"gone on {text}") if text else None
        slot = Slot(BEGIN + number * INTERVAL)
        incidents, events = step(incidents, slot, {"lost": sign}, GRID)
        mails += ((e.what.name, e.incident.text) for e in events)

    assert [what for what, _ in mails] == ["OPENED", "RECOVERED", "OPENED"]
    assert mails[-1][1] == "gone on 2"


def test_some_kinds_are_reported_after_several_slots() -> None:
    """A busy lock is reported when it occurs three times in a row (fault 83)."""
    waits = Signal("lock", "held by 4711")
    assert play([True, True, False, True, True, False], "lock", waits) == []
    opened = play([False, True, True, True], "lock", waits)
    assert words(opened) == [(15, "OPENED")]


def test_a_feed_that_is_stale_for_an_hour_is_reported() -> None:
    """A few stale snapshots are not: many feeds update slowly."""
    assert words(play([True] * (HOUR + 1), "stale", Signal("stale", ""))) == [
        (60, "OPENED")
    ]


def test_the_first_mail_after_an_hour_goes_to_all_and_no_second_follows() -> None:
    """Those who are told of long incidents need no mail of their own."""
    (_, event), *more = play([True] * (2 * HOUR), "stale", Signal("stale", ""))
    assert event.incident.escalated
    assert more == []


def test_each_kind_is_explained_and_has_next_steps() -> None:
    """On the page about alerts, where people look up what to mute."""
    page = Path(__file__).parents[2] / "docs/how-to/get-alerts.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| ")]

    assert set(KINDS) <= set(" ".join(rows).replace(",", " ").split())
    assert set(NEXT_STEPS) - set(VARIANTS) == set(KINDS)
    assert set(TO_DO) == set(KINDS) | set(VARIANTS)


@pytest.mark.parametrize(
    ("kind", "cause", "what", "minutes", "expected"),
    [
        ("fetch", "timeout", EventType.OPENED, 15, "nothing yet: the next slot is"),
        ("fetch", "timeout", EventType.ESCALATED, 60, "find out why the feed cannot"),
        ("fetch", "timeout", EventType.RECOVERED, 60, "nothing, it is over"),
        ("fetch", "credentials", EventType.OPENED, 0, "correct the credentials, or"),
        ("payload", "shape", EventType.RECOVERED, 60, "run backfill: it fills the"),
        ("payload", "not-json", EventType.OPENED, 15, "nothing, if it passes; else"),
        ("payload", "not-json", EventType.RECOVERED, 60, "nothing: what was not JSON"),
        ("payload", "no-stations", EventType.REMINDED, 60, "find out if the system"),
        ("payload", "no-stations", EventType.RECOVERED, 60, "nothing: the feed lists"),
        ("ledger", "ledger", EventType.OPENED, 0, "find out why the ledger cannot"),
        ("fetch", "address", EventType.OPENED, 15, "find out why the feed cannot"),
        ("ledger", "ledger", EventType.NOTED, 0, "nothing, it is repaired"),
        ("ledger", "runs-lost", EventType.NOTED, 0, "get the earlier runs from a"),
        ("damage", "damage", EventType.NOTED, 0, "find out what is damaged,"),
        ("damage", "damage", EventType.RECOVERED, 60, "find out what is damaged,"),
        ("damage", "file-repaired", EventType.NOTED, 0, "nothing, it is repaired"),
        ("damage", "older-folder", EventType.NOTED, 0, "fill the slots since the copy"),
        ("folder", "folder", EventType.RECOVERED, 60, "nothing, it is over"),
        ("missed", "off", EventType.NOTED, 60, "nothing, if this machine was off;"),
        ("missed", "settings", EventType.NOTED, 60, "nothing: the settings were wrong"),
        ("settings", "settings", EventType.OPENED, 0, "correct the settings"),
        ("stale", "stale", EventType.OPENED, 60, "nothing here, probably: the"),
    ],
)
def test_a_mail_begins_with_what_is_to_do(
    kind: str, cause: str, what: EventType, minutes: int, expected: str
) -> None:
    """By the problem, how long it is there, and whether it is over."""
    zone, until = ZoneInfo("UTC"), Slot(BEGIN + 60 * minutes)
    incident = Incident("i", kind, Slot(BEGIN), until, causes={cause: 1})
    facts = MessageFacts("city", zone, zone, INTERVAL, until, "/srv/city")
    text = body([(Event(what, incident), replace(facts, mirror="s3://mine"))])

    assert text.startswith(f"To do: {expected}")
    assert " mv " not in text or what is not EventType.RECOVERED
    assert ("--from s3://mine" in text) == (cause in {"runs-lost", "older-folder"})
    heading = "To know more" if expected.startswith("nothing") else "Next steps"
    assert f"\n\n{heading}:\n  " in text
    mixed = incident._replace(causes={cause: 1, "off": 1})
    assert "the settings were wrong" not in body([(Event(what, mixed), facts)])


def test_a_mail_about_two_losses_has_the_words_and_the_steps_of_each() -> None:
    """One system has an older copy, others are gone; the end has no old remedies."""
    zone, begin = ZoneInfo("UTC"), Slot(BEGIN)
    facts = MessageFacts("", zone, zone, INTERVAL, begin, "/srv/x", mirror="s3://mine")
    causes = ["older-folder", *["earlier data"] * 4]
    text = "/srv/x was gone: was it removed? Put it back; or run: forget it"
    pairs = []
    for number, cause in enumerate(causes):
        lost = Incident("i", "lost", begin, begin, causes={cause: 1}, text=text)
        system = replace(facts, system_id=f"a{number}")
        pairs.append((Event(EventType.OPENED, lost), system))
    state = "older copy restored or all data gone"
    assert subject(pairs) == f"[bikecollect] a0 and 4 more: {state} since 02:00"
    _, _, steps = body(pairs).partition("Next steps:\n  # for a0\n")
    older, _, gone = steps.partition("  # for a1, a2, a3; the same for 1 more\n")
    assert "backfill a0 --from THE_NEWER_ONE" in older
    assert "THE_NEWER_ONE" not in gone
    assert gone.count(" mv /srv/x /srv/x.new ") == 1
    assert "backfill a3 --from /srv/x.new" in gone
    assert "a2: since " in short(pairs)

    over = [(event._replace(what=EventType.RECOVERED), f) for event, f in pairs]
    assert f"resolved: {state} 02:00 to 02:05" in subject(over)
    assert "It was reported as:\n  /srv/x was gone: was it removed?\n" in body(over)
    assert "forget" not in body(over) + short(over)


def test_a_mail_about_many_systems_names_them_and_what_to_do() -> None:
    """As when the name server of all feeds is out."""
    zone = ZoneInfo("UTC")
    incident = Incident("fetch-1", "fetch", Slot(BEGIN), Slot(BEGIN), text="x" * 300)
    event = Event(EventType.OPENED, incident)
    names = [f"city-{number}" for number in range(1_000)]
    facts = MessageFacts("", zone, zone, INTERVAL, Slot(BEGIN), "/srv", tail=["x"])
    pairs = [(event, replace(facts, system_id=name)) for name in names]

    some = body(pairs[:200])
    assert set(names[:200]) <= set(some.replace(",", " ").split())
    assert "runs show" in some
    assert some.endswith("The last lines of the log:\nx\n")
    most = body(pairs)
    left = re.search(r"\nand (\d+) more, see `bikecollect status`\n", most)
    assert left
    assert set(names[: -int(left[1])]) <= set(most.replace(",", " ").split())


def test_a_mail_about_many_systems_begins_with_what_some_of_them_need() -> None:
    """Not with "nothing" because that is true of the others, or of the first."""
    zone = ZoneInfo("UTC")
    facts = MessageFacts("", zone, zone, INTERVAL, Slot(BEGIN), "/srv")
    causes = {"york": "ledger", "lyon": "runs-lost", "bath": "runs-lost"}
    pairs = [
        (
            Event(EventType.NOTED, Incident("i", "ledger", *times, causes={cause: 1})),
            replace(facts, system_id=name),
        )
        for times in [(Slot(BEGIN), Slot(BEGIN))]
        for name, cause in causes.items()
    ]

    first, *_, steps, _ = body(pairs).split("\n\n")
    assert first.endswith("from a mirror or backup, if there is one (lyon and 1 more)")
    assert "backfill lyon --from" in steps


def test_trouble_within_a_minute_has_seconds() -> None:
    """In slots of ten seconds; the system had no data yet."""
    zone = ZoneInfo("Asia/Taipei")
    facts = MessageFacts("city", zone, zone, 10, Slot(BEGIN), "/srv/city")
    minute = Slot(BEGIN // 60 * 60)
    noted = Event(EventType.NOTED, Incident("damage-1", "damage", minute, minute))
    longer = Incident("damage-1", "damage", minute, Slot(minute + 40))
    time = f"{datetime.fromtimestamp(minute, zone):%H:%M}"

    text = f"data file damaged {time}:00 to {time}:"
    assert subject([(noted, facts)]).endswith(f"{text}10")
    assert subject([(Event(EventType.NOTED, longer), facts)]).endswith(f"{text}50")
    assert "Last good   none yet" in body([(noted, facts)])
    bad = longer._replace(kind="fetch")
    steps = body([(Event(EventType.OPENED, bad), facts)])
    assert f"Since       2026-11-22 {time}:00 (+08:00)\n" in steps
    assert f"bikecollect runs show city 2026-11-22T{time}:40+08:00\n" in steps


def test_a_zone_that_fits_again_leaves_old_rows_to_be_read_anew() -> None:
    """The mail does not repeat how to correct the settings."""
    zone = ZoneInfo("Asia/Taipei")
    facts = MessageFacts("city", zone, zone, INTERVAL, Slot(BEGIN), "/srv/city")
    incident = Incident("zone-1", "zone", Slot(BEGIN), Slot(BEGIN))
    words = {
        what: body([(Event(what, incident), facts)]).split("\n\n", 2)[2]
        for what in (EventType.OPENED, EventType.RECOVERED)
    }

    assert "then correct timezone in [systems.city]" in words[EventType.OPENED]
    assert "correct timezone in" not in words[EventType.RECOVERED]
    move, fill = "mv /srv/city/station_status/2026-11-22*.csv", "backfill city"
    assert move in words[EventType.RECOVERED]
    assert fill in words[EventType.RECOVERED]


def test_ids_are_stable_and_name_the_first_slot() -> None:
    """Two reports of one incident have the same id (fault 105)."""
    names = {event.incident.incident_id for _, event in play([True] * 20)}
    assert names == {f"fetch-{BEGIN}"}


def test_a_slot_that_a_later_run_collects_is_taken_back_once() -> None:
    """The latest bad slot only; one that was moved by a wrong clock is another."""
    (_, event), *_ = play([True])
    slot = Slot(BEGIN + INTERVAL)
    (incident,), _ = step([event.incident], slot, {"fetch": BAD}, GRID)

    assert incident.lost == 2
    assert incident.filled(Slot(BEGIN)) == incident
    assert incident.filled(slot).filled(slot).lost == 1
    assert incident.until(Slot(BEGIN)).filled(Slot(BEGIN)).lost == 2
    (again,), _ = step([incident.filled(slot)], slot, {"fetch": BAD}, GRID)
    assert again.filled(slot).lost == 1


def test_a_clock_that_differs_from_the_servers_is_an_incident_until_it_is_set() -> None:
    """Minutes are enough; the stamps of such a slot prove no time zone."""
    begun = Run("0000000a", "a", Slot(BEGIN), float(BEGIN))
    run = begun.ended(Outcome.COLLECTED)
    off = replace(run, result=run.result._replace(flags=("clock",)))

    observed = of_run(off, None)

    assert observed["clock"] == Signal("clock", CLOCK)
    assert "zone" not in observed
    assert of_run(run, None).get("clock", "unobserved") is None


def test_missed_slots_end_before_that_of_a_killed_run_whose_payload_waits() -> None:
    """It is not lost; that of a killed run without a payload is."""
    missed = Signal("host-off", "2 x off", lost=2, over=True, until=Slot(BEGIN - 300))
    run = Run("0000000a", "a", Slot(BEGIN), float(BEGIN)).ended(Outcome.KILLED)
    waiting = of_run(replace(run, accepted=True), missed)["missed"]
    lost = of_run(run, missed)["missed"]

    assert waiting is not None
    assert lost is not None
    assert (waiting.lost, waiting.until) == (2, BEGIN - 300)
    assert (lost.lost, lost.until) == (3, BEGIN)
