"""A table as text: columns as wide as their cells, numbers right-aligned."""

from collections.abc import Container, Sequence
from typing import NamedTuple
from unicodedata import east_asian_width

from bikecollect.core.text import visible

MAX_WIDTH = 40
GAP = 2
"""Blanks between two columns."""
MIN_WIDTH = 8
"""Minimum characters of a shortened cell."""
MIN_BROKEN = 6
"""Minimum characters of a name that is broken."""


class FittedTable(NamedTuple):
    """A table as *text*, and the names of the columns that had no room."""

    text: str
    left_out: Sequence[str] = ()


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return *rows* under *names*, as lines; control characters are escaped.

    >>> print(table(["a", "b"], [("x", 1), (None, 22)]), end="")
    a   b
    x   1
       22
    """
    if not names:
        return ""
    texts = [[_text(value) for value in row] for row in rows]
    return _lines([[visible(name)] for name in names], texts, _numeric(names, rows))


def fitted(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    columns: int | None,
    *,
    shorten: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> FittedTable:
    """Return *rows* like `table`, in lines of at most *columns*; None: of any length.

    In a table that is too wide, long names are broken, the columns called *shorten*
    become narrower, columns are closer together, and in the end those called *spare*
    are left out. If it is still too wide, it is written as a paragraph per row, with a
    line per value.

    >>> print(fitted(["a name", "b"], [("x", 1)], 7).text, end="")
    a
    name  b
    x     1
    >>> print(fitted(["station", "vehicles"], [("Town Hall", 3)], 15).text, end="")
    station   Town Hall
    vehicles  3
    """
    texts = [[_text(value) for value in row] for row in rows]
    heads, numeric = [visible(name) for name in names], _numeric(names, rows)
    whole = sum(_widths([[head] for head in heads], texts)) + GAP * (len(heads) - 1)
    if columns is None or not rows or whole <= columns:
        return FittedTable(table(names, rows))
    everything = range(len(names))
    fewer = [n for n in everything if names[n] not in spare]
    for shown, gap in ((everything, GAP), (everything, 1), (fewer, 1)):
        broken = [_broken(heads[n], texts, n) for n in shown]
        cells = [[row[n] for n in shown] for row in texts]
        narrow = {place for place, n in enumerate(shown) if names[n] in shorten}
        if _narrowed(broken, cells, narrow, columns - gap * (len(shown) - 1)):
            text = _lines(broken, cells, [numeric[n] for n in shown], gap)
            return FittedTable(text, [names[n] for n in everything if n not in shown])
    return FittedTable(_paragraphs(names, rows))


def _narrowed(
    heads: Sequence[Sequence[str]],
    texts: Sequence[list[str]],
    narrow: Container[int],
    most: int,
) -> bool:
    """Shorten cells of the columns *narrow* to *most* in total, if that suffices."""
    widths = _widths(heads, texts)
    excess, sizes = sum(widths) - most, {}
    for n, whole in enumerate(widths):
        least = max(MIN_WIDTH, *map(width, heads[n]))
        if n in narrow and excess > 0 and whole > least:
            sizes[n] = max(least, whole - excess)
            excess -= whole - sizes[n]
    if excess > 0:
        return False
    for row in texts:
        for n, size in sizes.items():
            row[n] = shortened(row[n], size)
    return True


def _broken(name: str, texts: Sequence[Sequence[str]], place: int) -> list[str]:
    """Return *name* in lines not wider than the cells at *place*, nor than a word.

    A name such as "50 %" stays whole.
    """
    if width(name) < MIN_BROKEN:
        return [name]
    size = max((width(row[place]) for row in texts), default=0)
    lines: list[str] = []
    for word in name.split():
        if lines and width(f"{lines[-1]} {word}") <= max(size, *map(width, lines)):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [name]


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


def _lines(
    heads: Sequence[Sequence[str]],
    texts: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    gap: int = GAP,
) -> str:
    """Return *texts* under *heads*, which may have several lines, as lines."""
    if not heads:
        return ""
    widths = _widths(heads, texts)
    height = max(map(len, heads))
    padded = [[""] * (height - len(head)) + [*head] for head in heads]
    lines = [*zip(*padded, strict=True), *texts]
    return "".join(f"{_line(line, widths, numeric, gap).rstrip()}\n" for line in lines)


def _widths(
    heads: Sequence[Sequence[str]], texts: Sequence[Sequence[str]]
) -> list[int]:
    return [
        max([*map(width, head), *(width(row[n]) for row in texts)])
        for n, head in enumerate(heads)
    ]


def _numeric(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    return [
        bool(rows) and all(isinstance(row[n], int | float | None) for row in rows)
        for n in range(len(names))
    ]


def _line(
    cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], gap: int
) -> str:
    padded = (
        " " * (size - width(cell)) + cell
        if right
        else cell + " " * (size - width(cell))
        for cell, size, right in zip(cells, widths, numeric, strict=True)
    )
    return (" " * gap).join(padded)


def _text(value: object) -> str:
    return shortened(_complete(value), MAX_WIDTH)


def _complete(value: object) -> str:
    """Return *value* as text; with ten digits a position is exact to a centimetre."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else visible(str(value))


def shortened(text: str, most: int) -> str:
    """Return *text* in at most *most* columns, with a mark if it was shortened.

    >>> shortened("市政府站", 6)
    '市政…'
    """
    if width(text) <= most:
        return text
    kept = text
    while width(kept) > most - 1:
        kept = kept[:-1]
    return f"{kept}…"
