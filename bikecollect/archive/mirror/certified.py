"""Archived days as described by their certificates, here and in the mirror."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bikecollect.archive.datasets import DatasetLayout, part_of
from bikecollect.archive.day_csv import DaySummary
from bikecollect.archive.parts import DAMAGED, is_day
from bikecollect.core.errors import StorageError
from bikecollect.storage.data_folder import ARCHIVE


class CertifiedPart(NamedTuple):
    """The entry of a file in a certificate."""

    size: int
    sha256: str


class CertifiedDay(NamedTuple):
    """An archived day: its certificate as *text*, and the files that it lists.

    Paths are relative to the data folder, and the same in the mirror.
    """

    day: str
    path: str
    text: bytes
    summary: DaySummary
    made: float
    parts: Mapping[str, CertifiedPart]


def certificates_of(layout: DatasetLayout, system_id: str) -> str:
    """Return the folder of the certificates of *layout*."""
    return f"{ARCHIVE}/{layout.certificates}/system_id={system_id}"


def certificate_path(layout: DatasetLayout, system_id: str, day: str) -> str:
    """Return the path of the certificate of *day*."""
    return f"{certificates_of(layout, system_id)}/{day}.json"


def part_path(dataset: str, system_id: str, day: str) -> str:
    """Return the path of the file of *dataset* for *day*."""
    return f"{ARCHIVE}/{part_of(dataset, system_id, day)}"


def folders_of(layout: DatasetLayout, system_id: str) -> Iterator[str]:
    """Yield the folders with the files of *layout*: certificates and datasets."""
    yield certificates_of(layout, system_id)
    for dataset in layout.datasets:
        yield f"{ARCHIVE}/{dataset}/system_id={system_id}"


def parse(
    layout: DatasetLayout, system_id: str, path: str, text: bytes
) -> CertifiedDay:
    """Return the day of the certificate *text* at *path*; raises StorageError.

    The text is untrusted: it names only files of the day itself.
    """
    day = Path(path).stem
    try:
        values = json.loads(text)
        summary = DaySummary(
            int(values["rows"]), int(values["slots"]), str(values["sha256"])
        )
        parts = {
            part_path(dataset, system_id, day): CertifiedPart(
                int(values["parts"][dataset]["bytes"]),
                str(values["parts"][dataset]["sha256"]),
            )
            for dataset in layout.datasets
        }
        made, date = float(values["made"]), values["date"]
    except DAMAGED:
        date = ""
    if not is_day(day) or date != day:
        what = f"the certificate {path} is invalid"
        raise StorageError(f"{what}; run: bikecollect verify", cause="archive")
    return CertifiedDay(day, path, text, summary, made, parts)


def local_certificates(data: Path, layout: DatasetLayout, system_id: str) -> list[str]:
    """Return the paths of the certificates in the folder *data*, the oldest first."""
    folder = certificates_of(layout, system_id)
    paths = sorted((data / folder).glob("*.json"))
    return [f"{folder}/{path.name}" for path in paths if is_day(path.stem)]


def local_day(
    data: Path, layout: DatasetLayout, system_id: str, path: str
) -> CertifiedDay:
    """Return the day of the certificate at *path* in *data*; raises StorageError."""
    try:
        text = (data / path).read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {data / path}: {error.strerror}") from error
    return parse(layout, system_id, path, text)
