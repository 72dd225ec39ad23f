"""Static pages of a city: self-contained, and replaced in one step."""

import base64
import errno
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from in_process import bikecollect
from visits import CHROMIUM, new_context, violations
from world import World

from bikecollect.cli import cli
from bikecollect.cli.commands import share as share_command
from bikecollect.cli.sharing import folder as pages_folder
from bikecollect.cli.sharing import overview, week_chart
from bikecollect.cli.sharing import pages as pages_of
from bikecollect.core.errors import NotInstalled
from bikecollect.reports.coverage import COLOURS
from bikecollect.setup import settings_file
from bikecollect.simulator import demo_month
from bikecollect.simulator.demo import ZONE

pytest.importorskip("duckdb")
pytest.importorskip("numpy")
NOON = datetime(2026, 5, 20, 12, tzinfo=ZoneInfo(ZONE))
NEWEST, EVE = "2026-05-20", "2026-05-19"
PAGES = ("index.html", "week.html", "rankings.html", "coverage.html")
STATIONS = 30
PUBLISHER = (
    'publisher = {title = "Simport <Bikes>", name = "Port & Co", url = '
    '"https://port.example/", license = "CC-BY-4.0", license_url = '
    '"https://creativecommons.org/licenses/by/4.0/"}\n'
)
COVERED = """() => [...document.querySelectorAll('.modes button')].filter((button) =>
  button.getBoundingClientRect().right
    > document.querySelector('.zoom').getBoundingClientRect().left).length"""
"""How many buttons of the map are below those of its zoom."""
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="pages are opened by Chromium")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the settings of two days of a city, long past, the second until noon."""
    folder = tmp_path_factory.mktemp("share")
    demo_month.collect_days(
        folder, NOON.timestamp(), days=2, stations=STATIONS, seed=1, step=str
    )
    settings = folder / settings_file.FILE
    settings.write_text(settings.read_text("utf-8") + PUBLISHER, encoding="utf-8")
    return settings


def share(config: Path, *arguments: object) -> str:
    """Run ``share``; return what it prints."""
    process = bikecollect("--config", config, "share", *arguments)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


@pytest.fixture(scope="module")
def pages(config: Path) -> Path:
    """Return a folder with the pages of a week."""
    folder = config.parent / "public"
    assert share(config, "--week", "-o", folder).startswith(
        f"{folder / 'index.html'}: {len(PAGES) + 1} files, "
    )
    return folder


@pytest.fixture(scope="module")
def live_pages(config: Path) -> Path:
    """Return a folder with the pages of ``--live``, which a test may copy."""
    folder = config.parent / "live"
    assert share(config, "--live", "-o", folder) == ""
    return folder


def film_of(page: Path) -> dict[str, Any]:
    """Return the data of the map on *page*."""
    text = page.read_text("utf-8")
    match = re.search(r'<script type="application/json" id="film">(.*?)</script>', text)
    assert match is not None
    return unpacked(json.loads(match[1]))


def unpacked(film: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a map, its head unpacked."""
    head: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(film["head"])))
    return {**film, **head}


def test_the_pages_of_a_week_are_files_that_a_web_server_can_read(pages: Path) -> None:
    """A page for each day with data; another user than the owner can read it."""
    modes = {path.name: path.stat().st_mode & 0o777 for path in pages.iterdir()}

    assert modes == dict.fromkeys([*PAGES, f"{EVE}.html"], 0o644)
    assert pages.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", [*PAGES, f"{EVE}.html"])
def test_a_page_names_publisher_and_licence_and_no_other_host(
    pages: Path, name: str
) -> None:
    """Its only addresses are those of the publisher and the licence."""
    text = (pages / name).read_text("utf-8")

    assert "Simport &lt;Bikes&gt;" in text
    assert "Data: Port &amp; Co" in text
    assert 'rel="license">CC-BY-4.0</a>' in text
    linked = set(re.findall(r"""(?:href|src)=["']?(https?://[^"'> ]+)""", text))
    assert linked == {
        "https://port.example/",
        "https://creativecommons.org/licenses/by/4.0/",
    }


def test_the_film_has_every_station_and_every_slot_with_its_cause(pages: Path) -> None:
    """A missed slot is not drawn, and its cause is known."""
    film = film_of(pages / f"{EVE}.html")

    assert len(film["stations"]) == STATIONS
    assert len(film["labels"]) == 144
    assert {"collected", "asleep"} <= set(film["states"])
    assert "not-started" in film_of(pages / "index.html")["states"]


def test_coverage_lists_the_gaps_and_their_causes(pages: Path) -> None:
    """The same causes as the report, with their meaning; the colours are the app's."""
    text = (pages / "coverage.html").read_text("utf-8")

    assert all(f":{colour};" in text for colour in COLOURS)
    assert "<td>asleep</td>" in text
    assert "the collecting machine was suspended" in text


def test_a_ranking_states_its_basis_and_its_rule(pages: Path) -> None:
    """A station that was seen too rarely is not ranked."""
    text = (pages / "rankings.html").read_text("utf-8")

    assert "A station is not ranked if it was seen less than half as often" in text
    assert re.search(r"<td class=\"n\">\d+ of \d+</td>", text)
    assert re.search(
        r"\d+ of 30 stations are ranked, each seen in at least \d+ slots", text
    )


def test_a_ranking_has_no_station_that_never_lacked_a_bike(pages: Path) -> None:
    """Most of the thirty always had one: none of these is the most reliable."""
    text = (pages / "rankings.html").read_text("utf-8")

    without, *_, most_reliable = text.split("<h3>")[1:]
    assert '<td class="n">0.0 %</td>' not in without
    assert '<td class="n">100 %</td>' not in most_reliable
    assert re.search(r"\d+ stations are equal, with 100 %: none", most_reliable)


def test_a_ranking_of_too_many_equal_stations_has_no_first_one() -> None:
    """Fifteen of sixteen would be first by their ids only."""
    row = {"share_seen": 1, "share_inactive": 0, "share_with_vehicle": 1.0}
    row |= {"slots_seen": 9, "slots_expected": 9}
    rows = [row | {"station_id": f"{number}"} for number in range(16)]

    some, all_ = (
        pages_of._ranking("", rows[:count], {}, "share_with_vehicle", maps=None)
        for count in (15, 16)
    )

    assert (len(some["rows"]), len(all_["rows"])) == (15, 0)
    assert some["tied"].startswith("The first 15 are equal")
    assert all_["none"] == "16 stations are equal, with 100 %: none of them is first."


def test_a_closed_station_is_not_without_a_bike_nor_a_dock(tmp_path: Path) -> None:
    """It is closed in one of four slots, empty in one, and full in one."""
    world = World(tmp_path / "bikes/city")
    for bikes, docks, closed in ((0, 5, []), (0, 0, ["a"]), (5, 0, []), (4, 2, [])):
        world.fetch({"a": bikes}, after=300, docks={"a": docks}, closed=closed)
    settings = tmp_path / "bikecollect.toml"
    settings.write_text(
        'data_dir = "bikes"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1:9/"\n'
        'publisher = {name = "City", license = "CC0-1.0"}\n',
        encoding="utf-8",
    )

    share(settings, "--week", "-o", tmp_path / "pages")

    texts = ((tmp_path / "pages" / name).read_text("utf-8") for name in PAGES[1:3])
    cells = [
        re.findall(r'(?:<td class="n">|12:00: )([\d.]+ %)[^"<]*</', t) for t in texts
    ]
    assert cells == [["25.0 %", "25.0 %"], ["25.0 %", "25.0 %", "50.0 %"]]


def test_visitors_are_not_asked_to_run_a_command(pages: Path) -> None:
    """They have neither the program nor the payloads; the operator's report does."""
    text = (pages / "coverage.html").read_text("utf-8")

    assert "these payloads were not read again for this page.</p>" in text
    assert "bikecollect backfill" not in text


def test_a_ranking_has_a_map_of_its_first_stations(pages: Path) -> None:
    """All stations as dots, once in the page; the first ones with their number."""
    text = (pages / "rankings.html").read_text("utf-8")

    maps = re.findall(r"<svg class=\"ranking-map .*?</svg>", text)
    *rows, none = [part.count('<span class="bar ') for part in text.split("<h3>")[1:]]
    assert [drawn.count("<circle") for drawn in maps] == rows
    assert none == 0
    assert [drawn.count("h0") for drawn in maps] == [STATIONS, 0]
    assert [drawn.count("<use ") for drawn in maps] == [0, 1]
    assert [drawn.count("L") for drawn in maps] == rows


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--day", "2019-01-01"], f'"2019-01-01": simport-youbike has data from {EVE}'),
        (["--week", "--live"], "give one of --day, --week and --live"),
        (["nobody"], 'unknown system "nobody"'),
        (["-o", "no-such/pages"], "no-such/pages: no such folder: no-such"),
    ],
)
def test_what_cannot_be_shared_is_named(
    config: Path, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    """Nothing is written."""
    process = bikecollect(
        "--config", config, "share", *("-o", tmp_path / "public"), *arguments
    )

    assert process.returncode in {64, 74, 78}
    assert problem in process.stderr
    assert not list(tmp_path.rglob("*.html"))


def test_a_new_folder_that_cannot_be_completed_is_removed(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the map without the other pages would look like a result."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(pages_folder, "_write_others", Mock(side_effect=full))
    arguments = ["--config", str(config), "share", "-o", str(tmp_path / "out")]

    result = CliRunner().invoke(cli, arguments)

    assert result.exception is full
    assert list(tmp_path.iterdir()) == []


def test_an_older_folder_keeps_its_pages(tmp_path: Path) -> None:
    """Each is complete, and visitors read them; an empty new folder is removed."""
    (tmp_path / "index.html").touch()

    with pytest.raises(OSError, match="full"), pages_folder.complete(tmp_path):
        raise OSError("full")
    with pages_folder.complete(tmp_path / "new"):
        (tmp_path / "new").mkdir()

    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.parametrize("name", ["index.html", "week.html", "2026-11-22.html"])
def test_a_page_of_another_program_is_not_overwritten(
    config: Path, tmp_path: Path, name: str
) -> None:
    """The folder may be another web site."""
    page, index = tmp_path / name, tmp_path / "index.html"
    page.write_text("<h1>My site</h1>", encoding="utf-8")

    process = bikecollect("--config", config, "share", "-o", tmp_path)

    assert process.returncode == 64
    assert f"{page} already exists" in process.stderr
    assert "use --force to overwrite" in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    share(config, "--force", "-o", tmp_path)
    assert "Simport" in index.read_text("utf-8")


def test_an_unknown_licence_is_shown_and_reported(config: Path, tmp_path: Path) -> None:
    """Nothing is invented; and a new system does not hold up the others.

    The front page has a line for each system, of which two have the same title.
    """
    plain = config.with_name("plain.toml")
    text = config.read_text("utf-8").replace(PUBLISHER, "")
    new = '\n[systems.a-new-one]\nfeed = "gbfs"\nurl = "http://h/g"\ntimezone = "UTC"\n'
    titled = 'publisher = {title = "simport-youbike"}\n'
    plain.write_text(text + new + titled, encoding="utf-8")
    out = tmp_path / "out"
    basemap = config.parent / "simport-youbike/basemap.json"
    basemap.touch()

    process = bikecollect("--config", plain, "share", "--day", EVE, "-o", out)
    basemap.unlink()
    live = bikecollect("--config", plain, "share", "--live", "-o", out)

    assert (live.returncode, live.stdout, live.stderr) == (0, "", "")  # cron: no mail
    assert process.returncode == 0
    assert "simport-youbike: the map is drawn without its basemap" in process.stderr
    assert "a-new-one: no stations yet: it has a line on the front" in process.stderr
    assert "the pages say that the licence of the data is unknown" in process.stderr
    page = (out / "simport-youbike/index.html").read_text("utf-8")
    assert "licence of the data is unknown" in page
    assert '<a href="../index.html">All systems</a>' in page
    front = (out / "index.html").read_text("utf-8")
    rows = [re.sub("<[^>]+>", "|", row) for row in front.split("<tr>")[2:]]
    cells = (filter(None, map(str.strip, row.split("|"))) for row in rows)
    first, second = map(list, cells)
    assert first[:3] == ["simport-youbike", "simport-youbike", "time zone Asia/Taipei"]
    assert re.fullmatch(r"\d\d\.\d %", first[3])
    assert f"{NEWEST} 12:00 (+08:00)" in first
    assert second[:3] == ["simport-youbike", "a-new-one", "time zone UTC"]
    assert "no data yet" in second
    assert front.count("<a href") == 1
    last_day = re.findall(r'<rect x="(\d+)"', front)[-1]
    assert int(last_day) == overview.STEP * (overview.DAYS - 1)  # of all in one column


def test_live_rewrites_the_map_and_the_rest_once_an_hour(
    config: Path, live_pages: Path, tmp_path: Path
) -> None:
    """Called by cron after each fetch it is cheap, and leaves no files."""
    shutil.copytree(live_pages, tmp_path, dirs_exist_ok=True)
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert before.keys() == {*PAGES, "film.json"}

    share(config, "--live", "-o", tmp_path)

    after = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    rewritten = {name for name in before if before[name] != after[name]}
    assert rewritten == {"index.html", "film.json"}
    os.utime(tmp_path / "coverage.html", (0, 0))
    share(config, "--live", "-o", tmp_path)
    newest = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert newest["week.html"] != after["week.html"]
    film = unpacked(json.loads((tmp_path / "film.json").read_text("utf-8")))
    assert (film["when"], film["labels"][-1]) == ("2026-05-20 12:00", "12:00")


def test_an_hour_of_which_few_slots_were_seen_is_marked() -> None:
    """Its colour rests on less than those beside it; half is not few."""
    rows = [
        {"hour_of_week": hour, "share_empty": 0.1, "slots_seen": seen}
        | {"slots_expected": 6}
        for hour, seen in enumerate((2, 3))
    ]

    week = week_chart.chart(rows, "share_empty", "Bikes", "orange", 0.2)

    assert week is not None
    cells = week.days[0][1]
    assert [cell.is_few for cell in cells[:3]] == [True, False, False]
    assert [cell.text for cell in cells[:3]] == [
        "Mon 00:00: 10.0 %, from 33.3 % of the slots",
        "Mon 01:00: 10.0 %",
        "Mon 02:00: -",
    ]
    assert (week.has_few, week.has_unseen) == (True, True)


def test_the_pages_of_a_city_that_is_over_end_with_its_last_day(
    live_pages: Path,
) -> None:
    """Its map is that of its last 24 hours, and so is the range of the others."""
    text = (live_pages / "week.html").read_text("utf-8")

    assert "2026-05-19 to 2026-05-20. All colours" in text


def opened(browser: Any, url: str, **options: Any) -> tuple[Any, list[str]]:
    """Return a page at *url*, and what goes wrong on it."""
    context = new_context(browser, **options)
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    origin = url.partition("/index")[0]
    page.on(
        "request",
        lambda r: None if r.url.startswith((origin, "data:")) else wrong.append(r.url),
    )
    page.goto(url)
    return page, wrong


TIMES = """([width, count, minutes]) => {
  const film = Object.create(map.film), times = [];
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  const seconds = (i) => minutes % 1 ? `:${two(i * minutes * 60 % 60)}` : '';
  const minute = (i) => `${two(i * minutes / 60)}:${two(i * minutes % 60)}`;
  const label = (_, i) => `${minute(i)}${seconds(i)}${i ? '' : ' (+02:00)'}`;
  const labels = [...Array(count)].map(label), fillText = (text) => times.push(text);
  Object.assign(film, { count, seconds: 60 * minutes, labels });
  film.hours({ measureText: () => ({ width: 31 }), fillText }, width, 84);
  return times.slice(0, 3);
}"""
"""The first times below the curve of a film: of its width, slots, and their minutes."""


@in_browser
def test_the_map_is_drawn_from_a_disk_without_any_network(
    browser: Any, pages: Path
) -> None:
    """The page requests nothing; keys move the slider, whose curve is the day."""
    page, wrong = opened(browser, f"file://{pages}/index.html", offline=True)

    page.wait_for_selector(".city[data-drawn]")
    page.wait_for_function("document.querySelector('.film output').textContent")
    assert page.locator(".film output").text_content() == "12:00"
    page.locator(".curve").focus()
    page.keyboard.press("Home")
    assert page.locator(".film output").text_content() == "00:00"
    assert page.evaluate(TIMES, [1040, 24 * 12, 5]) == ["00:00", "02:00", "04:00"]
    assert page.evaluate(TIMES, [360, 24 * 12, 5]) == ["00:00", "04:00", "08:00"]
    assert page.evaluate(TIMES, [1040, 1, 5]) == ["00:00"]
    assert page.evaluate(TIMES, [360, 40, 1]) == ["00:00", "00:10", "00:20"]
    assert page.evaluate(TIMES, [1040, 12, 0.5]) == ["00:00", "00:01", "00:02"]
    pixels = page.evaluate(
        """() => { const c = document.querySelector('canvas.map');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return d.filter((v, i) => i % 4 === 3 && v).length; }"""
    )
    assert pixels > 10_000
    assert page.locator(".card .open").is_hidden()
    assert wrong == []
    page.context.close()


PRINTED = """() => {
  const cut = [...document.querySelectorAll('.wide')].filter((el) =>
    el.scrollWidth > el.clientWidth || getComputedStyle(el).overflowX !== 'visible');
  const cells = document.querySelectorAll('td, .bar, .scale i, canvas');
  const pale = [...cells].filter((el) =>
    getComputedStyle(el).printColorAdjust !== 'exact');
  const shown = [...document.querySelectorAll('a, button')].filter((el) =>
    el.offsetParent && !el.closest('footer') && el.ariaPressed !== 'true');
  return [cut, pale, shown].map((elements) => elements.length);
}"""
"""How many tables are cut on paper, cells lose their colour, and buttons are shown."""


@in_browser
def test_a_printed_page_has_its_tables_and_colours(browser: Any, pages: Path) -> None:
    """On A4: by default a browser prints no background, which the week's cells are."""
    paper = {"width": 718, "height": 1000}
    page, wrong = opened(browser, f"file://{pages}/index.html", viewport=paper)
    page.emulate_media(media="print")

    for name in PAGES:
        page.goto(f"file://{pages}/{name}")
        assert (name, page.evaluate(PRINTED)) == (name, [0, 0, 0])
    assert wrong == []
    page.context.close()


@pytest.fixture(scope="module")
def phone(browser: Any) -> Iterator[Any]:
    """Yield a tab that is as wide as a phone."""
    context = new_context(browser, viewport={"width": 320, "height": 844})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module", params=PAGES)
def phone_page(phone: Any, pages: Path, request: pytest.FixtureRequest) -> Any:
    """Return the tab with one of the pages, which is opened once."""
    phone.goto(f"file://{pages}/{request.param}")
    return phone


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_phone(phone_page: Any, scheme: str) -> None:
    """Nothing is wider than the screen, and no button of the map covers another."""
    phone_page.emulate_media(color_scheme=scheme)

    assert violations(phone_page) == []
    assert phone_page.evaluate("document.scrollingElement.scrollWidth") <= 320
    assert phone_page.evaluate(COVERED) == 0


@in_browser
def test_an_embedded_map_is_the_figure_and_its_source(
    browser: Any, pages: Path
) -> None:
    """No title, no navigation; the publisher is still named."""
    page, wrong = opened(browser, f"file://{pages}/index.html?embed=true")

    page.wait_for_selector(".city[data-drawn]")
    assert page.locator("header").is_hidden()
    assert page.get_by_text("Data: Port & Co").is_visible()
    assert wrong == []
    page.context.close()


@in_browser
def test_an_open_live_page_follows_the_next_slot(
    browser: Any, live_pages: Path, tmp_path: Path
) -> None:
    """It requests the newest film from its own server, and keeps the selection."""
    shutil.copytree(live_pages, tmp_path, dirs_exist_ok=True)
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        page, wrong = opened(browser, f"{url}/index.html")
        page.wait_for_selector(".city[data-drawn]")
        newer = json.loads((tmp_path / "film.json").read_text("utf-8"))
        later = NOON + timedelta(minutes=10)
        newer |= {"when": "2026-05-20 12:10", "newest": later.timestamp()}
        (tmp_path / "film.json").write_text(json.dumps(newer), encoding="utf-8")

        page.evaluate("follow(first)")

        page.get_by_text("2026-05-20 12:10").wait_for()
        assert wrong == []
        page.context.close()
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_missing_numpy_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra, whose command is completed for this machine."""
    monkeypatch.setattr(share_command, "find_spec", lambda _: None)

    with pytest.raises(NotInstalled, match=r"pip install 'bikecollect\[app\]'"):
        share_command.share.main(["-o", str(tmp_path)], standalone_mode=False)
