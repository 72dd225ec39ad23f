"""This installation: its command line, and the command that installs an extra."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bikecollect.setup import settings_file

NAME = "bikecollect"
COMMANDS = (
    "init",
    "config",
    "fetch",
    "status",
    "runs",
    "rename",
    "schedule",
    "doctor",
    "feeds",
    "backfill-report",
    "backfill",
    "compact",
    "push",
    "verify",
    "forget",
    "rebuild",
    "export",
    "query",
    "report",
    "share",
    "publish",
    "basemap",
    "app",
    "demo",
    "simulate",
)
_CALL = re.compile(rf"(?<![\w./-]){NAME} (?=(?:{'|'.join(COMMANDS)})(?![\w-]))")
_EXTRA = re.compile(rf"pip install '{NAME}\[(\w+)\]'")


def program() -> list[str]:
    """Return the command of this installation as absolute paths."""
    script = Path(sys.executable).with_name(NAME)
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-P", "-m", NAME]


def command_line(
    settings: Path | None, near: Path | None = None, *, shard: str = ""
) -> str:
    """Return what a user types to run this program with the file *settings*.

    The program is the bare name if that is this installation on the PATH; `--config` is
    added if *settings* is not the default. Paths below *near*, the current folder, are
    relative.
    """
    words = program()
    script = shutil.which(NAME)
    if script is not None and os.path.realpath(script) == os.path.realpath(words[0]):
        words = [NAME]
    if settings is not None and settings.absolute() != settings_file.usual_path():
        words += ["--config", str(settings.absolute())]
    words += ["--shard", shard] if shard else []
    return shlex.join(_shorten(word, near) for word in words)


def settings_in(words: Sequence[str]) -> str | None:
    """Return the settings path in *words*, a command line, None if it has none.

    >>> settings_in(["bikecollect", "--config", "/srv/b.toml", "fetch"])
    '/srv/b.toml'
    """
    if "--config" not in words[:-1]:
        return None
    return words[words.index("--config") + 1]


def _shorten(word: str, near: Path | None) -> str:
    path = Path(word)
    if near is None or not path.is_absolute() or not path.is_relative_to(near):
        return word
    return str(path.relative_to(near))


def expand_commands(text: str, command: str) -> str:
    """Return *text* with its `bikecollect` commands in a form that works here.

    *command* is the result of `command_line`.

    >>> expand_commands("run: bikecollect doctor", "/opt/bikecollect --config b.toml")
    'run: /opt/bikecollect --config b.toml doctor'
    >>> expand_commands("bikecollect has a bug", "/opt/bikecollect")
    'bikecollect has a bug'
    """
    text = _CALL.sub(lambda _: f"{command} ", text)
    return _EXTRA.sub(lambda match: extra_command(match[1]), text)


def extra_command(extra: str) -> str:
    """Return the command that installs *extra* in this installation."""
    source, editable = _source()
    prefix = Path(sys.prefix)
    packages = [f"{source}[{extra}]"] if source else _requirements(extra)
    if (prefix / "pipx_metadata.json").exists():
        words = ["pipx", "install", "--force"] if source else ["pipx", "inject", NAME]
        return shlex.join([*words, *packages])
    if (prefix / "uv-receipt.toml").exists() and source:
        return shlex.join(["uv", "tool", "install", "--force", *packages])
    options = ["-e"] if editable else []
    if (prefix / "bin" / "pip").exists():
        return shlex.join([sys.executable, "-m", "pip", "install", *options, *packages])
    words = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*words, *options, *packages])


def page(name: str) -> str:
    """Return where the page *name* of the documentation can be read.

    That is a file if the source from which this program was installed is still there.
    """
    source, _ = _source()
    path = Path(source, "docs", name)
    in_source = f"docs/{name}, which is in the source of {NAME}"
    return str(path) if source and path.is_file() else in_source


def _source() -> tuple[str, bool]:
    """Return the source folder of this installation, and whether it is editable.

    The folder is empty if it was installed from an index. See PEP 610, direct_url.json.
    """
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit

    try:
        origin = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return "", False
    parts = urlsplit(origin.get("url", ""))
    folder = unquote(parts.path)
    if parts.scheme != "file" or not Path(folder).is_dir():
        return "", False
    return folder, bool(origin.get("dir_info", {}).get("editable"))


def _requirements(extra: str) -> list[str]:
    """Return the packages of *extra*, which any index has, unlike bikecollect."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        listed = requires(NAME) or []
    except PackageNotFoundError:
        listed = []
    packages = []
    for requirement in listed:
        package, _, marker = requirement.partition(";")
        if f'extra == "{extra}"' not in marker.replace("'", '"'):
            continue
        nested = re.fullmatch(rf"{NAME}\[(\w+)\]", package.strip())
        packages += _requirements(nested[1]) if nested else [package.strip()]
    return packages
