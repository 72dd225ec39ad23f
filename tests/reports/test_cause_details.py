"""The words after the colon of a cause: each has its row in the docs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bikecollect.core.causes import SeenRun, cause_of
from bikecollect.core.errors import (
    BikecollectError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
)
from bikecollect.core.slots import Slot
from bikecollect.feeds.http.response.body import TooLargeError

ROOT = Path(__file__).parents[2]
RAISED: dict[str, type[BikecollectError]] = {
    cls.__name__: cls
    for cls in (FeedUnavailable, PayloadError, ProtocolError, TooLargeError)
}


def details() -> Iterator[str]:
    """Yield the cause that a gap has by each error of a feed or payload in the code."""
    for path in (ROOT / "bikecollect").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield from _of_call(node, RAISED.get(node.func.id))


def _of_call(node: ast.Call, raised: type[BikecollectError] | None) -> Iterator[str]:
    if raised is None:
        return
    given = [keyword.value for keyword in node.keywords if keyword.arg == "cause"]
    if not given:
        yield _cause(raised, raised.cause)
    elif isinstance(given[0], ast.Constant):
        yield _cause(raised, str(given[0].value))


def _cause(raised: type[BikecollectError], word: str) -> str:
    return str(cause_of(SeenRun(Slot(0), 0, raised.outcome.value, word)))


def test_each_detail_of_a_cause_has_its_row_and_no_other() -> None:
    """Whoever reads a word in a report finds what it means."""
    page = ROOT / "docs/reference/commands/backfill-report.md"
    rows = re.findall(r"^\| `(\w+: [\w-]+)` \|", page.read_text("utf-8"), re.MULTILINE)

    assert sorted(rows) == sorted(set(details()))
