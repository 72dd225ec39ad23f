"""A mirror in a folder: not the data folder, and not the mount point of no disk."""

import os
from contextlib import suppress
from pathlib import Path

from bikecollect.archive.datasets import LAYOUTS
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.record import LIVE, is_any_copied, live_address
from bikecollect.core.errors import MirrorUnavailable, SettingsError
from bikecollect.storage.data_folder import ARCHIVE, LEDGER, MARKER, STATUS


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
    if _is_empty(folder) and any(
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
    """Return whether *folder* is that of a mirror, not one with data of *system_id*."""
    names = [LIVE, *(f"{ARCHIVE}/{layout.certificates}" for layout in LAYOUTS)]
    has_copies = any((folder / name).is_dir() for name in names)
    own = (folder / system_id / name for name in (MARKER, LEDGER, STATUS))
    return has_copies and not any(path.exists() for path in own)


def _is_empty(folder: Path) -> bool:
    """Return whether *folder* has no files, or does not exist."""
    try:
        with os.scandir(folder) as entries:
            return not any(entries)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # the copying says why
