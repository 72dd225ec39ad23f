"""Repair of files that were changed by other programs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.core.blocks import Tail
from bikecollect.core.incidents import RUNS_LOST
from bikecollect.core.run import Notice
from bikecollect.core.slots import Slot, stamp
from bikecollect.core.text import count_of
from bikecollect.storage.data_folder import INFORMATION, KEPT, LEDGER, VEHICLES
from bikecollect.storage.files.entries import has_vehicles
from bikecollect.storage.files.trusted_files import from_mirror

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger


class Forgotten(NamedTuple):
    """What was forgotten: *item*, at the time *when*, the text of epoch seconds."""

    when: str
    item: str

    @property
    def day(self) -> str:
        """The day, or that of the daily file; no day if it was something else."""
        return self.item.rpartition("/")[2][:10]


class Repair(NamedTuple):
    """The repair of *file*: its blocks, and the slots of those that stay damaged.

    *why* is an obstacle to the repair other than the damage, empty if there is none.
    """

    file: str
    blocks: int
    damaged: Sequence[Slot]
    why: str = ""


FORGOTTEN = "bikecollect.forgotten."
"""The beginning of the key of a note in the ledger's table `memory`."""
SLOTS = "SELECT slot FROM main.blocks WHERE file = ?"
"""The slots with rows in a daily file."""
PARTS = "SELECT parts FROM archives WHERE day = ?"
"""The files of an archived day."""
LOST_LIST = (
    f"; {INFORMATION} is gone, too, with the earlier names and places of stations; if "
    "a copy of the folder has them: bikecollect backfill {} --from COPY"
)


def forgotten_items(notes: Iterable[str]) -> Iterator[Forgotten]:
    """Yield what those of the *notes* of a ledger say, given by their keys."""
    for key in notes:
        if key.startswith(FORGOTTEN):
            when, _, item = key.removeprefix(FORGOTTEN).partition(".")
            yield Forgotten(when, item)


def kept_payloads(folder: Path, day: str = "*") -> Iterator[str]:
    """Yield the names of the kept payloads in *folder*: of one *day*, or all."""
    return (path.name for path in (folder / KEPT).glob(f"{day}/*.zip"))


def removed_text(slots: int) -> str:
    """Return what is said of a daily file that is missing, with its *slots*.

    >>> removed_text(269)
    'is missing: it was removed, with 269 slots'
    """
    return f"is missing: it was removed, with {count_of(slots, 'slot')}"


def mirror_remedy(system_id: str, mirror: str) -> str:
    """Return how to get lost archived days from the *mirror*, if there is one.

    >>> mirror_remedy("city", "")
    ''
    """
    return from_mirror("restore it from the mirror: ", system_id, mirror, "; else ")


def mirror_fill(system_id: str, mirror: str, then: str = "") -> str:
    """Return how to fill lost slots from the *mirror*, if there is one.

    *then* is the command that follows.

    >>> mirror_fill("city", "s3://mine")
    'fill what the mirror has: bikecollect backfill city --from s3://mine; else '
    """
    after = f"{then and f' && {then}'}; else "
    return from_mirror("fill what the mirror has: ", system_id, mirror, after)


def mirror_runs(system_id: str, mirror: str) -> str:
    """Return how to get the runs of a lost ledger from the *mirror*, if there is one.

    >>> mirror_runs("city", "s3://mine")
    '; for the runs that the mirror has: bikecollect backfill city --from s3://mine'
    """
    return from_mirror("; for the runs that the mirror has: ", system_id, mirror)


def rebuilt(
    ledger: "Ledger", what: str, mirror: str, *, lacks_list: bool = False
) -> Notice:
    """Return the notice of a new *ledger*; *what* became of the one before.

    If it *lacks_list*, the list of stations is lost, too.
    """
    text = f"{what}: a new one is rebuilt from the files"
    if ledger.folder.name == VEHICLES:
        return Notice("ledger", text)  # it had no runs
    system = system_of(ledger)
    text = f"{text}, without the runs and incidents so far{mirror_runs(system, mirror)}"
    return Notice(RUNS_LOST, text + LOST_LIST.format(system) * lacks_list)


def found_absent(
    ledger: "Ledger", sizes: Mapping[str, int], mirror: str
) -> list[Notice]:
    """Return a notice that *ledger* was absent, if its folder had data.

    *sizes* are those of the daily files and of the list of stations.
    """
    folder, has_files = ledger.folder, any(sizes.values())
    if not (has_files or has_vehicles(folder)):
        return []
    what = f"{folder.name}/{LEDGER} was {ledger.was_absent}"
    lacks = has_files and INFORMATION not in sizes
    return [rebuilt(ledger, what, mirror, lacks_list=lacks)]


def found_at_open(ledger: "Ledger", mirror: str) -> list[Notice]:
    """Return a notice if *ledger* was damaged when it was opened."""
    if not ledger.trouble:
        return []
    is_vehicles = ledger.folder.name == VEHICLES
    trouble = f"vehicles: {ledger.trouble}" if is_vehicles else ledger.trouble
    if ledger.was_replaced:
        return [rebuilt(ledger, trouble, mirror)]
    return [Notice("ledger", trouble)]


def adopted(ledger: "Ledger", tail: Tail, mirror: str) -> list[Notice]:
    """Return a notice of the blocks of *tail* that *ledger* has adopted, if any.

    A killed run leaves one; several are those of a ledger older than the file, which
    was not replaced by an empty one.
    """
    text = f"{count_of(len(tail.groups), 'block')} of {tail.file} adopted"
    is_new = ledger.was_absent or ledger.was_replaced
    is_older = len(tail.groups) > 1 and not is_new and tail.file != INFORMATION
    if not is_older or ledger.folder.name == VEHICLES:
        return [Notice("ledger", text)] if tail.groups else []
    text = f"{text}: the ledger is older, without the runs of these slots"
    return [Notice(RUNS_LOST, text + mirror_runs(system_of(ledger), mirror))]


def system_of(ledger: "Ledger") -> str:
    """Return the name of the system of *ledger*."""
    return folder_of_system(ledger.folder).name


def folder_of_system(folder: Path) -> Path:
    """Return the system's folder: *folder*, or the one of whose vehicles it is."""
    return folder.parent if folder.name == VEHICLES else folder


def count_kept(payloads: Iterable[str], slots: Iterable[Slot]) -> int:
    """Return how many of *slots* have one of the kept *payloads*, given by name."""
    kept = {name.partition(".")[0] for name in payloads}
    return sum(stamp(slot) in kept for slot in slots)


def remedy_of_missing(
    system_id: str,
    file: str,
    payloads: Iterable[str],
    slots: Collection[Slot],
    mirror: str,
) -> str:
    """Return how to get back *file*, which is missing, with its *slots*.

    The kept *payloads* have all that the rows had; nothing else is needed if each slot
    has one. *mirror* is the address of the copy, empty if there is none.
    """
    kept = count_kept(payloads, slots)
    fill = (
        f"fill it from the kept payloads of {kept} of {count_of(len(slots), 'slot')}: "
        f"bikecollect backfill {system_id}"
    )
    repair = f"bikecollect verify --repair {system_id}"
    first = mirror_fill(system_id, mirror)
    restore = f"{first}restore it from a backup and run {repair}, or"
    if not kept:
        return f"{restore} accept the loss: bikecollect forget {system_id} {file}"
    return fill if kept == len(slots) else f"{restore} {fill}"
