"""Areas through the week: small charts with one scale, in one element of the page.

An Altair chart for each area takes the browser ten times as long.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import streamlit as st

HOURS = 168


def draw(
    areas: Mapping[str, Mapping[int, float]],
    *,
    title: str,
    domain: tuple[float, float],
    is_share: bool,
) -> None:
    """Draw the values of each area by hour of the week, on the scale *domain*.

    *title* names the values for screen readers.
    """
    _component()(
        key="weeks",
        data={
            "areas": [
                {"name": name, "values": [values.get(hour) for hour in range(HOURS)]}
                for name, values in areas.items()
            ],
            "title": title,
            "low": domain[0],
            "high": domain[1],
            "percent": is_share,
        },
    )


def scale_of(lowest: float, highest: float, least: float) -> tuple[float, float]:
    """Return the ends, at least *least* apart, of a scale for non-negative values.

    >>> scale_of(1.0, 1.0, 0.05), scale_of(0.0, 0.0, 1.0), scale_of(0.2, 0.9, 0.05)
    ((0.95, 1.0), (0.0, 1.0), (0.2, 0.9))
    """
    start = max(0.0, min(float(lowest), highest - least))
    return start, max(float(highest), start + least)


@cache
def _component() -> Any:
    folder = files(__package__)
    return st.components.v2.component(
        "bikecollect_weeks",
        html='<div class="weeks"></div>',
        css=folder.joinpath("weeks.css").read_text("utf-8"),
        js=folder.joinpath("weeks.js").read_text("utf-8"),
    )
