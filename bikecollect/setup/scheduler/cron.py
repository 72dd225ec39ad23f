"""Cron: its line, our block in a crontab, when it fires, and the user's own."""

import os
import shlex
import subprocess
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum

from bikecollect.core.errors import NotInstalled, SettingsError, StorageError

BEGIN = "# >>> bikecollect >>>"
OPEN, CLOSE = "# >>> bikecollect ", " >>>"
"""The same around the path of the settings that the lines are for."""
END = "# <<< bikecollect <<<"
NOTE = "# Written by `bikecollect schedule install`, which rewrites these lines."
LONGEST = 998
"""Characters of a command that cron takes; a longer one it cuts in silence."""
HOUR = 60
Local = Callable[[float], datetime]

PATIENCE = 30.0
NO_CRONTAB = ("no crontab for", "no such file or directory")
"""How the programs in use say that there is none yet: Debian, cronie; busybox."""


class CronState(Enum):
    """Whether what should be installed is."""

    THERE = "there"
    DIFFERS = "differs"
    ABSENT = "absent"


def expression(interval: int) -> str:
    """Return cron's five fields for a run every *interval* seconds.

    Raises SettingsError where one line of cron cannot say that.

    >>> expression(300), expression(60), expression(3600), expression(21_600)
    ('*/5 * * * *', '* * * * *', '0 * * * *', '0 */6 * * *')
    """
    minutes, rest = divmod(interval, 60)
    hours, odd = divmod(minutes, HOUR)
    if minutes and not rest and HOUR % minutes == 0:
        fields = {1: "*", HOUR: "0"}.get(minutes, f"*/{minutes}")
        return f"{fields} * * * *"
    if not rest and hours and not odd:
        return f"0 {'0' if hours == 24 else f'*/{hours}'} * * *"  # noqa: PLR2004 - a day
    raise SettingsError(
        f"cron cannot run a command every {interval} s: use a timer of systemd "
        "(bikecollect schedule install --systemd), or an interval of whole minutes "
        'that divides an hour, such as "5min"'
    )


def line(fields: str, command: Sequence[str]) -> str:
    r"""Return the crontab line that runs *command* when *fields* say.

    Arguments are quoted for the shell; cron reads a bare percent sign as the end
    of the line, so each is written ``\%``.

    >>> line("*/5 * * * *", ["/opt/50% off/bikecollect", "fetch"])
    "*/5 * * * * '/opt/50\\% off/bikecollect' fetch"
    """
    text = shlex.join(command)
    if "\n" in text or "\r" in text:
        raise SettingsError(f"a crontab line cannot hold the line break in {text!r}")
    text = text.replace("%", "\\%")
    if len(text) > LONGEST:
        raise SettingsError(
            f"the command has {len(text)} characters and cron takes {LONGEST}: "
            "use shorter paths"
        )
    return f"{fields} {text}"


def block(lines: Sequence[str], settings: str = "") -> str:
    """Return our block of a crontab, with *lines* between its marks.

    The first mark has the path of the *settings* that it is for, empty for none.
    """
    begin = f"{OPEN}{settings}{CLOSE}" if settings else BEGIN
    return "".join(f"{each}\n" for each in (begin, NOTE, *lines, END))


def merged(crontab: bytes, ours: str, names: Collection[str] = ("",)) -> bytes:
    """Return *crontab* with the block of our settings being *ours*.

    Where it has one, that is replaced in its place, else *ours* comes last. *names*
    are the paths that our settings go by; blocks for others stay, as all else.
    Raises SettingsError where a mark stands alone.
    """
    places = _places(crontab, names)
    kept = _without(crontab, places)
    if places:
        start = places[0][0]
        return kept[:start] + ours.encode() + kept[start:]
    gap = b"\n" if kept and not kept.endswith(b"\n") else b""
    return kept + gap + ours.encode()


def without(crontab: bytes, names: Collection[str] = ("",)) -> bytes:
    """Return *crontab* without the block of our settings; raises as `merged` does."""
    return _without(crontab, _places(crontab, names))


def state(crontab: bytes, ours: str, names: Collection[str] = ("",)) -> CronState:
    """Return whether *crontab* has a block of our settings, and whether as *ours*."""
    places = _places(crontab, names)
    if not places:
        return CronState.ABSENT
    found = [crontab[start:end] for start, end in places]
    return CronState.THERE if found == [ours.encode()] else CronState.DIFFERS


def others(crontab: bytes, names: Collection[str] = ("",)) -> list[str]:
    """Return the settings of our blocks in *crontab* that are for other ones."""
    found = [_settings_of(crontab[start:end]) for start, end in _blocks(crontab)]
    return [each for each in found if each not in names]


def fires(fields: str, now: float, local: Local, number: int = 3) -> list[datetime]:
    """Return the next *number* moments after *now* at which *fields* fire.

    cron goes by the wall clock, which *local* tells for an epoch second. Knows
    what `expression` writes.
    """
    minute, hour, *_ = fields.split()
    found: list[datetime] = []
    moment = (int(now) // 60 + 1) * 60
    while len(found) < number:
        here = local(moment)
        if _meets(minute, here.minute) and _meets(hour, here.hour):
            found.append(here)
        moment += 60
    return found


def _meets(field: str, value: int) -> bool:
    if field == "*":
        return True
    if field.startswith("*/"):
        return value % int(field[2:]) == 0
    return value == int(field)


def _places(crontab: bytes, names: Collection[str]) -> list[tuple[int, int]]:
    """Return where the blocks of the settings called *names* begin and end."""
    return [
        (start, end)
        for start, end in _blocks(crontab)
        if _settings_of(crontab[start:end]) in names
    ]


def _settings_of(block: bytes) -> str:
    """Return the path of the settings that a *block* of ours is for, empty for none.

    An older one has no path in its mark: it is that of its command.
    """
    mark, *lines = os.fsdecode(block).splitlines()
    if mark.strip() != BEGIN:
        return mark.strip().removeprefix(OPEN).removesuffix(CLOSE)
    for each in lines:
        with suppress(ValueError):
            words = shlex.split(each.replace("\\%", "%"), comments=True)
            if "--config" in words[:-1]:
                return words[words.index("--config") + 1]
    return ""


def _blocks(crontab: bytes) -> list[tuple[int, int]]:
    """Return where our blocks begin and end, in bytes."""
    places: list[tuple[int, int]] = []
    start: int | None = None
    at = 0
    for each in crontab.splitlines(keepends=True):
        mark = each.strip().decode("utf-8", "replace")
        if mark == BEGIN or (mark.startswith(OPEN) and mark.endswith(CLOSE)):
            if start is not None:
                raise _alone(BEGIN, END)
            start = at
        at += len(each)
        if mark == END:
            if start is None:
                raise _alone(END, BEGIN)
            places.append((start, at))
            start = None
    if start is not None:
        raise _alone(BEGIN, END)
    return places


def _alone(mark: str, other: str) -> SettingsError:
    return SettingsError(
        f'your crontab has the line "{mark}" without "{other}": nothing is changed; '
        "mend it with: crontab -e"
    )


def _without(crontab: bytes, places: Sequence[tuple[int, int]]) -> bytes:
    for start, end in reversed(places):
        crontab = crontab[:start] + crontab[end:]
    return crontab


def read_crontab() -> bytes:
    """Return the crontab of the user who asks, empty where there is none."""
    done = _crontab(["-l"])
    if done.returncode == 0:
        return done.stdout
    said = _said(done)
    if any(each in said.lower() for each in NO_CRONTAB):
        return b""
    raise StorageError(f"cannot read your crontab: {said or done.returncode}")


def write_crontab(text: bytes) -> None:
    """Replace the crontab of the user by *text*; none is left where it is empty.

    What was written is read again: raises StorageError where it is not there.
    """
    done = _crontab(["-"], text) if text else _crontab(["-r"])
    if done.returncode != 0:
        why = _said(done) or str(done.returncode)
        raise StorageError(f"your crontab was not changed: {why}")
    if read_crontab() != text:
        raise StorageError(
            "the crontab that was written is not the one that is there; look at it "
            "with: crontab -l"
        )


def _crontab(
    arguments: list[str], text: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - fixed words, no shell
            ["crontab", *arguments],  # noqa: S607 - found where the user has it
            input=text,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise NotInstalled(
            "there is no program crontab; install cron (apt-get install cron), or use "
            "a timer of systemd: bikecollect schedule install --systemd"
        ) from error
    except OSError as error:
        raise NotInstalled(f"cannot run crontab: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"crontab did not end in {PATIENCE:.0f} s") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = done.stderr.decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else ""
