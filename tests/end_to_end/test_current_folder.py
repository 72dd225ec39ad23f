"""Files in the current folder are neither imported nor read as settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import bikecollect
from bikecollect.core.errors import ExitCode
from bikecollect.setup.program import program

PLANTED = (
    *("bikecollect_x", "click", "requests", "urllib3", "duckdb", "streamlit", "json"),
    *("csv", "sqlite3", "signal", "threading", "pathlib", "zoneinfo", "tomllib"),
    *("logging", "textwrap", "tempfile", "hashlib", "datetime", "idna", "certifi"),
)
WORDS = ("status", "--format", "json")
UNUSED = shutil.ignore_patterns("__pycache__", "app", "simulator", "reports")
START = "import sys; from bikecollect.__main__ import main; main()"

# Without `site`: a development install has Python itself import `pathlib` from there,
# before any code of ours.
INSTALLED = [
    str(Path(module.__file__ or "").parents[1]) for module in (bikecollect, click)
]


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Return a folder in which another user has put modules with well-known names."""
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text("print('EVIL')\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/click.py").write_text("print('EVIL')\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("path", ["", ":", ".", "below", "/nowhere:below:"])
@pytest.mark.parametrize(
    "start",
    [["-m", "bikecollect"], ["-c", START], ["-P", "-m", "bikecollect"]],
    ids=["-m", "-c", "-P"],
)
def test_no_module_comes_from_the_current_folder(
    evil: Path, start: list[str], path: str
) -> None:
    """Neither by default, nor by an empty or relative part of PYTHONPATH."""
    process = subprocess.run(
        [sys.executable, "-S", *start, *WORDS],
        cwd=evil,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*filter(None, [path]), *INSTALLED]),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert "EVIL" not in process.stdout + process.stderr
    assert process.stdout.startswith('{"system": ')


REMOVE = (
    "from importlib.machinery import SourceFileLoader as Loader; import os\n"
    "def path_stats(self, path):\n"
    "    os.path.basename(path) == 'MODULE' and os.unlink(path)\n"
    "    raise OSError\n"
    "Loader.path_stats = path_stats\n"
)
"""Lets modules be removed after they were found, before they are read."""


def test_a_run_during_an_upgrade_is_one_line(tmp_path: Path) -> None:
    """Pip removes the modules one by one, then writes the new ones (fault 75)."""
    own = Path(bikecollect.__file__).parent
    copy = shutil.copytree(own, tmp_path / "bikecollect", ignore=UNUSED)
    for missing in ("cli.commands.fetch", "core.slots"):
        (copy / f"{missing.replace('.', '/')}.py").unlink()
        process = _fetching(tmp_path, "-m", "bikecollect")

        assert process.returncode == ExitCode.UNAVAILABLE
        assert process.stderr == (
            "bikecollect: the installation is not complete (No module named "
            f"'bikecollect.{missing}'); if it is being upgraded, the next run will "
            "work, else install bikecollect again\n"
        )
    for missing in ("cli/commands/fetch.py", "cli/main.py"):
        shutil.copytree(own, copy, ignore=UNUSED, dirs_exist_ok=True)
        text = REMOVE.replace("MODULE", Path(missing).name)
        process = _fetching(tmp_path, "-c", f"{text}{START}")

        assert process.returncode == ExitCode.UNAVAILABLE
        assert f"No such file or directory: '{copy}/{missing}'" in process.stderr
        assert process.stderr.startswith("bikecollect: the installation is not ")
        assert process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            "ImportError('libsqlite3.so.0: failed to map segment from shared object')",
            "not enough memory to load the program; raise the limit (`ulimit -v`, ",
        ),
        ("MemoryError()", "not enough memory to load the program; raise the limit "),
        (
            "OSError(5, 'Input/output error', '/x.py')",
            "cannot load the program: [Errno 5] Input/output error: '/x.py'; check ",
        ),
    ],
)
def test_a_program_that_cannot_be_loaded_says_what_lacks(
    tmp_path: Path, error: str, message: str
) -> None:
    """Another installation would not help: it was advised (fault 74)."""
    copy = shutil.copytree(
        Path(bikecollect.__file__).parent, tmp_path / "bikecollect", ignore=UNUSED
    )
    (copy / "core/slots.py").write_text(f"raise {error}\n")

    process = _fetching(tmp_path, "-m", "bikecollect")

    assert process.returncode == ExitCode.IO
    assert process.stderr.startswith(f"bikecollect: {message}")
    assert process.stderr.count("\n") == 1


def _fetching(folder: Path, *start: str) -> subprocess.CompletedProcess[str]:
    """Run `fetch` of the copy in *folder*, begun by *start*."""
    return subprocess.run(
        [sys.executable, "-S", *start, "fetch"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{INSTALLED[1]}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deleted_current_folder_is_no_error(tmp_path: Path) -> None:
    """Cron and terminals may outlive their folder."""
    command = f'mkdir gone; cd gone; rmdir "$PWD"; {sys.executable} -m bikecollect -h'
    process = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert process.stdout.startswith("Usage: bikecollect")


def test_the_crontabs_command_needs_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the script is not installed, Python is called with -P."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert program() == [str(tmp_path / "python"), "-P", "-m", "bikecollect"]
