"""The simulated city in the formats of publishers."""

import json
from pathlib import Path

from publisher import publishing

from bikecollect.core.errors import Outcome
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City


def test_areas_of_the_gbfs_feed_have_names(tmp_path: Path) -> None:
    """As in the other formats: a number does not say where a station is."""
    with publishing(tmp_path) as publisher:
        moment, address = publisher.clock.now, publisher.base
        for name, body in dialects.gbfs(City(40), moment, address).items():
            publisher.documents[f"/{name}.json"] = json.loads(body)

        run = publisher.fetch()
        publisher.fetch()

    assert run.outcome is Outcome.COLLECTED
    assert {station["region"] for station in publisher.stations()} == {
        "Harbour Dist.",
        "Bamboo Dist.",
        "North Hill Dist.",
        "Workshops Dist.",
    }
