"""A table as text: columns as wide as their cells, numbers aligned right."""

from collections.abc import Sequence
from unicodedata import east_asian_width

from bikecollect.core.text import visible

WIDEST = 40


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
    numeric = [
        bool(rows) and all(isinstance(row[n], int | float | None) for row in rows)
        for n in range(len(names))
    ]
    widths = [
        max(width(name), *(width(row[n]) for row in texts)) if texts else width(name)
        for n, name in enumerate(names)
    ]
    lines = [_line(names, widths, numeric), *(_line(r, widths, numeric) for r in texts)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def width(text: str) -> int:
    """Return the number of terminal columns that *text* occupies.

    >>> width("站a")
    3
    """
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        " " * (size - width(cell)) + cell
        if right
        else cell + " " * (size - width(cell))
        for cell, size, right in zip(cells, widths, numeric, strict=True)
    )
    return "  ".join(padded)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.4g}" if isinstance(value, float) else visible(str(value))
    return text if width(text) <= WIDEST else text[: WIDEST - 1] + "…"
