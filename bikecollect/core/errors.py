"""What can go wrong, how a run ends by it, and the exit code that says so.

::

    BikecollectError
    ├── UsageError               64  the command line asks for what cannot be
    ├── SettingsError            78  settings, a missing mount, a newer ledger
    │   └── UntrustedFile        78  others may change what must be ours
    ├── FeedError                69  the feed gave no payload
    │   ├── FeedUnavailable      69  network, HTTP errors, deadlines
    │   ├── RateLimited          75  429 with a long Retry-After
    │   ├── ProtocolError        76  TLS, redirects, addresses
    │   └── CredentialsError     77  401, 403
    ├── PayloadError             65  the payload cannot be understood
    ├── NotInstalled             69  a program or an extra that is needed is absent
    ├── StorageError             74  disk or ledger
    ├── LockBusy                 75  another run holds the system's lock
    └── Interrupted         130/143  a signal asked the run to end
"""

import signal
from enum import Enum, IntEnum
from typing import Self

from bikecollect.core.text import message


class ExitCode(IntEnum):
    """How ``bikecollect`` ends; after BSD's ``sysexits.h``."""

    OK = 0, "done (also: this slot was there already)"
    NO = 1, "a plain no: a threshold is not met, or something was found"
    USAGE = 64, "the command line is wrong"
    DATA = 65, "the payload was not understood; it is kept in payloads/rejected/"
    UNAVAILABLE = 69, "the feed is unavailable, or an extra is missing"
    SOFTWARE = 70, "a bug: the traceback is in the log, the payload is kept"
    IO = 74, "disk or ledger"
    TEMPORARY = 75, "accepted, not yet committed; or rate-limited"
    PROTOCOL = 76, "TLS, a redirect, or the protocol"
    CREDENTIALS = 77, "the feed refused our credentials"
    SETTINGS = 78, "the settings, or the folder of the data"
    SIGINT = 130, "interrupted from the keyboard"
    SIGTERM = 143, "asked to end by SIGTERM or SIGHUP"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Return the member for *value*, with its *meaning* beside it."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class Outcome(Enum):
    """How one run ended; the word of the ledger, and its exit code."""

    COLLECTED = "collected", ExitCode.OK
    DUPLICATE = "duplicate", ExitCode.OK
    DRY = "dry-run", ExitCode.OK
    REJECTED = "rejected", ExitCode.DATA
    UNAVAILABLE = "unavailable", ExitCode.UNAVAILABLE
    RATE_LIMITED = "rate-limited", ExitCode.TEMPORARY
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
        """Return the member for *value*, with its *exit_code* beside it."""
        member = object.__new__(cls)
        member._value_ = value
        member.exit_code = exit_code
        return member


class BikecollectError(Exception):
    """Something that a run can end by; *cause* is its short, closed-set word.

    Its text may quote what others sent: here it becomes visible, and one line unless
    *lines* says that its line ends are meant.
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
        """The exit code of a run that ends by this error."""
        return self.outcome.exit_code


class UsageError(BikecollectError):
    """The command line asks for something that cannot be."""

    cause = "usage"

    @property
    def exit_code(self) -> ExitCode:
        """64, as for the options that the command line itself checks."""
        return ExitCode.USAGE


class SettingsError(BikecollectError):
    """The settings are wrong, or the data folder is not what they promise."""

    outcome = Outcome.SETTINGS
    cause = "settings"


class UntrustedFile(SettingsError):
    """Others may change something that must be ours: *what*, and the *remedy*."""

    def __init__(self, what: str, remedy: str, *, first: str = "") -> None:
        super().__init__(f"{what}; {first}run: {remedy}")
        self.what = what
        self.remedy = remedy


class FeedError(BikecollectError):
    """The feed gave no payload; *http_status* is the last answer's, if any."""

    outcome = Outcome.UNAVAILABLE
    cause = "network"

    def __init__(
        self,
        text: str,
        *,
        cause: str | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(text, cause=cause)
        self.http_status = http_status


class FeedUnavailable(FeedError):  # the state of the feed is its name
    """No answer, a broken answer, or an HTTP error, after all tries."""


class RateLimited(FeedError):  # the field's own word
    """The feed asked us to stay away until *not_before* (epoch seconds)."""

    outcome = Outcome.RATE_LIMITED
    cause = "rate-limited"

    def __init__(self, text: str, *, not_before: float) -> None:
        super().__init__(text, http_status=429)
        self.not_before = not_before


class ProtocolError(FeedError):
    """TLS cannot be verified, the feed redirects, or an address is not allowed."""

    outcome = Outcome.PROTOCOL
    cause = "tls"


class CredentialsError(FeedError):
    """The feed answered 401 or 403."""

    outcome = Outcome.CREDENTIALS
    cause = "credentials"


class PayloadError(BikecollectError):
    """The payload cannot be understood; the message names what and where.

    *quote* is what it says in the payload's own words, put behind the text.
    """

    outcome = Outcome.REJECTED
    cause = "shape"

    def __init__(
        self,
        text: str,
        *,
        cause: str | None = None,
        lines: bool = False,
        quote: str = "",
    ) -> None:
        super().__init__(f"{text}{quote}", cause=cause, lines=lines)
        self._text = text

    def unquoted(self) -> "PayloadError":
        """Return this error without the payload's own words."""
        return PayloadError(self._text, cause=self.cause)


class NotInstalled(BikecollectError):  # the state of the machine
    """A program or an extra that a command needs is not there; the text says how."""

    outcome = Outcome.UNAVAILABLE
    cause = "not-installed"


class StorageError(BikecollectError):
    """A file or the ledger cannot be written or read."""

    outcome = Outcome.DISK
    cause = "disk"


class LockBusy(BikecollectError):  # the state of the lock is its name
    """Another run has held the system's lock for too long."""

    outcome = Outcome.DEFERRED
    cause = "lock"


class Interrupted(BikecollectError):  # what happened, not an error
    """A signal asked this run to end; *signum* is its number."""

    outcome = Outcome.INTERRUPTED
    cause = "signal"

    def __init__(self, signum: int) -> None:
        super().__init__(f"asked to end by signal {signum}")
        self.signum = signum

    @property
    def exit_code(self) -> ExitCode:
        """130 for SIGINT, else 143."""
        by_hand = self.signum == signal.SIGINT
        return ExitCode.SIGINT if by_hand else ExitCode.SIGTERM
