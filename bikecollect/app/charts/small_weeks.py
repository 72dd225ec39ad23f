"""Areas through the week: small charts with one scale, in one element of the page.

An Altair chart for each area takes the browser ten times as long.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import streamlit as st

from bikecollect.app.charts.city_scripts import PERCENT, joined

HOURS = 168


def draw(
    areas: Mapping[str, Mapping[int, float]],
    *,
    title: str,
    top: float,
    tone: str,
    is_share: bool,
) -> None:
    """Draw the values of each area by hour of the week, on a scale from 0 to *top*.

    *title* names the values for screen readers. *tone* is their colour, by default the
    page's.
    """
    _component()(
        key="weeks",
        data={
            "areas": [
                {"name": name, "values": [values.get(hour) for hour in range(HOURS)]}
                for name, values in areas.items()
            ],
            "title": title,
            "low": 0,
            "high": top,
            "tone": tone,
            "is_share": is_share,
        },
    )


def script() -> str:
    """Return the script of the charts."""
    return joined(PERCENT, "weeks.js")


@cache
def _component() -> Any:
    return st.components.v2.component(
        "bikecollect_weeks",
        html='<div class="weeks"></div>',
        css=files(__package__).joinpath("weeks.css").read_text("utf-8"),
        js=script(),
    )
