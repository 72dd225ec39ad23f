"""A table as text: columns as wide as their cells, numbers right-aligned."""

from collections.abc import Sequence
from unicodedata import east_asian_width

from bikecollect.core.text import visible

MAX_WIDTH = 40
GAP = 2
"""Blanks between two columns."""
MIN_WIDTH = 8
"""Minimum characters of a shortened cell."""


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return *rows* under *names*, as lines; control characters are escaped.

    >>> print(table(["a", "b"], [("x", 1), (None, 22)]), end="")
    a   b
    x   1
       22
    """
    if not names:
        return ""
    names = [visible(name) for name in names]
    texts = [[_text(value) for value in row] for row in rows]
    widths = _widths(names, texts)
    numeric = _numeric(names, rows)
    lines = [_line(names, widths, numeric), *(_line(r, widths, numeric) for r in texts)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def fitted(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    columns: int | None,
    *,
    shorten: Sequence[str] = (),
) -> str:
    """Return *rows* like `table`, in lines of at most *columns*; None: of any length.

    The columns called *shorten* become narrower first. A table that is still too wide
    is written as a paragraph per row, with a line per value.

    >>> print(fitted(["station", "vehicles"], [("Town Hall", 3)], 15), end="")
    station   Town Hall
    vehicles  3
    """
    texts = [[_text(value) for value in row] for row in rows]
    widths = _widths([visible(name) for name in names], texts)
    excess = sum(widths) + GAP * (len(widths) - 1) - (columns or 0)
    if columns is None or not rows or excess <= 0:
        return table(names, rows)
    narrower = list(map(list, rows))
    for n, name in enumerate(names):
        least = max(MIN_WIDTH, width(name))
        if name in shorten and excess > 0 and widths[n] > least:
            size = max(least, widths[n] - excess)
            excess -= widths[n] - size
            for row, cells in zip(narrower, texts, strict=True):
                row[n] = _shortened(cells[n], size)
    return table(names, narrower) if excess <= 0 else _paragraphs(names, rows)


def width(text: str) -> int:
    """Return the number of terminal columns that *text* occupies.

    >>> width("站a")
    3
    """
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def _paragraphs(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return each of *rows* as lines of a name and a value, with a blank line between.

    Values are complete: a terminal breaks a line that is too long for it.
    """
    heads = [visible(name) for name in names]
    size = max(map(width, heads))
    paragraphs = []
    for row in rows:
        pairs = zip(heads, map(_complete, row), strict=True)
        lines = [f"{head}{' ' * (size - width(head))}  {cell}" for head, cell in pairs]
        paragraphs.append("".join(f"{line.rstrip()}\n" for line in lines))
    return "\n".join(paragraphs)


def _widths(names: Sequence[str], texts: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([width(name), *(width(row[n]) for row in texts)])
        for n, name in enumerate(names)
    ]


def _numeric(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    return [
        bool(rows) and all(isinstance(row[n], int | float | None) for row in rows)
        for n in range(len(names))
    ]


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        " " * (size - width(cell)) + cell
        if right
        else cell + " " * (size - width(cell))
        for cell, size, right in zip(cells, widths, numeric, strict=True)
    )
    return (" " * GAP).join(padded)


def _text(value: object) -> str:
    return _shortened(_complete(value), MAX_WIDTH)


def _complete(value: object) -> str:
    """Return *value* as text; with ten digits a position is exact to a centimetre."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else visible(str(value))


def _shortened(text: str, most: int) -> str:
    """Return *text* in at most *most* columns, with a mark if it was shortened.

    >>> _shortened("市政府站", 6)
    '市政…'
    """
    if width(text) <= most:
        return text
    kept = text
    while width(kept) > most - 1:
        kept = kept[:-1]
    return f"{kept}…"
