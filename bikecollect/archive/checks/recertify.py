"""The certificate of an archived day: compared, and written again if it is lost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bikecollect.archive import datasets, summaries
from bikecollect.archive.archived_days import Archived
from bikecollect.archive.parts import damaged_parts, move_part
from bikecollect.archive.query.duckdb_engine import parquet
from bikecollect.archive.query.own_columns import csv_names
from bikecollect.core.blocks import Block
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.storage.files.durable import make_folder, write_file
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.recovery import ADOPTED

if TYPE_CHECKING:
    from bikecollect.archive.day_archive import Archive

DIFFER = "certificate and ledger differ"


def uncertified(archive: "Archive", archived: Archived) -> str:
    """Return what is wrong with the certificate of *archived*, empty if nothing."""
    try:
        certified = archive.certified(archived.day)
    except StorageError as error:
        return str(error)
    return "" if is_of(certified, archived) else DIFFER


def is_of(certified: Archived, archived: Archived) -> bool:
    """Return whether the day as *certified* is the one *archived* in the ledger."""
    is_same = certified._replace(csv_gone=archived.csv_gone, parts={}) == (
        archived._replace(parts={})
    )
    return is_same and archived.parts.items() <= certified.parts.items()


def damage_of(archive: "Archive", archived: Archived) -> list[str]:
    """Return what is wrong with the files of *archived*; empty if nothing."""
    why = uncertified(archive, archived)
    if why == DIFFER and is_another_state(archive, archived):
        return [f"{DIFFER}: the files are those of the certificate"]
    damage = _damage(archive, archived.day, archived.parts)
    return [*damage, why] if why else damage


def is_rebuildable(archive: "Archive", archived: Archived) -> bool:
    """Return whether files of a day without CSV are damaged, but not its rows.

    The other files are rebuilt from the ledger. Summaries are renewed in any case.
    """
    rows = archive.layout.rows
    others = summaries.without(archived.parts)
    if others.pop(rows, None) is None or not _damage(archive, archived.day, others):
        return False
    return not archive.damage(archived.only(rows))


def is_another_state(archive: "Archive", archived: Archived) -> bool:
    """Return whether the files are those of the certificate, and not of *archived*.

    Both must differ, see `uncertified`.
    """
    parts = archive.certified(archived.day).parts
    try:
        is_sound = not _damage(archive, archived.day, parts)
    except (LookupError, TypeError):
        return False
    return is_sound and bool(_damage(archive, archived.day, archived.parts))


def has_rows_of_certificate(archive: "Archive", archived: Archived) -> bool:
    """Return whether the archived rows are those of the certificate, not of *archived*.

    They are read back. The ledger is damaged then. Raises StorageError if they cannot
    be read.
    """
    day = archived.day
    certified = archive.certified(day)
    if certified.summary == archived.summary:
        return False
    archive.raise_if_damaged(certified.only(archive.layout.rows))
    zone, columns = ZoneInfo(certified.timezone), _columns(archive, day)
    return certified.summary == archive.summary(day, zone, columns)


def shorter(archived: Iterable[Block], known: Iterable[Block]) -> list[Slot]:
    """Return the slots of which *known* adopted blocks have fewer rows than *archived*.

    A program had removed lines of a CSV, which was then adopted without a checksum.
    """
    rows = {block.slot: block.rows for block in known if block.source == ADOPTED}
    return [b.slot for b in archived if rows.get(b.slot, b.rows) < b.rows]


def _damage(
    archive: "Archive", day: str, parts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    return damaged_parts(archive.data, archive.system.system_id, day, parts)


def recertify(archive: "Archive", known: Archived) -> None:
    """Write the certificate of *known*, a day in the ledger, again.

    Raises StorageError if its rows have not the sha256 in the ledger, or their file is
    damaged or missing. Other files may be missing: they are rebuilt.
    """
    day = known.day
    if damage := _damage(archive, day, known.only(archive.layout.rows).parts):
        raise StorageError("; ".join(damage), cause="archive")
    columns = _columns(archive, day)
    if archive.summary(day, ZoneInfo(known.timezone), columns) != known.summary:
        raise _changed(day)
    _write(archive, known, columns)


def recertify_unknown(archive: "Archive", day: str) -> None:
    """Write the certificate of *day*, which the ledger does not know, again.

    Raises StorageError if it has not as many rows as its file of slots says, if that
    exists, or if its rows cannot be read. Other files may be missing or damaged: they
    are rebuilt.
    """
    parts, timezone = _parts(archive, day), archive.system.zone_on(day)
    columns = _columns(archive, day)
    summary = archive.summary(day, ZoneInfo(timezone), columns)
    has_slots = bool(parts[archive.layout.slots]["bytes"])
    if has_slots and summary[:2] != _counts(archive, day):
        raise _changed(day)
    now = int(archive.clock())
    found = Archived(day, summary, timezone, now, csv_gone=True, parts=parts)
    _write(archive, found, columns)


def _changed(day: str) -> StorageError:
    what = f"the certificate of {day} is lost, and its rows have changed"
    return StorageError(f"{what}; restore it from a backup", cause="archive")


def _parts(archive: "Archive", day: str) -> dict[str, dict[str, Any]]:
    """Return the entries of the files of *day* for its certificate.

    The summaries have no format: they will be renewed. Files other than the rows may be
    missing.
    """
    parts = {}
    for dataset in archive.layout.datasets:
        path = archive.part(dataset, day)
        try:
            parts[dataset] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        except FileNotFoundError:
            parts[dataset] = {"bytes": 0, "sha256": ""}
        except OSError as error:
            what = f"cannot read {path}: {error.strerror}"
            raise StorageError(what, cause="archive") from error
    return parts


def _columns(archive: "Archive", day: str) -> tuple[str, ...]:
    """Return the columns that the CSV of *day* had, by those of its file."""
    part = archive.part(archive.layout.rows, day)
    shown = [
        datasets.OCCUPANCY if name == datasets.OCCUPANCY_DERIVED else name
        for name, *_ in archive.query(part, f"DESCRIBE FROM {parquet(part)}")
        if name not in datasets.ADDED and name != datasets.VERBATIM
    ]
    return csv_names(shown)


def _counts(archive: "Archive", day: str) -> tuple[int, int]:
    """Return the numbers of rows and slots in the day's file of slots."""
    columns = {"rows": datasets.SLOTS["rows"]}
    rows = [count for (count,) in archive.rows(archive.layout.slots, day, columns)]
    return sum(filter(None, rows)), sum(map(bool, rows))


def _write(archive: "Archive", archived: Archived, columns: Sequence[str]) -> None:
    final = archive.certificate_path(archived.day)
    new = archive.work / f"{archived.day}.certificate"
    try:
        make_folder(new.parent)
        write_file(new, archive.certificate(archived, columns))
        move_part(new, final)
    except OSError as error:
        raise StorageError(f"cannot write {final}: {error}") from error
