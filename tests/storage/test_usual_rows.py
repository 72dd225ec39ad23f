"""The usual number of rows, which a run asks for twice."""

import sqlite3
from contextlib import closing
from pathlib import Path

from world import World

from bikecollect.core.slots import Slot


def test_the_usual_number_follows_the_blocks(folder: Path) -> None:
    """Also for the same slot, after a block was lost here or by another process."""
    world = World(folder / "city")
    listings = ({"a": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1})
    first, second, third = (
        world.fetch(listing, after=300).slot for listing in listings
    )
    ledger, after = world.ledger, Slot(third + 300)
    delete = "DELETE FROM blocks WHERE slot = ?"

    ledger.open()
    assert ledger.usual_rows(first) is None
    assert ledger.usual_rows(after) == 2
    with ledger.transaction() as db:
        db.execute(delete, [second])
    assert ledger.usual_rows(after) == 3
    ledger.close()
    ledger.open()
    assert ledger.usual_rows(after) == 3
    ledger.close()
    with closing(sqlite3.connect(folder / "city/ledger.sqlite3")) as other, other:
        other.execute(delete, [third])
    other.close()
    ledger.open()
    assert ledger.usual_rows(after) == 1
    ledger.close()
