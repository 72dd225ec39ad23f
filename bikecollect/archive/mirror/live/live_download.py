"""Download the copy of the open days in the mirror."""

import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bikecollect.archive.mirror.download import (
    MAX_BYTES,
    NEW,
    is_being_written,
    replacing,
    writing_to,
)
from bikecollect.archive.mirror.live.live_paths import LEDGERS, PARTS, live_path
from bikecollect.archive.mirror.record import replaced_path
from bikecollect.archive.mirror.store.object_store import ObjectStore
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.facts.facts_file import FILE as FACTS
from bikecollect.storage.files.durable import make_folder

MAX_LEDGERS = 20
SHA256 = re.compile("/[0-9a-f]{64}$")


@dataclass(frozen=True, eq=False, repr=False)
class LiveDownload:
    """Downloads the open days of a system from *store* to the data folder *folder*.

    Its list of stations is one of the `OtherLists`. If *vehicles*, the daily files and
    the ledger of its vehicles are included.
    """

    store: ObjectStore
    folder: Path
    system_id: str
    vehicles: bool

    def run(self) -> int:
        """Bring the files up to date; return their number."""
        place = f"{live_path(self.system_id)}/"
        names = {
            stored.path.removeprefix(place)
            for stored in self.store.list(live_path(self.system_id))
            if stored.size
        }
        own = self.folder / self.system_id
        wanted: list[str] = []
        with writing_to(own):
            for subfolder, daily, _ in PARTS if self.vehicles else PARTS[:1]:
                part = self._names(names, subfolder)
                self._remove_others(own / subfolder, daily, part)
                wanted += part
            # The ledger first: the daily files can only grow meanwhile.
            for name in reversed(wanted):
                with replacing(own / name) as new:
                    self.store.download(f"{place}{name}", new)
        EarlierLedgers(self.store, own / LEDGERS, self.system_id).run()
        return len(wanted)

    @staticmethod
    def _names(names: Collection[str], subfolder: str) -> list[str]:
        """Return which of *names* are those of stations, or of the vehicles."""
        part = {n.removeprefix(subfolder) for n in names if n.startswith(subfolder)}
        files = [name for name in sorted(part) if is_segment(name)]
        files += [name for name in (FACTS, LEDGER) if name in part]
        return [f"{subfolder}{name}" for name in files]

    def _remove_others(self, folder: Path, daily: str, wanted: list[str]) -> None:
        """Create the folder of daily files; remove files that the mirror lacks."""
        (folder / daily).mkdir(parents=True, exist_ok=True)
        own = self.folder / self.system_id
        unfinished = folder.glob(f"*{NEW}")
        for path in (*(folder / daily).iterdir(), folder / LEDGER, *unfinished):
            if str(path.relative_to(own)) not in wanted and not is_being_written(path):
                path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False, repr=False)
class EarlierLedgers:
    """Downloads the replaced ledgers of a system from *store* to *folder*.

    After a loss of the ledger, or of all data, a shorter one replaced the live copy:
    what is known of the runs until then is only here.
    """

    store: ObjectStore
    folder: Path
    system_id: str

    def run(self) -> None:
        """Bring the files up to date, each in a folder; raises StorageError."""
        place = replaced_path(live_path(self.system_id, LEDGER), "").rstrip("/")
        listed = self.store.list(place)
        small = (s for s in listed if s.size <= MAX_BYTES and SHA256.search(s.path))
        with writing_to(self.folder):
            make_folder(self.folder)
            wanted = set()
            for stored in islice(small, MAX_LEDGERS):
                sha256 = Path(stored.path).name
                path = self.folder / sha256 / LEDGER
                make_folder(path.parent)
                if path.is_file():
                    wanted.add(sha256)
                    continue
                with replacing(path) as new:
                    if self.store.download(stored.path, new) == sha256:
                        wanted.add(sha256)
            for path in self.folder.iterdir():
                if path.name not in wanted:
                    shutil.rmtree(path)
