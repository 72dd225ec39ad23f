"""Hostile names, and links made by others, in a real browser."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from appserver import app_serving
from visits import CHROMIUM, IDLE, REVISIT, browsing, new_context
from world import World

pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the app is looked at with Chromium"),
    pytest.mark.filterwarnings("ignore"),
]
INLINE = (
    "![x](http://evil.example/x.png)",
    "[click](http://evil.example)",
    "<img src=http://evil.example/y.png onerror=alert(1)>",
    "<a href=http://evil.example>link</a><script>alert(1)</script>",
    "HTTPS://evil.example/p",
    "WWW.evil.example",
    "a@evil.example",
    ":red[x] :material/warning: :smile: :+1: :blue-background[y]",
    "$x$ **bold** `code` _u_ ~~s~~ &lt;b&gt; &amp; \\",
)
TEXTS = (
    " ".join(INLINE),
    "# a head",
    "- a list | of | cells",
    "1. one",
    "> quoted",
    "[x]: http://evil.example",
    "a\\",
)
LINKS = (*INLINE[:3], "HTTPS://evil.example WWW.evil.example a@evil.example")
CAPTION = "[data-testid=stCaptionContainer]"
ACTING = f"""el => [...el.querySelectorAll(`a[href], img, script, iframe, .katex,
  h4, [data-testid=stAlert] strong, {CAPTION} :is(strong, code, em, del, ul, table, h1,
  h2, span), [data-testid=stMarkdownContainer] :is(code, em, del)`)]
  .map((e) => e.href || e.src || e.outerHTML)"""
"""What of a page does something, or is not drawn as it was written."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of an app whose stations, names and areas are `TEXTS`."""
    folder = tmp_path_factory.mktemp("hostile")
    world = World(folder / "data/city")
    world.clock.now = time.time() // 300 * 300 - 3_000
    places = {t: [25 + n / 100, 121.5 + n % 3 / 100, t] for n, t in enumerate(TEXTS)}
    for bikes in (1, 2, 3):
        stations = dict.fromkeys(TEXTS, bikes)
        world.fetch(stations, after=300, places=places, names={t: t for t in TEXTS})
    config = folder / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    config.chmod(0o600)
    with app_serving(config) as base:
        yield base


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """Yield a page of a browser; it may request nothing foreign and open no dialog."""
    with browsing() as chromium:
        context = new_context(chromium, viewport={"width": 1200, "height": 1400})
        page = context.new_page()
        wrong: list[str] = []

        def note(request: Any) -> None:
            if not request.url.startswith((address, "data:", "blob:")):
                wrong.append(request.url)

        def refuse(dialog: Any) -> None:
            wrong.append(dialog.message)
            dialog.dismiss()

        page.on("request", note)
        page.on("dialog", refuse)
        page.goto(address)
        page.wait_for_selector(IDLE, state="attached")
        yield page
        context.close()
    assert wrong == []


def opened(page: Any, address: str) -> Any:
    """Go to *address* in the open app; return the page's own part once it is drawn.

    The app draws it anew, but does not load its scripts again, which takes longest.
    """
    page.evaluate(REVISIT, address)
    page.wait_for_selector("h1")
    page.wait_for_selector(IDLE, state="attached")
    return page.locator("[data-testid=stMainBlockContainer]")


def acting(main: Any, address: str) -> list[str]:
    """Return the active elements of *main*, except links to our own pages."""
    return [
        element
        for element in main.evaluate(ACTING)
        if not element.startswith((f"{address}/", "<code>bikecollect"))
        and not element.endswith("ago</strong>")  # how old the newest data are
    ]


def joined(text: str) -> str:
    """Return a pattern for *text*, in which invisible joiners may disable links."""
    return "\u2060?".join(map(re.escape, text))


@pytest.mark.parametrize("text", TEXTS)
def test_a_name_is_shown_as_text(page: Any, address: str, text: str) -> None:
    """On its page and on the map's: no image, no link, no markup."""
    main = opened(page, f"{address}/station?station={quote(text)}")
    assert acting(main, address) == []
    main.get_by_text("25.").first.wait_for()
    main.locator(CAPTION).filter(has_text=re.compile(joined(text))).first.wait_for()

    main = opened(page, f"{address}/?picked={quote(text)}")
    assert acting(main, address) == []
    card = main.locator(".city .card")
    card.wait_for()
    assert card.locator("h2").text_content() == text
    assert card.locator("h2 *, p *").count() == 0


@pytest.mark.parametrize("text", LINKS)
def test_text_of_a_foreign_link_is_quoted_and_short(
    page: Any, address: str, text: str
) -> None:
    """Its parameters are shown as text, and cut."""
    station = f"{text} is what others wrote, and it goes on and on and on"

    main = opened(page, f"{address}/station?station={quote(station)}")

    notice = f'No station has the id "{station[:40]}..."; showing another.'
    main.get_by_text(re.compile(f"^{joined(notice)}$")).wait_for()
    assert acting(main, address) == []


def test_the_map_shows_a_name_as_text(page: Any, address: str) -> None:
    """Also under the pointer; no part of it becomes an element."""
    main = opened(page, address)
    city = main.locator(".city").first
    city.locator("canvas").first.wait_for()
    box = city.locator("canvas").first.bounding_box()
    tips = []
    for number in range(len(TEXTS)):
        x, y = city.evaluate(f"el => el.map.point(el.map.stations[{number}].at)")
        page.mouse.move(box["x"] + x, box["y"] + y)
        tips.append(city.locator(".tip").text_content().partition("\n")[0])
        assert city.locator(".tip *").count() == 0

    assert sorted(tips) == sorted(TEXTS)


def test_the_title_of_an_areas_chart_shows_a_name_as_text(
    page: Any, address: str
) -> None:
    """Each chosen area has a chart with its name above it."""
    main = opened(page, f"{address}/city?view=Areas&areas={quote(TEXTS[0])}")
    main.get_by_role("heading", name="Areas").first.wait_for()

    main.locator("figcaption b").first.wait_for()
    assert TEXTS[0] in main.locator("figcaption b").all_inner_texts()
    assert acting(main, address) == []
    # An hour by itself is drawn.
    assert "H" in (main.locator("path.line").first.get_attribute("d") or "")


def test_the_csv_of_a_figure_has_no_formula(page: Any, address: str) -> None:
    """It may be opened in a spreadsheet."""
    main = opened(page, address)

    with page.expect_download() as download:
        main.get_by_role("button", name="Data").first.click()

    rows = download.value.path().read_text("utf-8").splitlines()
    assert rows[0].startswith("name,vehicles,docks,")
    cells = json.dumps(rows)
    assert "'- a list" in cells
    assert '"- a list' not in cells
