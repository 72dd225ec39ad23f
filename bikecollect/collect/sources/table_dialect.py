"""The dialect of another program's CSV: delimiter, decimal commas, changed ids."""

import re
from collections.abc import Sequence

DELIMITERS = (",", ";", "\t", "|")
_DECIMAL_COMMA = re.compile(r"([+-]?[0-9]+),([0-9]+)")
_FLOAT_ID = re.compile(r"([0-9]+)\.0+")
_EXPONENT_ID = re.compile(r"([0-9])(?:\.([0-9]+))?[eE]\+?([0-9]{1,2})")


def find_delimiter(line: str) -> str:
    """Return the delimiter of the header *line*: the most frequent one, else a comma.

    >>> find_delimiter("at,id,bikes"), find_delimiter('at;"a,b,c";bikes')
    (',', ';')
    """
    unquoted = re.sub(r'"[^"]*"', "", line)
    return max(DELIMITERS, key=unquoted.count)


def with_decimal_points(cells: Sequence[str | None]) -> list[str | None]:
    """Return *cells* with decimal points for decimal commas.

    >>> with_decimal_points(["7,0", "a,b", "1,2,3", None])
    ['7.0', 'a,b', '1,2,3', None]
    """
    return [
        f"{match[1]}.{match[2]}"
        if cell and (match := _DECIMAL_COMMA.fullmatch(cell))
        else cell
        for cell in cells
    ]


def restored_id(cell: str | None) -> str | None:
    """Return the id in *cell* as it was before it became a float; None if it is lost.

    A spreadsheet that rounds ``500101001`` to ``5.001E+08`` loses the station.

    >>> restored_id("500101001.0"), restored_id("5.00101001e+08"), restored_id("A1.0")
    ('500101001', '500101001', 'A1.0')
    >>> restored_id("5.001E+08"), restored_id("1E5"), restored_id(None)
    (None, '1E5', None)
    """
    if match := _FLOAT_ID.fullmatch(cell or ""):
        return match[1]
    match = _EXPONENT_ID.fullmatch(cell or "")
    if match is None or match[2] is None:
        return cell
    digits = f"{match[1]}{match[2]}"
    is_whole = len(digits) == int(match[3]) + 1
    return digits if is_whole else None
