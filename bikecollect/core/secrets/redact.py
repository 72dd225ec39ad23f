"""Texts without secrets: in each spelling, wherever they stand, and nothing else."""

import json
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import takewhile
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from bikecollect.core.secrets.names import SHORTEST, is_secret_name
from bikecollect.core.text import visible, visible_json

Redact = Callable[[str], str]

STARS = "***"


def redactor(secrets: Iterable[str]) -> Redact:
    """Return a function that puts stars in place of each of *secrets* in a text.

    Each in every spelling that it may come in, and only as a whole word: a secret
    of three letters leaves longer words alone. Without being asked, user info and
    keys in addresses go too, those of others also; and a half of a secret whose other
    half was cut off.

    >>> redactor(["hunter2"])("hunter2 was refused, hunter22 was not")
    '*** was refused, hunter22 was not'
    >>> redactor([])("https://me:pw@example.org/?size=10000000&key=0123456789")
    'https://***@example.org/?size=10000000&key=***'
    """
    spelled = {text for each in secrets for text in _spellings(each.strip("/"))}
    ordered = sorted((each for each in spelled if each.strip()), key=len, reverse=True)

    def redact(text: str) -> str:
        for each in ordered:
            if each in text:
                text = _whole(each).sub(STARS, text)
        for each in ordered:
            if each[: _least(each)] in text:
                text = _without_start(text, each)
        return _without_keys(text)

    return redact


def unredacted(text: str) -> str:
    """Return *text* as it is: for a program without secrets."""
    return text


class Placeholders:
    """Keeps secrets out of a text that must be whole again in another process.

    Each stands there as a mark that only a program with the same secrets can undo.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelled = {text for each in secrets for text in _spellings(each)}
        ordered = sorted((each for each in spelled if each.strip()), key=len)
        # Four digits tell a secret from its successor, and nobody what it is.
        self._marks = {
            each: f"{STARS}{sha256(each.encode()).hexdigest()[:4]}.{len(each)}{STARS}"
            for each in reversed(ordered)
        }

    def put(self, text: str) -> str | None:
        """Return *text* with marks; None where it holds a secret of somebody else."""
        rest = text
        for secret, mark in self._marks.items():
            if secret in text:
                text = _whole(secret).sub(mark, text)
                rest = _whole(secret).sub(STARS, rest)
        return text if _without_keys(rest) == rest else None

    def undone(self, text: str) -> str | None:
        """Return the *text* that `put` was given; None where a secret is unknown."""
        for secret, mark in self._marks.items():
            text = text.replace(mark, secret)
        return text if STARS not in text else None


def redacted_values(values: Any, redact: Redact) -> Any:
    """Return *values*, as JSON has them, with each text in them redacted.

    Names, numbers and the shape stay what they are.

    >>> redacted_values({"1000": [1000, "of 1000"]}, redactor(["1000"]))
    {'1000': [1000, 'of ***']}
    """
    if isinstance(values, str):
        return redact(values)
    if isinstance(values, dict):
        return {name: redacted_values(each, redact) for name, each in values.items()}
    if isinstance(values, list | tuple):
        return [redacted_values(each, redact) for each in values]
    return values


def redacted_json(text: str, redact: Redact) -> str:
    """Return *text*, lines of JSON, with each text in them redacted."""
    if redact(text) == text:
        return text
    lines = (redacted_values(json.loads(each), redact) for each in text.splitlines())
    return "".join(f"{visible_json(each)}\n" for each in lines)


def _spellings(secret: str) -> set[str]:
    """Return *secret* as addresses, JSON, Python, HTML and our messages write it."""
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower = {re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), each) for each in quoted}
    escaped = {json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)}
    html = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    html = html.replace('"', "&quot;")
    more = {html, html.replace("'", "&#x27;"), html.replace("'", "&#39;")}
    return {secret, visible(secret), *quoted, *lower, *more} | {
        e[1:-1] for e in escaped
    }


# What stands before a whole word: no letter or digit, unless it ends an escape.
_BEFORE = (
    r"(?:(?<![^\W_])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[abfnrtv0])"
    r"|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
)
_AFTER = r"(?![^\W_])"
_START = re.compile(_BEFORE)


def _whole(text: str) -> re.Pattern[str]:
    before = _BEFORE if text[0].isalnum() else ""
    after = _AFTER if text[-1].isalnum() else ""
    return re.compile(f"{before}{re.escape(text)}{after}")


_CUT = re.compile(r"""\Z|["'…]|\.\.\.""")
"""What comes after a text of others that was cut."""


def _without_start(text: str, secret: str) -> str:
    """Return *text* without the start of *secret*, where it was cut in the middle."""
    least = secret[: _least(secret)]
    start = text.find(least)
    while start >= 0:
        pairs = zip(text[start:], secret, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        end = start + same
        cut = same < len(secret) and _CUT.match(text, end)
        if cut and _START.match(text, start):
            text = f"{text[:start]}{STARS}{text[end:]}"
        start = text.find(least, start + 1)
    return text


def _least(secret: str) -> int:
    return max(SHORTEST, len(secret) // 2)


_KEY = re.compile(
    r"([?&;]|%3[Ff]|%26)([\w.%\[\]-]{1,80}?)(=|%3[Dd])([^\s&;#\"'<>()\[\]{},`\\]+)"
)
_USER = re.compile(r"(?<=://)[^\s/?#@\"'<>]+(?=@)")


def _without_keys(text: str) -> str:
    """Return *text* without the keys and the user info of addresses in it."""
    if "://" in text:
        text = _USER.sub(STARS, text)
    return _KEY.sub(_starred, text) if "=" in text or "%3" in text else text


def _starred(match: "re.Match[str]") -> str:
    start, name, sign, value = match.groups()
    if len(value) < SHORTEST or not is_secret_name(unquote(name)):
        return match[0]
    return f"{start}{name}{sign}{STARS}"
