"""Texts: untrusted text made safe to store and to show; numbers formatted."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import Any, TypeVar
from unicodedata import category

from bikecollect.core.slots import DAY, HOUR, MINUTE, iso, occurs_twice

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of invisible characters that can mislead a terminal or reader."""
SPACED = frozenset({"Cc", "Zl", "Zp"})
"""Those of the `HIDDEN` categories that become a space in a CSV."""
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e") | frozenset(
    map(chr, range(0x2066, 0x2070))
)
"""Bidirectional controls (UAX 9), including deprecated ones."""
MAX_MESSAGE = 1_000
"""Maximum characters of an error, a notice or an incident."""
Item = TypeVar("Item")
LATIN_1, BMP = 0xFF, 0xFFFF
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
PATH = re.compile(r"/[^:;'\"\n]+")
"""A path in a message, which may have spaces: a colon follows, or the end."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

MAIL_ADDRESS = re.compile(r"""("[^"]+"|[^\s<>,;:@"]+)@[^\s<>,;@"]+""")
"""As people write them in lists: everything else is judged by the mail server."""
TINY = 0.0005
"""The least ratio that is not rounded to 0.0 %."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def clean(text: str) -> str:
    r"""Return *text* without control characters, bidi controls and lone surrogates.

    ``csv`` leaves a bare CR unquoted when lines end in LF (Python 3.11), a NUL breaks
    many readers, and terminals execute C1 controls: they become a space. Joiners are
    kept, because names and emoji need them.

    >>> clean("a\r\nb\x00\x9bc"), clean("\u202elive\u202c")
    ('a  b  c', 'live')
    """
    if text.isprintable():
        return text
    kept = (" " if category(c) in SPACED else c for c in text if c not in BIDI)
    return "".join(kept).encode("utf-8", "backslashreplace").decode("utf-8")


def disarmed(text: str) -> str:
    """Return *text* as a cell that no spreadsheet takes for a formula.

    Numbers are unchanged. Full-width signs count as signs; see
    https://owasp.org/www-community/attacks/CSV_Injection.

    >>> disarmed("=1+1"), disarmed("-1.5"), disarmed("a=b")
    ("'=1+1", '-1.5', 'a=b')
    """
    if not text.startswith(FORMULA_STARTS) or NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return *text* with invisible characters escaped as ``\xNN`` or ``\uNNNN``.

    These are control characters, line ends, bidi and other format characters, and lone
    surrogates. With *lines*, line feeds are kept.

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
    """Return *text* escaped and shortened for errors, notices and incidents.

    It becomes one line; with *lines* it keeps its line ends and may be four times as
    long. Raises TypeError if *text* is not a string (it may come from a damaged file).
    """
    if not isinstance(text, str):
        raise TypeError(f"not a text: {text!r:.80}")
    most = MAX_MESSAGE * (4 if lines else 1)
    if len(text) <= most and text.isprintable():
        return text
    return shortened(visible(shortened(text, most), lines=lines), most)


def shortened(text: str, most: int = MAX_MESSAGE) -> str:
    """Return *text* without its middle, if it is longer than *most* characters.

    No word is cut, because half of a secret would not be recognised.

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
    """Return the first and the last of *items*, at most *most* in total.

    >>> ends(range(9), 4), ends((1, 2), 4)
    ((0, 1, 7, 8), (1, 2))
    """
    half = most // 2
    return items if len(items) <= most else (*items[:half], *items[-half:])


def visible_json(values: Any, **options: Any) -> str:
    r"""Return *values* as JSON with invisible characters escaped.

    *options* are those of `json.dumps`.

    >>> print(visible_json({"name": "\x9b\u202e站"}))
    {"name": "\u009b\u202e站"}
    """
    text = json.dumps(values, ensure_ascii=False, **options)
    return text if text.isprintable() else text.translate(_JSON)


def visible_toml(text: str) -> str:
    r"""Return *text* as a TOML string with invisible characters escaped.

    >>> print(visible_toml('a "b" \\ \x7f\u202e'))
    "a \"b\" \\ \u007f\u202e"
    """
    return json.dumps(text, ensure_ascii=False).translate(_TOML)


class _Escapes(dict[int, str]):
    """A table for `str.translate`, filled character by character on first use."""

    def __init__(self, escape: Callable[[int], str], keep: str = "") -> None:
        super().__init__({ord(character): character for character in keep})
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


def count_of(number: int, noun: str) -> str:
    """Return *number* and *noun*, in the plural unless *number* is 1.

    >>> count_of(1, "day"), count_of(2_000, "slot")
    ('1 day', '2,000 slots')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def length(seconds: float) -> str:
    """Return *seconds* as a duration for people.

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
    """Return how long ago an event was, *seconds* before now.

    A slot may be fetched up to ten seconds before it begins: that is no future.

    >>> ago(125), ago(-10), ago(-300)
    ('2 min ago', 'just now', 'in the future')
    """
    if seconds >= 0:
        return f"{length(seconds)} ago"
    return "just now" if seconds > -MINUTE else "in the future"


def percent(ratio: float | None) -> str:
    """Return *ratio* as a percentage; only an exact 1 becomes 100 %, a 0 0.0 %.

    >>> percent(1), percent(0.99996), percent(0.0002), percent(0), percent(None)
    ('100 %', '99.9 %', '<0.1 %', '0.0 %', 'nothing yet')
    """
    if ratio is None:
        return "nothing yet"
    if 0 < ratio < TINY:
        return "<0.1 %"
    return "100 %" if ratio == 1 else f"{min(ratio * 100, 99.9):.1f} %"


def size(count: float) -> str:
    """Return *count* bytes in a suitable unit.

    >>> size(0), size(1_500), size(38_000_000)
    ('0 B', '1.5 kB', '38.0 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:  # noqa: PLR2004 - SI
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def local_minute(moment: float, zone: tzinfo, interval: int = MINUTE) -> str:
    """Return *moment* as date, time to the minute, and UTC offset.

    A slot of an *interval* that is not whole minutes has its seconds, too.
    """
    text = iso(moment, zone)
    time = text[11 : 19 if interval % MINUTE else 16]
    return f"{text[:10]} {time} ({text[19:] or '+00:00'})"


def clock_minute(moment: float, zone: tzinfo, interval: int = MINUTE) -> str:
    """Return *moment* like `local_minute`, by the clocks in *zone*.

    With the UTC offset only in the hour that they show twice, when summer time ends.

    >>> from zoneinfo import ZoneInfo
    >>> oslo = ZoneInfo("Europe/Oslo")
    >>> clock_minute(1_792_893_595, oslo, 5), clock_minute(1_792_893_600, oslo)
    ('2026-10-25 02:59:55 (+01:00)', '2026-10-25 03:00')
    """
    text = local_minute(moment, zone, interval)
    return text if occurs_twice(moment, zone) else text.partition(" (")[0]


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    r"""Return *rows* as lines of CSV (RFC 4180, but for \n at the end of a line).

    >>> csv_text([("id", "name"), (1, 'a "b", c')])
    'id,name\n1,"a ""b"", c"\n'
    """
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def markdown(text: str) -> str:
    r"""Return *text* so that Markdown shows it as it is, also in a cell of a table.

    >>> print(markdown("<b>a_b</b> | [x](y) &amp;"), markdown("1. A & B"))
    \<b>a\_b\</b> \| \[x\](y) \&amp; 1\. A & B
    """
    text = re.sub(r"[\\`*_\[\]<|~]|&(?=#?\w+;)", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"^(\d*)([#>+=.)-])", r"\1\\\2", text)


def mail_address_error(text: str) -> str:
    """Return why *text* is not a mail address and what to write, empty if it is one.

    >>> mail_address_error("Me <me@example.org>")
    '"Me <me@example.org>" is not a mail address; write "me@example.org"'
    >>> mail_address_error("me@bücher.example")
    '"me@bücher.example" is not in ASCII; write "me@xn--bcher-kva.example"'
    """
    if not MAIL_ADDRESS.fullmatch(text):
        plain = [f'"{match[0]}"' for match in MAIL_ADDRESS.finditer(text)]
        hint = f"; write {', '.join(plain)}" if plain else ""
        return f'"{text}" is not a mail address{hint}'
    local, _, domain = text.rpartition("@")
    if text.isascii():
        return ""
    hint = ""
    with suppress(UnicodeError):
        ascii_name = domain.encode("idna").decode("ascii")
        hint = f'; write "{local}@{ascii_name}"' if local.isascii() else ""
    return f'"{text}" is not in ASCII{hint}'


def suggestion(name: str, known: Iterable[str], before: str = ", ") -> str:
    """Return *before* and a question for the most similar *known* name, "" for none.

    Zeros before a number are of no importance.

    >>> suggestion("fetsch", ["fetch", "status"]), suggestion("URL", ["url"])
    (', did you mean "fetch"?', ', did you mean "url"?')
    >>> suggestion("c1", ["c01", "c21"])
    ', did you mean "c01"?'
    """
    from difflib import get_close_matches  # only needed for an error

    names = {text.lower(): text for text in known}
    same = [text for text in names if _unpadded(text) == _unpadded(name.lower())]
    near = same or get_close_matches(name.lower(), names, 1)
    return f'{before}did you mean "{names[near[0]]}"?' if near else ""


def _unpadded(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", name)


def quote_hint(value: object) -> str:
    """Return the remedy for *value* where a text is required: quotes for a number.

    >>> quote_hint(7), quote_hint(True)
    ('; write "7"', '')
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'; write "{value}"' if is_number else ""


AS_ROOT = "run as root: "
"""Begins the remedies for root, where no program gives a user root's rights."""


def to_run(command: str) -> str:
    """Return the remedy *command* as a part of a message.

    >>> to_run("chmod 600 a"), to_run(f"{AS_ROOT}chmod 600 a")
    ('run: chmod 600 a', 'run as root: chmod 600 a')
    """
    return command if command.startswith(AS_ROOT) else f"run: {command}"
