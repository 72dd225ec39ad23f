"""What pages share: what is asked for, and figures with their basis and their data."""

import os
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
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

STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 4rem; padding-bottom: 3rem}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] {padding-left: 1rem; padding-right: 1rem}
}
</style>"""
ONLY = "BIKECOLLECT_APP_SYSTEM"
"""Names the variable by which ``--system`` reaches the app."""
RANGES = {"7 days": 7, "28 days": 28, "90 days": 90, "365 days": 365, "All": 0}
OWN = "Own dates"
COUNT = ".1f"
"""How a mean number of bikes is written."""
JOINTS = re.compile(r"(?<=:)(?=//|[\w+-]+[:/\[])|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
"""Where addresses, emoji, icons and colours are broken: those work escaped, too."""
SIGNS = re.compile(r"[\\`*_{}\[\]()#!|<>&~$:^@]|^[-+=]")
"""What Markdown, or Streamlit in it, obeys; some of it at the beginning only."""
ColumnConfig = Any
HOUR_TIPS = {
    "weekday": ("day", ""),
    "hour": ("hour", "d"),
    "slots_seen": ("slots seen", ",d"),
    "slots_expected": ("slots expected", ",d"),
}


def run(page: Callable[[], None]) -> None:
    """Show *page*; a trouble of ours is said in words."""
    try:
        page()
    except BikecollectError as error:
        st.error(plain(str(error)))


def system() -> str:
    """Let the system be chosen, where there are several."""
    only = os.environ.get(ONLY)
    names = [only] if only else list(data_service().settings.systems)
    if len(names) == 1:
        return names[0]
    return st.selectbox("System", names, key="system", bind="query-params")


def freshness(name: str) -> Standing:
    """Say how old the newest data are, in plain sight; return how the system stands."""
    standing = data_service().standing(name)
    health = standing.health
    if health.behind is None:
        st.warning(f"**{name}**: nothing was collected yet.")
        return standing
    when = iso(health.now - health.behind, frames.zone(name))
    text = f"Newest data: **{ago(health.behind)}** ({when[:10]} {when[11:16]}, local)"
    if health.late:
        st.warning(f"{text}. It is late: see Collection.", icon=":material/schedule:")
    else:
        st.caption(text)
    return standing


def days(name: str) -> tuple[date, date]:
    """Return the first and the newest day; a system without any ends the page."""
    found = data_service().days(name)
    if found is None:
        text = (
            "Nothing was collected yet. Let cron call `bikecollect fetch`, or try a "
            "simulated month: `bikecollect demo --days 30`."
        )
        st.info(data_service().addressed(text))
        st.stop()
    return found


def views(known: dict[str, Any]) -> str:
    """Let one of the *known* views of the page be chosen, and return its word."""
    found = st.segmented_control(
        "View",
        list(known),
        default=next(iter(known)),
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    return found or next(iter(known))


def span(name: str, *, default: str = "28 days") -> Span:
    """Let a range of days be chosen; return its first day and the one behind it."""
    first, newest = days(name)
    left, right = st.columns(2)
    words = left.selectbox(
        "Range",
        [*RANGES, OWN],
        index=list(RANGES).index(default),
        key="range",
        bind="query-params",
    )
    with right:
        if words == OWN:
            return ends(name, "range", (first, newest))
        last = day("Last day", "range_last", newest, (first, newest))
    length = RANGES[words]
    begin = max(first, last - timedelta(days=length - 1)) if length else first
    return begin, last + timedelta(days=1)


def ends(name: str, key: str, default: Span, title: str = "") -> Span:
    """Let the first and the last day be chosen; return the first and the one behind."""
    known = days(name)
    head = f"{title}, " if title else ""
    begin = day(f"{head}from".capitalize(), f"{key}_from", default[0], known)
    last = day(f"{head}to".capitalize(), f"{key}_to", default[1], known)
    return min(begin, last), max(begin, last) + timedelta(days=1)


def day(title: str, key: str, default: date, known: Span) -> date:
    """Let a day be chosen, of those from the first *known* to the last."""
    return st.date_input(
        title,
        min(max(default, known[0]), known[1]),
        min_value=known[0],
        max_value=known[1],
        key=key,
        bind="query-params",
    )


def basis(seen: float, expected: float, what: str = "slots") -> str:
    """Return what a figure rests on."""
    share = percent(seen / expected) if expected else percent(None)
    return f"Basis: {seen:,.0f} of {expected:,.0f} expected {what} were seen ({share})."


def summed(table: pd.DataFrame, what: str = "slots", tail: str = "") -> str:
    """Return what a figure of *table* rests on; columns ``slots_seen`` and others."""
    seen, expected = (
        table[f"slots_{each}{tail}"].sum() for each in ("seen", "expected")
    )
    return basis(seen, expected, what)


def figure(
    spec: dict[str, Any], table: pd.DataFrame, name: str, said: str, alt: str
) -> None:
    """Draw *table* by *spec*; under it *said*, its basis, and a button for the data.

    *alt* is for those who do not see it.
    """
    st.vega_lite_chart(table, spec, width="stretch", alt=alt)
    foot(table, name, said)


def foot(
    table: pd.DataFrame | Callable[[], pd.DataFrame], name: str, said: str
) -> None:
    """Say what a figure rests on, and offer its data: *table*, or what makes it."""

    def text() -> bytes:
        made = table() if callable(table) else table
        return disarmed_csv(made).encode()

    left, right = st.columns([6, 1], vertical_alignment="center")
    left.caption(said)
    right.container(horizontal=True, horizontal_alignment="right").download_button(
        "Data",
        text,
        f"{name}.csv",
        "text/csv",
        key=f"data-{name}",
        on_click="ignore",
        icon=":material/download:",
        help="This figure's data, as CSV",
    )


def disarmed_csv(table: pd.DataFrame) -> str:
    """Return *table* as CSV in which a spreadsheet finds no formula.

    Who clicks a button opens the file there; `bikecollect export` gives texts as
    they are.
    """
    cells = table.select_dtypes(exclude="number").map(_disarmed)
    return table.assign(**cells).to_csv(index=False)


def _disarmed(value: Any) -> Any:
    return disarmed(value) if isinstance(value, str) else value


def clock(seconds: float, there: ZoneInfo) -> str:
    """Return a moment as local day and minute."""
    return datetime.fromtimestamp(seconds, there).strftime("%Y-%m-%d %H:%M")


def share_column(title: str, help_: str = "") -> ColumnConfig:
    """Return how a column of shares is shown."""
    return st.column_config.ProgressColumn(
        title, help=help_ or None, format="percent", min_value=0, max_value=1
    )


def time_column(title: str, help_: str = "") -> ColumnConfig:
    """Return how a column of clock times is shown."""
    return st.column_config.DatetimeColumn(
        title, help=help_ or None, format="YYYY-MM-DD HH:mm"
    )


def more(station: str, called: str) -> None:
    """Lead to the page of *station*."""
    address = f"station?{urlencode({'station': station})}"
    st.markdown(f"[More about **{plain(called or station)}**]({address})")


def plain(text: str) -> str:
    r"""Return *text*, which others wrote, as Markdown that shows it and does nothing.

    Every sign of it is escaped; what an address or an icon is made of works all the
    same, and an invisible joiner breaks it.

    >>> print(plain("![x](y) <b> 1. *z*"))
    \!\[x\]\(y\) \<b\> 1. \*z\*
    >>> plain("http://a") == "http\\:\u2060//a"
    True
    """
    escaped = SIGNS.sub(r"\\\g<0>", JOINTS.sub("\u2060", visible(text)))
    return re.sub(r"^(\d+)\.", r"\1\\.", escaped)  # a list would begin
