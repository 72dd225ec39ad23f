"""Texts: those of others made safe to store and to show; our numbers in words."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any, TypeVar
from unicodedata import category

from bikecollect.core.slots import DAY, HOUR, MINUTE, iso

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's classes of characters that act unseen on a screen, a log or a reader."""
SPACED = frozenset({"Cc", "Zl", "Zp"})
"""Those of them that become a space in a CSV."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e") | frozenset(
    map(chr, range(0x2066, 0x2070))
)
"""What turns the direction of a text (UAX 9), and the deprecated ones beside it."""
MOST_MESSAGE = 1_000
"""Letters of an error, a notice or an incident."""
Item = TypeVar("Item")
LATIN_1, BMP = 0xFF, 0xFFFF
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def clean(text: str) -> str:
    r"""Return *text* without control characters, bidi controls and lone surrogates.

    ``csv`` leaves a bare CR unquoted when lines end in LF (Python 3.11), a NUL
    breaks many readers, and C1 controls are commands to a terminal: they become a
    space. Joiners stay, for names and emoji are spelled with them.

    >>> clean("a\r\nb\x00\x9bc"), clean("\u202elive\u202c")
    ('a  b  c', 'live')
    """
    if text.isprintable():
        return text
    kept = (" " if category(c) in SPACED else c for c in text if c not in BIDI)
    return "".join(kept).encode("utf-8", "backslashreplace").decode("utf-8")


def disarmed(text: str) -> str:
    """Return *text* as a cell that no spreadsheet takes for a formula; a number stays.

    https://owasp.org/www-community/attacks/CSV_Injection, and their full-width twins.

    >>> disarmed("=1+1"), disarmed("-1.5"), disarmed("a=b")
    ("'=1+1", '-1.5', 'a=b')
    """
    if not text.startswith(FORMULA_STARTS) or NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return *text* with what would act unseen written as ``\xNN`` or ``\uNNNN``.

    Those are controls, escapes, line ends, bidi and other format characters, and
    lone surrogates. With *lines* its line feeds stay: for a text of several lines
    that is ours.

    >>> print(visible("a\x1b[2Jb\n\u202ec"))
    a\x1b[2Jb\x0a\u202ec
    >>> print(visible("a\nb\r", lines=True))
    a
    b\x0d
    """
    if text.isprintable():
        return text
    return text.translate(_LINES if lines else _LINE)


def message(text: str, *, lines: bool = False) -> str:
    """Return *text* as errors, notices and incidents carry it: visible, and short.

    It is one line, unless *lines* says that its line ends are meant: then it may be
    four times as long. Raises TypeError for what is no text: a ledger or a note of
    others may hold anything.
    """
    if not isinstance(text, str):
        raise TypeError(f"not a text: {text!r:.80}")
    most = MOST_MESSAGE * (4 if lines else 1)
    return shortened(visible(shortened(text, most), lines=lines), most)


def shortened(text: str, most: int = MOST_MESSAGE) -> str:
    """Return *text* without its middle, where it is longer than *most* letters.

    No word is cut: half of a secret would not be known as one.

    >>> shortened("one two three four five six seven eight nine ten eleven", 40)
    'one two three four five [22 letters left out] ten eleven'
    """
    if len(text) <= most:
        return text
    front, back = text[: most * 2 // 3], text[-(most // 3) :]
    head = front.rpartition(" ")[0] or front[: most // 3]
    tail = back.partition(" ")[2] or back[-(most // 6) :]
    left_out = len(text) - len(head) - len(tail)
    return f"{head} [{left_out} letters left out] {tail}"


def ends(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return the first and the last of *items*, *most* at most.

    >>> ends(range(9), 4), ends((1, 2), 4)
    ((0, 1, 7, 8), (1, 2))
    """
    half = most // 2
    return items if len(items) <= most else (*items[:half], *items[-half:])


def visible_json(values: Any, **options: Any) -> str:
    r"""Return *values* as JSON in which nothing acts unseen: the same to a parser.

    *options* are those of `json.dumps`.

    >>> print(visible_json({"name": "\x9b\u202e站"}))
    {"name": "\u009b\u202e站"}
    """
    text = json.dumps(values, ensure_ascii=False, **options)
    return text if text.isprintable() else text.translate(_JSON)


def visible_toml(text: str) -> str:
    r"""Return *text* as a string of TOML in which nothing acts unseen.

    >>> print(visible_toml('a "b" \\ \x7f\u202e'))
    "a \"b\" \\ \u007f\u202e"
    """
    return json.dumps(text, ensure_ascii=False).translate(_TOML)


class _Escapes(dict[int, str]):
    """A table for `str.translate` that learns each character when it first comes."""

    def __init__(self, escape: Callable[[int], str], keep: str = "") -> None:
        super().__init__({ord(each): each for each in keep})
        self._escape = escape

    def __missing__(self, number: int) -> str:
        hidden = category(chr(number)) in HIDDEN
        self[number] = self._escape(number) if hidden else chr(number)
        return self[number]


def _python(number: int) -> str:
    return f"\\x{number:02x}" if number <= LATIN_1 else _toml(number)


def _toml(number: int) -> str:
    return f"\\u{number:04x}" if number <= BMP else f"\\U{number:08x}"


def _json(number: int) -> str:
    return json.dumps(chr(number))[1:-1]  # beyond the first plane: two surrogates


_LINE = _Escapes(_python)
_LINES = _Escapes(_python, keep="\n")
_JSON = _Escapes(_json, keep="\n")
_TOML = _Escapes(_toml)


def length(seconds: float) -> str:
    """Return *seconds* in words.

    >>> length(300), length(5_400), length(180_000)
    ('5 min', '1 h 30 min', '2 d 2 h')
    """
    minutes = round(seconds / 60)
    if seconds >= DAY:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    if minutes * MINUTE >= HOUR:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def ago(seconds: float) -> str:
    """Return how long ago something was.

    >>> ago(125)
    '2 min ago'
    """
    return f"{length(seconds)} ago" if seconds >= 0 else "in the future"


def percent(ratio: float | None) -> str:
    """Return *ratio* as percents that never round a loss away.

    >>> percent(1), percent(0.99996), percent(None)
    ('100 %', '99.9 %', 'nothing yet')
    """
    if ratio is None:
        return "nothing yet"
    return "100 %" if ratio == 1 else f"{min(ratio * 100, 99.9):.1f} %"


def size(count: float) -> str:
    """Return *count* bytes in the unit that suits.

    >>> size(0), size(1_500), size(38_000_000)
    ('0 B', '1.5 kB', '38.0 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:  # noqa: PLR2004 - SI
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def local_minute(moment: float, zone: tzinfo) -> str:
    """Return *moment* as day, minute and offset."""
    text = iso(moment, zone)
    return f"{text[:10]} {text[11:16]} ({text[19:] or '+00:00'})"
