"""`doctor`: all checks, in the order in which problems should be fixed."""

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bikecollect import __version__
from bikecollect.collect.derived_columns import chosen
from bikecollect.core.errors import SettingsError, UntrustedFile
from bikecollect.core.slots import DAY, HOUR
from bikecollect.core.text import count_of, length
from bikecollect.core.timeline.facts import describe_change
from bikecollect.setup.checks import machine
from bikecollect.setup.checks.check import Check, Checks, bad, good, note, parted
from bikecollect.setup.checks.folders import (
    check_archive,
    check_disk,
    check_folder,
    check_scratch,
    check_verified,
    guarded,
)
from bikecollect.setup.checks.idle_settings import idle_settings
from bikecollect.setup.checks.services import (
    check_feed,
    check_mail,
    check_mirror,
    check_ping,
)
from bikecollect.setup.checks.uncollected_folders import check_uncollected
from bikecollect.setup.program import page
from bikecollect.setup.scheduler.checks import other_user, schedule_checks
from bikecollect.setup.settings import Settings, System
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.known_folders import last_run
from bikecollect.storage.files.marker import MARKER, STOPPED
from bikecollect.storage.files.trusted_files import quoted
from bikecollect.storage.repair.new_history import new_histories

SCHEDULING = "how-to/schedule-the-runs.md"
RECENT_DAYS = 7
"""Days for which a change of the settings is noted."""


def examine(
    settings: Settings, *, network: bool, send: bool, only: Sequence[str] = ()
) -> Checks:
    """Yield all checks, in the order in which problems should be fixed.

    *network* allows connections to feeds and servers, *send* a test mail. With *only*,
    what all systems share is not checked, except the settings.
    """
    yield _python()
    yield from _settings(settings)
    demos = [name for name in settings.systems if settings.is_demo(name)]
    yield from _demos([name for name in demos if not only or name in only])
    foreign = other_user(settings)
    yield from [foreign] if foreign else _user()
    for name in only or settings.systems:
        contact = network and name not in demos
        yield from _system(name, settings, contact=contact, owned=not foreign)
    yield from _new_histories(settings, only or tuple(settings.systems))
    if not only:
        yield from (_unowned(f, settings.seconds) for f in settings.unowned())
        yield from check_uncollected(settings)
        yield from _shared(settings, network=network, send=send, owned=not foreign)


def _shared(settings: Settings, *, network: bool, send: bool, owned: bool) -> Checks:
    """Yield the checks of what all systems share."""
    if owned:
        yield from guarded("archive: folder", check_archive(settings.data))
    yield check_scratch()
    if settings.archive.mirror:
        yield from guarded("mirror", check_mirror(settings, network=network))
    if not all(settings.system_folder(name).is_over for name in settings.systems):
        yield from schedule_checks(settings)
        yield from check_verified(settings)
    if problem := machine.state_problem():
        yield bad("alert state", *problem)
    yield from check_mail(settings, network=network, send=send)
    if settings.ping.url and network:
        yield check_ping(settings)


def _demos(names: Sequence[str]) -> Checks:
    if names:
        text = f"{', '.join(names)}: the simulated city is no longer served"
        remedy = "to collect a real one: bikecollect --config FILE init"
        yield note("demo", text, remedy)


def _user() -> Checks:
    if os.geteuid() == 0:
        text = "running as root: new files will belong to root"
        remedy = f"collect as a separate user: see {page(SCHEDULING)}"
        yield note("user", text, remedy)


def _system(name: str, settings: Settings, *, contact: bool, owned: bool) -> Checks:
    system = settings.systems[name]
    if owned:
        folder = check_folder(name, settings.data / name, settings.archive.mirror)
        yield from guarded(f"{name}: folder", folder)
    yield from guarded(f"{name}: disk", check_disk(name, settings))
    yield from _columns(name, system, settings)
    yield from _facts(name, settings)
    if contact:
        yield from check_feed(name, system)


def _unowned(folder: Path, interval: int) -> Check:
    """Return that the settings do not have the system of *folder*, and what to do.

    One that had a run just now may be collected with settings of another user.
    """
    text = f"{folder} has data of a system that the settings do not have"
    where = page("how-to/rename-move-restore.md")
    path = quoted(folder / MARKER)
    age = time.time() - (last_run(folder) or 0)
    if age < max(HOUR, 3 * interval):
        text += f", and was collected {length(int(max(age, 0)))} ago"
        cases = "if other settings collect it, leave it as it is; if not, "
        cases += "ask again when its last run is an hour old"
    else:
        cases = f"if it was stopped: echo {STOPPED} >> {path}; if it was a trial, "
        cases += "delete the folder"
    remedy = f"{cases}; if it was renamed by hand, see {where}"
    return note(f"{folder.name}: folder", text, remedy)


def _new_histories(settings: Settings, names: Sequence[str]) -> Checks:
    folders = [settings.data / name for name in names]
    source, system_of = settings.source, settings.system_folder
    for name, text in new_histories(source, folders, system_of, time.time()):
        yield note(f"{name}: folder", *parted(text))


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
    yield good("settings", f"{path}, {count_of(count, 'system')}")
    if (place := trusted_files.weak_parent(path)) is not None:
        text = f"others can replace the folder {place}"
        yield note("settings", text, f"ls -ld {quoted(place.parent)}")
    for idle in idle_settings(settings):
        yield note("settings", idle.text, idle.remedy)
    yield from _command(settings)


def _command(settings: Settings) -> Checks:
    """Check the program that is run for alerts."""
    if not settings.tell.command:
        return
    name = settings.tell.command[0]
    program = shutil.which(name)
    if program is None and "/" in name and Path(name).is_file():
        remedy = f"chmod +x {quoted(Path(name))}"
        yield bad("tell.command", f"`{name}` is not executable", remedy)
    elif program is None:
        words = json.dumps(name.split(), ensure_ascii=False)
        remedy = f"command = {words}" if " " in name else "give its absolute path"
        yield bad("tell.command", f"program `{name}` not found", remedy)
    else:
        try:
            trusted_files.check_file(Path(program))
        except UntrustedFile as error:
            yield bad("tell.command", error.problem, error.remedy)


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
            if old.timezone != new.timezone:
                remedy += f"; if the zone was wrong: {page(SCHEDULING)}"
            yield note(f"{name}: changed", describe_change(old, new), remedy)
