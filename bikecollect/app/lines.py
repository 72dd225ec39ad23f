"""Figures over time: lines that are broken where nothing was seen."""

from collections.abc import Mapping

from bikecollect.app.charts import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WEEKDAYS,
    Spec,
    time_axis,
    tooltips,
)


def lines(
    x: str,
    series: Mapping[str, tuple[str, str]],
    *,
    unit: str,
    tips: Mapping[str, tuple[str, str]],
    step: bool = False,
    height: int = 260,
    holes: bool = True,
) -> Spec:
    """Return lines over time: *series* gives a column its title and its colour.

    Where a value is absent, the line is broken; with *holes* the column ``missing``
    (true or false) and ``until`` shade such times.
    """
    names = [title for title, _ in series.values()]
    colours = [colour for _, colour in series.values()]
    dashes = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2]][: len(names)]
    layers: list[Spec] = []
    if holes:
        layers.append(
            {
                "transform": [{"filter": "datum.missing"}],
                "mark": {"type": "rect", "color": GREY, "opacity": 0.25},
                "encoding": {"x": time_axis(x), "x2": {"field": "until"}},
            }
        )
    for column, (title, _) in series.items():
        layers.append(
            {
                "mark": {
                    "type": "line",
                    "interpolate": "step-after" if step else "linear",
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
    return {"layer": layers, "height": height}


def band(
    *,
    unit: str,
    tips: Mapping[str, tuple[str, str]],
    over: bool,
    height: int = 260,
) -> Spec:
    """Return a typical day: quartiles as a band, the middle as a line, today over it.

    Columns: ``time``, ``low``, ``mid``, ``high`` and, with *over*, ``today``.
    """
    y = {"type": "quantitative", "title": unit, "axis": {"tickMinStep": 1}}
    x = time_axis("time") | {"axis": {"format": "%H:%M", "tickCount": 8}}
    names, colours = ["typical", "that day"], [BLUE, VERMILLION]
    colour = {
        "scale": {"domain": names, "range": colours},
        "legend": {"orient": "top", "title": None} if over else None,
    }
    layers: list[Spec] = [
        {
            "transform": [{"filter": "isValid(datum.mid)"}],
            "mark": {
                "type": "area",
                "opacity": 0.25,
                "color": BLUE,
                "interpolate": "monotone",
            },
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
        },
        {
            "transform": [{"filter": "isValid(datum.mid)"}],
            "mark": {"type": "line", "strokeWidth": 2, "interpolate": "monotone"},
            "encoding": {
                "x": x,
                "y": y | {"field": "mid"},
                "color": colour | {"datum": "typical"},
            },
        },
    ]
    if over:
        layers.append(
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
                    "y": y | {"field": "today"},
                    "color": colour | {"datum": "that day"},
                },
            }
        )
    layers.append(_pointer("time", tips))
    return {"layer": layers, "height": height}


def areas(
    measure: str, title: str, *, form: str, tips: Mapping[str, tuple[str, str]]
) -> Spec:
    """Return a line for each area over the hours of the day, workdays and weekend."""
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
                "legend": {"orient": "top", "title": None},
            },
            "shape": {"field": "place", "type": "nominal", "legend": None},
            "tooltip": tooltips(tips),
        },
    }


def _pointer(x: str, tips: Mapping[str, tuple[str, str]]) -> Spec:
    """Return a rule that follows the pointer and says all values."""
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
