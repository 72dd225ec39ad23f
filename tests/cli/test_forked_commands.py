"""A command that tests fork, or call, behaves like one that is started."""

import os
from pathlib import Path

import pytest
from command import forked, started
from in_process import bikecollect

SETTINGS = """
[systems.city]
feed = "youbike"
url = "http://127.0.0.1:9/"
timezone = "Asia/Taipei"
"""


@pytest.mark.parametrize(
    "words",
    [
        "--version -v",
        "no-such-command",
        "--config b.toml feeds",
        "--config b.toml config --format json",
        "--config b.toml query -",
        "--config b.toml doctor --offline --format json",
        "--config b.toml fetch -x",
    ],
)
def test_a_command_without_a_start_behaves_as_a_started_one(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same output, errors and exit code, for the same folder and settings."""
    Path("b.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "100")
    arguments, answers = words.split(), "SELECT 1 AS n"
    env = {**os.environ, "TZ": "Asia/Taipei"}

    start, *others = (
        (process.returncode, process.stdout, process.stderr)
        for process in (
            started(arguments, answers, env),
            forked(arguments, answers, env),
            bikecollect(*arguments, answers=answers if "-" in arguments else ""),
        )
    )

    assert others == [start, start]


def test_a_forked_command_ends_by_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is negative, like that of a started one."""
    editor = Path("editor").absolute()
    editor.write_text("#!/bin/sh\nkill -9 $PPID\n", encoding="utf-8")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    Path("b.toml").write_text(SETTINGS, encoding="utf-8")

    process = forked(["--config", "b.toml", "config", "edit"], "", dict(os.environ))

    assert process.returncode == -9
