"""The file with the facts of a system: read it, and write it when settings change."""

import json
import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.errors import StorageError
from bikecollect.core.timeline.facts import SystemFact, begun_earlier, describe_change
from bikecollect.storage.csv_store import LOST
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files import durable
from bikecollect.storage.files.regular_file import REFUSED, read_file
from bikecollect.storage.sqlite.aside import set_aside

FILE = "facts.json"
MAX_BYTES = 1_048_576
INVALID = (ValueError, TypeError, LookupError, RecursionError, AttributeError)
"""The errors of a file that is damaged, or of a later version."""

log = logging.getLogger(__name__)


def load(folder: Path) -> list[SystemFact]:
    """Return the facts in *folder*, empty if there is no file or a damaged one.

    It is read twice if the disk fails for a moment.
    """
    for _ in range(2):
        try:
            return _read(folder)
        except FileNotFoundError:
            break
        except OSError:
            continue  # the next use of the folder reports why it cannot be read
        except INVALID as error:
            # Only `fetch` and `backfill` rename it; others read perhaps a copy.
            text = "cannot read %s: %s; it is inferred from the ledger"
            log.warning(text, folder / FILE, _words(error))
            break
    return []


def record(
    system: SystemFolder, slots: Callable[[], Iterable[int]] = tuple
) -> list[str]:
    """Write the facts of *system* to its folder if they differ from the file.

    *slots* returns those of its payloads and blocks: a new interval may be theirs.

    They were derived from those that the file had. If it has others now, it could not
    be read then, or another process has changed it: it is not overwritten. A damaged
    file is renamed. Returns a description of each new change. Raises StorageError.
    """
    folder = system.path
    before = _read_or_set_aside(folder)
    if before == list(system.facts):
        return []
    facts = begun_earlier(system.facts, before, slots)
    if before and before != list(system.recorded):
        raise StorageError(
            f"{folder / FILE} could not be read at first, or was changed meanwhile; "
            "the next run continues"
        )
    listed = [fact._asdict() for fact in facts]
    values = {"facts": listed, "crc32": _crc(listed)}
    temporary = durable.temporary(folder / FILE)
    try:
        temporary.unlink(missing_ok=True)
        durable.write_file(temporary, json.dumps(values, indent=1).encode())
        temporary.replace(folder / FILE)
        durable.sync_folder(folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder / FILE}: {error}") from error
    return [
        describe_change(old, new) for old, new in pairwise(facts) if new not in before
    ]


def _read_or_set_aside(folder: Path) -> list[SystemFact]:
    """Return the facts in *folder*; if they are damaged, rename the file.

    Raises StorageError if the disk fails, perhaps for a moment.
    """
    try:
        return _read(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        if error.errno not in LOST | REFUSED:
            raise StorageError(f"cannot read {folder / FILE}: {error}") from error
        damage: Exception = error
        level = logging.WARNING
    except INVALID as error:
        damage, level = error, logging.INFO  # `load` has named it
    name = set_aside(folder / FILE, ("",))
    text = "%s is damaged (%s): set aside as %s, and inferred from the ledger"
    log.log(level, text, folder / FILE, _words(damage), name)
    return []


def _words(error: Exception) -> str:
    """Return *error* in words: of JSON that has no facts, Python says a type."""
    is_json = isinstance(error, ValueError | OSError)
    return str(error) if is_json else "it has no facts of a system"


def _read(folder: Path) -> list[SystemFact]:
    """Return the facts in *folder*; raises OSError, or `INVALID` if it is damaged."""
    values = json.loads(read_file(folder / FILE, MAX_BYTES))
    # An earlier version wrote no checksum.
    if values.get("crc32", crc := _crc(values["facts"])) != crc:
        raise ValueError("its checksum shows that it was changed")
    facts = [_fact(**value) for value in values["facts"]]
    return sorted(facts, key=lambda fact: fact.since)


def _crc(facts: object) -> int:
    """Return the checksum of *facts*: of another interval, other slots are missing."""
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())


def _fact(
    since: int, timezone: str, interval: int, columns: Sequence[str], *, local: bool
) -> SystemFact:
    """Return the fact with these values; raises ValueError, LookupError if invalid."""
    ZoneInfo(timezone)
    if interval <= 0:
        raise ValueError(f"interval {interval}")
    return SystemFact(int(since), timezone, int(interval), tuple(columns), bool(local))
