"""Heat maps: the hours of a week, the days of a year."""

from collections.abc import Sequence

import altair as alt

from bikecollect.app.charts.encodings import (
    GREY,
    Tips,
    built_once,
    tooltips,
)
from bikecollect.core.text import WEEKDAYS
from bikecollect.reports.coverage import COLOURS, LEGEND

MONTH = (
    "toNumber(slice(datum.value, 8)) <= 7"
    " ? timeFormat(toDate(datum.value + 'T12:00'), '%b') : ''"
)
"""The expression for the label of a Monday: the month if it is the first one in it."""
NO_SIGN_AT_ZERO = "datum.label === '+0.0' ? '0' : datum.label"
FEW = " || ".join(
    f"2 * datum.slots_seen{tail} < datum.slots_expected{tail}"
    for tail in ("", "_first", "_second")
)
"""The expression for an hour of which fewer than half of the slots were seen."""
SHARE = "isValid({0}) && {0} !== 0 && {0} !== 1 ? clamp({0}, 0.001, 0.999) : {0}"
"""The expression for a share that is not rounded to none or to all."""
NOTHING, FAINT = "#80808026", "26"
"""The colour of no lack, or no difference; the opacity of the faintest colour."""
NEXT = 1e-6
"""Of a scale, the part between its grey value and the faintest colour."""
CALENDAR_TIPS = {
    "day": ("day", ""),
    "share": ("coverage", ""),
    "missing": ("missing slots", ",d"),
    "why": ("main cause", ""),
}


@built_once
def week(
    measure: str,
    title: str,
    *,
    form: str,
    tips: Tips,
    domain: tuple[float, float],
    below: str = "",
    above: str = "",
    points: str = "",
) -> alt.Chart:
    """Return a heat map of a week, from the columns ``hour`` and ``weekday``.

    Hours of which few slots were seen are outlined. The colours of *domain* are those
    of `_tinted`, or viridis. Shares in *tips* are rounded as in tables. With *points*
    the *measure* is that column, which is a share, in percentage points.
    """
    legend = alt.Legend(
        title=title,
        orient="bottom",
        format=form,
        gradientLength=220,
        titleLimit=300,
        values=[domain[0], sum(domain) / 2, domain[1]],
        labelExpr=NO_SIGN_AT_ZERO,
    )
    scale = alt.Scale(domain=list(domain), scheme="viridis")
    if below or above:
        scale = _tinted(domain, below, above)
    colour = alt.Color(measure, type="quantitative", scale=scale)
    hours = alt.Axis(labelAngle=0, labelOverlap=True, values=list(range(0, 24, 3)))
    chart: alt.Chart = (
        alt.Chart(height=alt.Step(24))
        .mark_rect(strokeWidth=2, strokeDash=[4, 3])
        .encode(
            # Whole pixels: otherwise the background would show between the hours.
            x=alt.X("hour:O", title="hour of the day", axis=hours).scale(
                domain=list(range(24)), round=True
            ),
            y=alt.Y("weekday:O", title=None).scale(domain=WEEKDAYS),
            color=colour.legend(legend),
            # The colour of text: no colour of the scale, and seen in either theme.
            stroke=alt.when(FEW)
            .then(alt.value("currentColor"))
            .otherwise(alt.value(None)),
            tooltip=tooltips(tips),
        )
    )
    if points:
        value = f"datum.{points}"
        value = f"isValid({value}) ? 100 * {value} : null"
        chart = chart.transform_calculate(**{measure: value})
    shares = [column for column, (_, form) in tips.items() if form.endswith("%")]
    clamped = {column: SHARE.format(f"datum.{column}") for column in shares}
    return chart.transform_calculate(**clamped) if clamped else chart


def _tinted(domain: tuple[float, float], below: str, above: str) -> alt.Scale:
    """Return a scale of the colours *below* and *above* a value that is grey.

    Without one of them that value is an end of *domain*, else its middle. Beside it
    both colours are faint; they are opaque at the ends, in either theme.
    """
    low, high = domain
    grey = (low + high) / 2 if below and above else high if below else low
    step = (high - low) * NEXT
    ends: dict[float, str] = {}
    if below:
        ends |= {low: below, grey - step: below + FAINT}
    ends[grey] = NOTHING
    if above:
        ends |= {grey + step: above + FAINT, high: above}
    return alt.Scale(domain=list(ends), range=list(ends.values()), interpolate="rgb")


@built_once
def calendar(weeks: Sequence[str], last: int) -> alt.LayerChart:
    """Return a heat map of a year; *weeks* are the Mondays of its weeks (ISO 8601).

    The last week has the days up to number *last*; each day without a row, before the
    first one, is outlined. Columns: ``week``, ``weekday``, ``level`` and those of the
    tooltip.
    """
    colour = alt.Color(
        "level:N",
        scale=alt.Scale(domain=list(LEGEND), range=list(COLOURS)),
        legend=alt.Legend(
            title=None, orient="bottom", columns=2, symbolStrokeWidth=0.5
        ),
    )
    x = alt.X("week:O", title=None)
    x = x.axis(labelExpr=MONTH, labelAngle=0, ticks=False)
    y = alt.Y("weekday:O", title=None).axis(ticks=False, domain=False)
    base = alt.Chart().encode(
        x=x.scale(domain=list(weeks), paddingInner=0.12),
        y=y.scale(domain=WEEKDAYS, paddingInner=0.12),
    )
    # Outlined: in one of the two themes either end is as dark as the background.
    square = alt.MarkDef(type="rect", cornerRadius=2, stroke=GREY, strokeWidth=0.5)
    days = [{"week": week, "weekday": WEEKDAYS} for week in weeks[:-1]]
    days.append({"week": weeks[-1], "weekday": WEEKDAYS[:last]})
    # Not InlineData, whose values would move to the datasets, which are the page's.
    values = alt.Data(values=days)  # type: ignore[no-untyped-call]
    empty = base.properties(data=values).transform_flatten(["weekday"])
    filled = base.encode(color=colour, tooltip=tooltips(CALENDAR_TIPS))
    empty.mark, filled.mark = square.copy(), square.copy()
    empty.mark.filled, empty.mark.opacity = False, 0.5
    return alt.LayerChart(layer=[empty, filled], height=alt.Step(15))
