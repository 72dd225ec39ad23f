"""Log records as text and JSON, the log file beside each system's data, stages."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from bikecollect.core.errors import plain
from bikecollect.core.secrets.redact import Redact, redacted_values, unredacted
from bikecollect.core.text import shortened, visible, visible_json

NAME = "bikecollect.log"
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
FLAGS |= os.O_NONBLOCK  # a FIFO must not block
MAX_TEXT = 20_000
"""Characters of a message, and of a traceback."""
STAGES = "bikecollect.stages"
"""The logger for the screen only: its numbers are in the ledger already."""
stages = logging.getLogger(STAGES)
_current: ContextVar[tuple[str, str]] = ContextVar("run", default=("", ""))


def current_system() -> str:
    """Return the system whose run this thread works on; empty outside of runs."""
    return _current.get()[0]


@contextmanager
def of_run(system_id: str, run_id: str) -> Iterator[None]:
    """Mark all log records of this thread as those of the run *run_id*."""
    token = _current.set((system_id, run_id))
    try:
        yield
    finally:
        _current.reset(token)


class Text(logging.Formatter):
    """One line per message, its traceback indented below, without secrets.

    Without *times* it names the system, for a screen that all systems share.
    """

    def __init__(self, redact: Redact = unredacted, *, times: bool = True) -> None:
        super().__init__()
        self._redact = redact
        self._times = times

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as text."""
        text = visible(shortened(self._redact(plain(record.getMessage())), MAX_TEXT))
        if record.exc_info:
            trace = self._redact(self.formatException(record.exc_info))
            lines = visible(shortened(trace, MAX_TEXT), lines=True).split("\n")
            # Indented, so that no line of a traceback looks like a message.
            text = "\n  ".join([text, *lines])
        system_id, run_id = _current.get()
        if not self._times:
            is_named = text.startswith((f"{system_id}: ", f"{system_id} "))
            name = "" if is_named or not system_id else f"{system_id}: "
            return f"bikecollect: {name}{text}"
        return f"{_moment(record)} {record.levelname:<7} {run_id or '-':<8} {text}"


class Json(logging.Formatter):
    """One JSON object per message: time, level, system, run_id, message, numbers."""

    def __init__(self, redact: Redact = unredacted) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON."""
        system_id, run_id = _current.get()
        values: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "system": system_id or None,
            "run_id": run_id or None,
            "message": plain(record.getMessage()),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        values = redacted_values(values | getattr(record, "numbers", {}), self._redact)
        short = ((k, v) for k, v in values.items() if isinstance(v, str))
        return visible_json(values | {k: shortened(v, MAX_TEXT) for k, v in short})


JSON_KEYS: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "when it was written"),
    "level": ("text", "debug, info, warning, error, critical"),
    "logger": ("text", "the part of the program"),
    "system": ("text", "the system's name", "null if it concerns none"),
    "run_id": ("text", "id of the run, for `runs show`", "null outside a run"),
    "message": ("text", "the line for people"),
    "traceback": ("text", "where in the program", "absent without one"),
}
"""The keys of `Json`, see `run_lines.RUN_KEYS`."""


class RunLogs(logging.Handler):
    """Appends the log records of a run to the log file in its system's folder.

    Those that were already appended (`is_filed`) are left out.
    *folders* maps system ids to writable folders. A log that cannot be written is
    ignored, because the ledger records every run. *room* is called with a folder and a
    number of bytes; it raises OSError if the folder must not grow by that much.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        *,
        max_bytes: int,
        files: int,
        room: Callable[[Path, int], object] = lambda _folder, _size: None,
    ) -> None:
        super().__init__(logging.INFO)
        self._folders, self._room = folders, room
        self._max_bytes = max_bytes
        self._files = files

    def emit(self, record: logging.LogRecord) -> None:
        """Append *record* in one write, so that lines of two runs do not mix."""
        folder = self._folders.get(_current.get()[0])
        is_filed = getattr(record, "is_filed", False)
        if folder is None or record.name == STAGES or is_filed:
            return
        line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        with suppress(OSError):
            self._room(folder, len(line))
            path = folder / NAME
            self._roll(path)
            fd = os.open(path, FLAGS, 0o640)
            try:
                os.write(fd, line)
            finally:
                os.close(fd)

    def _roll(self, path: Path) -> None:
        """Start a new file if *path* is full, and delete the oldest one."""
        if _size(path) < self._max_bytes:
            return
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _size(path) < self._max_bytes:
                return  # another process has started the new file, or is about to
            names = [path]  # to the first free one: there may be a million
            while len(names) <= self._files and names[-1].exists():
                names.append(path.with_name(f"{NAME}.{len(names)}"))
            for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
                with suppress(FileNotFoundError):
                    newer.rename(older)
            if not self._files:
                path.unlink(missing_ok=True)
        finally:
            os.close(fd)


def _size(path: Path) -> int:
    """Return the size of the file *path*, 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def logged(handler: logging.Handler) -> Iterator[logging.Handler]:
    """Add *handler* to the logger of the package during the context; yield it."""
    logger = logging.getLogger("bikecollect")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


def formatter(form: str, redact: Redact) -> logging.Formatter:
    """Return the formatter for *form*, ``text`` or ``json``."""
    return Json(redact) if form == "json" else Text(redact)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).astimezone()
    return moment.isoformat(timespec="seconds")


class Stopwatch:
    """Measures the stages of a run of the system *name*.

    *seconds* maps each stage to its duration; durations of a repeated stage add up.
    """

    def __init__(self, name: str = "") -> None:
        self.seconds: dict[str, float] = {}
        self._name = name

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measure the block of code as *stage*."""
        started = time.monotonic()
        try:
            yield
        finally:
            passed = time.monotonic() - started
            self.seconds[stage] = self.seconds.get(stage, 0.0) + passed
            stages.info("%s: %-7s %8.3f s", self._name, stage, passed)
