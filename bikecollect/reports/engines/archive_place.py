"""Where the archive is that an engine reads: a folder, or an object store."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bikecollect.archive.checks.certified_files import Unread
from bikecollect.reports.engines.literals import quoted
from bikecollect.storage.data_folder import INFORMATION


@dataclass(frozen=True)
class ArchivePlace:
    """The location of the archive (a path or an address), and the *systems* to read.

    Spark skips the *unread* days. The systems *listed* have a list of stations; None
    means all.
    """

    archive: str
    systems: Sequence[str]
    unread: Unread = field(default_factory=dict)
    listed: Sequence[str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.archive

    @property
    def folder(self) -> str:
        """The folder with the systems' folders."""
        return self.archive.rstrip("/").rpartition("/")[0]

    @property
    def lists(self) -> str:
        """A pattern for the lists of stations."""
        systems = self._listed
        names = systems[0] if len(systems) == 1 else f"{{{','.join(systems)}}}"
        return f"{self.folder}/{names}/{INFORMATION}"

    @property
    def station_lists(self) -> list[str]:
        """The lists of stations, each by its name."""
        return [f"{self.folder}/{name}/{INFORMATION}" for name in self._listed]

    @property
    def _listed(self) -> Sequence[str]:
        return self.systems if self.listed is None else self.listed

    def with_known_lists(self) -> "ArchivePlace":
        """Return this place with the lists that exist, if it is a folder.

        A system that was filled from another archive may have none.
        """
        if not self.is_local:
            return self
        folder = Path(self.folder)
        exist = [
            name for name in self.systems if (folder / name / INFORMATION).exists()
        ]
        return replace(self, listed=exist)

    def path(self, table: str) -> str:
        """Return the folder of the dataset *table*."""
        return f"{self.archive.rstrip('/')}/{table}"

    @property
    def among(self) -> str:
        """The SQL list of the systems' names."""
        return f"({', '.join(map(quoted, self.systems))})"
