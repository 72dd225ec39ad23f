"""Every recorded payload is read, with each station."""

import gzip
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bikecollect.core.errors import FeedError, PayloadError
from bikecollect.core.payload import Check, Document, Documents, Memory
from bikecollect.feeds import Feed
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.mapped import Mapped
from bikecollect.feeds.youbike import YouBike

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded payloads are not here"
)
TAIPEI = ZoneInfo("Asia/Taipei")
YOUBIKE = YouBike("http://localhost/", TAIPEI)
JCDECAUX = Mapped(
    "http://localhost/",
    UTC,
    {
        "station_id": "number",
        "num_vehicles_available": "available_bikes",
        "num_docks_available": "available_bike_stands",
        "capacity": "bike_stands",
        "last_reported": "last_update",
        "name": "name",
        "address": "address",
        "lat": "position.lat",
        "lon": "position.lng",
    },
)


def body(name: str) -> bytes:
    """Return the recorded bytes; .gz is only their container, but for YouBikeTP.gz."""
    data = (DATA / name).read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


@pytest.mark.parametrize(
    ("name", "feed", "stations"),
    [
        ("a_youbike1/youbike1_taipei__2016-02-24__kdcl.json", YOUBIKE, 222),
        (
            "a_youbike1/youbike1_taipei__2016-09-22__SyuShengWei__YouBikeTP.gz",
            YOUBIKE,
            258,
        ),
        (
            "b_youbike2_gen1/youbike2_taipei_gen1__2022-07-18T1752__PeiYun722.json.gz",
            YOUBIKE,
            1114,
        ),
        (
            "b_youbike2_gen1/youbike2_taipei_gen1__2024-04-11T0026__HSU0201.json.gz",
            YOUBIKE,
            1404,
        ),
        (
            "c_youbike2_gen2_gen3/"
            "youbike2_taipei_gen2__2025-02-10T1734__wu4fmp6.json.gz",
            YOUBIKE,
            1520,
        ),
        (
            "c_youbike2_gen2_gen3/"
            "youbike2_taipei_gen3__2025-09-22T1928__wanpwang1981.json.gz",
            YOUBIKE,
            1653,
        ),
        (
            "d_other_taiwan/"
            "newtaipei_ntpc__2025-09-22T1925__page0_1000rows__wanpwang1981.json.gz",
            YOUBIKE,
            1000,
        ),
        (
            "d_other_taiwan/"
            "taoyuan_ckan__2021-03-21T2040__page0_100of368__brianlin314.json",
            YOUBIKE,
            100,
        ),
        ("d_other_taiwan/taichung__2021-03-09T0024__brianlin314.json", YOUBIKE, 141),
        (
            "d_other_taiwan/"
            "tdx_taipei_availability__2024-02-27T1541__johnsonafool.json.gz",
            YOUBIKE,
            1339,
        ),
        (
            "d_other_taiwan/tdx_taipei_station__2024-02-27T1629__johnsonafool.json.gz",
            YOUBIKE,
            1339,
        ),
        (
            "f_citybikes_jcdecaux/citybikes_v2_citybike-wien__2017-05-30__tomekz.json",
            CityBikes("http://localhost/"),
            121,
        ),
        (
            "f_citybikes_jcdecaux/jcdecaux_v1_toulouse__2016-05-22__Bo-Duke.json",
            JCDECAUX,
            280,
        ),
    ],
)
def test_every_station_of_a_payload_is_read(
    name: str, feed: Feed, stations: int
) -> None:
    """As many stations as the catalogue counts, and none dropped."""
    snapshot = feed.read((Document("page-0", body(name)),))

    assert len(snapshot.statuses) == stations
    assert snapshot.dropped == 0
    assert len(snapshot.information) == stations


@pytest.mark.parametrize(
    ("name", "stations"),
    [
        ("divvy_2.3_2025-01-29", 1811),
        ("velib_1.0_2022-02-25", 1439),
        ("hubway_1.0_2017-12-12", 195),
        ("bixi_1.x_2025-05-18", 957),
    ],
)
def test_every_station_of_a_gbfs_system_is_read(name: str, stations: int) -> None:
    """Status and information of each station, joined by its id."""
    snapshot = Gbfs("http://localhost/", UTC).read(gbfs(name))

    assert len(snapshot.statuses) == stations
    assert snapshot.dropped == 0
    known = {station.station_id for station in snapshot.information}
    assert (
        len(known & {station.station_id for station in snapshot.statuses}) == stations
    )


@pytest.mark.parametrize(
    "name", ["check_almere_3.0_2025-05-21", "jump_dc_1.0_2018-04-24"]
)
def test_a_system_without_stations_is_recognised(name: str) -> None:
    """Vehicles alone are no station history: the error says so."""
    listed = body(f"e_gbfs/{name}/gbfs.json")

    def get(
        name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        assert check is not None or name
        return Document(name, listed if name == "gbfs" else b'{"data": {}}', url)

    feed = Gbfs("http://localhost/gbfs.json", UTC)
    with pytest.raises(
        (FeedError, PayloadError),
        match=r"without stations|vehicles = true|data\.stations",
    ):
        feed.read(feed.fetch(get, Memory()).documents)


def test_electric_vehicles_are_summed_from_their_types() -> None:
    """Vélib' has a list of one-key maps, Divvy a field."""
    velib = Gbfs("http://localhost/", UTC).read(gbfs("velib_1.0_2022-02-25"))
    divvy = Gbfs("http://localhost/", UTC).read(gbfs("divvy_2.3_2025-01-29"))

    assert velib.statuses[1].num_ebikes_available == 3
    assert {type(station.num_ebikes_available) for station in divvy.statuses} == {int}


def gbfs(name: str) -> Documents:
    """Return the recorded documents of a GBFS system."""
    folder = DATA / "e_gbfs" / name
    return tuple(
        Document(path.name.partition(".")[0], body(f"e_gbfs/{name}/{path.name}"))
        for path in sorted(folder.iterdir())
    )
