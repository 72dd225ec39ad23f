"""The catalogue: every entry can be collected without changes."""

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
    """Its name alone is a valid system, with a client for TDX."""
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


def test_ids_and_addresses_are_unique() -> None:
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
def test_a_system_is_found_by_city_name_or_id(words: str, first: str) -> None:
    """Accents and case are ignored."""
    assert lookup.search(words)[0].system_id == first


def test_an_unknown_system_is_not_found() -> None:
    """An empty list, not a guess."""
    assert lookup.search("atlantis") == []


@pytest.mark.parametrize("name", ["nextbike-glasgow", "nextbike-frankfurt"])
def test_a_discontinued_system_is_valid_but_not_listed(name: str) -> None:
    """Existing settings files still load."""
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
def test_addresses_of_moved_systems_are_current(name: str, part: str) -> None:
    """And paged lists are requested completely."""
    entry = lookup.find(name)

    assert entry is not None
    assert part in entry.url
