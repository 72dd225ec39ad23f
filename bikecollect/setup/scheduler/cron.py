"""Cron: our block in the user's crontab, its lines and their next fire times."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum
from typing import IO

from bikecollect.core.errors import NotInstalled, SettingsError, StorageError
from bikecollect.setup.program import settings_in

BEGIN = "# >>> bikecollect >>>"
OPEN, CLOSE = "# >>> bikecollect ", " >>>"
"""The parts of the begin mark before and after the settings path."""
END = "# <<< bikecollect <<<"
NOTE = "# Written by `bikecollect schedule install`, which rewrites these lines."
MAX_COMMAND = 998
"""Maximum characters of a command; cron silently truncates longer ones."""
HOUR = 60
OURS = b"bikecollect"
"""In each command that we write."""
Local = Callable[[float], datetime]

TIMEOUT = 30.0
NO_CRONTAB_MESSAGES = ("no crontab for", "no such file or directory")
"""Messages for a missing crontab: of Debian and cronie, of busybox."""


class CronState(Enum):
    """Whether the expected block is installed, outdated or absent."""

    CURRENT = "there"
    OUTDATED = "differs"
    ABSENT = "absent"


def expression(interval: int) -> str:
    """Return cron's five fields for a run every *interval* seconds.

    Raises SettingsError if a single cron line cannot express it.

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
        f"cron cannot run a command every {interval} s; use a systemd timer "
        "(bikecollect schedule install --systemd), or an interval of whole minutes "
        'that divides an hour, such as "5min"'
    )


def line(fields: str, command: Sequence[str]) -> str:
    r"""Return the crontab line that runs *command* at the times of *fields*.

    Arguments are quoted for the shell; percent signs are escaped as ``\%`` because
    cron treats a bare one as the end of the line.

    >>> line("*/5 * * * *", ["/opt/50% off/bikecollect", "fetch"])
    "*/5 * * * * '/opt/50\\% off/bikecollect' fetch"
    """
    text = shlex.join(command)
    if "\n" in text or "\r" in text:
        raise SettingsError(f"a crontab line cannot contain a line break: {text!r}")
    text = text.replace("%", "\\%")
    if len(text) > MAX_COMMAND:
        raise SettingsError(
            f"the command has {len(text)} characters, more than the {MAX_COMMAND} "
            "that cron accepts: use shorter paths"
        )
    return f"{fields} {text}"


def block(lines: Sequence[str], settings: str = "") -> str:
    """Return our block of a crontab, *lines* between the begin and end marks.

    The begin mark names the *settings* path; it is plain when that is empty.
    """
    begin = f"{OPEN}{settings}{CLOSE}" if settings else BEGIN
    return "".join(f"{row}\n" for row in (begin, NOTE, *lines, END))


def merged(crontab: bytes, ours: str, names: Collection[str] = ("",)) -> bytes:
    """Return *crontab* with the block of our settings set to *ours*.

    An existing block is replaced in place; otherwise *ours* is appended. *names* are
    the paths that identify our settings; all other lines and blocks are unchanged, and
    a user's lines in the block are put before it.
    Raises SettingsError for a begin or end mark without its counterpart.
    """
    places = _places(crontab, names)
    kept = _without(crontab, places)
    if places:
        start, end = places[0]
        start += len(_foreign(crontab[start:end]))
        return kept[:start] + os.fsencode(ours) + kept[start:]
    gap = b"\n" if kept and not kept.endswith(b"\n") else b""
    return kept + gap + os.fsencode(ours)


def without(crontab: bytes, names: Collection[str] = ("",)) -> bytes:
    """Return *crontab* without the block of our settings; raises like `merged`.

    A user's lines in it stay.
    """
    return _without(crontab, _places(crontab, names))


def state(crontab: bytes, ours: str, names: Collection[str] = ("",)) -> CronState:
    """Return whether *crontab* has the block *ours*, an outdated one, or none.

    A block that lacks some of our commands is current: a user may remove any except
    the first. Comments are ignored.
    """
    blocks = own_blocks(crontab, names)
    if not blocks:
        return CronState.ABSENT
    mark, *ours_lines = ours.splitlines()
    begin, *lines = blocks[0].split("\n")  # cron passes on a CR: it is no line end
    commands, known = _commands(lines), _commands(ours_lines)
    is_current = (
        len(blocks) == 1
        and begin == mark
        and commands[:1] == known[:1]
        and set(commands) <= set(known)
    )
    return CronState.CURRENT if is_current else CronState.OUTDATED


def own_blocks(crontab: bytes, names: Collection[str] = ("",)) -> list[str]:
    """Return the texts of our blocks in *crontab* for the settings paths *names*."""
    return [os.fsdecode(crontab[a:b]) for a, b in _places(crontab, names)]


def mails_output(crontab: bytes) -> bool:
    """Return whether *crontab* names a recipient for the output of its commands.

    >>> mails_output(b'MAILTO=me@example.org'), mails_output(b'MAILTO=""')
    (True, False)
    """
    recipient = b""
    for row in crontab.splitlines():
        name, equals, value = row.partition(b"=")
        if equals and name.strip() == b"MAILTO":
            recipient = value.strip().strip(b"\"'")
    return bool(recipient)


def _commands(lines: Sequence[str]) -> list[str]:
    return [row for row in lines if row.strip() and not row.startswith("#")]


def other_settings(crontab: bytes, names: Collection[str] = ("",)) -> list[str]:
    """Return the settings paths of our blocks in *crontab* that are not in *names*."""
    paths = [_settings_of(crontab[start:end]) for start, end in _blocks(crontab)]
    return [path for path in paths if path not in names]


def next_fires(
    fields: str, now: float, local: Local, number: int = 3
) -> list[datetime]:
    """Return the next *number* times after *now* at which *fields* fire.

    cron uses local time; *local* converts an epoch second to it. Supports only the
    fields that `expression` writes.
    """
    minute, hour, *_ = fields.split()
    times: list[datetime] = []
    moment = (int(now) // 60 + 1) * 60
    while len(times) < number:
        local_time = local(moment)
        if _matches(minute, local_time.minute) and _matches(hour, local_time.hour):
            times.append(local_time)
        moment += 60
    return times


def _matches(field: str, value: int) -> bool:
    if field == "*":
        return True
    if field.startswith("*/"):
        return value % int(field[2:]) == 0
    return value == int(field)


def _places(crontab: bytes, names: Collection[str]) -> list[tuple[int, int]]:
    """Return the byte ranges of the blocks for the settings paths *names*."""
    return [
        (start, end)
        for start, end in _blocks(crontab)
        if _settings_of(crontab[start:end]) in names
    ]


def _settings_of(block: bytes) -> str:
    """Return the settings path of our *block*, empty if it has none.

    Blocks of older versions have no path in their mark; it is read from the command.
    """
    mark, *lines = os.fsdecode(block).splitlines()
    if mark.strip() != BEGIN:
        return mark.strip().removeprefix(OPEN).removesuffix(CLOSE)
    paths = (settings_in(words_of(row)) for row in lines)
    return next(filter(None, paths), "")


def words_of(row: str) -> list[str]:
    """Return the words of a *row* of a crontab, none if it has an open quote."""
    with suppress(ValueError):
        return shlex.split(row.replace("\\%", "%"), comments=True)
    return []


def _blocks(crontab: bytes) -> list[tuple[int, int]]:
    """Return the byte ranges of our blocks."""
    places: list[tuple[int, int]] = []
    start: int | None = None
    at = 0
    for row in crontab.splitlines(keepends=True):
        mark = row.strip().decode("utf-8", "replace")
        if mark == BEGIN or (mark.startswith(OPEN) and mark.endswith(CLOSE)):
            if start is not None:
                raise _unpaired_mark(BEGIN, END)
            start = at
        at += len(row)
        if mark == END:
            if start is None:
                raise _unpaired_mark(END, BEGIN)
            places.append((start, at))
            start = None
    if start is not None:
        raise _unpaired_mark(BEGIN, END)
    return places


def _unpaired_mark(mark: str, other: str) -> SettingsError:
    return SettingsError(
        f'your crontab has the line "{mark}" without "{other}": nothing was changed; '
        "correct it with: crontab -e"
    )


def _without(crontab: bytes, places: Sequence[tuple[int, int]]) -> bytes:
    for start, end in reversed(places):
        crontab = crontab[:start] + _foreign(crontab[start:end]) + crontab[end:]
    return crontab


def _foreign(block: bytes) -> bytes:
    r"""Return the lines of *block* that a user has put there: commands and variables.

    >>> _foreign(b"# >>> bikecollect >>>\n0 1 * * * backup\n# <<< bikecollect <<<\n")
    b'0 1 * * * backup\n'
    """
    rows = block.splitlines(keepends=True)
    return b"".join(
        row
        for row in rows
        if row.strip() and not row.lstrip().startswith(b"#") and OURS not in row
    )


def read_crontab() -> bytes:
    """Return the crontab of the current user, empty if there is none."""
    process = _crontab(["-l"])
    if process.returncode == 0:
        return process.stdout
    lines = _error_lines(process)
    # Only the last line: a warning above it may be about another missing file.
    if any(text in lines[-1].lower() for text in NO_CRONTAB_MESSAGES):
        return b""
    raise StorageError(f"cannot read your crontab: {', '.join(lines)}")


def write_crontab(text: bytes) -> None:
    """Replace the user's crontab by *text*; an empty *text* removes it.

    The crontab is read back: raises StorageError if it differs from *text*.
    """
    process = _install(text) if text else _crontab(["-r"])
    if process.returncode != 0:
        why = ", ".join(_error_lines(process))
        raise StorageError(f"your crontab was not changed: {why}")
    if read_crontab() != text:
        raise StorageError(
            "the crontab differs from what was written; inspect it with: crontab -l"
        )


def _install(text: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run `crontab -` on *text* in a file.

    From a pipe it would install what it has read so far, or nothing, if we are killed.
    """
    try:
        with tempfile.TemporaryFile() as file:
            file.write(text)
            file.seek(0)
            return _crontab(["-"], file)
    except OSError as error:
        raise StorageError(
            f"your crontab was not changed: cannot write a temporary file: "
            f"{error.strerror}; free some space, or set TMPDIR to a writable folder"
        ) from error


def _crontab(
    arguments: list[str], stdin: IO[bytes] | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - fixed words, no shell
            ["crontab", *arguments],  # noqa: S607 - found where the user has it
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise NotInstalled(
            "program `crontab` not found; install cron (apt-get install cron), or use "
            "a systemd timer: bikecollect schedule install --systemd"
        ) from error
    except OSError as error:
        raise NotInstalled(f"cannot run crontab: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"crontab timed out after {TIMEOUT:.0f} s") from error


def _error_lines(process: subprocess.CompletedProcess[bytes]) -> list[str]:
    """Return the messages of `crontab`, else its exit code; any line may say why."""
    lines = process.stderr.decode("utf-8", "replace").splitlines()
    code = f"exit code {process.returncode}"
    return [line.strip() for line in lines if line.strip()] or [code]
