"""Commas after the last item of a list or object, which JSON does not have."""

import re

_COMMA = re.compile(rb",\s*[}\]]")
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_TOKENS = re.compile(rb"(%s)|,(?=\s*[}\]])" % _TEXT, re.DOTALL)
"""A text, or such a comma. A text that never ends is one, too: otherwise the rest of
the body would be read from each of its quotes."""


def without(body: bytes) -> bytes:
    r"""Return *body* without commas before the end of a list or object.

    >>> without(b'[{"a": 1,}, "b,]", "\\",}",\n]')
    b'[{"a": 1}, "b,]", "\\",}"\n]'
    """
    if not _COMMA.search(body):
        return body  # without a look at each text
    return _TOKENS.sub(lambda match: match[1] or b"", body)


def findings(name: str, body: bytes) -> dict[str, str]:
    """Return a finding if *body*, the document *name*, has such commas."""
    if without(body) == body:
        return {}
    text = f"{name} has commas before the end of a list or an object, which JSON does "
    return {f"commas {name}": f"{text}not have: they are ignored"}
