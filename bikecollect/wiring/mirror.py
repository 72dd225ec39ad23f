"""Build the parts that copy the history to the mirror and read it from there."""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.datasets import LAYOUTS, STATION_LAYOUT, VEHICLE_LAYOUT
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.query.view_source import TABLES, ViewedSystem, needed
from bikecollect.collect.sources.bikecollect_folder import (
    LISTS,
    FolderSource,
    machine_of,
    slots_in,
)
from bikecollect.collect.sources.foreign_ledger import has_ledger
from bikecollect.core import user_folders
from bikecollect.core.errors import (
    BikecollectError,
    MirrorDenied,
    MirrorError,
    MirrorUnavailable,
    NotInstalled,
    SettingsError,
    StorageError,
    UsageError,
)
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import (
    LEDGER,
    MARKER,
    VEHICLES,
    SystemFolder,
    is_marked,
)
from bikecollect.storage.files import marker
from bikecollect.storage.repair.damage import lost_data
from bikecollect.storage.repair.lost_days import archived_days, find_archive_damage
from bikecollect.wiring.inherited_facts import with_facts_of

if TYPE_CHECKING:
    from bikecollect.archive.mirror.contents import MirroredSystem
    from bikecollect.archive.mirror.push import MirrorStep
    from bikecollect.archive.mirror.store.object_store import ObjectStore
    from bikecollect.archive.verify import VerifiedCounts

log = logging.getLogger(__name__)
FAILED = "failed"
NO_MIRROR = (
    'no mirror is set: add mirror = "s3://bucket/prefix" to [archive] in the settings'
)
UNUSABLE = (MirrorUnavailable, MirrorDenied, NotInstalled, SettingsError)
"""Errors that concern all systems."""


def mirror_store(settings: Settings, *, creates: bool = False) -> "ObjectStore":
    """Return the mirror of *settings*; raises UsageError if none is set.

    If *creates*, a mirror in a folder is created.
    """
    if not settings.archive.mirror:
        raise UsageError(NO_MIRROR)
    return _store(settings.archive.mirror, creates=creates)


def _store(address: str, *, creates: bool = False) -> "ObjectStore":
    from bikecollect.archive.mirror.store.object_store import ObjectStore  # an extra

    return ObjectStore(MirrorAddress.parse(address), creates=creates)


def mirrored_systems(address: str) -> "Iterator[MirroredSystem]":
    """Yield the systems that the mirror at *address* has."""
    from bikecollect.archive.mirror.contents import systems_of

    return systems_of(_store(address))


def mirrored_views(
    settings: Settings, names: Sequence[str], tables: Collection[str] = TABLES
) -> tuple[Path, list[ViewedSystem]]:
    """Return a folder with the systems *names* of the mirror, and these systems.

    Files that *tables* need are downloaded first, unless the folder has them. Raises
    UsageError if these are of stations, and there is no day of any of the systems.
    """
    from bikecollect.archive.mirror.download import MirrorDownload

    store = mirror_store(settings)
    folder, systems = _local_copy(str(store.address)), []
    datasets = {dataset for layout in LAYOUTS for dataset in needed(layout, tables)}
    lacking = list[str]()
    for name in names:
        days = MirrorDownload(store, folder, name).run(datasets)
        if not days and datasets.intersection(STATION_LAYOUT.datasets):
            lacking.append(name)
        here = settings.system_folder(name)
        own = with_facts_of(folder / name, here, time.time())
        system = replace(own, path=folder / name)
        systems.append(ViewedSystem(system, [], lambda _begin, _end: []))
    if lacking:
        of = ", ".join(f"`{name}`" for name in lacking)
        text = f"{store.address} has no archived day of {of}"
        if len(lacking) == len(names):
            raise UsageError(f"{text}; to copy some: bikecollect push")
        log.warning("%s", text)
    return folder, systems


def _local_copy(address: str) -> Path:
    from bikecollect.archive.mirror.download import copy_folder

    home = user_folders.cache_home()
    if home is None:
        what = "no home folder for a copy of the mirror: set XDG_CACHE_HOME"
        raise StorageError(what)
    return copy_folder(home / user_folders.OURS, address)


def mirror_source(
    settings: Settings, address: str, name: str, now: float
) -> FolderSource:
    """Return the source to fill the system *name* from the mirror at *address*.

    What is new there is downloaded: closed days, and the open ones that `push --live`
    copied; vehicles if the system collects them. Snapshots after *now* are skipped.
    """
    from bikecollect.archive.mirror.contents import systems_of
    from bikecollect.archive.mirror.download import MirrorDownload, OtherLists
    from bikecollect.archive.mirror.live.live_download import LiveDownload
    from bikecollect.archive.mirror.record import live_address

    store = _store(address)
    # Separate from the copy for queries, which show only closed days.
    folder = _local_copy(live_address(store.address))
    vehicles = settings.systems[name].vehicles
    layouts = LAYOUTS if vehicles else (STATION_LAYOUT,)
    datasets = {"runs", *(name for lay in layouts for name in (lay.rows, lay.slots))}
    if find_archive_damage(settings.system_folder(name)):  # all is put back
        datasets |= {dataset for layout in LAYOUTS for dataset in layout.datasets}
    days = MirrorDownload(store, folder, name, skips_damaged=True).run(datasets)
    files = LiveDownload(store, folder, name, vehicles).run()
    if not days and not files:
        others = [other.system_id for other in systems_of(store)]
        text = f"--from {address} has no archived day of `{name}`"
        if others:
            text += f", only of {', '.join(f'`{other}`' for other in others)}; if it "
            text += "is one of these, fill it under that name, and rename it back "
            text += f"afterwards; {_renaming(settings, name, others[0])}"
        raise UsageError(text)
    OtherLists(store, folder / name / LISTS, name).run()
    _leave_out_damaged_ledgers(folder / name, store.address)
    own = with_facts_of(folder / name, settings.system_folder(name), now)
    return FolderSource(folder / name, own.grid, now, str(store.address))


def _renaming(settings: Settings, old: str, new: str) -> str:
    """Return how the system *old* becomes *new*, also if it has no data yet."""
    if is_marked(settings.system_folder(old).path):
        return f"run: bikecollect rename {old} {new}"
    return f"write [systems.{new}] in place of [systems.{old}] in the settings"


def _leave_out_damaged_ledgers(folder: Path, address: object) -> None:
    """Remove ledgers in *folder*, a local copy, that cannot be read.

    The daily files are then read without them.
    """
    for place in (folder, folder / VEHICLES):
        if has_ledger(place):
            try:
                slots_in(place)
            except StorageError as error:
                if not _is_damage(error):
                    raise
                what = "is damaged; its daily files are read without it"
                log.warning("the copy of the ledger in %s %s", address, what)
                (place / LEDGER).unlink(missing_ok=True)


def _is_damage(error: StorageError) -> bool:
    """Return whether *error* is due to the ledger, not to a disk or memory."""
    cause = error.__cause__
    return not isinstance(cause, MemoryError) and not getattr(cause, "errno", None)


def check_mirror(
    settings: Settings, name: str, since: str, until: str, counts: "VerifiedCounts"
) -> Iterator[Finding | Certificate]:
    """Yield the certificates of the days of *name* in the mirror, and findings.

    *counts* are increased by the numbers of what was read.
    """
    from bikecollect.archive.mirror.check import MirrorCheck

    store = mirror_store(settings)
    yield from MirrorCheck(store, settings.data, name, since, until, counts).run()


def _remedy(system: SystemFolder) -> str:
    """Return what can be done for archived days without a certificate."""
    damage = find_archive_damage(replace(system, mirror=""))  # it has none of them
    return (
        "; ".join(found.text for found in damage)
        or f"run: bikecollect compact {system.system_id}"
    )


def _check_name(folder: Path) -> None:
    """Raise StorageError if *folder* has the data of another system.

    The mirror would get them under the wrong name.
    """
    try:
        marker.check_name(folder / MARKER)
    except SettingsError as error:  # of this system alone
        raise StorageError(str(error)) from error


def _for_others(name: str, error: BikecollectError) -> BikecollectError:
    """Return *error*, of a file of the system *name*, as that of other systems."""
    file, colon, reason = str(error).partition(": ")
    if not (isinstance(error, MirrorError) and colon and name in file):
        return error
    return type(error)(f"not tried, because {name} could not be copied: {reason}")


def _failed(name: str, why: str) -> "MirrorStep":
    from bikecollect.archive.mirror.push import MirrorStep

    return MirrorStep(name, "", FAILED, why=why)


class MirrorCopying:
    """Copies the archive of systems to the mirror; *errors* has those that failed.

    *worst* is the error with the highest exit code, None if there was none. After an
    error that concerns all systems (see `UNUSABLE`), the others are not tried: it is
    recorded for each of them, without the file of the first. If *live*, the open days
    are copied, not the archive.
    """

    def __init__(
        self,
        settings: Settings,
        names: Sequence[str],
        times: Times,
        *,
        live: bool = False,
    ) -> None:
        self._settings, self._names, self._times = settings, names, times
        self._push = self._push_live if live else self._push_archive
        self._is_live = live
        self._store: ObjectStore | None = None
        self._unusable: BikecollectError | None = None
        self.errors: dict[str, str] = dict.fromkeys(names, "")
        self.worst: BikecollectError | None = None

    def run(self) -> Iterator["MirrorStep"]:
        """Yield a step per day or per system; errors are yielded as steps."""
        for name in self._names:
            if (self._settings.data / name).is_dir():
                yield from self._copied(name)
            elif lost := lost_data(self._settings.system_folder(name)):
                self._fail(name, StorageError(lost))
                del self.errors[name]  # `fetch` tells people
                yield _failed(name, lost)

    def _copied(self, name: str) -> Iterator["MirrorStep"]:
        """Yield the steps of a system; an error of all systems is one only once."""
        is_usable = self._unusable is None
        try:
            for step in self._steps(name):
                if step.why:
                    self._fail(name, StorageError(f"{step.day}: {step.why}"))
                yield step
        except (StorageError, NotInstalled, SettingsError) as error:
            self._fail(name, error)
            if is_usable:
                if isinstance(error, UNUSABLE):
                    self._unusable = _for_others(name, error)
                yield _failed(name, str(error))

    def _steps(self, name: str) -> Iterator["MirrorStep"]:
        """Yield the steps of a system; record the error if the push cannot begin."""
        try:
            if self._unusable is not None:
                raise self._unusable
            self._store = self._store or self._opened()
            _check_name(self._settings.data / name)
        except (StorageError, NotInstalled, SettingsError) as error:
            self._record(name, error)
            raise
        yield from self._push(self._store, name)

    def _opened(self) -> "ObjectStore":
        """Return the mirror, after a check that it can be a copy."""
        from bikecollect.archive.mirror.folder import check_folder

        address = self._settings.archive.mirror
        if address:
            check_folder(MirrorAddress.parse(address), self._settings.data)
        return mirror_store(self._settings, creates=True)

    def _push_archive(self, store: "ObjectStore", name: str) -> Iterator["MirrorStep"]:
        from bikecollect.archive.mirror.push import MirrorPush

        system = self._settings.system_folder(name)
        folders = {STATION_LAYOUT: system, VEHICLE_LAYOUT: system.vehicles}
        yield from MirrorPush(
            store,
            self._settings.data,
            name,
            self._times.clock,
            self._times.stop.raise_if_set,
            archived=lambda layout: archived_days(folders[layout]),
            remedy=lambda: _remedy(system),
        ).run()

    def _push_live(self, store: "ObjectStore", name: str) -> Iterator["MirrorStep"]:
        from bikecollect.archive.mirror.live.live_push import LivePush
        from bikecollect.archive.mirror.live.missing_here import MissingHere

        self._times.stop.raise_if_set()
        data, zone = self._settings.data, self._settings.system_folder(name).zone
        missing = MissingHere(store, data, name, slots_in, machine_of, zone)
        yield LivePush(store, data, name, self._times.clock, missing).run()

    def _fail(self, name: str, error: BikecollectError) -> None:
        self.errors[name] = self.errors[name] or str(error)
        if self.worst is None or error.exit_code > self.worst.exit_code:
            self.worst = error

    def _record(self, name: str, error: BikecollectError) -> None:
        """Write *error* into the record of the system *name*, for `status`."""
        from bikecollect.archive.mirror.record import MirrorRecord, live_address

        address = str(MirrorAddress.parse(self._settings.archive.mirror))
        address = live_address(address) if self._is_live else address
        record = MirrorRecord(self._settings.data, name, address)
        now = self._times.clock()
        record.state = record.state._replace(tried=now, error=str(error))
        with suppress(StorageError):
            record.save()
