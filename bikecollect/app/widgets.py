"""Widgets that pages share: inputs, and figures with their basis and their data."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from bikecollect.app import mode
from bikecollect.app.frames import Span, without_offsets
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.service import DataService
from bikecollect.core.errors import BikecollectError
from bikecollect.core.text import disarmed, percent, visible

if TYPE_CHECKING:  # Altair is slow to import, and not every page has a chart
    from bikecollect.app.charts.encodings import Chart

log = logging.getLogger(__name__)
STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 3.9rem; padding-bottom: 3rem}
[data-testid="stMainBlockContainer"] h1 {font-size: 1.5rem; padding: 0}
[data-testid="stMainBlockContainer"] h2 {font-size: 1.2rem; padding: 1.2rem 0 0.6rem}
[data-testid="stMainBlockContainer"] h3 {font-size: 1.05rem}
[data-testid="stVerticalBlock"] {gap: 0.6rem}
[data-testid="stAlertContainer"] {padding: 0.4rem 0.8rem}
[data-testid="stCaptionContainer"] {color: inherit; opacity: 1}
[data-testid="stCaptionContainer"] p {opacity: 0.85}
p.source {font-size: 0.85rem; opacity: 0.85; margin: 1.2rem 0 0}
p.source a {color: inherit}
[data-testid="stMultiSelect"] span[title] {color: light-dark(#fff, #111)}
[data-testid="stMarkdownContainer"] thead:not(:has(th:not(:empty))) {display: none}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] {padding-left: 0.8rem; padding-right: 0.8rem}
  [data-testid="stMainBlockContainer"] h1 {font-size: 1.3rem}
}
</style>"""
UNREADABLE = "The data cannot be read at the moment."
"""The text that visitors of a public app see instead of an error."""
RANGES = {"7 days": 7, "28 days": 28, "90 days": 90, "365 days": 365, "All": 0}
OWN = "Custom dates"
COUNT = ".1f"
REPEATED = (
    " The hour before the clocks were set back and the one after are in one place."
)
"""The number format of a mean number of bikes."""
JOINTS = re.compile(r"(?<=:)(?=//|[\w+-]+[:/\[])|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
"""The positions at which a joiner disables addresses, emoji, icons and colours, which
work even if escaped."""
SIGNS = re.compile(r"[\\`*_{}\[\]()#!|<>&~$:^@]|^[-+=]")
"""The special characters of Markdown and Streamlit, some only at the beginning."""
ColumnConfig = Any
HOUR_TIPS = {
    "weekday": ("day", ""),
    "hour": ("hour", "d"),
    "slots_seen": ("slots seen", ",d"),
    "slots_expected": ("slots expected", ",d"),
}


def run(page: Callable[[], None]) -> None:
    """Show *page*; a BikecollectError is shown as a message."""
    try:
        page()
    except BikecollectError as error:
        log.warning("%s", error)
        st.error(UNREADABLE if mode.is_public() else plain(str(error)))


def service() -> DataService:
    """Return the data service of the pages."""
    return data_service()


def days(name: str) -> tuple[date, date]:
    """Return the first and the newest day; stop the page if there are none."""
    first_and_newest = data_service().days(name)
    if first_and_newest is None:
        if mode.is_public():
            st.info("Nothing has been collected yet.")
            st.stop()
        text = (
            "Nothing has been collected yet. Let cron run `bikecollect fetch`, or try "
            "a simulated month: `bikecollect demo --days 30`."
        )
        st.info(data_service().addressed(text))
        st.stop()
    return first_and_newest


def last_day(name: str) -> date:
    """Return the last day of ranges, see `DataService`."""
    return data_service().last_day(name, days(name)[1])


def views(known: dict[str, Any]) -> str:
    """Return the name of the view, chosen by the user from *known*."""
    return segments("View", "view", list(known))


def segments(title: str, key: str, options: Sequence[str]) -> str:
    """Return one of *options*, chosen by the user; *key* is its name in the address.

    Each choice is a step in the browser's history.
    """
    current = _requested(key, options[0], options)
    chosen = st.segmented_control(
        title,
        options,
        default=current,
        required=True,
        key=fresh(key, current),
        label_visibility="collapsed",
    )
    return _noted(key, current, chosen or current)


def choice(title: str, key: str, options: Sequence[str], default: str = "") -> str:
    """Return one of *options*, chosen from a list, like `segments`."""
    current = _requested(key, default or options[0], options)
    chosen = st.selectbox(
        title, options, options.index(current), key=fresh(key, current)
    )
    return _noted(key, current, chosen)


def text(title: str, key: str, **more: Any) -> str:
    """Return the text typed by the user, like `segments`; *more* is for the input."""
    current = st.query_params.get(key, "")
    typed = st.text_input(title, current, key=fresh(key, current), **more)
    return _noted(key, current, typed)


def _requested(key: str, default: str, options: Sequence[str]) -> str:
    """Return the value of *key* in the address if it is one of *options*."""
    requested = st.query_params.get(key, default)
    return requested if requested in options else default


def _noted(key: str, current: str, chosen: str) -> str:
    """Return *chosen*, the user's choice, noted in the address if it is not *current*.

    Widgets bound to the address by Streamlit keep their state when the browser goes
    back to a page from another one that has the same widget.
    """
    if chosen != current:
        showing(key, chosen)
        st.query_params[key] = chosen
    return chosen


def fresh(key: str, current: str) -> str:
    """Return a key for a widget that shows *current*.

    The key changes if *current* was changed elsewhere, such as by the browser's Back:
    otherwise the widget would show the last choice.
    """
    value, number = st.session_state.get(f"shown-{key}", (current, 0))
    if value != current:
        number += 1
    st.session_state[f"shown-{key}"] = (current, number)
    return f"{key}-{number}"


def showing(key: str, chosen: str) -> None:
    """Note that the widget of `fresh` shows *chosen*, the user's choice."""
    _, number = st.session_state[f"shown-{key}"]
    st.session_state[f"shown-{key}"] = (chosen, number)


def span(name: str, *, default: str = "28 days") -> Span:
    """Return the range of days chosen by the user: its first day, and the day after."""
    first, last_of_all = days(name)[0], last_day(name)
    row = st.container(horizontal=True)
    options = [*RANGES, OWN]
    with row:
        chosen = choice("Range", "range", options, default)
        if chosen == OWN:
            return ends(name, "range", (first, last_of_all))
        last = day("Last day", "range_last", last_of_all, (first, last_of_all))
    length = RANGES[chosen]
    begin = max(first, last - timedelta(days=length - 1)) if length else first
    return begin, last + timedelta(days=1)


def ends(name: str, key: str, default: Span, title: str = "") -> Span:
    """Return the first day chosen by the user, and the day after the last one."""
    known = days(name)[0], last_day(name)
    head = f"{title}, " if title else ""
    begin = day(f"{head}from".capitalize(), f"{key}_from", default[0], known)
    last = day(f"{head}to".capitalize(), f"{key}_to", default[1], known)
    return min(begin, last), max(begin, last) + timedelta(days=1)


def day(title: str, key: str, default: date, known: Span) -> date:
    """Return the day chosen by the user, within the *known* ones."""
    requested = st.query_params.get(key, "")
    with suppress(ValueError):
        default = date.fromisoformat(requested)
    current = min(max(default, known[0]), known[1])
    chosen = st.date_input(
        title,
        current,
        min_value=known[0],
        max_value=known[1],
        key=fresh(key, current.isoformat()),
    )
    return date.fromisoformat(_noted(key, current.isoformat(), chosen.isoformat()))


def counted(count: int, noun: str) -> str:
    """Return *count* and *noun*, in the plural unless *count* is 1."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def basis(seen: float, expected: float, unit: str = "slots") -> str:
    """Return the basis of a figure: the numbers of data seen and expected."""
    share = percent(seen / expected) if expected else percent(None)
    return f"Basis: {seen:,.0f} of {expected:,.0f} expected {unit} were seen ({share})."


def summed(table: pd.DataFrame, unit: str = "slots", tail: str = "") -> str:
    """Return the basis of a figure of *table*, from its columns ``slots_...``."""
    seen = table[f"slots_seen{tail}"].sum()
    expected = table[f"slots_expected{tail}"].sum()
    return basis(seen, expected, unit)


def no_data(table: pd.DataFrame) -> str:
    """Return the part of a caption about slots without data, and about a repeated hour.

    The local times of slots, in the column ``slot``, go back with the clocks.
    """
    times = table.get("slot", pd.Series(dtype="datetime64[ns]"))
    is_repeated = times.diff().lt(pd.Timedelta(0)).any()
    return f"Grey: no data.{REPEATED if is_repeated else ''}"


def figure(
    chart: "Chart", table: pd.DataFrame, name: str, caption: str, alt: str
) -> None:
    """Draw *table* as *chart*, with its *caption* and a button for the data below.

    *alt* describes the figure for screen readers.
    """
    drawn = chart.properties(data=without_offsets(table))
    st.altair_chart(drawn, width="stretch", alt=alt)
    foot(table, name, caption)


def data_table(table: pd.DataFrame, **more: Any) -> None:
    """Show *table*; *more* is for Streamlit."""
    st.dataframe(without_offsets(table), hide_index=True, **more)


def foot(
    table: pd.DataFrame | Callable[[], pd.DataFrame], name: str, caption: str
) -> None:
    """Show the *caption* of a figure, and a button for its data, the *table*."""

    def csv() -> bytes:
        data = table() if callable(table) else table
        return disarmed_csv(data).encode()

    title = name.rpartition("-")[2]
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.caption(caption, width="stretch")
    row.download_button(
        f"Data: {title}",
        csv,
        f"{name}.csv",
        "text/csv",
        key=f"data-{name}",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        help=f'The data of the figure "{title}", as CSV',
    )


def disarmed_csv(table: pd.DataFrame) -> str:
    """Return *table* as CSV without cells that a spreadsheet would run as formulas.

    A download is often opened in a spreadsheet. (`bikecollect export` does not change
    texts.)
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


def plain(text: str) -> str:
    r"""Return the untrusted *text* as Markdown that only shows it.

    All special characters are escaped. Addresses and icons would work even so, and are
    disabled by an invisible joiner.

    >>> print(plain("![x](y) <b> 1. *z*"))
    \!\[x\]\(y\) \<b\> 1. \*z\*
    >>> plain("http://a") == "http\\:\u2060//a"
    True
    """
    escaped = SIGNS.sub(r"\\\g<0>", JOINTS.sub("\u2060", visible(text)))
    return re.sub(r"^(\d+)\.", r"\1\\.", escaped)  # or a list would begin


def unplaced(positions: Iterable[float | None]) -> str:
    """Return how many of *positions* are unknown, for the end of a caption.

    >>> unplaced([25.0, 25.1]), unplaced([25.0, None])
    ('', ' 1 without a position is counted, but not on the map.')
    """
    count = sum(position is None for position in positions)
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f" {count:,} without a position {verb} counted, but not on the map."
