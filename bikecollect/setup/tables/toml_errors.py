"""Say what to do about a settings file that is not TOML."""

import re

PLACE = re.compile(r"at line (\d+)")
TABLE_TWICE = re.compile(r"Cannot declare \((.+)\) twice")
KEY = re.compile(r"""\s*([\w."'-]+)\s*=""")

UNQUOTED = ("Invalid value", "Expected newline")
"""Beginnings of tomllib's messages about a text without quotes."""


def explained(message: str, text: str) -> str:
    r"""Return tomllib's *message* about *text*, with the key and a probable reason.

    The value is not shown: it may be a secret.

    >>> explained("Invalid value (at line 1, column 8)", "feed = gbfs")
    '`feed`: Invalid value (at line 1, column 8): is it a text without quotes?'
    """
    place = PLACE.search(message)
    lines = text.splitlines()
    line = lines[int(place[1]) - 1] if place and int(place[1]) <= len(lines) else ""
    key = KEY.match(line)
    about = f"`{key[1]}`: " if key else ""
    return f"{about}{message}{_hint(message, line)}"


def _hint(message: str, line: str) -> str:
    if table := TABLE_TWICE.match(message):
        name = ".".join(re.findall(r"'([^']*)'", table[1]))
        return f": the table [{name}] is there twice; merge the two"
    if message.startswith("Cannot overwrite a value"):
        return ": the key is there twice in this table; remove one"
    if "Illegal character" in message and line.count('"') + line.count("'") == 1:
        return ": is a quote missing at its end?"
    if line and message.startswith(UNQUOTED) and not re.search("[\"'\\[{]", line):
        return ": is it a text without quotes?"
    return ""
