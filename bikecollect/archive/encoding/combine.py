"""One Parquet file from the columns of several, copied as they are.

A column of a Parquet file is a run of bytes without absolute positions; only the footer
knows where it begins. So columns that were encoded in different ways, in different
files of the same rows, become one file: their bytes in a row, and a new footer.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bikecollect.archive.encoding.thrift import (
    I32,
    I64,
    LIST,
    STRUCT,
    Field,
    Items,
    Struct,
    read_struct,
    write_struct,
)

MAGIC = b"PAR1"
SCHEMA, GROUPS = 2, 4
"""Fields of the footer."""
CHUNKS, GROUP_BYTES, GROUP_ROWS, GROUP_OFFSET, GROUP_COMPRESSED = 1, 2, 3, 5, 6
"""Fields of a row group."""
ELEMENT_NAME, REPETITION, CHILDREN = 4, 3, 5
"""Fields of an element of the schema."""
METADATA = 3
"""The field of a column chunk that describes it."""
TYPE, NAME, UNCOMPRESSED, COMPRESSED = 1, 3, 6, 7
DATA_PAGE, DICTIONARY_PAGE, STATISTICS = 9, 11, 12
KEPT = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 11})
"""The fields of a description that are kept; others point to further structures."""
KEPT_STATISTICS = frozenset({3, 5, 6, 7, 8})
"""NULLs, smallest and largest value; not these once more in an older form."""


def combine(model: Path, sources: Mapping[str, Path], target: Path) -> None:
    """Write *target* with each column from its file in *sources*.

    The schema, the types and the statistics are those of *model*, which has the same
    rows and columns in row groups of the same size. Raises ValueError, OSError.
    """
    footer = _footer(model)
    footers = {path: _footer(path) for path in set(sources.values())}
    for element in _values(footer, SCHEMA)[1:]:
        path = sources[element[ELEMENT_NAME].value.decode()]
        element[REPETITION] = _repetition(footers[path], element[ELEMENT_NAME])
    with target.open("wb") as out:
        out.write(MAGIC)
        for number, group in enumerate(_values(footer, GROUPS)):
            offset, chunks, uncompressed = out.tell(), [], 0
            for pattern in group[CHUNKS].value.values:
                described = pattern[METADATA].value
                path = sources[_column(described)]
                chunk, data = _chunk(path, footers[path], number, group, described)
                chunks.append(_moved(chunk, described, out.tell()))
                uncompressed += chunk[UNCOMPRESSED].value
                out.write(data)
            compressed = out.tell() - offset
            group[CHUNKS] = Field(LIST, Items(STRUCT, chunks))
            group[GROUP_BYTES] = Field(I64, uncompressed)
            group[GROUP_OFFSET] = Field(I64, offset)
            group[GROUP_COMPRESSED] = Field(I64, compressed)
        text = write_struct(footer)
        out.write(text + len(text).to_bytes(4, "little") + MAGIC)


def column_sizes(path: Path) -> dict[str, int]:
    """Return the compressed bytes of each column of *path*; raises ValueError."""
    sizes: Counter[str] = Counter()
    for group in _values(_footer(path), GROUPS):
        for chunk in group[CHUNKS].value.values:
            described = chunk[METADATA].value
            sizes[_column(described)] += described[COMPRESSED].value
    return dict(sizes)


def _footer(path: Path) -> Struct:
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 8))
        tail = file.read(8)
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] != MAGIC or size > end - 12:
            raise ValueError(f"{path} has no footer")
        file.seek(end - 8 - size)
        return read_struct(file.read(size))


def _values(fields: Struct, number: int) -> Any:
    return fields[number].value.values


def _repetition(footer: Struct, column: Field) -> Field:
    """Return whether *column* has places for NULL, as its file says."""
    for element in _values(footer, SCHEMA):
        if element[ELEMENT_NAME] == column and CHILDREN not in element:
            repetition: Field = element[REPETITION]
            return repetition
    raise ValueError(f"there is no column {column.value.decode()}")


def _column(described: Struct) -> str:
    return ".".join(name.decode() for name in _values(described, NAME))


def _chunk(
    path: Path, footer: Struct, number: int, group: Struct, pattern: Struct
) -> tuple[Struct, bytes]:
    """Return the description and the bytes of a column in the file *path*."""
    groups = _values(footer, GROUPS)
    if len(groups) <= number or groups[number][GROUP_ROWS] != group[GROUP_ROWS]:
        raise ValueError(f"{path} has row groups of another size")
    for candidate in _values(groups[number], CHUNKS):
        described: Struct = candidate[METADATA].value
        if _column(described) == _column(pattern):
            with path.open("rb") as file:
                file.seek(_begin(described))
                data = file.read(described[COMPRESSED].value)
            if len(data) != described[COMPRESSED].value:
                raise ValueError(f"{path} is too short")
            return described, data
    raise ValueError(f"{path} has no column {_column(pattern)}")


def _begin(described: Struct) -> int:
    pages = (DICTIONARY_PAGE, DATA_PAGE)
    return min(int(described[page].value) for page in pages if page in described)


def _moved(chunk: Struct, pattern: Struct, offset: int) -> Struct:
    """Return the column *chunk* as it is at *offset*, with the type of *pattern*."""
    shift = offset - _begin(chunk)
    described = {key: field for key, field in chunk.items() if key in KEPT}
    for page in (DICTIONARY_PAGE, DATA_PAGE):
        if page in described:
            described[page] = Field(I64, described[page].value + shift)
    described[TYPE] = Field(I32, pattern[TYPE].value)
    if STATISTICS in pattern:
        statistics = pattern[STATISTICS].value
        kept = {key: statistics[key] for key in statistics.keys() & KEPT_STATISTICS}
        described[STATISTICS] = Field(STRUCT, kept)
    return {2: Field(I64, 0), METADATA: Field(STRUCT, described)}
