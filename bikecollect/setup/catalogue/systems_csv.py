"""Parse MobilityData's systems.csv to entries, and list its bad rows."""

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.http.urls import parse as parse_url
from bikecollect.setup.catalogue import builtin
from bikecollect.setup.catalogue.entry import WORLD, Entry
from bikecollect.setup.catalogue.text import slug
from bikecollect.storage.data_folder import name_error

COLUMNS = {
    "country": ("country code", "country"),
    "name": ("name", "system name"),
    "location": ("location", "city"),
    "id": ("system id", "systemid", "id"),
    "website": ("url", "website", "operator url"),
    "url": ("auto discovery url", "autodiscovery url", "discovery url", "gbfs url"),
    "versions": ("supported versions", "versions", "gbfs versions"),
    "auth_info": ("authentication info url", "authentication info"),
    "auth_type": ("authentication type",),
    "auth_parameter": ("authentication parameter name", "authentication parameters"),
}
"""Past and present header names of each column, without case and punctuation."""
REQUIRED = ("id", "url")
DELIMITERS = (",", ";", "\t")
MAX_TEXT = 200
MAX_ROW_LINES = 3
MIN_GOOD_SHARE = 0.5
"""Minimum share of good rows in a file that is accepted."""


class Problem(NamedTuple):
    """A row or value that was skipped, by its line in the file."""

    line: int
    text: str


class ParsedList(NamedTuple):
    """The entries of a file, and what was skipped."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


class _Row(NamedTuple):
    line: int
    values: Mapping[str, str]


def parse(data: bytes) -> ParsedList:
    """Return the entries in *data*, the bytes of a systems.csv.

    Columns are found by their header. Bad rows are skipped and listed. Raises
    PayloadError for a file of another kind, or if most rows are bad.
    """
    text = _decode(data)
    delimiter, columns = _header(text)
    problems: list[Problem] = []
    rows: list[_Row] = []
    seen: dict[tuple[str, str], int] = {}
    total = 0
    for row in _rows(text, delimiter, columns):
        total += 1
        key = (row.values["id"], row.values["url"])
        if error := _row_error(row.values):
            problems.append(Problem(row.line, error))
        elif key in seen:
            problems.append(Problem(row.line, f"duplicate of line {seen[key]}"))
        else:
            seen[key] = row.line
            rows.append(row)
    if not total:
        raise PayloadError("no systems: only a header")
    bad = total - len(seen) - sum(p.text.startswith("duplicate") for p in problems)
    if bad > total * (1 - MIN_GOOD_SHARE):
        first = f": line {problems[0].line}: {problems[0].text}" if problems else ""
        raise PayloadError(f"{bad} of {total} rows cannot be used{first}")
    return ParsedList(tuple(_entries(rows)), tuple(problems))


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PayloadError(f"not UTF-8: line {line} cannot be decoded") from error
    if re.match(r"\s*<(!doctype|html|\?xml|head)", text, re.IGNORECASE):
        raise PayloadError("this is an HTML page, not a CSV file")
    return text


def _header(text: str) -> tuple[str, dict[str, int]]:
    """Return the delimiter of *text*, and the position of each known column."""
    first = text.lstrip("\r\n").partition("\n")[0]
    for delimiter in DELIMITERS:
        names = [
            _plain_name(cell)
            for cell in next(csv.reader([first], delimiter=delimiter), [])
        ]
        columns = {
            column: names.index(alias)
            for column, aliases in COLUMNS.items()
            for alias in reversed(aliases)
            if alias in names
        }
        if all(column in columns for column in REQUIRED):
            return delimiter, columns
    wanted = '"System ID" and "Auto-Discovery URL"'
    raise PayloadError(
        f"no columns {wanted} in line 1; it begins with: {_clean(first)[:80]!a}"
    )


def _plain_name(cell: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", cell.casefold()))


def _rows(text: str, delimiter: str, columns: Mapping[str, int]) -> Iterator[_Row]:
    """Yield the rows of *text* after the header; raises PayloadError."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    header_seen = False
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if line - start > MAX_ROW_LINES:
                raise PayloadError(f"line {start}: a quote is not closed")
            if not any(cell.strip() for cell in cells):
                continue
            if not header_seen:
                header_seen = True
                continue
            values = {
                column: _clean(cells[index]) if index < len(cells) else ""
                for column, index in columns.items()
            }
            yield _Row(start, values)
    except csv.Error as error:
        raise PayloadError(f"not CSV after line {line - 1}: {error}") from error


def _clean(cell: str) -> str:
    r"""Return *cell* on one line, without control and format characters.

    >>> _clean("  a\x1b[31m\n\u202eb ")
    'a [31m b'
    """
    text = unicodedata.normalize("NFC", cell)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _row_error(values: Mapping[str, str]) -> str:
    """Return why a row cannot be used, empty if it can."""
    if not values["id"]:
        return "no system id"
    if not values["url"]:
        return f'"{values["id"][:MAX_TEXT]}" has no auto-discovery URL'
    if not _is_address(values["url"]):
        return f'"{values["id"][:MAX_TEXT]}": not an http(s) address'
    return ""


def _is_address(url: str) -> bool:
    try:
        parse_url(url)
    except ValueError:
        return False
    return len(url) <= 2_000  # noqa: PLR2004 - longer ones are not addresses


def _entries(rows: Sequence[_Row]) -> Iterator[Entry]:
    """Yield an entry for each row, with unique ids that are valid names of systems.

    If several rows have one id, or the built-in list has it, the location is appended,
    and a number if that is not unique either.
    """
    ids = [_system_id(row.values["id"]) for row in rows]
    counts = Counter(ids)
    taken: set[str] = set()
    for row, system_id in zip(rows, ids, strict=True):
        base = system_id
        if counts[system_id] > 1 or builtin.find(system_id):
            place = _slug(row.values.get("location", "")).lower() or "world"
            base = f"{system_id}-{place}"[:90]
        unique, number = base, 2
        while unique in taken:
            unique, number = f"{base}-{number}", number + 1
        taken.add(unique)
        yield _entry(unique, row.values)


def _entry(system_id: str, values: Mapping[str, str]) -> Entry:
    website, auth_info = (values.get(key, "") for key in ("website", "auth_info"))
    country = values.get("country", "").upper()
    return Entry(
        system_id=system_id,
        name=values.get("name", "")[:MAX_TEXT] or system_id,
        city=values.get("location", "")[:MAX_TEXT],
        country=country if re.fullmatch("[A-Z]{2}", country) else "",
        operator="",
        timezone="",
        feed="gbfs",
        url=values["url"],
        website=website if _is_address(website) else "",
        versions=tuple(re.findall(r"\d{1,2}\.\d{1,2}", values.get("versions", ""))),
        auth_type=values.get("auth_type", "")[:MAX_TEXT],
        auth_parameter=values.get("auth_parameter", "")[:MAX_TEXT],
        auth_info=auth_info if _is_address(auth_info) else "",
        source=WORLD,
    )


def _system_id(text: str) -> str:
    """Return *text* as a name of a system.

    >>> _system_id("pony_liège"), _system_id("spin edmonton"), _system_id("archive")
    ('pony_liege', 'spin-edmonton', 'system-archive')
    """
    name = _slug(text)[:80]
    return f"system-{name}" if name_error(name) else name


def _slug(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]+", text):
        return text.strip("-._")
    return slug(text)
