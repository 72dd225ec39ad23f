"""The entries of folders that may be missing or unreadable."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import SettingsError

MOUNTS = Path("/proc/self/mounts")

LEDGER = "ledger.sqlite3"
STATUS, VEHICLE_STATUS = "station_status", "vehicle_status"
STATIONS, VEHICLES = "stations", "vehicles"
PARTS = {STATIONS: ("", STATUS), VEHICLES: (VEHICLES, VEHICLE_STATUS)}
"""The parts of a system's folder that have data of their own.

Each has a ledger in a subfolder, and daily files in a folder beside it, which is called
like their dataset in the archive.
"""


def has_entries(folder: Path) -> bool:
    """Return whether *folder* exists, can be read and is not empty."""
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is not None
    return False


def may_have_entries(folder: Path) -> bool:
    """Return whether *folder* exists and is not empty; True if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False
    except OSError:
        return True


def paths_in(folder: Path) -> list[Path]:
    """Return the paths of the entries of *folder*; none if it cannot be read."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries]
    return []


def folders_with(name: str, place: Path) -> list[Path]:
    """Return the folders in *place* that have an entry *name*; none if unreadable.

    The first call for a thousand systems asks that a million times.
    """
    with suppress(OSError), os.scandir(place) as entries:
        return [
            place / entry.name
            for entry in entries
            if os.access(f"{entry.path}/{name}", os.F_OK)
        ]
    return []


def is_reachable(path: Path) -> bool:
    """Return whether *path* exists and can be reached."""
    with suppress(OSError):
        return path.exists()
    return False


def check_case(folder: Path) -> None:
    """Raise SettingsError if *folder* exists only under a name in another case.

    A disk that does not distinguish `Oslo` and `oslo` would mix two systems in it.
    """
    if not is_reachable(folder.with_name(folder.name.swapcase())):
        return  # nearly always: the disk distinguishes them
    names = {path.name for path in paths_in(folder.parent)}
    if folder.name in names or not folder.exists():
        return
    other = next((n for n in names if n.casefold() == folder.name.casefold()), None)
    if other is not None:
        raise SettingsError(
            f"{folder} is the folder of {other}: its disk does not distinguish upper "
            "and lower case; give the system that name, or a name that differs more"
        )


def check_target(folder: Path) -> None:
    """Raise SettingsError if *folder* or its parent is a link to nothing.

    Most likely the disk is not mounted to which it leads.
    """
    for place in (folder.parent, folder):
        if place.is_symlink() and not place.exists():
            raise SettingsError(
                f"{place} is a link to {place.readlink()}, which is missing: is its "
                "disk mounted?",
                cause="not-mounted",
            )


def is_own(folder: Path) -> bool:
    """Return whether *folder* belongs to the user of this process and is no link."""
    with suppress(OSError):
        return folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
    return False


class Mount(NamedTuple):
    """A mounted file system: its type, folder and device, each empty if unknown."""

    kind: str
    folder: str
    device: str


def mount_of(place: Path, *, is_real: bool = False) -> Mount:
    """Return the mounted file system that *place* is in.

    If *place* *is_real*, no link is followed: that may wait for a network disk.
    """
    best = Mount("", "", "")
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return best
    real = str(place) if is_real else os.path.realpath(place)
    for line in lines:
        device, folder, kind = (_unescaped(word) for word in line.split(b" ")[:3])
        inside = real == folder or real.startswith(f"{folder.rstrip('/')}/")
        if inside and len(folder) >= len(best.folder):
            best = Mount(kind, folder, device)
    return best


def _unescaped(word: bytes) -> str:
    r"""Return *word* of the table of mounts, in which a space is `\040`.

    >>> _unescaped(b"/media/a\\040b")
    '/media/a b'
    """
    return os.fsdecode(
        re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), word)
    )


def has_part(folder: Path, part: str) -> bool:
    """Return whether a system's *folder* has the ledger or daily files of a *part*.

    An empty folder of daily files is enough if days of the part are archived. What this
    user may not see, or the disk does not tell, is not lost.
    """
    subfolder, dataset = PARTS[part]
    place = folder / subfolder
    archived = folder.parent / "archive" / dataset / f"system_id={folder.name}"
    with suppress(OSError):
        return (
            (place / LEDGER).exists()
            or has_days(folder, part)
            or ((place / dataset).is_dir() and archived.is_dir())
        )
    return True


def has_days(folder: Path, part: str) -> bool:
    """Return whether a system's *folder* has daily files of a *part*."""
    return any(folder.joinpath(*PARTS[part]).glob("*.csv"))


def has_vehicles(folder: Path) -> bool:
    """Return whether a system's *folder* has vehicles: their ledger, or daily files.

    The ledger of a system without stations has only runs.
    """
    return (folder / VEHICLES / LEDGER).exists() or has_days(folder, VEHICLES)


def oldest_csv(folder: Path) -> str:
    """Return the day of the oldest CSV of a system's *folder*, empty for none."""
    places = (folder.joinpath(*part) for part in PARTS.values())
    names = (path.name for place in places for path in paths_in(place))
    days = (re.match(r"(\d{4}-\d\d-\d\d)\.(\d+\.)?csv$", name) for name in names)
    return min((day[1] for day in days if day), default="")
