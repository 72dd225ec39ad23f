"""Logging of a command to stderr: warnings, and more with --verbose."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TextIO, TypeVar

from bikecollect.cli.printing import Screen
from bikecollect.core.errors import ExitCode
from bikecollect.core.logs import Json, Text, current_system
from bikecollect.core.text import visible

T = TypeVar("T")
FEW_COLUMNS = 80
"""The columns of a terminal whose width is unknown."""
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Quiet(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that ignores its own failures, such as a full or closed stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Drop a message that cannot be written."""


class _Lines(_Quiet):
    """A handler for a person's pipe or dumb terminal: it also shows the first retry.

    Later ones are left out: they would be many lines.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._retrying: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether *record* is shown: a warning, or a system's first retry."""
        if not hasattr(record, "progress"):
            return record.levelno >= logging.WARNING and bool(super().filter(record))
        is_first = current_system() not in self._retrying
        self._retrying.add(current_system())
        return is_first

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as text; of a retry, its short form."""
        if not (text := getattr(record, "progress", "")):
            return super().format(record)
        return f"bikecollect: {_of_system(text)}"


class _Progress(_Quiet):
    """A handler for a terminal: the next message replaces a line of progress.

    It shows warnings, and the end of each successful run.
    """

    _has_progress = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether *record* is shown: a warning, progress, or a run's end."""
        numbers = getattr(record, "numbers", {"exit_code": None})
        is_success = numbers["exit_code"] == ExitCode.OK
        is_shown = record.levelno >= logging.WARNING or is_success
        return is_shown or getattr(record, "progress", False)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, replacing the progress shown before."""
        progress = getattr(record, "progress", "")
        if not progress:
            self.show("")
            super().emit(record)
            return
        self.show(_of_system(progress))

    def show(self, text: str) -> None:
        """Write *text* over the progress shown before; an empty one only removes it."""
        if not text and not self._has_progress:
            return
        columns = FEW_COLUMNS
        with suppress(OSError, ValueError):
            columns = os.get_terminal_size(self.stream.fileno()).columns or columns
        with suppress(OSError, ValueError):
            self.stream.write(f"\r{_cut(visible(text), columns - 1)}\x1b[K")
            self.stream.flush()
        self._has_progress = bool(text)


def _cut(text: str, columns: int) -> str:
    """Return *text* in at most *columns*, with a mark if it is longer.

    >>> _cut("市政府: retry 1 in 2 s", 16)
    '市政府: retry 1…'
    """
    if len(text) <= columns and text.isascii():
        return text
    from bikecollect.cli.render.table import shortened  # not needed by cron

    return shortened(text[: columns + 1], columns)


def show_progress(text: str) -> None:
    """Show *text* on a terminal until the next message; an empty text removes it."""
    for handler in logging.getLogger("bikecollect").handlers:
        if isinstance(handler, _Progress):
            handler.show(text)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show *text* on a terminal while the block runs."""
    show_progress(text)
    try:
        yield
    finally:
        show_progress("")


def awaited(results: Iterable[T], text: str) -> Iterator[T]:
    """Yield *results*; show *text* and their number while waiting for the next one."""
    iterator, number = iter(results), 0
    while True:
        counted = f"{text} ({number} so far) ..." if number else f"{text} ..."
        with progress(counted):
            try:
                result = next(iterator)
            except StopIteration:
                return
        number += 1
        yield result


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether *record* was not reported in another way, such as by mail."""
    return not getattr(record, "is_reported", False)


def _of_system(text: str) -> str:
    """Return *text* after the name of this thread's system, without secrets."""
    system_id = current_system()
    return visible(_safe(f"{system_id}: {text}" if system_id else text))


def _safe(text: str) -> str:
    """Return *text* without the secrets known so far."""
    return Screen.person(text)


def _is_journal(stream: TextIO) -> bool:
    """Return whether *stream* is the log of a service of systemd, which mails nothing.

    Processes of the service inherit the variable, also if their output goes elsewhere.
    """
    journal = os.environ.get("JOURNAL_STREAM")
    if not journal:
        return False
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return False
    return journal == f"{status.st_dev}:{status.st_ino}"


def set_up(verbose: int, form: str) -> None:
    """Log warnings and errors to stderr, and more with *verbose* 1 or 2.

    Unless stderr is a terminal or the journal, messages that were mailed are skipped,
    because cron would mail them again. If the command was begun at a terminal, a retry
    is shown even if stderr is none. Lines of runs are always passed on to the log file.
    """
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    is_by_hand = sys.stdin is not None and sys.stdin.isatty()
    handler = _Quiet(sys.stderr)
    handler.setLevel(level)
    if (is_terminal or is_by_hand) and not verbose and form != "json":
        handler = (_Progress if is_terminal else _Lines)(sys.stderr)
    handler.setFormatter(Json(_safe) if form == "json" else Text(_safe, times=False))
    if not verbose and not sys.stderr.isatty() and not _is_journal(sys.stderr):
        handler.addFilter(_is_news)
    root = logging.getLogger("bikecollect")
    root.handlers[:] = [handler]
    Screen.clear = partial(show_progress, "")
    root.setLevel(min(level, logging.INFO))
    root.propagate = False
