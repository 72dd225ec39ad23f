"""Check a published dataset by its own files: checksums, certificates, slots."""

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bikecollect.archive.certificates import Finding
from bikecollect.archive.datasets import STATUS
from bikecollect.cli.publishing.dataset_folder import CERTIFICATES, SUMS
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.reports.data_dictionary import PACKAGE
from bikecollect.setup.settings import Settings
from bikecollect.storage.csv_format import read_cells
from bikecollect.storage.files.regular_file import sha256_of

SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
ISO_DAY = 10
"""Number of characters of the local day at the beginning of a time."""


def is_dataset(folder: Path) -> bool:
    """Return whether *folder* has a dataset of `publish`."""
    return (folder / PACKAGE).is_file() and (folder / SUMS).is_file()


def systems_or_why(settings: Settings, system_ids: Sequence[str]) -> list[str]:
    """Return `Settings.chosen`; its error says why a name is not a dataset."""
    try:
        return settings.chosen(system_ids)
    except SettingsError as error:
        name = next(name for name in system_ids if name not in settings.systems)
        error.add_note(_why_no_dataset(Path(name)))
        raise


def _why_no_dataset(folder: Path) -> str:
    """Return why *folder* is not a dataset."""
    if not folder.is_dir():
        return "and there is no folder of that name with a published dataset"
    return f"the folder of that name is not a dataset: {PACKAGE} or {SUMS} is missing"


@dataclass
class DatasetCheck:
    """A check of the dataset in *folder*; counts what was checked."""

    folder: Path
    files: int = 0
    days: int = 0
    rows: int = 0
    _slots: Counter[str] = field(default_factory=Counter)

    def run(self) -> Iterator[Finding]:
        """Yield each disagreement; raises StorageError if files cannot be read."""
        try:
            yield from self._sums()
            if (self.folder / CERTIFICATES).is_file():
                yield from self._certificates()
                yield from self._rows_of_slots()
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise StorageError(f"cannot read {self.folder}: {error}") from error

    def _finding(self, where: str, what: str) -> Finding:
        return Finding(self.folder.name, where, what)

    def _sums(self) -> Iterator[Finding]:
        listed = set()
        for line in (self.folder / SUMS).read_text("utf-8").splitlines():
            match = SUM_LINE.fullmatch(line)
            if match is None or _leads_out(match[2]):
                yield self._finding(SUMS, f"not a checksum: {line[:60]!r}")
                continue
            listed.add(match[2])
            path = self.folder / match[2]
            if not path.is_file() or path.is_symlink():
                yield self._finding(match[2], "is missing")
            elif sha256_of(path) != match[1]:
                yield self._finding(match[2], "sha256 mismatch")
            self.files += 1
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if not path.is_dir() and name != SUMS and name not in listed:
                yield self._finding(name, f"is not in {SUMS}")

    def _certificates(self) -> Iterator[Finding]:
        certified = _json_lines(self.folder / CERTIFICATES)
        known = {line["date"]: line for line in certified}
        counted: dict[str, tuple[int, str]] = {}
        for day, rows, sha256 in self._days():
            counted[day] = rows, sha256
        for day, line in known.items():
            if day not in counted:
                yield self._finding(day, "has a certificate and no rows")
            elif counted[day] != (line["rows"], line["sha256"]):
                yield self._finding(
                    day,
                    f"has {counted[day][0]:,} rows, sha256 {counted[day][1][:12]}...; "
                    f"its certificate says {line['rows']:,}, {line['sha256'][:12]}...",
                )
        for day in counted.keys() - known.keys():
            yield self._finding(day, "has rows and no certificate")
        self.days = len(counted)

    def _days(self) -> Iterator[tuple[str, int, str]]:
        """Yield each day of the rows: its number of rows, and its sha256."""
        day, rows, digest = "", 0, hashlib.sha256()
        records = _records(self.folder / f"data/{STATUS}.csv")
        header = next(records, b"")
        for record in records:
            slot = record[: record.index(b",")].decode()
            if slot[:ISO_DAY] != day:
                if day:
                    yield day, rows, digest.hexdigest()
                day, rows, digest = slot[:ISO_DAY], 0, hashlib.sha256(header)
            digest.update(record)
            rows += 1
            self.rows += 1
            self._slots[slot] += 1
        if day:
            yield day, rows, digest.hexdigest()

    def _rows_of_slots(self) -> Iterator[Finding]:
        with (self.folder / "data/slots.csv").open(encoding="utf-8", newline="") as f:
            lines = read_cells(f)
            header = next(lines)
            slot, rows = header.index("slot"), header.index("rows")
            stated = {cells[slot]: int(cells[rows] or 0) for cells in lines}
        for name in sorted(stated.keys() | self._slots.keys()):
            if stated.get(name, 0) != self._slots[name]:
                yield self._finding(
                    name,
                    f"has {self._slots[name]:,} rows; the slot says "
                    f"{stated.get(name, 0):,}",
                )


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a CSV as bytes; a quoted cell may have several lines."""
    record = b""
    with path.open("rb") as file:
        for line in file:
            record += line
            if record.count(b'"') % 2 == 0:
                yield record
                record = b""
    if record:
        yield record


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _leads_out(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts
