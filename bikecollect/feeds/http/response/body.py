"""Read a body completely and within limits, on the wire and decompressed."""

import zlib
from collections.abc import Callable

from bikecollect.core.errors import FeedUnavailable, PayloadError
from bikecollect.core.text import size

CHUNK = 65_536
GZIP, ZLIB, RAW = 31, 15, -15
"""zlib's window bits; gzip and zlib have checked trailers, raw deflate has none."""
CODINGS = {"": 0, "gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}
GZIP_START = b"\x1f"
GZIP_FILE = b"\x1f\x8b\x08"
"""The beginning of a gzip file, which some servers send without naming an encoding."""
NO_CODINGS = frozenset({"identity", "none", "utf-8", "utf8", "binary", "aws-chunked"})
"""Words that servers send as an encoding, and that change no byte of the body."""
MAX_MEMBERS = 1_000
"""Members of a gzip body: RFC 1952 allows several, one after the other."""
MAX_RATIO, SMALL = 200, 1024 * 1024
"""The compression ratio allowed, beyond a small body. Feeds have 4 to 30, 26,000
stations that differ only in their ids 111, a decompression bomb 1,027."""


class TooLargeError(PayloadError):
    """A body larger than allowed, of a response with *http_status* from *url*."""

    cause = "too-large"

    def __init__(
        self, reason: str, *, url: str = "", http_status: int | None = None
    ) -> None:
        text = f"{url or 'the response'} is too large to be kept: {reason}"
        super().__init__(f"{text} (see max_body in the settings)")
        self.reason, self.http_status = reason, http_status


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
    TooLargeError for one that is larger than *wire_bytes* or *inflated_bytes*, or whose
    compression ratio is implausible.
    """
    coding = _coding(encoding)
    inflate: _Inflate | None = None
    parts: list[bytes] = []
    wire = inflated = 0
    while chunk := read(CHUNK):
        if not wire and not coding and chunk.startswith(GZIP_FILE):
            coding = "gzip"
        if coding and inflate is None:
            inflate = _Inflate(_window(coding, chunk))
        wire += len(chunk)
        if wire > wire_bytes:
            raise TooLargeError(f"more than {size(wire_bytes)} on the wire")
        plausible = SMALL + MAX_RATIO * wire
        limit = min(plausible, inflated_bytes) - inflated
        part = inflate(chunk, limit) if inflate else chunk
        inflated += len(part)
        if inflated > inflated_bytes:
            raise TooLargeError(f"more than {size(inflated_bytes)} decompressed")
        if inflated > plausible:
            raise TooLargeError(f"its compression ratio is over {MAX_RATIO}")
        parts.append(part)
    if length is not None and wire != length:
        raise FeedUnavailable(
            f"the response was truncated: {wire} of {length} bytes", cause="truncated"
        )
    if coding and not (inflate and inflate.is_complete):
        raise FeedUnavailable(
            f"the {coding} stream is truncated or has trailing data",
            cause="truncated",
        )
    body = b"".join(parts)
    if coding and body.startswith(GZIP_FILE):
        body = _inflated_file(body, min(inflated_bytes, SMALL + MAX_RATIO * wire))
    return body, wire


def _inflated_file(body: bytes, most: int) -> bytes:
    """Return the content of the gzip file *body*, which was compressed again."""
    inflate = _Inflate(GZIP)
    content = inflate(body, most)
    if len(content) > most:
        raise TooLargeError("a gzip file that was compressed again")
    if not inflate.is_complete:
        text = "the gzip file in the response is truncated or has trailing data"
        raise FeedUnavailable(text, cause="truncated")
    return content


def _coding(encoding: str) -> str:
    """Return the coding in the header *encoding*, empty for none.

    >>> _coding("identity, gzip"), _coding("utf-8")
    ('gzip', '')
    """
    words = (word.strip() for word in encoding.split(","))
    coding = ",".join(word for word in words if word and word not in NO_CODINGS)
    if coding not in CODINGS:
        raise FeedUnavailable(
            f"the response has the unsupported encoding {encoding[:40]!r}",
            cause="encoding",
        )
    return coding


def _window(coding: str, start: bytes) -> int:
    """Return zlib's window bits for a body that begins with *start*.

    RFC 9110's deflate is the zlib format, but some servers send it without the header
    (RFC 1950: method 8, and the first two bytes are a multiple of 31).
    """
    if coding == "deflate":
        has_header = start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0  # noqa: PLR2004 - RFC 1950
        return ZLIB if has_header else RAW
    return CODINGS[coding]


class _Inflate:
    """Inflates a stream with zlib's *window* bits, a gzip member by member."""

    def __init__(self, window: int) -> None:
        self._window, self._members = window, 1
        self._stream = zlib.decompressobj(window)

    @property
    def is_complete(self) -> bool:
        """Whether the stream has ended, and nothing follows it."""
        return self._stream.eof and not self._stream.unused_data

    def __call__(self, chunk: bytes, limit: int) -> bytes:
        """Return *chunk* inflated, at most *limit* + 1 bytes of it."""
        try:
            inflated = self._stream.decompress(chunk, limit + 1)
            while self._has_next() and len(inflated) <= limit:
                rest = self._stream.unused_data
                self._members += 1
                self._stream = zlib.decompressobj(self._window)
                inflated += self._stream.decompress(rest, limit + 1 - len(inflated))
        except zlib.error as error:
            reason = str(error).rpartition(": ")[2]  # after "Error -3 while ...: "
            raise FeedUnavailable(
                f"the compressed stream is corrupt: {reason}", cause="encoding"
            ) from error
        return inflated

    def _has_next(self) -> bool:
        is_start = self._stream.unused_data[:1] == GZIP_START
        return self._window == GZIP and is_start and self._members < MAX_MEMBERS
