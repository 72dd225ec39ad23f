"""The one data service of a process, opened before anybody asks."""

import atexit
from contextlib import suppress
from functools import cache
from importlib import import_module

from bikecollect.app.queries.service import DataService
from bikecollect.core.errors import BikecollectError
from bikecollect.setup import loader

HEAVY = ("duckdb", "pandas", "pyarrow")


@cache
def data_service() -> DataService:
    """Return what answers all questions, by the settings of the environment."""
    made = DataService(loader.load(None))
    atexit.register(made.close)
    return made


def warm() -> None:
    """Load what the first page needs, and open its system; troubles are told there."""
    for each in HEAVY:
        import_module(each)
    with suppress(BikecollectError):
        found = data_service()
        found.opened(next(iter(found.settings.systems)))
