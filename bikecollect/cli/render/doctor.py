"""A check of the doctor as text."""

import click

from bikecollect.cli.render.terminal import WIDTH, wrapped
from bikecollect.core.text import visible
from bikecollect.setup.doctor import Check, Verdict

COLOURS = {Verdict.GOOD: "green", Verdict.NOTE: "yellow", Verdict.BAD: "red"}
INDENT = " " * 6


def line(check: Check) -> str:
    """Return *check* as a line, its remedy below it."""
    word = click.style(f"{check.verdict.value:<4}", fg=COLOURS[check.verdict])
    text = visible(f"{check.name}: {check.text}")
    lines = wrapped(text, width=WIDTH - len(INDENT) - 1)
    text = f"\n{INDENT}".join(lines)
    remedy = f"{INDENT}-> {visible(check.remedy)}\n" if check.remedy else ""
    return f"{word}  {text}\n{remedy}"
