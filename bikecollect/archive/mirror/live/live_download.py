"""Download the copy of the open days in the mirror."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bikecollect.archive.mirror.download import (
    NEW,
    is_being_written,
    replacing,
    writing_to,
)
from bikecollect.archive.mirror.live.live_paths import PARTS, live_path
from bikecollect.archive.mirror.store.object_store import ObjectStore
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.facts.facts_file import FILE as FACTS


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
