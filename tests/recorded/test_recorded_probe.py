"""Each recorded payload, tried: its dialect is recognised, every station is read."""

import json
from pathlib import Path

import pytest
from served import Answer, serving
from test_recorded_over_http import CASES, DATA, unpacked

from bikecollect.core.errors import PayloadError
from bikecollect.setup import probe

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded payloads are not here"
)
KNOWN = [case for case in CASES if case[1] not in {"mapped", "gbfs"}]


@pytest.mark.parametrize(("pattern", "feed", "stations"), KNOWN)
def test_the_dialect_is_recognised(pattern: str, feed: str, stations: int) -> None:
    """From the bytes alone."""
    (place,) = DATA.glob(pattern)
    with serving(lambda _: Answer(unpacked(place))) as url:
        trial = probe.try_feed(f"{url}/some.json")

    assert trial.target.feed == feed
    assert len(trial.snapshot.statuses) == stations


@pytest.mark.parametrize(
    ("pattern", "stations"),
    [("divvy*", 1811), ("velib*", 1439), ("hubway*", 195), ("bixi*", 957)],
)
def test_a_gbfs_feed_is_found_from_its_status(pattern: str, stations: int) -> None:
    """The address of one of its files is enough, in any version."""
    (place,) = DATA.glob(f"e_gbfs/{pattern}")

    def answer(path: str) -> Answer:
        name = path.strip("/").removesuffix(".json")
        if name == "gbfs":
            names = {file.name.partition(".")[0] for file in place.iterdir()}
            feeds = [
                {"name": listed, "url": f"{url}/{listed}.json"}
                for listed in sorted(names - {"gbfs", "gbfs_versions"})
            ]
            return Answer(json.dumps({"data": {"en": {"feeds": feeds}}}).encode())
        (file,) = place.glob(f"{name}.json*")
        return Answer(unpacked(file))

    with serving(answer) as url:
        trial = probe.try_feed(f"{url}/station_information.json")

    assert trial.target.feed == "gbfs"
    assert trial.target.url == f"{url}/gbfs.json"
    assert len(trial.snapshot.statuses) == stations


def test_unknown_json_is_not_taken_for_a_known_dialect() -> None:
    """JCDecaux's own list is not YouBike's."""
    (place,) = DATA.glob("f_citybikes_jcdecaux/jcdecaux*")
    with (
        serving(lambda _: Answer(unpacked(Path(place)))) as url,
        pytest.raises(PayloadError, match="mapped"),
    ):
        probe.try_feed(f"{url}/some.json")
