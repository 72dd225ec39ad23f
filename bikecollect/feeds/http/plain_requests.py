"""The library requests, without the libraries that guess the encoding of a text.

They take a fifth of its import time and are not needed: bodies are bytes here.
Without them requests reads a text without a stated encoding as UTF-8.
"""

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

GUESSERS = ("chardet", "charset_normalizer")


def _import_requests() -> ModuleType:
    """Return requests, imported as if the `GUESSERS` were not installed."""
    hidden = [name for name in GUESSERS if name not in sys.modules]
    for name in hidden:
        # An import of a module that is None raises ModuleNotFoundError.
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
