"""Read a body within bounds: on the wire, inflated, and complete."""

import zlib
from collections.abc import Callable

from bikecollect.core.errors import FeedUnavailable, PayloadError
from bikecollect.core.text import size

PIECE = 65_536
GZIP, ZLIB, RAW = 31, 15, -15
"""zlib's window bits: gzip and zlib check their trailers, raw deflate has none."""
CODINGS = {"": 0, "identity": 0, "gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}
MOST_TIMES, SMALL = 200, 1024 * 1024
"""How much a body may inflate, beyond the first bytes. Feeds inflate 4 to 30 times,
26,000 stations that differ in nothing but their ids 111 times, a bomb 1,027 times."""


def read_body(
    read: Callable[[int], bytes],
    *,
    encoding: str,
    length: int | None,
    wire_bytes: int,
    inflated_bytes: int,
) -> tuple[bytes, int]:
    """Return the body that *read* gives piece by piece, and its bytes on the wire.

    Raises FeedUnavailable for one that is cut, corrupt or strangely encoded, and
    PayloadError for one that is larger than *wire_bytes* or *inflated_bytes*, or
    that inflates as no feed does.
    """
    if encoding not in CODINGS:
        raise FeedUnavailable(
            f"the answer is encoded as {encoding[:40]!r}, which was not asked for",
            cause="encoding",
        )
    inflate: zlib._Decompress | None = None
    parts: list[bytes] = []
    wire = inflated = 0
    while piece := read(PIECE):
        if CODINGS[encoding] and not wire:
            inflate = zlib.decompressobj(_window(encoding, piece))
        wire += len(piece)
        if wire > wire_bytes:
            raise _too_large(f"more than {size(wire_bytes)} on the wire")
        usual = SMALL + MOST_TIMES * wire
        part = _inflated(inflate, piece, min(usual, inflated_bytes) - inflated)
        inflated += len(part)
        if inflated > inflated_bytes:
            raise _too_large(f"more than {size(inflated_bytes)} inflated")
        if inflated > usual:
            raise _too_large(f"it inflates more than {MOST_TIMES} times")
        parts.append(part)
    if length is not None and wire != length:
        raise FeedUnavailable(
            f"the answer was cut: {wire} of {length} bytes", cause="truncated"
        )
    if CODINGS[encoding] and _unfinished(inflate):
        raise FeedUnavailable(
            f"the {encoding} stream is cut or followed", cause="truncated"
        )
    return b"".join(parts), wire


def _window(encoding: str, start: bytes) -> int:
    """Return zlib's window bits for a body that begins with *start*.

    RFC 9110 means zlib's format by deflate, and some servers send it without its
    header (RFC 1950: method 8, and the two bytes are a multiple of 31).
    """
    if encoding == "deflate":
        wrapped = start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0  # noqa: PLR2004 - RFC 1950
        return ZLIB if wrapped else RAW
    return CODINGS[encoding]


def _unfinished(inflate: "zlib._Decompress | None") -> bool:
    return inflate is None or not inflate.eof or bool(inflate.unused_data)


def _inflated(inflate: "zlib._Decompress | None", piece: bytes, room: int) -> bytes:
    if inflate is None:
        return piece
    try:
        return inflate.decompress(piece, room + 1)
    except zlib.error as error:
        raise FeedUnavailable(
            f"the compressed stream is corrupt: {error}", cause="encoding"
        ) from error


def _too_large(what: str) -> PayloadError:
    return PayloadError(
        f"the answer is too large: {what} (max_body in the settings is the bound)",
        cause="too-large",
    )
