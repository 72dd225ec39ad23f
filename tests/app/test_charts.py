"""The app's charts as Vega-Lite, distinguishable without colours."""

import inspect
import subprocess
import sys
from datetime import datetime
from itertools import combinations
from math import dist
from typing import Any
from zoneinfo import ZoneInfo

import pytest

pytest.importorskip("altair")

import altair as alt

from bikecollect.app import frames, widgets
from bikecollect.app.charts import bars, encodings, heatmaps, timelines
from bikecollect.app.charts.ranking_map import RankingMaps
from bikecollect.core.timeline.zones import SystemZone
from bikecollect.reports.runner import Answer

SERIES = {"vehicles": ("bikes", "#0072B2"), "docks": ("free docks", "#E69F00")}
TIPS = {"slot": ("slot", "%H:%M"), "vehicles": ("bikes", "d")}


def drawn() -> dict[str, Any]:
    """Return a chart of bikes and free docks."""
    return timelines.lines("slot", SERIES, unit="number", tips=TIPS)


def test_a_line_has_a_colour_and_a_dash_in_one_legend() -> None:
    """One column selects both colour and dashes."""
    lines = [layer for layer in drawn()["layer"] if layer["mark"]["type"] == "line"]

    assert [layer["transform"] for layer in lines] == [
        [{"calculate": "'bikes'", "as": "line"}],
        [{"calculate": "'free docks'", "as": "line"}],
    ]
    for layer in lines:
        colour, dash = layer["encoding"]["color"], layer["encoding"]["strokeDash"]
        assert (colour["field"], dash["field"]) == ("line", "line")
        assert colour["scale"]["range"] == ["#0072B2", "#E69F00"]
        assert dash["scale"]["range"] == [[1, 0], [6, 3]]
        assert "legend" not in dash


def test_a_value_without_neighbours_is_a_point() -> None:
    """After the first fetch, or between two gaps: a line would have no length."""
    points = [layer for layer in drawn()["layer"] if layer["mark"]["type"] == "point"]

    assert [layer["encoding"]["y"]["field"] for layer in points] == [*SERIES]
    assert {layer["mark"]["aria"] for layer in points} == {False}
    assert [layer["transform"][-1]["filter"] for layer in points] == [
        f"isValid(datum.{column}) && !isValid(datum.before) && !isValid(datum.after)"
        for column in SERIES
    ]


def test_a_count_that_is_always_0_has_an_axis_from_0_to_1() -> None:
    """Vega's own has 0 in the middle, and labels it with six decimals."""
    counts = [
        layer["encoding"]["y"]
        for layer in drawn()["layer"]
        if layer["mark"]["type"] == "line"
    ]

    assert [y["axis"] for y in counts] == [{"format": ",d", "tickMinStep": 1}] * 2
    assert [y["scale"] for y in counts] == [{"domain": {"unionWith": [0, 1]}}] * 2


def test_missing_hours_are_labelled_in_decimals() -> None:
    """Not 500m, as by an SI prefix, which reads as minutes, nor 4e+2 for 400 hours."""
    chart = bars.ranked("hours", "cause", title="hours missing", tips={})

    assert chart["encoding"]["x"]["axis"] == {"format": ",~r", "tickCount": 8}


def test_runs_that_take_far_longer_are_cut_and_marked() -> None:
    """A run that waited for the feed in vain would flatten all others."""
    uncut, cut = (
        bars.durations({"good": "blue"}, tips={}, top=top) for top in (None, 1.2)
    )

    assert "scale" not in uncut["layer"][0]["encoding"]["y"]
    scale = {"domain": [0, 1.2], "clamp": True}
    assert [x["encoding"]["y"]["scale"] for x in cut["layer"]] == [scale] * 2
    assert cut["layer"][1]["transform"] == [{"filter": "datum['seconds'] > 1.2"}]


def test_a_chart_drawn_again_is_the_same() -> None:
    """A page that runs again does not build a new chart under the pointer."""
    build = inspect.unwrap(timelines.lines)

    first, again = (build("slot", SERIES, unit="number", tips=TIPS) for _ in range(2))

    assert first.to_dict() == again.to_dict()
    assert drawn() == drawn()


def test_a_chart_is_built_once_for_equal_arguments() -> None:
    """A page that changes its chart does not change the next one."""
    built: list[str] = []

    @encodings.built_once
    def chart(column: str, tips: encodings.Tips) -> encodings.Chart:
        built.append(column)
        layer = alt.Chart().mark_rule().encode(tooltip=encodings.tooltips(tips))
        return alt.LayerChart(layer=[layer])

    first = chart("slot", tips=TIPS)
    first["layer"].clear()
    again, other = chart("slot", tips={**TIPS}), chart("slot", tips={})

    assert built == ["slot"] * 2
    (layer,) = again["layer"]
    assert layer["encoding"]["tooltip"] != other["layer"][0]["encoding"]["tooltip"]
    assert again["data"] == {"name": "rows"}
    assert "data" not in layer


def test_the_first_page_does_not_import_altair() -> None:
    """The app answers before the slow import."""
    code = "import sys, bikecollect.app.pages.now; print('altair' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert process.stdout == "False\n"


@pytest.mark.parametrize(("month", "is_repeated"), [(10, True), (3, False)])
def test_an_hour_that_is_drawn_over_itself_is_named(
    month: int, *, is_repeated: bool
) -> None:
    """When the clocks are set back, two slots have the same local time.

    In the downloaded data they differ by their offsets.
    """
    berlin = ZoneInfo("Europe/Berlin")
    day = {10: 25, 3: 29}[month]
    midnight = int(datetime(2026, month, day, tzinfo=berlin).timestamp())
    slots = [(midnight + number * 1800,) for number in range(12)]

    table = frames.frame(Answer(["slot"], slots), berlin)

    caption = widgets.no_data(table)

    assert caption.startswith("Grey: no data.")
    assert ("clocks were set back" in caption) is is_repeated
    rows = widgets.disarmed_csv(table).splitlines()
    assert len({*rows}) == len(rows) == 13
    assert [*frames.without_offsets(table)] == ["slot"]


def test_times_are_those_of_the_zone_that_a_system_had() -> None:
    """The time zone was changed: pandas knows the last one only."""
    change = int(
        datetime(2026, 10, 25, tzinfo=ZoneInfo("America/New_York")).timestamp()
    )
    zone = SystemZone.of([(0, "Asia/Taipei"), (change, "America/New_York")])
    columns = ["slot", "until"]

    table = frames.frame(
        Answer(columns, [(change - 300, change + 300), (0, None)]), zone
    )

    assert widgets.disarmed_csv(table).splitlines() == [
        "slot,slot_utc_offset,until,until_utc_offset",
        "2026-10-25 11:55:00,UTC+08:00,2026-10-25 00:05:00,UTC-04:00",
        "1970-01-01 08:00:00,UTC+08:00,,",
    ]


def test_hours_have_no_slots_that_could_repeat() -> None:
    """The hour that is repeated is one row there."""
    table = frames.frame(Answer(["time"], [("2026-10-25 02:00",)]), ZoneInfo("UTC"))

    assert widgets.no_data(table) == "Grey: no data."


def test_percentage_points_of_an_unknown_difference_are_unknown() -> None:
    """In JavaScript 100 times null is 0, which would be "no change"."""
    (step,) = heatmaps.week(
        *("points", "points"), form="+.1f", tips={}, domain=(-5, 5), points="difference"
    )["transform"]

    assert step == {
        "calculate": "isValid(datum.difference) ? 100 * datum.difference : null",
        "as": "points",
    }


def test_each_share_in_a_tooltip_is_written_as_in_tables() -> None:
    """So is the value of the colour, which a screen reader reads out."""
    tips = {"hour": ("hour", "d"), "full": ("full", ".1%"), "first": ("first", ".1%")}

    week = heatmaps.week("full", "full", form=".1%", tips=tips, domain=(0, 1))

    assert {step["as"]: step["calculate"] for step in week["transform"]} == {
        column: heatmaps.SHARE.format(f"datum.{column}") for column in ("full", "first")
    }


def test_a_band_requires_some_days() -> None:
    """Where fewer were seen it is interrupted."""
    area, *_ = timelines.band(unit="bikes", tips={}, least=4)["layer"]

    assert [area["encoding"][y]["field"] for y in ("y", "y2")] == ["bottom", "top"]
    _, top, bottom = area["transform"]
    assert top["calculate"] == "datum.days_seen < 4 ? null : datum.high"
    assert bottom["calculate"] == "isValid(datum.top) ? datum.low : null"


def test_the_value_at_which_nothing_lacks_is_grey() -> None:
    """Beside it the colours are faint, so that a little is told from nothing."""
    ends = {"below": {"below": "#0072B2"}, "above": {"above": "#D55E00"}}

    chance, lack, difference = (
        heatmaps.week("share", "", form="", tips={}, domain=(0, 1), **more)["encoding"][
            "color"
        ]["scale"]
        for more in (ends["below"], ends["above"], ends["below"] | ends["above"])
    )

    assert chance["range"] == ["#0072B2", "#0072B226", "#80808026"]
    assert lack["range"] == ["#80808026", "#D55E0026", "#D55E00"]
    assert difference["range"] == chance["range"] + lack["range"][1:]
    assert difference["domain"] == [0, 0.499999, 0.5, 0.500001, 1]


def test_no_number_of_a_ranking_hides_another() -> None:
    """Fifteen stations at one corner, beside an outlier that is not on the map."""
    places = {str(number): (25.0, 121.5) for number in range(15)}
    others = {f"other {number}": (25.1, 121.6) for number in range(900)}

    drawn = RankingMaps(places | others | {"far": (30.0, 140.0)}).data(
        [*places, "far"], "the first", "blue"
    )

    points = [(x, y) for _, x, y in drawn["marks"]]
    assert min(dist(one, two) for one, two in combinations(points, 2)) > 14
    assert all(8 <= x <= drawn["width"] - 7 for x, _ in points)
    assert all(8 <= y <= drawn["height"] - 7 for _, y in points)


def test_days_before_the_first_one_have_an_empty_box() -> None:
    """A young history is not one bar; the days of this week that are to come have none.

    The boxes are in the chart itself: its datasets are replaced by the page's data.
    """
    spec = heatmaps.calendar(["2026-11-16", "2026-11-23"], 2)

    empty, filled = spec["layer"]
    boxes = [(week["week"], len(week["weekday"])) for week in empty["data"]["values"]]
    assert boxes == [("2026-11-16", 7), ("2026-11-23", 2)]
    assert not empty["mark"]["filled"]
    assert "data" not in filled
    assert "datasets" not in spec


def test_a_time_axis_names_no_minute_twice() -> None:
    """A history of minutes has ticks every half of a minute."""
    label = drawn()["layer"][0]["encoding"]["x"]["axis"]["labelExpr"]

    assert label.startswith("seconds(datum.value) ? '' : timeFormat(")
