"""The checks of `doctor`; each names a remedy."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from bikecollect import __version__
from bikecollect.alerts import space, webhooks
from bikecollect.alerts.mail import headers, smtp
from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.folder import check_folder
from bikecollect.archive.mirror.object_store import ObjectStore
from bikecollect.archive.mirror.waiting import mirror_standing
from bikecollect.collect.derived_columns import chosen
from bikecollect.core.errors import (
    BikecollectError,
    NotInstalled,
    SettingsError,
    UntrustedFile,
)
from bikecollect.core.slots import DAY
from bikecollect.core.text import length, size
from bikecollect.core.timeline.facts import describe_change
from bikecollect.reports.status import survey
from bikecollect.setup import machine
from bikecollect.setup.checks import Check, Checks, bad, good, note
from bikecollect.setup.probe import try_system
from bikecollect.setup.program import page
from bikecollect.setup.scheduler.checks import other_user, schedule_checks
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.sections import Mail
from bikecollect.setup.trial import Trial
from bikecollect.storage import data_folder
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.entries import has_entries
from bikecollect.storage.files.trusted_files import quoted, user_name

ENOUGH_DAYS = 30
RECENT_DAYS = 7
MANY_DAYS = 5_000
SKEW = 60.0
FILES = ("*", "station_status/*", "payloads/*", "payloads/*/*", "outbox/*")
"""Files in a system's folder whose owner is checked."""


def examine(settings: Settings, *, network: bool, send: bool) -> Checks:
    """Yield all checks, in the order in which problems should be fixed.

    *network* allows connections to feeds and servers, *send* a test mail.
    """
    yield _python()
    yield from _settings(settings)
    demos = [name for name in settings.systems if settings.is_demo(name)]
    if demos:
        text = f"{', '.join(demos)}: the simulated city is no longer served"
        yield note(
            "demo", text, "to collect a real one: bikecollect --config FILE init"
        )
    if foreign := other_user(settings):
        yield foreign
    elif os.geteuid() == 0:
        text = "running as root: new files will belong to root"
        remedy = f"collect as a separate user: see {page('how-to/schedule-it.md')}"
        yield note("user", text, remedy)
    for name in settings.systems:
        contact = network and name not in demos
        yield from _system(name, settings, contact=contact, owned=not foreign)
    if not foreign:
        yield from _guarded("archive: folder", _archive(settings.data))
    if settings.archive.mirror:
        yield from _guarded("mirror", _mirror(settings, network=network))
    if len(demos) < len(settings.systems):
        yield from schedule_checks(settings)
    if problem := machine.state_problem():
        yield bad("alert state", *problem)
    yield from _mail(settings, network=network, send=send)
    if settings.ping.url and network:
        yield _ping(settings)


def _system(name: str, settings: Settings, *, contact: bool, owned: bool) -> Checks:
    system = settings.systems[name]
    if owned:
        yield from _guarded(f"{name}: folder", _folder(name, settings.data / name))
    yield from _guarded(f"{name}: disk", _disk(name, settings))
    yield from _columns(name, system, settings)
    yield from _facts(name, settings)
    if contact:
        yield from _feed(name, system)


def _python() -> Check:
    text = f"bikecollect {__version__}, Python {platform.python_version()}"
    return good("program", f"{text}, {sys.executable}")


def _settings(settings: Settings) -> Checks:
    if not settings.source:
        text = "no settings file: Taipei's YouBike with default settings"
        yield note("settings", text, "create one: bikecollect init")
        return
    path = Path(settings.source)
    count = len(settings.systems)
    yield good("settings", f"{path}, {count} system{'' if count == 1 else 's'}")
    if (place := trusted_files.weak_parent(path)) is not None:
        text = f"others can replace the folder {place}"
        yield note("settings", text, f"ls -ld {quoted(place.parent)}")
    yield from _command(settings)


def _command(settings: Settings) -> Checks:
    """Check the program that is run for alerts."""
    program = shutil.which((settings.tell.command or [""])[0])
    if program is None and settings.tell.command:
        text = f"program `{settings.tell.command[0]}` not found"
        yield bad("tell.command", text, "give its absolute path")
    elif program is not None:
        try:
            trusted_files.check_file(Path(program))
        except UntrustedFile as error:
            yield bad("tell.command", error.problem, error.remedy)


def _guarded(name: str, checks: Checks) -> Checks:
    """Yield *checks*; if the disk cannot be read, yield a bad check instead."""
    try:
        yield from checks
    except OSError as error:
        text = f"cannot read {error.filename or 'the folder'}: {error.strerror}"
        yield bad(name, text, "check that its disk is mounted and healthy: dmesg")


def _folder(name: str, place: Path) -> Checks:
    check_name = f"{name}: folder"
    if problem := machine.unusable(place, machine.nearest_existing(place)):
        yield bad(check_name, *problem)
        return
    if not place.exists():
        if problem := machine.not_creatable(place):
            yield bad(check_name, *problem)
            return
        text = f"{place} does not exist yet"
        yield note(check_name, text, "the first fetch creates it")
        return
    if not (place / data_folder.MARKER).exists():
        remedy = f"mount its disk; for a new folder: touch {place / data_folder.MARKER}"
        yield bad(check_name, f"{place} has no file {data_folder.MARKER}", remedy)
        return
    try:
        data_folder.check(place)
    except UntrustedFile as error:
        yield bad(check_name, error.problem, error.remedy)
        return
    yield _ownership(check_name, place, machine.with_files(place, FILES))


def _columns(name: str, system: System, settings: Settings) -> Checks:
    """Check the names of columns, and the user's own functions for them."""
    check_name = f"{name}: columns"
    try:
        troubles = chosen(system.columns, settings.folder).troubles
    except SettingsError as error:
        remedy = f"correct systems.{name}.columns in {settings.source}"
        yield bad(check_name, str(error), remedy)
        return
    for trouble in troubles:
        yield bad(check_name, trouble, "correct the function or its name")


def _facts(name: str, settings: Settings) -> Checks:
    """Note changes of time zone, interval and columns that are recent or pending."""
    now = time.time()
    for old, new in pairwise(settings.system_folder(name, now).facts):
        if new.since > now - RECENT_DAYS * DAY:
            remedy = "earlier days keep their values"
            yield note(f"{name}: changed", describe_change(old, new), remedy)


def _archive(data: Path) -> Checks:
    check_name, place = "archive: folder", data / data_folder.ARCHIVE
    if not place.exists():
        return
    if problem := machine.unusable(place, place):
        yield bad(check_name, *problem)
        return
    try:
        data_folder.check_archive(data)
    except UntrustedFile as error:
        yield bad(check_name, error.problem, error.remedy)
        return
    yield _ownership(check_name, place, machine.with_files(place, ("**/*",)))


def _mirror(settings: Settings, *, network: bool) -> Checks:
    """Check the mirror, and whether days of a system are missing in it."""
    address = settings.archive.mirror
    try:
        check_folder(MirrorAddress.parse(address), settings.data)
        store = ObjectStore(MirrorAddress.parse(address), creates=True)
        if network:
            store.find("archive")
        state = "reachable" if network else "not contacted"
        yield good("mirror", f"{address}, {state}")
    except NotInstalled:
        text = f"{address}: obstore is not installed"
        yield bad("mirror", text, "pip install 'bikecollect[cloud]'")
    except BikecollectError as error:
        yield bad("mirror", str(error), f"see {page('how-to/mirror-the-archive.md')}")
    now = time.time()
    for name in settings.systems:
        standing = mirror_standing(settings.data, name, address)
        if standing.is_behind(now):
            yield bad(f"{name}: mirror", standing.text(now), f"bikecollect push {name}")
        elif standing.waiting:
            text = standing.text(now)
            yield note(f"{name}: mirror", text, "the next `compact` copies them")
        else:
            yield good(f"{name}: mirror", standing.text(now))


def _ownership(name: str, place: Path, files: Iterable[Path]) -> Check:
    """Check the owner of all *files* in *place*: root may have created some."""
    foreign = [file for file in files if file.lstat().st_uid != os.geteuid()]
    if not foreign:
        return good(name, f"{place} belongs to {user_name(os.geteuid())}")
    owner = user_name(foreign[0].lstat().st_uid)
    others = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
    text = f"{foreign[0]} belongs to {owner}{others}"
    return bad(name, text, f"sudo chown -R {user_name(os.geteuid())} {quoted(place)}")


def _disk(name: str, settings: Settings) -> Checks:
    check_name, place = f"{name}: disk", settings.data / name
    nearest = machine.nearest_existing(place)
    kind = machine.file_system(nearest)
    if kind in machine.KERNEL_FILE_SYSTEMS or not nearest.is_dir():
        return  # reported as the folder
    if kind in machine.BAD_FILE_SYSTEMS:
        text = f"the file system is {kind}: {machine.BAD_FILE_SYSTEMS[kind]}"
        yield note(check_name, text, "use a local disk (ext4, xfs, btrfs)")
    free = shutil.disk_usage(nearest).free
    try:
        status = survey(settings.system_folder(name), now=time.time())
    except BikecollectError as error:
        is_full = "space is left" in str(error)
        remedy = "the next fetch rebuilds the ledger from the files"
        yield bad(check_name, str(error), "free some space" if is_full else remedy)
        return
    left = status.disk.days_left
    duration = ""
    if left is not None:
        duration = f", enough for {min(left, MANY_DAYS):,.0f} days"
        duration += " and more" if left > MANY_DAYS else ""
    text = f"{kind or 'unknown file system'}, {size(free)} free{duration}"
    if low := space.of_space(nearest, space.measure(nearest), ()).get("space"):
        yield bad(check_name, low.text, "df -h; df -i")
    elif left is not None and left < ENOUGH_DAYS:
        yield bad(check_name, text, "free space, or reduce keep.payload_days")
    else:
        yield good(check_name, text)
    for damage in status.health.damage if has_entries(place) else ():
        problem, _, remedy = damage.rpartition("; ")
        yield bad(f"{name}: data", problem or damage, remedy.removeprefix("run: "))


def _feed(name: str, system: System) -> Checks:
    check_name = f"{name}: feed"
    try:
        trial = try_system(name, system)
    except BikecollectError as error:
        yield bad(check_name, str(error), f"bikecollect feeds try {name}")
        return
    if trial.oddities:
        text = f"{trial.counts}; {trial.oddities[0]}"
        yield note(check_name, text, f"bikecollect feeds try {name}")
    else:
        text = f"{trial.counts}, all understood, {trial.seconds:.1f} s"
        yield good(check_name, text)
    yield from _clock(check_name, trial)


def _clock(name: str, trial: Trial) -> Checks:
    skew = trial.clock_offset
    if skew is None:
        return
    if abs(skew) > SKEW:
        text = f"this machine's clock differs from the feed's by {length(abs(skew))}"
        yield bad(name, text, "sudo timedatectl set-ntp true")
    else:
        text = f"its clock and this machine's agree within {abs(skew):.0f} s"
        yield good(name, text)


def _mail(settings: Settings, *, network: bool, send: bool) -> Checks:
    mail = settings.mail
    if not mail.host:
        yield note("mail", "no recipient for alerts", "add [mail] to the settings")
        return
    address = f"{mail.host}:{mail.port}, {mail.security}"
    host = settings.mail_server()
    if not network and not host.error:
        yield good("mail", address)
        return
    if send:
        error = test_mail(mail, host)
        text = f"{address}: test mail sent to {', '.join(mail.to)}"
    else:
        error = smtp.check(host, headers.bare(mail.sender), mail.to)
        text = f"{address}: {'logged in' if mail.user else 'connected'}"
    if error:
        yield bad("mail", f"{address}: {error}", "check [mail] in the settings")
    else:
        if send:
            _close_mail_incident(settings)
        yield good("mail", text)


def _close_mail_incident(settings: Settings) -> None:
    """Let the next run close an incident about mails, because a mail was sent."""
    for name in settings.systems:
        SystemAlertState.of(settings.system_folder(name)).clear_mail_error()


def test_mail(mail: Mail, host: smtp.Server) -> str:
    """Send a test mail to the recipients of *mail*; return the error, or ""."""
    from bikecollect.alerts.mail import envelope
    from bikecollect.alerts.messages import Letter

    node, now = os.uname().nodename, time.time()
    letter = Letter(
        f"test.{now:.0f}",
        "[bikecollect] test mail",
        f"bikecollect {__version__} on {node} can send mails.\n",
    )
    audience = envelope.Audience(mail.sender, mail.to)
    result = smtp.send(host, [envelope.mail(letter, audience, host=node, now=now)])
    return result.error or result.deliveries[0].error


def _ping(settings: Settings) -> Check:
    error = webhooks.ping(settings.ping.url, "log")
    if error:
        return bad("ping", error, "check [ping] in the settings")
    return good("ping", "reachable")
