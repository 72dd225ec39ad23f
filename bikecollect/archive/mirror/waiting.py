"""Count the archived days of a system that are not in the mirror, for `status`.

Only files of this machine are read: the certificates and the record of the copies.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.archive.datasets import LAYOUTS
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.certified import local_certificates
from bikecollect.archive.mirror.record import MirrorRecord, MirrorState, live_address
from bikecollect.core.slots import DAY
from bikecollect.core.text import ago, count_of
from bikecollect.storage.files.regular_file import sha256_of

PATIENCE = 2 * DAY
"""Seconds within which an archived day should be in the mirror, as `compact` is
nightly."""


class MirrorStanding(NamedTuple):
    """The state of the mirror at *address* for a system.

    *waiting* is the number of archived days that were not copied in their current form.
    In epoch seconds (0: never), *oldest* is when the first of them was archived, and
    *succeeded* when everything was last copied. *error* is why the last attempt failed.
    *live* is the state of the open days, None if `push --live` was never run.
    """

    address: str
    waiting: int = 0
    oldest: float = 0.0
    succeeded: float = 0.0
    error: str = ""
    live: MirrorState | None = None

    def is_behind(self, now: float) -> bool:
        """Return whether the last attempt failed, or days have waited for too long."""
        is_overdue = self.waiting > 0 and now - self.oldest > PATIENCE
        return bool(self.error) or is_overdue

    def text(self, now: float) -> str:
        """Return the state as a line: waiting days, the last copy, the error.

        >>> MirrorStanding("s3://b", 2, 0.0, 1.0, "timed out").text(7_201.0)
        '2 days waiting, last copied 2 h 0 min ago, error: timed out'
        """
        texts = [f"{count_of(self.waiting, 'day')} waiting"]
        texts += _copied(self.succeeded, self.error, now)
        if self.live is None:
            return ", ".join(texts)
        live = ", ".join(_copied(self.live.succeeded, self.live.error, now))
        return f"{', '.join(texts)}; open days: {live}"


def _copied(succeeded: float, error: str, now: float) -> list[str]:
    copied = f"last copied {ago(now - succeeded)}" if succeeded else "never copied"
    return [copied, f"error: {error}"] if error else [copied]


def mirror_standing(data: Path, system_id: str, address: str) -> MirrorStanding:
    """Return the state of the mirror at *address* for a system in the folder *data*."""
    record = MirrorRecord(data, system_id, str(MirrorAddress.parse(address)))
    state = record.state
    made = [
        mtime
        for path, mtime in _certificates(data, system_id)
        if not _is_copied(data, path, mtime, record)
    ]
    oldest = min(made, default=0.0)
    live = MirrorRecord(data, system_id, live_address(state.address)).state
    return MirrorStanding(
        state.address,
        len(made),
        oldest,
        state.succeeded,
        state.error,
        live if live.tried else None,
    )


def _certificates(data: Path, system_id: str) -> Iterator[tuple[str, float]]:
    """Yield path and time of each certificate of a system."""
    for layout in LAYOUTS:
        for path in local_certificates(data, layout, system_id):
            with suppress(FileNotFoundError):
                yield path, (data / path).stat().st_mtime


def _is_copied(data: Path, path: str, mtime: float, record: MirrorRecord) -> bool:
    """Return whether the certificate at *path* was copied in its current form.

    Its day in the mirror may be damaged since: then it is not.
    It is read only if it may have changed since everything was copied.
    """
    sha256, state = record.copied_sha256(path), record.state
    if not sha256 or record.is_doubted(path):
        return False
    if not state.waiting and mtime < state.succeeded:
        return True
    with suppress(FileNotFoundError):
        return sha256_of(data / path) == sha256
    return True
