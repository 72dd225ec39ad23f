"""Build the alert channels from the settings: mail, webhook, command, ping."""

import logging
import os
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect import __version__
from bikecollect.alerts.alerter import Alerter
from bikecollect.alerts.state import AlertStateFile
from bikecollect.alerts.system_state import AlertPaths
from bikecollect.core import process
from bikecollect.core.errors import Outcome, SettingsError, StorageError
from bikecollect.core.incidents import KINDS
from bikecollect.core.process import Stop, Times
from bikecollect.core.run import Run
from bikecollect.core.secrets.redact import Redact
from bikecollect.core.slots import Slot, slot_at
from bikecollect.setup.settings import Settings
from bikecollect.setup.tables.sections import Mail
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files.durable import make_folder
from bikecollect.storage.files.entries import (
    has_entries,
    is_own,
    is_reachable,
    paths_in,
)
from bikecollect.storage.files.known_folders import namesakes
from bikecollect.storage.files.trusted_files import ROOT
from bikecollect.storage.ledger_reader import History

if TYPE_CHECKING:
    from bikecollect.alerts.delivery import Dispatcher, Hook
    from bikecollect.alerts.mail.mailer import Mailer
    from bikecollect.collect.reporting.ping import Pinger

log = logging.getLogger(__name__)

HOOK_SECONDS = 10.0


def pinger(settings: Settings) -> "Pinger | None":
    """Return the function that pings the dead-man switch, None without one."""
    if not settings.ping.url:
        return None
    from bikecollect.collect.reporting.ping import Pinger  # only with an address

    seconds = hook_seconds(settings)

    def send(signal: str) -> str:
        from bikecollect.alerts import webhooks  # needed for pings only

        return webhooks.ping(settings.ping.url, signal, seconds=seconds)

    return Pinger(send, settings.ping.start, seconds)


def report_settings(settings: Settings, error: SettingsError | None) -> bool:
    """Alert people that the settings file is invalid (*error*), or valid again.

    *settings* has the alert channels. Returns whether people were alerted.
    """
    times = Times(time.time, time.monotonic, Stop())
    alerter, state_path = settings_alerter(settings, times)
    if error is None and not is_reachable(state_path):
        return True
    now = times.clock()
    run = Run(process.run_id(), "settings", slot_at(now, settings.seconds), now)
    run = run.failed(error) if error else run.ended(Outcome.DUPLICATE)
    try:
        is_reported = alerter.report([run])
    except Exception:
        log.debug("alerting", exc_info=True)
        return False
    ping = pinger(settings)
    if error is not None and ping:
        ping.send(str(run.exit_code))
    state = AlertStateFile(state_path)
    with state.held():
        stored = state.load()
        is_over = stored and not any(i.is_open for i in stored.incidents)
        # Kept while mails wait, for example for the end of the quiet hours.
        if is_over and not (settings.mail.host and _has_mail(alerter)):
            state_path.unlink(missing_ok=True)
    return is_reported


def failed_calls_path(source: str) -> Path:
    """Return the file of the calls that could not use the settings file *source*."""
    return data_folder.alert_state_path("settings", source).with_suffix(".calls")


def late_mails_path(settings: Settings) -> Path:
    """Return the file of what `status --alert --mail` has mailed of *settings*."""
    mark = zlib.crc32(os.fsencode(settings.data))
    return data_folder.state_home() / f"late.{mark:08x}.json"


def is_of_another(system: SystemFolder, now: float) -> bool:
    """Return whether another user collects *system* now, and this one may not.

    An error of a user who may only read the data needs no alert. The
    owner and root may write: if they cannot, the disk is mounted read-only.
    """
    if os.access(system.path, os.W_OK):
        return False
    with suppress(OSError, StorageError):
        if os.geteuid() in {ROOT, system.path.stat().st_uid}:
            return False
        history = History(system.system_id, system.path)
        newest = history.newest_block(Slot(int(now) + system.interval))
        return newest is not None and newest > now - 2 * system.interval
    return False


def alerter(
    settings: Settings,
    systems: Sequence[SystemFolder],
    times: Times,
    troubles: Mapping[str, object],
) -> Alerter:
    """Return the alerter of the runs; the folders of *troubles* cannot be used."""
    home = data_folder.state_home()
    paths = {s.system_id: _alert_paths(s, str(s.path), home) for s in systems}
    unusable = frozenset(name for name, trouble in troubles.items() if trouble)
    muted = frozenset(settings.tell.mute)
    left = partial(_left_outboxes, settings, paths.values(), home)
    earlier = namesakes(settings.source, [system.path for system in systems])
    of_runs = _alerter(settings, times, paths, muted, unusable=unusable)
    return replace(of_runs, left=left, namesakes=earlier)


def settings_alerter(settings: Settings, times: Times) -> tuple[Alerter, Path]:
    """Return the alerter of the settings file itself, and the path of its state."""
    home = data_folder.state_home()
    # Of each settings file: their mails have different recipients.
    path = home / data_folder.alert_state_path("settings", settings.source, home).stem
    system = SystemFolder("settings", path, ZoneInfo("UTC"), settings.seconds)
    paths = _alert_paths(system, settings.source, home)
    _take_over(home / "settings" / "outbox", paths.spare_outbox)
    others = frozenset(KINDS) - {"settings"}
    return _alerter(settings, times, {"settings": paths}, others), paths.state_file


def _has_mail(alerter: Alerter) -> bool:
    """Return whether mails of *alerter* wait."""
    from bikecollect.alerts.mail.outbox import Outbox  # needed with mails only

    return any(
        Outbox(folder).waiting()
        for paths in alerter.systems.values()
        for folder in (paths.system.outbox, paths.spare_outbox)
    )


def _alert_paths(system: SystemFolder, known_by: str, home: Path) -> AlertPaths:
    name = system.system_id
    spare = data_folder.spare_outbox_path(name, known_by, home)
    _take_over(spare.parent / name, spare)
    return AlertPaths(
        system=system,
        spare_outbox=spare,
        state_file=data_folder.alert_state_path(name, known_by, home),
    )


def _left_outboxes(
    settings: Settings, known: Collection[AlertPaths], home: Path
) -> list[Path]:
    """Return the outboxes with entries that are of no system of *settings*.

    Systems were removed from the settings or renamed there, or are in other settings.
    *known* are those in use; the calls for the others send their mails themselves.
    """
    data = settings.data
    ours = {box for paths in known for box in (paths.system.outbox, paths.spare_outbox)}
    for name in settings.others:
        spare = data_folder.spare_outbox_path(name, str(data / name), home)
        ours |= {data / name / "outbox", spare}
    places = [place / "outbox" for place in paths_in(data)] + paths_in(home / "outbox")
    return [p for p in places if p not in ours and has_entries(p) and is_own(p)]


def _take_over(earlier: Path, outbox: Path) -> None:
    """Move the mails in *earlier*, of an earlier version, to *outbox*, if it exists."""
    with suppress(OSError, StorageError):
        if earlier.is_dir():
            make_folder(outbox.parent)
            earlier.rename(outbox)


def _alerter(
    settings: Settings,
    times: Times,
    systems: Mapping[str, AlertPaths],
    muted: frozenset[str],
    *,
    unusable: frozenset[str] = frozenset(),
) -> Alerter:
    def dispatcher() -> "Dispatcher":
        from bikecollect.alerts.delivery import Dispatcher
        from bikecollect.alerts.mail.late_problems import is_damage_mailed

        late_mails = late_mails_path(settings)
        return Dispatcher(
            systems=systems,
            mailer=mailer(settings, times),
            hooks=channels,
            hook_seconds=hook_seconds(settings),
            version=__version__,
            period=settings.mail.digest,
            unusable=unusable,
            zone=mail_zone(settings.mail),
            redact=wording(settings),
            is_mailed=lambda *what: is_damage_mailed(late_mails, times.clock(), *what),
        )

    channels, error = hooks(settings), settings.mail_error
    return Alerter(
        systems=systems,
        interval=settings.seconds,
        dispatcher=dispatcher,
        digests=bool(settings.mail.digest),
        has_channel=bool(channels or (settings.mail.host and not error)),
        muted=muted | _without_subject(settings),
        mail_settings=mail_settings(settings.mail),
        mail_errors={next(iter(systems)): error} if error else {},
        csv_days=settings.keep.csv_days,
        after=settings.mail.after,
        clock=times.clock,
    )


def _without_subject(settings: Settings) -> frozenset[str]:
    """Return the kinds of incidents about parts that *settings* do not configure."""
    has = {"mail": settings.mail.host, "mirror": settings.archive.mirror}
    return frozenset(kind for kind, setting in has.items() if not setting)


def mailer(settings: Settings, times: Times) -> "Mailer | None":
    """Return the sender of mails, None if no mail server is configured."""
    mail = settings.mail
    if not mail.host:
        return None
    from bikecollect.alerts.mail.envelope import Audience  # needed with mails only
    from bikecollect.alerts.mail.mailer import Mailer

    return Mailer(
        server=settings.mail_server(),
        audience=Audience(mail.sender, mail.to, mail.escalate_to, mail_settings(mail)),
        clock=times.clock,
        seconds=min(20.0, settings.seconds / 6),
        is_quiet=partial(_is_quiet, mail),
        interval=settings.seconds,
    )


def required_mailer(settings: Settings, times: Times) -> "Mailer":
    """Return the sender of mails for ``--mail``; raises SettingsError without one."""
    sender = mailer(settings, times)
    if sender is None:
        raise SettingsError("--mail requires [mail] in the settings: host, sender, to")
    return sender


def wording(settings: Settings) -> Redact:
    """Return what prepares a text for a mail: without secrets, its commands in full."""
    from bikecollect.setup import program  # needed with mails only

    source = Path(settings.source) if settings.source else None
    command = program.command_line(source, shard=settings.shard)
    return lambda text: program.expand_commands(settings.redact(text), command)


def mail_zone(mail: Mail) -> ZoneInfo | None:
    """Return the time zone used in mails, None for that of this machine."""
    return ZoneInfo(mail.timezone) if mail.timezone else None


def _is_quiet(mail: Mail, moment: float) -> bool:
    """Return whether mails wait at *moment*."""
    from bikecollect.alerts.mail.quiet import QuietHours

    hours = QuietHours.parse(mail.quiet)
    return hours is not None and hours.includes(moment, mail_zone(mail))


def mail_settings(mail: Mail) -> str:
    """Return the fingerprint of the mail settings, empty if there are none."""
    if not mail.host:
        return ""
    server = (mail.host, mail.port, mail.security, mail.user, mail.ca_bundle)
    values = repr((server, mail.sender, mail.to, mail.escalate_to))
    return sha256(values.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def hooks(settings: Settings) -> "dict[str, Hook]":
    """Return the alert channels other than mail, by name."""
    channels: dict[str, Hook] = {}
    if settings.tell.webhook:
        channels["webhook"] = partial(_post, settings.tell.webhook)
    if settings.tell.command:
        channels["command"] = partial(_run_command, settings.tell.command)
    return channels


def _post(url: str, text: str, _: Mapping[str, str], seconds: float) -> str:
    from bikecollect.alerts import webhooks  # needed for an alert only

    return webhooks.post(url, text, seconds=seconds)


def _run_command(
    argv: Sequence[str], text: str, variables: Mapping[str, str], seconds: float
) -> str:
    from bikecollect.alerts import webhooks

    return webhooks.command(argv, text, variables, seconds=seconds)


def hook_seconds(settings: Settings) -> float:
    """Return how long a ping, a webhook or a command may take, in seconds."""
    return min(HOOK_SECONDS, settings.seconds / 12)
