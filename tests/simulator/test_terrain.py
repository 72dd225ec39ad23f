"""The ground of the simulated city: its water, and stations beside it."""

from bikecollect.app.basemap import fitting, geojson
from bikecollect.simulator import terrain
from bikecollect.simulator.city import City


def test_no_station_stands_in_water() -> None:
    """Neither in the river, nor in the lake, nor in the sea."""
    stations = City(600).places

    wet = [s.station_id for s in stations if terrain.is_water(s.lat, s.lon)]

    assert wet == []


def test_some_stations_were_moved_out_of_the_water() -> None:
    """The same city as before apart from them: the random numbers are the same."""
    assert terrain.is_water(-48.906, -123.48)
    lat, lon = terrain.dry(-48.906, -123.48, terrain.CENTRE)
    assert not terrain.is_water(lat, lon)


def test_the_ground_is_a_basemap_with_water_parks_and_roads() -> None:
    """By the same way as a file of a user; small enough for every page."""
    stations = [(place.lon, place.lat) for place in City(300).places]
    shapes = geojson.shapes_of(terrain.geojson(), "simport")

    fitted = fitting.fit(shapes, fitting.bounds_of(stations), "simport")

    assert sorted(fitted.shapes) == [
        "green",
        "major",
        "minor",
        "rail",
        "river",
        "water",
    ]
    assert fitted.left_out == ()
    assert len(fitting.packed(fitted)) < 15_000
