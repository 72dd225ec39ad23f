"""Read the shapes of a city from vector tiles in a PMTiles file."""

import mmap
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import atan, degrees, log, pi, radians, sinh, tan
from pathlib import Path
from typing import Any

from bikecollect.app.basemap.classes import class_of
from bikecollect.app.basemap.shapes import DEPTHS, Bounds, Point, Shape
from bikecollect.core.errors import NotInstalled, UsageError

MAGIC = b"PMTiles"
VERSION = 3
MAX_TILES = 64
"""Maximum tiles that are read: the highest zoom with no more tiles is used."""
MAX_TILE_BYTES = 16 << 20
"""Maximum bytes of a decompressed tile."""
GZIP = 31
NORTHERNMOST = 85.05


def is_pmtiles(beginning: bytes) -> bool:
    """Return whether a file with this *beginning* is PMTiles."""
    return beginning.startswith(MAGIC)


def read_tiles(path: Path, bounds: Bounds) -> tuple[list[Shape], str]:
    """Return the shapes of the tiles within *bounds*, and the file's attribution.

    Raises UsageError if it cannot be read, NotInstalled if the extra ``basemap`` is
    missing.
    """
    try:
        from mapbox_vector_tile import decode
        from pmtiles.reader import Reader
        from pmtiles.tile import Compression, TileType
    except ImportError as error:
        raise NotInstalled(
            "PMTiles require the extra basemap; run: pip install 'bikecollect[basemap]'"
        ) from error
    with _mapped(path) as get_bytes:
        _check_version(get_bytes(0, len(MAGIC) + 1), path)
        archive = Reader(get_bytes)
        header, metadata = archive.header(), archive.metadata()
        if header["tile_type"] is not TileType.MVT:
            kind = header["tile_type"].name.lower()
            raise UsageError(
                f"{path}: PMTiles of the type {kind}; only vector tiles (mvt) are read"
            )
        packing = header["tile_compression"]
        if packing not in {Compression.NONE, Compression.GZIP}:
            kind = packing.name.lower()
            raise UsageError(f"{path}: tiles compressed by {kind}; only gzip is read")
        shapes: list[Shape] = []
        for z, x, y in _tiles(bounds, header["min_zoom"], header["max_zoom"]):
            data = archive.get(z, x, y)
            if data:
                plain = data if packing is Compression.NONE else _inflated(data)
                layers = decode(plain, default_options={"y_coord_down": True})
                shapes += _shapes(layers, z, x, y)
    text = metadata.get("attribution") if isinstance(metadata, dict) else ""
    return shapes, text if isinstance(text, str) else ""


@contextmanager
def _mapped(path: Path) -> Iterator[Callable[[int, int], bytes]]:
    """Yield a function that returns bytes of *path*, given their offset and number."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        try:
            yield lambda offset, length: content[offset : offset + length]
        except UsageError:
            raise
        except Exception as error:  # each library raises other errors for bad bytes
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise UsageError(f"{path}: damaged PMTiles ({reason})") from error


def _check_version(beginning: bytes, path: Path) -> None:
    version = beginning[-1]
    if version != VERSION:
        raise UsageError(
            f"{path}: PMTiles of version {version}; convert it with: pmtiles convert"
        )


def _tiles(
    bounds: Bounds, least_zoom: int, most_zoom: int
) -> Iterator[tuple[int, int, int]]:
    """Yield zoom, column and row of the tiles that cover *bounds*."""
    for z in range(most_zoom, least_zoom - 1, -1):
        left, top = _tile_at(bounds.west, bounds.north, z)
        right, bottom = _tile_at(bounds.east, bounds.south, z)
        if (right - left + 1) * (bottom - top + 1) <= MAX_TILES or z == least_zoom:
            for x in range(left, right + 1):
                for y in range(top, bottom + 1):
                    yield z, x, y
            return


def _tile_at(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    """Return column and row of the tile of a point.

    >>> _tile_at(121.5, 25.03, 10)
    (857, 438)
    """
    lat = min(NORTHERNMOST, max(-NORTHERNMOST, lat))
    rise = log(tan(pi / 4 + radians(lat) / 2)) / pi
    count = 2**zoom
    x, y = int((lon + 180) / 360 * count), int((1 - rise) / 2 * count)
    return min(count - 1, max(0, x)), min(count - 1, max(0, y))


def _inflated(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(GZIP)
    plain = unpacking.decompress(data, MAX_TILE_BYTES)
    if unpacking.unconsumed_tail:
        raise ValueError(f"a tile has more than {MAX_TILE_BYTES} bytes")
    return plain


def _shapes(layers: Mapping[str, Any], z: int, x: int, y: int) -> Iterator[Shape]:
    """Yield the lines and rings of a tile's *layers*."""
    for name, layer in layers.items():
        for feature in layer["features"]:
            geometry = feature["geometry"]
            depth = DEPTHS.get(geometry["type"])
            if depth is None:
                continue
            is_area = "Polygon" in geometry["type"]
            kind = class_of(feature["properties"], layer=name, is_area=is_area)
            if kind is None:
                continue
            place = (z, x, y, layer["extent"])
            for number, line in _lines(geometry["coordinates"], depth, is_area=is_area):
                points = [_degrees(position, place) for position in line]
                if len(points) > 1:
                    yield Shape(kind, is_area, points, is_hole=is_area and number > 0)


def _lines(value: Any, depth: int, *, is_area: bool) -> Iterator[tuple[int, Any]]:
    """Yield each line in *value*, nested to *depth*, with its index in its polygon."""
    if depth == 0:
        yield 0, value
    elif depth == 1:
        yield from enumerate(value) if is_area else ((0, line) for line in value)
    else:
        for part in value:
            yield from _lines(part, depth - 1, is_area=is_area)


def _degrees(position: Any, place: tuple[int, int, int, int]) -> Point:
    """Return the longitude and latitude of a *position* in the tile *place*."""
    z, x, y, extent = place
    count = 2**z
    across, down = (
        (x + position[0] / extent) / count,
        (y + position[1] / extent) / count,
    )
    return across * 360 - 180, degrees(atan(sinh(pi * (1 - 2 * down))))
