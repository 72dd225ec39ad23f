"""Vega-Lite specifications of figures, readable without distinguishing hues.

Colours are those of Okabe and Ito (2008, "Color Universal Design") for kinds, and
viridis (Smith and van der Walt, 2015) for amounts.
"""

from collections.abc import Mapping
from typing import Any

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#8C8C8C"
VERMILLION, SKY, PURPLE = "#D55E00", "#56B4E9", "#CC79A7"
LEVELS = ["#3b0f47", "#43377f", "#2c718e", "#29af7f", "#9ed93a", "#fde725"]
"""The colours of the levels in `LEGEND`, the lowest first."""
Spec = dict[str, Any]


def time_axis(field: str) -> Spec:
    """Return the encoding of *field* as local time with 24 hours."""
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


def tooltips(tips: Mapping[str, tuple[str, str]]) -> list[Spec]:
    """Return tooltips from the title and the number format of each column."""
    encodings = []
    for field, (title, form) in tips.items():
        kind = "temporal" if form.startswith("%") else "quantitative"
        encoding = {"field": field, "title": title, "type": kind, "format": form}
        if not form:
            encoding = {"field": field, "title": title, "type": "nominal"}
        encodings.append(encoding)
    return encodings


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
            "x": time_axis(x),
            "y": {"field": y, "type": "quantitative", "title": title},
            "color": {
                "field": kind,
                "type": "nominal",
                "scale": {"domain": list(colours), "range": list(colours.values())},
                "legend": {"orient": "top", "title": None, "columns": 2},
            },
            "tooltip": tooltips(tips),
        },
    }


def ranked(
    x: str, y: str, *, title: str, form: str, tips: Mapping[str, tuple[str, str]]
) -> Spec:
    """Return horizontal bars, the longest first."""
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
            "tooltip": tooltips(tips),
        },
    }
