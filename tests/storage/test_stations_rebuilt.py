"""A list of stations that was deleted or damaged is rewritten from the ledger."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from keeping import viewed
from templates import copied
from world import World

from bikecollect.core.errors import Outcome

LIST = "station_information.csv"
NAMES = {"a": "Å, 1"}


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a system with a list of four versions, of three stations."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1, "b": 2})
    world.fetch({"a": 1, "b": 2, "c": 3}, after=300, names=NAMES)
    return world


def spreadsheet(
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL,
) -> Callable[[Path], None]:
    """Return what saves a file as a spreadsheet does."""

    def save(path: Path) -> None:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        out = io.StringIO(newline="")
        writer = csv.writer(
            out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n"
        )
        writer.writerows(rows)
        path.write_text(out.getvalue(), encoding=encoding, newline="")

    return save


def reordered(path: Path) -> None:
    """Move the first column to the end."""
    rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([*r[1:], r[0]] for r in rows)


def shortened(path: Path) -> None:
    """Remove the last line."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def overwritten(path: Path) -> None:
    """Replace everything."""
    path.write_text("station_id,name\n1,My own\n", encoding="utf-8")


DAMAGES = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b"") and None,
    "crlf": spreadsheet(),
    "quoted": spreadsheet(quoting=csv.QUOTE_ALL),
    "semicolons and a mark": spreadsheet(delimiter=";", encoding="utf-8-sig"),
    "tabs": spreadsheet(delimiter="\t"),
    "reordered": reordered,
    "shortened": shortened,
    "overwritten": overwritten,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_the_next_fetch_rewrites_the_list(
    world: World, damage: Callable[[Path], None]
) -> None:
    """It has its header, all versions and new ones; a notice reports it."""
    path = world.folder / LIST
    before = path.read_text(encoding="utf-8")
    damage(path)

    run = world.fetch({"a": 1, "b": 2, "c": 3, "d": 4}, after=300, names=NAMES)

    assert run.outcome is Outcome.COLLECTED
    assert "rebuilt from the ledger, 4 versions" in run.notices[0].text
    text = path.read_text(encoding="utf-8")
    assert sorted(text.splitlines()[:-1]) == sorted(before.splitlines())
    assert text.splitlines()[0].startswith("valid_from,station_id,")
    assert ",d,d," in text.splitlines()[-1]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_queries_have_the_stations_before_the_rewrite(
    world: World, damage: Callable[[Path], None]
) -> None:
    """A reader before the next fetch gets each version."""
    damage(world.folder / LIST)

    with viewed(world, tables=["stations"]) as db:
        names = db.execute(
            "SELECT station_id, name FROM stations ORDER BY station_id, valid_from"
        ).fetchall()

    assert names == [("a", "a"), ("a", "Å, 1"), ("b", "b"), ("c", "c")]


def test_edits_of_the_list_are_kept_aside(world: World) -> None:
    """Manual corrections are not thrown away."""
    path = world.folder / LIST
    path.write_text("station_id,name\n1,My own\n", encoding="utf-8")

    world.fetch(after=300)

    (kept,) = (world.folder / "payloads/rejected").glob(f"{LIST}.*.changed")
    assert kept.read_text(encoding="utf-8") == "station_id,name\n1,My own\n"


def test_a_rebuilt_list_is_not_rebuilt_again(world: World) -> None:
    """The run after the next has nothing to report."""
    (world.folder / LIST).unlink()
    world.fetch(after=300)
    text = (world.folder / LIST).read_bytes()

    run = world.fetch(after=300)

    assert run.notices == ()
    assert (world.folder / LIST).read_bytes() == text
