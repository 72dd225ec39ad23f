"""Verify payload files: they are readable, committed, and not unknown to the ledger."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path

from bikecollect.core.blocks import Block
from bikecollect.core.slots import EARLIEST, LATEST, Slot, day_of, stamp
from bikecollect.core.text import count_of
from bikecollect.storage.data_folder import INBOX, KEPT, REJECTED, SystemFolder
from bikecollect.storage.files.regular_file import open_plain
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import run_of, slot_of
from bikecollect.storage.repair.forget import forgotten
from bikecollect.storage.repair.records import is_near

OLDER = "was an older copy put over newer data?"
RUNS = "SELECT run_id FROM runs WHERE slot >= ? AND slot < ?"
WRONG_SUM = "is sound, but the ledger has a wrong sha256 of it"
FETCHED = frozenset({"fetch", "recovery"})
"""The sources of blocks whose payload is kept."""


def comparable(system: SystemFolder) -> list[str]:
    """Return the names of the kept payloads that only the ledger of stations has.

    With vehicles there are none: a payload may have only these.
    """
    if system.vehicles.ledger.exists():
        return []
    return [path.name for path in (system.payloads / KEPT).glob("*/*.*.zip")]


def unknown_to(
    history: History, kept: Iterable[str], blocks: Iterable[Block], zone: tzinfo
) -> str:
    """Return that the ledger knows neither slot nor run of *kept* payloads, or empty.

    *blocks* are all its blocks, read after *kept*. A slot is known if its run is, or if
    its day, by *zone*, was forgotten.
    """
    filled = {block.slot for block in blocks}
    slots: dict[str, Slot] = {}
    for name in kept:
        with suppress(ValueError):  # not one of ours
            slots[name] = slot_of(name)
    slots = {
        name: slot
        for name, slot in slots.items()
        if EARLIEST <= slot <= LATEST and slot not in filled
    }
    if not slots:
        return ""
    begin, end = min(slots.values()), Slot(max(slots.values()) + 1)
    rows = history.select(RUNS, begin, end)
    known = {row[0] for row in (*rows, *history.packed_runs(begin, end, ("run_id",)))}
    days = {loss.day for loss in forgotten(history)}
    missing = sorted(
        {
            slot
            for name, slot in slots.items()
            if run_of(name) not in known and day_of(slot, zone) not in days
        }
    )
    if not missing:
        return ""
    span = f"{stamp(missing[0])} to {stamp(missing[-1])}"
    return f"lacks {count_of(len(missing), 'slot')} of kept payloads ({span}): {OLDER}"


def count_gone(system: SystemFolder, blocks: Iterable[Block]) -> int:
    """Return how many of *blocks* should have a kept payload and have none.

    Payloads are removed by whole days: one is missing if there is another of that day,
    or of an earlier one. Those of a demo never existed.
    """
    if system.is_demo:
        return 0
    payloads = system.payloads
    paths = [*payloads.glob(f"{KEPT}/*/*.*.zip")]
    there = {run_of(path.name) for path in paths}
    for folder in (INBOX, REJECTED):
        there |= {run_of(path.name) for path in payloads.glob(f"{folder}/*.*.zip")}
    fetched = [(b.span.day, b.run_id) for b in blocks if b.source in FETCHED]
    oldest = min((path.parent.name for path in paths), default="9")
    return sum(day >= oldest and run_id not in there for day, run_id in fetched)


def check_payload(path: Path, sums: Mapping[str, str]) -> str:
    """Return what is wrong with the payload file *path*, empty if nothing is.

    *sums* has the sha256 of the documents that were committed, by the id of the run.
    """
    run_id = path.name.split(".")[1] if path.name.count(".") > 1 else ""
    try:
        digest = _documents(path)
    except FileNotFoundError:
        return ""  # moved by a run in the meantime
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    recorded = sums.get(run_id) or digest
    if is_near(recorded, digest):
        return WRONG_SUM
    return "" if recorded == digest else "is not the payload that was committed"


def damaged_sums(
    system: SystemFolder, sums: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each run whose kept payload has another sha256 than in *sums*, and that.

    Both differ in one digit: the ledger is damaged, not the payload.
    """
    for path in (system.payloads / KEPT).glob("*/*.*.zip"):
        run_id = run_of(path.name)
        if run_id in sums and check_payload(path, sums) == WRONG_SUM:
            yield run_id, _documents(path)


def _documents(path: Path) -> str:
    """Return the sha256 of the documents in the payload *path*, in their order."""
    digest = hashlib.sha256()
    with open_plain(path) as data, zipfile.ZipFile(data) as file:
        details = json.loads(file.read("fetch.json"))
        for document in details["documents"]:
            digest.update(file.read(document["body"]))
    return digest.hexdigest()
