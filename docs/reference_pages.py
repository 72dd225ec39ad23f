"""The reference pages, printed from the code; see the cog blocks in them."""

import re
from dataclasses import fields
from pathlib import Path

import click

from bikecollect import config, rows, schema
from bikecollect.cli import cli
from bikecollect.errors import ExitCode, Outcome


def commands() -> str:
    """Return every command with its help, as a terminal of 80 columns shows it."""
    return "\n".join(_helps(cli, "bikecollect"))


def _helps(command: click.Command, name: str) -> list[str]:
    """Return the help of *command*, then that of the commands below it."""
    below = command.commands if isinstance(command, click.Group) else {}
    parts = [_help(command, name)]
    for each in sorted(below):
        parts += _helps(below[each], f"{name} {each}")
    return parts


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=80)
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def settings() -> str:
    """Return every setting with its doc and default, by section."""
    sections = [
        ("At the top", config.Settings),
        ("`[systems.NAME]`", config.System),
        ("`[mail]`", config.Mail),
        ("`[ping]`", config.Ping),
        ("`[keep]`", config.Keep),
    ]
    return "\n".join(_section(title, cls) for title, cls in sections)


def _section(title: str, cls: type) -> str:
    values = cls()
    lines = [f"## {title}", "", "| key | means | default |", "|---|---|---|"]
    for each in fields(cls):
        if each.name not in {"folder", "systems", "mail", "ping", "keep"}:
            default = repr(getattr(values, each.name)).replace("'", '"')
            shown = {"True": "true", "False": "false"}.get(default, default)
            lines.append(f"| `{each.name}` | {each.metadata['doc']} | `{shown}` |")
    return "\n".join([*lines, ""])


def columns() -> str:
    """Return the columns of both files, and the derived ones."""
    tables = [
        ("station_status/DAY.csv", rows.COLUMNS),
        ("Derived columns", {n: d.doc for n, d in rows.DERIVED.items()}),
        ("station_information.csv", rows.INFORMATION_COLUMNS),
    ]
    return "\n".join(_table(title, each) for title, each in tables)


def _table(title: str, named: object) -> str:
    lines = [f"## {title}", "", "| column | means |", "|---|---|"]
    lines += [f"| `{name}` | {doc} |" for name, doc in dict(named).items()]  # type: ignore[call-overload]
    return "\n".join([*lines, ""])


def exit_codes() -> str:
    """Return the exit codes and the outcomes that lead to them."""
    lines = ["| code | means | outcomes of a run |", "|---|---|---|"]
    for code in ExitCode:
        words = ", ".join(o.value for o in Outcome if o.exit_code is code)
        lines.append(f"| {int(code)} | {code.meaning} | {words} |")
    return "\n".join([*lines, ""])


def ledger() -> str:
    """Return the ledger's tables."""
    return f"Schema {schema.VERSION}:\n\n```sql\n{''.join(schema.STEPS).strip()}\n```\n"


IN_SCOPE_LATER = {
    "mails and other ways of telling": "51, 94, 99 to 107",
    "the compact archive and its engine": "66, 67, 89, 114",
    "export": "46 (stored as it is; escaped only there)",
    "doctor": "60, 112",
}


def faults() -> str:
    """Return which fault is covered by which tests, from the tests' own words."""
    found: dict[int, list[str]] = {}
    for path in sorted(Path("tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for name, numbers in _claims(text):
            for number in numbers:
                found.setdefault(number, []).append(f"`{path.name}::{name}`")
    lines = [f"{len(found)} of 114 faults have a test that names them.", ""]
    lines += ["| fault | tests |", "|---|---|"]
    for number in sorted(found):
        lines.append(f"| {number} | {', '.join(dict.fromkeys(found[number]))} |")
    lines += ["", "Left to later parts of the program:", ""]
    lines += [f"- {what}: {which}" for what, which in IN_SCOPE_LATER.items()]
    rest = [str(n) for n in range(1, 115) if n not in found]
    lines += ["", f"Without a test of that name: {', '.join(rest)}.", ""]
    return "\n".join(lines)


def _claims(text: str) -> list[tuple[str, list[int]]]:
    claims: list[tuple[str, list[int]]] = []
    name = ""
    waiting: list[int] = []
    for line in text.splitlines():
        match = re.match(r"def (test_\w+)", line)
        if match:
            name = match[1]
            claims.append((name, waiting))
            waiting = []
        for said in re.findall(r"\(?faults? ([\d, and to]+)\)", line):
            numbers = _numbers(said)
            if "pytest.param" in line or "id=" in line or not claims:
                waiting += numbers
            else:
                claims.append((name, numbers))
    return claims


def _numbers(said: str) -> list[int]:
    """Return the numbers of a phrase such as "30, 37 to 39, 43"."""
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", said):
        found += range(int(first), int(last or first) + 1)
    return found
