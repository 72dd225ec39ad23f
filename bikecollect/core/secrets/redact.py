"""Remove secrets from texts, in every encoding; the rest is unchanged."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from itertools import takewhile
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from bikecollect.core.secrets.names import SHORTEST, is_secret_name
from bikecollect.core.text import visible, visible_json

Redact = Callable[[str], str]

STARS = "***"
MAX_LEARNED = 100
_learned: dict[str, None] = {}
"""Secrets that are not in the settings: tokens that servers issued to this process."""


def redactor(secrets: Iterable[str]) -> Redact:
    """Return a function that replaces each of *secrets* in a text by stars.

    Every encoding of a secret is replaced, but only as a whole word: a secret of three
    letters does not change longer words. User info and keys in any address are
    replaced too, and the start of a secret whose end was cut off.

    >>> redactor(["hunter2"])("hunter2 was refused, hunter22 was not")
    '*** was refused, hunter22 was not'
    >>> redactor([])("https://me:pw@example.org/?size=10000000&key=0123456789")
    'https://***@example.org/?size=10000000&key=***'
    """
    encodings = {text for secret in secrets for text in _encodings(secret.strip("/"))}
    longest_first = sorted(filter(str.strip, encodings), key=len, reverse=True)

    def redact(text: str) -> str:
        known = [*longest_first, *_learned] if _learned else longest_first
        for secret in known:
            if secret in text:
                text = _as_word(secret).sub(STARS, text)
        for secret in known:
            if secret[: _recognisable_length(secret)] in text:
                text = _without_start(text, secret)
        return _without_keys(text)

    return redact


def learn(secret: str) -> None:
    """Make all redactors of this process replace *secret*, which a server issued."""
    _learned[secret] = None
    for oldest in list(_learned)[:-MAX_LEARNED]:
        _learned.pop(oldest, None)


def unredacted(text: str) -> str:
    """Return *text* unchanged: the redactor of a program without secrets."""
    return text


class Placeholders:
    """Replaces secrets in a text such that another process can restore them.

    Each is replaced by a mark that only a program with the same secrets can resolve.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        encodings = {text for secret in secrets for text in _encodings(secret)}
        shortest_first = sorted(filter(str.strip, encodings), key=len)
        # Four digits of the hash distinguish a secret from its successor and reveal
        # nothing.
        self._marks = {
            text: f"{STARS}{sha256(text.encode()).hexdigest()[:4]}.{len(text)}{STARS}"
            for text in reversed(shortest_first)
        }

    def put(self, text: str) -> str | None:
        """Return *text* with marks, None if it has a secret that is not known here."""
        rest = text
        for secret, mark in self._marks.items():
            if secret in text:
                text = _as_word(secret).sub(mark, text)
                rest = _as_word(secret).sub(STARS, rest)
        return text if _without_keys(rest) == rest else None

    def undone(self, text: str) -> str | None:
        """Return the original of the *text* from `put`, None if a secret is unknown."""
        for secret, mark in self._marks.items():
            text = text.replace(mark, secret)
        return text if STARS not in text else None


def changed_notes(
    change: Callable[[str], str | None], notes: Mapping[str, str]
) -> dict[str, str]:
    """Return *notes* with *change* applied to each text; drop those it maps to None."""
    changed = {name: change(text) for name, text in notes.items()}
    return {name: text for name, text in changed.items() if text is not None}


def redacted_values(values: Any, redact: Redact) -> Any:
    """Return the JSON *values* with *redact* applied to each string.

    Keys, numbers and structure are unchanged.

    >>> redacted_values({"1000": [1000, "of 1000"]}, redactor(["1000"]))
    {'1000': [1000, 'of ***']}
    """
    if isinstance(values, str):
        return redact(values)
    if isinstance(values, dict):
        return {key: redacted_values(value, redact) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [redacted_values(value, redact) for value in values]
    return values


def redacted_json(text: str, redact: Redact) -> str:
    """Return *text*, lines of JSON, with *redact* applied to each string."""
    if redact(text) == text:
        return text
    objects = (redacted_values(json.loads(line), redact) for line in text.splitlines())
    return "".join(f"{visible_json(values)}\n" for values in objects)


def _encodings(secret: str) -> set[str]:
    """Return *secret* as written in addresses, JSON, Python, HTML and messages."""
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower = {re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), text) for text in quoted}
    escaped = {json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)}
    html = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    html = html.replace('"', "&quot;")
    in_html = {html, html.replace("'", "&#x27;"), html.replace("'", "&#39;")}
    unquoted = {text[1:-1] for text in escaped}
    return {secret, visible(secret), *quoted, *lower, *in_html, *unquoted}


# The start of a word: no letter or digit before it, unless that ends an escape.
_BEFORE = (
    r"(?:(?<![^\W_])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[abfnrtv0])"
    r"|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
)
_AFTER = r"(?![^\W_])"
_START = re.compile(_BEFORE)


def _as_word(text: str) -> re.Pattern[str]:
    before = _BEFORE if text[0].isalnum() else ""
    after = _AFTER if text[-1].isalnum() else ""
    return re.compile(f"{before}{re.escape(text)}{after}")


_CUT = re.compile(r"""\Z|["'…]|\.\.\.""")
"""The end of a quoted text that was cut."""


def _without_start(text: str, secret: str) -> str:
    """Return *text* without the start of *secret*, if the secret was cut."""
    prefix = secret[: _recognisable_length(secret)]
    start = text.find(prefix)
    while start >= 0:
        pairs = zip(text[start:], secret, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        end = start + same
        is_cut = same < len(secret) and _CUT.match(text, end)
        if is_cut and _START.match(text, start):
            text = f"{text[:start]}{STARS}{text[end:]}"
        start = text.find(prefix, start + 1)
    return text


def _recognisable_length(secret: str) -> int:
    return max(SHORTEST, len(secret) // 2)


_KEY = re.compile(
    r"([?&;]|%3[Ff]|%26)([\w.%\[\]-]{1,80}?)(=|%3[Dd])([^\s&;#\"'<>()\[\]{},`\\]+)"
)
_USER = re.compile(r"(?<=://)[^\s/?#@\"'<>]+(?=@)")


def _without_keys(text: str) -> str:
    """Return *text* without the keys and the user info of the addresses in it."""
    if "://" in text:
        text = _USER.sub(STARS, text)
    return _KEY.sub(_redacted_key, text) if "=" in text or "%3" in text else text


def _redacted_key(match: "re.Match[str]") -> str:
    start, name, sign, value = match.groups()
    if len(value) < SHORTEST or not is_secret_name(unquote(name)):
        return match[0]
    return f"{start}{name}{sign}{STARS}"
