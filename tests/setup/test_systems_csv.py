"""MobilityData's systems.csv: read by its header, row by row."""

import csv
from collections.abc import Iterator

import pytest

from bikecollect.core.errors import PayloadError
from bikecollect.setup.catalogue.entry import access_text
from bikecollect.setup.catalogue.systems_csv import ParsedList, parse

HEADER = (
    "Country Code,Name,Location,System ID,URL,Auto-Discovery URL,Supported Versions,"
    "Authentication Info URL,Authentication Type,Authentication Parameter Name"
)
BERGEN = "NO,Bergen Bysykkel,Bergen,bergen,https://b.no,https://b.no/gbfs.json,2.3,,,"
DELFT = (
    'NL,"Fiets, Delft","Delft, NL",delft,https://d.nl,https://d.nl/gbfs,1.1 ; 3.0,,,'
)


def read(*rows: str, header: str = HEADER) -> ParsedList:
    """Parse a file with *header* and *rows*."""
    return parse("\n".join([header, *rows, ""]).encode())


def test_a_row_becomes_an_entry() -> None:
    """All of its columns, also quoted ones with commas."""
    (entry,) = read(DELFT).entries

    assert (entry.system_id, entry.name, entry.city) == (
        "delft",
        "Fiets, Delft",
        "Delft, NL",
    )
    assert (entry.country, entry.feed) == ("NL", "gbfs")
    assert (entry.url, entry.website) == ("https://d.nl/gbfs", "https://d.nl")
    assert entry.versions == ("1.1", "3.0")
    assert (entry.source, entry.stations) == ("world", None)


@pytest.mark.parametrize(
    "header",
    [
        "Country Code,Name,Location,System ID,URL,Auto-Discovery URL",
        "country_code,NAME,location,system_id,url,auto_discovery_url,added later",
        "Country,Name,City,ID,Website,Autodiscovery URL,Authentication Info",
    ],
)
def test_columns_are_found_by_past_and_other_names(header: str) -> None:
    """The list has had six, eight, and ten columns."""
    (entry,) = read(
        "FR,Vélo,Lyon,velo-1,https://v.fr,https://v.fr/gbfs.json", header=header
    ).entries

    assert (entry.country, entry.city, entry.system_id) == ("FR", "Lyon", "velo-1")
    assert entry.url == "https://v.fr/gbfs.json"


def test_columns_may_stand_in_another_order() -> None:
    """They are found by name."""
    header = "Auto-Discovery URL,System ID,Name"
    (entry,) = read("https://a.org/gbfs,abc,Abc", header=header).entries

    assert (entry.system_id, entry.url) == ("abc", "https://a.org/gbfs")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + f"{HEADER}\r\n{BERGEN}\r\n".encode(),
        f"{HEADER}\n{BERGEN}".encode("utf-16"),
        f"{HEADER}\n{BERGEN}\n".replace(",", ";").encode(),
        f"{HEADER}\n\n{BERGEN}\n\n".replace(",", "\t").encode(),
    ],
    ids=["BOM and CRLF", "UTF-16", "semicolons", "tabs and empty lines"],
)
def test_the_forms_in_which_a_spreadsheet_saves_are_read(data: bytes) -> None:
    """The same entry from each of them."""
    assert [entry.url for entry in parse(data).entries] == ["https://b.no/gbfs.json"]


def test_bad_rows_are_skipped_with_their_line() -> None:
    """The other rows are kept."""
    parsed = read(
        BERGEN,
        "NO,No Id,Oslo,,https://x.no,https://x.no/gbfs.json,2.3,,,",
        "NO,No Feed,Oslo,nofeed,https://x.no,,2.3,,,",
        BERGEN,
        "NO,Script,Oslo,script,https://x.no,javascript:alert(1),2.3,,,",
        "NO,Short",
        DELFT,
        BERGEN.replace("bergen", "b2"),
        BERGEN.replace("bergen", "b3"),
    )

    assert len(parsed.entries) == 4
    assert [(problem.line, problem.text) for problem in parsed.problems] == [
        (3, "no system id"),
        (4, '"nofeed" has no auto-discovery URL'),
        (5, "duplicate of line 2"),
        (6, '"script": not an http(s) address'),
        (7, "no system id"),
    ]


def test_lines_are_counted_in_the_file_not_in_rows() -> None:
    """A quoted line break takes two of them."""
    parsed = read(BERGEN, DELFT.replace("Fiets, ", "Fiets,\n"), "NO,No Id,Oslo,,,x,,,,")

    assert [entry.name for entry in parsed.entries] == [
        "Bergen Bysykkel",
        "Fiets, Delft",
    ]
    assert [problem.line for problem in parsed.problems] == [5]


def test_text_is_cleaned() -> None:
    """Control and bidi characters are removed, and so are links other than http."""
    row = 'DE,"A\x1b[31m\u202eB",Bonn,x,javascript:alert(1),https://x.de/g,2.3,file:///,0,'
    (entry,) = read(row).entries

    assert entry.name == "A [31m B"
    assert (entry.website, entry.auth_info) == ("", "")


def test_ids_are_unique_and_can_name_a_system() -> None:
    """Shared ids get their place, those of the built-in list too."""
    ids = [
        ("pony_liège", "Liège"),
        ("spin edmonton", "Edmonton"),
        ("roll", "Calgary"),
        ("roll", "Ottawa"),
        ("roll", "Ottawa"),
        ("velib-paris", "Paris"),
        ("../etc", "X"),
        ("archive", "Y"),
    ]
    rows = [
        f'CA,N,"{place}","{name}",,https://x.ca/{number},,,,'
        for number, (name, place) in enumerate(ids)
    ]

    assert [entry.system_id for entry in read(*rows).entries] == [
        "pony_liege",
        "spin-edmonton",
        "roll-calgary",
        "roll-ottawa",
        "roll-ottawa-2",
        "velib-paris-paris",
        "etc",
        "system-archive",
    ]


@pytest.fixture
def _usual_limit() -> Iterator[None]:
    """Set Python's own limit of a cell, which the reader of daily files raises."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


@pytest.mark.usefixtures("_usual_limit")
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        (b"", "no columns"),
        (b'{"systems": []}', "no columns"),
        (b"id,name\n1,a\n", "no columns"),
        (f"{HEADER}\n".encode(), "no systems: only a header"),
        (f"{HEADER}\nNO,a,b,c,d,ftp://x\n".encode(), "1 of 1 rows"),
        (f"{HEADER}\n{BERGEN}\n".encode() + b"\xff\xfe,", "line 3 cannot be decoded"),
        (f'{HEADER}\nNO,"Open,a,b\n{BERGEN}\n'.encode() * 3, "quote|not CSV"),
        (f"{HEADER}\nNO,{'x' * 200_000},b\n".encode(), "field larger than"),
    ],
    ids=["html", "empty", "json", "other", "no rows", "bad", "bytes", "quote", "huge"],
)
def test_a_file_of_another_kind_is_rejected(data: bytes, what: str) -> None:
    """With the reason, and the line."""
    with pytest.raises(PayloadError, match=what):
        parse(data)


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (",,", ""),
        (",0,", ""),
        ("https://k.org,1,apikey", "a key in the address: add ?apikey=KEY to url"),
        (",2,X-Key", 'a key in a header: headers = {"X-Key" = "KEY"}'),
        (",Bearer token,", 'a key in a header: headers = {"Authorization" = "KEY"}'),
    ],
)
def test_authentication_is_explained(cells: str, text: str) -> None:
    """The parameter or header for each key."""
    row = BERGEN.removesuffix(",,,") + f",{cells}"
    (entry,) = read(row).entries

    assert access_text(entry).startswith(text)
    assert bool(access_text(entry)) is bool(text)
