"""The live page while a collector works, and hostile names, in a real browser.

One file: its tests share the app, which has four systems and tiles, and the browser.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from appserver import app_serving
from hostile_names import (
    CAPTION,
    LINKS,
    TEXTS,
    acting,
    collect_hostile_names,
    joined,
)
from served import Answer, serving
from tiles import green
from visits import CHROMIUM, TIMEOUT, Visit, follow, new_context
from waiting import wait_until
from world import World

api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
WEEK = 7 * 86_400
HAS_TILES = """canvas => {
  try { canvas.getContext('2d').getImageData(0, 0, 1, 1); } catch { return true; }
  return false;
}"""
"""Whether an image of another host was drawn: the canvas can no longer be read."""
LOOKS = "el => el.map.stations.map((s) => [s.id, s.usual, el.map.shape(s).value])"
PLACES = {"a": [25.0, 121.5, "East"], "b": [25.01, 121.5, "West"]}
FIJI = {"a": [-16.8, 179.999, "East"], "b": [-16.8, -179.999, "West"]}
APART = """el => [...el.map.stations.map((s) => s.at), el.map.mark]
  .map((at) => Math.round(at[0] - el.map.mark[0]))"""
"""How many metres the stations are to the east of the chosen point, and itself."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the app is looked at with Chromium"),
    pytest.mark.filterwarnings("ignore"),
]


SYSTEMS = ("harbour", "valley", "pier", "names")


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Return the paths of the tiles that the browser has asked for."""
    return []


@pytest.fixture(scope="module")
def tiles(asked: list[str]) -> Iterator[str]:
    """Yield the address of another host, which has tiles."""

    def tile(path: str) -> Answer:
        asked.append(path)
        return Answer(green(), headers={"Content-Type": "image/png"})

    with serving(tile) as url:
        yield f"{url}/{{z}}/{{x}}/{{y}}.png"


@pytest.fixture(scope="module")
def app(
    tiles: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, str]]:
    """Serve four systems; yield the pier, which may collect, and the app's address.

    The newest slot of the harbour has just begun, and it has slots of weeks ago. The
    stations, names and areas of the last system are hostile.
    """
    folder = tmp_path_factory.mktemp("live")
    harbour, valley, pier, names = (World(folder / f"data/{name}") for name in SYSTEMS)
    now = time.time() // 300 * 300
    for age, bikes in (
        (2 * WEEK, {"a": 7, "b": 0}),
        (WEEK, {"a": 9}),
        (0, {"a": 3, "b": 0}),
    ):
        for earlier in (600, 300):
            harbour.clock.now = now - age - earlier
            harbour.fetch(bikes, places=PLACES)
    valley.clock.now = pier.clock.now = harbour.clock.now
    place, docks = {"x": [48.2, 16.4, "Valley"]}, dict.fromkeys("xyz")
    bikes = {"x": 9, "y": 4, "z": 0}
    valley.fetch(bikes, places=place, closed=["z"], docks=docks)
    pier.fetch({"a": 3, "b": 0}, places=FIJI)
    names.clock.now = now - 3_000
    collect_hostile_names(names)
    config = folder / "bikecollect.toml"
    systems = "".join(
        f'[systems.{name}]\nfeed = "youbike"\nurl = "http://127.0.0.1:9/"\n'
        'timezone = "Asia/Taipei"\n'
        for name in SYSTEMS
    )
    config.write_text(
        f'data_dir = "data"\n{systems}'
        f'[app]\ntiles = "{tiles}"\nattribution = "(c) Mapmakers"\n',
        encoding="utf-8",
    )
    config.chmod(0o600)
    with app_serving(config) as address:
        yield pier, address


@pytest.fixture(scope="module")
def tab(browser: Any, app: tuple[World, str]) -> Iterator[Any]:
    """Yield the tab of all tests; its base is the app."""
    context = new_context(browser, base_url=app[1])
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab: Any) -> Iterator[Any]:
    """Yield a tab that remembers nothing of the tests before."""
    yield tab
    tab.evaluate("sessionStorage.clear()")


@pytest.fixture
def visit(page: Any, app: tuple[World, str], tiles: str) -> Iterator[Visit]:
    """Yield a visit; it may request nothing foreign but tiles."""
    visit = Visit(page, app[1], also=tiles.partition("{")[0])
    yield visit
    visit.end("live page")


def shows(page: Any, text: str) -> None:
    """Wait for the figures above the map to contain *text*."""
    figures = page.locator(".city .figures").first
    api.expect(figures).to_contain_text(re.compile(text), timeout=TIMEOUT)


def test_the_tiles_of_the_view_are_drawn_and_their_source_is_named(
    page: Any, asked: list[str]
) -> None:
    """The tile of the city is asked for: 25 degrees north, 121.5 east.

    It is the first test: of another one's city the browser would keep the tiles.
    """
    page.goto("/")

    page.get_by_text("(c) Mapmakers").wait_for()
    canvas = page.locator(".city canvas.map").first
    wait_until(lambda: canvas.evaluate(HAS_TILES), "tiles are drawn")
    zoom, column, _ = asked[0].strip("/").removesuffix(".png").split("/")
    assert abs(int(column) / 2 ** int(zoom) * 360 - 180 - 121.5) < 1


def test_the_newest_slot_has_its_own_counts_again_after_the_film(visit: Visit) -> None:
    """The slider was moved to the first slot, which is missing: it has no zeros."""
    page = visit.open("/?system=harbour").page
    shows(page, "3 ?bikes at stations")
    curve = page.locator(".city .curve").first
    curve.press("Home")
    shows(page, "- ?bikes at stations *- ?without a bike *- ?without.*0 / 2 ?stations")

    curve.press("End")

    shows(page, "3 ?bikes at stations.*2 / 2 ?stations seen")


def test_stations_without_a_position_count_in_the_figures(visit: Visit) -> None:
    """A mapped feed may have none; they are not on the map.

    The one that is closed has no bike, and is not among the empty ones. No station has
    known docks: none is said to be full or not.
    """
    page = visit.go("/?system=valley").page

    shows(
        page, "13 ?bikes at stations *0 ?without a bike.*unknown *3 / 3 ?stations seen"
    )
    said = page.locator(".city .said").first
    api.expect(said).to_have_text("0 empty of 3 stations seen")
    api.expect(page.locator(".city .peak").first).to_have_text("peak: 0 empty")
    api.expect(page.get_by_text("2 without a position are counted")).to_be_visible()
    assert len(page.locator(".city").first.evaluate(LOOKS)) == 1


def test_the_map_shows_stations_against_usual(visit: Visit) -> None:
    """Now minus the mean of two weeks; a station without two weeks is not coloured."""
    page = visit.open("/?system=harbour").page
    shows(page, "3 ?bikes at stations")
    city = page.locator(".city").first
    city.get_by_role("button", name="Against usual").click()

    key = city.locator(".key")

    api.expect(key).to_contain_text("Bikes more or fewer than usual")
    api.expect(key).to_contain_text(
        re.compile(r"Usual: mean of 2 earlier [A-Z]\w+days")
    )
    assert city.evaluate(LOOKS) == [["a", 8, -0.625], ["b", None, None]]
    city.get_by_role("slider", name="Time").press("Home")
    api.expect(key).to_contain_text("Usual number unknown: the hour from")


def test_a_bookmark_keeps_its_system_and_an_unknown_one_is_named(visit: Visit) -> None:
    """A click on another page keeps the system; an unknown name shows no city."""
    page = visit.go("/?system=valley").page
    shows(page, "13 ?bikes at stations")
    follow(page, "Collection", "**/collection?system=valley")
    follow(page, "Live", "**/?system=valley")
    shows(page, "13 ?bikes at stations")

    page.goto("/?system=nowhere")

    page.get_by_text('Unknown system "nowhere"').wait_for()
    assert page.locator(".city").count() == 0


def test_the_systems_page_has_a_row_each_and_opens_one(
    visit: Visit, app: tuple[World, str]
) -> None:
    """A list of a thousand is read by its order: trouble first.

    A system that is added to the settings appears at the next view.
    """
    page = visit.go("/systems").page

    page.get_by_text(re.compile("4 systems, [0-4] in trouble")).wait_for()
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    page.get_by_role("link", name="Systems").wait_for()
    assert page.title() == "Systems · bikecollect"

    config = app[0].folder.parents[1] / "bikecollect.toml"
    table = '\n[systems.quay]\nfeed = "gbfs"\nurl = "http://h/g"\ntimezone = "UTC"\n'
    config.write_text(config.read_text("utf-8") + table, encoding="utf-8")
    visit.go("/collection")
    visit.go("/systems")
    page.get_by_text(re.compile("5 systems, [0-5] in trouble")).wait_for()
    assert page.locator("p.source").count() == 0, "not the publisher of one of them"


@pytest.fixture
def names(visit: Visit) -> Iterator[Visit]:
    """Yield a visit in which no dialog may be opened."""
    dialogs: list[str] = []

    def refuse(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    visit.page.on("dialog", refuse)
    yield visit
    visit.page.remove_listener("dialog", refuse)
    assert dialogs == []


def at(names: Visit, path: str) -> Any:
    """Go to *path* of the hostile system; return the page's own part."""
    name = "&system=names" if "?" in path else "?system=names"
    page = names.go(path + name).page
    return page.locator("[data-testid=stMainBlockContainer]")


@pytest.mark.parametrize("text", TEXTS)
def test_a_name_is_shown_as_text(names: Visit, text: str) -> None:
    """On its page and on the map's: no image, no link, no markup."""
    main = at(names, f"/station?station={quote(text)}")
    assert acting(main, names.address) == []
    main.get_by_text("25.").first.wait_for()
    main.locator(CAPTION).filter(has_text=re.compile(joined(text))).first.wait_for()

    main = at(names, f"/?picked={quote(text)}")
    assert acting(main, names.address) == []
    card = main.locator(".city .card")
    card.wait_for()
    assert card.locator("h2").text_content() == text
    assert card.locator("h2 *, p *").count() == 0


@pytest.mark.parametrize("text", LINKS)
def test_text_of_a_foreign_link_is_quoted_and_short(names: Visit, text: str) -> None:
    """Its parameters are shown as text, and cut."""
    station = f"{text} is what others wrote, and it goes on and on and on"

    main = at(names, f"/station?station={quote(station)}")

    notice = f'No station has the id "{station[:40]}..."; showing another.'
    main.get_by_text(re.compile(f"^{joined(notice)}$")).wait_for()
    assert acting(main, names.address) == []


def test_the_map_shows_a_name_as_text(names: Visit) -> None:
    """Also under the pointer; no part of it becomes an element."""
    main = at(names, "/")
    city = main.locator(".city").first
    city.locator("canvas").first.wait_for()
    box = city.locator("canvas").first.bounding_box()
    tips = []
    for number in range(len(TEXTS)):
        x, y = city.evaluate(f"el => el.map.point(el.map.stations[{number}].at)")
        names.page.mouse.move(box["x"] + x, box["y"] + y)
        tips.append(city.locator(".tip").text_content().partition("\n")[0])
        assert city.locator(".tip *").count() == 0

    assert sorted(tips) == sorted(TEXTS)


def test_the_title_of_an_areas_chart_shows_a_name_as_text(names: Visit) -> None:
    """Each chosen area has a chart with its name above it."""
    main = at(names, f"/city?view=Areas&areas={quote(TEXTS[0])}")
    main.get_by_role("heading", name="Areas").first.wait_for()

    main.locator("figcaption b").first.wait_for()
    assert TEXTS[0] in main.locator("figcaption b").all_inner_texts()
    assert acting(main, names.address) == []
    # An hour by itself is drawn.
    assert "H" in (main.locator("path.line").first.get_attribute("d") or "")


def test_the_csv_of_a_figure_has_no_formula(names: Visit) -> None:
    """It may be opened in a spreadsheet."""
    main = at(names, "/")

    with names.page.expect_download() as download:
        main.get_by_role("button", name="Data").first.click()

    rows = download.value.path().read_text("utf-8").splitlines()
    assert rows[0].startswith("name,vehicles,docks,")
    cells = json.dumps(rows)
    assert "'- a list" in cells
    assert '"- a list' not in cells


def test_an_open_page_follows_the_collector(app: tuple[World, str], page: Any) -> None:
    """The age increases by itself; a new slot is drawn without a reload.

    A point and the stations on both sides of the 180th meridian are near each other.
    It is the last test: the tab's clock stays ahead.
    """
    world, _ = app
    page.clock.install()
    page.goto("/?system=pier&near=-16.8,-179.998")
    shows(page, "3 ?bikes at stations")
    assert page.locator(".city").first.evaluate(APART) == [-319, -106, 0]
    page.evaluate("window.untouched = true")
    age = page.locator(".age span")
    before = age.inner_text()
    page.clock.fast_forward("02:00:00")
    api.expect(age).not_to_have_text(before, timeout=TIMEOUT)
    page.clock.resume()

    world.clock.now += 300
    world.fetch({"a": 7, "b": 1}, places=FIJI)

    shows(page, "8 ?bikes at stations")
    assert page.evaluate("window.untouched")
