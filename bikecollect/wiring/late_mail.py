"""Mails about problems that `fetch` cannot report itself: that it does not run."""

import json
import logging
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from bikecollect import __version__
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.process import Times
from bikecollect.core.slots import DAY, Slot, stamp
from bikecollect.core.text import visible
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import state_home
from bikecollect.storage.files import durable
from bikecollect.wiring import alerting

log = logging.getLogger(__name__)

OTHER = "other"
NEXT_STEPS = "Next steps:\n  bikecollect schedule show\n  bikecollect doctor\n"


def mail_problems(
    settings: Settings, problems: Mapping[str, str], times: Times
) -> bool:
    """Mail *problems* (a line each, by system); return whether people were informed.

    The same problem is mailed once a day. A mail that cannot be sent waits in the
    outbox for the next run of `fetch` or of this command.
    """
    from bikecollect.alerts.mail.outbox import Outbox  # needed with mails only
    from bikecollect.alerts.messages import Letter

    mailer = alerting.mailer(settings, times)
    if mailer is None:
        raise SettingsError("--mail requires [mail] in the settings: host, sender, to")
    now = times.clock()
    path = _state_path(settings)
    mailed = {name: at for name, at in _read(path).items() if name in problems}
    new = [name for name in problems if not 0 <= now - mailed.get(name, 0.0) < DAY]
    # Not in the data folder, which may be unusable.
    outbox = Outbox(state_home() / "outbox" / next(iter(settings.systems), OTHER))
    is_safe = True
    if new:
        name = f"{stamp(Slot(int(now)))}.late"
        lines = "".join(f"{visible(problems[name])}\n" for name in new)
        sender = f"bikecollect {__version__} on {os.uname().nodename}"
        body = settings.redact(f"{lines}\n{NEXT_STEPS}\n-- \n{sender}\n")
        is_safe = mailer.spool(outbox, Letter(name, _subject(new, problems), body))
        mailed |= dict.fromkeys(new, now) if is_safe else {}
    _write(path, mailed)
    if outbox.waiting():
        mailer.drain([outbox])
    return is_safe


def _subject(names: list[str], problems: Mapping[str, str]) -> str:
    if len(names) == 1:
        return visible(f"[bikecollect] {problems[names[0]]}")
    return visible(f"[bikecollect] {names[0] or 'all'} and {len(names) - 1} more: late")


def _state_path(settings: Settings) -> Path:
    mark = zlib.crc32(os.fsencode(settings.data))
    return state_home() / f"late.{mark:08x}.json"


def _read(path: Path) -> dict[str, float]:
    """Return when each system's problem was mailed, empty if unknown."""
    try:
        times = json.loads(path.read_bytes())
        return {name: float(at) for name, at in times.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write(path: Path, mailed: Mapping[str, float]) -> None:
    try:
        durable.make_folder(path.parent)
        temporary = path.with_suffix(".tmp")
        durable.write_file(temporary, json.dumps(mailed).encode())
        temporary.replace(path)
    except (OSError, StorageError) as error:
        log.warning("cannot write %s: %s", path, error)
