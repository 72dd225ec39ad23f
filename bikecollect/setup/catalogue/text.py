"""Normalise texts for comparison: without case, accents and compatibility forms."""

import re
import unicodedata

_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "臺": "台",
    }
)
"""Letters that Unicode does not decompose, and one with two forms in Taiwan."""


def fold(text: str) -> str:
    r"""Return *text* for comparison.

    >>> fold("Malmö"), fold("Łódź"), fold("\uff34okyo"), fold("Straße")
    ('malmo', 'lodz', 'tokyo', 'strasse')
    """
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if not unicodedata.combining(char))


def slug(text: str) -> str:
    r"""Return *text* as the name of a system could be: only characters valid in one.

    >>> slug("spin Malm\u00f6!"), slug("\u53f0")
    ('spin-malmo', '')
    """
    return re.sub(r"[^a-z0-9._-]+", "-", fold(text)).strip("-._")
