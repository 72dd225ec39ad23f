"""Figures over time: lines that are interrupted where data are missing."""

from collections.abc import Mapping
from datetime import date

from bikecollect.app.charts.specs import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Spec,
    time_axis,
    tooltips,
)
from bikecollect.core.text import WEEKDAYS

HEIGHT = 260


def lines(
    x: str,
    series: Mapping[str, tuple[str, str]],
    *,
    unit: str,
    tips: Mapping[str, tuple[str, str]],
    step: bool = False,
    between: tuple[str, str] | None = None,
) -> Spec:
    """Return lines over time; *series* has the title and the colour of each column.

    A line is interrupted where its value is absent. The background is shaded up to
    ``until`` where the column ``missing`` or ``closed`` is true. *between* are the
    columns with the minimum and the maximum of the first of *series*.
    """
    names = [title for title, _ in series.values()]
    colours = [colour for _, colour in series.values()]
    dashes = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2]][: len(names)]
    bend = "step-after" if step else "linear"
    layers = [_ground(x, "missing", GREY), _ground(x, "closed", ORANGE)]
    if between:
        layers.append(
            {
                "mark": {
                    "type": "area",
                    "opacity": 0.2,
                    "color": colours[0],
                    "interpolate": bend,
                    "invalid": "break-paths-show-domains",
                },
                "encoding": {
                    "x": time_axis(x),
                    "y": {"field": between[0], "type": "quantitative", "title": unit},
                    "y2": {"field": between[1]},
                },
            }
        )
    for column, (title, _) in series.items():
        layers.append(
            {
                "mark": {
                    "type": "line",
                    "interpolate": bend,
                    "strokeWidth": 2,
                    "invalid": "break-paths-show-domains",
                },
                "encoding": {
                    "x": time_axis(x),
                    "y": {
                        "field": column,
                        "type": "quantitative",
                        "title": unit,
                        "scale": {"zero": True},
                        "axis": {"tickMinStep": 1},
                    },
                    "color": {
                        "datum": title,
                        "scale": {"domain": names, "range": colours},
                        "legend": {"orient": "top", "title": None},
                    },
                    "strokeDash": {
                        "datum": title,
                        "scale": {"domain": names, "range": dashes},
                        "legend": None,
                    },
                },
            }
        )
    layers.append(_pointer(x, tips))
    return {"layer": layers, "height": HEIGHT}


def _ground(x: str, where: str, colour: str) -> Spec:
    """Return the layer that shades the times at which the column *where* is true."""
    return {
        "transform": [{"filter": f"datum.{where}"}],
        "mark": {"type": "rect", "color": colour, "opacity": 0.25},
        "encoding": {"x": time_axis(x), "x2": {"field": "until"}},
    }


def band(*, unit: str, tips: Mapping[str, tuple[str, str]]) -> Spec:
    """Return a typical day: quartiles as a band, the median and one day as lines.

    Columns: ``time``, ``low``, ``mid``, ``high``, ``that_day`` and ``asked``, which is
    false where that day has no slot.
    """
    y = {"type": "quantitative", "title": unit, "axis": {"tickMinStep": 1}}
    x = time_axis("time") | {"axis": {"format": "%H:%M", "tickCount": 8}}
    names, colours = ["typical", "that day"], [BLUE, VERMILLION]
    colour = {
        "scale": {"domain": names, "range": colours},
        "legend": {"orient": "top", "title": None},
    }
    usual = [{"filter": "isValid(datum.mid)"}]
    layers: list[Spec] = [
        {
            "transform": usual,
            "mark": {
                "type": "area",
                "opacity": 0.25,
                "color": BLUE,
                "interpolate": "step-after",
            },
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
        },
        {
            "transform": usual,
            "mark": {"type": "line", "strokeWidth": 2, "interpolate": "step-after"},
            "encoding": {
                "x": x,
                "y": y | {"field": "mid"},
                "color": colour | {"datum": "typical"},
            },
        },
        {
            "transform": [{"filter": "datum.asked"}],
            "mark": {
                "type": "line",
                "strokeWidth": 2,
                "strokeDash": [6, 2],
                "interpolate": "step-after",
                "invalid": "break-paths-show-domains",
            },
            "encoding": {
                "x": x,
                "y": y | {"field": "that_day"},
                "color": colour | {"datum": "that day"},
            },
        },
    ]
    layers.append(_pointer("time", tips))
    return {"layer": layers, "height": HEIGHT}


def events(x: str, kind: str, ends: tuple[date, date]) -> Spec:
    """Return events as points over time, from the first of *ends* to the last.

    Columns: the time *x*, and *kind*, a word with its own row.
    """
    domain = [{"year": d.year, "month": d.month, "date": d.day} for d in ends]
    return {
        "mark": {"type": "point", "filled": True, "size": 90, "color": BLUE},
        "height": {"step": 26},
        "encoding": {
            "x": {**time_axis(x), "scale": {"domain": domain}},
            "y": {
                "field": kind,
                "type": "nominal",
                "title": None,
                "axis": {"grid": True},
            },
            "shape": {"field": kind, "type": "nominal", "legend": None},
            "tooltip": tooltips(
                {
                    x: ("since", "%Y-%m-%d %H:%M"),
                    kind: ("what", ""),
                    "old": ("before", ""),
                    "new": ("after", ""),
                }
            ),
        },
    }


def areas(
    measure: str, title: str, *, form: str, tips: Mapping[str, tuple[str, str]]
) -> Spec:
    """Return a line for each area over the hours of the week."""
    return {
        "mark": {"type": "line", "point": {"size": 18}, "strokeWidth": 2},
        "height": 280,
        "encoding": {
            "x": {
                "field": "hour_of_week",
                "type": "quantitative",
                "title": None,
                "scale": {"domain": [0, 168], "nice": False},
                "axis": {
                    "values": list(range(0, 168, 24)),
                    "labelExpr": f"{list(WEEKDAYS)}[datum.value / 24]",
                    "labelAlign": "left",
                    "grid": True,
                },
            },
            "y": {
                "field": measure,
                "type": "quantitative",
                "title": title,
                "axis": {"format": form},
                "scale": {"zero": False},
            },
            "color": {
                "field": "place",
                "type": "nominal",
                "scale": {"range": [BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY]},
                "legend": {"orient": "top", "title": None, "columns": 3},
            },
            "shape": {"field": "place", "type": "nominal", "legend": None},
            "tooltip": tooltips(tips),
        },
    }


def _pointer(x: str, tips: Mapping[str, tuple[str, str]]) -> Spec:
    """Return a rule that follows the pointer and shows all values."""
    return {
        "params": [
            {
                "name": "at",
                "select": {
                    "type": "point",
                    "fields": [x],
                    "nearest": True,
                    "on": "pointermove",
                    "clear": "pointerout",
                },
            }
        ],
        "mark": {"type": "rule", "color": GREY},
        "encoding": {
            "x": time_axis(x),
            "opacity": {
                "condition": {"param": "at", "empty": False, "value": 0.8},
                "value": 0,
            },
            "tooltip": tooltips(tips),
        },
    }
