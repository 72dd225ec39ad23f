"""The choices of ``--format``."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    Choice = click.Choice[str]
else:
    Choice = click.Choice  # not generic before click 8.2

SYNONYMS = {"json": "jsonl", "jsonl": "json", "table": "text", "text": "table"}


class Forms(Choice):
    """The choices of ``--format``; a name that another command has is accepted, too."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the choice *value*, or the one of which it is a synonym."""
        synonym = SYNONYMS.get(value)
        if value not in self.choices and synonym in self.choices:
            value = synonym
        return super().convert(value, param, ctx)
