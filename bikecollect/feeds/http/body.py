"""Read a body within bounds: on the wire, inflated, and complete."""

import zlib
from collections.abc import Callable

from bikecollect.core.errors import FeedUnavailable, PayloadError

PIECE = 65_536
GZIP = 31
"""zlib's window bits for a gzip header and trailer that are checked."""


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
    PayloadError for one that is larger than *wire_bytes* or *inflated_bytes*.
    """
    if encoding not in {"", "identity", "gzip"}:
        raise FeedUnavailable(
            f"the answer is encoded as {encoding[:40]!r}, which was not asked for",
            cause="encoding",
        )
    inflate = zlib.decompressobj(GZIP) if encoding == "gzip" else None
    parts: list[bytes] = []
    wire = inflated = 0
    while piece := read(PIECE):
        wire += len(piece)
        if wire > wire_bytes:
            raise _too_large(f"more than {wire_bytes} bytes on the wire")
        part = _inflated(inflate, piece, inflated_bytes - inflated)
        inflated += len(part)
        if inflated > inflated_bytes:
            raise _too_large(f"more than {inflated_bytes} bytes inflated")
        parts.append(part)
    if length is not None and wire != length:
        raise FeedUnavailable(
            f"the answer was cut: {wire} of {length} bytes", cause="truncated"
        )
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise FeedUnavailable("the gzip stream is cut or followed", cause="truncated")
    return b"".join(parts), wire


def _inflated(inflate: "zlib._Decompress | None", piece: bytes, room: int) -> bytes:
    if inflate is None:
        return piece
    try:
        return inflate.decompress(piece, room + 1)
    except zlib.error as error:
        raise FeedUnavailable(
            f"the gzip stream is corrupt: {error}", cause="encoding"
        ) from error


def _too_large(what: str) -> PayloadError:
    return PayloadError(f"the answer is too large: {what}", cause="too-large")
