"""The help of ``--format`` says what JSON it prints."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from json_shapes import documented

from bikecollect.cli import cli
from bikecollect.cli.forms import Forms
from bikecollect.cli.render.reports import LISTED_KEYS, json_listing
from bikecollect.reports.registry import REPORTS

PAGES = Path(__file__).parents[2] / "docs/reference/commands"


def _options(
    command: click.Command, name: str
) -> Iterator[tuple[str, click.Parameter]]:
    """Yield the name and the option of each command whose format may be JSON."""
    context = click.Context(command)
    for option in command.params:
        choices = getattr(option.type, "choices", ())
        if "--format" in option.opts and "json" in choices:
            yield name, option
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            assert inner is not None
            yield from _options(inner, f"{name} {part}".strip())


def test_each_help_says_how_many_objects_json_prints() -> None:
    """A script that expects one document fails at the second line."""
    known = {
        name: getattr(option, "help", "") or "" for name, option in _options(cli, "")
    }

    assert {name for name, text in known.items() if "one object" not in text} == set()
    single = {name for name, text in known.items() if "one object" in text}
    single -= {name for name, text in known.items() if "per line" in text}
    assert single == {
        "config show",
        "feeds show",
        "feeds try",
        "feeds update",
        "schedule show",
    }
    assert {"runs list", "runs show", "verify", "doctor", "backfill-report"} <= set(
        known
    )
    pages = {name.split()[0] for name in known} | {"export", "query"}
    texts = {page: (PAGES / f"{page}.md").read_text("utf-8") for page in pages}
    assert {page for page, text in texts.items() if "\n### JSON\n" not in text} == set()
    assert documented(json_listing(), LISTED_KEYS)[0]["name"] in REPORTS


def test_json_and_jsonl_are_one_format_in_every_command() -> None:
    """Whoever knows `export --format jsonl` may type it elsewhere, too."""
    strict = {
        name for name, option in _options(cli, "") if not isinstance(option.type, Forms)
    }

    assert strict == {"fetch"}, "fetch loads as few modules as possible"


@pytest.mark.parametrize(
    ("given", "form"), [("json", "jsonl"), ("text", "table"), ("csv", "csv")]
)
def test_a_format_has_the_names_of_other_commands_too(given: str, form: str) -> None:
    """`query --format json` and `report --format jsonl` mean the same."""
    choices = ["table", "csv", "jsonl", "parquet"]

    assert Forms(choices).convert(given, None, None) == form
    assert Forms([given]).convert(form, None, None) == given
    with pytest.raises(click.BadParameter, match="'json'"):
        Forms(["csv"]).convert("json", None, None)
