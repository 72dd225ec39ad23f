"""Random histories of a system: `make fuzz` lives many, this is a short one."""

from pathlib import Path

import pytest
from histories import live

pytest.importorskip("duckdb")


def test_a_random_history_agrees_with_its_model(tmp_path: Path) -> None:
    """Fetches, faults, changed settings, commands: each row once, each slot a state."""
    life = live(tmp_path, 27, 5, readers=0)

    assert len(life.must) > 1
