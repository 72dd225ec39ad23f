"""Colours, axes and tooltips that charts share; colour-blind readers can tell them.

Colours are those of Okabe and Ito (2008, "Color Universal Design") for kinds, and
viridis (Smith and van der Walt, 2015) for amounts; those of the levels of coverage are
in `bikecollect.reports.coverage`.
"""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

import altair as alt

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#8C8C8C"
VERMILLION, SKY = "#D55E00", "#56B4E9"
DAY_OR_TIME = (
    "seconds(datum.value) ? '' : timeFormat(datum.value, hours(datum.value) === 0"
    " && minutes(datum.value) === 0 ? '%d %b' : '%H:%M')"
)
"""The expression for the label of a tick: the day at midnight, else the time.

None between two minutes: in a history of minutes each time would be there twice.
"""
HALF_A_LABEL = 20
"""Pixels beside the ends of an axis in which a centred label would be cut off."""
MAX_SPECS = 100
"""The maximum number of charts of one kind that are kept."""
Arguments = ParamSpec("Arguments")
Chart = alt.Chart | alt.LayerChart
Spec = dict[str, Any]
"""A chart in Vega-Lite, without the rows of its data."""
Tips = Mapping[str, tuple[str, str]]
"""The tooltip of a chart: the title and the number format of each column."""
alt.theme.enable("none")  # the page has its own width, height and colours


def built_once(build: Callable[Arguments, Chart]) -> Callable[Arguments, Spec]:
    """Let *build* return its chart in Vega-Lite, built once for equal arguments.

    To build and validate it takes longer than the rest of a page.
    """
    built: dict[str, str] = {}

    @wraps(build)
    def spec(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Spec:
        key = repr((args, kwargs))
        text = built.get(key)
        if text is None:
            if len(built) >= MAX_SPECS:
                built.clear()
            chart = build(*args, **kwargs).properties(data=alt.NamedData("rows"))
            text = built[key] = json.dumps(chart.to_dict())
        copy: Spec = json.loads(text)
        return copy

    return spec


def time_axis(column: str) -> alt.X:
    """Return the encoding of *column* as local time with 24 hours."""
    axis = alt.Axis(
        labelOverlap=True, labelFlush=HALF_A_LABEL, tickCount=8, labelExpr=DAY_OR_TIME
    )
    return alt.X(column, type="temporal", title=None, axis=axis)


def tooltips(tips: Tips) -> list[alt.Tooltip]:
    """Return the tooltips described by *tips*."""
    return [_tooltip(column, *tip) for column, tip in tips.items()]


def _tooltip(column: str, title: str, form: str) -> alt.Tooltip:
    if not form:
        return alt.Tooltip(column, type="nominal", title=title)
    if form.startswith("%"):
        return alt.Tooltip(column, type="temporal", title=title, format=form)
    return alt.Tooltip(column, type="quantitative", title=title, format=form)
