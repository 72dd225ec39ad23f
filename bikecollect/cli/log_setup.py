"""Logging of a command to stderr: warnings, and more with --verbose."""

import logging
import sys

from bikecollect.cli.options import Screen
from bikecollect.core.logs import Json, Text

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Quiet(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that ignores its own failures, such as a full or closed stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Drop a message that cannot be written."""


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether *record* was not reported in another way, such as by mail."""
    return not getattr(record, "told", False)


def _safe(text: str) -> str:
    """Return *text* without the secrets known so far."""
    return Screen.person(text)


def set_up(verbose: int, form: str) -> None:
    """Log warnings and errors to stderr, and more with *verbose* 1 or 2.

    What was mailed is skipped, as cron would mail it again, unless stderr is a
    terminal. The loggers always pass lines of runs, for the log file.
    """
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    handler = _Quiet(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(Json(_safe) if form == "json" else Text(_safe, times=False))
    if not verbose and not sys.stderr.isatty():
        handler.addFilter(_is_news)
    root = logging.getLogger("bikecollect")
    root.handlers[:] = [handler]
    root.setLevel(min(level, logging.INFO))
    root.propagate = False
