"""What is wrong with a feed is said of the document, in words of its publisher."""

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, publishing
from served import Answer

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.feeds.mapped import Mapped

PAGE = Answer(b"<html><title>Maintenance</title></html>")
STATION = {"station_id": "a", "num_bikes_available": 3, "num_docks_available": 4}
STATUS = {"last_updated": "NOW", "data": {"stations": [STATION]}}
VEHICLES = {"last_updated": "NOW", "data": {"bikes": [{"bike_id": "v"}]}}
NAMES = ("station_status", "free_bike_status")


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a GBFS publisher of stations and vehicles."""
    with publishing(tmp_path, vehicles=True) as publisher:
        feeds = [{"name": name, "url": f"BASE/{name}"} for name in NAMES]
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": feeds}}}
        publisher.documents |= {f"/{NAMES[0]}": STATUS, f"/{NAMES[1]}": VEHICLES}
        yield publisher


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/gbfs.json", PAGE, "BASE/gbfs.json is a web page (HTML), not JSON"),
        ("/gbfs.json", {"error": "no key"}, "BASE/gbfs.json has no data: url must be"),
        ("/station_status", PAGE, "station_status is a web page (HTML), not JSON"),
        ("/station_status", Answer(b""), "station_status is empty"),
        ("/station_status", {"data": {}}, "station_status has no data.stations"),
        (
            "/station_status",
            {"data": {"stations": [{"id": "a"}]}},
            "station_status: no station has a known field for station_id",
        ),
    ],
)
def test_a_rejected_document_is_named(
    city: Publisher, path: str, answer: object, message: str
) -> None:
    """A system has several: the user must know which one to look at."""
    city.documents[path] = answer

    run = city.fetch()

    assert run.error is not None
    assert run.error.startswith(message.replace("BASE", city.base))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (PAGE, "vehicle_status is a web page (HTML), not JSON"),
        ({"data": {}}, "vehicle_status has no list data.vehicles or data.bikes"),
    ],
)
def test_unreadable_vehicles_are_named(
    city: Publisher, answer: object, message: str
) -> None:
    """The stations beside them are collected."""
    city.documents["/free_bike_status"] = answer

    run = city.fetch()

    (partial,) = (notice.text for notice in run.notices if notice.kind == "partial")
    assert partial.startswith(f"the vehicles are not committed: {message}")
    assert run.rows == 1


def test_a_document_that_is_too_large_is_named(tmp_path: Path) -> None:
    """Its address: only one of several documents may exceed the limit."""
    with publishing(tmp_path, max_body="1MiB") as city:
        feeds = [{"name": "station_status", "url": "BASE/status"}]
        city.documents["/gbfs.json"] = {"data": {"en": {"feeds": feeds}}}
        city.documents["/status"] = Answer(b" " * 1_500_000)
        run = city.fetch()

        assert str(run.error).startswith(
            f"{city.base}/status is too large to be kept: "
        )


def read(*stations: Any) -> None:
    """Read *stations* by a mapping of two columns."""
    mapping = {"station_id": "id", "num_vehicles_available": "bikes"}
    feed = Mapped("http://localhost/", UTC, mapping)
    body = repr([*stations]).replace("None", "null").replace("True", "true")
    feed.read((Document("list", body.replace("'", '"').encode()),))


def test_what_is_called_no_number_is_none() -> None:
    """Beside numbers that are impossible: they are not the reason."""
    stations = [{"id": n, "bikes": value} for n, value in enumerate([7.5, "x", "x"])]

    with pytest.raises(PayloadError) as caught:
        read(*stations)

    assert str(caught.value).endswith("(in bikes), such as 'x'")


def test_values_are_shown_as_json_writes_them() -> None:
    """The words are null and true, not those of Python."""
    with pytest.raises(PayloadError) as caught:
        read({"id": None, "bikes": True})

    assert str(caught.value).endswith("such as {'id': null, 'bikes': true}")
