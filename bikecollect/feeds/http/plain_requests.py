"""The library requests, without those that guess the encoding of a text.

Loading them takes a fifth of its import, and bodies are bytes here. Requests works
without them: it takes a text without a stated encoding for UTF-8.
"""

import sys
import warnings
from importlib import import_module

GUESSERS = ("chardet", "charset_normalizer")


def _import_requests() -> None:
    """Import requests while the guessers seem not to be installed."""
    hidden = [name for name in GUESSERS if name not in sys.modules]
    for name in hidden:
        # For Python such a module does not exist.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that they are missing
            import_module("requests")
    finally:
        for name in hidden:
            del sys.modules[name]


_import_requests()

import requests  # noqa: E402 - see above

__all__ = ["requests"]
