"""The files and certificates of an archive in an object store, listed by Spark."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bikecollect.archive.datasets import PART, DatasetLayout
from bikecollect.archive.parts import DATE, is_day

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PATH_NOT_FOUND = "PATH_NOT_FOUND"


@dataclass(frozen=True, eq=False, repr=False)
class SparkArchive:
    """The archive at *address*, read by *session*: it has the credentials.

    Its methods raise the errors of Spark.
    """

    session: "SparkSession"
    address: str

    def certificates(
        self, layout: DatasetLayout, system_id: str
    ) -> Mapping[str, bytes]:
        """See `ListedArchive`."""
        folder = f"{self.address}/{layout.certificates}/system_id={system_id}"
        rows = self._files(folder, "*.json", "content")
        names = ((path.rpartition("/")[2], content) for path, content in rows)
        texts = {name.removesuffix(".json"): bytes(text) for name, text in names}
        return {day: text for day, text in texts.items() if is_day(day)}

    def sizes(
        self, system_id: str, datasets: Collection[str]
    ) -> Mapping[str, Mapping[str, int]]:
        """See `ListedArchive`."""
        sizes = {}
        for dataset in datasets:
            folder = f"{self.address}/{dataset}/system_id={system_id}"
            rows = self._files(folder, PART, "length")
            by_day = {path.split("/")[-2].removeprefix(DATE): n for path, n in rows}
            sizes[dataset] = {day: n for day, n in by_day.items() if is_day(day)}
        return sizes

    def defect(self, path: str, size: int, rows: int | None) -> str:
        """See `ListedArchive`."""
        del rows
        return (
            f"{path} has {size} bytes, its certificate lists another size; run: "
            "bikecollect verify --mirror"
        )

    def damage(self, path: str, sha256: str) -> str:
        """See `ListedArchive`: `verify --mirror` reads the bytes of a store."""
        del path, sha256
        return ""

    def _files(self, folder: str, names: str, column: str) -> Iterator[tuple[str, Any]]:
        """Yield path and *column* of the files called *names* below *folder*."""
        from pyspark.errors import AnalysisException  # an extra

        reader = self.session.read.format("binaryFile")
        reader = reader.option("recursiveFileLookup", "true")
        try:
            frame = reader.option("pathGlobFilter", names).load(folder)
        except AnalysisException as error:
            if error.getCondition() == PATH_NOT_FOUND:
                return
            raise
        yield from map(tuple, frame.select("path", column).collect())
