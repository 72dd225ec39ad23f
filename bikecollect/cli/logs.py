"""Logging for a command: to stderr, warnings only unless asked for more."""

import logging
import sys

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Quiet(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler whose own failure (a full or closed stderr) is nobody's trouble."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Let a message that cannot be written go."""


def set_up(verbose: int) -> None:
    """Send to stderr what a person may act on, and more with *verbose* 1 or 2."""
    handler = _Quiet(sys.stderr)
    handler.setFormatter(logging.Formatter("bikecollect: %(message)s"))
    root = logging.getLogger("bikecollect")
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])
    root.propagate = False
