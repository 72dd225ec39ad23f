"""A mirror in a folder: not the data folder, and not the mount point of no disk."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bikecollect.archive.datasets import LAYOUTS
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.record import LIVE, is_any_copied, live_address
from bikecollect.core.errors import MirrorUnavailable, SettingsError
from bikecollect.storage.data_folder import ARCHIVE, LEDGER, MARKER, STATUS
from bikecollect.storage.files.entries import may_have_entries


def check_folder(address: MirrorAddress, data: Path) -> None:
    """Check the mirror at *address* of the data folder *data*, if it is a folder.

    Raises SettingsError if both are the same folder, MirrorUnavailable if it is empty
    although files were copied to it: most likely its disk is not mounted.
    """
    if address.scheme != "file":
        return
    folder = Path(f"/{address.prefix}")
    with suppress(OSError):
        if folder.samefile(data):
            raise SettingsError(
                f"archive.mirror = {address} is the folder with the data itself, so "
                "there is no copy; use a folder on another disk"
            )
    if not may_have_entries(folder) and any(
        is_any_copied(data, str(place)) for place in (address, live_address(address))
    ):
        raise MirrorUnavailable(
            f"{address} is empty, but files were copied to it: is its disk mounted? To "
            f"copy everything again, for instance to a new disk: mkdir -p "
            f"{folder / 'archive'}"
        )


def is_missing(address: MirrorAddress) -> bool:
    """Return whether the mirror at *address* is a folder that does not exist yet."""
    return address.scheme == "file" and not os.path.lexists(f"/{address.prefix}")


def is_mirror(folder: Path, system_id: str) -> bool:
    """Return whether *folder* is that of a mirror, not a bikecollect's data folder.

    A folder that is both is a mirror if only that part has data of *system_id*.
    """
    copies = {LIVE: system_id} | {
        f"{ARCHIVE}/{layout.certificates}": f"system_id={system_id}"
        for layout in LAYOUTS
    }
    own = (MARKER, LEDGER, STATUS)
    if _has_any(folder / system_id, own) or not _has_any(folder, copies):
        return False
    if _has_any(folder, (f"{place}/{name}" for place, name in copies.items())):
        return True
    return not any(_has_any(child, (MARKER, LEDGER)) for child in folder.glob("*"))


def _has_any(folder: Path, names: Iterable[str]) -> bool:
    return any((folder / name).exists() for name in names)
