"""The reference pages, printed from the code; see the cog blocks in them."""

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import click
import json_reference
from fault_catalogue import CATALOGUE, UNTESTED

from bikecollect.archive import datasets
from bikecollect.cli import cli
from bikecollect.core.causes import Cause
from bikecollect.core.errors import ExitCode, Outcome
from bikecollect.core.slots import state_of
from bikecollect.core.snapshot import VEHICLE_KINDS
from bikecollect.reports import data_dictionary
from bikecollect.reports.data_dictionary import FLAGS
from bikecollect.reports.export import STATIONS
from bikecollect.reports.registry import REPORTS
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.sections import (
    App,
    ArchiveTable,
    Collect,
    Keep,
    Log,
    Mail,
    Ping,
    Tell,
)
from bikecollect.storage import csv_format, ledger_schema
from bikecollect.storage.vehicles import rows as vehicle_rows


def command(name: str) -> str:
    """Return a command's help, and that of its own commands, in 80 columns."""
    context = click.Context(cli, info_name="bikecollect", terminal_width=80)
    if name == "bikecollect":
        return _help(cli, name)
    subcommand = cli.get_command(context, name)
    assert subcommand is not None
    parts = [_help(subcommand, f"bikecollect {name}")]
    if isinstance(subcommand, click.Group):
        parts += [
            _help(child, f"bikecollect {name} {child_name}")
            for child_name, child in subcommand.commands.items()
        ]
    return "\n".join([*parts, *json_reference.of(name)])


def commands() -> str:
    """Return every command with a line about it, linked to its page."""
    context = click.Context(cli, info_name="bikecollect")
    lines = ["| command | does |", "|---|---|"]
    for name in cli.list_commands(context):
        subcommand = cli.get_command(context, name)
        assert subcommand is not None
        about = subcommand.get_short_help_str(200)
        lines.append(f"| [`{name}`](commands/{name}.md) | {about} |")
    return "\n".join([*lines, ""])


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command,
        info_name=name,
        terminal_width=80,
        help_option_names=cli.context_settings["help_option_names"],
    )
    return f"### {name}\n\n```text\n{command.get_help(context)}\n```\n"


def settings() -> str:
    """Return every setting with its doc and default, by section."""
    sections = [
        ("At the top", Settings),
        ("`[systems.NAME]`", System),
        ("`[mail]`", Mail),
        ("`[ping]`", Ping),
        ("`[tell]`", Tell),
        ("`[log]`", Log),
        ("`[keep]`", Keep),
        ("`[collect]`", Collect),
        ("`[app]`", App),
        ("`[archive]`", ArchiveTable),
    ]
    return "\n".join(_section(title, cls) for title, cls in sections)


def _section(title: str, cls: type) -> str:
    values = cls()
    lines = [f"## {title}", "", "| key | means | default |", "|---|---|---|"]
    for field in fields(cls):
        if (
            field.metadata["doc"] and field.metadata["kind"] is not dict
        ) or cls is System:
            default = repr(getattr(values, field.name)).replace("'", '"')
            shown = {"True": "true", "False": "false"}.get(default, default)
            lines.append(f"| `{field.name}` | {field.metadata['doc']} | `{shown}` |")
    return "\n".join([*lines, ""])


def columns() -> str:
    """Return the columns of both files, and the derived ones."""
    tables = [
        ("station_status/DAY.csv", csv_format.COLUMNS),
        ("Derived columns", {n: d.doc for n, d in csv_format.DERIVED.items()}),
        ("Kinds of vehicles (`vehicle_types`)", VEHICLE_KINDS),
        ("station_information.csv", csv_format.INFORMATION_COLUMNS),
        ("vehicles/vehicle_status/DAY.csv", vehicle_rows.COLUMNS),
    ]
    return "\n".join(_table(title, documented) for title, documented in tables)


def _table(title: str, documented: object) -> str:
    lines = [f"## {title}", "", "| column | means |", "|---|---|"]
    lines += [f"| `{name}` | {doc} |" for name, doc in dict(documented).items()]  # type: ignore[call-overload]
    return "\n".join([*lines, ""])


def causes() -> str:
    """Return every cause of a missing slot, with its meaning."""
    lines = ["| cause | meaning |", "|---|---|"]
    lines += [f"| `{cause.value}` | {cause.meaning} |" for cause in Cause]
    return "\n".join([*lines, ""])


def flags() -> str:
    """Return every flag of a run, with its meaning and the slot's state by it."""
    lines = ["| flag | meaning | the slot is |", "|---|---|---|"]
    lines += [f"| `{f}` | {text} | {state_of(f).value} |" for f, text in FLAGS.items()]
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
    steps = "".join(ledger_schema.STEPS).strip()
    return f"Schema {ledger_schema.VERSION}:\n\n```sql\n{steps}\n```\n"


def faults() -> str:
    """Return each fault, and the tests that cover it by the tests' own words."""
    tests_of: dict[int, list[str]] = {}
    for path in sorted(Path("tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for name, numbers in _claims(text):
            for number in numbers:
                tests_of.setdefault(number, []).append(f"`{path.name}::{name}`")
    lines: list[str] = []
    for line in CATALOGUE.splitlines():
        if line.startswith("# "):
            lines += [
                *([""] if lines else []),
                f"#{line}",
                "",
                "| fault | what happens | tests |",
                "|---|---|---|",
            ]
        elif line:
            digits, _, words = line.partition(" ")
            tests = ", ".join(dict.fromkeys(tests_of.pop(int(digits), [])))
            tests = tests or f"no test: {UNTESTED[int(digits)]}"
            lines.append(f"| {digits} | {words} | {tests} |")
    assert not tests_of, f"no words for faults {sorted(tests_of)}"
    return "\n".join([*lines, ""])


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


def reports() -> str:
    """Return each report's title, notes and SQL."""
    parts = []
    for report in REPORTS.values():
        notes = "\n".join(f"- {note}" for note in _joined(report.notes))
        sql = "\n".join(
            line for line in report.text.splitlines() if not line.startswith("--")
        )
        parts.append(
            f"## {report.name}\n\n{report.title}\n\n{notes}\n\n```sql\n{sql}\n```\n"
        )
    return "\n".join(parts)


def _joined(notes: Iterable[str]) -> list[str]:
    """Return *notes*, lines of a comment, with continued lines as one.

    A note begins with the columns that it explains, or with a capital.
    """
    whole: list[str] = []
    for note in notes:
        if not whole or re.match(r"[A-Z]|\w+(, \w+)*:", note):
            whole.append(note)
        else:
            whole[-1] += f" {note}"
    return whole


OF_VEHICLE_SLOTS = (
    "Only a slot with a block of vehicles has a row, so that no `state` is missing and "
    "no `cause`\nis set; [`slots`](#slots) has all slots.\n\n"
)


def archive() -> str:
    """Return the columns of each dataset of the archive."""
    parts = []
    tables = {**datasets.COLUMNS, "stations": STATIONS}
    for name, columns in tables.items():
        rows_ = [
            f"| `{c}` | {kind} | {data_dictionary.doc(c, 'parquet')} |"
            for c, kind in columns.items()
        ]
        head = "| column | type | |\n|---|---|---|"
        note = OF_VEHICLE_SLOTS if name == datasets.VEHICLE_SLOTS else ""
        parts.append(f"## {name}\n\n{note}{head}\n" + "\n".join(rows_) + "\n")
    return "\n".join(parts)
