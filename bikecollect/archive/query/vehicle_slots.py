"""The dataset of the vehicles' slots: one row for each slot that has a block."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from bikecollect.core.blocks import Block
from bikecollect.core.slots import EARLIEST, LATEST, Slot, state_of
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History

BLOCKS = "SELECT * FROM blocks WHERE slot >= ? AND slot < ? ORDER BY slot"


def vehicle_slots(
    system: SystemFolder, begin: Slot, end: Slot
) -> Sequence[Sequence[Any]]:
    """Return the slots from *begin* to before *end* that have a block of vehicles.

    The columns are those of the dataset `slots`; *system* is that of the vehicles.
    """
    return list(_rows(system, begin, end))


def _rows(system: SystemFolder, begin: Slot, end: Slot) -> Iterator[Sequence[Any]]:
    history = History(system.system_id, system.path)
    for block in map(Block.from_row, history.select(BLOCKS, begin, end)):
        local = datetime.fromtimestamp(block.slot, system.zone)
        fetched = block.fetched_at
        yield (
            block.slot,
            local.hour * 60 + local.minute,
            local.weekday() * 24 + local.hour,
            state_of(block.flags),
            "",
            block.rows,
            block.flags,
            block.source,
            int(fetched) if EARLIEST <= fetched <= LATEST else None,
            block.last_updated,
            block.sha256,
            block.run_id,
        )
