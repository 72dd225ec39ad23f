"""The data service of this process, opened before the first request."""

import atexit
import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module

from bikecollect.app import environment
from bikecollect.app.queries.service import DataService
from bikecollect.core.errors import BikecollectError
from bikecollect.setup import loader, settings_file

HEAVY = ("duckdb", "pandas", "pyarrow")
log = logging.getLogger(__name__)


Stamp = tuple[object, ...]


@dataclass
class _SettingsFile:
    """The settings file when it was last read, and the *problem* with it, if any."""

    stamp: Stamp = ()
    problem: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


_file = _SettingsFile()


@cache
def data_service() -> DataService:
    """Return the data service for the settings named by the environment."""
    _file.stamp = settings_stamp()
    service = DataService(
        loader.load(None), is_public=bool(os.environ.get(environment.PUBLIC))
    )
    atexit.register(service.close)
    return service


def settings_stamp() -> Stamp:
    """Return a value that changes whenever the settings file is changed."""
    path = settings_file.find(None)
    try:
        status = path.stat() if path else None
    except OSError:
        return (path,)
    return (path, status and (status.st_mtime_ns, status.st_size, status.st_ino))


def refresh() -> str:
    """Use the settings file as it is now; return why it cannot be used, or "".

    Then the settings from before remain in use, and each new reason is logged: visitors
    of a public app see none. Those of the table ``app`` are always the ones with which
    the server was started.
    """
    service = data_service()
    with _file.lock:
        stamp = settings_stamp()
        if stamp == _file.stamp and not _file.problem:
            return ""
        _file.stamp = stamp
        try:
            settings = replace(loader.load(None), app=service.settings.app)
        except BikecollectError as error:
            if _file.problem != str(error):
                log.warning("the settings from before remain in use: %s", error)
            _file.problem = str(error)
        else:
            _file.problem = ""
            if settings != service.settings:
                service.use(settings)
        return _file.problem


def warm() -> None:
    """Load the modules of the first page and open its system; the page shows errors."""
    for module in HEAVY:
        import_module(module)
    with suppress(BikecollectError):
        service = data_service()
        service.opened(next(iter(service.settings.systems)))
