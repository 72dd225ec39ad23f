"""Checks of the data: folders, their owners, the disk."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bikecollect.alerts import space
from bikecollect.core.errors import BikecollectError, SettingsError, UntrustedFile
from bikecollect.core.slots import DAY
from bikecollect.core.text import size
from bikecollect.reports.status import survey
from bikecollect.setup.checks import machine
from bikecollect.setup.checks.check import Check, Checks, bad, good, note, parted
from bikecollect.setup.program import page
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder
from bikecollect.storage.files import losses, marker, scratch
from bikecollect.storage.files.entries import has_entries, paths_in
from bikecollect.storage.files.known_folders import is_known
from bikecollect.storage.files.obstacles import obstacles
from bikecollect.storage.files.trusted_files import as_root, quoted, user_name
from bikecollect.storage.repair.found import verified_at
from bikecollect.storage.sqlite import ledger_file

ENOUGH_DAYS = 30
SELDOM = 14
"""Days after which an archive should be verified; it runs once a week."""
FILES = ("*", "station_status/*", "payloads/*", "payloads/*/*", "outbox/*")
"""Files in a system's folder whose owner is checked."""
WRITTEN = ("lock", data_folder.INFORMATION, "bikecollect.log")
"""Files that each run writes; the ledger is checked with the disk."""


def guarded(name: str, checks: Checks) -> Checks:
    """Yield *checks*; if the disk cannot be read, yield a bad check instead."""
    try:
        yield from checks
    except OSError as error:
        text = f"cannot read {error.filename or 'the folder'}: {error.strerror}"
        yield bad(name, text, "check that its disk is mounted and healthy: dmesg")


def check_folder(name: str, place: Path, mirror: str = "") -> Checks:
    """Check the folder *place* of the system *name*, whose copy is in the *mirror*."""
    check_name = f"{name}: folder"
    if problem := machine.unusable(place, machine.nearest_existing(place)):
        yield bad(check_name, *problem)
        return
    if long := ledger_file.too_long(place / data_folder.LEDGER):
        text = f"{long}: {place / data_folder.LEDGER}"
        yield bad(check_name, text, "choose a shorter data_dir")
        return
    if not place.exists():
        if problem := machine.not_creatable(place):
            text, remedy = problem
            yield bad(check_name, text, remedy.removeprefix("run: "))
            return
        if is_known(place):
            yield bad(check_name, *parted(losses.missing(name, place, mirror)))
            return
        text = f"{place} does not exist yet"
        yield note(check_name, text, "the first fetch creates it")
        return
    if problem := _badly_marked(place / data_folder.MARKER):
        yield bad(check_name, *problem)
        return
    yield _ownership(check_name, place, partial(data_folder.check, place), FILES)
    files = [place / file for file in WRITTEN]
    folders = [place / part for part in data_folder.PARTS]
    for what in obstacles(files, folders):
        yield bad(check_name, what.text, what.command)


def _badly_marked(path: Path) -> tuple[str, str] | None:
    """Return why the marker *path* is not that of its folder, and a remedy."""
    if not path.exists():
        remedy = f"mount its disk; for a new folder: touch {path}"
        return f"{path.parent} has no file {path.name}", remedy
    try:
        marker.check_name(path)
    except SettingsError as error:
        return parted(str(error))
    return None


def check_archive(data: Path) -> Checks:
    """Check the folder of the archive in *data*."""
    check_name, place = "archive: folder", data / data_folder.ARCHIVE
    if not place.exists():
        return
    if problem := machine.unusable(place, place):
        yield bad(check_name, *problem)
        return
    check = partial(data_folder.check_archive, data)
    yield _ownership(check_name, place, check, ("**/*",))


def check_verified(settings: Settings) -> Checks:
    """Yield a note if the archive of *settings* has many days, and nobody verifies it.

    Days that no report reads may change on the disk; only `verify` finds that.
    """
    archive, now = settings.data / data_folder.ARCHIVE, time.time()
    if now - verified_at(settings.data) < SELDOM * DAY:
        return
    for name in settings.systems:
        if len(paths_in(archive / data_folder.STATUS / f"system_id={name}")) > SELDOM:
            text = f"`verify` of all systems has not run for {SELDOM} days"
            remedy = (
                f"let cron run it once a week: {page('how-to/keep-the-archive.md')}"
            )
            yield note("archive: verify", text, remedy)
            return


def check_scratch() -> Check:
    """Check the folder for temporary data, which reports and queries need."""
    remedy = "set TMPDIR to a folder on a disk with free space"
    try:
        place = scratch.place()
    except OSError as error:
        return note("temporary files", f"{error.strerror}: {error.filename}", remedy)
    free = scratch.free_bytes(place)
    text = f"{place}, {size(free)} free"
    if free < scratch.ROOM:
        text += ": long reports, queries and exports may need more"
        return note("temporary files", text, remedy)
    return good("temporary files", text)


def _ownership(
    name: str, place: Path, check: Callable[[], object], patterns: Sequence[str]
) -> Check:
    """Return whether *place* passes *check*, and this user owns its files.

    Those that match *patterns* are looked at: root may have created some.
    """
    try:
        check()
    except UntrustedFile as error:
        return bad(name, error.problem, error.remedy)
    files = machine.with_files(place, patterns)
    foreign = [file for file in files if file.lstat().st_uid != os.geteuid()]
    if not foreign:
        return good(name, f"{place} belongs to {user_name(os.geteuid())}")
    owner = user_name(foreign[0].lstat().st_uid)
    others = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
    text = f"{foreign[0]} belongs to {owner}{others}"
    remedy = as_root(f"chown -R {user_name(os.geteuid())} {quoted(place)}")
    return bad(name, text, remedy)


def check_disk(name: str, settings: Settings) -> Checks:
    """Check the disk of the system *name*, and what is damaged on it."""
    check_name, place = f"{name}: disk", settings.data / name
    nearest = machine.nearest_existing(place)
    kind = machine.file_system(nearest)
    if kind in machine.KERNEL_FILE_SYSTEMS or not nearest.is_dir():
        return  # reported as the folder
    if doubt := machine.doubt_of(kind):
        text = f"the file system is {kind}: {doubt}"
        yield note(check_name, text, "use a local disk (ext4, xfs, btrfs)")
    free = shutil.disk_usage(nearest).free
    try:
        status = survey(settings.system_folder(name), now=time.time())
    except BikecollectError as error:
        is_full = "space is left" in str(error)
        remedy = (
            "free some space" if is_full else _of_ledger(place / data_folder.LEDGER)
        )
        yield bad(check_name, parted(str(error))[0], remedy)
        return
    left = status.disk.days_left
    duration = f", enough for {status.disk.time_left}" if left is not None else ""
    text = f"{kind or 'unknown file system'}, {size(free)} free{duration}"
    if low := space.of_space(nearest, space.measure(nearest), ()).get("space"):
        yield bad(check_name, low.text, "df -h; df -i")
    elif left is not None and left < ENOUGH_DAYS:
        yield bad(check_name, text, "free space, or reduce keep.payload_days")
    else:
        yield good(check_name, text)
    of_folder = _badly_marked(place / data_folder.MARKER)
    for damage in status.health.damage if has_entries(place) else ():
        problem, remedy = parted(damage)
        if (problem, remedy) == of_folder:
            continue  # said of the folder
        look = f"check its owner and its disk: ls -la {quoted(place)}; dmesg"
        yield bad(f"{name}: data", problem, remedy or look)


def _of_ledger(ledger: Path) -> str:
    """Return the remedy for a *ledger* that cannot be read."""
    if ledger.exists() and not os.access(ledger, os.R_OK | os.W_OK):
        return as_root(f"chown {user_name(os.geteuid())} {quoted(ledger)}")
    return "the next fetch rebuilds the ledger from the files"
