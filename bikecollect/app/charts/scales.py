"""The ends of scales: round, so that cities, periods and pages can be compared."""

import math
from collections.abc import Iterable

ROUND = (1, 2, 3, 5, 10)
LEAST_SHARE, LEAST_COUNT = 0.1, 5.0
"""The end of a scale whose values are all smaller: a little is not drawn as a lot."""


def top_of(values: Iterable[float | None], least: float = LEAST_SHARE) -> float:
    """Return the end of a scale from 0: the highest of *values*, rounded up.

    It is 1, 2, 3 or 5 times a power of ten, and not below *least*.

    >>> top_of([0.02, 0.11, None]), top_of([0.34]), top_of([]), top_of([14.2], 5.0)
    (0.2, 0.5, 0.1, 20.0)
    """
    highest = max([least, *(value for value in values if value is not None)])
    power = 10.0 ** math.floor(math.log10(highest) + 1e-9)
    times = next(times for times in ROUND if times * power > highest - 1e-9 * power)
    return round(times * power, 9)
