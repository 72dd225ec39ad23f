"""The derived columns that the settings name, a user's own functions among them."""

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bikecollect.storage.csv_format import EXAMPLE, Derived, Row, Value, derived
from bikecollect.storage.files import trusted_files

ENVIRONMENT = Path(__file__).parents[2]
"""Whoever may change what lies here may change us."""


class Chosen(NamedTuple):
    """The derived columns of one system, and why some of them are left out."""

    derived: tuple[Derived, ...]
    troubles: tuple[str, ...] = ()


def chosen(names: Sequence[str], beside: Path) -> Chosen:
    """Return the derived columns called *names*.

    One with a colon is a function ``package.module:function`` of the user's own,
    looked for on the path and in the folder *beside* the settings. It takes a row
    (a dict) and returns columns (a mapping); their names are its attribute
    ``columns``, or what it returns for an example row. One that cannot be loaded is
    left out and told of: a snapshot that is not fetched now is lost for ever, a
    column can be added later. Raises SettingsError for an unknown name.
    """
    found: list[Derived] = []
    troubles: list[str] = []
    for name in names:
        if ":" not in name:
            found.append(derived(name))
            continue
        try:
            found.append(_own(name, beside))
        except Exception as error:  # noqa: BLE001 - the user's own code
            what = f"{type(error).__name__}: {error}"
            troubles.append(f'column "{name}" is left out: {what}'[:300])
    return Chosen(tuple(found), tuple(troubles))


def _own(name: str, beside: Path) -> Derived:
    module, _, function = name.partition(":")
    if str(beside) not in sys.path:
        sys.path.append(str(beside))
    make: Callable[[Row], Mapping[str, Value]] = getattr(_imported(module), function)
    declared: Any = getattr(make, "columns", None)
    names = tuple(declared) if declared else tuple(make(dict(EXAMPLE)))
    if not names or not all(isinstance(each, str) and each for each in names):
        raise TypeError(f"its columns must have names, not {names!r}")
    return Derived(names, make)


def _imported(module: str) -> ModuleType:
    """Return *module*, imported after a look at who may change its code.

    Also of the packages that it lies in, and of what Python keeps compiled. Raises
    SettingsError where that is anybody but root and the user of this process.
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
    """Raise SettingsError where others may change what Python runs for *spec*."""
    named = (spec.origin, spec.cached) if spec.has_location else ()
    files = [Path(each) for each in named if each]
    folders = [*map(Path, spec.submodule_search_locations or ())]
    for file in files:
        if not file.is_relative_to(ENVIRONMENT):
            trusted_files.check_file(file)
            folders.append(file.parent)
    for folder in folders:
        if not folder.is_relative_to(ENVIRONMENT):
            trusted_files.check_folder(folder)
