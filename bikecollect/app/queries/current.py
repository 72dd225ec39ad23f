"""The data service of this process, opened before the first request."""

import atexit
import os
from contextlib import suppress
from functools import cache
from importlib import import_module

from bikecollect.app.queries.service import DataService
from bikecollect.core.errors import BikecollectError
from bikecollect.setup import loader

PUBLIC = "BIKECOLLECT_APP_PUBLIC"
"""The environment variable that is set if the app is public."""
HEAVY = ("duckdb", "pandas", "pyarrow")


@cache
def data_service() -> DataService:
    """Return the data service for the settings named by the environment."""
    service = DataService(loader.load(None), is_public=bool(os.environ.get(PUBLIC)))
    atexit.register(service.close)
    return service


def warm() -> None:
    """Load the modules of the first page and open its system; the page shows errors."""
    for module in HEAVY:
        import_module(module)
    with suppress(BikecollectError):
        service = data_service()
        service.opened(next(iter(service.settings.systems)))
