"""Output files: written aside, then renamed to the path that the user gave.

An existing entry is never opened. A link is replaced and not followed, so that a
planted link has no effect; a FIFO, a socket or a block device is rejected.
"""

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from bikecollect.cli.options import check_parent
from bikecollect.cli.printing import complain, is_on_terminal
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.storage.files import flock

STREAMS = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
DESCRIPTORS = ("/dev/fd", "/proc/self/fd")
ENDINGS = {
    "csv": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
    "parquet": "parquet",
    "pq": "parquet",
    "xlsx": "xlsx",
}
"""Formats of tables by the extension of a file's name."""
PLAIN = frozenset({"txt", "text", "dat", "out"})
SHEETS = frozenset({"xlsx", "xls", "xlsm", "xlsb", "ods", "fods", "numbers"})
DOCUMENTS = frozenset({"pdf", "ps", "doc", "docx", "odt", "rtf", "ppt", "pptx", "epub"})
IMAGES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp"})
ARCHIVES = frozenset({"gz", "bz2", "xz", "zst", "zip", "7z", "tar", "tgz"})
DATABASES = frozenset({"sqlite", "sqlite3", "db", "duckdb", "arrow", "feather"})
FOREIGN = SHEETS | DOCUMENTS | IMAGES | ARCHIVES | DATABASES
"""Extensions of formats that no command writes: other programs expect these there."""
PART = re.compile(r"\.[0-9a-f]{8}\.part")
NEW = 60.0
"""Seconds for which an empty temporary file may be new and not locked yet."""
STOPPED = "Query interrupted"
"""What DuckDB raises, as a RuntimeError, for Ctrl-C during a query."""
FLAGS = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def written(path: Path, mode: int = 0) -> Iterator[TextIO]:
    """Yield a file for text, see `placed`."""
    with placed(path, mode) as fd, text_file(fd) as out:
        yield out


def say_written(path: Path) -> None:
    """Print on a terminal that *path* was written, and its size."""
    if is_on_terminal() and not is_stream(path):
        complain(f"{path.stat().st_size:,} bytes: {path}")


def text_file(fd: int) -> TextIO:
    """Return *fd* as a file for text; *fd* stays open when that is closed."""
    return os.fdopen(fd, "w", encoding="utf-8", newline="", closefd=False)


@contextmanager
def placed(path: Path, mode: int = 0) -> Iterator[int]:
    """Yield a descriptor; its content appears at *path* when it is complete.

    If the context raises, *path* is unchanged. The file gets the permissions *mode*; if
    that is 0, those of the existing file. Streams (``-``, ``/dev/stdout``,
    ``/dev/fd/3``) and character devices are written to directly. Raises UsageError if
    *path* is a FIFO or the like, StorageError if it cannot be created.
    """
    direct = _stream(path)
    if direct is not None:
        try:
            yield direct
        finally:
            os.close(direct)
        return
    aside, fd = _aside(path, mode)
    try:
        yield fd
        os.fsync(fd)
        _rename(aside, path)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        complain_if_stopped(error, path)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # errors of a descriptor name no file
        raise
    finally:
        os.close(fd)


def is_stopped(error: BaseException) -> bool:
    """Return whether *error* means a signal, such as Ctrl-C."""
    is_query = isinstance(error, RuntimeError) and str(error) == STOPPED
    return is_query or isinstance(error, KeyboardInterrupt)


def complain_if_stopped(error: BaseException, output: Path) -> None:
    """Print what became of *output*, if *error*, which ended its writing, is a signal.

    Parts of a larger result are not named.
    """
    if is_stopped(error) and not PART.search(str(output.parent)):
        state = "is unchanged" if output.exists() else "was not written"
        complain(f"interrupted: {output} {state}")


def _stream(path: Path) -> int | None:
    """Return a descriptor of the stream or device at *path*, None for a file."""
    number = STREAMS.get(str(path))
    if str(path.parent) in DESCRIPTORS and path.name.isdecimal():
        number = int(path.name)
    try:
        if number is not None:
            return os.dup(number)
        kind = path.lstat().st_mode
        if stat.S_ISCHR(kind):
            return os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror}") from error
    if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
        raise UsageError(
            f"{path} is not a file; to write into a pipe: -o /dev/stdout | ..."
        )
    return None


def _aside(path: Path, mode: int) -> tuple[Path, int]:
    """Create a file beside *path*; return path and descriptor, locked until closed."""
    check_parent(path)
    aside = path.with_name(f".{path.name[:200]}.{os.urandom(4).hex()}.part")
    try:
        _sweep(path)
        fd = os.open(aside, FLAGS | os.O_RDWR, mode or 0o666)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    with suppress(OSError):
        flock.try_lock(fd)
    with suppress(OSError):
        os.fchmod(fd, mode or _permissions(path, os.fstat(fd).st_mode))
    return aside, fd


def make_listable(folder: Path) -> None:
    """Let everybody list *folder*, where that is possible.

    A folder of another user, or on FAT or a network disk, keeps its permissions.
    """
    with suppress(PermissionError):
        folder.chmod(0o755)


def _permissions(path: Path, new: int) -> int:
    """Return the permissions of the file *path*, or *new* if it does not exist."""
    with suppress(FileNotFoundError):
        there = path.lstat().st_mode
        if stat.S_ISREG(there):
            return stat.S_IMODE(there) & 0o777
    return stat.S_IMODE(new)


def _sweep(path: Path) -> None:
    """Remove temporary files of killed calls beside *path*, which are not locked."""
    begin = f".{path.name[:200]}"
    for old in path.parent.iterdir():
        if old.name.startswith(begin) and PART.fullmatch(old.name[len(begin) :]):
            with suppress(OSError):
                _remove_leftover(old)


def _remove_leftover(old: Path) -> None:
    fd = os.open(old, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        is_young = time.time() - info.st_mtime < NEW
        if (info.st_size or not is_young) and flock.try_lock(fd):
            old.unlink()
    finally:
        os.close(fd)


def _rename(aside: Path, path: Path) -> None:
    try:
        aside.rename(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def is_stream(path: Path) -> bool:
    """Return whether *path* is a stream or a device, not a regular file."""
    named = str(path) in STREAMS or str(path.parent) in DESCRIPTORS
    return named or path.is_char_device()


def format_of(
    form: str | None,
    output: Path | None,
    default: str,
    known: Mapping[str, str] = ENDINGS,
) -> str:
    """Return the format to write to *output*, which is *form* if given.

    Otherwise the extension of its name says it, as in *known*: *default* is for the
    screen, and for names that say nothing; texts may have any other extension. Raises
    UsageError for the extension of another format, which the file would not have.

    >>> format_of(None, Path("out.pq"), "csv"), format_of(None, Path("out"), "csv")
    ('parquet', 'csv')
    >>> format_of(None, Path("gaps.md"), "text", {"csv": "csv"})
    'text'
    """
    ending = _ending(output)
    named = known.get(ending, form or default)
    is_told = ending in known or ending in PLAIN or not ending
    is_free = (form or default == "text") and ending not in FOREIGN | ENDINGS.keys()
    if named != (form or named) or not (is_told or is_free):
        plain = {"txt": default} if default == "text" else {}
        raise _misnamed(output, ending, form, {**plain, **known})
    form = form or named
    if form == "xlsx" and (output is None or is_stream(output) or ending != form):
        raise UsageError("a workbook goes to a file; give --output FILE.xlsx")
    if form == "parquet" and output is None:
        raise UsageError("Parquet goes to a file; give --output FILE.parquet")
    return form


def _ending(output: Path | None) -> str:
    if output is None or is_stream(output):
        return ""
    return output.suffix.lower().removeprefix(".")


def _misnamed(
    output: Path | None, ending: str, form: str | None, known: Mapping[str, str]
) -> UsageError:
    names = [name for name in known if known[name] == form] or ["txt"]
    hint = "; or leave out --format" * (ending in known)
    if form is None:
        names = [*known]
        hint = "; spreadsheets open .xlsx best" * (ending in SHEETS and "xlsx" in known)
    option = f"--format {form} " * bool(form)
    listed = ", ".join(f".{name}" for name in names)
    return UsageError(
        f"-o {output}: {option}cannot write .{ending}, but {listed}{hint}"
    )
