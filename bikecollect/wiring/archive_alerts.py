"""Reports to people whether `compact` could archive the closed days."""

import logging
from collections.abc import Mapping

from bikecollect.alerts.system_state import stored_incidents
from bikecollect.core import process
from bikecollect.core.incidents import Signal
from bikecollect.core.process import Times
from bikecollect.core.run import Run
from bikecollect.core.slots import slot_at
from bikecollect.setup.settings import Settings
from bikecollect.wiring.alerting import alerter

log = logging.getLogger(__name__)

KIND = "archive"


def report_compact(settings: Settings, errors: Mapping[str, str], times: Times) -> None:
    """Report the *errors* of `compact` by system, empty for those that went well.

    Never raises: the exit code of `compact` is that of its work.
    """
    signals = {
        name: Signal("compact", error) if error else None
        for name, error in errors.items()
        if error or _is_open(settings, name)
    }
    if not signals:
        return
    now = times.clock()
    systems = [settings.system_folder(name, now) for name in settings.systems]
    run = Run(process.run_id(), "", slot_at(now, settings.seconds), now)
    try:
        alerter(settings, systems, times, {}).report_signals(KIND, signals, run)
    except Exception as error:
        log.warning("cannot report that compact failed: %s", error)
        log.debug("reporting", exc_info=True)


def _is_open(settings: Settings, name: str) -> bool:
    incidents = stored_incidents(settings.system_folder(name))
    return any(i.kind == KIND and i.closed is None for i in incidents)
