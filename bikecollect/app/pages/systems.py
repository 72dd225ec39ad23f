"""The page of all systems, one per row, those in trouble first."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bikecollect.app import frames, header, mode, widgets
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.systems import SystemRow, rows_of
from bikecollect.core.errors import BikecollectError
from bikecollect.core.text import ago, count_of

GOOD, BAD = "● ", "▲ "
"""The marks before a system's name, which differ in shape, not only in colour."""
MAX_ROWS = 20
"""Rows of the table without scrolling."""
COLUMNS = {
    "system": st.column_config.TextColumn("system", width=132),
    "newest": st.column_config.TextColumn("newest data", width=95),
    "week": st.column_config.NumberColumn(
        "7 days",
        width=72,
        help="Coverage: share of the expected slots that were collected",
        format=widgets.PERCENT,
    ),
    "status": st.column_config.TextColumn("status", width=240),
    "hours": st.column_config.BarChartColumn(
        "last 24 hours",
        width=120,
        help="Share of each hour's slots that have data",
        y_min=0,
        y_max=1,
    ),
    "stations": st.column_config.NumberColumn(
        "stations", width=75, help="Seen in the newest slot"
    ),
    "bikes": st.column_config.NumberColumn("bikes", width=70),
    "empty": st.column_config.NumberColumn(
        "empty", width=65, help="Stations without a bike"
    ),
    "full": st.column_config.NumberColumn(
        "full",
        width=60,
        help="Stations without a free dock; - if the feed states no free docks",
    ),
}
"""The widths have place in a window of 1200 pixels, and grow with it.

In a window of 390 pixels the fourth column is cut, which shows that there are more.
"""


def page() -> None:
    """Draw the page."""
    st.title(header.TITLES["systems"], anchor=False)
    header.entitle(header.TITLES["systems"])
    service = data_service()
    standings, counts = [], {}
    for name in service.settings.systems:
        try:
            standing, counts[name] = frames.standing(name), frames.counts(name)
        except BikecollectError as error:
            why = "cannot be read." if mode.is_public() else widgets.plain(str(error))
            st.warning(f"**{widgets.plain(name)}**: {why}")
        else:
            standings.append(standing)
    rows = rows_of(standings, counts)
    number = len(service.settings.systems)
    bad = sum(row.in_trouble for row in rows) + number - len(rows)
    st.markdown(
        f"**{count_of(number, 'system')}, {bad} in trouble.** "
        "Click a row's box to open it."
    )
    event = st.dataframe(
        widgets.percents(_table(rows), ["week"]),
        hide_index=True,
        placeholder="-",
        alt="Systems",
        height=widgets.ROW * (min(len(rows), MAX_ROWS) + 1) + 3,
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        key="systems",
    )
    chosen = event.selection.rows
    if chosen:
        name = rows[chosen[0]].system
        header.keep("system", name)
        st.switch_page(header.link("now"), query_params={"system": name})


def _table(rows: Sequence[SystemRow]) -> pd.DataFrame:
    """Return *rows* with the columns of `COLUMNS`."""
    cells = [
        {
            "system": f"{BAD if row.in_trouble else GOOD}{row.system}",
            "newest": "-" if row.newest is None else ago(row.newest),
            "week": row.week,
            "status": row.status,
            "hours": list(row.hours),
            **row.counts._asdict(),
        }
        for row in rows
    ]
    return pd.DataFrame(cells, columns=[*COLUMNS])
