"""A small limit of open files is raised, or named with its remedy."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from quiet_settings import write_settings
from world import World


def with_limit(soft: int, hard: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run *command* in a process whose limit of open files is *soft*."""
    return subprocess.run(
        [sys.executable, "-m", "bikecollect", *command],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return settings of a system with one slot."""
    World(tmp_path / "data" / "city").fetch({"a": 1})
    (tmp_path / "data" / "city" / ".bikecollect").touch()
    path = tmp_path / "bikecollect.toml"
    return write_settings(path, tmp_path / "data", "city")


@pytest.mark.parametrize("command", [("export",), ("verify",), ("compact",)])
def test_the_limit_is_named(config: Path, command: tuple[str, ...]) -> None:
    """The error has the number of files, and what to raise."""
    process = with_limit(5, 5, "--config", str(config), *command)

    assert process.returncode == 74
    assert "the limit is 5, raise `ulimit -n`" in process.stderr + process.stdout


def test_a_soft_limit_is_raised(config: Path) -> None:
    """The hard limit is higher, so the command works."""
    process = with_limit(5, 256, "--config", str(config), "export")

    assert process.stderr == ""
    assert process.returncode == 0
