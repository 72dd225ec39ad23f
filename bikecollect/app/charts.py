"""How figures look: Vega-Lite specifications, readable without telling hues apart.

Colours are those of Okabe and Ito (2008, "Color Universal Design") for kinds, and
viridis (Smith and van der Walt, 2015) for amounts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bikecollect.screens.report_html import LEGEND

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#8C8C8C"
VERMILLION, SKY, PURPLE = "#D55E00", "#56B4E9", "#CC79A7"
LEVELS = ["#3b0f47", "#43377f", "#2c718e", "#29af7f", "#9ed93a", "#fde725"]
"""Of the words of `LEGEND`, the least first."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Spec = dict[str, Any]


def _time(field: str) -> Spec:
    return {
        "field": field,
        "type": "temporal",
        "title": None,
        "axis": {
            "labelOverlap": True,
            "tickCount": 8,
            "labelExpr": "timeFormat(datum.value, hours(datum.value) === 0"
            " && minutes(datum.value) === 0 ? '%d %b' : '%H:%M')",
        },
    }


def _tips(tips: Mapping[str, tuple[str, str]]) -> list[Spec]:
    made = []
    for field, (title, form) in tips.items():
        kind = "temporal" if form.startswith("%") else "quantitative"
        each = {"field": field, "title": title, "type": kind, "format": form}
        if not form:
            each = {"field": field, "title": title, "type": "nominal"}
        made.append(each)
    return made


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
                "encoding": {"x": _time(x), "x2": {"field": "until"}},
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
                    "x": _time(x),
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
            "x": _time(x),
            "opacity": {
                "condition": {"param": "at", "empty": False, "value": 0.8},
                "value": 0,
            },
            "tooltip": _tips(tips),
        },
    }


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
    x = _time("time") | {"axis": {"format": "%H:%M", "tickCount": 8}}
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


def week(
    measure: str,
    title: str,
    *,
    form: str,
    tips: Mapping[str, tuple[str, str]],
    domain: Sequence[float] | None = None,
    diverging: bool = False,
) -> Spec:
    """Return a heat map: hours across, weekdays down; columns ``hour``, ``weekday``."""
    scale: Spec = {"scheme": "blueorange" if diverging else "viridis"}
    if diverging:
        scale["domainMid"] = 0
    if domain is not None:
        scale["domain"] = list(domain)
    return {
        "mark": {"type": "rect", "stroke": None},
        "height": {"step": 24},
        "encoding": {
            "x": {
                "field": "hour",
                "type": "ordinal",
                "title": "hour of the day",
                "axis": {
                    "labelAngle": 0,
                    "labelOverlap": True,
                    "values": list(range(0, 24, 3)),
                },
            },
            "y": {
                "field": "weekday",
                "type": "ordinal",
                "sort": list(WEEKDAYS),
                "title": None,
            },
            "color": {
                "field": measure,
                "type": "quantitative",
                "scale": scale,
                "legend": {
                    "title": title,
                    "orient": "bottom",
                    "format": form,
                    "gradientLength": 220,
                    "titleLimit": 300,
                },
            },
            "tooltip": _tips(tips),
        },
    }


def calendar() -> Spec:
    """Return a year of days: weeks across; columns ``week``, ``weekday``, ``share``."""
    return {
        "mark": {"type": "rect", "cornerRadius": 2},
        "height": {"step": 15},
        "encoding": {
            "x": {
                "field": "week",
                "type": "ordinal",
                "timeUnit": "yearmonthdate",
                "title": None,
                "axis": {
                    "format": "%b",
                    "labelOverlap": True,
                    "labelAngle": 0,
                    "ticks": False,
                    "labelExpr": "date(datum.value) <= 7 ? timeFormat(datum.value, '%b') : ''",
                },
                "scale": {"paddingInner": 0.12},
            },
            "y": {
                "field": "weekday",
                "type": "ordinal",
                "sort": list(WEEKDAYS),
                "title": None,
                "scale": {"paddingInner": 0.12},
                "axis": {"ticks": False, "domain": False},
            },
            "color": {
                "field": "level",
                "type": "nominal",
                "scale": {"domain": list(LEGEND), "range": LEVELS},
                "legend": {"title": None, "orient": "bottom", "columns": 3},
            },
            "tooltip": _tips(
                {
                    "day": ("day", ""),
                    "share": ("coverage", ".1%"),
                    "missing": ("missing slots", ",d"),
                    "why": ("mostly", ""),
                }
            ),
        },
    }


def bars(
    x: str,
    y: str,
    colours: Mapping[str, str],
    *,
    title: str,
    kind: str,
    tips: Mapping[str, tuple[str, str]],
) -> Spec:
    """Return thin bars over time, coloured by the column *kind*."""
    return {
        "mark": {"type": "bar", "width": {"band": 1}, "minBandSize": 2, "size": 3},
        "height": 180,
        "encoding": {
            "x": _time(x),
            "y": {"field": y, "type": "quantitative", "title": title},
            "color": {
                "field": kind,
                "type": "nominal",
                "scale": {"domain": list(colours), "range": list(colours.values())},
                "legend": {"orient": "top", "title": None},
            },
            "tooltip": _tips(tips),
        },
    }


def ranked(
    x: str, y: str, *, title: str, form: str, tips: Mapping[str, tuple[str, str]]
) -> Spec:
    """Return lying bars, the longest first."""
    return {
        "mark": {"type": "bar", "color": BLUE},
        "height": {"step": 24},
        "encoding": {
            "x": {
                "field": x,
                "type": "quantitative",
                "title": title,
                "axis": {"format": form},
            },
            "y": {
                "field": y,
                "type": "nominal",
                "sort": "-x",
                "title": None,
                "axis": {"labelLimit": 160},
            },
            "tooltip": _tips(tips),
        },
    }


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
                    "labelExpr": "['Mon','Tue','Wed','Thu','Fri','Sat','Sun'][datum.value / 24]",
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
            "tooltip": _tips(tips),
        },
    }
