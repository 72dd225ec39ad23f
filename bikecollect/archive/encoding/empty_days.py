"""The files of days without rows: the first day's are copied for all others.

Without rows a day's values are in no file, so only its columns tell such files apart.
After an outage of months DuckDB would write the same few hundred bytes for every day.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path


class EmptyDays:
    """The files of days without rows that this process has written, by columns."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, ...], dict[str, bytes]] = {}

    def copy(self, columns: Sequence[str], folder: Path) -> bool:
        """Write the files of a day with *columns* into *folder*; False if unknown.

        Raises OSError.
        """
        files = self._files.get(tuple(columns), {})
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return bool(files)

    def remember(
        self, columns: Sequence[str], folder: Path, names: Iterable[str]
    ) -> None:
        """Keep the files *names* of *folder*, those of a day with *columns*.

        Raises OSError.
        """
        self._files[tuple(columns)] = {
            name: (folder / name).read_bytes() for name in names
        }
