"""The files of archived days, compared with their certificates.

For engines that read the archive without the views of this package: they skip the days
named here.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bikecollect.archive import summaries
from bikecollect.archive.checks.file_sums import known_sha256
from bikecollect.archive.datasets import (
    LAYOUTS,
    STATION_LAYOUT,
    VEHICLE_LAYOUT,
    DatasetLayout,
    part_of,
)
from bikecollect.archive.parts import (
    DAMAGED,
    ArchivePart,
    damage_of_file,
    is_day,
    list_days,
)
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.checked_parts import defect
from bikecollect.archive.query.open_days import Loss
from bikecollect.archive.query.view_source import OnSkip
from bikecollect.storage.data_folder import VEHICLES
from bikecollect.storage.files.regular_file import read_plain
from bikecollect.storage.files.scratch import scratch

OUTDATED = "its summaries are of an earlier version; run: bikecollect compact"
Sizes = Mapping[str, Mapping[str, int]]
"""The sizes of files in bytes, by dataset and day."""


class UnreadDays(NamedTuple):
    """The *days* of a system whose files are not read, nor those *after* a day."""

    days: frozenset[str]
    after: str


Unread = Mapping[str, Mapping[str, UnreadDays]]
"""What is not read, by dataset and system; the others are read whole."""


class ListedArchive(Protocol):
    """An archive at *address* whose files can be listed; raises StorageError."""

    @property
    def address(self) -> str:
        """The path or the address of the archive."""
        ...

    def certificates(
        self, layout: DatasetLayout, system_id: str
    ) -> Mapping[str, bytes]:
        """Return the certificates of a system by day."""
        ...

    def sizes(self, system_id: str, datasets: Collection[str]) -> Sizes:
        """Return the sizes of the files of a system."""
        ...

    def defect(self, path: str, size: int, rows: int | None) -> str:
        """Return what is wrong with a file whose *size* is not the certified one.

        Empty if nothing is. *rows* is the number of rows that it must have, None if
        unknown.
        """
        ...

    def damage(self, path: str, sha256: str) -> str:
        """Return what is wrong with a file of the certified size and *sha256*.

        Empty if nothing is, or if its bytes are not read here.
        """
        ...


@dataclass(frozen=True)
class LocalArchive:
    """The archive in the folder *address*."""

    address: str

    def certificates(
        self, layout: DatasetLayout, system_id: str
    ) -> Mapping[str, bytes]:
        """See `ListedArchive`."""
        folder = Path(self.address) / layout.certificates / f"system_id={system_id}"
        texts = {}
        for path in folder.glob("*.json"):
            with suppress(OSError):
                texts[path.stem] = read_plain(path)
        return {day: text for day, text in texts.items() if is_day(day)}

    def sizes(self, system_id: str, datasets: Collection[str]) -> Sizes:
        """See `ListedArchive`."""
        sizes = {}
        for dataset in datasets:
            files = list_days(Path(self.address) / dataset / f"system_id={system_id}")
            sizes[dataset] = {day: file.size for day, file in files.items()}
        return sizes

    def defect(self, path: str, size: int, rows: int | None) -> str:
        """See `ListedArchive`."""
        with scratch() as aside, duckdb_engine.session(aside / "spill") as db:
            return defect(db, ArchivePart(Path(path), size), rows)

    def damage(self, path: str, sha256: str) -> str:
        """See `ListedArchive`."""
        return damage_of_file(Path(path), sha256, known_sha256)


def folders_of_rows(data: Path, system_ids: Iterable[str]) -> Iterator[Path]:
    """Yield the folders of daily files of systems in the data folder *data*."""
    for system_id in system_ids:
        yield data / system_id / STATION_LAYOUT.rows
        yield data / system_id / VEHICLES / VEHICLE_LAYOUT.rows


@dataclass
class ArchiveCheck:
    """Finds the files that must not be read; *on_skip* is called with each lost day.

    A day without a certificate is not archived yet: it is not lost. A system without
    any certificate is read as it is, *unverified*.
    """

    archive: ListedArchive
    on_skip: OnSkip
    unverified: list[str] = field(default_factory=list)

    def unread(self, system_ids: Collection[str], tables: Collection[str]) -> Unread:
        """Return what is not read of the datasets in *tables*."""
        unread: dict[str, dict[str, UnreadDays]] = {}
        for layout in LAYOUTS:
            wanted = [name for name in layout.datasets if name in tables]
            for system_id in system_ids if wanted else ():
                for dataset, days in self._of_system(layout, system_id, wanted):
                    unread.setdefault(dataset, {})[system_id] = days
        return unread

    def _of_system(
        self, layout: DatasetLayout, system_id: str, wanted: Collection[str]
    ) -> Iterator[tuple[str, UnreadDays]]:
        texts = self.archive.certificates(layout, system_id)
        sizes = self.archive.sizes(system_id, wanted)
        if not texts:
            if any(sizes.values()):
                self.unverified.append(system_id)
            return
        lost: dict[str, dict[str, str]] = {dataset: {} for dataset in wanted}
        for day, text in sorted(texts.items()):
            for dataset in wanted:
                place = part_of(dataset, system_id, day)
                file = f"{self.archive.address}/{place}", sizes[dataset].get(day)
                is_rows = dataset == layout.rows
                if why := self._problem(dataset, text, *file, is_rows=is_rows):
                    lost[dataset][day] = why
        reasons = {d: why for by_day in lost.values() for d, why in by_day.items()}
        for day, why in sorted(reasons.items()):
            self.on_skip(system_id, day, Loss(why))
        for dataset in wanted:
            days = {*lost[dataset], *(sizes[dataset].keys() - texts.keys())}
            yield dataset, UnreadDays(frozenset(days), max(texts))

    def _problem(
        self, dataset: str, text: bytes, path: str, size: int | None, *, is_rows: bool
    ) -> str:
        """Return why the file at *path* must not be read, empty if it may.

        *text* is the certificate of its day.
        """
        try:
            values: Any = json.loads(text)
            certified, rows = values["parts"][dataset], int(values["rows"])
            certified_size, sha256 = int(certified["bytes"]), str(certified["sha256"])
            is_outdated = summaries.lack_columns(dataset, certified)
        except DAMAGED:
            return "its certificate is invalid; run: bikecollect verify"
        if size is None:
            return f"{path} is missing; run: bikecollect verify"
        if is_outdated:
            return OUTDATED
        if size == certified_size:
            damage = self.archive.damage(path, sha256)
            return f"{damage}; run: bikecollect verify" if damage else ""
        return self.archive.defect(path, size, rows if is_rows else None)
