"""Quantiles of groups, which engines write differently."""

import re
from collections.abc import Iterator

START = re.compile(r"PERCENTILE_CONT\((0\.\d+)\) WITHIN GROUP \(\s*ORDER BY ")


def has_quantiles(sql: str) -> bool:
    """Return whether *sql* computes quantiles of groups."""
    return START.search(sql) is not None


def for_clickhouse(sql: str) -> str:
    """Return *sql* with ClickHouse's function for the same, exact quantiles.

    >>> for_clickhouse("PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY f(x)) AS y")
    'quantileExactInclusive(0.5)(f(x)) AS y'
    """
    return "".join(_pieces(sql))


def _pieces(sql: str) -> Iterator[str]:
    position = 0
    while match := START.search(sql, position):
        yield sql[position : match.start()]
        position = _end(sql, match.end())
        yield f"quantileExactInclusive({match[1]})({sql[match.end() : position - 1]})"
    yield sql[position:]


def _end(sql: str, position: int) -> int:
    """Return the end of the parenthesis that is open at *position*."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(sql[position], 0)
        position += 1
    return position
