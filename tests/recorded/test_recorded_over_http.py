"""Each recorded payload, served over HTTP, is fetched completely."""

import gzip
import json
from pathlib import Path

import pytest
from served import Answer, serving

from bikecollect.core.process import Stop
from bikecollect.setup.loader import parse
from bikecollect.wiring.collection import collect

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded payloads are not here"
)
JCDECAUX = {
    "station_id": "number",
    "num_vehicles_available": "available_bikes",
    "num_docks_available": "available_bike_stands",
}
CASES = [
    ("a_youbike1/*2016-02-24*", "youbike", 222),
    ("a_youbike1/*2016-09-22*", "youbike", 258),
    ("b_youbike2_gen1/*2022-07-18*", "youbike", 1114),
    ("b_youbike2_gen1/*2024-04-11*", "youbike", 1404),
    ("c_youbike2_gen2_gen3/*gen2__2025*", "youbike", 1520),
    ("c_youbike2_gen2_gen3/*gen3__2025*", "youbike", 1653),
    ("d_other_taiwan/newtaipei*", "youbike", 1000),
    ("d_other_taiwan/taichung*", "youbike", 141),
    ("d_other_taiwan/tdx_taipei_availability*", "youbike", 1339),
    ("d_other_taiwan/tdx_taipei_station*", "youbike", 1339),
    ("f_citybikes_jcdecaux/citybikes*", "citybikes", 121),
    ("f_citybikes_jcdecaux/jcdecaux*", "mapped", 280),
    ("e_gbfs/divvy*", "gbfs", 1811),
    ("e_gbfs/velib*", "gbfs", 1439),
    ("e_gbfs/hubway*", "gbfs", 195),
    ("e_gbfs/bixi*", "gbfs", 957),
]


def unpacked(path: Path) -> bytes:
    """Return the recorded bytes; .gz is only their container."""
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


@pytest.mark.parametrize(("pattern", "feed", "stations"), CASES)
def test_a_fetch_over_http_has_every_station(
    tmp_path: Path, pattern: str, feed: str, stations: int
) -> None:
    """As many rows as the catalogue counts stations, in the CSV."""
    (place,) = DATA.glob(pattern)

    def answer(path: str) -> Answer:
        if feed != "gbfs":
            return Answer(unpacked(place))
        name = path.strip("/").removesuffix(".json")
        if name == "gbfs":
            return Answer(json.dumps({"data": {"feeds": listed(place)}}).encode())
        (file,) = place.glob(f"{name}.json*")
        return Answer(unpacked(file))

    def listed(folder: Path) -> list[dict[str, str]]:
        names = [file.name.partition(".")[0] for file in folder.iterdir()]
        left = (name for name in names if name not in {"gbfs", "gbfs_versions"})
        return [{"name": name, "url": f"{url}/{name}.json"} for name in left]

    with serving(answer) as url:
        system = {"feed": feed, "url": f"{url}/gbfs.json", "timezone": "Asia/Taipei"}
        mapping = {"mapping": JCDECAUX} if feed == "mapped" else {}
        settings = parse(
            {"data_dir": str(tmp_path), "systems": {"city": {**system, **mapping}}}
        )
        (run,) = collect(settings, stop=Stop())

    (file,) = (tmp_path / "city/station_status").iterdir()
    assert (run.exit_code, run.rows) == (0, stations)
    assert len(file.read_text(encoding="utf-8").splitlines()) == stations + 1


def test_the_paged_taoyuan_feed_is_partial(tmp_path: Path) -> None:
    """100 of a total of 368 were served: the missing pages are reported."""
    (place,) = DATA.glob("d_other_taiwan/taoyuan*")
    requests: list[str] = []

    def answer(path: str) -> Answer:
        requests.append(path)
        return Answer(place.read_bytes() if len(requests) == 1 else b"", 200)

    with serving(answer) as url:
        system = {"feed": "youbike", "url": url, "timezone": "Asia/Taipei"}
        settings = parse(
            {"data_dir": str(tmp_path), "interval": "2s", "systems": {"t": system}}
        )
        (run,) = collect(settings, stop=Stop())

    assert (run.exit_code, run.rows) == (0, 100)
    assert "partial" in run.flags
    assert "offset=100" in requests[1]
