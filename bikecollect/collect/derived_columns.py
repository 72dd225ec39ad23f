"""The derived columns named in the settings, including functions of the user."""

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bikecollect.core.errors import SettingsError
from bikecollect.storage.csv_format import (
    COLUMNS,
    Derived,
    Row,
    Value,
    derived,
)
from bikecollect.storage.files import trusted_files

ENVIRONMENT = Path(__file__).parents[2]
"""Where this package is installed; its files are trusted like the package itself."""


RESERVED = frozenset(
    name.casefold()
    for name in (
        *COLUMNS,
        "system_id",
        "date",
        "minute_of_day",
        "hour_of_week",
        "rowid",
        "filename",
        "slot_time",
        "verbatim_line",
        "occupancy_is_derived",
    )
)
"""Names that the files, the archive and SQL use; SQL ignores case."""
MAX_NAME = 64
EXAMPLE: Row = {
    "slot": "2026-11-22T10:05:00+08:00",
    "fetched_at": "2026-11-22T10:05:02+08:00",
    "station_id": "500101001",
    "num_vehicles_available": 7,
    "num_ebikes_available": 1,
    "num_docks_available": 20,
    "num_vehicles_disabled": 1,
    "num_docks_disabled": 0,
    "capacity": 28,
    "is_installed": True,
    "is_renting": True,
    "is_returning": True,
    "last_reported": "2026-11-22T10:04:31+08:00",
}
"""The row with which a user's function is tested before any network access."""


class Chosen(NamedTuple):
    """The derived columns of one system, and why some of them were skipped."""

    derived: tuple[Derived, ...]
    troubles: tuple[str, ...] = ()


def chosen(names: Sequence[str], beside: Path) -> Chosen:
    """Return the derived columns called *names*.

    A name with a colon is a function ``package.module:function`` of the user, found on
    the Python path or in the folder *beside* the settings. It takes a row (a dict) and
    returns columns (a mapping); their names are its attribute ``columns``, or the keys
    that it returns for an example row. A function that cannot be loaded, or whose
    columns have names in use, is skipped and reported: a missed snapshot is lost for
    ever, but a column can be added later. Raises SettingsError for an unknown name.
    """
    columns: list[Derived] = []
    troubles: list[str] = []
    used: dict[str, str] = {}
    for name in names:
        if ":" not in name:
            column = derived(name)
            columns.append(column)
            used |= dict.fromkeys(map(str.casefold, column.names), name)
            continue
        try:
            column = _load_function(name, beside)
            _check_names(column.names, used)
            columns.append(column)
            used |= dict.fromkeys(map(str.casefold, column.names), name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            message = f"{type(error).__name__}: {error}"
            troubles.append(f'column "{name}" is skipped: {message}'[:300])
    return Chosen(tuple(columns), tuple(troubles))


def of_system(name: str, columns: Sequence[str], source: str, beside: Path) -> Chosen:
    """Return the derived *columns* of the system *name*, see `chosen`.

    Raises SettingsError with the file *source*, if there is one, and the key.
    """
    try:
        return chosen(columns, beside)
    except SettingsError as error:
        place = f"{source}: " if source else ""
        raise SettingsError(f"{place}systems.{name}.columns: {error}") from error


def _load_function(name: str, beside: Path) -> Derived:
    module, _, function = name.partition(":")
    if str(beside) not in sys.path:
        sys.path.append(str(beside))
    make: Callable[[Row], Mapping[str, Value]] = getattr(
        _import_trusted(module), function
    )
    declared: Any = getattr(make, "columns", None)
    names = tuple(declared) if declared else tuple(make(dict(EXAMPLE)))
    if not names or not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"the names of its columns must be texts, not {names!r}")
    return Derived(names, make)


def _check_names(names: Sequence[str], used: Mapping[str, str]) -> None:
    """Raise ValueError for names that cannot be columns beside those *used*."""
    folded = [name.casefold() for name in names]
    for name, key in zip(names, folded, strict=True):
        if key in RESERVED:
            raise ValueError(f'the name "{name}" is used by bikecollect: rename it')
        if key in used or folded.count(key) > 1:
            other = used.get(key, "the same function")
            raise ValueError(f'the name "{name}" is also used by {other}: rename one')
        if not name.isprintable() or name != name.strip() or len(name) > MAX_NAME:
            raise ValueError(
                f"the name {name[:MAX_NAME]!a} must be printable, without blanks at "
                f"its ends, and have at most {MAX_NAME} characters"
            )


def _import_trusted(module: str) -> ModuleType:
    """Import *module* after checking who may change its code; return it.

    Its parent packages and compiled files are checked too. Raises SettingsError if
    anybody except root and the user of this process may change them.
    """
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        spec = importlib.util.find_spec(name)
        if spec is not None:
            _check_code(spec)
        importlib.import_module(name)
    return sys.modules[module]


def _check_code(spec: ModuleSpec) -> None:
    """Raise SettingsError if others may change the code that *spec* loads."""
    paths = (spec.origin, spec.cached) if spec.has_location else ()
    files = [Path(path) for path in paths if path]
    folders = [*map(Path, spec.submodule_search_locations or ())]
    for file in files:
        if not file.is_relative_to(ENVIRONMENT):
            trusted_files.check_file(file)
            folders.append(file.parent)
    for folder in folders:
        if not folder.is_relative_to(ENVIRONMENT):
            trusted_files.check_folder(folder)
