"""The remedies for findings of `verify`."""

from collections.abc import Callable
from functools import partial

from bikecollect.archive.certificates import GROWN, Finding
from bikecollect.archive.checks.csv_files import LINK
from bikecollect.archive.checks.payload_files import OLDER, WRONG_SUM
from bikecollect.archive.parts import CANNOT_READ, OTHER_BYTES, is_day
from bikecollect.storage.data_folder import INFORMATION, LEDGER, MARKER, VEHICLES
from bikecollect.storage.files import losses
from bikecollect.storage.repair.lost_days import remedy_of_lost_day

REBUILT = ("coverage", "profile", "slots", "runs", "vehicle_slots")
MISSING, EMPTY, UNREADABLE = "is missing", "is empty", "cannot be read"
STRUCTURE = "is damaged"
OTHER_SLOTS = "the ledger has other slots of it than the archive"
SUMMARIES = ("coverage", "profile")


def remedy(
    finding: Finding,
    *,
    has_csv: bool,
    is_archived: bool = False,
    lost_day: str = "",
    kept: Callable[[], str] = str,
    missing: Callable[[], str] = str,
    mirror: str = "",
) -> str:
    """Return the command that fixes *finding*, or other advice, as one line.

    *has_csv* is set if the CSV of the finding's day still exists, *is_archived* if the
    archive has the rows of its file, *lost_day* is its day if it should have them. If
    payloads of that day are kept, *kept* returns for how many of its slots: "3 of 4".
    *missing* is the remedy for a daily file that is missing, *mirror* the address of
    the archive's copy.

    >>> remedy(Finding("city", "station_information.csv", "is missing"), has_csv=True)
    'bikecollect rebuild stations city'
    """
    system, where, what = finding
    if where in {LEDGER, MARKER, VEHICLES}:
        return _of_ledger(system, where, what, mirror)
    if where == INFORMATION:
        return f"bikecollect rebuild stations {system}"
    if where.startswith("payloads/"):
        restore = "restore these payloads, or delete them: only backfill reads them"
        return f"bikecollect verify --repair {system}" if what == WRONG_SUM else restore
    if is_day(where) and what != OTHER_SLOTS:
        lost = partial(remedy_of_lost_day, system, where, kept, mirror)
        return _of_day(system, where, what, has_csv=has_csv, lost=lost)
    if what.startswith(MISSING) and is_archived:
        return f"bikecollect compact {system}"
    lost = partial(remedy_of_lost_day, system, lost_day, kept, mirror)
    return _of_file(system, where, what, lost if lost_day else missing)


def _of_file(system: str, file: str, what: str, missing: Callable[[], str]) -> str:
    if what.startswith(MISSING):
        return missing() or f"restore {file} from a backup"
    if what.startswith(LINK):
        return "move that file to the place of the link, without a link"
    if what.startswith(UNREADABLE):
        return f"check the disk: dmesg; restore {file} from a backup"
    return f"bikecollect verify --repair {system}"


def _of_ledger(system: str, where: str, what: str, mirror: str) -> str:
    if where in {MARKER, VEHICLES}:
        is_refilled = any(text in what for text in (losses.LEFT, losses.OLDER))
        is_gone = where == MARKER and not is_refilled
        return (losses.restore if is_gone else losses.refill)(system, mirror)
    if what.endswith(OLDER):
        return f"bikecollect backfill {system}"
    if "packed runs" in what:
        return f"bikecollect compact {system}"
    if what in {MISSING, EMPTY}:
        return f"bikecollect fetch {system}"
    if what.startswith(STRUCTURE):
        again = f"if that does not help, move {LEDGER} away and fetch again"
        return f"bikecollect fetch {system}; {again}"
    return f"move {LEDGER} away; the next fetch rebuilds it: bikecollect fetch {system}"


def _of_day(
    system: str, day: str, what: str, *, has_csv: bool, lost: Callable[[], str]
) -> str:
    if what == MISSING or "its certificate says" in what:
        return _of_earlier_state(system, day, what)
    if "different rows" in what:  # both are sound: slots were filled since
        return f"archive its CSV again: bikecollect compact --csv-days 0 {system}"
    if "are those of the certificate" in what and not has_csv:
        other = f"restore the archive's {day} from a newer backup"
        return f"bikecollect compact {system}; if that changes nothing, {other}"
    if _names(what, SUMMARIES) and what.endswith(OTHER_BYTES):
        # `compact` sums up a day again whose file is missing; it does not read all.
        path = what.removesuffix(OTHER_BYTES)
        return f"remove {path}, then: bikecollect compact {system}"
    is_certificate = "certificate" in what
    if (
        has_csv
        or is_certificate
        or "was interrupted" in what
        or "not in the ledger" in what
        or _names(what, REBUILT)
    ):
        return f"bikecollect compact {system}"
    restore = f"restore the archive's {day} from a backup"
    look = f"check the rights of that file, and the disk (dmesg); else {restore}"
    is_unread = what.startswith((CANNOT_READ, UNREADABLE))
    return look if is_unread else lost()


def _of_earlier_state(system: str, day: str, what: str) -> str:
    restore = f"restore {day} from a backup"
    if not what.endswith(GROWN):
        return restore
    return (
        "write the certificates again if that day was not over then, or if `backfill` "
        f"filled slots: bikecollect verify {system} --certificates FILE; else {restore}"
    )


def _names(what: str, datasets: tuple[str, ...]) -> bool:
    """Return whether *what* names a file of one of *datasets*."""
    return any(f"/{name}/system_id=" in what for name in datasets)
