"""Mails about problems that `fetch` cannot report itself: that it does not run."""

import os
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence

from bikecollect import __version__
from bikecollect.alerts.mail.late_problems import (
    is_recent,
    keys,
    read,
    still_known,
    write,
)
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, stamp
from bikecollect.core.text import shortened, visible
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import spare_outbox_path
from bikecollect.wiring import alerting

OTHER = "other"
IN_PLACE = re.compile(r" in /[^,:]*(,.*)?$", re.DOTALL)
"""The end of a problem that says where it is."""
SUBJECT = 80
"""Maximum letters of a problem in a subject."""
NEXT_STEPS = {
    "run": "bikecollect schedule show",
    "damage": "bikecollect verify {systems}   # what is lost, and what to do",
    "mirror": "bikecollect push {systems}",
}
TO_DO = "To do: correct this, by the next steps below"
DOCTOR = "bikecollect doctor"
"""The next step for every problem, and those for some kinds of problems before it."""


def mail_problems(
    settings: Settings,
    problems: Mapping[str, Mapping[str, str]],
    times: Times,
    *,
    judged: Collection[str],
) -> bool:
    """Mail *problems* (by system, texts by kind); return if people were informed.

    A problem of the same kind is mailed once a day, so is each damage. One that a
    system of *judged* has no more is over, and mailed again if it comes again; for a
    disk that hangs see `still_known`. A mail that cannot be sent waits in the outbox
    for the next run of `fetch` or of this command. If that is because the password is
    missing, people are not informed.
    """
    from bikecollect.alerts.mail.outbox import Outbox  # needed with mails only
    from bikecollect.alerts.messages import Letter

    mailer = alerting.required_mailer(settings, times)
    now = times.clock()
    path = alerting.late_mails_path(settings)
    current = {
        key
        for name, kinds in problems.items()
        for kind, text in kinds.items()
        for key in keys(name, kind, text)
    }
    mailed = still_known(read(path), current, judged, now)
    new = {key for key in current if not is_recent(mailed, key, now)}
    # Not in the data folder, which may be unusable.
    first = next(iter(settings.systems), OTHER)
    outbox = Outbox(spare_outbox_path(first, str(settings.data / first)))
    is_safe = True
    if new:
        name = f"{stamp(Slot(int(now)))}.late.{first}"
        found = [(name, visible(text)) for name, text in _found(problems, new)]
        lines = [f"{name}: {text}" for name, text in found]
        sender = f"bikecollect {__version__} on {os.uname().nodename}"
        steps = [f"  {step}" for step in _next_steps(problems, new)]
        parts = [TO_DO, "", *lines, "", "Next steps:", *steps, "", "-- ", sender, ""]
        text = "\n".join(parts)
        letter = Letter(name, _subject(found), alerting.wording(settings)(text))
        is_safe = mailer.spool(outbox, letter)
        mailed |= dict.fromkeys(new, now) if is_safe else {}
    write(path, mailed)
    if outbox.waiting():
        mailer.drain([outbox])
    return is_safe and not settings.mail_error


def _found(
    problems: Mapping[str, Mapping[str, str]], new: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the system and the text of each problem whose kind has *new* ones."""
    for name, kinds in problems.items():
        for kind, text in kinds.items():
            if not new.isdisjoint(keys(name, kind, text)):
                yield from ((name or "bikecollect", line) for line in text.split("\n"))


def _next_steps(
    problems: Mapping[str, Mapping[str, str]], new: set[str]
) -> Iterator[str]:
    """Yield the commands that help with the *new* ones of *problems*."""
    for kind, step in NEXT_STEPS.items():
        kinds = {n: k[kind] for n, k in problems.items() if kind in k}
        systems = [n for n, t in kinds.items() if not new.isdisjoint(keys(n, kind, t))]
        if systems:
            yield step.format(systems=" ".join(systems))
    yield DOCTOR


def _subject(found: Sequence[tuple[str, str]]) -> str:
    """Return the subject: the first problem that was *found*, without its remedy."""
    name, text = found[0]
    systems = len({name for name, _ in found}) - 1
    others = sum(name == found[0][0] for name, _ in found) - 1
    more = f" and {systems} more" if systems else ""
    rest = f", and {others} more" if others else ""
    what = _beginning(text.partition("; ")[0])
    return f"[bikecollect] {name}{more}: {what}{rest}"


def _beginning(text: str) -> str:
    """Return the beginning of *text*, without the paths of folders at its end.

    A word that is too long is cut in its middle.
    """
    if len(text) > SUBJECT:
        text = IN_PLACE.sub("", text)
    begin = textwrap.shorten(text, SUBJECT, placeholder="")
    if begin == text:
        return text
    return f"{begin.rstrip(' ,:')} ..." if begin else shortened(text, SUBJECT)
