"""Text of others: made safe to store in a CSV, and safe to show to a person."""

import json
from typing import Any
from unicodedata import category

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's classes of characters that act unseen on a screen, a log or a reader."""
SPACED = frozenset({"Cc", "Zl", "Zp"})
"""Those of them that become a space in a CSV."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e") | frozenset(
    map(chr, range(0x2066, 0x2070))
)
"""What turns the direction of a text (UAX 9), and the deprecated ones beside it."""
LATIN_1, BMP = 0xFF, 0xFFFF


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


def message(text: str) -> str:
    """Return *text* as errors, notices and incidents carry it: one visible line."""
    return visible(text)


def visible_json(values: Any, **options: Any) -> str:
    r"""Return *values* as JSON in which nothing acts unseen: the same to a parser.

    *options* are those of `json.dumps`.

    >>> print(visible_json({"name": "\x9b\u202e站"}))
    {"name": "\u009b\u202e站"}
    """
    text = json.dumps(values, ensure_ascii=False, **options)
    return text if text.isprintable() else text.translate(_JSON)


class _Escapes(dict[int, str]):
    """A table for `str.translate` that learns each character when it first comes."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        hidden = category(character) in HIDDEN
        self[number] = self.escaped(number) if hidden else character
        return self[number]

    def escaped(self, number: int) -> str:
        if number <= LATIN_1:
            return f"\\x{number:02x}"
        return f"\\u{number:04x}" if number <= BMP else f"\\U{number:08x}"


class _JsonEscapes(_Escapes):
    """The same in JSON's own spelling: an astral one is two surrogates."""

    def escaped(self, number: int) -> str:
        return json.dumps(chr(number))[1:-1]


_LINE = _Escapes()
_LINES = _Escapes({10: "\n"})
_JSON = _JsonEscapes({10: "\n"})
