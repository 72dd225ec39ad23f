"""This installation: how it is called on this machine, and how it gets its extras."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from bikecollect.setup import settings_file

NAME = "bikecollect"
COMMANDS = (
    *("init", "config", "fetch", "status", "runs", "schedule", "doctor", "feeds"),
    *("backfill-report", "backfill", "compact", "verify", "export", "query", "report"),
    *("app", "demo", "simulate"),
)
_CALL = re.compile(rf"(?<![\w./-]){NAME} (?=(?:{'|'.join(COMMANDS)})(?![\w-]))")
_EXTRA = re.compile(rf"pip install '{NAME}\[(\w+)\]'")


def program() -> list[str]:
    """Return the command of this very installation, by absolute paths."""
    script = Path(sys.executable).with_name(NAME)
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-P", "-m", NAME]


def called(settings: Path | None, near: Path | None = None) -> str:
    """Return what a person types to call this program by the file *settings*.

    That is its name where a shell finds this very installation by it, and nothing
    about settings where they are found without a word. Paths below *near*, where the
    person is, are short.
    """
    words = program()
    found = shutil.which(NAME)
    if found is not None and os.path.realpath(found) == os.path.realpath(words[0]):
        words = [NAME]
    if settings is not None and settings.absolute() != settings_file.usual_path():
        words += ["--config", str(settings.absolute())]
    return shlex.join(_short(each, near) for each in words)


def _short(word: str, near: Path | None) -> str:
    path = Path(word)
    if near is None or not path.is_absolute() or not path.is_relative_to(near):
        return word
    return str(path.relative_to(near))


def addressed(text: str, command: str) -> str:
    """Return *text* with the commands in it as they work on this machine.

    *command* is what `called` returns.

    >>> addressed("run: bikecollect doctor", "/opt/bikecollect --config /etc/b.toml")
    'run: /opt/bikecollect --config /etc/b.toml doctor'
    >>> addressed("bikecollect has a bug", "/opt/bikecollect")
    'bikecollect has a bug'
    """
    text = _CALL.sub(lambda _: f"{command} ", text)
    return _EXTRA.sub(lambda match: extra_command(match[1]), text)


def extra_command(extra: str) -> str:
    """Return the command that adds *extra* to this installation."""
    source, editable = _source()
    prefix = Path(sys.prefix)
    wanted = [f"{source}[{extra}]"] if source else _needs(extra)
    if (prefix / "pipx_metadata.json").exists():
        words = ["pipx", "install", "--force"] if source else ["pipx", "inject", NAME]
        return shlex.join([*words, *wanted])
    if (prefix / "uv-receipt.toml").exists() and source:
        return shlex.join(["uv", "tool", "install", "--force", *wanted])
    change = ["-e"] if editable else []
    if (prefix / "bin" / "pip").exists():
        return shlex.join([sys.executable, "-m", "pip", "install", *change, *wanted])
    words = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*words, *change, *wanted])


def _source() -> tuple[str, bool]:
    """Return the folder that we were installed from, and whether it is in use.

    Empty for an installation from an index. Source: PEP 610, direct_url.json.
    """
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit

    try:
        about = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return "", False
    parts = urlsplit(about.get("url", ""))
    folder = unquote(parts.path)
    if parts.scheme != "file" or not Path(folder).is_dir():
        return "", False
    return folder, bool(about.get("dir_info", {}).get("editable"))


def _needs(extra: str) -> list[str]:
    """Return what *extra* consists of: an index may not have us, but has these."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        listed = requires(NAME) or []
    except PackageNotFoundError:
        listed = []
    found = []
    for each in listed:
        need, _, marker = each.partition(";")
        if f'extra == "{extra}"' not in marker.replace("'", '"'):
            continue
        own = re.fullmatch(rf"{NAME}\[(\w+)\]", need.strip())
        found += _needs(own[1]) if own else [need.strip()]
    return found
