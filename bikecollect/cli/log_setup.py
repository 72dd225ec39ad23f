"""Logging for a command: to stderr, warnings only unless asked for more."""

import logging
import sys

from bikecollect.cli.options import Screen
from bikecollect.core.logs import Json, Text

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Quiet(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler whose own failure (a full or closed stderr) is nobody's trouble."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Let a message that cannot be written go."""


def _untold(record: logging.LogRecord) -> bool:
    """Tell whether nobody has been told of *record* in another way."""
    return not getattr(record, "told", False)


def _safe(text: str) -> str:
    """Return *text* without the secrets that are known by now."""
    return Screen.person(text)


def set_up(verbose: int, form: str) -> None:
    """Send to stderr what a person may act on, and more with *verbose* 1 or 2.

    What was mailed is left out, unless a person looks on: cron would mail it again.
    The loggers let lines of runs pass for the log file, whatever is shown here.
    """
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    handler = _Quiet(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(Json(_safe) if form == "json" else Text(_safe, times=False))
    if not verbose and not sys.stderr.isatty():
        handler.addFilter(_untold)
    root = logging.getLogger("bikecollect")
    root.handlers[:] = [handler]
    root.setLevel(min(level, logging.INFO))
    root.propagate = False
