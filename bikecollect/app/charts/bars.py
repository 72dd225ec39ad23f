"""Bar charts: over time, and ranked by length."""

from collections.abc import Mapping

import altair as alt

from bikecollect.app.charts.encodings import BLUE, Tips, built_once, time_axis, tooltips


@built_once
def durations(
    colours: Mapping[str, str], *, tips: Tips, top: float | None
) -> alt.LayerChart:
    """Return a narrow bar for each slot: its `seconds`, coloured by its `kind`.

    Bars that are longer than *top* are cut there, and marked by a triangle.
    """
    colour = alt.Color(
        "kind",
        type="nominal",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(orient="top", title=None, columns=2),
    )
    value = alt.Y("seconds", type="quantitative", title="seconds")
    if top is not None:
        value = value.scale(domain=[0, top], clamp=True)
    base = alt.Chart().encode(
        x=time_axis("slot"), y=value, color=colour, tooltip=tooltips(tips)
    )
    layers = [base.mark_bar(width=alt.RelativeBandSize(1), minBandSize=2, size=3)]
    if top is not None:
        cut = base.transform_filter(f"datum['seconds'] > {top}")
        layers.append(
            cut.mark_point(
                shape="triangle-up", filled=True, size=60, opacity=1, yOffset=-7
            )
        )
    return alt.LayerChart(layer=layers, height=220)


@built_once
def ranked(x: str, y: str, *, title: str, tips: Tips) -> alt.Chart:
    """Return horizontal bars, the longest first."""
    # Never an SI prefix or an exponent: not 500m for 0.5 hours, nor 4e+2 for 400.
    axis = alt.Axis(format=",~r", tickCount=8)
    chart: alt.Chart = (
        alt.Chart(height=alt.Step(24))
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X(x, type="quantitative", title=title, axis=axis),
            y=alt.Y(y, type="nominal", sort="-x", title=None).axis(labelLimit=160),
            tooltip=tooltips(tips),
        )
    )
    return chart
