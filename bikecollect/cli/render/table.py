"""A table as text: columns as wide as their cells, numbers right-aligned."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from sys import maxsize
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
MIN_CUT = 4
"""Minimum characters of a shared beginning that is cut."""
KEYS = ("system",)
"""Columns that are shortened only if their cells remain different."""
IDS = ("system", "station", "neighbour")
"""Columns of ids, which are of no use in part: they may be wider than `MAX_WIDTH`."""
FIGURES = re.compile(r"-?[0-9.]+(, -?[0-9.]+)*")
"""A number, or a position: a part of it would be another one."""
BETWEEN_WORDS = re.compile(r"(?<![0-9]) | (?!%)")
"""A blank at which a name may be broken: not in "50 %"."""
WHOLE_WORDS = re.compile(r".*[\s_:/-]", re.DOTALL)
"""The part of a shared beginning that ends between two words."""


class FittedTable(NamedTuple):
    """A table as *text*, and the names of the columns that had no room.

    *beginnings* has, by column, the text with which each cell begins, and that was cut.
    *is_per_value* says that the text is no table, but a line per value.
    """

    text: str
    left_out: Sequence[str] = ()
    beginnings: Mapping[str, str] = {}
    is_per_value: bool = False


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return *rows* under *names*, as lines; control characters are escaped.

    >>> print(table(["a", "b"], [("x", 1), (None, 22)]), end="")
    a   b
    x   1
       22
    """
    if not names:
        return ""
    texts = _texts(names, rows)
    return _lines([[visible(name)] for name in names], texts, _numeric(names, rows))


def fitted(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    columns: int | None,
    *,
    cut: Sequence[Sequence[str]] = (),
    shorten: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> FittedTable:
    """Return *rows* like `table`, in lines of at most *columns*; None: of any length.

    In a table that is too wide, long names are broken, the columns of each group of
    *cut* lose the beginning that all their cells share, those called *shorten* become
    narrower, in that order, but not than their `FIGURES`, columns are closer together,
    and in the end those called *spare* are left out, one after the other; those that
    have room after all return. If it is still too wide, it is written as a paragraph
    per row, with a line per value.

    >>> print(fitted(["a name", "b"], [("x", 1)], 7).text, end="")
    a
    name  b
    x     1
    >>> rows = [("Oslo Dock", 1), ("Oslo Park", 2)]
    >>> cut = fitted(["name", "b"], rows, 8, cut=[["name"]])
    >>> print(cut.text, cut.beginnings)
    name  b
    Dock  1
    Park  2
     {'name': 'Oslo '}
    >>> print(fitted(["station", "vehicles"], [("Town Hall", 3)], 15).text, end="")
    station   Town Hall
    vehicles  3
    """
    texts = _texts(names, rows)
    heads, numeric = [visible(name) for name in names], _numeric(names, rows)
    whole = sum(_widths([[head] for head in heads], texts)) + GAP * (len(heads) - 1)
    if columns is None or not rows or whole <= columns:
        return FittedTable(table(names, rows))
    everything = list(range(len(names)))
    groups = [[n for n in everything if names[n] in group] for group in cut]
    beginnings = {n: shared for group in groups for n, shared in _shared(rows, group)}
    short = _texts(names, rows, beginnings)
    attempts = [(everything, GAP, texts, {}), (everything, GAP, short, beginnings)]
    for left_out in _choices([name for name in spare if name in names]):
        fewer = [n for n in everything if names[n] not in left_out]
        attempts.append((fewer, 1, short, beginnings))
    for attempt, (shown, gap, complete, without) in enumerate(attempts):
        broken = [_broken(heads[n], complete, n) for n in shown]
        cells = [[row[n] for n in shown] for row in complete]
        narrow = _places([names[n] for n in shown], shorten if attempt else ())
        if _narrowed(broken, cells, narrow, columns - gap * (len(shown) - 1)):
            text = _lines(broken, cells, [numeric[n] for n in shown], gap)
            return FittedTable(
                text,
                [names[n] for n in everything if n not in shown],
                {names[n]: without[n] for n in shown if n in without},
            )
    return FittedTable(_paragraphs(names, rows), is_per_value=True)


def _places(names: Sequence[str], wanted: Sequence[str]) -> dict[int, bool]:
    """Return the places of *wanted* in *names*, in order, and if they are of `KEYS`."""
    return {names.index(n): n in KEYS for n in wanted if n in names}


def _shared(
    rows: Sequence[Sequence[object]], group: Sequence[int]
) -> Iterator[tuple[int, str]]:
    """Yield each of *group* with the whole words with which all its cells begin."""
    cells = {_complete(row[n]) for row in rows for n in group} - {""}
    if len(cells) > 1:
        pairs = zip(min(cells), max(cells), strict=False)
        same = takewhile(lambda pair: pair[0] == pair[1], pairs)
        words = WHOLE_WORDS.match("".join(letter for letter, _ in same))
        if words and len(words[0]) >= MIN_CUT and words[0] not in cells:
            yield from ((n, words[0]) for n in group)


def _texts(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    beginnings: Mapping[int, str] = {},
) -> list[list[str]]:
    """Return the cells of *rows* as text, without the *beginnings* of columns."""
    most = [maxsize if name in IDS else MAX_WIDTH for name in names]
    return [
        [
            shortened(_complete(value).removeprefix(beginnings.get(n, "")), most[n])
            for n, value in enumerate(row)
        ]
        for row in rows
    ]


def _choices(spare: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield what of *spare* to leave out: ever more of it.

    The last one that is left out may make room for some before it.

    >>> [" ".join(choice) for choice in _choices("abc")]
    ['', 'a', 'b', 'a b', 'c', 'b c', 'a b c']
    """
    yield ()
    for last, name in enumerate(spare):
        for first in range(last, -1, -1):
            yield (*spare[first:last], name)


def _narrowed(
    heads: Sequence[Sequence[str]],
    texts: Sequence[list[str]],
    narrow: Mapping[int, bool],
    most: int,
) -> bool:
    """Shorten cells of the columns *narrow* to *most* in total, if that suffices.

    Different cells of a column whose value in *narrow* is true remain different.
    """
    widths = _widths(heads, texts)
    excess, sizes = sum(widths) - most, {}
    for n, is_key in narrow.items():
        whole = (row[n] for row in texts if FIGURES.fullmatch(row[n]))
        least = max(MIN_WIDTH, *map(width, heads[n]), *map(width, whole))
        size = max(least, widths[n] - excess)
        if excess <= 0 or widths[n] <= least:
            continue
        cells = {row[n] for row in texts}
        if is_key and len({shortened(cell, size) for cell in cells}) < len(cells):
            continue
        sizes[n] = size
        excess -= widths[n] - size
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
    for word in BETWEEN_WORDS.split(name):
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
    if text.isascii():
        return len(text)
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
