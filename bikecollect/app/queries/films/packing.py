"""Pack counts for a browser: 16-bit numbers, compressed, as text."""

import base64
import os
import sys
import zlib
from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Numpy's library for matrices, of which there are none here, would start a thread per
# processor, and end this process by SIGINT if a limit of processes does not allow that.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

UNSEEN = 65_535
"""The value of a count that is unknown."""


def unseen(shape: tuple[int, int]) -> "np.ndarray[Any, Any]":
    """Return a table of *shape* (rows, columns) in which every count is unknown."""
    import numpy as np  # comes with the extra `app`

    return np.full(shape, UNSEEN, dtype="<u2")


def packed(numbers: "np.ndarray[Any, Any]") -> str:
    """Return *numbers*, row by row, little-endian, deflated, in base64."""
    return base64.b64encode(zlib.compress(numbers.tobytes(), 6)).decode("ascii")


def unpacked(text: str) -> "array[int]":
    """Return the numbers in *text*, row by row."""
    numbers = array("H", zlib.decompress(base64.b64decode(text)))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
