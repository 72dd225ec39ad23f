"""Tiles behind the map: off by default, from one host, whose line is shown."""

import struct
import zlib
from pathlib import Path

import pytest
from appserver import app_serving
from served import Answer, serving
from visits import CHROMIUM, browsing, new_context
from waiting import wait_until
from world import World

from bikecollect.core.errors import SettingsError
from bikecollect.setup.loader import parse

HAS_TILES = """canvas => {
  try { canvas.getContext('2d').getImageData(0, 0, 1, 1); } catch { return true; }
  return false;
}"""
"""Whether an image of another host was drawn: the canvas can no longer be read."""
PLACES = {"a": [25.0, 121.5, "East"], "b": [25.01, 121.51, "West"]}


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        (
            {"tiles": "https://t.example/1.png", "attribution": "x"},
            "must be an address",
        ),
        ({"tiles": "file:///{z}/{x}/{y}", "attribution": "x"}, "must be an address"),
        (
            {
                "tiles": "https://t.org/{z}/{x}/{y}; script-src *",
                "attribution": "x",
            },
            "must be an address",
        ),
        ({"tiles": "https://t.example/{z}/{x}/{y}.png"}, "app.attribution is missing"),
    ],
)
def test_tiles_that_cannot_be_shown_are_rejected(
    app: dict[str, str], problem: str
) -> None:
    """The Content-Security-Policy of each page names their host."""
    with pytest.raises(SettingsError) as caught:
        parse({"app": app})

    assert problem in str(caught.value)


def green() -> bytes:
    """Return a green tile as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + end

    rows = (b"\0" + b"\0\xc8\0" * 256) * 256
    head = struct.pack(">IIBBBBB", 256, 256, 8, 2, 0, 0, 0)
    parts = (
        chunk(b"IHDR", head),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="the app is looked at with Chromium")
@pytest.mark.filterwarnings("ignore")
def test_the_tiles_of_the_view_are_drawn_and_their_source_is_named(
    tmp_path: Path,
) -> None:
    """The tile of the city is asked for: 25 degrees north, 121.5 east."""
    pytest.importorskip("playwright.sync_api")
    pytest.importorskip("streamlit")
    world = World(tmp_path / "data/city")
    world.fetch({"a": 3, "b": 0}, after=300, places=PLACES)
    asked: list[str] = []

    def tile(path: str) -> Answer:
        asked.append(path)
        return Answer(green(), headers={"Content-Type": "image/png"})

    with serving(tile) as url:
        config = tmp_path / "bikecollect.toml"
        config.write_text(
            'data_dir = "data"\n[systems.city]\nfeed = "youbike"\n'
            'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n'
            f'[app]\ntiles = "{url}/{{z}}/{{x}}/{{y}}.png"\n'
            'attribution = "(c) Mapmakers"\n',
            encoding="utf-8",
        )
        config.chmod(0o600)
        with app_serving(config) as address, browsing() as chromium:
            page = new_context(chromium).new_page()
            page.goto(address)
            page.get_by_text("(c) Mapmakers").wait_for()
            canvas = page.locator(".city canvas.map").first
            wait_until(lambda: canvas.evaluate(HAS_TILES), "tiles are drawn")

    zoom, column, _ = asked[0].strip("/").removesuffix(".png").split("/")
    assert abs(int(column) / 2 ** int(zoom) * 360 - 180 - 121.505) < 1
