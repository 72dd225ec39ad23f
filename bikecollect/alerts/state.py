"""The state of the alerts, in a small file that can be updated on a full disk.

Its length never changes: writing in place requires no free block.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.alerts.space import DailySpace
from bikecollect.core.incidents import STORED_TEXT, Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import CLOCK_FLOOR, Slot
from bikecollect.storage.files import flock
from bikecollect.storage.files.regular_file import read_file

FEW_RUNS = 8
LENGTH = 65_536
PATIENCE = 5.0
STEP = 120
"""Seconds by which a clock may be set back; the slots that occur again were told."""


class AlertState(NamedTuple):
    """The state that is kept between runs.

    *seen* is the latest slot that was reported. *mail* is the reason why mails could
    not be sent (empty: they were sent; None: none was tried yet); *rejected* maps
    rejected recipients to the server's reply, if others receive the mails.
    *mail_settings* is the fingerprint of the settings to which these two belong.
    *digested* is the day of the latest digest, *archive_day* that of the latest check
    of the archive; *told* has the ids of the latest runs that were reported, *space*
    the free space on the latest days. *revision* is increased with every write.
    *unusable* is the latest slot in which only the copy could be written.
    """

    seen: Slot | None = None
    incidents: tuple[Incident, ...] = ()
    mail: str | None = None
    digested: str = ""
    rejected: Mapping[str, str] = {}
    mail_settings: str = ""
    archive_day: str = ""
    told: tuple[str, ...] = ()
    space: tuple[DailySpace, ...] = ()
    revision: int = 0
    unusable: Slot | None = None

    def until(
        self, slot: Slot, interval: int, last_run: Callable[[Slot], Slot | None]
    ) -> "AlertState":
        """Return the state without slots from a time when the clock was wrong.

        *slot* is that of the current run, *last_run* returns the newest slot before it
        that has a run. Otherwise a clock that was ahead once would mute the alerts
        until that time. An incident closed in the future is dropped: no later problem
        continues it. After a short step back the time soon comes again.
        """
        seen = self.seen or slot
        is_ahead = seen > slot + max(interval, STEP)
        if slot < CLOCK_FLOOR or (not is_ahead and seen >= CLOCK_FLOOR):
            return self
        incidents = tuple(
            incident.until(slot)
            for incident in self.incidents
            if incident.closed is None or incident.closed <= slot
        )
        return self._replace(seen=last_run(slot), incidents=incidents)

    def has_seen(self, slot: Slot) -> bool:
        """Return whether *slot* was reported before."""
        return self.seen is not None and CLOCK_FLOOR <= slot <= self.seen

    def evaluated(
        self, run: Run, incidents: tuple[Incident, ...], today: str
    ) -> "AlertState":
        """Return the state after *run*, with its *incidents*; *today* is its day."""
        seen = self.seen
        if not run.has_estimated_slot:
            seen = Slot(max(run.slot, seen or run.slot))
        told = (*self.told[-FEW_RUNS:], run.run_id)
        return self._replace(
            seen=seen, incidents=incidents, archive_day=today, told=told
        )

    def with_mail_settings(self, fingerprint: str) -> "AlertState":
        """Return the state, without the mail server's errors if its settings changed.

        *fingerprint* is that of the settings, empty without mails.

        >>> state = AlertState(rejected={"me@example.org": "550"}, mail_settings="1")
        >>> [state.with_mail_settings(mark).rejected for mark in "12"]
        [{'me@example.org': '550'}, {}]
        """
        if not fingerprint or self.mail_settings == fingerprint:
            return self
        was_known = bool(self.mail_settings)
        rejected = {} if was_known else self.rejected
        mail = "" if was_known and self.rejected and not self.mail else self.mail
        return self._replace(mail=mail, rejected=rejected, mail_settings=fingerprint)


def stored_state(path: Path) -> AlertState | None:
    """Return the state in the file *path* without locking it, None if there is none."""
    try:
        return _read(read_file(path, LENGTH))
    except OSError:
        return None


class AlertStateFile:
    """The state file *path*, which one process at a time can hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._used = 0  # the bytes that are not blank, 0 if unknown

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the file, or continue without it if that takes more than 5 s."""
        with suppress(OSError, RuntimeError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o640)
            _give_to_owner_of(self._path.parent, fd)
            if flock.lock_within(fd, PATIENCE) and _long_enough(fd):
                self._fd, self._used = fd, 0
            else:
                os.close(fd)
        try:
            yield
        finally:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    @property
    def usable(self) -> bool:
        """Whether the file is locked, and can be read and written."""
        return self._fd >= 0

    def load(self) -> AlertState | None:
        """Return the state, None if there is none or it is damaged."""
        if self._fd < 0:
            return None
        try:
            data = os.pread(self._fd, LENGTH, 0)
        except OSError:
            return None
        self._used = _end(data)
        return _read(data)

    def save(self, state: AlertState) -> bool:
        """Write *state* in place; return whether that succeeded."""
        short = tuple(
            i._replace(text=i.text[:STORED_TEXT])._asdict() for i in state.incidents
        )
        values = state._asdict() | {"incidents": short}
        if state.unusable is None:  # nearly always: earlier versions do not know it
            del values["unusable"]
        text = json.dumps(values).encode("ascii")
        line = b"%08x %s" % (zlib.crc32(text), text)
        if self._fd < 0 or len(line) > LENGTH:
            return False
        if not self._used:
            self.load()
        data = line.ljust(self._used or LENGTH)  # the rest is blank
        self._used = 0
        try:
            return os.pwrite(self._fd, data, 0) == len(data)
        except OSError:
            return False


def _read(data: bytes) -> AlertState | None:
    try:
        crc, _, text = data[: _end(data)].partition(b" ")
        if not text or int(crc, 16) != zlib.crc32(text):
            return None
        values = json.loads(text)
        incidents = tuple(Incident(**fields) for fields in values.pop("incidents"))
        told = tuple(values.pop("told", ()))
        space = tuple(DailySpace(*row) for row in values.pop("space", ()))
        return AlertState(incidents=incidents, told=told, space=space, **values)
    except (ValueError, TypeError, KeyError):
        return None


def _end(data: bytes) -> int:
    """Return the end of the JSON object in *data*, which is padded with blanks."""
    return data.rfind(b"}") + 1


def _give_to_owner_of(folder: Path, fd: int) -> None:
    """Give a file that root created in *folder* to the folder's owner."""
    owner = folder.stat()
    if os.geteuid() == 0 and os.fstat(fd).st_uid != owner.st_uid:
        os.fchown(fd, owner.st_uid, owner.st_gid)


def _long_enough(fd: int) -> bool:
    """Extend a new file to its length; return whether the disk has the space."""
    if os.fstat(fd).st_size >= LENGTH:
        return True
    try:
        return os.pwrite(fd, b" " * LENGTH, 0) == LENGTH
    except OSError:
        return False
