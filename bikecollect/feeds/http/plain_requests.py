"""The library requests, without those that guess the encoding of a text.

Loading them takes a fifth of its import, and bodies are bytes here. Requests works
without them: it takes a text without a stated encoding for UTF-8.
"""

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

GUESSERS = ("chardet", "charset_normalizer")


def _import_requests() -> ModuleType:
    """Return requests, imported while the guessers seem not to be installed."""
    hidden = [name for name in GUESSERS if name not in sys.modules]
    for name in hidden:
        # For Python such a module does not exist.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that they are missing
            return import_module("requests")
    finally:
        for name in hidden:
            del sys.modules[name]


if TYPE_CHECKING:
    import requests
else:
    requests = _import_requests()

__all__ = ["requests"]
