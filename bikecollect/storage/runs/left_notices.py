"""Notices that other commands than `fetch` leave for the next run, which alerts."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from bikecollect.core.run import MAX_NOTICES, Notice

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

KEY = "bikecollect.notices"
ABANDONED = "new rows go to a new file"
"""In the notice of a file that is marked as damaged, which begins with its name."""
VALUE = "SELECT value FROM memory WHERE key = ?"


def leave(ledger: "Ledger", notices: Sequence[Notice]) -> None:
    """Leave *notices* in the *ledger*, after those that it has."""
    if notices:
        left = dict.fromkeys([*_left(ledger), *notices])
        ledger.remember({KEY: json.dumps(list(left)[:MAX_NOTICES])})


def take(ledger: "Ledger") -> list[Notice]:
    """Return the notices in the *ledger*, and remove them.

    Those about a damaged file that has been repaired since are dropped.
    """
    left = _left(ledger)
    if not left:
        return []
    ledger.remember({KEY: ""})
    extents = ledger.extents().items()
    damaged = {file for file, extent in extents if extent.damaged}
    return [n for n in left if ABANDONED not in n.text or n.text.split()[0] in damaged]


def _left(ledger: "Ledger") -> list[Notice]:
    for (text,) in ledger.all(VALUE, KEY):
        with suppress(ValueError, TypeError, AttributeError):
            return [Notice(*values) for values in json.loads(text)]
    return []
