"""Read a body completely and within limits, on the wire and decompressed."""

import zlib
from collections.abc import Callable

from bikecollect.core.errors import FeedUnavailable, PayloadError
from bikecollect.core.text import size

CHUNK = 65_536
GZIP, ZLIB, RAW = 31, 15, -15
"""zlib's window bits; gzip and zlib have checked trailers, raw deflate has none."""
CODINGS = {"": 0, "identity": 0, "gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}
MAX_RATIO, SMALL = 200, 1024 * 1024
"""The compression ratio allowed, beyond a small body. Feeds have 4 to 30, 26,000
stations that differ only in their ids 111, a decompression bomb 1,027."""


def read_body(
    read: Callable[[int], bytes],
    *,
    encoding: str,
    length: int | None,
    wire_bytes: int,
    inflated_bytes: int,
) -> tuple[bytes, int]:
    """Return the body that *read* gives in chunks, and its size on the wire.

    Raises FeedUnavailable for a truncated or corrupt body or an unknown encoding, and
    PayloadError for one that is larger than *wire_bytes* or *inflated_bytes*, or whose
    compression ratio is implausible.
    """
    if encoding not in CODINGS:
        raise FeedUnavailable(
            f"the response has the unsupported encoding {encoding[:40]!r}",
            cause="encoding",
        )
    inflate: zlib._Decompress | None = None
    parts: list[bytes] = []
    wire = inflated = 0
    while chunk := read(CHUNK):
        if CODINGS[encoding] and not wire:
            inflate = zlib.decompressobj(_window(encoding, chunk))
        wire += len(chunk)
        if wire > wire_bytes:
            raise _too_large(f"more than {size(wire_bytes)} on the wire")
        plausible = SMALL + MAX_RATIO * wire
        part = _inflated(inflate, chunk, min(plausible, inflated_bytes) - inflated)
        inflated += len(part)
        if inflated > inflated_bytes:
            raise _too_large(f"more than {size(inflated_bytes)} decompressed")
        if inflated > plausible:
            raise _too_large(f"its compression ratio is over {MAX_RATIO}")
        parts.append(part)
    if length is not None and wire != length:
        raise FeedUnavailable(
            f"the response was truncated: {wire} of {length} bytes", cause="truncated"
        )
    if CODINGS[encoding] and _unfinished(inflate):
        raise FeedUnavailable(
            f"the {encoding} stream is truncated or has trailing data",
            cause="truncated",
        )
    return b"".join(parts), wire


def _window(encoding: str, start: bytes) -> int:
    """Return zlib's window bits for a body that begins with *start*.

    RFC 9110's deflate is the zlib format, but some servers send it without the header
    (RFC 1950: method 8, and the first two bytes are a multiple of 31).
    """
    if encoding == "deflate":
        has_header = start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0  # noqa: PLR2004 - RFC 1950
        return ZLIB if has_header else RAW
    return CODINGS[encoding]


def _unfinished(inflate: "zlib._Decompress | None") -> bool:
    return inflate is None or not inflate.eof or bool(inflate.unused_data)


def _inflated(inflate: "zlib._Decompress | None", chunk: bytes, limit: int) -> bytes:
    if inflate is None:
        return chunk
    try:
        return inflate.decompress(chunk, limit + 1)
    except zlib.error as error:
        raise FeedUnavailable(
            f"the compressed stream is corrupt: {error}", cause="encoding"
        ) from error


def _too_large(reason: str) -> PayloadError:
    return PayloadError(
        f"the response is too large: {reason} (see max_body in the settings)",
        cause="too-large",
    )
