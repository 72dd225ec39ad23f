"""Charts over time: lines that are interrupted where data are missing."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

import altair as alt

from bikecollect.app.charts.encodings import (
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    Tips,
    built_once,
    time_axis,
    tooltips,
)

HEIGHT = 260
DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2]]
"""The dash patterns of the first to the fourth line."""
EVENT_TIPS = {"old": ("before", ""), "new": ("after", "")}
BREAK: Literal["break-paths-show-domains"] = "break-paths-show-domains"
"""The treatment of absent values: the line is interrupted."""
Bend = Literal["step-after", "linear"]


@built_once
def lines(
    x: str,
    series: Mapping[str, tuple[str, str]],
    *,
    unit: str,
    tips: Tips,
    step: bool = False,
    between: tuple[str, str] | None = None,
    is_filled: bool = False,
) -> alt.LayerChart:
    """Return lines over time; *series* has the title and the colour of each column.

    A line is interrupted where its value is absent. The background is shaded up to
    ``until`` where the column ``missing`` or ``closed`` is true. *between* are the
    columns with the minimum and the maximum of the first of *series*; if *is_filled*,
    the area below the first is filled.
    """
    names, colours = zip(*series.values(), strict=True)
    bend: Bend = "step-after" if step else "linear"
    layers = [_shade(x, "missing", GREY), _shade(x, "closed", ORANGE)]
    area = alt.Chart().mark_area(
        opacity=0.2, color=colours[0], interpolate=bend, invalid=BREAK
    )
    if between:
        low = _count(between[0], unit)
        layers.append(area.encode(x=time_axis(x), y=low, y2=between[1]))
    elif is_filled:
        filled = area.encode(x=time_axis(x), y=_count(next(iter(series)), unit))
        layers.append(filled)
    style = _line_style(names, colours)
    for column, (name, colour) in series.items():
        line = _named(name).mark_line(interpolate=bend, strokeWidth=2, invalid=BREAK)
        drawn = line.encode(
            x=time_axis(x),
            y=_count(column, unit),
            **style,
        )
        layers += [drawn, _lone(x, column, unit, colour)]
    # Each `+` would copy all the layers before it.
    return alt.LayerChart(layer=[*layers, _pointer(x, tips)], height=HEIGHT)


@built_once
def band(*, unit: str, tips: Tips, least: int) -> alt.LayerChart:
    """Return a typical day: quartiles as a band, the median and one day as lines.

    The band is interrupted where fewer than *least* days were seen. Columns: ``time``,
    ``low``, ``mid``, ``high``, ``days_seen``, ``that_day`` and ``asked``, which is
    false if that day has no slot.
    """
    x = time_axis("time").axis(format="%H:%M", tickCount=8)
    style = _line_style(("typical", "that day"), (BLUE, VERMILLION))
    quartiles = (
        alt.Chart()
        .transform_filter("isValid(datum.mid)")
        .transform_calculate(top=f"datum.days_seen < {least} ? null : datum.high")
        .transform_calculate(bottom="isValid(datum.top) ? datum.low : null")
        .mark_area(opacity=0.25, color=BLUE, interpolate="step-after", invalid=BREAK)
        .encode(x=x, y=_count("bottom", unit), y2="top")
    )
    median = (
        _named("typical")
        .transform_filter("isValid(datum.mid)")
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(x=x, y=_count("mid", unit), **style)
    )
    that_day = (
        _named("that day")
        .transform_filter("datum.asked")
        .mark_line(strokeWidth=2, interpolate="step-after", invalid=BREAK)
        .encode(x=x, y=_count("that_day", unit), **style)
    )
    layers = [quartiles, median, that_day, _pointer("time", tips)]
    return alt.LayerChart(layer=layers, height=HEIGHT)


@built_once
def events(x: str, kind: str, ends: tuple[date, date]) -> alt.Chart:
    """Return events as points over time, from the first of *ends* to the last.

    Columns: the time *x*, and *kind*, a word; each kind has a row.
    """
    domain = [alt.DateTime(year=d.year, month=d.month, date=d.day) for d in ends]
    tips = {x: ("since", "%Y-%m-%d %H:%M"), kind: ("what", "")} | EVENT_TIPS
    chart: alt.Chart = (
        alt.Chart(height=alt.Step(26))
        .mark_point(filled=True, size=90, color=BLUE)
        .encode(
            x=time_axis(x).scale(domain=domain),
            y=alt.Y(kind, type="nominal", title=None).axis(grid=True),
            shape=alt.Shape(kind, type="nominal", legend=None),
            tooltip=tooltips(tips),
        )
    )
    return chart


def _shade(x: str, where: str, colour: str) -> alt.Chart:
    """Return the layer that shades the times at which the column *where* is true."""
    chart: alt.Chart = (
        alt.Chart()
        .transform_filter(f"datum.{where}")
        .mark_rect(color=colour, opacity=0.25, aria=False)
        .encode(x=time_axis(x), x2="until")
    )
    return chart


def _lone(x: str, column: str, unit: str, colour: str) -> alt.Chart:
    """Return the layer with the values of *column* that have no neighbour as points.

    Such a value is a line without length, which is not drawn.
    """
    chart: alt.Chart = (
        alt.Chart()
        .transform_window(
            sort=[alt.SortField(x)], before=f"lag({column})", after=f"lead({column})"
        )
        .transform_filter(
            f"isValid(datum.{column})"
            " && !isValid(datum.before) && !isValid(datum.after)"
        )
        .mark_point(filled=True, size=25, opacity=1, color=colour, aria=False)
        .encode(x=time_axis(x), y=_count(column, unit))
    )
    return chart


def _count(column: str, unit: str) -> alt.Y:
    """Return the encoding of *column* as a number of bikes, docks or stations."""
    # From 0 to 1 at least: Vega puts a single value in the middle of its axis.
    scale = alt.Scale(domain=alt.DomainUnionWith(unionWith=[0, 1]))
    axis = alt.Axis(tickMinStep=1, format=",d")
    return alt.Y(column, type="quantitative", title=unit, axis=axis, scale=scale)


def _named(name: str) -> alt.Chart:
    """Return a chart whose rows have *name* in the column ``line``, for the legend."""
    return alt.Chart().transform_calculate(line=f"'{name}'")


def _line_style(
    names: Sequence[str], colours: Sequence[str]
) -> dict[str, alt.Color | alt.StrokeDash]:
    """Return the colours and dashes of lines by name, in a common legend."""
    return {
        "color": alt.Color(
            "line:N",
            scale=alt.Scale(domain=names, range=colours),
            legend=alt.Legend(orient="top", title=None, symbolSize=250),
        ),
        "strokeDash": alt.StrokeDash(
            "line:N", scale=alt.Scale(domain=names, range=DASHES[: len(names)])
        ),
    }


def _pointer(x: str, tips: Tips) -> alt.Chart:
    """Return a rule that follows the pointer and shows all values."""
    at = alt.selection_point(
        name="at", fields=[x], nearest=True, on="pointermove", clear="pointerout"
    )
    chart: alt.Chart = (
        alt.Chart()
        .mark_rule(color=GREY)
        .encode(
            x=time_axis(x),
            opacity=alt.when(at, empty=False)
            .then(alt.value(0.8))
            .otherwise(alt.value(0)),
            tooltip=tooltips(tips),
        )
        .add_params(at)
    )
    return chart
