"""What messages recommend, by the kind or the variant of an incident."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from bikecollect.core.incidents import EARLIER, ELSEWHERE, RUNS_LOST, Event, EventType
from bikecollect.core.slots import HOUR, MINUTE, iso
from bikecollect.core.text import count_of, visible

if TYPE_CHECKING:
    from bikecollect.alerts.messages import MessageFacts

DOCTOR = "bikecollect doctor {system}"
TRY = "bikecollect feeds try {system}"
SHOW = "bikecollect runs show {system} {slot}"
REPAIRED = "bikecollect verify {system}   # to be sure"
FROM_MIRROR = "bikecollect backfill {system} --from {mirror}   # if that is lost, too"
"""A step that is left out without a mirror."""
SHOWN = 3
"""Systems whose commands a mail has."""
NEXT_STEPS = {
    "fetch": (DOCTOR, SHOW),
    "payload": (
        TRY,
        "bikecollect backfill {system}   # after an upgrade or new settings",
    ),
    "no-stations": (
        f"{TRY}   # does it list stations now?",
        "# if it is closed: move [systems.{system}] to a second settings file, then",
        "echo stopped >> {folder}/.bikecollect   # until it opens",
    ),
    "not-json": (TRY, SHOW),
    "drift": (TRY, SHOW),
    "zone": (
        f"{TRY}   # names a time zone that fits",
        "then correct timezone in [systems.{system}] of the settings",
    ),
    "disk": ("df -h {data_dir}", DOCTOR),
    "folder": (
        "grep system: {folder}/.bikecollect   # whose data it has",
        "mv {folder} ELSEWHERE && mv ITS_OWN_FOLDER {folder}",
    ),
    "lost": (
        "df -h {folder}   # is a disk not mounted?",
        "mv {folder} {folder}.new && mv THE_EARLIER_ONE {folder}   # from a backup",
        "bikecollect backfill {system} --from {folder}.new",
        FROM_MIRROR,
        f"bikecollect forget {{system}} {EARLIER}   # or accept the loss",
    ),
    ELSEWHERE: ("bikecollect doctor {system}   # names both folders, and what to do",),
    "space": ("df -h {folder}", "df -i {folder}", "du -sh {folder}/*"),
    "ledger": (DOCTOR, SHOW),
    RUNS_LOST: (
        "bikecollect backfill {system} --from {mirror}   # or a copy of the folder",
        "bikecollect compact {system}   # records archived days, as each night",
        REPAIRED,
    ),
    "damage": (
        "bikecollect verify {system}   # what is damaged, and what to do",
        "bikecollect verify --repair {system}",
    ),
    "archive-lost": (
        "df -h {data_dir}/archive   # is a disk not mounted? if not:",
        "mkdir -p {data_dir}/archive && touch {data_dir}/archive/.bikecollect",
        "bikecollect backfill {system} --from {mirror}   # or copy them from a backup",
        "bikecollect verify {system}   # what is still lost, and what to do",
    ),
    "archived-missing": ("bikecollect compact {system}   # as each night", REPAIRED),
    "denied": (f"{DOCTOR}   # names it, and the command", "ls -la {folder}"),
    "file-missing": (
        "bikecollect backfill {system}   # fills what has kept payloads",
        "bikecollect verify {system}   # what is still missing, and what to do",
    ),
    "file-repaired": (REPAIRED,),
    "list-repaired": (REPAIRED,),
    "obstacle": (f"{DOCTOR}   # names it, and the command", "ls -la {folder}"),
    "older-copy": (
        "bikecollect backfill {system}   # fills the slots since the copy",
        "bikecollect verify {system}",
    ),
    "older-folder": (
        "bikecollect backfill {system}   # fills what kept payloads have",
        "bikecollect backfill {system} --from THE_NEWER_ONE   # the folder before it",
        FROM_MIRROR,
        f"bikecollect forget {{system}} {EARLIER}   # or accept the loss",
    ),
    "clock": ("timedatectl status", "bikecollect doctor"),
    "lock": ("fuser -v {folder}/lock", SHOW),
    "settings": ("bikecollect doctor",),
    "mail": ("bikecollect doctor --send",),
    "overload": ("bikecollect status", SHOW),
    "missed": ("bikecollect schedule show", "bikecollect runs {system} --since 24h"),
    "stale": (TRY,),
    "thin": (TRY, SHOW),
    "partial": (SHOW, TRY),
    "archive": ("bikecollect compact {system}", "bikecollect verify {system}"),
    "mirror": ("bikecollect push {system}", "bikecollect doctor"),
    "bug": (SHOW,),
}
REPORT = "bikecollect backfill-report {system} --since {day}"
AFTERWARDS = {
    "fetch": (REPORT, SHOW),
    "payload": (
        "bikecollect backfill {system}   # fills slots, if it understands them now",
        REPORT,
    ),
    "no-stations": (REPORT, SHOW),
    "not-json": (REPORT, SHOW),
    "archive-lost": ("bikecollect verify {system}",),
    "folder": ("bikecollect verify {system}", REPORT),
    "disk": (REPORT,),
    "lost": ("bikecollect verify {system}", REPORT),
    "ledger": (REPORT, SHOW),
    "lock": (REPORT, SHOW),
    "settings": ("bikecollect backfill-report --since {day}",),
    "overload": (REPORT,),
    "bug": (REPORT, SHOW),
    "zone": (
        "# If you corrected timezone: rows until then have a wrong last_reported, and",
        "# days begin by the old zone until midnight. To read a day anew from its kept",
        "# payloads, if it is not archived (between two runs; so each day after it):",
        "mv {folder}/station_status/{day}*.csv /var/tmp/",
        "bikecollect backfill {system}",
        "bikecollect verify {system}",
    ),
}
"""What is left to do when an incident is over, where that differs."""
NOTHING = "nothing"
"""The beginning of what is to do if nobody has to act."""
TO_DO = {
    "fetch": "find out why the feed cannot be fetched",
    "credentials": "correct the credentials, or ask the publisher for access",
    "payload": "find out if new settings or an upgrade help; the payloads are kept",
    "no-stations": "find out if the system is closed; if so, stop collecting it",
    "not-json": f"{NOTHING}, if it passes; else find out what the address answers with",
    "drift": "check whether the new values are right",
    "zone": "correct timezone in the settings",
    "disk": "make the disk usable again",
    "folder": "put the right folder in its place",
    "lost": "put the earlier folder in its place, or accept the loss",
    ELSEWHERE: "see whether data_dir is right: the earlier data are in another folder",
    "space": "make room on the disk",
    "ledger": "find out why the ledger cannot be used",
    RUNS_LOST: "get the earlier runs from a mirror or backup, if there is one",
    "damage": "find out what is damaged, and restore it",
    "archive-lost": "restore the archived days",
    "archived-missing": "run compact, or wait for it: the archive has the rows",
    "denied": "allow access to the file",
    "file-missing": "fill what is missing",
    "file-repaired": f"{NOTHING}, it is repaired",
    "list-repaired": f"{NOTHING}, it is repaired",
    "obstacle": "remove what is in the way",
    "older-copy": "fill the slots since the copy",
    "older-folder": "fill the slots since the copy",
    "rate-limited": f"{NOTHING}, if it happens once; else set a longer interval",
    "clock": "set the clock of this machine",
    "lock": "find out what holds the lock",
    "settings": "correct the settings",
    "mail": "find out why the mail server does not accept mails",
    "overload": "give the call fewer systems, or more time",
    "missed": f"{NOTHING}, if this machine was off; else find out why no run began",
    "stale": f"{NOTHING} here, probably: the publisher sends old data",
    "thin": f"{NOTHING} here, probably: the publisher lists fewer stations",
    "partial": f"{NOTHING} here, probably: the publisher leaves out a part",
    "implausible": f"{NOTHING} here, probably: the publisher sends such counts",
    "archive": "find out why compact failed, or does not run",
    "mirror": "see below why push failed, and what helps",
    "bug": "report it, with this mail",
}
"""What a person has to do, in the first line of a mail."""
TO_DO_AFTERWARDS = {
    "older-folder": f"{NOTHING}, it is over",
    "lost": f"{NOTHING}, if the earlier folder itself is back; if it was filled "
    "from a copy, find out which slots that lacks: bikecollect backfill-report",
    "no-stations": f"{NOTHING}: the feed lists stations again",
    "not-json": f"{NOTHING}: what was not JSON cannot be read later, either",
    "payload": "run backfill: it fills the slots that are understood now",
    "zone": f"{NOTHING}, unless timezone was corrected: see below",
}
PASSING = frozenset({"fetch", "overload"})
"""Kinds that mostly end within an hour, by themselves..."""
STAYING = frozenset({"address", "redirect", "version"})
"""... but seldom if they have one of these causes."""
LASTING = frozenset({"damage", "drift"})
"""Kinds that need an action even after their incidents have ended."""


def to_do(event: Event, age: int) -> str:
    """Return what is to do about *event*, which is a problem for *age* seconds now.

    It begins with `NOTHING` if nobody has to act.
    """
    kind, variant = event.incident.kind, event.incident.variant
    if event.what is EventType.RECOVERED and kind == "lost" and event.incident.lost:
        slots = count_of(event.incident.lost, "slot")
        return f"{NOTHING} more, unless another copy has what is lost for good: {slots}"
    if event.what is EventType.RECOVERED and kind not in LASTING:
        over = f"{NOTHING}, it is over"
        return TO_DO_AFTERWARDS.get(variant) or TO_DO_AFTERWARDS.get(kind, over)
    if event.what is EventType.NOTED and kind == "ledger" and variant not in TO_DO:
        return f"{NOTHING}, it is repaired"
    if kind == "missed" and {*event.incident.causes} == {"settings"}:
        return f"{NOTHING}: the settings were wrong, and are right again"
    is_passing = kind in PASSING and not STAYING.intersection(event.incident.causes)
    if is_passing and age < HOUR and variant not in TO_DO:
        return f"{NOTHING} yet: the next slot is tried as usual"
    return TO_DO.get(variant) or TO_DO[kind]


def first_line(
    events: Sequence[tuple[Event, str]], age: int
) -> tuple[str, Sequence[Sequence[int]]]:
    """Return what is to do about *events*, each with its system, in one line.

    Also returns the places of the events for each of it. Events that need nothing are
    left out, if others do.
    """
    actions = [to_do(event, age) for event, _ in events]
    needed = [a for a in actions if not a.startswith(NOTHING)] or actions
    systems: dict[str, list[str]] = {action: [] for action in needed}
    for (_, system), action in zip(events, actions, strict=True):
        systems.get(action, []).append(system)
    places = [[n for n, other in enumerate(actions) if other == a] for a in systems]
    if len(set(actions)) == 1:
        return actions[0], places
    return "; ".join(f"{a} ({_some(names)})" for a, names in systems.items()), places


def next_steps(
    groups: Sequence[Sequence[tuple[Event, "MessageFacts"]]], *, needed: bool
) -> str:
    """Return the commands about *groups* of events, under a heading.

    The events of a group need the same; its commands are shown for the first systems,
    for one of the first group only, unless they are *needed*.
    """
    lines = ["Next steps:" if needed else "To know more:"]
    for group in groups if needed else groups[:1]:
        shown = group[: SHOWN if needed else 1]
        names = ", ".join(facts.system_id for _, facts in shown)
        if left := len(group) - len(shown):
            others = "the others" if len(groups) == 1 else f"{left} more"
            lines.append(f"# for {names}; the same for {others}")
        elif len(groups) > 1:
            lines.append(f"# for {names}")
        lines += dict.fromkeys(line for event in shown for line in _steps(*event))
    return "\n  ".join(lines)


def _steps(event: Event, facts: "MessageFacts") -> Iterator[str]:
    incident, variant = event.incident, event.incident.variant
    steps = NEXT_STEPS.get(variant) or NEXT_STEPS[incident.kind]
    if event.what is EventType.RECOVERED:
        steps = AFTERWARDS.get(variant) or AFTERWARDS.get(incident.kind, steps)
    # With the offset: in the zone of the times above, and right for all systems.
    slot = iso(incident.last, facts.reader_zone)
    if not incident.last % MINUTE:
        slot = slot[:16] + slot[19:]
    values = {
        "slot": slot,
        "system": facts.system_id,
        "folder": shlex.quote(visible(facts.folder)),
        "day": iso(incident.opened, facts.zone)[:10],
        "data_dir": shlex.quote(visible(str(PurePath(facts.folder).parent))),
        "mirror": shlex.quote(visible(facts.mirror)) if facts.mirror else "MIRROR",
    }
    for step in steps:
        if facts.mirror or step != FROM_MIRROR:
            yield step.format(**values)


def _some(names: Sequence[str]) -> str:
    """Return the first of *names*, and how many follow.

    >>> _some(["taipei", "york", "lyon"]), _some(["taipei"])
    ('taipei and 2 more', 'taipei')
    """
    first, *others = names
    return f"{first} and {len(others)} more" if others else first
