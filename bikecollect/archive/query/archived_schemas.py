"""The columns of archived files, and which days have files with the same columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.query.schemas import read_schemas

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Key = tuple[str, str]
"""A system and a day."""


class ArchivedSchemas:
    """Reads the columns of archived files; files are given by their days.

    *names* are those of the files that were read; *unreadable* says why others cannot
    be read.
    """

    def __init__(self, db: "DuckDBPyConnection") -> None:
        self._db = db
        self._schemas: dict[str, tuple[list[str], str]] = {}
        self.names: dict[Key, list[str]] = {}
        self.unreadable: dict[Key, str] = {}

    def read_ahead(self, datasets: Iterable[tuple[Mapping[Key, Path], bool]]) -> None:
        """Read at once what `groups` will read of the files of each of *datasets*.

        They come with *is_uniform*, see `groups`. One statement takes a third of the
        time of one for each dataset. Errors are reported when a file is needed.
        """
        self._read(
            str(files[key])
            for files, is_uniform in datasets
            for keys in _by_system(files).values()
            for key in ({keys[0], keys[-1]} if is_uniform else keys)
        )

    def columns(self, keys: Iterable[Key], files: Mapping[Key, Path]) -> dict[Key, str]:
        """Return names and types of the columns of the *files* of *keys*."""
        by_path = {str(files[key]): key for key in keys}
        for path, why in self._read(by_path).items():
            self.unreadable[by_path[path]] = f"{path}: {why}"
        columns = {}
        for path, key in by_path.items():
            if path in self._schemas:
                self.names[key], columns[key] = self._schemas[path]
        return columns

    def _read(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Read the schemas of *paths* that are not known yet; return the errors."""
        schemas = read_schemas(
            self._db, [path for path in paths if path not in self._schemas]
        )
        for path, names in schemas.names.items():
            self._schemas[path] = names, schemas.columns[path]
        return schemas.unreadable

    def lacking(self, files: Mapping[Key, Path], column: str) -> set[Key]:
        """Return the days whose files lack *column*.

        They are read one by one only if the first and the last of a system differ, or
        cannot be read: `compact` renews them from the newest to the oldest.
        """
        lacking: set[Key] = set()
        for keys in _by_system(files).values():
            ends = {keys[0], keys[-1]}
            columns_of_ends = self.columns(ends, files)
            is_lacking = {column not in names for names in columns_of_ends.values()}
            if len(is_lacking) > 1 or columns_of_ends.keys() != ends:
                columns_of = self.columns(keys, files).items()
                lacking.update(key for key, names in columns_of if column not in names)
            elif True in is_lacking:
                lacking.update(keys)
        return lacking

    def groups(
        self, files: Mapping[Key, Path], *, is_uniform: bool
    ) -> Iterator[list[Key]]:
        """Yield the days whose *files* have the same columns, together.

        So DuckDB opens one file of each group to plan a query, and not all. With
        *is_uniform* the columns of all files are read only if those of the first and
        the last of a system differ.
        """
        by_system = _by_system(files)
        read = [
            [keys[0], keys[-1]] if is_uniform else keys for keys in by_system.values()
        ]
        columns = self.columns(dict.fromkeys(k for keys in read for k in keys), files)
        groups: dict[object, list[Key]] = {}
        for keys in by_system.values():
            first = columns.get(keys[0])
            if first is None or first != columns.get(keys[-1]):
                columns |= self.columns(keys, files)
            for key in keys:
                if key not in self.unreadable:
                    own = columns.get(key) or first
                    groups.setdefault(own, []).append(key)
        yield from groups.values()


def _by_system(keys: Iterable[Key]) -> dict[str, list[Key]]:
    by_system: dict[str, list[Key]] = {}
    for key in keys:
        by_system.setdefault(key[0], []).append(key)
    return by_system


def order_of(dataset: str) -> Callable[[Key], tuple[int, Key]]:
    """Return the order in which the files of days are read.

    Files with hours of the week are read by weekday: in the rows of a week every hour
    is different, so that DuckDB would not group them early and keep them all in memory.
    """
    if dataset == "profile":
        return lambda key: (date.fromisoformat(key[1]).weekday(), key)
    return lambda key: (0, key)
