"""The catalogue: every entry can be collected as it stands."""

import re
from zoneinfo import ZoneInfo

import pytest

from bikecollect.feeds.registry import DIALECTS
from bikecollect.setup import loader
from bikecollect.setup.catalogue import lookup
from bikecollect.setup.catalogue.builtin import CATALOGUE
from bikecollect.setup.catalogue.entry import Entry


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.system_id)
def test_every_entry_is_a_working_setting(entry: Entry) -> None:
    """Its name is a whole table of the settings, with a client for TDX."""
    oauth2 = {"client_id": "me", "client_secret_file": "secret"}
    table = {"oauth2": oauth2} if entry.feed == "tdx" else {}
    settings = loader.parse({"systems": {entry.system_id: table}})

    assert settings.systems[entry.system_id].url == entry.url
    assert re.fullmatch(r"https://[^\s*]+", entry.url)
    assert entry.feed in DIALECTS
    assert ZoneInfo(entry.timezone).key == entry.timezone
    assert re.fullmatch(r"[A-Z]{2}", entry.country)
    assert entry.name
    assert len(entry.system_id) <= 21


def test_no_id_and_no_address_is_there_twice() -> None:
    """A folder and a feed belong to one system."""
    assert len({entry.system_id for entry in CATALOGUE}) == len(CATALOGUE)
    assert len({entry.url for entry in CATALOGUE}) == len(CATALOGUE)


def test_taipei_comes_first() -> None:
    """It is what is collected without any settings."""
    assert CATALOGUE[0].system_id == "youbike-taipei"


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("goteborg", "styrstall-goteborg"),
        ("New York", "citibike-nyc"),
        ("velib", "velib-paris"),
        ("youbike-taipei", "youbike-taipei"),
        ("berlin de", "nextbike-berlin"),
    ],
)
def test_a_system_is_found_by_what_a_person_types(words: str, first: str) -> None:
    """City, name or id; no accents, no case."""
    assert lookup.search(words)[0].system_id == first


def test_what_is_not_there_is_not_found() -> None:
    """An empty list, not a guess."""
    assert lookup.search("atlantis") == []


@pytest.mark.parametrize("name", ["nextbike-glasgow", "nextbike-frankfurt"])
def test_a_system_that_is_gone_is_a_setting_and_not_an_offer(name: str) -> None:
    """Who collected it keeps a settings file that loads."""
    settings = loader.parse({"systems": {name: {}}})

    assert settings.systems[name].feed == "gbfs"
    assert name not in {entry.system_id for entry in CATALOGUE}
    assert lookup.search(name.partition("-")[2]) == []


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("youbike-newtaipei", "page=0&size=10000"),
        ("youbike-taoyuan", "limit=2000"),
        ("baywheels", "//gbfs.lyftbikes.com/gbfs/2.3/"),
        ("bluebikes-boston", "//gbfs.bluebikes.com/gbfs/gbfs.json"),
        ("bilbaobizi", "//bilbao.publicbikesystem.net/customer/gbfs/v3.0/"),
        ("veturilo-warsaw", "/nextbike_vw/"),
        ("oslo-bysykkel", "//api.entur.io/mobility/v2/gbfs/v3/oslobysykkel/gbfs"),
        ("trondheim-bysykkel", "//api.entur.io/mobility/v2/gbfs/v3/trondheimbysykkel"),
    ],
)
def test_systems_that_have_moved_are_asked_where_they_are(name: str, part: str) -> None:
    """And lists that a server pages are asked for whole."""
    entry = lookup.find(name)

    assert entry is not None
    assert part in entry.url
