"""A payload: the unchanged bytes of one fetch, and how they were fetched."""

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, Self

from bikecollect.core.errors import PayloadError
from bikecollect.core.slots import Slot
from bikecollect.core.text import message, shortened

BEGINNING = 4_096
"""Bytes in which a web page is recognised: it may begin with a comment."""
CHARSETS = re.compile(
    r"big5\w*|gb\w+|cp\d+|shift_jis\w*|euc_\w+|johab|iso8859-\d+|koi8-\w|tis-620"
)
"""Python's names of the charsets that contain ASCII, but are not UTF-8."""
WIDER = {
    "ascii": ("cp1252",),
    "big5": ("cp950", "big5hkscs"),
    "euc_kr": ("cp949",),
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "iso8859-1": ("cp1252",),
    "iso8859-9": ("cp1254",),
    "shift_jis": ("cp932",),
    "tis-620": ("cp874",),
}
"""What is sent in the name of a charset has more characters (see the WHATWG's Encoding
Standard)."""
WESTERN = frozenset({"ascii", "cp1252", "iso8859-1", "iso8859-15"})
"""Charsets that servers state by default. Their letters beyond ASCII stand alone."""
FEW = 2
"""Such letters in a row, as in "créée"."""
FILES = {
    b"PK\x03\x04": "a ZIP file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF file",
}
"""How files of other kinds begin that are published or served in place of JSON."""
MAX_CONVERTED = 8 * 1024 * 1024
"""Maximum bytes of a text that is converted: in UTF-8 it may be three times as long."""


@dataclass(frozen=True, eq=False, repr=False)
class Document:
    """One response of a feed; *body* is the decompressed body.

    If *body* was converted to UTF-8 from the *charset* that the server states, *raw*
    has the bytes as they came; else both are empty.
    *name* is its key in the payload (``station_status``, ``page-0``); *url* contains no
    secret; *fetched_at* is the epoch second at which the response was complete; *date*
    is the Date header in epoch seconds, None if absent. *total* and *next_url* are the
    length of a paginated list and the address of its next page, from the headers.
    """

    name: str
    body: bytes
    url: str = ""
    http_status: int = 200
    fetched_at: float = 0.0
    date: float | None = None
    wire_bytes: int = 0
    total: int | None = None
    next_url: str = ""
    charset: str = ""
    raw: bytes = b""

    @property
    def received(self) -> bytes:
        """The body as it came."""
        return self.raw or self.body

    def read_by(self, charset: str) -> Self:
        """Return this document in UTF-8, if it is a text in *charset*, else itself."""
        body = as_utf8(self.body, charset)
        return (
            replace(self, body=body, charset=charset, raw=self.body) if body else self
        )


class _Attempt(NamedTuple):
    url: str
    started: float
    seconds: float
    http_status: int | None = None
    error: str = ""


class Attempt(_Attempt):
    """One request to *url*: *started* in epoch seconds, *seconds* is its duration.

    The address and the error may quote untrusted input: both are escaped and become
    one line each.
    """

    __slots__ = ()

    def __new__(
        cls,
        url: str,
        started: float,
        seconds: float,
        http_status: int | None = None,
        error: str = "",
    ) -> Self:
        """Return the attempt with *url* and *error* made safe to show."""
        safe_url = shortened(message(url), 300)
        safe_error = shortened(message(error), 300)
        return super().__new__(cls, safe_url, started, seconds, http_status, safe_error)


@dataclass(frozen=True, eq=False, repr=False)
class Payload:
    """All documents of one fetch, and all that is needed to commit them later.

    A feed returns it without system, slot and run, which the run adds. *fetched_at* is
    the epoch second at which the document with the counts was complete; 0 stands for
    that of the last document. *notes* are kept for the feed's next fetch; *incomplete*
    says why a part is missing (a page that failed), empty if the payload is complete;
    *beside* is the same for documents without stations (vehicle types, regions).
    *findings* are as in a `Snapshot`. *uptime* is CLOCK_BOOTTIME in seconds: with
    *boot_id* it distinguishes a clock that was set back from a second run in the same
    slot. *source* is the origin of a payload that bikecollect did not fetch itself,
    else empty.
    """

    documents: tuple[Document, ...]
    system_id: str = ""
    slot: Slot = Slot(0)
    run_id: str = ""
    fetched_at: float = 0.0
    boot_id: str = ""
    uptime: float = 0.0
    incomplete: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)
    beside: str = ""

    @property
    def size(self) -> int:
        """The bytes of all its documents."""
        return sum(len(document.body) for document in self.documents)

    @property
    def http_status(self) -> int:
        """The HTTP status of its last document."""
        return self.documents[-1].http_status

    def body(self, name: str) -> bytes | None:
        """Return the body of the document *name*, None if it is absent."""
        return next((doc.body for doc in self.documents if doc.name == name), None)


class RefusedDocumentsError(PayloadError):
    """A fetch that ended by *error*: the last of the *documents* cannot be used.

    They are all that was received, and are kept like a payload that is rejected.
    """

    def __init__(self, error: PayloadError, *documents: Document) -> None:
        super().__init__(str(error), cause=error.cause)
        self.documents = documents


MANY = 1_000
"""Maximum tries for a required document: in effect the run's time is the limit."""
ONCE = 1
"""Maximum tries for an optional document, which gets a small share of the time."""
Check = Callable[[bytes], object]
"""Validates a body; raises PayloadError if it is not the requested document."""


class Getter(Protocol):
    """Gets one document within the time of the run, with retries.

    *check* is called with each body; its PayloadError is retried like a network
    error. After the last try the last body is returned even if *check* rejected it.
    Raises FeedError if no body was received.
    """

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = MANY
    ) -> Document:
        """Return the document at *url* as *name*, after at most *tries* requests."""
        ...


class Memory(NamedTuple):
    """State of earlier runs that saves requests in the next fetch.

    *notes* are those of the last payload; *station_ids* are the stations whose
    information is known; *has_rows* says that stations have rows. All are empty in the
    first run and may be empty in any later one: a feed must work without them. *now* is
    the time of the run in epoch seconds.
    """

    notes: Mapping[str, str] = {}
    station_ids: Collection[str] = frozenset()
    now: float = 0.0
    has_rows: bool = False

    @property
    def had_stations(self) -> bool:
        """Whether the system had stations in an earlier run."""
        return self.has_rows or bool(self.station_ids)

    def values(self, name: str) -> Mapping[str, Any]:
        """Return the JSON object in the note *name*, empty for any other note.

        >>> Memory({"gbfs.at": '{"at": 300}'}).values("gbfs.at")
        {'at': 300}
        >>> Memory({"gbfs.at": "[1]"}).values("gbfs.at")
        {}
        """
        try:
            known = json.loads(self.notes.get(name) or "{}")
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}


Documents = tuple[Document, ...]


class FeedClient(Getter, Protocol):
    """Gets documents and records each attempt.

    *public_host* is the feed's host if an earlier run or this one resolved it to a
    public address, else empty.
    """

    public_host: str

    @property
    def attempts(self) -> Sequence[Attempt]:
        """All attempts so far, in order."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@contextmanager
def about(name: str) -> Iterator[None]:
    """Say in each PayloadError that is raised which document it is about: *name*.

    >>> with about("station_status"):
    ...     raise PayloadError("the response is empty")
    Traceback (most recent call last):
    bikecollect.core.errors.PayloadError: station_status is empty
    """
    try:
        yield
    except PayloadError as error:
        text = str(error.unquoted())
        rest, quote = text.removeprefix("the response "), str(error).removeprefix(text)
        named = f"{name}: {text}" if rest == text else f"{name} {rest}"
        raise PayloadError(named, cause=error.cause, quote=quote) from None


def as_utf8(data: bytes, charset: str) -> bytes:
    r"""Return *data*, a text that is declared to be in *charset*, in UTF-8.

    Empty if it is UTF-8 (many servers declare Latin-1 for everything), also with a few
    damaged characters; or if *charset* is unknown, or obviously that of another text.

    >>> as_utf8("許功蓋".encode("cp950"), "Big5").decode()
    '許功蓋'
    >>> as_utf8("Café".encode(), "latin-1"), as_utf8(b"Caf\xe9", "utf-8")
    (b'', b'')
    """
    if not charset or data.isascii() or len(data) > MAX_CONVERTED:
        return b""
    names = _codecs(charset)
    if not names or b"\0" in data[:4] or _is_utf8(data):
        return b""
    if names[-1] in WESTERN and not _is_western(data):
        return b""
    for name in names:
        with suppress(UnicodeDecodeError):
            return data.decode(name).encode()
    return data.decode(names[0], "replace").encode()


def _codecs(charset: str) -> tuple[str, ...]:
    """Return Python's names for *charset*, the widest first, none if it is unknown."""
    label = charset.lower().removeprefix("x-")[:40]
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return ()
    wider = WIDER.get(name, ())
    return (*wider, name) if wider or CHARSETS.fullmatch(name) else ()


def _is_utf8(data: bytes) -> bool:
    """Return whether *data* is UTF-8, or at least most of its characters are."""
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    others = len(text) - len(text.encode("ascii", "ignore")) - damaged
    return damaged <= others


def _is_western(data: bytes) -> bool:
    """Return whether most letters beyond ASCII have at most one such neighbour."""
    runs = list(map(len, re.findall(rb"[\x80-\xff]+", data)))
    return sum(number for number in runs if number <= FEW) * 2 >= sum(runs)


def not_json(body: bytes, error: Exception) -> str:
    r"""Return what *body* is instead of JSON, by the *error* of decoding it.

    >>> def described(body: bytes) -> str:
    ...     try:
    ...         return json.loads(body)
    ...     except ValueError as error:
    ...         return not_json(body, error)
    >>> described(b"<!-- v2 --> <HTML><body>"), described(b"<kml>")
    ('a web page (HTML), not JSON', 'XML, not JSON')
    >>> described(b'{"bikes": undefined}')
    'not JSON (expecting value, line 1, column 11)'
    >>> described(b'{"bikes": [3, 4'), described(b"PK\x03\x04 stations.json")
    ('not JSON (it ends in the middle, line 1, column 16)', 'a ZIP file, not JSON')
    """
    beginning = body[:BEGINNING].lower()
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        is_page = re.search(rb"<(?:!doctype )?(?:html|head|body|title|h1)\b", beginning)
        return f"{'a web page (HTML)' if is_page else 'XML'}, not JSON"
    kind = next((kind for start, kind in FILES.items() if body.startswith(start)), "")
    if kind:
        return f"{kind}, not JSON"
    if isinstance(error, json.JSONDecodeError):
        is_cut = error.msg.startswith("Unterminated")
        is_cut |= error.pos >= len(error.doc.rstrip())
        what = "it ends in the middle" if is_cut else error.msg.lower()
        where = f"line {error.lineno}, column {error.colno}"
        return f"not JSON ({what.removesuffix(' at')}, {where})"
    if isinstance(error, UnicodeDecodeError):
        return f"not JSON (the bytes are not {error.encoding.upper()})"
    if isinstance(error, RecursionError):
        return "not JSON (nested too deeply)"
    has_digits = "integer string conversion" in str(error)
    return f"not JSON ({'a number with too many digits' if has_digits else error})"
