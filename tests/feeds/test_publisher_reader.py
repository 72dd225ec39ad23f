"""Who publishes a system, and under which licence, as GBFS states it."""

import json
from datetime import UTC
from pathlib import Path

import pytest
from test_gbfs_fetch import NAMES, Feeds, listing
from world import World

from bikecollect.core.payload import Memory
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.reading.publisher_reader import (
    DOCUMENT,
    NOTE,
    license_of,
    parsed_note,
    publisher,
)
from bikecollect.setup import loader, settings_file
from bikecollect.setup.catalogue.publishers import publisher_in
from bikecollect.setup.settings import DEMO_MARKER
from bikecollect.simulator.demo import YOUBIKE, settings_text

VELO = {
    "title": "Velo",
    "name": "City of X",
    "url": "https://x.example/",
    "license": "CC-BY-4.0",
    "license_url": "https://creativecommons.org/licenses/by/4.0/",
}
V2 = {
    "name": "Velo",
    "operator": "Wheels Ltd",
    "url": "https://wheels.example/",
    "license_id": "CC-BY-4.0",
    "license_url": "https://creativecommons.org/licenses/by/4.0/",
    "attribution_organization_name": "City of X",
    "attribution_url": "https://x.example/",
}
V3 = V2 | {
    "name": [{"text": "Vélo", "language": "fr"}, {"text": "Velo", "language": "en"}],
    "attribution_organization_name": [{"text": "City of X", "language": "en"}],
}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (V2, VELO),
        (V3, VELO),
        (
            {"name": "Velo", "operator": "O", "license_url": "http://odbl.example/x"},
            {"title": "Velo", "name": "O", "license_url": "http://odbl.example/x"},
        ),
        ({"name": "Velo", "license_url": "javascript:alert(1)"}, {"title": "Velo"}),
        ({"name": 7, "url": None, "operator": ["a"], "license_id": {}}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_the_publisher_is_read_in_all_versions(
    data: object, expected: dict[str, str]
) -> None:
    """2.3 has texts, 3.0 lists of them; what is no text or address is unknown."""
    assert publisher(json.dumps({"data": data}).encode(), "en") == expected


@pytest.mark.parametrize(
    ("url", "license_id"),
    [
        ("http://creativecommons.org/licenses/by/4.0/legalcode", "CC-BY-4.0"),
        ("https://www.opendatacommons.org/licenses/odbl/1-0/", "ODbL-1.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/deed.en", "CC0-1.0"),
        ("https://ride.example/data-license-agreement", ""),
    ],
)
def test_a_licence_is_known_by_its_address(url: str, license_id: str) -> None:
    """Before 2.2 a feed can have the address only."""
    assert license_of(url) == license_id


FEED = Gbfs("http://h/gbfs.json", UTC)
WEEK = 7 * 86_400.0


def test_the_publisher_is_requested_once_a_week() -> None:
    """In no payload: it is a note, and the slot does not wait for it."""
    get = Feeds({"data": {"feeds": listing((*NAMES, DOCUMENT))}})
    get.documents[DOCUMENT] = {"data": V2}
    first = FEED.fetch(get, Memory(now=1000.0))
    notes, known = dict(first.notes), frozenset({"7"})

    assert parsed_note(notes[NOTE]) == VELO
    assert DOCUMENT not in [document.name for document in first.documents]
    get.asked.clear()
    FEED.fetch(get, Memory(notes, known, 1000.0 + WEEK - 1))
    assert DOCUMENT not in get.asked
    FEED.fetch(get, Memory(notes, known, 1000.0 + WEEK))
    assert DOCUMENT in get.asked


def test_a_publisher_that_cannot_be_read_costs_nothing() -> None:
    """What was known stays, the next request is a day later, the slot is complete."""
    get = Feeds({"data": {"feeds": listing((*NAMES, DOCUMENT))}})
    known = json.dumps({"at": 0.0, "publisher": VELO})

    payload = FEED.fetch(get, Memory({NOTE: known}, now=WEEK))

    assert payload.incomplete == ""
    assert parsed_note(payload.notes[NOTE]) == VELO
    assert json.loads(payload.notes[NOTE])["at"] == 86_400.0


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"publisher": 3}', '{"publisher": {"a": 1}}']
)
def test_a_damaged_note_is_no_publisher(note: str) -> None:
    """The ledger can be edited by hand."""
    assert parsed_note(note) == {}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (
            {},
            ("City of X", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ),
        ({"license": "CC0-1.0"}, ("City of X", "CC0-1.0", "")),
        (
            {"name": "Me"},
            ("Me", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ),
    ],
)
def test_the_settings_come_before_what_the_feed_states(
    tmp_path: Path, own: dict[str, str], expected: tuple[str, str, str]
) -> None:
    """A licence of the settings is not combined with the address of another one."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    world.ledger.open()
    world.ledger.remember({NOTE: json.dumps({"at": 0, "publisher": VELO})})
    world.ledger.close()
    system = {
        "feed": "gbfs",
        "url": "https://h.example/gbfs.json",
        "timezone": "UTC",
        "publisher": own,
    }
    settings = loader.parse({"data_dir": str(tmp_path), "systems": {"city": system}})

    known = publisher_in(settings, "city")

    assert known.title == "Velo"
    assert (known.name, known.license, known.license_url) == expected


def test_without_a_ledger_nothing_is_stated(tmp_path: Path) -> None:
    """A new system is named by its id, and its licence is unknown."""
    system = {"feed": "gbfs", "url": "https://h.example/gbfs.json", "timezone": "UTC"}
    settings = loader.parse({"data_dir": str(tmp_path), "systems": {"city": system}})

    known = publisher_in(settings, "city")

    assert (known.title, known.license, known.credit) == ("city", "", "Data: h.example")


def test_the_data_of_a_demo_are_said_to_be_simulated(tmp_path: Path) -> None:
    """Not "Data: 127.0.0.1", the address of the simulator."""
    (tmp_path / DEMO_MARKER).touch()
    settings = loader.read_text(tmp_path / settings_file.FILE, settings_text([YOUBIKE]))

    known = publisher_in(settings, YOUBIKE)

    assert (
        known.credit == "Simulated data of bikecollect's demo: this city does not exist"
    )
    assert (known.license, known.is_simulated) == ("CC0-1.0", True)

    (tmp_path / DEMO_MARKER).unlink()  # a real feed, behind a proxy on this machine
    assert publisher_in(settings, YOUBIKE).credit == "Data: 127.0.0.1"
