"""Commands in messages work for their readers."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import bikecollect
from mailserver import MailServer
from served import Answer, serving

from bikecollect.cli import COMMANDS
from bikecollect.setup import program, settings_file

MAKEFILE = Path(__file__).parents[2] / "Makefile"
SCRIPT = str(Path(sys.executable).with_name("bikecollect"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a settings file at another path than the default one."""
    file = tmp_path / "my bikes.toml"
    file.write_text(
        'data_dir = "data"\ninterval = "2s"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    return file


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the script of an installation, in a separate folder."""
    file = tmp_path / "venv/bin/bikecollect"
    file.parent.mkdir(parents=True)
    file.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(file.with_name("python")))
    return file


def test_the_commands_in_texts_are_those_of_the_program() -> None:
    """Those of the command line, and no more."""
    assert list(COMMANDS) == list(program.COMMANDS)


def test_a_page_is_named_where_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the source that is here; else it is said to be in the source."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").touch()
    monkeypatch.setattr(program, "_source", lambda: (str(tmp_path), False))

    assert program.page("a.md") == f"{tmp_path}/docs/a.md"
    assert program.page("b.md") == "docs/b.md, which is in the source of bikecollect"


def test_a_bare_name_is_used_if_the_shell_finds_this_program(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a link on the path too; another installation does not count."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    absent = program.command_line(None)
    (tmp_path / "bin/bikecollect").symlink_to(script)
    linked = program.command_line(None)
    (tmp_path / "bin/bikecollect").unlink()
    (tmp_path / "bin/bikecollect").touch(mode=0o755)
    another = program.command_line(None)

    assert (absent, linked, another) == (str(script), "bikecollect", str(script))


def test_settings_are_named_if_they_are_not_the_default(script: Path) -> None:
    """Quoted for a shell, and relative if they are near."""
    usual = settings_file.usual_path()
    other = script.parent / "b s.toml"

    assert program.command_line(usual) == str(script)
    assert program.command_line(other) == f"{script} --config '{other}'"
    assert program.command_line(other, script.parents[1]) == (
        "bin/bikecollect --config 'bin/b s.toml'"
    )


def test_only_commands_are_changed() -> None:
    """Neither the program's name in a sentence, nor a path, nor twice."""
    text = "bikecollect has a bug; /x/bikecollect doctor; bikecollect statusx"
    once = program.expand_commands("run `bikecollect doctor --send`", "b --config x")

    assert program.expand_commands(text, "b --config x") == text
    assert once == "run `b --config x doctor --send`"
    assert program.expand_commands(once, "b --config x") == once


@pytest.mark.parametrize(
    ("mark", "url", "command"),
    [
        ("pipx_metadata.json", "file://{}", "pipx install --force '{}[app]'"),
        ("uv-receipt.toml", "file://{}", "uv tool install --force '{}[app]'"),
        ("bin/pip", "file://{}", "{python} -m pip install '{}[app]'"),
        ("none", "file://{}", "uv pip install --python {python} '{}[app]'"),
        (
            "pipx_metadata.json",
            "https://x.org/b.whl",
            "pipx inject bikecollect 'duckdb>=1' pandas",
        ),
        (
            "bin/pip",
            "https://x.org/b.whl",
            "{python} -m pip install 'duckdb>=1' pandas",
        ),
    ],
)
def test_the_hint_for_an_extra_fits_the_installation(
    script: Path, monkeypatch: pytest.MonkeyPatch, mark: str, url: str, command: str
) -> None:
    """From the source folder, or else by the names of its packages."""
    prefix = script.parents[1]
    (prefix / mark).touch()
    monkeypatch.setattr(sys, "prefix", str(prefix))
    about = script.parents[2] / "site/bikecollect-9.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: bikecollect\nVersion: 9\nRequires-Dist: click\n"
        'Requires-Dist: duckdb>=1; extra == "archive"\n'
        'Requires-Dist: bikecollect[archive]; extra == "app"\n'
        'Requires-Dist: pandas; extra == "app"\n',
        encoding="utf-8",
    )
    known = json.dumps({"url": url.format(prefix)})
    (about / "direct_url.json").write_text(known, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(about.parent), *sys.path])

    assert program.extra_command("app") == command.format(prefix, python=sys.executable)


def test_hints_on_the_screen_name_the_settings(path: Path) -> None:
    """In an error, in a status and in a remedy."""
    command = f"{SCRIPT} --config '{path}'"
    shown = bikecollect("--config", path, "status").stdout
    wrong = bikecollect("--config", path, "runs", "show", "10:05").stderr
    words = ("--config", path, "doctor", "--offline", "--format", "json")
    checks = [json.loads(line) for line in bikecollect(*words).stdout.splitlines()]

    assert f"see: {command} schedule " in " ".join(shown.split())
    assert f"see: {command} runs --since 7d" in wrong
    remedies = [check["remedy"] or "" for check in checks]
    assert any(f"({command} schedule install --systemd)" in text for text in remedies)


def test_hints_without_a_file_name_none() -> None:
    """Only the program as it is called here."""
    process = bikecollect("runs", "show", "10:05")

    assert f"see: {SCRIPT} init\n" in process.stderr
    assert f"see: {SCRIPT} runs --since 7d\n" in process.stderr


def test_a_mail_s_next_steps_can_be_pasted(path: Path, tmp_path: Path) -> None:
    """They have absolute paths, because a mail is read anywhere."""
    mail = MailServer.new(tmp_path / "mail")
    lines = [f"{key} = {json.dumps(value)}" for key, value in mail.settings().items()]
    with serving(lambda _: Answer(b"", 403)) as url, mail.up():
        text = path.read_text(encoding="utf-8").replace("http://127.0.0.1:9/", url)
        path.write_text("\n".join([text, "[mail]", *lines]), encoding="utf-8")
        bikecollect("--config", path, "fetch")

    lines = mail.mails()[0].get_content().splitlines()
    assert f"  {SCRIPT} --config '{path}' doctor city" in lines


def test_bytecode_that_a_limit_would_cut_is_not_written(tmp_path: Path) -> None:
    """A module that was compiled on a full disk ended each later command."""
    source = Path(program.__file__).parents[1]
    left_out = shutil.ignore_patterns("__pycache__", "app", "simulator")
    shutil.copytree(source, tmp_path / "bikecollect", ignore=left_out)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, "-m", "bikecollect", "status", "--help"]

    for limit in (8_192, resource.RLIM_INFINITY):
        process = subprocess.run(
            words,
            env=environment,
            preexec_fn=lambda size=limit: resource.setrlimit(  # type: ignore[misc]
                resource.RLIMIT_FSIZE, (size, size)
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (process.returncode, process.stderr) == (0, "")

    compiled = {path.stem.split(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert {"main", "status", "options"} <= compiled


@pytest.mark.parametrize(
    ("line", "is_moved"),
    [
        ("#!{here}/.venv/bin/python", False),
        ("#!/bin/sh\n'''exec' \"{here}/.venv/bin/python3\" \"$0\"", False),
        ("#!/old place/.venv/bin/python3", True),
        ("#!/bin/sh\n'''exec' \"/old place/.venv/bin/python3\" \"$0\"", True),
    ],
)
@pytest.mark.skipif(shutil.which("make") is None, reason="requires make")
def test_make_names_a_folder_that_was_moved(
    tmp_path: Path, line: str, *, is_moved: bool
) -> None:
    """The programs of its environment would not be found, or be those of a copy."""
    pip = tmp_path / ".venv/bin/pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(line.format(here=tmp_path) + "\n", encoding="utf-8")

    process = subprocess.run(
        ["make", "-f", MAKEFILE, "in-place"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    said = "this folder was /old place when .venv was made; run: rm -rf .venv\n"
    assert process.stderr.startswith(said * is_moved)
    assert process.returncode == (2 if is_moved else 0)


OLD = """exec {python} -c 'import sys
sys.version_info = 3, 10
exec(sys.argv[2])' "$@"
"""
WITHOUT_ENSUREPIP = """[ "$1" = -c ] && exit
mkdir -p .venv/bin && touch .venv/bin/python && echo no ensurepip >&2; exit 1
"""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (OLD, "is 3.10; name another: make .venv/bin/python PYTHON=python3.13\n"),
        (WITHOUT_ENSUREPIP, "no ensurepip\n"),
    ],
)
@pytest.mark.skipif(shutil.which("make") is None, reason="requires make")
def test_make_leaves_no_environment_that_cannot_be_used(
    tmp_path: Path, script: str, said: str
) -> None:
    """It would be used by the next call, which names another Python."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script.format(python=sys.executable)}", "utf-8")
    python.chmod(0o755)

    process = subprocess.run(
        ["make", "-f", MAKEFILE, ".venv/bin/python", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 2
    assert said in process.stderr
    assert not (tmp_path / ".venv").exists()
