"""The settings file: where it lies, and its text, unless others may write it."""

import codecs
import os
from pathlib import Path

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.regular_file import content

FILE = "bikecollect.toml"
MOST = 1_048_576
"""Bytes of a settings file."""


def find(path: str | None) -> Path | None:
    """Return the file that the loader reads for *path*, None where there is none."""
    named = path or os.environ.get("BIKECOLLECT_CONFIG")
    if named:
        return Path(named)
    usual = usual_path()
    if usual is None:
        return None
    try:
        usual.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # it may be there: the loader says why it cannot be read
    return usual


def usual_path() -> Path | None:
    """Return where the user's settings lie, None for a user without a home."""
    home = user_folders.config_home()
    return None if home is None else home / user_folders.OURS / FILE


def unread() -> Path | None:
    """Return the settings file of the current folder, which is not read by itself."""
    try:
        here = Path(FILE).absolute()
    except OSError:
        return None  # the current folder was removed
    return here if here.is_file() else None


def text_of(path: Path) -> str:
    """Return the text of the settings file *path*.

    Raises SettingsError where others may change it, or where it is not UTF-8.
    """
    return _decoded(path, trusted(path))


def trusted(path: Path) -> bytes:
    """Return what the file *path* holds; SettingsError where others may change it."""
    try:
        trusted_files.check_file(path.absolute())
        for folder in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
            trusted_files.check_folder(folder)
        return content(os.path.realpath(path), MOST)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot read {path}: {why}") from error


def _decoded(path: Path, data: bytes) -> str:
    """Return *data* as text; raises SettingsError that says how it was saved."""
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise _saved_as("UTF-16", path, "it begins with its mark")
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"line {line} has the byte 0x{data[error.start]:02x}"
        raise _saved_as("ISO-8859-1", path, where) from error


_NAMES = {"ISO-8859-1": "Latin-1", "UTF-16": "UTF-16"}
"""How people call what iconv knows as these."""


def _saved_as(encoding: str, path: Path, why: str) -> SettingsError:
    old, new = (trusted_files.quoted(each) for each in (path, Path(f"{path}.utf-8")))
    return SettingsError(
        f"{path} must be saved as UTF-8, and looks like {_NAMES[encoding]} ({why}); "
        f"run: (umask 077; iconv -f {encoding} -t UTF-8 {old} > {new} "
        f"&& mv {new} {old})"
    )
