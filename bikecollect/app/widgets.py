"""Widgets that pages share: figures with their basis and their data."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from bikecollect.app import mode
from bikecollect.app.frames import without_offsets
from bikecollect.app.queries.current import data_service
from bikecollect.core.errors import BikecollectError
from bikecollect.core.text import count_of, disarmed, percent, visible
from bikecollect.reports.coverage import HOURS

if TYPE_CHECKING:  # Altair is slow to import, and not every page has a chart
    from bikecollect.app.charts.encodings import Spec

log = logging.getLogger(__name__)
STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 3.9rem; padding-bottom: 3rem}
[data-testid="stMainBlockContainer"] h1 {font-size: 1.5rem; padding: 0}
[data-testid="stMainBlockContainer"] h2 {font-size: 1.2rem; padding: 1.2rem 0 0.6rem}
[data-testid="stMainBlockContainer"] h3 {font-size: 1.05rem}
[data-testid="stMarkdownContainer"]:has(h1) {margin-bottom: 0}
[data-testid="stVerticalBlock"] {gap: 0.6rem}
[data-testid="stAlertContainer"] {padding: 0.4rem 0.8rem}
[data-testid="stCaptionContainer"] {color: inherit; opacity: 1}
[data-testid="stCaptionContainer"] p {opacity: 0.85}
[class*="st-key-address"] {display: none}
p.source {font-size: 0.85rem; opacity: 0.85; margin: 1.2rem 0 0}
p.source a {color: inherit}
[data-testid="stMultiSelect"] span[title] {color: light-dark(#fff, #111)}
[data-testid="stVegaLiteChart"] text {fill: currentColor}
[data-testid="stMarkdownContainer"] thead:not(:has(th:not(:empty))) {display: none}
:is(a, button, summary, [role="spinbutton"]):focus-visible {
  outline: 2px solid currentColor; outline-offset: -2px}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] {padding-left: 0.8rem; padding-right: 0.8rem}
  [data-testid="stMainBlockContainer"] h1 {font-size: 1.3rem}
  [data-testid="stMarkdownContainer"] :is(th, td) {
    padding: 0.3rem 0.4rem; font-size: 0.9rem}
}
</style>"""
UNREADABLE = "The data cannot be read at the moment."
"""The text that visitors of a public app see instead of an error."""
PERCENT = "%.1f %%"
"""The number format of a percentage in a table."""
ROW = 35
"""Pixels of a row of a table, and of its head."""
COUNT = ".1f"
"""The number format of a mean number of bikes."""
REPEATED = (
    " The hour before the clocks were set back and the one after are in one place."
)
NUMBERS = {
    "decimal": ".",
    "thousands": ",",
    "grouping": [3],
    "currency": ["", ""],
    "percent": "\N{NO-BREAK SPACE}%",
}
"""How charts write numbers: percentages as in texts."""
LEVEL = {"labelFlush": False}
"""The labels of a vertical axis, level with what they name also at its ends."""
EDGE = {"right": 3}
"""Pixels beside a chart: the last label of an axis ends with it, or a little later."""
STATION_SLOTS = "station slots"
"""What is counted by the basis of a figure about several stations."""
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


def run(page: Callable[[], None]) -> bool:
    """Show *page*; a BikecollectError is shown as a message. Return success."""
    try:
        page()
    except BikecollectError as error:
        log.warning("%s", error)
        st.error(UNREADABLE if mode.is_public() else plain(str(error)))
        return False
    return True


def days(name: str) -> tuple[date, date]:
    """Return the first and the newest day with a run or data; stop without any."""
    first_and_newest = data_service().days(name)
    if first_and_newest is None:
        damage = data_service().standing(name).health.damage
        if mode.is_public():
            st.info(UNREADABLE if damage else "Nothing has been collected yet.")
            st.stop()
        if damage:
            st.info(plain(data_service().addressed("; ".join(damage))))
            st.stop()
        text = (
            "Nothing has been collected yet. Let cron run `bikecollect fetch`, or try "
            "a simulated month: `bikecollect demo --days 30`."
        )
        st.info(data_service().addressed(text))
        st.stop()
    return first_and_newest


def newest_day(name: str) -> date:
    """Return the day of the newest data, or of the newest run if there are none."""
    newest = days(name)[1]
    return data_service().newest_day(name) or newest


def last_day(name: str) -> date:
    """Return the last day of ranges, see `DataService`."""
    return data_service().last_day(name, days(name)[1])


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


def unseen(by_hour: "pd.Series[float]") -> str:
    """Return the part of a caption about hours of the week without a value, if any."""
    count = HOURS - int(by_hour.notna().sum())
    return (
        f" Blank: {count_of(count, 'hour')} of the week without data." if count else ""
    )


def few_seen(table: pd.DataFrame, tails: Sequence[str] = ("",)) -> str:
    """Return the part of a caption about hours that are outlined, if there are any."""
    few = pd.Series(data=False, index=table.index)
    for tail in tails:
        seen = table[f"slots_seen{tail}"]
        few |= (seen > 0) & (2 * seen < table[f"slots_expected{tail}"])
    if not few.any():
        return ""
    hours = count_of(int(few.sum()), "hour")
    return f" Outlined: {hours} of the week with fewer than half of the slots seen."


def figure(
    chart: "Spec", table: pd.DataFrame, name: str, caption: str, alt: str
) -> None:
    """Draw *table* as *chart*, with its *caption* and a button for the data below.

    *alt* describes the figure for screen readers.
    """
    data = without_offsets(table)
    # Data of another name are another chart: it does not move from one to the other.
    rows = f"{pd.util.hash_pandas_object(data).sum():x}"
    drawn = chart | {
        "data": {"name": rows},
        "datasets": {rows: data},
        "config": {"locale": {"number": NUMBERS}, "axisY": LEVEL},
        "padding": EDGE,
    }
    st.vega_lite_chart(spec=drawn, width="stretch", alt=alt)
    foot(table, name, caption)


def data_table(table: pd.DataFrame, alt: str, **more: Any) -> None:
    """Show *table*, named *alt* for screen readers; *more* is for Streamlit."""
    shown = without_offsets(table).replace("", None)
    st.dataframe(shown, hide_index=True, placeholder="-", alt=alt, **more)


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
        help=f'The data of the figure "{title}" as CSV',
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


def share_column(
    title: str, help_: str = "", width: int | None = None, colour: str | None = None
) -> ColumnConfig:
    """Return the configuration of a column of `percents`, drawn as bars."""
    return st.column_config.ProgressColumn(
        title,
        width=width,
        help=help_ or None,
        format=PERCENT,
        min_value=0,
        max_value=100,
        color=colour,
    )


def percents(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return *table* with its shares in *columns* as percentages, as texts have them.

    Only an exact 1 becomes 100, and only an exact 0 zero.

    >>> shares = pd.DataFrame({"a": [1.0, 0.9999, 0.97, 0.0002, 0.0, None]})
    >>> percents(shares, ["a"])["a"].to_list()
    [100.0, 99.9, 97.0, 0.1, 0.0, nan]
    """
    shares = {column: table[column] for column in columns}
    return table.assign(
        **{
            column: (100 * share)
            .round(1)
            .clip(lower=0.1, upper=99.9)
            .mask(share.eq(1), 100.0)
            .mask(share.eq(0), 0.0)
            for column, share in shares.items()
        }
    )


def clock_format(slots: pd.Series) -> str:
    """Return the format of the times of *slots*: with seconds if any has some."""
    return "%H:%M:%S" if slots.dt.second.gt(0).any() else "%H:%M"


def time_column(title: str, slots: pd.Series | None = None) -> ColumnConfig:
    """Return the configuration of a column of local times.

    They are shown to the minute, those of *slots* see `clock_format`.
    """
    has_seconds = slots is not None and clock_format(slots).endswith("S")
    time = "HH:mm:ss" if has_seconds else "HH:mm"
    return st.column_config.DatetimeColumn(title, format=f"YYYY-MM-DD {time}")


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
