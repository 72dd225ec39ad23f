"""Progress is shown on a terminal; a pipe and a dumb terminal get results only."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import bikecollect, on_terminal
from templates import copied
from world import World, noon_of_last_month

from bikecollect.cli import log_setup

COMMANDS = (
    ("compact",),
    ("verify",),
    ("backfill", "--dry-run"),
    ("backfill-report",),
    ("export", "-o", "rows.csv"),
    ("export",),
    ("report", "hours", "--system", "city"),
    ("query", "FROM stations"),
    ("status",),
    ("rebuild", "stations"),
)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a system with two slots of a day of last month."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.clock.now = noon_of_last_month()
    world.fetch({"a": 1})
    world.fetch({"a": 2}, after=300)
    return world


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wait_is_shown_on_a_terminal(config: Path, command: tuple[str, ...]) -> None:
    """As a line that is removed when the result is there; nothing of it in a pipe."""
    pytest.importorskip("duckdb")

    shown = on_terminal("--config", config, *command)
    plain = on_terminal("--config", config, *command, TERM="dumb")
    piped = bikecollect("--config", config, *command)

    assert " ..." in shown or "city: slots" in shown
    assert " ...\x1b[K" not in plain
    assert piped.stderr == ""


def test_the_number_of_results_is_shown_while_the_next_is_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is shown while a result is printed: it would be on the same line."""
    texts: list[str] = []
    monkeypatch.setattr(log_setup, "show_progress", texts.append)

    def results() -> Iterator[str]:
        yield "a"
        yield "b"

    for result in log_setup.awaited(results(), "verifying"):
        texts += [result]

    assert texts == [
        "verifying ...",
        "",
        "a",
        "verifying (1 so far) ...",
        "",
        "b",
        "verifying (2 so far) ...",
        "",
    ]
