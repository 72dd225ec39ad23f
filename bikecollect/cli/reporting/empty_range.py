"""Why a range of slots has no expected one, as commands with a range say it."""

from collections.abc import Mapping

from bikecollect.core.errors import UsageError
from bikecollect.core.slots import Slot
from bikecollect.core.text import clock_minute
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import BEGINNING, END, History


def empty_range(reasons: Mapping[str, str]) -> UsageError:
    """Return the error for a range without an expected slot, for *reasons* by system.

    A reason that all systems share is named once.
    """
    texts = dict.fromkeys(reasons.values())
    if len(texts) > 1:
        texts = dict.fromkeys(f"{name}: {text}" for name, text in reasons.items())
    return UsageError(f"no slot is expected in that range: {'; '.join(texts)}")


def why_empty(
    system: SystemFolder, begin: Slot | None, end: Slot | None, now: float
) -> str:
    """Return why *system* expects no slot from *begin* to before *end* at *now*.

    Both are as of `timeparse.slots`. Empty if the range is not over: the first slot of
    it may be expected soon. Raises StorageError.
    """
    begin, end = begin or BEGINNING, END if end is None else end
    history = History(system.system_id, system.path)
    with history.session():
        first, ends = history.first(), history.ends()
    if begin > now:
        return "it has not begun"
    if system.is_over and ends is not None and begin > ends[1]:
        return f"the system ended before it, with slot {_of(ends[1], system)}"
    if end > now:
        return ""
    if first is None:
        return "there has been no run yet"
    if end <= first:
        return f"it ends before the first run, of slot {_of(first, system)}"
    return "no slot begins in it"


def _of(slot: Slot, system: SystemFolder) -> str:
    return clock_minute(slot, system.zone, slot)
