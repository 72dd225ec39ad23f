"""Tests fork a prepared process for a command, which behaves like a started one."""

import os
from pathlib import Path

import pytest
from command import forked, started

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
def test_a_forked_command_behaves_as_a_started_one(words: str) -> None:
    """The same output, errors and exit code, for the same folder and settings."""
    Path("b.toml").write_text(SETTINGS, encoding="utf-8")
    env = {**os.environ, "COLUMNS": "100", "TZ": "Asia/Taipei"}

    first, second = (
        way(words.split(), "SELECT 1 AS n", env) for way in (forked, started)
    )

    assert (first.returncode, first.stdout, first.stderr) == (
        second.returncode,
        second.stdout,
        second.stderr,
    )


def test_a_forked_command_ends_by_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is negative, like that of a started one."""
    editor = Path("editor").absolute()
    editor.write_text("#!/bin/sh\nkill -9 $PPID\n", encoding="utf-8")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    Path("b.toml").write_text(SETTINGS, encoding="utf-8")

    process = forked(["--config", "b.toml", "config", "edit"], "", dict(os.environ))

    assert process.returncode == -9
