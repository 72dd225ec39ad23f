"""The file with the facts of a system: read it, and write it when settings change."""

import json
import logging
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.errors import StorageError
from bikecollect.core.timeline.facts import SystemFact, describe_change
from bikecollect.storage.files import durable
from bikecollect.storage.files.regular_file import read_file

FILE = "facts.json"
MAX_BYTES = 1_048_576

log = logging.getLogger(__name__)


def load(folder: Path) -> list[SystemFact]:
    """Return the facts in *folder*, empty if there is no file or a damaged one."""
    try:
        values = json.loads(read_file(folder / FILE, MAX_BYTES))
        facts = [_fact(**value) for value in values["facts"]]
    except OSError:
        return []  # the next use of the folder reports why it cannot be read
    except (ValueError, TypeError, KeyError, LookupError) as error:
        log.warning("cannot read %s: %s", folder / FILE, error)
        return []
    return sorted(facts, key=lambda fact: fact.since)


def record(folder: Path, facts: Sequence[SystemFact]) -> list[str]:
    """Write *facts* to *folder* if they differ from the file.

    Returns a description of each new change. Raises StorageError.
    """
    before = load(folder)
    if before == list(facts):
        return []
    values = {"facts": [fact._asdict() for fact in facts]}
    temporary = folder / f".{FILE}.{os.getpid()}.tmp"
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


def _fact(
    since: int, timezone: str, interval: int, columns: Sequence[str], *, local: bool
) -> SystemFact:
    """Return the fact with these values; raises ValueError, LookupError if invalid."""
    ZoneInfo(timezone)
    if interval <= 0:
        raise ValueError(f"interval {interval}")
    return SystemFact(int(since), timezone, int(interval), tuple(columns), bool(local))
