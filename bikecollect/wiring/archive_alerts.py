"""Alert people if closed days could not be archived or copied to the mirror."""

import logging
from collections.abc import Mapping
from contextlib import suppress

from bikecollect.alerts.system_state import stored_incidents
from bikecollect.archive.mirror.waiting import mirror_standing
from bikecollect.core import process
from bikecollect.core.errors import StorageError
from bikecollect.core.incidents import Signal
from bikecollect.core.logs import logged
from bikecollect.core.process import Times
from bikecollect.core.run import Run
from bikecollect.core.slots import slot_at
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import is_marked
from bikecollect.storage.repair.lost_days import ArchiveDamage, find_lost_days
from bikecollect.wiring.alerting import alerter, is_of_another

log = logging.getLogger(__name__)

ARCHIVE, MIRROR, DISK = "archive", "mirror", "disk"
"""The kinds of incidents."""
COMPACT, LOST = "compact", "archive-lost"
"""The causes of an incident about the archive: what failed, or lost days."""


def report_compact(settings: Settings, errors: Mapping[str, str], times: Times) -> None:
    """Report the *errors* of `compact` by system; an empty text stands for success.

    Never raises, so that alerts do not change the exit code of `compact`.
    """
    _report(settings, ARCHIVE, COMPACT, errors, times)


def report_push(settings: Settings, errors: Mapping[str, str], times: Times) -> None:
    """Report the *errors* of copying to the mirror; see `report_compact`."""
    _report(settings, MIRROR, "mirror", errors, times)


def report_live_push(
    settings: Settings, errors: Mapping[str, str], times: Times
) -> None:
    """Report the *errors* of copying open days to the mirror; see `report_push`.

    Success does not close an open incident: the next `push` of closed days does.
    """
    address = settings.archive.mirror
    errors = {
        name: error
        for name, error in errors.items()
        if error or not mirror_standing(settings.data, name, address).error
    }
    _report(settings, MIRROR, "mirror", errors, times)


def _report(
    settings: Settings, kind: str, cause: str, errors: Mapping[str, str], times: Times
) -> None:
    now = times.clock()
    signals = {
        name: _signal(settings, name, cause, error) if error else None
        for name, error in errors.items()
        if error or _is_open(settings, name, kind)
        if not (error and _is_explained(settings, name, kind))
        if not is_of_another(settings.system_folder(name, now), now)
    }
    if not signals:
        return
    systems = [settings.system_folder(name, now) for name in settings.systems]
    run = Run(process.run_id(), "", slot_at(now, settings.seconds), now)
    from bikecollect.wiring.collection import run_logs  # only if there is a signal

    folders = {s.system_id: s.path for s in systems if is_marked(s.path)}
    try:
        with logged(run_logs(settings, folders)):
            alerter(settings, systems, times, {}).report_signals(kind, signals, run)
    except Exception as error:
        log.warning("cannot report that `%s` failed: %s", cause, error)
        log.debug("reporting", exc_info=True)


def _signal(settings: Settings, name: str, cause: str, error: str) -> Signal:
    """Return the signal of *error*; if archived days are lost, it is about these."""
    lost: list[ArchiveDamage] = []
    if cause == COMPACT:
        with suppress(StorageError):  # reported by `status`
            lost = find_lost_days(settings.system_folder(name))
    texts = dict.fromkeys([*(damage.text for damage in lost), error])
    return Signal(LOST if lost else cause, "\n".join(texts))


def _is_explained(settings: Settings, name: str, kind: str) -> bool:
    """Return whether people know that the disk cannot be used, which explains it.

    Once that is over, the next failure is reported; lost days are in any case.
    """
    if _is_open(settings, name, kind) or not _is_open(settings, name, DISK):
        return False
    with suppress(StorageError):
        return not find_lost_days(settings.system_folder(name))
    return True


def _is_open(settings: Settings, name: str, kind: str) -> bool:
    incidents = stored_incidents(settings.system_folder(name))
    return any(i.kind == kind and i.closed is None for i in incidents)
