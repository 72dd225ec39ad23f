"""The status of the systems of one settings file."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from bikecollect.alerts.state import AlertState
from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.core.errors import BikecollectError, StorageError
from bikecollect.reports.status import Standing, survey
from bikecollect.setup.settings import Settings
from bikecollect.storage.repair.new_history import new_histories


def survey_systems(
    settings: Settings,
    system_ids: Sequence[str],
    windows: Mapping[str, int],
    *,
    scheduled: bool | None = None,
) -> tuple[list[Standing], dict[str, BikecollectError]]:
    """Return the status of each system, and the errors of unreadable ones."""
    standings: list[Standing] = []
    errors: dict[str, BikecollectError] = {}
    for name in settings.chosen(system_ids):
        system = settings.system_folder(name)
        state = SystemAlertState.of(system).stored() or AlertState()
        try:
            standings.append(
                survey(
                    system,
                    now=time.time(),
                    noted=state.incidents,
                    seen=state.seen,
                    scheduled=scheduled,
                    windows=windows,
                    configured=_written(settings),
                    mirror=settings.archive.mirror,
                )
            )
        except BikecollectError as error:
            errors[name] = error
        except OSError as error:
            errors[name] = StorageError(f"cannot read {system.path}: {error}")
    return list(_with_histories(settings, standings)), errors


def _with_histories(
    settings: Settings, standings: Sequence[Standing]
) -> Iterator[Standing]:
    """Yield *standings*, with what is said of a new history."""
    folders = [settings.data / standing.system_id for standing in standings]
    system_of = settings.system_folder
    texts = dict(new_histories(settings.source, folders, system_of, time.time()))
    for standing in standings:
        text = texts.get(standing.system_id, "")
        yield replace(standing, health=replace(standing.health, elsewhere=text))


def _written(settings: Settings) -> float:
    """Return when the settings were written (epoch seconds), infinity if unknown."""
    try:
        return Path(settings.source).stat().st_mtime if settings.source else inf
    except OSError:
        return inf
