"""The usual number of rows, which a run asks for twice."""

from pathlib import Path

from world import World


def test_the_usual_number_follows_the_blocks(folder: Path) -> None:
    """Also for the same slot, after a block before it was filled or lost."""
    world = World(folder / "city")
    runs = [world.fetch(listed, after=300) for listed in ({"a": 1}, {"a": 1, "b": 1})]
    (earlier, later), ledger = [run.slot for run in runs], world.ledger
    after = later + 300

    ledger.open()
    assert ledger.usual_rows(after) == 2
    with ledger.transaction() as db:
        db.execute("DELETE FROM blocks WHERE slot = ?", [later])
    assert ledger.usual_rows(after) == 1
    ledger.close()
    ledger.open()
    assert ledger.usual_rows(after) == 1
    assert ledger.usual_rows(earlier) is None
    ledger.close()
