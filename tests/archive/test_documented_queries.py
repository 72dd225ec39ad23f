"""The examples of the docs read our files, unchanged."""

import re
from pathlib import Path
from typing import Any

import pytest
from keeping import compacted
from world import World

from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")
PAGE = Path(__file__).parents[2] / "docs/how-to/ask-the-history.md"
LINES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("code", LINES, ids=lambda text: text.split()[1])
def test_a_one_liner_of_the_docs_reads_all_rows(code: str, folder: Path) -> None:
    """Ids are text, in each program; with open days, their rows too."""
    world = World(folder / "city")
    world.fetch({"0001": 3, "0002": 0})
    world.clock.now += DAY
    compacted(world)
    world.fetch({"0001": 4, "0002": 1})
    expected = ["0001", "0002"] * (2 if ".csv" in code else 1)
    for word, value in (
        ("DATA", str(folder)),
        ("SYSTEM", "city"),
        ("DAY", "2026-11-22"),
    ):
        code = code.replace(word, value)

    names: dict[str, Any] = {}
    exec(code, names)

    frame = names["frame"]
    frame = frame.df() if hasattr(frame, "df") else frame
    assert sorted(frame["station_id"]) == sorted(expected)
