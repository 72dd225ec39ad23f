"""The data app in a real browser: every page, and as people use it.

One file: its tests share the app, the browser, and the scripts compiled in it.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from visits import CHROMIUM, TIMEOUT, Visit, follow, violations

from bikecollect.app.charts import city_scripts, heatmaps, small_weeks
from bikecollect.core.text import percent
from bikecollect.setup import settings_file
from bikecollect.simulator.demo import YOUBIKE

api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
LOADED = ("/", "/collection", "/station", "/city")
"""The pages that are loaded."""
VIEWS = (
    *("/station?range=7+days", "/station?range=All", "/city?view=Day"),
    *("/city?view=Areas", "/city?view=Compare", "/city?view=Rankings"),
    *("/station?view=Typical+week", "/station?view=Empty+or+full"),
)
"""Views of these pages, to which a visitor goes in the open app."""
FOLLOW = """el => {
  const output = el.querySelector('output'), shown = [];
  el.followed = new Promise((done) => {
    const look = () => shown.push(output.textContent) < 3 || done([...shown]);
    new MutationObserver(look).observe(output, { childList: true });
    setTimeout(() => done(shown), 120000);
  });
}"""
"""Notes which slots the film shows: each for a tenth of a second, too short to poll."""
DAYS_SHOWN = """() => {
  const dates = document.querySelectorAll('[data-testid=stDateInput] input');
  const ranges = document.querySelectorAll('input[aria-label=Range]');
  return [...ranges, ...[...dates].slice(0, 1)].map((input) => input.value);
}"""
TEMPORARY = "bikecollect-"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the app is looked at with Chromium"),
    pytest.mark.filterwarnings("ignore"),
]


SHARES = [0, 0.0002, 0.25, 0.99996, 1]
AREAS = """(values) => {{
  {script}
  const scale = {{ low: 0, high: 1, title: '', is_share: true }};
  const figure = figureOf({{ name: 'East', values }}, scale);
  document.body.append(figure);
  const svg = figure.querySelector('svg');
  const {{ left, width }} = svg.getBoundingClientRect();
  const texts = values.map((_, hour) => {{
    const clientX = left + ((hour + 0.5) * width) / HOURS;
    svg.dispatchEvent(new PointerEvent('pointermove', {{ clientX }}));
    return figure.querySelector('span').textContent;
  }});
  figure.remove();
  return texts;
}}"""
"""What the chart of an area says where the pointer is, hour by hour."""
STRIP = """(sums) => {{
  {script}
  const root = document.createElement('div');
  root.innerHTML = '<div class="figures"></div>';
  CityMap.prototype.figures.call({{ sums: () => sums, data: {{}}, root }});
  return [...root.querySelectorAll('small')].map((small) => small.textContent);
}}"""
"""The small print of the figures above a map."""
VEGA = """const isValid = (value) => value != null && !Number.isNaN(value);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);"""
"""The functions of Vega that an expression of ours uses."""


@pytest.fixture
def visit(tab: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Yield a visit, see `Visit.end`."""
    visit = Visit(tab, address)
    yield visit
    visit.end(request.node.name)


def test_no_share_is_rounded_to_all_or_nothing(tab: Any) -> None:
    """Only a full share is 100 %, as in texts: in areas, on the map, in tooltips."""
    areas = AREAS.format(
        script=small_weeks.script().replace("export default", "const mount =")
    )
    strip = STRIP.format(script=city_scripts.scripts())
    sums = {"seen": 3000, "empty": 2999, "full": 1, "docks": 9, "all": 3000, "bikes": 1}
    value = heatmaps.SHARE.format("share")
    tip = f"(shares) => {{ {VEGA} return shares.map((share) => {value}); }}"

    said, shares = tab.evaluate(areas, SHARES), tab.evaluate(strip, sums)
    tips = tab.evaluate(tip, [*SHARES, None])

    assert said == [f"Mon {h:02}:00  {percent(s)}" for h, s in enumerate(SHARES)]
    assert shares == ["", "99.9 %", "<0.1 %", ""]
    assert tips == [0, 0.001, 0.25, 0.999, 1, None]


NOTED_LATE = """async (source) => {
  const script = new Blob([source], { type: 'text/javascript' });
  const { default: note } = await import(URL.createObjectURL(script));
  const before = location.href;
  const pages = ['now', 'city'];
  note({ data: { key: 'system', before: '', value: 'harbour', page: 'city', pages } });
  history.replaceState(history.state, '', '/city');
  await new Promise((done, fail) => {
    const look = () => (location.search ? done() : setTimeout(look, 20));
    look();
    setTimeout(() => fail(new Error('not noted')), 60000);
  });
  const noted = location.href;
  history.replaceState(history.state, '', before);
  return noted;
}"""
"""The address after the path of a page came later than the page."""


def test_the_first_of_a_ranking_are_numbered_on_a_map(visit: Visit) -> None:
    """Beside the table; the basis of the least seen station is stated."""
    visit.go("/city?view=Rankings&order=Most+often+without+a+dock")

    drawn = visit.page.get_by_role(
        "img", name=re.compile(r"Map of the first \d+ stations")
    )
    drawn.wait_for()
    count = re.findall(r"\d+", drawn.get_attribute("aria-label"))
    assert count == [str(drawn.locator("circle").count())]
    visit.sees(r"ranked, each seen in at least \d+ slots")


def test_axe_finds_nothing_with_a_card(visit: Visit) -> None:
    """A station's card has a heading of the level below the page's."""
    visit.go("/")
    visit.page.locator(".city[data-drawn]").first.wait_for()
    visit.map().locator("canvas.map").focus()
    visit.page.keyboard.press("Tab")
    visit.map().locator(".card").get_by_role("heading", level=2).wait_for()

    assert violations(visit.page) == []


def test_a_station_has_its_next_hours_with_their_basis(visit: Visit) -> None:
    """And a link to it on the live map, in the same tab. The focus is outlined."""
    visit.go("/station?station=990000012")

    visit.sees("usual bikes")
    visit.sees("From the same hours of the week")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outline"
    assert "solid 2px" in visit.page.evaluate(outline)
    follow(visit.page, "On the live map", "**picked=990000012*")


def test_a_page_notes_its_system_as_soon_as_the_browser_has_its_path(
    visit: Visit,
) -> None:
    """Streamlit draws the page before that."""
    charts = resources.files("bikecollect.app.charts")
    source = charts.joinpath("address.js").read_text("utf-8")
    visit.go("/")

    assert visit.page.evaluate(NOTED_LATE, source).endswith("/city?system=harbour")


def test_a_search_narrows_map_and_table_and_is_in_the_address(visit: Visit) -> None:
    """One station is left, on the map too, and after Back from another page."""
    visit.go("/")

    visit.page.get_by_label("Search by name or id").fill("990000010")
    visit.page.keyboard.press("Enter")

    visit.sees(r"1 of \d+ stations shown")
    visit.page.wait_for_url("**search=990000010*")
    shown = "el => el.map.stations.filter((s) => s.shown).map((s) => s.id)"
    assert visit.map().evaluate(shown) == ["990000010"]

    follow(visit.page, "Station", "**/station?station=*")
    visit.page.go_back()
    visit.sees(r"1 of \d+ stations shown")
    assert "search=990000010" in visit.page.url


PLACE_OF = """(el, id) => {
  const station = el.map.stations.find((s) => s.id === id);
  return el.map.point(station.at);
}"""


def has_title(visit: Visit, start: str) -> None:
    """Wait for the browser's tab to have a title that begins with *start*."""
    title = re.compile(re.escape(start))
    api.expect(visit.page).to_have_title(title, timeout=TIMEOUT)


def test_a_station_is_picked_on_the_map_and_opened_in_the_same_tab(
    visit: Visit,
) -> None:
    """A click shows its card; its page opens here, knows it, and is in the title.

    Leaving it and coming back, and the browser's Back, lead to it again.
    """
    visit.open("/?search=990000010")
    visit.sees("1 of")
    x, y = visit.map().evaluate(PLACE_OF, "990000010")

    visit.map().locator("canvas.map").click(position={"x": x, "y": y})
    visit.page.wait_for_url("**picked=990000010*")
    card = visit.map().locator(".card")
    card.get_by_role("heading").wait_for()
    called = card.get_by_role("heading").inner_text()
    assert called.startswith("No. ")  # as the browser, in English
    tabs = len(visit.page.context.pages)
    card.get_by_role("button", name="Open this station").click()

    visit.page.wait_for_url("**/station?station=990000010")
    has_title(visit, called)
    assert len(visit.page.context.pages) == tabs
    follow(visit.page, "City", "**/city*")
    has_title(visit, "City")
    follow(visit.page, "Station", "**/station?station=990000010")
    visit.page.get_by_role("radio", name="Empty or full").click()
    visit.page.wait_for_url("**view=Empty+or+full*")
    visit.page.go_back()
    visit.sees("Availability")
    visit.settled()
    past = visit.page.get_by_role("radio", name="Past")
    api.expect(past).to_be_checked(timeout=TIMEOUT)


def test_a_click_beside_the_stations_lists_the_nearest(visit: Visit) -> None:
    """The point is in the address, and the nearest have their distance in metres."""
    visit.open("/?search=990000010")
    visit.sees("1 of")

    visit.map().locator("canvas.map").click(position={"x": 300, "y": 20})

    visit.page.wait_for_url("**near=*")
    visit.sees("The 1 nearest of the stations shown")


def test_the_curve_is_the_slider(visit: Visit) -> None:
    """It opens at the newest slot, responds to keys, and its slot is in the address."""
    visit.go("/city?view=Day")
    curve = visit.map().get_by_role("slider", name="Time")
    visit.sees("stations seen")
    assert visit.map().locator("output").inner_text() == "12:00"

    curve.press("Home")
    curve.press("ArrowRight")
    curve.press("ArrowRight")

    visit.sees(r"\d+ empty and \d+ full of \d+ stations seen")
    visit.page.wait_for_url("**at=00%3A20*")
    assert "00:20: " in curve.get_attribute("aria-valuetext")


def test_the_film_plays_and_stops(visit: Visit) -> None:
    """Play advances slot by slot; the second click stops it."""
    visit.open("/city?view=Day&at=00:00")
    visit.sees("stations seen")
    film = visit.map()
    film.evaluate(FOLLOW)

    visit.page.get_by_label("Play", exact=True).click()
    shown = film.evaluate("el => el.followed")
    visit.page.get_by_label("Pause").click()

    assert shown == ["00:10", "00:20", "00:30"]
    visit.page.get_by_label("Play", exact=True).wait_for()
    stopped = film.locator("output").inner_text().replace(":", "%3A")
    visit.page.wait_for_url(f"**at={stopped}*")


STILL = """el => new Promise((done) => {
  let before = '', frames = 0;
  const look = () => {
    const now = JSON.stringify([el.map.view, el.clientWidth, el.clientHeight]);
    frames = now === before ? frames + 1 : 0;
    before = now;
    frames < 10 ? requestAnimationFrame(look) : done();
  };
  look();
})"""
"""Waits until the map's own place and size no longer change."""
VIEW = "el => [el.map.view.x, el.map.view.y, el.map.view.scale]"


def test_keys_move_the_map_and_a_filter_keeps_the_view(visit: Visit) -> None:
    """Arrows, plus, Tab from station to station; a search leaves zoom and place."""
    visit.go("/")
    canvas = visit.map().locator("canvas.map")
    visit.page.locator(".city[data-drawn]").first.wait_for()
    x, _, scale = visit.map().evaluate(VIEW)

    canvas.focus()
    for key in ("ArrowRight", "+", "Tab"):
        visit.page.keyboard.press(key)
    moved = visit.map().evaluate(VIEW)
    spoken = visit.map().locator(".spoken").inner_text()
    visit.page.get_by_label("Search by name or id").fill("990000010")
    visit.page.keyboard.press("Enter")
    visit.sees(r"1 of \d+ stations shown")

    assert moved[0] > x
    assert moved[2] > scale
    assert re.search(r": \d+ bikes?, \d+ free docks? of \d+", spoken)
    assert visit.map().evaluate(VIEW) == moved


def test_one_finger_on_the_map_scrolls_the_page(visit: Visit) -> None:
    """On a phone the map is on the first screen, and the page scrolls over it.

    A chosen station is above its card, and the legend is not half below it.
    """
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.open("/")
    visit.page.locator(".city[data-drawn]").first.wait_for()
    visit.map().locator(".curve").wait_for()
    visit.map().evaluate(STILL)
    box = visit.map().locator("canvas.map").bounding_box()
    before = visit.map().evaluate(VIEW)

    swipe_up(visit.page, 190, box["y"] + box["height"] - 20)

    assert box["y"] + box["height"] <= 844
    visit.page.wait_for_function(
        "() => document.querySelector('[data-testid=stMain]').scrollTop > 100"
    )
    assert visit.map().evaluate(VIEW) == before
    visit.map().locator("canvas.map").press("Tab")
    assert visit.map().evaluate(ABOVE_CARD) > 0
    api.expect(visit.map().locator(".key")).to_be_hidden()


ABOVE_CARD = """el => {
  const { card } = el.map, [, y] = el.map.point(card.station.at);
  return card.box.offsetTop - y;
}"""


def swipe_up(page: Any, x: float, y: float) -> None:
    """Move a finger 240 pixels up on the touch screen of *page*, from *x* and *y*."""
    touch = page.context.new_cdp_session(page)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for moved in range(0, 260, 20):
        kind = "touchMove" if moved else "touchStart"
        points = [{"x": x, "y": y - moved}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    touch.detach()


def test_a_bookmarked_address_shows_the_same_view(visit: Visit) -> None:
    """Station, range, view and measure come from the address."""
    visit.open("/station?station=990000012&range=7+days&view=Typical+week&of=docks")

    box = visit.page.locator("[data-testid=stSelectbox]")
    shown = [box.nth(n).locator("input").input_value() for n in range(2)]
    shown += box.all_inner_texts()
    assert any("(990000012)" in text for text in shown)
    assert any("7 days" in text for text in shown)
    visit.sees("A day compared with the typical one")
    visit.sees("The range has no other")
    assert "station=990000012" in visit.page.url


def test_a_view_that_is_chosen_is_in_the_address(visit: Visit) -> None:
    """A click on another view; the address leads to it again."""
    visit.go("/station?station=990000012")

    visit.page.get_by_role("radio", name="Empty or full").click()
    visit.sees("Nearby stations while this one is empty or full")

    visit.page.wait_for_url("**view=Empty+or+full*")
    again = visit.page.url.removeprefix(visit.address)
    visit.open(again).sees("Nearby stations while this one is empty or full")


def test_what_is_chosen_survives_back(visit: Visit) -> None:
    """From a page with the same choices, which has the default ones."""
    view = "view=Typical+week&chance=a+dock"
    visit.open(f"/station?station=990000012&range=All&range_last=2000-01-01&{view}")
    wait_for_days(visit, lambda days: days[0] == "All")
    chosen = visit.page.evaluate(DAYS_SHOWN)

    follow(visit.page, "Collection", "**/collection*")
    visit.sees("Gaps and their causes")
    wait_for_days(visit, lambda days: days[0] == "28 days" and days[1] != chosen[1])
    visit.page.go_back()

    wait_for_days(visit, lambda days: days == chosen)
    assert "range=All&range_last=2000-01-01" in visit.page.url
    dock = visit.page.get_by_role("radio", name="a dock")
    api.expect(dock).to_be_checked(timeout=TIMEOUT)


def wait_for_days(visit: Visit, expected: Callable[[list[str]], bool]) -> None:
    """Wait until the range and the last day on the page are *expected*.

    A page that is drawn has what it replaces beside it for a moment.
    """
    end = time.monotonic() + TIMEOUT / 1000
    days: list[str] = []
    while len(days) != 2 or not expected(days):
        assert time.monotonic() < end, days
        visit.page.wait_for_timeout(50)
        days = visit.page.evaluate(DAYS_SHOWN)


def test_a_range_that_is_chosen_is_in_the_address(visit: Visit) -> None:
    """It can be shared as a link, and taken back."""
    visit.go("/station?station=990000012")
    wait_for_days(visit, lambda days: days[0] == "28 days")
    visit.page.locator("[data-testid=stSelectbox] input").nth(1).fill("7 days")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**range=7+days*")
    wait_for_days(visit, lambda days: days[0] == "7 days")

    visit.page.go_back()

    wait_for_days(visit, lambda days: days[0] == "28 days")
    assert "range" not in visit.page.url


def test_the_changes_of_a_station_are_drawn(visit: Visit) -> None:
    """The demo's first station was moved: a chart, and a table."""
    visit.go("/station?station=990000001")

    visit.sees("All changes in the station list since")
    visit.page.locator("[data-testid=stVegaLiteChart]").nth(1).wait_for()
    visit.page.locator("[data-testid=stDataFrame]").first.wait_for()


def test_a_visitor_elsewhere_sees_the_systems_own_clock(visit: Visit) -> None:
    """The same picture in Taipei and in New York, to the pixel."""
    pictures = []
    with time_zone_of(visit.page) as choose:
        for zone in ("Asia/Taipei", "America/New_York"):
            choose(zone)
            visit.open("/station?station=990000012&range=7+days").sees("Grey: no data")
            assert visit.page.evaluate(ZONE_OF_BROWSER) == zone
            chart = visit.page.locator("[data-testid=stVegaLiteChart]").first
            chart.locator("canvas, svg").first.wait_for()
            pictures.append(_still(chart))
    assert pictures[0] == pictures[1]


ZONE_OF_BROWSER = "Intl.DateTimeFormat().resolvedOptions().timeZone"


@contextmanager
def time_zone_of(page: Any) -> Iterator[Callable[[str], None]]:
    """Yield what sets the time zone of *page*'s visitor, until the end."""
    session = page.context.new_cdp_session(page)

    def choose(zone: str) -> None:
        session.send("Emulation.setTimezoneOverride", {"timezoneId": zone})

    try:
        yield choose
    finally:
        choose("")
        session.detach()


def _still(chart: Any) -> bytes:
    """Return a picture of *chart*, when it has faded in: two alike."""
    before, now = b"", chart.screenshot(animations="disabled")
    while now != before:
        before, now = now, chart.screenshot(animations="disabled")
    return bytes(now)


def test_a_picked_station_is_in_the_address(visit: Visit) -> None:
    """What is chosen from the list can be shared as a link."""
    visit.go("/station")
    visit.page.locator("[data-testid=stSelectbox] input").first.fill("990000020")
    visit.page.keyboard.press("Enter")

    visit.page.wait_for_url("**station=990000020*")


def test_an_unknown_station_is_reported(visit: Visit) -> None:
    """An old bookmark gets a message, not an error."""
    visit.go("/station?station=nowhere")

    visit.sees('No station has the id "nowhere"')


def test_light_and_dark_follow_the_browser(visit: Visit) -> None:
    """The backgrounds of page and map match."""
    grounds = []
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        visit.open("/")
        ground = "el => getComputedStyle(el).backgroundColor"
        grounds.append(visit.map().locator(".frame").evaluate(ground))
        visit.shot(f"now {scheme}")
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in grounds)
    assert light > 600
    assert dark < 200


def test_a_figures_data_can_be_downloaded(visit: Visit) -> None:
    """CSV with the columns of the figure, including its basis."""
    visit.go("/station?station=990000012")
    visit.sees("Basis")

    with visit.page.expect_download() as started:
        visit.page.get_by_role("button", name="Data: history").first.click()
    text = Path(started.value.path()).read_text(encoding="utf-8")

    assert started.value.suggested_filename == "990000012-history.csv"
    assert text.splitlines()[0].startswith("system_id,station_id,")
    assert "state" in text.splitlines()[0].split(",")


@pytest.fixture(scope="module")
def files(data: Path) -> dict[Path, bytes]:
    """Return all files of *data* before the app was used."""
    return contents(data)


def contents(data: Path) -> dict[Path, bytes]:
    """Return all files of *data*, without SQLite's shared memory and what is temporary.

    `app_serving` puts what is temporary there too, and sees that it is removed.
    """
    return {
        path: path.read_bytes()
        for path in data.rglob("*")
        if path.is_file()
        and not path.name.endswith(("-shm", "-wal"))
        and not any(part.startswith(TEMPORARY) for part in path.parts)
    }


@pytest.fixture(scope="module")
def address(files: dict[Path, bytes], address: str) -> str:
    """Return the app's address; its *files* were read before the app started."""
    assert files
    return address


@pytest.fixture(scope="module", params=[*LOADED, *VIEWS])
def opened(tab: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Yield each of the pages and views, opened once for all claims about it."""
    visit = Visit(tab, address)
    path = request.param
    yield visit.go(path) if path in VIEWS else visit.open(path)
    visit.end(f"page {request.param}")


def test_every_page_opens_without_error_or_foreign_request(opened: Visit) -> None:
    """No exception, no error in the console, no request but to our server."""
    opened.sees("Newest data")

    assert opened.page.locator("[data-testid=stAlertContentError]").count() == 0
    drawn = opened.page.locator(
        "canvas, svg.marks, .plot svg, [data-testid=stDataFrame]"
    )
    nothing = opened.page.get_by_text(
        re.compile("Never for half an hour or more|No hour of the week was seen")
    )
    drawn.or_(nothing).first.wait_for()
    opened.nothing_is_wrong()


CHANGED_TEXTS = """() => {
  const { color } = getComputedStyle(document.querySelector('[data-testid=stApp]'));
  return [...document.querySelectorAll('svg.marks text')]
    .map((text) => [getComputedStyle(text), text.getAttribute('opacity') ?? '1'])
    .map(([style, opacity]) => [style.fill === color, style.opacity === opacity])
    .filter((isAsDrawn) => isAsDrawn.includes(false));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Visit, scheme: str) -> None:
    """No violation of accessibility on any page, in light and in dark.

    The texts of charts, which axe does not examine, have the colour of the page's;
    those that would overlap stay hidden.
    """
    opened.page.emulate_media(color_scheme=scheme)
    opened.settled().sees("Newest data")

    assert violations(opened.page) == []
    assert opened.page.evaluate(CHANGED_TEXTS) == []


def test_a_page_ends_with_the_source_and_the_licence(opened: Visit) -> None:
    """The simulated YouBike feed states none: the page says so."""
    source = opened.page.locator("p.source")

    api.expect(source).to_contain_text("Data: 127.0.0.1.")
    api.expect(source).to_contain_text("The licence of the data is unknown")


def test_the_app_wrote_nothing_to_the_data(
    opened: Visit, data: Path, files: dict[Path, bytes]
) -> None:
    """Every file is unchanged; only SQLite's shared memory is beside the ledger."""
    opened.sees("Newest data")

    assert contents(data) == files


def test_a_phone_needs_no_scrolling_aside(opened: Visit) -> None:
    """At 390 pixels nothing is wider than the screen."""
    opened.page.set_viewport_size({"width": 390, "height": 800})
    opened.settled().sees("Newest data")
    opened.show_all()
    opened.shot(f"phone {opened.page.url.removeprefix(opened.address)}")

    assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_the_next_hours_of_a_station_fit_a_phone(visit: Visit) -> None:
    """Also with the longest weekday: what is wider than a page is cut, not scrolled."""
    visit.page.set_viewport_size({"width": 375, "height": 800})
    visit.go("/station?station=990000012")
    cell = visit.page.locator("table td:last-child").first
    cell.evaluate("cell => {cell.textContent = '4\u00a0Wednesdays'}")
    table = visit.page.locator("table").first

    right = table.evaluate("table => table.getBoundingClientRect().right")

    assert right <= 375


def test_a_port_in_use_is_reported(data: Path) -> None:
    """No traceback, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = bikecollect(
            "--config", data / settings_file.FILE, "app", "--port", port
        )

    assert process.returncode == 64
    assert f"port {port}" in process.stderr
    assert "--port" in process.stderr


def test_an_unknown_system_is_an_error(data: Path) -> None:
    """Before anything is served."""
    process = bikecollect(
        "--config", data / settings_file.FILE, "app", "--system", "nowhere"
    )

    assert process.returncode
    assert "nowhere" in process.stderr
    assert YOUBIKE in process.stderr


def test_missing_streamlit_is_reported(data: Path, tmp_path: Path) -> None:
    """The error names the extra to install."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['streamlit'] = None\n"
    )

    process = bikecollect(
        "--config",
        data / settings_file.FILE,
        "app",
        PYTHONPATH=f"{tmp_path}:{Path.cwd()}",
    )

    assert "the data app requires Streamlit" in process.stderr
    assert "[app]" in process.stderr
    assert "Traceback" not in process.stderr
