"""Find the tables at the path of `backfill --from`, and what a folder there is."""

from glob import glob
from pathlib import Path

from bikecollect.collect.sources.table_rows import PARQUET
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.text import visible
from bikecollect.reports.data_dictionary import PACKAGE, read_package
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import LEDGER, MARKER, STATUS

OURS = "bikecollect-"
"""Begins the names of our data packages."""
PATTERNS = ("*.parquet", "*.csv", "*.csv.gz")
SHOWN = 6
STATIONS, SLOTS = "stations", "slots"
LISTS = {
    STATIONS: (b"valid_from,valid_to,station_id,", b"valid_from,station_id,"),
    SLOTS: (b"slot,minute_of_day,hour_of_week,state,",),
}
"""What begins the lists, of one system, that `export` and `publish` write, and `fetch`.
"""
MAX_LINE = 1 << 12


def is_system(folder: Path) -> bool:
    """Return whether *folder* is that of a system of a bikecollect."""
    days = (f"{STATUS}/{path.name}" for path in (folder / STATUS).glob("*"))
    return any((folder / name).exists() for name in (MARKER, LEDGER)) or any(
        map(is_segment, days)
    )


def tables_at(path: Path, name: str) -> list[Path]:
    """Return the tables at *path*, a file, folder or pattern, to fill system *name*.

    Raises UsageError if they are those of other systems, StorageError if there are
    none, or both CSV and Parquet.
    """
    if path.is_dir():
        _refuse_data_folder(path, name)
    paths = _files(path) if path.exists() else sorted(map(Path, glob(str(path))))  # noqa: PTH207 - a pattern from the user
    if not paths:
        raise UsageError(f"--from {path}: no such file or folder")
    for table_path in paths:
        _refuse_other_system(table_path, name)
    return paths


def lists_in(path: Path) -> dict[str, list[str]]:
    """Return the names of the CSV lists in the folder *path*, by what they list."""
    lists: dict[str, list[str]] = {what: [] for what in LISTS}
    for file in sorted(path.rglob("*.csv")) if path.is_dir() else ():
        if what := _listed(file):
            lists[what].append(str(file.relative_to(path)))
    return lists


def _listed(file: Path) -> str:
    """Return what the CSV *file* is a list of, empty if it is none of the `LISTS`."""
    if file.suffix != ".csv" or not file.is_file() or file.is_symlink():
        return ""
    try:
        with file.open("rb") as lines:
            line = lines.readline(MAX_LINE)
    except OSError:
        return ""  # the error is reported when its rows are read
    return next((what for what, begins in LISTS.items() if line.startswith(begins)), "")


def _refuse_data_folder(folder: Path, name: str) -> None:
    """Raise UsageError if *folder* has the data of systems that have other names."""
    others = sorted(child for child in folder.glob("*") if is_system(child))
    if others:
        names = ", ".join(visible(other.name) for other in others[:SHOWN])
        more = " ..." if others[SHOWN:] else ""
        raise UsageError(
            f"--from {folder} is a folder of bikecollect with {names}{more}, not with "
            f"{name}; if one of them is the same system: --from {others[0]}"
        )


def _refuse_other_system(path: Path, name: str) -> None:
    """Raise UsageError if a folder of *path* names another system."""
    for part in path.parts:
        key, equals, system_id = part.partition("=")
        if key == "system_id" and equals and system_id != name:
            raise UsageError(
                f"--from {path} belongs to the system {system_id}, not to {name}: "
                "give the folder of one system"
            )


def _files(path: Path) -> list[Path]:
    """Return the tables at *path*: a file, or the regular files of a folder.

    Raises StorageError if there is none, or both CSV and Parquet.
    """
    if what := _listed(path):
        raise UsageError(
            f"--from {path} is a list of {what}, without rows of stations: give the "
            "folder that has both"
        )
    if path.is_file():
        return [path.resolve() if path.is_symlink() else path]  # as the user named it
    if not path.is_dir():
        raise StorageError(f"{path} is neither a file nor a folder")
    others = _described_otherwise(path)
    tables = [
        file
        for pattern in PATTERNS
        for file in sorted(path.rglob(pattern))
        if file.is_file() and not file.is_symlink() and file not in others
        if not _listed(file)
    ]
    if not tables:
        raise StorageError(f"{path} has no CSV and no Parquet files of stations' rows")
    if len({file.suffix in PARQUET for file in tables}) > 1:
        raise StorageError(
            f"{path} has both CSV and Parquet files; give --from files of one kind"
        )
    return tables


def _described_otherwise(folder: Path) -> set[Path]:
    """Return the files in *folder* that need not be read, by its datapackage.json.

    They are tables of another kind, such as the list of stations, or Parquet files
    beside a CSV with the same rows, as in a published dataset.
    """
    titles = _titles(folder / PACKAGE)
    rows = {path for path, title in titles.items() if title == STATUS}
    doubles = {
        path
        for path in rows
        if path.suffix in PARQUET and path.with_suffix(".csv") in rows
    }
    return (set(titles) - rows) | doubles


def _titles(package: Path) -> dict[Path, str]:
    """Return the title of each file that *package*, of a bikecollect, describes."""
    try:
        name, resources = read_package(package)
        titles = {package.parent / str(r["path"]): str(r["title"]) for r in resources}
    except (OSError, ValueError, KeyError):
        return {}
    return titles if name.startswith(OURS) else {}
