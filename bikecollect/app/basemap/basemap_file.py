"""The basemap in the folder of a system: create, write and read it."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bikecollect.app.basemap import fitting, geojson, vector_tiles
from bikecollect.app.basemap.classes import CLASSES
from bikecollect.app.basemap.fitting import Fitted
from bikecollect.app.basemap.shapes import Point
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.text import message
from bikecollect.storage.files.durable import sync_folder, write_file
from bikecollect.storage.files.regular_file import open_plain, read_file
from bikecollect.storage.ledger_reader import History

NAME = "basemap.json"
"""The file in the folder of a system."""
MAX_BYTES = 32 << 20
"""Maximum bytes of a GeoJSON file."""
MAX_KEPT_BYTES = 4 << 20
MAX_ATTRIBUTION = 200
PLACES = "SELECT lon, lat FROM stations WHERE lon IS NOT NULL AND lat IS NOT NULL"


@dataclass(frozen=True)
class Basemap:
    """The basemap of a system, made from the file *source*."""

    fitted: Fitted
    attribution: str = ""
    source: str = ""

    def packed(self) -> str:
        """Return the basemap in the form that a map takes."""
        return fitting.packed(self.fitted, self.attribution)


def read_source(path: Path, stations: Sequence[Point], attribution: str) -> Basemap:
    """Return a basemap from the GeoJSON or PMTiles file *path*, fitted to *stations*.

    An empty *attribution* is replaced by that of the file. Raises UsageError,
    NotInstalled.
    """
    bounds = fitting.bounds_of(stations)
    try:
        with open_plain(path) as file:
            beginning = file.read(len(vector_tiles.MAGIC))
            if vector_tiles.is_pmtiles(beginning):
                shapes, credit = vector_tiles.read_tiles(path, bounds)
            else:
                data = beginning + file.read(MAX_BYTES + 1)
                _check_size(data, path)
                return from_geojson(data, path, stations, attribution)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    if not shapes:
        raise UsageError(f"{path}: no vector tiles with lines or areas in the city")
    fitted = fitting.fit(shapes, bounds, str(path))
    credit = message(attribution or _plain(credit))[:MAX_ATTRIBUTION]
    return Basemap(fitted, credit, path.name)


def from_geojson(
    data: bytes, path: Path, stations: Sequence[Point], attribution: str
) -> Basemap:
    """Return a basemap of *data*, the GeoJSON of the file *path*; see `read_source`."""
    shapes = geojson.shapes_of(data, str(path))
    fitted = fitting.fit(shapes, fitting.bounds_of(stations), str(path))
    return Basemap(fitted, message(attribution)[:MAX_ATTRIBUTION], path.name)


def _check_size(data: bytes, path: Path) -> None:
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{path}: larger than {MAX_BYTES >> 20} MiB; cut the city out of it first: "
            f"ogr2ogr -clipsrc WEST SOUTH EAST NORTH -f GeoJSON new.geojson {path}"
        )


def _plain(html: str) -> str:
    """Return the text in *html*, a value of the metadata of tiles."""
    import re
    from html import unescape

    return unescape(re.sub(r"<[^>]*>", "", html)).strip()


def stations_of(name: str, folder: Path) -> list[Point]:
    """Return the longitude and latitude of the stations of the system *name*."""
    rows = History(name, folder).select(PLACES)
    return [(float(lon), float(lat)) for lon, lat in rows]


def write(folder: Path, basemap: Basemap) -> None:
    """Write *basemap* to the system's *folder*; raises StorageError."""
    fitted = basemap.fitted
    value = {
        "attribution": basemap.attribution,
        "source": basemap.source,
        "metres": fitted.metres,
        "left_out": list(fitted.left_out),
        "origin": fitted.origin,
        "shapes": fitted.shapes,
    }
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path, aside = folder / NAME, folder / f"{NAME}.tmp"
    try:
        write_file(aside, text.encode())
        aside.rename(path)
        sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def remove(folder: Path) -> bool:
    """Remove the basemap of the system's *folder*; return whether there was one."""
    try:
        (folder / NAME).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        path = folder / NAME
        raise StorageError(f"cannot remove {path}: {error.strerror}") from error
    return True


def load(folder: Path) -> Basemap | None:
    """Return the basemap of the system's *folder*, None if there is none.

    Raises StorageError if it is damaged.
    """
    path = folder / NAME
    try:
        value = json.loads(read_file(path, MAX_KEPT_BYTES))
        return _basemap(value)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(
            f"{path} is damaged; add the basemap again, or remove it with: "
            f"bikecollect basemap remove {folder.name}"
        ) from error


def _basemap(value: Mapping[str, Any]) -> Basemap:
    west, south = map(float, value["origin"])
    shapes = {
        kind: [list(map(int, steps)) for steps in value["shapes"].get(kind, [])]
        for kind in sorted(CLASSES)
    }
    fitted = Fitted(
        (west, south),
        {kind: lines for kind, lines in shapes.items() if lines},
        float(value["metres"]),
        tuple(map(str, value["left_out"])),
    )
    return Basemap(fitted, str(value["attribution"]), str(value["source"]))


def packed_of(folder: Path) -> str:
    """Return the basemap of the system's *folder* for a map, "" if there is none.

    A damaged one is not drawn; see `problem_of`.
    """
    return _kept(folder)[0]


def problem_of(folder: Path) -> str:
    """Return why the basemap of the system's *folder* is not drawn, "" if it is."""
    problem = _kept(folder)[1]
    return f"the map is drawn without its basemap: {problem}" if problem else ""


def _kept(folder: Path) -> tuple[str, str]:
    """Return the basemap of *folder* as a map takes it, and what is wrong with it."""
    try:
        status = (folder / NAME).lstat()
    except OSError:
        return "", ""
    return _packed(folder, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _packed(folder: Path, _changed: int, _size: int) -> tuple[str, str]:
    try:
        basemap = load(folder)
    except StorageError as error:
        return "", str(error)
    return (basemap.packed() if basemap else ""), ""
