"""Progress is shown on a terminal; a pipe and a dumb terminal get results only."""

import logging
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import bikecollect, on_terminal
from served import Answer, serving
from templates import copied
from test_fetch import GOOD
from world import World, noon_of_last_month

from bikecollect.cli import log_setup
from bikecollect.core.logs import of_run, stages

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


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    "command",
    ["backfill-report", "export", "report days --system city", "query FROM stations"],
)
def test_a_person_is_told_which_file_was_written(
    config: Path, tmp_path: Path, command: str
) -> None:
    """And how large it is; a script that writes one is told nothing."""
    pytest.importorskip("duckdb")
    words = ["--config", config, *command.split(" ", 1 if "FROM" in command else -1)]
    out = tmp_path / "rows.csv"

    shown = on_terminal(*words, "-o", out)
    piped = bikecollect(*words, "-o", out)

    assert f"{out.stat().st_size:,} bytes: {out}\n" in shown
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


@pytest.fixture
def terminal() -> Iterator[int]:
    """Yield the file descriptor of a terminal."""
    screen, terminal = pty.openpty()
    yield terminal
    os.close(terminal)
    os.close(screen)


def test_what_is_printed_does_not_follow_on_the_line_of_a_retry() -> None:
    """The line is removed first, whichever command it was."""
    answers = iter([Answer(b"", 503), GOOD])
    with serving(lambda _: next(answers)) as url:
        shown = on_terminal("feeds", "try", url, "--feed", "youbike")

    assert "the feed answered HTTP 503\x1b[K\n\x1b[Kdialect:" in shown


def retries(monkeypatch: pytest.MonkeyPatch, stdin: int) -> None:
    """Log two retries of each of two systems, with *stdin* as standard input."""
    root = logging.getLogger("bikecollect")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(root, name, getattr(root, name))
    root.handlers = []
    with open(stdin, encoding="utf-8", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        log_setup.set_up(0, "text")
    for name in ("paris", "paris", "oslo", "oslo"):
        with of_run(name, "0123abcd"):
            stages.info("-", extra={"progress": "retry 1 in 2 s: no such host"})


def test_a_person_who_pipes_stderr_sees_the_first_retry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: int
) -> None:
    """Of each system: 150 seconds of silence look like a command that hangs."""
    retries(monkeypatch, terminal)

    assert capsys.readouterr().err == (
        "bikecollect: paris: retry 1 in 2 s: no such host\n"
        "bikecollect: oslo: retry 1 in 2 s: no such host\n"
    )


def test_cron_sees_no_retry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would mail the line, though the slot is then collected."""
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        retries(monkeypatch, nothing.fileno())

    assert capsys.readouterr().err == ""
