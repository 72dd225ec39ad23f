"""A basemap of the user: read, fitted, drawn below the stations."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from json_shapes import documented
from visits import CHROMIUM, browsing, new_context
from world import World

from bikecollect.app.basemap import basemap_file, fitting, geojson
from bikecollect.app.basemap.shapes import Bounds, Shape, clipped, gridded
from bikecollect.cli.commands.basemap import KEYS
from bikecollect.core.errors import StorageError, UsageError

PLACES = {"a": [25.0, 121.5, "East"], "b": [25.04, 121.54, "West"]}
LAKE = [[121.51, 25.01], [121.53, 25.01], [121.53, 25.03], [121.51, 25.03]]
BOX = Bounds(0, 0, 10, 10)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the settings of a city with two stations."""
    world = World(tmp_path / "data/city")
    world.fetch({"a": 3, "b": 0}, places=PLACES)
    path = tmp_path / "bikecollect.toml"
    path.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


def collection(*features: tuple[dict[str, str], str, Any]) -> dict[str, Any]:
    """Return GeoJSON of *features*: properties, type and coordinates of each."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": tags,
                "geometry": {"type": kind, "coordinates": coordinates},
            }
            for tags, kind, coordinates in features
        ],
    }


WATER = ({"natural": "water"}, "Polygon", [[*LAKE, LAKE[0]]])
ROAD = ({"highway": "primary"}, "LineString", [[121.4, 25.0], [121.6, 25.04]])
MAP = collection(WATER, ROAD)


def basemap(config: Path, *arguments: object) -> Any:
    """Run ``basemap``; return the process."""
    return bikecollect("--config", config, "basemap", *arguments)


def added(config: Path, value: object, *more: object) -> Any:
    """Run ``basemap add`` for a file with *value* as JSON; return the process."""
    path = config.parent / "own.geojson"
    path.write_text(json.dumps(value), encoding="utf-8")
    return basemap(config, "add", "city", path, *more)


def test_a_file_becomes_the_basemap_and_is_listed_and_removed(config: Path) -> None:
    """The file itself is not needed any more."""
    process = added(config, MAP, "--attribution", "(c) Mapmakers")
    (config.parent / "own.geojson").unlink()

    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("city: own.geojson, 2 shapes, ")
    text = basemap(config, "list", "--format", "json").stdout
    (listed,) = documented(text, KEYS)
    assert (listed["attribution"], listed["shapes"]) == ("(c) Mapmakers", 2)
    assert listed["left_out"] == []
    assert basemap(config, "remove", "city").returncode == 0
    assert basemap(config, "list").stdout == "city: none\n"
    again = basemap(config, "remove", "city")
    assert (again.returncode, again.stderr) == (
        64,
        "bikecollect: city has no basemap\n",
    )


def test_a_map_without_a_source_is_added_with_a_warning(config: Path) -> None:
    """OpenStreetMap and others require that they are named."""
    process = added(config, MAP)

    assert process.returncode == 0
    assert "--attribution" in process.stderr


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([1, 2], "not GeoJSON: the top-level value is not an object"),
        ({"type": "Topology", "objects": {}}, "TopoJSON cannot be read"),
        ({"a": 1}, 'not GeoJSON: its type is "None"'),
        (collection(), "nothing to draw: no line and no area"),
        (collection(({}, "Point", [121.5, 25.0])), "1 points"),
        (
            collection(({"building": "yes"}, "Polygon", [[*LAKE, LAKE[0]]])),
            "1 buildings and footpaths",
        ),
        (
            collection(
                ({}, "LineString", [[302_000.5, 2_770_000], [302_100, 2_770_100]])
            ),
            "geometry 1 has the position [302000.5, 2770000], which is not in degrees",
        ),
        (
            {**MAP, "crs": {"type": "name", "properties": {"name": "EPSG:3826"}}},
            'its coordinates are in "EPSG:3826", not in degrees of WGS 84',
        ),
        (
            collection(({}, "LineString", [[16.3, 48.2], [16.4, 48.2]])),
            "48.200, 16.300",
        ),
        (
            collection(({}, "LineString", [[25.0, 81.5], [25.1, 81.5]])),
            "no shape is in the city",
        ),
        (collection(({}, "LineString", ["x", "y"])), "is not [number, number]"),
        (collection(({}, "LineString", 7)), "not lists of numbers"),
        (collection(({}, "Circle", [1, 2])), 'the unknown type "Circle"'),
    ],
)
def test_what_cannot_be_drawn_is_rejected(
    config: Path, value: object, problem: str
) -> None:
    """The message names the file and what is wrong; nothing is kept."""
    process = added(config, value)

    assert process.returncode == 64
    assert "own.geojson" in process.stderr
    assert problem in process.stderr
    assert not (config.parent / "data/city/basemap.json").exists()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<kml>", "XML, not JSON"),
        (b"\xff\xfe{\x00", "not a text in UTF-8"),
        (b'{"type":' * 100_000, "nested too deeply"),
        (b'{"type": "LineString", "coordinates": [[NaN, 1]]}', "the number NaN"),
        (b"", "not JSON"),
        (b" " * ((32 << 20) + 1), "larger than 32 MiB"),
        (b"PMTiles\x02" + bytes(200), "PMTiles of version 2"),
    ],
)
def test_a_file_that_is_no_map_is_rejected(
    config: Path, data: bytes, problem: str
) -> None:
    """Whatever it is, the message says what to do or where."""
    path = config.parent / "own.bin"
    path.write_bytes(data)

    process = basemap(config, "add", "city", path)

    assert process.returncode == 64
    assert problem in process.stderr


def test_exchanged_coordinates_are_recognised() -> None:
    """Latitude first is the usual mistake."""
    swapped = {"type": "LineString", "coordinates": [[25.0, 81.5], [25.01, 81.51]]}
    shapes = geojson.shapes_of(json.dumps(swapped).encode(), "own")

    with pytest.raises(UsageError, match="longitude must come before latitude"):
        fitting.fit(shapes, fitting.bounds_of([(81.5, 25.0)]), "own")


def test_a_system_without_stations_has_no_place_for_a_map(tmp_path: Path) -> None:
    """The map is cut to the stations, so they come first."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    config.chmod(0o600)

    process = added(config, MAP)

    assert process.returncode == 64
    assert "city has no station with a location yet" in process.stderr


def test_a_line_is_cut_at_the_bounds() -> None:
    """It enters and leaves: each part within is a line of its own."""
    line = Shape("major", False, [(-5, 5), (5, 5), (5, 20), (8, 20), (8, 5)])

    parts = [shape.points for shape in clipped([line], BOX)]

    assert parts == [[(0, 5), (5, 5), (5, 10)], [(8, 10), (8, 5)]]


def test_an_area_is_cut_at_the_bounds() -> None:
    """An area around the city becomes the whole box."""
    area = Shape("water", True, [(-5, -5), (15, -5), (15, 15), (-5, 15)])

    (cut,) = clipped([area], BOX)

    assert sorted(cut.points) == [(0, 0), (0, 10), (10, 0), (10, 10)]


def test_points_on_a_straight_line_are_left_out() -> None:
    """What is nearer than the tolerance to the simpler line is not kept."""
    line = Shape(
        "major", False, [(0, 0), (0.001, 0.000001), (0.002, 0), (0.002, 0.001)]
    )

    assert gridded(line, (0, 0), 2.0) == [(0, 0), (200, 0), (200, 100)]


def test_rings_turn_left_and_holes_right() -> None:
    """So that overlapping areas of two tiles are no hole."""
    ring = [(0, 0), (0, 0.01), (0.01, 0.01), (0.01, 0)]

    outer = gridded(Shape("water", True, ring), (0, 0), 2.0)
    hole = gridded(Shape("water", True, ring, is_hole=True), (0, 0), 2.0)

    assert outer == [(1000, 0), (1000, 1000), (0, 1000), (0, 0)]
    assert hole == outer[::-1]


def test_a_detailed_map_is_simplified_until_a_page_can_carry_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Main roads remain where small streets are too many: here for a small page."""
    monkeypatch.setattr(fitting, "MAX_CHARACTERS", fitting.MAX_CHARACTERS // 10)
    rng = random.Random(1)
    streets = [
        Shape("minor", False, [(rng.random(), rng.random()) for _ in range(300)])
        for _ in range(20)
    ]
    road = Shape("major", False, [(0, 0), (10, 10)])

    fitted = fitting.fit([*streets, road], BOX, "own")

    assert fitted.left_out == ("minor", "line")
    assert list(fitted.shapes) == ["major"]
    assert len(fitting.packed(fitted)) <= fitting.MAX_CHARACTERS


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_text('{"shapes": 3}'),
        lambda path: path.write_text("[]"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_damaged_basemap_is_named_and_not_drawn(
    config: Path, damage: Callable[[Path], object]
) -> None:
    """The app and the pages go on without it."""
    added(config, MAP)
    folder = config.parent / "data/city"
    damage(folder / "basemap.json")

    assert basemap_file.packed_of(folder) == ""
    with pytest.raises(StorageError, match=r"basemap\.json is damaged"):
        basemap_file.load(folder)
    assert "is damaged" in basemap(config, "list").stderr


def tiles(path: Path, *, kind: str = "MVT", compression: str = "GZIP") -> None:
    """Write PMTiles with the tile of the city at zoom 12: a lake and a road."""
    pytest.importorskip("pmtiles")
    import gzip

    from mapbox_vector_tile import encode
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import Writer

    lake = "POLYGON ((500 500, 3500 500, 3500 3500, 500 3500, 500 500))"
    layers = [
        {"name": "water", "features": [{"geometry": lake, "properties": {}}]},
        {
            "name": "roads",
            "features": [
                {
                    "geometry": "LINESTRING (0 0, 4096 4096)",
                    "properties": {"kind": "major_road"},
                }
            ],
        },
    ]
    data = encode(layers)
    with path.open("wb") as file:
        writer = Writer(file)
        writer.write_tile(zxy_to_tileid(12, 3430, 1754), gzip.compress(data))
        writer.finalize(
            {
                "tile_type": TileType[kind],
                "tile_compression": Compression[compression],
                "min_zoom": 12,
                "max_zoom": 12,
                "min_lon_e7": 0,
                "min_lat_e7": 0,
                "max_lon_e7": 0,
                "max_lat_e7": 0,
                "center_zoom": 12,
                "center_lon_e7": 0,
                "center_lat_e7": 0,
            },
            {"attribution": '<a href="https://osm.org">&copy; OpenStreetMap</a>'},
        )


def test_vector_tiles_are_read_with_their_attribution(config: Path) -> None:
    """Column 3430 and row 1754 of zoom 12 have the city: water and a road."""
    path = config.parent / "own.pmtiles"
    tiles(path)

    process = basemap(config, "add", "city", path)

    assert process.returncode == 0, process.stderr
    assert "source: © OpenStreetMap" in process.stdout
    kept = basemap_file.load(config.parent / "data/city")
    assert kept is not None
    assert sorted(kept.fitted.shapes) == ["major", "water"]
    (ring,) = kept.fitted.shapes["water"]
    west, south = kept.fitted.origin
    assert 121.46 < west + ring[0] * 1e-5 < 121.56
    assert 24.95 < south + ring[1] * 1e-5 < 25.1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kind": "PNG"}, "PMTiles of the type png; only vector tiles"),
        ({"compression": "BROTLI"}, "tiles compressed by brotli; only gzip"),
    ],
)
def test_other_tiles_are_rejected(
    config: Path, options: dict[str, str], problem: str
) -> None:
    """Images cannot be drawn in the colours of the app."""
    path = config.parent / "own.pmtiles"
    tiles(path, **options)

    process = basemap(config, "add", "city", path)

    assert process.returncode == 64
    assert problem in process.stderr


def test_damaged_tiles_are_rejected(config: Path) -> None:
    """No traceback, wherever the file ends."""
    path = config.parent / "own.pmtiles"
    tiles(path)
    path.write_bytes(path.read_bytes()[:140])

    process = basemap(config, "add", "city", path)

    assert process.returncode == 64
    assert "damaged PMTiles" in process.stderr


def test_tiles_without_the_extra_name_it(config: Path, tmp_path: Path) -> None:
    """GeoJSON needs no other package."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['pmtiles'] = None\n"
    )
    path = config.parent / "own.pmtiles"
    path.write_bytes(b"PMTiles\x03" + bytes(200))

    process = bikecollect(
        *("--config", config, "basemap", "add", "city", path),
        PYTHONPATH=f"{tmp_path}:{Path.cwd()}",
    )

    assert process.returncode == 69
    assert "PMTiles require the extra basemap; run: " in process.stderr


COLOUR = """([lat, lon]) => {
  const canvas = document.querySelector('canvas.map'), ratio = window.devicePixelRatio;
  const [x, y] = map.point(map.projection.forth(lat, lon));
  const pixel = canvas.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data;
  return [...pixel.slice(0, 3)];
}"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="the page is opened by Chromium")
@pytest.mark.filterwarnings("ignore")
def test_a_shared_page_draws_the_lake_and_names_its_source(config: Path) -> None:
    """The lake has the colour of water, the ground beside it that of land."""
    pytest.importorskip("playwright.sync_api")
    pytest.importorskip("duckdb")
    added(config, MAP, "--attribution", "(c) Mapmakers <b>")
    folder = config.parent / "public"
    process = bikecollect("--config", config, "share", "-o", folder)
    assert process.returncode == 0, process.stderr

    with browsing() as chromium:
        page = new_context(chromium, color_scheme="light").new_page()
        page.goto(f"file://{folder}/index.html")
        page.wait_for_selector(".city[data-drawn]")
        page.get_by_text("(c) Mapmakers <b>").wait_for()
        page.evaluate("() => { map.fit(map.stations); map.paint(); }")
        lake = page.evaluate(COLOUR, [25.015, 121.52])
        beside = page.evaluate(COLOUR, [25.03, 121.5])

    assert (lake, beside) == ([207, 224, 236], [236, 239, 232])
