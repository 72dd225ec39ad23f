"""The outbox: mails that no mail server has taken yet, one .eml file each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.storage.files import flock
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file

SUFFIX = ".eml"
KEPT_DAYS = 7


class Outbox:
    """The mails in *folder*; the names tell their order, the oldest first.

    Every method but `waiting` raises StorageError where the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Make the mail *data* durable as *name*; one of that name is replaced."""
        try:
            make_folder(self.folder)
            aside = self.folder / f"{name}.tmp"
            write_file(aside, data)
            aside.rename(self.folder / f"{name}{SUFFIX}")
            sync_folder(self.folder)
        except OSError as error:
            raise self._failure("keep", error) from error

    def waiting(self) -> list[str]:
        """Return the names of the mails, the oldest first."""
        try:
            names = [each.name for each in self.folder.iterdir()]
        except OSError:
            return []
        return sorted(n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX))

    def read(self, name: str) -> bytes:
        """Return the mail *name*."""
        try:
            return (self.folder / f"{name}{SUFFIX}").read_bytes()
        except OSError as error:
            raise self._failure("read", error) from error

    def remove(self, name: str) -> None:
        """Forget the mail *name*; one that is gone already is no trouble."""
        try:
            (self.folder / f"{name}{SUFFIX}").unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("remove", error) from error

    def age(self, name: str, now: float) -> float:
        """Return how many seconds before *now* the mail *name* was written."""
        try:
            return now - (self.folder / f"{name}{SUFFIX}").stat().st_mtime
        except OSError:
            return 0.0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the outbox, so that no mail is sent twice; False where another does."""
        with flock.open_folder(self.folder) as fd:
            try:
                is_held = fd is not None and flock.try_lock(fd)
            except OSError:
                is_held = False
            yield is_held

    def _failure(self, what: str, error: OSError) -> StorageError:
        return StorageError(f"cannot {what} a mail in {self.folder}: {error}")
