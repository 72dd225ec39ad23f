"""Each recorded payload, tried: the dialect is found out, every station is seen."""

from pathlib import Path

import pytest
from recorded.test_recorded_over_http import CASES, DATA, unpacked
from served import Answer, serving

from bikecollect import probe
from bikecollect.errors import PayloadError

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded payloads are not here"
)
KNOWN = [each for each in CASES if each[1] not in {"mapped", "gbfs"}]


@pytest.mark.parametrize(("pattern", "feed", "stations"), KNOWN)
def test_the_dialect_is_found_out(pattern: str, feed: str, stations: int) -> None:
    """Without being told, from the bytes alone."""
    (place,) = DATA.glob(pattern)
    with serving(lambda _: Answer(unpacked(place))) as url:
        trial = probe.attempt(f"{url}/some.json")

    assert trial.target.feed == feed
    assert len(trial.snapshot.statuses) == stations


def test_another_publishers_json_is_none_of_ours() -> None:
    """JCDecaux's own list is not taken for YouBike's."""
    (place,) = DATA.glob("f_citybikes_jcdecaux/jcdecaux*")
    with (
        serving(lambda _: Answer(unpacked(Path(place)))) as url,
        pytest.raises(PayloadError, match="mapped"),
    ):
        probe.attempt(f"{url}/some.json")
