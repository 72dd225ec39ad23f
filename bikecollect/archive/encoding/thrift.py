"""Thrift's compact protocol, as far as the footer of a Parquet file needs it.

A struct is a dict of `Field` by number. What is not understood is an error, so that a
footer is either written back complete or not at all.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, _SET, _MAP, STRUCT = range(
    1, 13
)
INTEGERS = frozenset({I16, I32, I64})
STOP = 0
LONG_LIST = 15
"""Instead of a list's length: the length follows as a number."""
STEPS = range(1, 16)
"""The distances to the field before that fit beside the type."""
LAST_BYTE = 128
"""Bytes of a number from here on are followed by another."""


class Field(NamedTuple):
    """One value of a struct with its type; lists are `Items`."""

    kind: int
    value: Any


class Items(NamedTuple):
    """The values of a list, all of the type *kind*."""

    kind: int
    values: Sequence[Any]


Struct = dict[int, Field]


def read_struct(data: bytes) -> Struct:
    """Return the struct in *data*; raises ValueError."""
    try:
        return _StructReader(data).struct()
    except (IndexError, struct.error) as error:
        raise ValueError("the struct is incomplete") from error


class _StructReader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while (head := self._byte()) != STOP:
            step, kind = divmod(head, 16)
            number = number + step if step else self._integer()
            fields[number] = Field(kind, self._value(kind))
        return fields

    def _value(self, kind: int, *, in_list: bool = False) -> Any:
        if kind in {TRUE, FALSE}:
            return self._byte() == TRUE if in_list else kind == TRUE
        if kind in INTEGERS:
            return self._integer()
        readers: dict[int, Callable[[], Any]] = {
            BYTE: self._byte,
            BINARY: lambda: self._bytes(self._unsigned()),
            DOUBLE: lambda: struct.unpack("<d", self._bytes(8))[0],
            LIST: self._list,
            STRUCT: self.struct,
        }
        if kind not in readers:
            raise ValueError(f"values of type {kind} are not supported")
        return readers[kind]()

    def _list(self) -> Items:
        count, kind = divmod(self._byte(), 16)
        count = self._unsigned() if count == LONG_LIST else count
        return Items(kind, [self._value(kind, in_list=True) for _ in range(count)])

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("the struct is incomplete")
        return self._data[self._at - count : self._at]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < LAST_BYTE:
                return value
            shift += 7

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)


def write_struct(fields: Struct) -> bytes:
    """Return *fields* as bytes.

    >>> read_struct(write_struct({2: Field(I64, -5), 90: Field(BINARY, b"x")}))[2].value
    -5
    """
    out, last = bytearray(), 0
    for number, (kind, value) in sorted(fields.items()):
        is_boolean, step = kind in {TRUE, FALSE}, number - last
        code = (TRUE if value else FALSE) if is_boolean else kind
        if step in STEPS:
            out.append(step * 16 + code)
        else:
            out.append(code)
            out += _integer(number)
        if not is_boolean:
            out += _value(kind, value)
        last = number
    out.append(STOP)
    return bytes(out)


def _value(kind: int, value: Any) -> bytes:
    if kind in INTEGERS:
        return _integer(value)
    if kind == BINARY:
        return _unsigned(len(value)) + bytes(value)
    if kind == STRUCT:
        return write_struct(value)
    if kind == LIST:
        count = len(value.values)
        head = bytes([min(count, LONG_LIST) * 16 + value.kind])
        head += _unsigned(count) if count >= LONG_LIST else b""
        return head + b"".join(_value(value.kind, item) for item in value.values)
    if kind == DOUBLE:
        return struct.pack("<d", value)
    return bytes([value if kind == BYTE else TRUE if value else FALSE])


def _integer(value: int) -> bytes:
    return _unsigned(value * 2 if value >= 0 else -value * 2 - 1)


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value >= LAST_BYTE:
        out.append(value & 127 | LAST_BYTE)
        value >>= 7
    out.append(value)
    return bytes(out)
