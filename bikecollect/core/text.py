"""Text that every reader of a CSV line survives."""


def clean(text: str) -> str:
    r"""Return *text* without control characters and lone surrogates.

    ``csv`` leaves a bare CR unquoted when lines end in LF (Python 3.11), and
    a NUL breaks many readers; both become a space.

    >>> clean("a\r\nb\x00")
    'a  b '
    """
    if text.isprintable():
        return text
    text = "".join(" " if ord(c) < 32 or c == "\x7f" else c for c in text)  # noqa: PLR2004 - C0
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
