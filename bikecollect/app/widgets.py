"""Parts that pages share: inputs, and figures with their basis and their data."""

import os
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from bikecollect.app import frames
from bikecollect.app.frames import Span
from bikecollect.app.queries.current import data_service
from bikecollect.core.errors import BikecollectError
from bikecollect.core.slots import iso
from bikecollect.core.text import ago, disarmed, percent, visible
from bikecollect.reports.status import Standing

if TYPE_CHECKING:  # Altair is slow to import, and not every page has a chart
    from bikecollect.app.charts.encodings import Chart

STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 4rem; padding-bottom: 3rem}
[data-testid="stMarkdownContainer"] thead:not(:has(th:not(:empty))) {display: none}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] {padding-left: 1rem; padding-right: 1rem}
}
</style>"""
ONLY = "BIKECOLLECT_APP_SYSTEM"
"""The environment variable that passes ``--system`` to the app."""
RANGES = {"7 days": 7, "28 days": 28, "90 days": 90, "365 days": 365, "All": 0}
OWN = "Custom dates"
COUNT = ".1f"
"""The number format of a mean number of bikes."""
JOINTS = re.compile(r"(?<=:)(?=//|[\w+-]+[:/\[])|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
"""Where to break addresses, emoji, icons and colours, which work even if escaped."""
SIGNS = re.compile(r"[\\`*_{}\[\]()#!|<>&~$:^@]|^[-+=]")
"""The special characters of Markdown and Streamlit, some at the beginning only."""
ColumnConfig = Any
HOUR_TIPS = {
    "weekday": ("day", ""),
    "hour": ("hour", "d"),
    "slots_seen": ("slots seen", ",d"),
    "slots_expected": ("slots expected", ",d"),
}


def run(page: Callable[[], None]) -> None:
    """Show *page*; an error of ours is shown as a message."""
    try:
        page()
    except BikecollectError as error:
        st.error(plain(str(error)))


def system() -> str:
    """Return the system, chosen by the user if there are several."""
    only = os.environ.get(ONLY)
    names = [only] if only else list(data_service().settings.systems)
    if len(names) == 1:
        return names[0]
    return st.selectbox("System", names, key="system", bind="query-params")


def freshness(name: str) -> Standing:
    """Show the age of the newest data; return the status of the system."""
    standing = data_service().standing(name)
    health = standing.health
    if health.behind is None:
        st.warning(f"**{name}**: nothing has been collected yet.")
        return standing
    when = iso(health.now - health.behind, frames.zone(name))
    text = f"Newest data: **{ago(health.behind)}** ({when[:10]} {when[11:16]}, local)"
    if health.late:
        st.warning(f"{text}. It is late: see Collection.", icon=":material/schedule:")
    else:
        st.caption(text)
    return standing


def days(name: str) -> tuple[date, date]:
    """Return the first and the newest day; stop the page if there are none."""
    first_and_newest = data_service().days(name)
    if first_and_newest is None:
        text = (
            "Nothing has been collected yet. Let cron run `bikecollect fetch`, or try "
            "a simulated month: `bikecollect demo --days 30`."
        )
        st.info(data_service().addressed(text))
        st.stop()
    return first_and_newest


def views(known: dict[str, Any]) -> str:
    """Return the name of the view, chosen by the user from *known*."""
    chosen = st.segmented_control(
        "View",
        list(known),
        default=next(iter(known)),
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    return chosen or next(iter(known))


def span(name: str, *, default: str = "28 days") -> Span:
    """Return the range of days chosen by the user: its first day, and the day after."""
    first, newest = days(name)
    left, right = st.columns(2)
    chosen = left.selectbox(
        "Range",
        [*RANGES, OWN],
        index=list(RANGES).index(default),
        key="range",
        bind="query-params",
    )
    with right:
        if chosen == OWN:
            return ends(name, "range", (first, newest))
        last = day("Last day", "range_last", newest, (first, newest))
    length = RANGES[chosen]
    begin = max(first, last - timedelta(days=length - 1)) if length else first
    return begin, last + timedelta(days=1)


def ends(name: str, key: str, default: Span, title: str = "") -> Span:
    """Return the first day chosen by the user, and the day after the last one."""
    known = days(name)
    head = f"{title}, " if title else ""
    begin = day(f"{head}from".capitalize(), f"{key}_from", default[0], known)
    last = day(f"{head}to".capitalize(), f"{key}_to", default[1], known)
    return min(begin, last), max(begin, last) + timedelta(days=1)


def day(title: str, key: str, default: date, known: Span) -> date:
    """Return the day chosen by the user, within the *known* ones."""
    return st.date_input(
        title,
        min(max(default, known[0]), known[1]),
        min_value=known[0],
        max_value=known[1],
        key=key,
        bind="query-params",
    )


def counted(count: int, noun: str) -> str:
    """Return *count* with its *noun*, in the plural unless it is one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def basis(seen: float, expected: float, what: str = "slots") -> str:
    """Return the basis of a figure: the data seen of those expected."""
    share = percent(seen / expected) if expected else percent(None)
    return f"Basis: {seen:,.0f} of {expected:,.0f} expected {what} were seen ({share})."


def summed(table: pd.DataFrame, what: str = "slots", tail: str = "") -> str:
    """Return the basis of a figure of *table*, from its columns ``slots_...``."""
    seen = table[f"slots_seen{tail}"].sum()
    expected = table[f"slots_expected{tail}"].sum()
    return basis(seen, expected, what)


def figure(
    chart: "Chart", table: pd.DataFrame, name: str, caption: str, alt: str
) -> None:
    """Draw *table* as *chart*, with its *caption* and a button for the data below.

    *alt* describes the figure for screen readers.
    """
    st.altair_chart(chart.properties(data=table), width="stretch", alt=alt)
    foot(table, name, caption)


def foot(
    table: pd.DataFrame | Callable[[], pd.DataFrame], name: str, caption: str
) -> None:
    """Show the *caption* of a figure, and a button for its data, the *table*."""

    def csv() -> bytes:
        data = table() if callable(table) else table
        return disarmed_csv(data).encode()

    left, right = st.columns([6, 1], vertical_alignment="center")
    left.caption(caption)
    right.container(horizontal=True, horizontal_alignment="right").download_button(
        "Data",
        csv,
        f"{name}.csv",
        "text/csv",
        key=f"data-{name}",
        on_click="ignore",
        icon=":material/download:",
        help="This figure's data, as CSV",
    )


def disarmed_csv(table: pd.DataFrame) -> str:
    """Return *table* as CSV without cells that a spreadsheet takes for formulas.

    A download is often opened in a spreadsheet; `bikecollect export` leaves texts
    unchanged.
    """
    cells = table.select_dtypes(exclude="number").map(_disarmed)
    return table.assign(**cells).to_csv(index=False)


def _disarmed(value: Any) -> Any:
    return disarmed(value) if isinstance(value, str) else value


def clock(seconds: float, zone: ZoneInfo) -> str:
    """Return *seconds* since the epoch as local date and time, to the minute."""
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M")


def share_column(title: str, help_: str = "") -> ColumnConfig:
    """Return the configuration of a column of shares."""
    return st.column_config.ProgressColumn(
        title, help=help_ or None, format="percent", min_value=0, max_value=1
    )


def time_column(title: str, help_: str = "") -> ColumnConfig:
    """Return the configuration of a column of local times."""
    return st.column_config.DatetimeColumn(
        title, help=help_ or None, format="YYYY-MM-DD HH:mm"
    )


def more(station: str, called: str) -> None:
    """Show a link to the page of *station*."""
    address = f"station?{urlencode({'station': station})}"
    st.markdown(f"[More about **{plain(called or station)}**]({address})")


def plain(text: str) -> str:
    r"""Return the untrusted *text* as Markdown that only shows it.

    All special characters are escaped. Addresses and icons work even so: an invisible
    joiner breaks them.

    >>> print(plain("![x](y) <b> 1. *z*"))
    \!\[x\]\(y\) \<b\> 1. \*z\*
    >>> plain("http://a") == "http\\:\u2060//a"
    True
    """
    escaped = SIGNS.sub(r"\\\g<0>", JOINTS.sub("\u2060", visible(text)))
    return re.sub(r"^(\d+)\.", r"\1\\.", escaped)  # a list would begin
