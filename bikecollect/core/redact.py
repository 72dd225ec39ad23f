"""Secrets are taken out of every text that leaves the process."""

from collections.abc import Callable, Iterable
from urllib.parse import quote

SHORTEST = 4
"""A shorter secret would blot out common words, and is not one."""
STARS = "***"
Redact = Callable[[str], str]


def redactor(secrets: Iterable[str]) -> Redact:
    """Return a function that puts stars in place of each of *secrets* in a text.

    >>> redactor(["hunter2"])("the password hunter2 was refused")
    'the password *** was refused'
    """
    plain = {each for each in secrets if len(each) >= SHORTEST}
    spelled = plain | {quote(each, safe="") for each in plain}
    ordered = sorted(spelled, key=len, reverse=True)

    def redact(text: str) -> str:
        for each in ordered:
            text = text.replace(each, STARS)
        return text

    return redact


def nothing(text: str) -> str:
    """Return *text* as it is: for a program without secrets."""
    return text
