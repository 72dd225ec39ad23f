"""Heat maps: the hours of a week, the days of a year."""

from collections.abc import Mapping, Sequence

from bikecollect.app.charts.specs import LEVELS, Spec, tooltips
from bikecollect.core.text import WEEKDAYS
from bikecollect.reports.coverage import LEGEND


def week(
    measure: str,
    title: str,
    *,
    form: str,
    tips: Mapping[str, tuple[str, str]],
    domain: Sequence[float] | None = None,
    scheme: str = "viridis",
) -> Spec:
    """Return a heat map of a week, from the columns ``hour`` and ``weekday``."""
    scale: Spec = {"scheme": scheme}
    ticks: Spec = {"tickCount": 4}
    if domain is not None:
        scale["domain"] = list(domain)
        ticks = {"values": [domain[0], sum(domain) / 2, domain[1]]}
    return {
        "mark": {"type": "rect", "stroke": None},
        "height": {"step": 24},
        "encoding": {
            "x": {
                "field": "hour",
                "type": "ordinal",
                "title": "hour of the day",
                "scale": {"domain": list(range(24))},
                "axis": {
                    "labelAngle": 0,
                    "labelOverlap": True,
                    "values": list(range(0, 24, 3)),
                },
            },
            "y": {
                "field": "weekday",
                "type": "ordinal",
                "title": None,
                "scale": {"domain": list(WEEKDAYS)},
            },
            "color": {
                "field": measure,
                "type": "quantitative",
                "scale": scale,
                "legend": ticks
                | {
                    "title": title,
                    "orient": "bottom",
                    "format": form,
                    "gradientLength": 220,
                    "titleLimit": 300,
                },
            },
            "tooltip": tooltips(tips),
        },
    }


def calendar(weeks: Sequence[str]) -> Spec:
    """Return a heat map of a year; *weeks* are the Mondays of its weeks (ISO 8601).

    Columns: ``week``, ``weekday``, ``level`` and those of the tooltip.
    """
    gap = {"paddingInner": 0.12}
    month = (
        "toNumber(slice(datum.value, 8)) <= 7"
        " ? timeFormat(toDate(datum.value + 'T12:00'), '%b') : ''"
    )
    tips = {
        "day": ("day", ""),
        "share": ("coverage", ".1%"),
        "missing": ("missing slots", ",d"),
        "why": ("main cause", ""),
    }
    return {
        "mark": {"type": "rect", "cornerRadius": 2},
        "height": {"step": 15},
        "encoding": {
            "x": {
                "field": "week",
                "type": "ordinal",
                "title": None,
                "axis": {"labelExpr": month, "labelAngle": 0, "ticks": False},
                "scale": gap | {"domain": list(weeks)},
            },
            "y": {
                "field": "weekday",
                "type": "ordinal",
                "title": None,
                "scale": gap | {"domain": list(WEEKDAYS)},
                "axis": {"ticks": False, "domain": False},
            },
            "color": {
                "field": "level",
                "type": "nominal",
                "scale": {"domain": list(LEGEND), "range": LEVELS},
                "legend": {"title": None, "orient": "bottom", "columns": 3},
            },
            "tooltip": tooltips(tips),
        },
    }
