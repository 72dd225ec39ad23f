"""The library requests, without the libraries that guess the encoding of a text.

They take a fifth of its import time and are not needed: bodies are bytes here.
Without them requests reads a text without a stated encoding as UTF-8. Its connections
skip interim responses.
"""

import sys
import warnings
from http.client import HTTPException, HTTPResponse, parse_headers
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

GUESSERS = ("chardet", "charset_normalizer")
INTERIM, MAX_INTERIM = range(100, 200), 100
SWITCHING = 101
"""The only final response of these; no request here asks for it."""


class FinalResponse(HTTPResponse):
    """The response after the interim ones, of which Python skips only the status 100.

    RFC 9110, 15.2: a client must accept any, such as 103 (early hints).
    """

    _skipped = 0

    def _read_status(self) -> Any:
        while True:
            line = super()._read_status()  # type: ignore[misc]
            if line[1] not in INTERIM or line[1] == SWITCHING:
                return line
            parse_headers(self.fp)
            self._skipped += 1
            if self._skipped > MAX_INTERIM:
                raise HTTPException(f"got more than {MAX_INTERIM} interim responses")


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
    sys.modules["urllib3.connection"].HTTPConnection.response_class = FinalResponse

__all__ = ["requests"]
