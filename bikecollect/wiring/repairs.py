"""Build the parts that repair the files of a system, or accept that they are lost."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple

from bikecollect.archive.archived_days import ArchivedDays, opened_days
from bikecollect.archive.checks.lost_blocks import Taken, use_archive
from bikecollect.archive.checks.payload_files import damaged_sums
from bikecollect.archive.compact import Compactor
from bikecollect.archive.datasets import LAYOUTS, VEHICLE_LAYOUT, DatasetLayout
from bikecollect.core.blocks import day_of_file
from bikecollect.core.errors import (
    NotInstalled,
    SettingsError,
    StorageError,
    UsageError,
)
from bikecollect.core.incidents import EARLIER
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import ARCHIVE, LEDGER, MARKER, SystemFolder
from bikecollect.storage.files import marker
from bikecollect.storage.files.entries import has_vehicles
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import BEGINNING, END, History
from bikecollect.storage.ledger_schema import ARCHIVED_DAYS
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair import Repair
from bikecollect.storage.repair.damage import check_not_gone
from bikecollect.storage.repair.forget import Forgetter
from bikecollect.storage.repair.lost_days import is_half_replaced
from bikecollect.storage.repair.repairer import Repairer
from bikecollect.wiring.history import (
    compactors,
    prepare,
    system_lock,
)

SUMS = "SELECT run_id, sha256 FROM blocks"


class _Files(NamedTuple):
    """The daily files of *system*: of its stations, or of its vehicles in *folder*."""

    system: SystemFolder
    folder: SystemFolder
    layout: DatasetLayout
    store: Store
    ledger: Ledger

    @contextmanager
    def recovered(self, times: Times) -> Iterator[Recovery]:
        """Hold the lock, with the ledger open and in agreement with the files."""
        payloads = Payloads(self.system.payloads)
        recovery = Recovery(
            payloads, self.store, self.ledger, self.system.zone, self.system.mirror
        )
        with system_lock(self.system, times).held(), closing(self.ledger):
            self.ledger.open()
            recovery.recover_beside_runs()
            yield recovery


def _all_files(
    settings: Settings, name: str, *, accepts_loss: bool = False
) -> list[_Files]:
    """Return the files of the system *name*: of stations, and of vehicles, if any.

    Raises StorageError if its folder is gone, unless that loss is to be accepted.
    """
    system = settings.system_folder(name)
    if not accepts_loss:
        check_not_gone(system)
    prepare(settings, name)
    every = []
    for layout in LAYOUTS:
        folder = system.vehicles if layout is VEHICLE_LAYOUT else system
        is_lost = accepts_loss and marker.lost_by(folder.path / MARKER) is not None
        if layout is not VEHICLE_LAYOUT or has_vehicles(system.path) or is_lost:
            store, ledger = Store(folder.path, layout.rows), Ledger(folder.ledger)
            every.append(_Files(system, folder, layout, store, ledger))
    return every


def repair(settings: Settings, name: str, times: Times) -> Iterator[Repair]:
    """Repair the changed files of the system *name*; yield a result for each.

    Blocks that checksums cannot prove are committed again from kept payloads, if any.
    """
    repairs = _repair_files(settings, name, times)
    if any(repair.damaged for repair in repairs):
        from bikecollect.wiring.backfilling import backfiller  # heavy

        span = (BEGINNING, END)
        for _ in backfiller(
            settings, name, times, span=span, dry=False
        ).fill_from_payloads():
            pass
        reasons = _reasons(settings, name, times)
        files = {repair.file for repair in repairs}
        again = _repair_files(settings, name, times)
        repairs = [r for r in repairs if not r.damaged]
        repairs += [
            r._replace(why=r.why or (reasons.get(r.file[:25], "") if r.damaged else ""))
            for r in again
            if r.file in files
        ]
    yield from repairs
    if restored := _restore_blocks(settings, name, times):
        yield Repair(LEDGER, restored, ())


def _restore_blocks(settings: Settings, name: str, times: Times) -> int:
    """Restore archived blocks of which the ledger has others; return their number."""
    if not History(name, settings.data / name).select(ARCHIVED_DAYS):
        return 0
    count = 0
    for part in compactors(settings, name, times):
        with opened_days(part.lock, part.ledger) as archived_days:
            count += part.restorer(archived_days).restore_blocks()
    return count


def _reasons(settings: Settings, name: str, times: Times) -> Mapping[str, str]:
    """Take lost blocks from the archive; return why there are none, by file's day."""
    try:
        return {day: taken.why for day, taken in _use_archive(settings, name, times)}
    except (NotInstalled, SettingsError, StorageError) as error:
        days = History(name, settings.data / name).select(ARCHIVED_DAYS)
        return {f"{lay.rows}/{day}": str(error) for lay in LAYOUTS for (day,) in days}


def _use_archive(
    settings: Settings, name: str, times: Times, only: str = ""
) -> Iterator[tuple[str, Taken]]:
    """Let the ledger read lost blocks of archived days from the archive.

    First a killed `compact` is completed: its rows are not lost. Yield the result of
    each day, which is called like its file. If *only* is given, that of this day; then
    an error is raised.
    """
    system, archive = settings.system_folder(name), settings.data / ARCHIVE
    has_days = History(name, system.path).select(ARCHIVED_DAYS)
    if not has_days and not is_half_replaced(archive, name):
        return
    for part in compactors(settings, name, times):
        with opened_days(part.lock, part.ledger) as archived_days:
            part.roll_forward(archived_days)
            for day, taken in _days_taken(part, archived_days, only):
                yield f"{part.archive.layout.rows}/{day}", taken


def _days_taken(
    part: Compactor, archived_days: ArchivedDays, only: str
) -> Iterator[tuple[str, Taken]]:
    """Take lost blocks of each day from the archive; see `_use_archive`."""
    sizes = part.store.sizes()
    live = set(map(day_of_file, sizes))
    for day, archived in archived_days.archived().items():
        if day != (only or day) or (archived.csv_gone and day not in live):
            continue
        try:
            taken = use_archive(part.archive, archived_days, part.store, day, sizes)
        except StorageError as error:  # other days can be read
            if only:
                raise
            taken = Taken(why=str(error))
        yield day, taken


def _repair_files(settings: Settings, name: str, times: Times) -> list[Repair]:
    repairs = []
    for files in _all_files(settings, name):
        with files.recovered(times) as recovery:
            if files.layout is not VEHICLE_LAYOUT:
                repairs += recovery.check_stations()
                repairs += _correct_sums(files)
            place, aside = files.folder.path, files.system.rejected
            repairs += Repairer(place, files.store, files.ledger, aside).run()
    return repairs


def _correct_sums(files: _Files) -> list[Repair]:
    """Correct damaged checksums of kept payloads in the ledger."""
    sums = dict(files.ledger.all(SUMS))
    wrong = [(digest, run_id) for run_id, digest in damaged_sums(files.system, sums)]
    if not wrong:
        return []
    with files.ledger.transaction() as db:
        db.executemany("UPDATE blocks SET sha256 = ? WHERE run_id = ?", wrong)
    return [Repair(LEDGER, len(wrong), ())]


def forget(settings: Settings, name: str, times: Times, item: str, reason: str) -> str:
    """Forget *item* of the system *name*, which is lost; return a message.

    A day is forgotten for stations and for vehicles, if both are lost. Raises
    SettingsError if the archive's disk is most likely not mounted, and StorageError if
    it is unknown whether one of both is lost: nothing is forgotten then.
    """
    if item == EARLIER:
        lost = _begun_anew(settings, name)
    else:
        for _ in _use_archive(settings, name, times, item.rpartition("/")[2][:10]):
            pass
        lost = _lost_files(settings, name, times, item)
    messages = []
    for files in lost:
        with files.recovered(times):
            message = _forgetter(settings, files, times).forget(item, reason)
            is_vehicles = files.layout is VEHICLE_LAYOUT
            messages.append(f"vehicles: {message}" if is_vehicles else message)
    return "; ".join(messages)


def _begun_anew(settings: Settings, name: str) -> Sequence[_Files]:
    """Return the files whose folder was begun anew, those of stations if none was."""
    every = _all_files(settings, name, accepts_loss=True)
    gone = [f for f in every if marker.lost_by(f.folder.path / MARKER) is not None]
    return gone or every[:1]


def _lost_files(
    settings: Settings, name: str, times: Times, item: str
) -> Sequence[_Files]:
    """Return the files in which *item* is lost; raises UsageError if it is in none."""
    lost: list[_Files] = []
    refusals: list[UsageError] = []
    for files in _all_files(settings, name):
        if is_segment(item) and not item.startswith(f"{files.layout.rows}/"):
            continue
        with files.recovered(times):
            try:
                _forgetter(settings, files, times).check(item)
                lost.append(files)
            except UsageError as error:
                refusals.append(error)
    if refusals and not lost:
        raise refusals[0]
    return lost


def _forgetter(settings: Settings, files: _Files, times: Times) -> Forgetter:
    return Forgetter(
        system=files.system,
        folder=files.folder.path,
        archive=settings.data / ARCHIVE,
        certificates=files.layout.certificates,
        store=files.store,
        ledger=files.ledger,
        clock=times.clock,
    )


def rebuild_stations(settings: Settings, name: str, times: Times) -> list[str]:
    """Rebuild the list of stations of the system *name*; return messages."""
    with _all_files(settings, name)[0].recovered(times) as recovery:
        return [notice.text for notice in recovery.rebuild_stations()]
