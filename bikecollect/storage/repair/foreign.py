"""Set a ledger aside that is proven to be that of another system, copied here."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.core.blocks import Extent
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.run import Notice
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import LEDGER, MARKER
from bikecollect.storage.files import marker
from bikecollect.storage.files.entries import folders_with
from bikecollect.storage.payload_store import run_of
from bikecollect.storage.repair import folder_of_system, rebuilt
from bikecollect.storage.sqlite.aside import set_aside

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.payload_store import Payloads

FEW = 9
"""Kept payloads, the newest ones, that tell whose runs the ledger has."""


def set_foreign_aside(
    ledger: "Ledger", store: Store, payloads: "Payloads", mirror: str
) -> list[Notice]:
    """Replace the open *ledger* by an empty one if it is another system's.

    That is proven if no daily file of *store* ends as it says, but one of another
    system in the same data folder does, and it has no run of the newest kept payloads.
    Return a notice of it then. *mirror* is the archive's copy, which may have the runs.
    """
    owner = ""
    with suppress(StorageError):  # a file that cannot be read proves nothing
        owner = _owner(ledger, store)
    newest = sorted(payloads.kept())[-FEW:] if owner else []
    if not owner or any(ledger.has_run(run_of(name)) for name in newest):
        return []
    ledger.close()
    name = set_aside(ledger.folder / LEDGER, ("-wal", "-shm", ""))
    ledger.open()
    what = f"{LEDGER} was that of {owner}: renamed to {name}"
    return [rebuilt(ledger, what, mirror)]


def _owner(ledger: "Ledger", store: Store) -> str:
    """Return the other system of which the ledger is, empty if it is none."""
    ends = [
        extent
        for file, extent in ledger.extents().items()
        if is_segment(file) and extent.end and not extent.damaged
    ]
    if any(_ends_as(store, extent) for extent in ends):
        return ""
    own = folder_of_system(ledger.folder)
    for other in folders_with(MARKER, own.parent):
        place = other / ledger.folder.relative_to(own)
        there = Store(place, store.dataset)
        if other != own and _is_named(other) and any(_ends_as(there, e) for e in ends):
            return other.name
    return ""


def _ends_as(store: Store, extent: Extent) -> bool:
    return store.crc(extent.last) == extent.last.crc


def _is_named(folder: Path) -> bool:
    """Return whether the marker in *folder* names it: it is no copy of another one."""
    with suppress(SettingsError):
        return marker.check_name(folder / MARKER)
    return False
