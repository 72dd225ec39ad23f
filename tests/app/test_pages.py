"""The data app's pages, run by Streamlit's own AppTest on a small world."""

import importlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trail
from app_pages import page_script, run_lightly, said, show_data_of
from keeping import data_service
from world import FakeClock, World

from bikecollect.app import environment, frames, header, widgets
from bikecollect.app.charts import encodings
from bikecollect.app.queries.service import DataService
from bikecollect.app.queries.station_names import StationTexts
from bikecollect.cli.sharing import map_data
from bikecollect.core.errors import FeedUnavailable
from bikecollect.core.slots import DAY
from bikecollect.storage.files import marker
from bikecollect.storage.run_notes import RunNotes
from bikecollect.wiring import history

pytest.importorskip("duckdb")
testing = pytest.importorskip("streamlit.testing.v1")
pytestmark = pytest.mark.filterwarnings("ignore")
PLACES = {
    "a": [25.0, 121.5, "East"],
    "b": [25.001, 121.5, "East"],
    "c": [25.1, 121.6, "West"],
}
NAMES = {"a": "New Mill", "b": "Quay", "c": "Old Mill"}
ORANGE, BLUE = encodings.VERMILLION, encodings.BLUE
PAGES = ("now", "station", "city", "collection")
Show = Callable[..., Any]


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return an hour of three stations: a is empty at first, b is never, c is far."""
    world = World(tmp_path_factory.mktemp("hour") / "city")
    for bikes in [{"a": 0, "b": 3, "c": 5}] * 7 + [{"a": 4, "b": 0, "c": 5}] * 5:
        world.fetch(dict(bikes), after=300, places=PLACES, names=NAMES)
    return world


@pytest.fixture
def world(hour: World, folder: Path) -> World:
    """Return a copy of *hour*, which the test may continue."""
    shutil.copytree(hour.folder, folder / "city")
    clock = FakeClock(hour.clock.now)
    return World(folder / "city", clock=clock, uptime=hour.uptime, runs=hour.runs)


@contextmanager
def serving(world: World) -> Iterator[DataService]:
    """Yield the data service of *world*; no answer about another one is cached."""
    import streamlit  # heavy, and an extra

    streamlit.cache_data.clear()
    service = data_service(world)
    yield service
    service.close()
    streamlit.cache_data.clear()


@pytest.fixture(scope="module")
def hour_service(hour: World) -> Iterator[DataService]:
    """Yield the data service of *hour*, whose connection is opened once."""
    with serving(hour) as service:
        yield service


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[DataService]:
    """Yield the data service of the test's own `world`, or that of `hour`."""
    if "world" not in request.fixturenames:
        yield request.getfixturevalue("hour_service")
        return
    with serving(request.getfixturevalue("world")) as service:
        yield service


@pytest.fixture
def show(service: DataService, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Return what runs a page with an address, and returns what is on it."""
    run_lightly(monkeypatch)
    show_data_of(service, monkeypatch)

    def shown(page: str, **address: str) -> Any:
        app = testing.AppTest.from_function(
            page_script, args=(page,), default_timeout=60
        )
        for key, value in address.items():
            app.query_params[key] = value
        app.run()
        assert [error.value for error in app.exception] == []
        empty_cells = {table.proto.placeholder for table in app.dataframe}
        assert empty_cells <= {"-"}  # not "None"
        return app

    return shown


def test_the_live_page_names_its_slot_and_stations(show: Show) -> None:
    """The browser tests check the age."""
    app = show("now")

    assert "3 of 3 stations shown" in said(app)
    assert "3 seen in the slot 2026-11-22 13:00; 0 closed" in said(app)
    (table,) = app.dataframe
    assert list(table.value["vehicles"]) == [4, 0, 5]


def test_days_without_an_answer_hide_no_newest_counts(
    show: Show, world: World, service: DataService
) -> None:
    """Cron still runs, and the feed is down: the newest data are older than its runs.

    So they are on the map of `share --live`, which was an error in each of these runs.
    """
    world.feed.answer = FeedUnavailable("refused")
    world.fetch(after=3 * DAY)

    shared = map_data.film_of_last_hours(service, "city")

    assert "3 seen in the slot 2026-11-22 13:00; 0 closed" in said(show("now"))
    assert show("station", station="a").metric[0].value == "4"
    assert "3 stations were seen on this day" in said(show("city", view="Day"))
    assert [place.vehicles for place in shared.places] == [4, 0, 5]


def test_late_data_are_marked_beside_their_age(
    show: Show, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour without a block is told with the age, without a line for itself."""
    header = importlib.import_module("bikecollect.app.header")
    drawn: list[Any] = []

    def component(*_: str) -> Any:
        return lambda *, key, data: drawn.append(data)

    monkeypatch.setattr(header, "_component", component)
    world.clock.now += 3600

    app = show("now")

    expected = {"age": 3600.0, "when": "2026-11-22 13:00 in Asia/Taipei", "late": True}
    assert drawn == [expected | {"trouble": True, "over": False}]
    assert not app.warning


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ({"search": "mill"}, ["a", "c"]),
        ({"areas": "East"}, ["a", "b"]),
        ({"bikes": "5"}, ["c"]),
        ({"docks": "3"}, []),
        ({"search": "mill", "areas": "West"}, ["c"]),
    ],
)
def test_an_address_narrows_the_stations(
    show: Show, address: dict[str, str], ids: list[str]
) -> None:
    """Search, areas, least bikes and docks come from the address."""
    app = show("now", **address)

    table = app.dataframe[0].value
    assert list(table["station_id"]) == ids
    assert "last_reported" in table
    assert "last_reported_utc_offset" not in table  # only in the downloaded data


def test_a_filter_can_be_changed(show: Show) -> None:
    """By hand, as by the address."""
    app = show("now")

    app.text_input(key="search-0").set_value("quay")
    app.run()

    assert list(app.dataframe[0].value["station_id"]) == ["b"]


def test_the_nearest_to_a_point_have_their_distance(show: Show) -> None:
    """B is a thousandth of a degree from a."""
    app = show("now", near="25.0, 121.5")

    assert list(app.dataframe[0].value["metres"])[:2] == [0, 111]


def test_an_invalid_point_is_reported(show: Show) -> None:
    """Text in place of numbers gets a message."""
    assert "Not a point" in said(show("now", near="the harbour"))


def test_a_station_has_its_basis(show: Show) -> None:
    """Twelve slots were seen, whatever their expected number."""
    app = show("station", station="a", range="7 days")

    assert [metric.value for metric in app.metric] == ["4", "2", "10"]
    assert "Basis: 12 of" in said(app)
    assert "East · 25.0, 121.5" in said(app)


@pytest.mark.parametrize(
    ("length", "days", "seen"), [("28 days", 30, 1), ("All", 100, 13)]
)
def test_a_long_range_has_the_same_basis(
    show: Show, world: World, length: str, days: int, seen: int
) -> None:
    """By the hour or by the day: the same slots."""
    world.clock.now += days * 86_400
    world.fetch({"a": 1, "b": 1, "c": 1}, places=PLACES, names=NAMES)

    app = show("station", station="a", range=length)

    assert f"Basis: {seen} of" in said(app)


def test_the_typical_day_excludes_the_day_it_is_compared_with(
    show: Show, world: World
) -> None:
    """Of two Sundays the older one is typical; a single one has no comparison.

    The next hour's usual numbers have the older one as their basis.
    """
    alone = show("station", station="a", view="Typical week")
    four = {"a": 9, "b": 1, "c": 1, "new": 2}
    world.fetch(four, after=7 * 86_400 - 3_600, places=PLACES, names=NAMES)

    app = show("station", station="a", view="Typical week", day="2026-11-29")
    new = show("station", station="new", view="Typical week", day="2026-11-29")

    assert alone.info[0].value == "The range has no other Sunday to compare with."
    text = "The station was not seen on another Sunday of the range."
    assert [info.value for info in new.info] == [text]
    assert "Basis: 0 to 1 of 1 Sundays seen, from 2026-11-22" in said(app)
    assert (
        "itself is left out. No band: fewer than 3 days were seen. Dashed: 2026-11-29."
        in said(app)
    )
    (table,) = (text.value for text in app.markdown if "usual" in text.value)
    assert "| 1\N{NO-BREAK SPACE}Sunday, 1 of 12 slots |" in table


def test_a_range_without_that_weekday_is_reported(show: Show, world: World) -> None:
    """The range ends on Sunday, and Monday is requested."""
    world.fetch({"a": 1, "b": 1, "c": 1}, after=86_400, places=PLACES, names=NAMES)

    app = show(
        "station",
        station="a",
        view="Typical week",
        day="2026-11-23",
        range_last="2026-11-22",
    )

    assert app.info[0].value == "The range has no other Monday to compare with."


def test_neighbours_are_those_that_had_a_bike_then(show: Show) -> None:
    """While a was empty b always had one; c is too far away."""
    app = show("station", station="a", view="Empty or full")

    near, longest = app.dataframe
    assert near.value.to_dict("records") == [
        {
            "name": "Quay",
            "metres": pytest.approx(111, abs=1),
            "share": 100,
            "slots_seen": 7,
        }
    ]
    assert list(longest.value["what"]) == ["empty"]
    assert list(longest.value["hours"]) == [pytest.approx(7 / 12)]
    assert list(longest.value["sure"]) == [False]
    assert "1 time for half an hour or more. Basis: 12 of" in said(app)


def test_a_basemap_that_is_not_drawn_is_named_below_the_map(
    show: Show, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the remedy; visitors of a public app could do nothing about it."""
    (world.folder / "basemap.json").symlink_to("nowhere")
    own = said(show("now"))
    monkeypatch.setenv(environment.PUBLIC, "1")
    public = said(show("now"))

    assert r"city\: the map is drawn without its basemap\:" in own
    assert "basemap remove city" in own
    assert "basemap" not in public


def test_a_removed_station_keeps_its_page(show: Show, world: World) -> None:
    """It can be chosen, with its removal; slots after that are not expected of it."""
    for after in (300, 86_400):
        world.fetch({"a": 4, "b": 0}, after=after, places=PLACES, names=NAMES)

    app = show("station", station="c", range="7 days")

    assert "Basis: 12 of 12 expected slots were seen" in said(app)
    assert "Removed from the station list at 2026-11-22 13:05" in app.warning[0].value
    assert [item.value for item in app.metric] == ["10"]
    assert app.selectbox[0].value == "c"


def test_a_closed_station_is_marked(show: Show, world: World) -> None:
    """On its page, below its past, and in the map's small print."""
    world.fetch({"a": 4, "b": 0, "c": 5}, after=300, places=PLACES, closed=["c"])

    assert "is closed" in show("station", station="c").warning[0].value
    assert "Orange: reported as closed" in said(
        show("station", station="c", range="7 days")
    )
    week = said(show("station", station="c", view="Typical week"))
    assert "While the station was closed, it had neither a bike nor a dock" in week
    assert "1 closed" in said(show("now"))


def test_the_changes_of_a_station_are_a_time_line(show: Show, world: World) -> None:
    """Renamed: before and after."""
    world.fetch(
        {"a": 4, "b": 0, "c": 5}, after=300, places=PLACES, names=NAMES | {"b": "Pier"}
    )

    app = show("station", station="b")

    (table,) = app.dataframe
    assert table.value[["what", "old", "new"]].to_numpy().tolist() == [
        ["renamed", "Quay", "Pier"]
    ]


@pytest.mark.parametrize("view", ["Week", "Day", "Areas", "Rankings"])
def test_each_view_of_the_city_has_its_basis(show: Show, view: str) -> None:
    """Slots of stations, or slots."""
    app = show("city", view=view)

    assert "Basis: 36 of" in said(app) or "Basis: 12 of" in said(app)


def test_periods_that_share_no_hour_have_no_chart(show: Show, world: World) -> None:
    """An empty chart would look like no difference."""
    world.fetch({"a": 1, "b": 1, "c": 1}, after=86_400, places=PLACES, names=NAMES)

    app = show("city", view="Compare")

    assert app.info[0].value == "No hour of the week was seen in both periods."
    assert len(app.get("vega_lite_chart")) == 0
    assert "First period: 36 of" in said(app)


@pytest.mark.parametrize(
    ("measure", "is_reversed", "title", "end"),
    [
        ("slots without a bike", False, "difference, percentage points", 50),
        ("slots without a dock", True, "difference, percentage points", 5),
        ("free docks at a station", False, "difference", 1),
    ],
)
def test_a_comparison_has_the_colours_of_the_maps(
    show: Show, world: World, measure: str, title: str, *, is_reversed: bool, end: float
) -> None:
    """Orange is emptier; a difference of shares is in percentage points.

    The scale ends above the largest difference, on both sides of 0, which has no sign.
    Station c is closed then, which is neither empty nor full. Of that hour one slot in
    twelve was seen.
    """
    more = {"places": PLACES, "names": NAMES, "closed": ["c"]}
    world.fetch({"a": 1, "b": 3, "c": 5}, after=7 * 86_400, **more)
    app = show("city", view="Compare", measure=measure)
    (chart,) = app.get("vega_lite_chart")

    assert "Outlined: 1 hour of the week with fewer than half" in said(app)
    encoding = json.loads(chart.proto.spec)["encoding"]
    (few,) = encoding["stroke"]["condition"]
    assert "slots_seen_second < " in few["test"]
    colour = encoding["color"]
    assert colour["legend"]["title"] == title
    domain, colours = colour["scale"]["domain"], colour["scale"]["range"]
    assert domain == pytest.approx([-end, 0, 0, 0, end], abs=1e-3)
    assert (colours[0], colours[-1]) == (
        (ORANGE, BLUE) if is_reversed else (BLUE, ORANGE)
    )
    assert colour["legend"]["labelExpr"].startswith("datum.label === '+0.0' ? '0'")


def test_a_day_is_not_compared_with_itself(show: Show) -> None:
    """On the first day there is nothing else; all would be 0."""
    app = show("city", view="Compare")

    assert app.info[0].value.startswith("Both periods are the same: there is only one")
    assert len(app.get("vega_lite_chart")) == 0


def test_hours_that_were_not_seen_are_named(show: Show) -> None:
    """They have no square, and no place in the legend."""
    assert "Blank: 166 hours of the week without data." in said(show("city"))


@pytest.mark.parametrize(
    ("measure", "top", "colour"),
    [
        ("bikes at a station", 5, None),
        ("slots without a bike", 0.5, ORANGE),
        ("slots without a dock", 0.1, BLUE),
    ],
)
def test_a_week_has_a_scale_from_0_to_a_round_end(
    show: Show, measure: str, top: float, colour: str | None
) -> None:
    """Not from the lowest value to the highest: cities are compared by their colours.

    A share is grey at 0, and has the colour of the maps above it.
    """
    (chart,) = show("city", measure=measure).get("vega_lite_chart")

    scale = json.loads(chart.proto.spec)["encoding"]["color"]["scale"]
    assert (scale["domain"][0], scale["domain"][-1]) == (0, top)
    assert scale.get("range", [None])[-1] == colour


def test_an_area_of_the_week_has_only_its_stations(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """East has two of the three. In English it is called Sunrise, if that is chosen."""
    texts = {"a": StationTexts(region="East", region_en="Sunrise")}
    monkeypatch.setattr(frames, "texts", lambda _: texts)

    own = show("city", area="East", names="own")
    english = show("city", area="Sunrise", view="Areas", areas="Sunrise")

    assert "Basis: 24 of" in said(own)
    assert "Basis: 24 of" in said(english)


def test_the_emptiest_stations_come_first(show: Show) -> None:
    """a: 7 of 12 empty; b: 5 of 12; c never was, and has no place."""
    app = show("city", view="Rankings")

    (table,) = app.dataframe
    assert table.value["number"].dropna().to_list() == [1, 2]
    assert list(table.value["name"]) == ["New Mill", "Quay", "Old Mill"]
    assert list(table.value["share_empty"]) == [*(58.3, 41.7, 0.0)]


def test_depots_and_closed_stations_are_not_ranked(show: Show, world: World) -> None:
    """Station d never had a bike, e is closed: they are only counted."""
    for _ in range(40):
        world.fetch(
            {"a": 1, "b": 2, "c": 0, "d": 0, "e": 0},
            after=300,
            places=PLACES,
            closed=["e"],
        )

    app = show("city", view="Rankings")

    assert list(app.dataframe[0].value["station_id"]) == ["c", "a", "b"]
    assert "3 of 5 stations are ranked" in said(app)


def test_a_closed_station_is_not_without_a_bike(show: Show, world: World) -> None:
    """Old Mill, which always has bikes, is closed for two slots of 14 and not empty."""
    for _ in range(2):
        world.fetch({"a": 1, "b": 2, "c": 0}, after=300, places=PLACES, closed=["c"])

    (table,) = show("city", view="Rankings").dataframe
    (reliable,) = show("city", view="Rankings", order="Most reliable").dataframe

    assert list(table.value["station_id"]) == ["a", "b", "c"]
    assert list(table.value["share_empty"]) == [*(50.0, 35.7, 0.0)]
    assert list(reliable.value["share_with_vehicle"]) == [*(85.7, 64.3, 50.0)]


def test_days_without_a_run_count_up_to_now(
    show: Show, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five dead days the calendar and the gaps end today, and are mostly red."""
    monkeypatch.setattr(history, "TRAIL_DAYS", trail.TRAIL_DAYS)
    world.clock.now += 5 * 86_400

    text = said(show("collection"))

    shares = re.findall(
        r"Basis: 12 of [\d,]+ expected slots were seen \(([\d.]+) %", text
    )
    assert len(shares) == 2
    assert max(map(float, shares)) < 5


def test_an_unknown_system_is_named(show: Show) -> None:
    """A bookmark of another machine does not silently show another city."""
    app = show("now", system="nowhere")

    assert app.error[0].value == 'Unknown system "nowhere". Known systems: city.'
    assert len(app.dataframe) == 0


@pytest.mark.parametrize(
    "words", ["mill NEW", "\uff2e\uff45\uff57", "east mill", "\u53f0\u5317 mill"]
)
def test_a_search_finds_words_in_any_text(show: Show, world: World, words: str) -> None:
    """Several words, full width, the area, and both ways to write Taipei."""
    names = NAMES | {"a": "New Mill \u81fa\u5317"}
    world.fetch({"a": 4, "b": 0, "c": 5}, after=300, places=PLACES, names=names)

    app = show("now", search=words)

    assert list(app.dataframe[0].value["station_id"]) == ["a"]


def test_the_collection_page_shows_the_status(show: Show, world: World) -> None:
    """The verdict, the facts, and the share of good runs."""
    app = show("collection")

    text = "\n".join(markdown.value for markdown in app.markdown)
    assert "**all is well**" in text
    assert re.search(r"As of 20\d\d-\d\d-\d\d \d\d:\d\d \(\+08:00\)", said(app))
    assert "| Runs, 24 h | 12 of 12 good, 100 % |" in text
    assert "12 of 12 runs were good (100 %)." in said(app)
    assert app.success[0].value == "No slot is missing in this range."


def test_the_collection_page_shows_a_run_that_is_running(
    show: Show, world: World
) -> None:
    """As `status` does: it began, and ended, after the page was drawn last."""
    show("collection")
    run, notes = world.begin(), RunNotes(world.folder / "payloads/inbox")
    notes.begin(run)

    (meanwhile, *_) = show("collection").markdown[1:]
    notes.end(run, written=True)
    (later, *_) = show("collection").markdown[1:]

    assert "| Running | since 2026-11-22 13" in meanwhile.value
    assert "Running" not in later.value


def test_a_lost_day_is_not_said_to_be_uncollected(show: Show, world: World) -> None:
    """Its page says that it cannot be read; *Collection* what is lost, as `status`."""
    (world.folder / "station_status/2026-11-22.csv").unlink()

    (about,) = show("city", view="Day").info
    *_, lost = show("collection").warning

    assert about.value.startswith("The data of 2026-11-22 cannot be read; see Coll")
    assert "2026-11-22.csv is missing" in lost.value
    assert lost.value.endswith("bikecollect backfill city")


def test_the_top_of_each_page_says_that_earlier_data_are_lost(
    show: Show, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures without them are not those of all days; visitors get no remedies."""
    mark = marker.text_of("city") + marker.mark(world.clock.now)
    (world.folder / ".bikecollect").write_bytes(mark)
    warnings: list[str] = []
    monkeypatch.setattr("streamlit.warning", warnings.append)

    header._warn("city")
    monkeypatch.setenv(environment.PUBLIC, "1")
    header._warn("city")

    own, public = warnings
    assert own.startswith("Missing in all figures")
    assert "forget city earlier" in own
    when = "2026-11-22 13:00 (+08:00)"
    assert public == f"Missing in all figures: all data from before {when}."


def test_the_page_of_all_systems_counts_one_that_cannot_be_read(
    show: Show, world: World
) -> None:
    """It is in trouble, and named with what to do."""
    (world.folder / "ledger.sqlite3").write_bytes(b"not a database" * 400)

    app = show("systems")

    (warning,) = app.warning
    assert warning.value.startswith("**city**: cannot read")
    assert "the next fetch sets it aside and rebuilds it" in warning.value
    assert "**1 system, 1 in trouble.**" in app.markdown[0].value


def test_a_gap_has_its_cause_in_words(
    show: Show, world: World, service: DataService
) -> None:
    """Like in backfill-report; the remedy of an incident is for this installation.

    While it is open it is not only in a cell, where it would be cut.
    """
    world.fetch({"a": 1, "b": 1, "c": 1}, after=1500, places=PLACES, names=NAMES)
    remedy, slot = "pip install 'bikecollect[cloud]'", int(world.clock.now)
    sql = "INSERT INTO incidents VALUES ('i', 'disk', ?, ?, NULL, 3, 2, 1, '{}', ?)"
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute(sql, (slot, slot, remedy))

    app = show("collection")

    table = app.dataframe[-1].value
    assert table[["slots", "cause", "meaning"]].to_numpy().tolist() == [
        [
            4,
            "not-started",
            "cron did not start a run, or it ended before it could write anything",
        ]
    ]
    (text,) = app.dataframe[-2].value["text"]
    assert text == service.addressed(remedy) != remedy
    (warning,) = (warning.value for warning in app.warning)
    assert warning.endswith(f"**: {widgets.plain(text)}")


def test_without_data_every_page_says_what_to_do(
    show: Show, world: World, folder: Path
) -> None:
    """No traceback; the command that creates data is named.

    A lost ledger is not called a lack of data.
    """
    (world.folder / "ledger.sqlite3").unlink()
    lost = {show(page).info[0].value for page in PAGES}
    warnings = show("now").warning
    shutil.rmtree(world.folder / "station_status")
    empty = {show(page).info[0].value for page in PAGES}

    (text,) = lost
    assert "the next fetch rebuilds it from the files" in text
    assert len(warnings) == 0
    (text,) = empty
    assert "Nothing has been collected yet. Let cron run" in text
    assert "bikecollect fetch" in text


def test_runs_without_any_block_are_no_error(show: Show, world: World) -> None:
    """A collector whose feed never answered has pages, too."""
    for path in sorted(world.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    world.feed.bug = ValueError("never")
    world.fetch({"a": 1}, after=300)

    for page in ("city", "collection"):
        show(page)
    assert "No station has been seen yet" in show("station").info[0].value
    empty = show("now")
    assert "Nothing has been seen yet" in empty.info[0].value
    assert len(empty.dataframe) == 0


def test_foreign_text_is_not_markdown(show: Show, world: World) -> None:
    """A link's station, an area, a name: escaped where Streamlit renders Markdown."""
    evil = "[x](http://a.b)"
    places = {"a": [25.0, 121.5, evil]}
    world.fetch({"a": 1}, after=300, places=places, names={"a": evil})
    shown = "\\[x\\]\\(http\\:\u2060//a.b\\)"

    assert shown in said(show("station", station="a"))
    assert f'"{shown}"; showing' in show("station", station=evil).warning[0].value
    text = "\n".join(item.value for item in show("now", picked="a").markdown)
    assert "a.b" not in text


def test_the_data_of_a_figure_have_no_formula() -> None:
    """Like `export --excel-safe`; numbers with a sign are unchanged."""
    import pandas as pd

    from bikecollect.app.widgets import disarmed_csv

    table = pd.DataFrame(
        {"name": ["=1+1", "\uff20SUM(A1)", "-1.5", None], "n": [-1.5, 2.0, None, -3.0]}
    )

    assert disarmed_csv(table) == (
        "name,n\n'=1+1,-1.5\n'\uff20SUM(A1),2.0\n-1.5,\n,-3.0\n"
    )


def test_the_map_builds_no_html_from_data() -> None:
    """Its markup is fixed: names are drawn as text."""
    charts = Path(__file__).parents[2] / "bikecollect/app/charts"
    scripts = "".join(path.read_text("utf-8") for path in charts.glob("*.js"))

    (markup,) = re.findall(r"const FRAME = (`[^`]*`);", scripts)
    assert scripts.count("innerHTML") == scripts.count("innerHTML = FRAME;") == 1
    assert "${" not in markup
    for word in ("outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in scripts
