"""The folders that have held data of a system: a list that survives without them.

A folder on it that is empty, or gone, has lost its disk or was removed. Others may have
data of systems that are not in the settings.
"""

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bikecollect.core import user_folders
from bikecollect.core.incidents import EARLIER
from bikecollect.core.slots import MINUTE, Slot
from bikecollect.storage.files import losses, marker
from bikecollect.storage.files.durable import write_file
from bikecollect.storage.files.entries import (
    STATIONS,
    STATUS,
    VEHICLE_STATUS,
    VEHICLES,
    Mount,
    folders_with,
    has_entries,
    mount_of,
)
from bikecollect.storage.files.regular_file import is_special, read_plain

DATA = (
    "station_information.csv",
    f"{STATUS}/*",
    f"{VEHICLES}/{VEHICLE_STATUS}/*",
    "payloads/*/*",
)
"""What a folder has once a feed has replied."""
PLACES = "places"
"""The list of settings files, each with the folder into which it collects."""
LATEST_PLACES = 100
RUNS = "payloads/inbox"
"""The folder that each run changes, also one without a reply."""
REMOTE = ("9p", "afs", "autofs", "ceph", "cifs", "fuse", "gluster", "nfs", "smb")
"""How the types of file systems begin whose server may not answer."""
OF_A_SERVER = "locks and syncs depend on its server"
"""What is doubtful about a file system that is `REMOTE`."""
SHOWN = 3

log = logging.getLogger(__name__)


class Elsewhere(NamedTuple):
    """Another *folder* has data of a system; the last run there was at *until*."""

    folder: Path
    until: Slot


def known_folders() -> frozenset[str]:
    """Return the folders that have held data of a system."""
    with suppress(OSError, RuntimeError, ValueError):
        return frozenset(os.fsdecode(read_plain(_list())).splitlines())
    return frozenset()


def is_known(folder: Path) -> bool:
    """Return whether *folder* has held data of a system."""
    return str(folder) in known_folders()


def with_lost(folders: Iterable[Path]) -> frozenset[str]:
    """Return the known folders, and those of *folders* that were lost with the list.

    They do not exist, but the archive beside them has days of their systems. Only a
    fetch asks: on a new machine, `compact` begins with what the archive has.
    """
    known = known_folders()
    new = (folder for folder in folders if str(folder) not in known)
    return known.union(str(f) for f in new if is_archived(f) and not f.exists())


def remember(folder: Path) -> None:
    """Add *folder* to the known folders; errors are ignored."""
    if not is_known(folder):
        _append(_list(), str(folder))


def warn_of_server(folder: Path) -> None:
    """Warn if the new *folder* is on a network disk; once for each disk."""
    _warn_of(mount_of(folder))


@cache
def _warn_of(mount: Mount) -> None:
    if mount.kind.startswith(REMOTE):
        text = "the file system of %s is %s: %s; use a local disk (ext4, xfs, btrfs)"
        log.warning(text, mount.folder, mount.kind, OF_A_SERVER)


def disregard(folder: Path) -> None:
    """Remove *folder* from the known folders: its data have another place now."""
    with suppress(OSError, RuntimeError):
        left = sorted(known_folders() - {str(folder)})
        new = _list().with_suffix(".new")
        write_file(new, os.fsencode("".join(f"{name}\n" for name in left)))
        new.replace(_list())


def gone(
    folders: Mapping[str, Path], known: Collection[str], mirror: str
) -> dict[str, str]:
    """Return a text for each system of *folders* that is *known* and does not exist.

    It is created again, because a slot is worth more than the place where it lies. If
    all of several are gone, their place is the cause: one text says so. Their data may
    be in the *mirror*, if there is one. A folder is also gone if only its marker is
    left, and what is no ledger nor daily file.
    """
    texts: dict[str, str] = {}
    for name, folder in folders.items():
        with suppress(OSError):  # reported by whoever creates it
            if str(folder) in known and not folder.exists():
                texts[name] = f"{folder} {losses.GONE} {losses.remedy(name, mirror)}"
    places = {folders[name].parent for name in texts}
    if len(texts) > 1 and len(places) == 1 and not folders_with(marker.MARKER, *places):
        first, *others = texts
        texts = {name: f"{folders[name]} is gone, too: see {first}" for name in others}
        texts[first] = _all_gone(places.pop(), [first, *others], mirror)
    for name, folder in folders.items():
        with suppress(OSError):
            if STATIONS in marker.lost_parts(folder):
                texts[name] = losses.missing(name, folder, mirror)
    return texts


def is_place_gone(folder: Path, known: Iterable[str], now: float) -> bool:
    """Return whether all other *known* folders beside *folder* are gone, too.

    Or they were, and are begun anew at *now*, by this call.
    """
    others = [path for path in map(Path, known) if path.parent == folder.parent]
    return len(others) > 1 and all(_is_gone(path, now) for path in others)


def _is_gone(folder: Path, now: float) -> bool:
    if not folder.exists():
        return True
    lost = marker.lost_by(folder / marker.MARKER)
    return lost is not None and lost.is_place_gone and now - lost.end < MINUTE


def _all_gone(place: Path, names: Sequence[str], mirror: str) -> str:
    more = " ..." if names[SHOWN:] else ""
    return (
        f"{place} has none of the folders of {len(names)} systems, with all data until "
        "now: was it moved or emptied, is its disk not mounted, or was data_dir "
        "changed? New ones were begun. To go on with the earlier ones: move "
        "the new ones aside, put the earlier ones in their place, and run for each "
        "system: bikecollect backfill NAME --from THE_NEW_ONE"
        f"{losses.copied('NAME', mirror)}; or accept the loss: "
        f"bikecollect forget {' '.join(names[:SHOWN])}{more} {EARLIER}"
    )


def remember_place(source: str, data: Path) -> None:
    """Note that the settings file *source* collects into *data*; errors are ignored."""
    line = f"{source}\t{data}"
    if source and "\n" not in line and line.count("\t") == 1 and line not in _places():
        _append(_list().with_name(PLACES), line)


def namesakes(source: str, folders: Iterable[Path]) -> Mapping[Path, Sequence[Path]]:
    """Return where the settings file *source* collected the systems before, by folder.

    It collects them into *folders* now. A settings file that is gone counts, too: it
    was moved. Another one that may be there collects into its own place, as is meant.
    """
    places = [line.partition("\t")[::2] for line in _places()[-LATEST_PLACES:]]
    earlier = {Path(d) for s, d in places if s == source or _was_moved(Path(s))}
    found: dict[Path, Sequence[Path]] = {}
    for folder in folders if source else ():
        if others := [p / folder.name for p in earlier if p != folder.parent]:
            found[folder] = others
    return found


def earlier_places(source: str, data: Path) -> list[Path]:
    """Return the folders into which the settings file *source* collected before.

    Not *data*, into which it collects now, also if it had another name, nor those on a
    network disk.
    """
    lines = [line.partition("\t")[::2] for line in _places()[-LATEST_PLACES:]]
    places = dict.fromkeys(Path(place) for file, place in lines if file == source)
    with suppress(OSError):
        return [
            place
            for place in places
            if place != data
            and not _is_remote(place)
            and place.is_dir()
            and not (data.exists() and place.samefile(data))
        ]
    return []


def _was_moved(source: Path) -> bool:
    """Return whether the settings file *source* is gone, and not out of reach."""
    with suppress(OSError):
        return not (_is_remote(source) or source.exists())
    return False


def _is_remote(path: Path) -> bool:
    """Return whether *path* is on a network disk: a fetch must not wait for it."""
    return mount_of(path, is_real=True).kind.startswith(REMOTE)


def _places() -> list[str]:
    with suppress(OSError, RuntimeError, ValueError):
        return os.fsdecode(read_plain(_list().with_name(PLACES))).splitlines()
    return []


def latest(folders: Iterable[Path]) -> Elsewhere | None:
    """Return which of *folders* has data and the latest run, None if none has.

    One whose system was stopped does not count, nor one on a network disk.
    """
    found = [
        Elsewhere(folder, until) for folder in folders if (until := last_run(folder))
    ]
    return max(found, key=lambda other: other.until, default=None)


def last_run(folder: Path) -> Slot | None:
    """Return when the last run in *folder* was, None if it has no data."""
    if _is_remote(folder):
        return None
    with suppress(OSError):
        mark = folder / marker.MARKER
        is_own = mark.exists() and marker.name_in(mark) in {"", folder.name}
        if is_own and not marker.is_stopped(mark) and _has_data(folder):
            return Slot(int((folder / RUNS).stat().st_mtime))
    return None


def unowned(data: Path, names: Collection[str], source: str) -> list[Path]:
    """Return the folders of systems in *data* that are of none of *names*.

    Such a system was stopped, or has another name in the settings file *source* now.
    The folder of one of *names* that was moved aside is not returned, nor one without
    any data, nor one whose marker has a line that says that it was stopped, nor one of
    a system that another settings file collects into *data*.
    """
    every = folders_with(marker.MARKER, data)
    folders = sorted(f for f in every if f.name not in names)
    left = [f for f in folders if not marker.is_stopped(f / marker.MARKER)]
    others = (f for f in left if marker.name_in(f / marker.MARKER) not in names)
    found = [folder for folder in others if _has_data(folder)]
    collected = collected_by_others(data, source) if found else set()
    return [folder for folder in found if folder.name not in collected]


def collected_by_others(data: Path, source: str) -> set[str]:
    """Return the systems in the files, other than *source*, that collect into *data*.

    What their own commands would say of such a file does not matter here.
    """
    import tomllib  # 20 ms, only if a folder is left

    found: set[str] = set()
    for line in _places():
        file, _, place = line.partition("\t")
        if file == source or place != str(data):
            continue
        with suppress(OSError, ValueError, RecursionError):
            is_near = not _is_remote(Path(file))
            text = read_plain(Path(file)).decode("utf-8-sig") if is_near else ""
            systems = tomllib.loads(text).get("systems")
            found.update(systems if isinstance(systems, dict) else ())
    return found


def _has_data(folder: Path) -> bool:
    """Return whether a system's *folder* or the archive beside it has data of it."""
    return any(any(folder.glob(name)) for name in DATA) or is_archived(folder)


def is_archived(folder: Path) -> bool:
    """Return whether the archive beside a system's *folder* has days of it."""
    archive, own = folder.parent / "archive", f"system_id={folder.name}"
    return any(has_entries(archive / name / own) for name in (STATUS, VEHICLE_STATUS))


def _append(path: Path, line: str) -> None:
    with suppress(OSError, RuntimeError):
        if is_special(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(os.fsencode(f"{line}\n"))


def _list() -> Path:
    home = user_folders.lasting_home() or user_folders.NOWHERE
    return home / user_folders.OURS / "folders"
