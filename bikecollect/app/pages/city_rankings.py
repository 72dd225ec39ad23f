"""The rankings of the city page: a table of stations, with the first ones on a map."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
import streamlit as st

from bikecollect.app import charts, frames, inputs, widgets
from bikecollect.app.charts.encodings import BLUE, VERMILLION
from bikecollect.app.charts.ranking_map import RankingMaps, styles
from bikecollect.app.queries.ranking import (
    ORDERS,
    RULE,
    least_basis,
    rankable,
    tied,
    without_order,
)
from bikecollect.app.queries.stations import Known
from bikecollect.core.text import percent

LACKED = "Share of the slots seen; a closed station is neither empty nor full"
MAPPED = 15
"""Maximum stations of a ranking on its map."""
MAP_WIDTH = 300
OFTEN_UNCHANGED = 0.05
"""The share of unchanged slots from which an explanation is shown."""
RANKED = {
    "number": st.column_config.NumberColumn(
        "#", width=40, help="The number on the map"
    ),
    "name": st.column_config.TextColumn("station", width=135),
    "share_empty": widgets.share_column("without a bike", LACKED, 110, VERMILLION),
    "share_full": widgets.share_column("without a dock", LACKED, 110, BLUE),
    "share_with_vehicle": widgets.share_column(
        "with a bike", "Share of the slots seen", 110
    ),
    "share_with_dock": widgets.share_column(
        "with a dock", "Share of the slots seen", 110
    ),
    "share_seen": st.column_config.NumberColumn(
        "seen",
        width=70,
        help="Share of the expected slots in which the station was seen",
        format=widgets.PERCENT,
    ),
    "share_inactive": st.column_config.NumberColumn(
        "closed",
        width=70,
        help="Share of the slots seen in which the station was closed",
        format=widgets.PERCENT,
    ),
    "share_silent": st.column_config.NumberColumn(
        "unchanged",
        width=90,
        help="Share of the slots in which its last report was more than an hour old",
        format=widgets.PERCENT,
    ),
    "changes": st.column_config.NumberColumn(
        "changes",
        width=75,
        help="How often the number of bikes differed from that of the slot before",
    ),
    "station_id": st.column_config.TextColumn("id", width=95),
}
"""The widths have place beside the map in a window of 1300 pixels."""
COLOURS = {"share_empty": "orange"}
LACKING = ("share_empty", "share_full")
"""The columns in place of `HAVING` in a ranking by one of them."""
HAVING = ("share_with_vehicle", "share_with_dock")


def view(name: str) -> None:
    """Show a ranking of the stations of *name*, and its first ones on a map."""
    when = inputs.span(name)
    order = inputs.segments("Order", "order", list(ORDERS))
    answer = frames.answer(name, "reliability", when)
    table = frames.frame(answer, frames.zone(name))
    known = frames.stations(name, widgets.days(name)[1])
    table.insert(2, "name", [_name(known, id_) for id_ in table["station_id"]])
    column = ORDERS[order]
    ranked = table[rankable(answer.records())].dropna(subset=[column])
    ranked = ranked.sort_values([column, "station_id"], ascending=[False, True])
    st.header(f"Stations, {order.lower()} first", anchor=False)
    left_out = HAVING if column in LACKING else LACKING
    columns = [name for name in RANKED if name not in left_out]
    lacking = ranked[ranked[column] > 0]
    values = list(lacking[column])
    shown = ranked.assign(number=_numbers(lacking.index, values))
    with_map = st.container(horizontal=True, gap="medium")
    with_map.dataframe(
        widgets.percents(
            shown[columns], [name for name in columns if name.startswith("share")]
        ),
        hide_index=True,
        placeholder="-",
        height=widgets.ROW * (min(len(ranked), MAPPED) + 1) + 3,
        column_config=RANKED,
        alt=f"Stations, {order.lower()} first",
        width="stretch",
    )
    is_tied = without_order(values, MAPPED)
    first = [] if is_tied else list(lacking["station_id"][:MAPPED])
    with with_map.container(width=MAP_WIDTH):
        _draw_map(known, first, order, column)
    summed = widgets.summed(ranked, widgets.STATION_SLOTS)
    notes = tied(values, MAPPED), _often_unchanged(table["share_silent"].median())
    texts = [summed, least_basis(answer.records()), RULE, *filter(None, notes)]
    widgets.foot(ranked, f"{name}-rankings", " ".join(texts))


def _numbers(stations: pd.Index, values: Sequence[float]) -> pd.Series:
    """Return the number of each of the *stations* that have lacked any, by *values*.

    The others are in no order, and have none. Nor have those at the top if they are too
    many to be told apart.
    """
    number = pd.Series(range(1, len(values) + 1), stations, "Int64")
    return number.where(number > without_order(values, MAPPED))


def _often_unchanged(share: float) -> str:
    """Return why half of the stations are unchanged in this *share* of the slots."""
    if pd.isna(share) or share < OFTEN_UNCHANGED:
        return ""
    return (
        f"Half of the stations are unchanged in {percent(float(share))} of slots or "
        "more: in this feed, the time of a station's last report may change only with "
        "its counts."
    )


def _draw_map(
    known: Mapping[str, Known], first: Sequence[str], order: str, column: str
) -> None:
    """Draw the *first* stations of *order*, numbered, among all; by *column*."""
    places = {
        station.station_id: (station.lat, station.lon)
        for station in known.values()
        if station.lat is not None and station.lon is not None
    }
    if not places or not first:
        return
    colour = COLOURS.get(column, "blue")
    title = f"Map of the first {len(first)} stations, {order.lower()} first"
    data = RankingMaps(places).data(first, title, colour)
    _component()(key="ranking-map", data=data)


@cache
def _component() -> Any:
    script = files(charts).joinpath("rankingmap.js").read_text("utf-8")
    return st.components.v2.component(
        "bikecollect_ranking",
        html='<div class="ranking"></div>',
        css=styles(),
        js=script,
    )


def _name(known: Mapping[str, Known], station: str) -> str:
    return known[station].called if station in known else station
