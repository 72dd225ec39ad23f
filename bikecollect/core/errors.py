"""Errors, the outcomes of runs, and exit codes.

::

    BikecollectError
    ├── UsageError               64  the command line is wrong
    ├── SettingsError            78  settings, a missing mount, a newer ledger
    │   └── UntrustedFile        78  a file or folder that other users may change
    ├── FeedError                69  the feed gave no payload
    │   ├── FeedUnavailable      69  network, HTTP errors, deadlines
    │   ├── RateLimited          75  429 with a long Retry-After
    │   ├── Overload             75  the call had no time left for the system
    │   ├── ProtocolError        76  TLS, redirects, addresses
    │   └── CredentialsError     77  401, 403
    ├── PayloadError             65  the payload cannot be understood
    ├── NotInstalled             69  a required program or extra is not installed
    ├── StorageError             74  disk or ledger
    │   └── MirrorError          74  the copy in the object store
    │       ├── MirrorUnavailable 69  network, server errors
    │       └── MirrorDenied     77  401, 403, no credentials
    ├── LockBusy                 75  another run holds the system's lock
    └── Interrupted         130/143  the run was ended by a signal
"""

import os
import re
import resource
import signal
from contextlib import suppress
from enum import Enum, IntEnum
from pathlib import Path
from typing import Self

from bikecollect.core.text import PATH, message, to_run

FEW_FILES = 64
"""With a lower limit of open files SQLite and DuckDB fail without naming the cause."""
NOT_OPENED = ("unable to open database file", "Cannot open file")
HINT = "too many open files"
FEW_INODES = 16
"""With fewer free inodes a disk counts as full."""
FULL, FEW_BYTES = "disk I/O error", 65_536
"""SQLite's error if it lacks 32 KiB beside a ledger, even to read; free bytes then."""
NO_FILE = ("No space left on device", "unable to open database file")
"""Errors when a file cannot be created: SQLite needs one even to read a ledger."""
NO_SERVER = re.compile("Transport endpoint is not connected|Stale file handle")
OTHER = re.compile("umount|(?<!file)://")
"""Errors of a disk whose server is gone (FUSE, NFS), unless of a connection."""
ERRNO = re.compile(r"\[Errno \d+\] (?:([^'\[]+): ('([^']*)'(?: -> '[^']*')?))?")
"""What Python adds to the words of the system: a number before, files after them."""


def plain(text: str) -> str:
    """Return *text* without what Python adds to the system's words for an error.

    >>> plain("cannot write /a/x: [Errno 5] Input/output error: '/a/x.tmp'; see")
    'cannot write /a/x: Input/output error; see'
    """
    return ERRNO.sub(_words, text)


def _words(match: re.Match[str]) -> str:
    words, path = match[1] or "", (match[3] or "").removesuffix(".tmp")
    is_named = match.string.endswith(f" {path}: ", 0, match.start())
    return words if is_named or not words else f"{words}: {match[2]}"


def resource_hint(text: str) -> str:
    """Return a hint to append to the error *text*, empty if there is none.

    It names a cause that *text* does not: a limit of open files or of a file's size, a
    disk that has free space and no inodes, or none for SQLite, or whose server is gone.
    """
    if NO_SERVER.search(text) and not OTHER.search(text):
        return "; its server is gone: unmount it (umount -l), and mount it again"
    return _disk_hint(text) or _open_files_hint(text) or _size_hint(text)


def _disk_hint(text: str) -> str:
    is_known = "inodes are left" in text or "space is left" in text
    if is_known or not any(words in text for words in (*NO_FILE, FULL)):
        return ""
    for path in map(Path, PATH.findall(text)):
        with suppress(OSError):
            disk = os.statvfs(next(p for p in (path, *path.parents) if p.is_dir()))
            if FULL in text and disk.f_bavail * disk.f_frsize < FEW_BYTES:
                return "; no space is left on the disk: remove files (see df)"
            if disk.f_files and disk.f_favail < FEW_INODES and disk.f_bavail:
                return "; no inodes are left: remove small files (see df -i)"
    return ""


def _open_files_hint(text: str) -> str:
    is_named = "Too many open files" in text
    if HINT in text or not (is_named or any(word in text for word in NOT_OPENED)):
        return ""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    hint = f"; {HINT}: the limit is {limit}, raise `ulimit -n` (systemd: LimitNOFILE)"
    return hint if is_named or 0 <= limit < FEW_FILES else ""


def _size_hint(text: str) -> str:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit < 0 or "ulimit -f" in text:
        return ""
    is_near = "File too large" in text
    for path in PATH.findall(text) if FULL in text else ():
        with suppress(OSError):
            is_near |= limit < Path(path).stat().st_size + FEW_BYTES
    hint = f"; a file may have {limit} bytes: raise `ulimit -f` (systemd: LimitFSIZE)"
    return hint if is_near else ""


class ExitCode(IntEnum):
    """Exit codes of ``bikecollect``, after BSD's ``sysexits.h``."""

    OK = 0, "success (also: this slot had been collected before)"
    NO = 1, "negative result: a threshold is not met, or a check found a problem"
    USAGE = 64, "the command line is wrong"
    DATA = 65, "the payload was not understood; it is kept in payloads/rejected/"
    UNAVAILABLE = 69, "the feed or the mirror is unavailable, or an extra is missing"
    SOFTWARE = 70, "a bug: the traceback is in the log, the payload is kept"
    IO = 74, "disk or ledger"
    TEMPORARY = 75, "accepted, not yet committed; rate-limited; no time or thread left"
    PROTOCOL = 76, "TLS, a redirect, or broken HTTP"
    CREDENTIALS = 77, "the feed or the mirror denied access"
    SETTINGS = 78, "the settings or the data folder are wrong"
    SIGINT = 130, "interrupted from the keyboard"
    SIGTERM = 143, "ended by SIGTERM or SIGHUP"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Return the member *value* with its *meaning*."""
        member = int.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member


class Outcome(Enum):
    """How a run ended: the word stored in the ledger, and the exit code."""

    COLLECTED = "collected", ExitCode.OK
    DUPLICATE = "duplicate", ExitCode.OK
    DRY = "dry-run", ExitCode.OK
    REJECTED = "rejected", ExitCode.DATA
    UNAVAILABLE = "unavailable", ExitCode.UNAVAILABLE
    RATE_LIMITED = "rate-limited", ExitCode.TEMPORARY
    OVERLOAD = "overload", ExitCode.TEMPORARY
    PROTOCOL = "protocol", ExitCode.PROTOCOL
    CREDENTIALS = "credentials", ExitCode.CREDENTIALS
    DEFERRED = "deferred", ExitCode.TEMPORARY
    DISK = "disk", ExitCode.IO
    BUG = "bug", ExitCode.SOFTWARE
    SETTINGS = "settings", ExitCode.SETTINGS
    INTERRUPTED = "interrupted", ExitCode.SIGTERM
    KILLED = "killed", ExitCode.SOFTWARE

    exit_code: ExitCode

    def __new__(cls, value: str, exit_code: ExitCode) -> Self:
        """Return the member *value* with its *exit_code*."""
        member = object.__new__(cls)
        member._value_, member.exit_code = value, exit_code
        return member


class BikecollectError(Exception):
    """An error that ends a run; *cause* is a short word of a closed set.

    The text may quote untrusted input: control characters are escaped here. It becomes
    one line unless *lines* keeps its line ends.
    """

    outcome = Outcome.BUG
    cause = "bug"

    def __init__(
        self, text: str, *, cause: str | None = None, lines: bool = False
    ) -> None:
        super().__init__(message(text, lines=lines))
        self.cause = cause or self.cause

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that ends with this error."""
        return self.outcome.exit_code


class UsageError(BikecollectError):
    """The command line is wrong."""

    cause = "usage"

    @property
    def exit_code(self) -> ExitCode:
        """64, as for the errors that click reports."""
        return ExitCode.USAGE


class SettingsError(BikecollectError):
    """The settings are wrong, or the data folder does not match them."""

    outcome = Outcome.SETTINGS
    cause = "settings"


class UntrustedFile(SettingsError):
    """Other users may change a file: *problem* says how, the command *remedy* fixes it.

    *first* precedes the command in the message.
    """

    def __init__(self, problem: str, remedy: str, *, first: str = "") -> None:
        super().__init__(f"{problem}; {first}{to_run(remedy)}")
        self.problem, self.remedy = problem, remedy


class FeedError(BikecollectError):
    """The feed gave no payload; *http_status* is that of the last response, if any."""

    outcome = Outcome.UNAVAILABLE
    cause = "network"

    def __init__(
        self, text: str, *, cause: str | None = None, http_status: int | None = None
    ) -> None:
        super().__init__(text, cause=cause)
        self.http_status = http_status


class FeedUnavailable(FeedError):
    """No response, a broken response, or an HTTP error, after all retries."""


class RateLimited(FeedError):
    """No request before *not_before* (epoch seconds): *limited*, if any, was told."""

    outcome = Outcome.RATE_LIMITED
    cause = "rate-limited"

    def __init__(self, text: str, *, not_before: float, limited: str = "") -> None:
        super().__init__(text, http_status=429)
        self.not_before, self.limited = not_before, limited


class Overload(FeedError):
    """The call had no time, or this machine no thread, left to fetch this system."""

    outcome = Outcome.OVERLOAD
    cause = "overload"


class ProtocolError(FeedError):
    """TLS verification failed, the feed redirects, or an address is not allowed."""

    outcome = Outcome.PROTOCOL
    cause = "tls"


class CredentialsError(FeedError):
    """The feed answered 401 or 403."""

    outcome = Outcome.CREDENTIALS
    cause = "credentials"


class PayloadError(BikecollectError):
    """The payload cannot be understood; the message says what is wrong, and where.

    *quote* is an excerpt of the payload, appended to the text.
    """

    outcome = Outcome.REJECTED
    cause = "shape"

    def __init__(self, text: str, *, cause: str | None = None, quote: str = "") -> None:
        super().__init__(f"{text}{quote}", cause=cause)
        self._text = text

    def unquoted(self) -> "PayloadError":
        """Return this error without the excerpt of the payload."""
        return PayloadError(self._text, cause=self.cause)


class NotInstalled(BikecollectError):
    """A required program or extra is not installed; the text says how to install it."""

    outcome = Outcome.UNAVAILABLE
    cause = "not-installed"


class StorageError(BikecollectError):
    """A file or the ledger cannot be written or read."""

    outcome = Outcome.DISK
    cause = "disk"

    def __init__(self, text: str, *, cause: str | None = None) -> None:
        words = plain(text)
        super().__init__(words + resource_hint(words), cause=cause)


class MirrorError(StorageError):
    """The copy in the object store cannot be read or written."""

    cause = "mirror"


class MirrorUnavailable(MirrorError):
    """The object store cannot be reached, is full, or answers with server errors."""

    @property
    def exit_code(self) -> ExitCode:
        """69, as for a feed that is unavailable."""
        return ExitCode.UNAVAILABLE


class MirrorDenied(MirrorError):
    """The object store rejects the credentials, or there are none."""

    @property
    def exit_code(self) -> ExitCode:
        """77, as for a feed that rejects the credentials."""
        return ExitCode.CREDENTIALS


class LockBusy(BikecollectError):
    """Another run has held the system's lock for too long."""

    outcome = Outcome.DEFERRED
    cause = "lock"


class Interrupted(BikecollectError):
    """The run was ended by the signal *signum*."""

    outcome = Outcome.INTERRUPTED
    cause = "signal"

    def __init__(self, signum: int) -> None:
        name = signal.Signals(signum).name if signum else "a signal"
        by = "Ctrl-C (SIGINT)" if signum == signal.SIGINT else name
        super().__init__(f"ended by {by}")
        self.signum = signum

    @property
    def exit_code(self) -> ExitCode:
        """130 for SIGINT, else 143."""
        return ExitCode.SIGINT if self.signum == signal.SIGINT else ExitCode.SIGTERM
