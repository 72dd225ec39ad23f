"""SQL literals that every engine reads in the same way."""

from bikecollect.archive.query.duckdb_engine import text
from bikecollect.core.errors import UsageError


def quoted(value: str) -> str:
    """Return *value* as an SQL literal, for engines with and without escapes.

    >>> quoted("Île-d'Or")
    "'Île-d''Or'"
    """
    if "\\" in value or "\n" in value:
        raise UsageError(f"a backslash cannot be part of a text in SQL: {value!r}")
    return text(value)
