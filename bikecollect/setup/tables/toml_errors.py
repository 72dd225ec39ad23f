"""Say what to do about a settings file that is not TOML."""

import re
import unicodedata
from collections.abc import Sequence

from bikecollect.setup.catalogue.text import slug

PLACE = re.compile(r"at line (\d+), column (\d+)")
TABLE_TWICE = re.compile(r"Cannot declare \((.+)\) twice")
KEY = re.compile(r"""\s*([\w."'-]+)\s*=""")
TEXT = re.compile(r"""\"(?:[^"\\]|\\.)*"|'[^']*'""")
"""A complete text in quotes."""
CURLY = re.compile("[\u201c-\u201f\u2018-\u201b\u00ab\u00bb]")
YAML = re.compile(r"\s*[\w-]+:(\s|$)", re.ASCII)
HEADER = re.compile(r"\s*\[\s*systems\s*\.\s*([^\[\]\"'.]+)")
"""The header of a table of a system, until the end of its name without quotes."""
WORD = re.compile(r"\w+")
FLAGS = dict.fromkeys(("yes", "on", "true"), "true") | dict.fromkeys(
    ("no", "off", "false"), "false"
)
NO_TEXT = "\"'[]{},=# \t\r\n"
"""The characters that no text without quotes begins with, and the empty one."""
COMMENTS = (";", "//", "--")
"""What begins a comment in other formats."""
MULTI_LINE = ('"""', "'''")


def explained(message: str, text: str) -> str:
    r"""Return tomllib's *message* about *text*, with the key and a probable reason.

    The value is not shown: it may be a secret.

    >>> explained("Invalid value (at line 1, column 8)", "feed = gbfs")
    '`feed`: Invalid value (at line 1, column 8): is it a text without quotes?'
    """
    if re.search("recursion|nested more than", message):  # the words of two Pythons
        return "it has too many brackets inside each other"
    place = PLACE.search(message)
    lines = text.split("\n")
    if place is None:
        return message + _hint_at_end(lines)
    number, column = int(place[1]), int(place[2])
    line = lines[number - 1] if number <= len(lines) else ""
    key = KEY.match(line)
    about = f"`{key[1]}`: " if key else ""
    return f"{about}{message}{_hint(message, line, line[column - 1 :])}"


def _hint(message: str, line: str, rest: str) -> str:
    """Return a hint for *line*, whose *rest* begins with the error."""
    wrong = rest[:1]
    if table := TABLE_TWICE.match(message):
        name = ".".join(re.findall(r"'([^']*)'", table[1]))
        return f": the table [{name}] is there twice; merge the two"
    if message.startswith("Cannot overwrite a value"):
        return ": the key is there twice in this table; remove one"
    if message.startswith("Expected ']'") and (header := HEADER.match(line)):
        foreign = "" if wrong.isascii() else _foreign(wrong)
        return foreign + _named(header[1])
    return _hint_of_line(line, wrong) or _hint_of_value(message, line, rest)


def _hint_of_line(line: str, wrong: str) -> str:
    """Return a hint for what no line of TOML has."""
    if CURLY.search(_outside_of_texts(line)):
        return ': write straight quotes (") in place of curly ones'
    if not wrong.isascii():
        return _foreign(wrong)
    if line.lstrip().startswith(COMMENTS):
        return ": a comment begins with #"
    return ': write it as key = "value"' if YAML.match(line) else ""


def _hint_of_value(message: str, line: str, rest: str) -> str:
    if _lacks_quote(line):
        return ": is a quote missing?"
    is_bare = _outside_of_texts(line) == line
    is_value = message.startswith("Invalid value") and rest[:1] not in NO_TEXT
    word = WORD.match(rest) if is_value else None
    if word and word[0].lower() in FLAGS:
        return f": write {FLAGS[word[0].lower()]}"
    if is_value or (message.startswith("Expected newline") and is_bare):
        return ": is it a text without quotes?"
    return ""


def _foreign(character: str) -> str:
    r"""Return that a *character* is there which only texts in quotes may have.

    Word processors and web pages replace spaces by others.

    >>> _foreign("\u00a0")
    ': it has a no-break space (U+00A0)'
    """
    name = unicodedata.name(character, "hidden character").lower()
    return f": it has a {name} (U+{ord(character):04X})"


def _named(name: str) -> str:
    """Return which names a system may have, with one like *name*.

    >>> _named("my city")
    '; a name has letters (a to z), digits, dashes: write [systems.my-city]'
    """
    like = slug(name.partition("#")[0])
    example = f": write [systems.{like}]" if like else ""
    return f"; a name has letters (a to z), digits, dashes{example}"


def _hint_at_end(lines: Sequence[str]) -> str:
    """Return a hint for an error that was noticed at the end only."""
    if any(mark in line for line in lines for mark in MULTI_LINE):
        return ""
    number = next((n for n, line in enumerate(lines, 1) if _lacks_quote(line)), 0)
    return f": is a quote missing in line {number}?" if number else ""


def _lacks_quote(line: str) -> bool:
    return any(quote in _outside_of_texts(line) for quote in "\"'")


def _outside_of_texts(line: str) -> str:
    """Return *line* without its texts in quotes, and without a comment.

    >>> _outside_of_texts('a = ["b, "c"] # d'), _outside_of_texts('a = "#b')
    ('a = [c"] ', 'a = "')
    """
    return TEXT.sub("", line).partition("#")[0]
