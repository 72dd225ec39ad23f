"""Texts on data that are lost with a folder, as its marker says, with the remedies."""

from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.incidents import EARLIER
from bikecollect.core.slots import LATEST, MINUTE, Slot
from bikecollect.core.text import local_minute
from bikecollect.storage.files import marker
from bikecollect.storage.files.entries import VEHICLES
from bikecollect.storage.files.trusted_files import from_mirror

GONE = "is gone, with all data until now: was it removed, or is its disk not mounted?"
LEFT = "its ledger and its daily files: was it emptied?"
OLDER = "was replaced by an older copy, which lacks"


class EarlierLoss(NamedTuple):
    """Data from the slot *first* to before *since* are gone; *text* has the remedies.

    If *first* is 0, all until then.
    """

    since: Slot
    text: str
    first: Slot = Slot(0)

    def concerns(self, begin: Slot, end: Slot) -> bool:
        """Return whether the data from *begin* to before *end* had some of these."""
        return self.first < end and self.since > begin

    def when(self, zone: tzinfo) -> str:
        """Return of when the data are, as the end of a sentence."""
        since = local_minute(self.since, zone)
        if not self.first:
            return f"from before {since}"
        return f"from {local_minute(self.first, zone)} to {since}"


def loss_of_vehicles(
    name: str, folder: Path, zone: tzinfo, mirror: str
) -> EarlierLoss | None:
    """Return the loss of the vehicles alone in the *folder* of *name*, None if none.

    They may be in the *mirror*, if there is one.
    """
    place = folder / VEHICLES
    lost = marker.lost_by(place / marker.MARKER)
    if lost and lost.first:
        return of_older(name, place, lost, zone, mirror)
    if lost is None and marker.lost_parts(folder) != {VEHICLES}:
        return None
    when = f"was gone on {local_minute(lost.end, zone)}" if lost else "is gone"
    return EarlierLoss(
        lost.end if lost else LATEST,
        f"{place} {when}, with the vehicles until then: was it removed? "
        f"{refill(name, mirror)}",
    )


def loss(name: str, path: Path, zone: tzinfo, mirror: str) -> EarlierLoss | None:
    """Return the loss of earlier data of *name*, as its marker *path* says, if any.

    They may be in the *mirror*, if there is one.
    """
    lost, folder = marker.lost_by(path), path.parent
    if lost is None:
        return None
    if lost.first:
        return of_older(name, folder, lost, zone, mirror)
    when = local_minute(lost.end, zone)
    if lost.was_emptied:
        left = f"{folder} had lost, on {when}, {LEFT} {refill(name, mirror)}"
        return EarlierLoss(lost.end, left)
    if lost.is_place_gone:
        return EarlierLoss(
            lost.end,
            f"{folder.parent} had no folder of any system on {when}, with all data "
            "until then: was it moved or emptied, was its disk not mounted, or was "
            f"data_dir changed? {remedy(name, mirror)}",
        )
    return EarlierLoss(
        lost.end,
        f"{folder} was gone on {when}, with all data until then: was it "
        f"removed, or was its disk not mounted? {remedy(name, mirror)}",
    )


def of_older(
    name: str, folder: Path, lost: marker.Lost, zone: tzinfo, mirror: str
) -> EarlierLoss:
    """Return that the *folder* of *name* is an older copy: what it has *lost*.

    That may be in the *mirror*, if there is one.
    """
    slots = lost.first, lost.end - 1
    seconds = next((slot for slot in slots if slot % MINUTE), MINUTE)
    first, last = (local_minute(slot, zone, seconds) for slot in slots)
    return EarlierLoss(
        lost.end,
        f"{folder} {OLDER} the slots from {first} to {last}: was a backup put back? "
        f"{refill(name, mirror)}",
        lost.first,
    )


def missing(name: str, folder: Path, mirror: str) -> str:
    """Return that *folder*, of the system *name*, is gone, and no new one is begun yet.

    Its data may be in the *mirror*, if there is one.
    """
    if (folder / marker.MARKER).exists():
        return f"{folder} has lost {LEFT} {refill(name, mirror)}"
    return (
        f"{folder} {GONE} Mount its disk, or put it back (from a backup)"
        f"{copied(name, mirror)}; the next fetch begins a new one"
    )


def refill(name: str, mirror: str) -> str:
    """Return what to do about lost daily files of *name*, as one line."""
    fill = f"bikecollect backfill {name}"
    return (
        f"Fill what kept payloads have: {fill}; the rest from a copy of the folder: "
        f"{fill} --from COPY{copied(name, mirror)}; then accept what is still lost: "
        f"bikecollect forget {name} {EARLIER}"
    )


def restore(name: str, mirror: str) -> str:
    """Return what to do about the loss of all earlier data of *name*, as one line."""
    return (
        f"put the earlier folder in its place (from a backup){copied(name, mirror)}; "
        f"or accept the loss: bikecollect forget {name} {EARLIER}"
    )


def copied(name: str, mirror: str) -> str:
    """Return how to fill the folder of *name* from the *mirror*, empty without one."""
    return from_mirror("; or fill it from the mirror: ", name, mirror)


def remedy(name: str, mirror: str) -> str:
    """Return what to do about a folder of *name* that was begun anew."""
    return (
        "A new one was begun. To go on with the earlier one: move the new one aside, "
        "put the earlier one in its place (from a backup), and run: "
        f"bikecollect backfill {name} --from THE_NEW_ONE{copied(name, mirror)}; or "
        f"accept the loss: bikecollect forget {name} {EARLIER}"
    )
