"""Find the settings file, read it if only trusted users can change it, replace it."""

import codecs
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError
from bikecollect.storage.files import durable, trusted_files
from bikecollect.storage.files.regular_file import read_file

FILE = "bikecollect.toml"
VARIABLE = "BIKECOLLECT_CONFIG"
"""The environment variable with the path of the settings file."""
SECRET = 0o600
"""Mode of the settings file: it may contain secrets such as a key or a ping URL."""
MAX_BYTES = 1_048_576


def find(path: str | None) -> Path | None:
    """Return the settings file for *path*, or the default one; None if none exists."""
    explicit = path or os.environ.get(VARIABLE)
    if explicit:
        return Path(explicit)
    default = usual_path()
    if default is None:
        return None
    try:
        default.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # it may exist: the loader reports why it cannot be read
    return default


def places(path: str | None) -> list[Path]:
    """Return where `find` looks for the settings file; no disk is asked."""
    explicit = path or os.environ.get(VARIABLE)
    if explicit:
        return [Path(explicit).absolute()]
    return [user_folders.place_of_settings() / user_folders.OURS / FILE]


def required(path: str | None) -> Path:
    """Return the settings file as `find` does; raises SettingsError if none exists."""
    file = find(path)
    if file is None:
        raise SettingsError("no settings file; create one: bikecollect init")
    return file


def usual_path() -> Path | None:
    """Return the default path of the settings, None for a user without a home."""
    home = user_folders.config_home()
    return None if home is None else home / user_folders.OURS / FILE


def unused_local_file() -> Path | None:
    """Return a settings file in the current folder, which is not read by default."""
    try:
        local = Path(FILE).absolute()
    except OSError:
        return None  # the current folder was removed
    return local if local.is_file() else None


def read(path: Path) -> str:
    """Return the text of the settings file *path*.

    Raises SettingsError if it does not exist, if others can write to it, or if it is
    not UTF-8.
    """
    with suppress(OSError):  # read_trusted reports the others
        _check_exists(path)
    return _decode(path, read_trusted(path))


def _check_exists(path: Path) -> None:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            f"{path} does not exist; to write a settings file: bikecollect init"
        ) from None
    refuse_folder(path)


def refuse_folder(path: Path) -> None:
    """Raise SettingsError if *path*, of the settings file, is a folder."""
    if path.is_dir():
        inside = path / FILE
        hint = f"; give the file in it: {inside}" if inside.is_file() else ""
        raise SettingsError(f"{path} is a folder, not a settings file{hint}")


def read_trusted(path: Path) -> bytes:
    """Return the bytes of *path*; raises SettingsError if others can change it."""
    try:
        trusted_files.check_file(path.absolute())
        for folder in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
            trusted_files.check_folder(folder)
        return read_file(os.path.realpath(path), MAX_BYTES)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot read {path}: {why}") from error


def _decode(path: Path, data: bytes) -> str:
    """Return *data* as text; raises SettingsError naming the probable encoding."""
    if wide := wide_encoding(data):
        is_marked = wide in _MARKS.values()
        mark = "it begins with its byte order mark"
        evidence = mark if is_marked else "every second byte is zero"
        raise _encoding_error(wide, path, evidence)
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise SettingsError(
            f"{path} is damaged: line {line} has zero bytes, which are no text; repair "
            "it, or restore it from a copy"
        )
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        evidence = f"line {line} has the byte 0x{data[error.start]:02x}"
        raise _encoding_error("ISO-8859-1", path, evidence) from error


_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # it begins with that of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def wide_encoding(data: bytes) -> str:
    """Return the encoding of *data* with two or four bytes for a letter, "" for none.

    >>> wide_encoding("a = 1".encode("utf-16-be")), wide_encoding(b"a = 1")
    ('UTF-16BE', '')
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    first, second = data[::2].count(0), data[1::2].count(0)
    if first > 9 * second and 3 * first > len(data):
        return "UTF-16BE"
    return "UTF-16LE" if second > 9 * first and 3 * second > len(data) else ""


def _encoding_error(encoding: str, path: Path, evidence: str) -> SettingsError:
    name = "Latin-1" if encoding == "ISO-8859-1" else encoding
    old = trusted_files.quoted(path)
    new = trusted_files.quoted(Path(f"{path}.utf-8"))
    return SettingsError(
        f"{path} is not UTF-8 but looks like {name} ({evidence}); "
        f"run: (umask 077; iconv -f {encoding} -t UTF-8 {old} > {new} "
        f"&& mv {new} {old})"
    )


def with_renamed_system(
    text: str, old: str, new: str, missing: Mapping[str, str]
) -> str:
    """Return the settings *text* with the system *old* renamed to *new*.

    *missing* are settings to add, which the catalogue supplied for the name *old*. Only
    tables `[systems.NAME]` and their subtables are recognised.
    """
    name = rf"""({re.escape(old)}|"{re.escape(old)}"|'{re.escape(old)}')"""
    header = re.compile(rf"^(\s*\[\s*systems\s*\.\s*){name}(\s*[].].*)$", re.MULTILINE)
    key = f'"{new}"' if "." in new else new
    text = header.sub(lambda match: f"{match[1]}{key}{match[3]}", text)
    lines = "".join(f"\n{setting} = {value}" for setting, value in missing.items())
    table = re.compile(
        rf"^\s*\[\s*systems\s*\.\s*{re.escape(key)}\s*\][^\n]*", re.MULTILINE
    )
    return table.sub(lambda match: match[0] + lines, text, count=1)


def replace(path: Path, text: str, like: os.stat_result | None = None) -> None:
    """Replace the contents of the file *path* by *text* atomically, see `prepared`."""
    with prepared(path, text, like) as put_in_place:
        put_in_place()


@contextmanager
def prepared(
    path: Path, text: str, like: os.stat_result | None = None
) -> Iterator[Callable[[], None]]:
    """Write *text* aside; yield the function that puts it in the place of *path*.

    The file has mode 0600, or owner and mode *like* another one. Raises StorageError.
    """
    temporary = durable.temporary(path)

    def put_in_place() -> None:
        with durable.writing(path):
            temporary.replace(path)
            durable.sync_folder(path.parent)

    try:
        with durable.writing(path):
            _write(temporary, text, like)
        yield put_in_place
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, text: str, like: os.stat_result | None) -> None:
    durable.make_folder(path.parent.absolute())
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(path, flags, SECRET)  # the mode is set before the first byte
    try:
        if like is not None:
            os.fchown(fd, like.st_uid, like.st_gid)
            os.fchmod(fd, stat.S_IMODE(like.st_mode))
        durable.write_all(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
