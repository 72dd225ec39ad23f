"""The slots with vehicles of a system, and in which ones they are expected."""

from contextlib import suppress

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, VehicleSlots
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import END, History


def vehicle_slots(system: SystemFolder, since: Slot) -> VehicleSlots:
    """Return the slots of *system* with vehicles, from *since* on.

    They are expected from the first to the last slot that ever had some; to the end, if
    they are still collected. A ledger that cannot be read has none: it is reported as
    damage.
    """
    history = History(system.system_id, system.vehicles.path)
    with suppress(StorageError), history.session():
        if ends := history.ends():
            last = END if system.has_vehicles else ends[1]
            return VehicleSlots(ends[0], last, history.slots(since))
    return VehicleSlots()
