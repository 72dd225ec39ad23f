"""The choices of ``--format``, and its option."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    Choice = click.Choice[str]
else:
    Choice = click.Choice  # not generic before click 8.2

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])
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


def format_option(json: str, *more: str) -> Callable[[FunctionT], FunctionT]:
    """Return ``--format`` with text, *json* (what it prints) and *more* forms."""
    return click.option(
        "--format",
        "form",
        type=Forms(["text", "json", *more]),
        default="text",
        help=f"json: {json}.",
    )


lines_option = format_option("one object per line")
"""Option of the commands that print several results, such as one for each system."""
object_option = format_option("one object")
"""Option of the commands that print one result."""
