"""The page about the collection: status, runs, incidents, coverage and gaps."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from bikecollect.app import frames, header, inputs, mode, widgets
from bikecollect.app.charts import bars, encodings, heatmaps
from bikecollect.app.queries import collection
from bikecollect.app.queries.coverage_days import mondays
from bikecollect.app.queries.current import data_service
from bikecollect.core.causes import meaning, public_meaning
from bikecollect.core.text import count_of, local_minute, percent
from bikecollect.reports.health import Health
from bikecollect.reports.status import Standing
from bikecollect.reports.status_facts import facts, headline

COLOURS = dict(
    zip(
        collection.ENDS,
        (encodings.BLUE, encodings.SKY, encodings.ORANGE, encodings.VERMILLION),
        strict=True,
    )
)
OPEN_DAYS = 3
"""Number of newest days that may not be archived yet."""


def page() -> None:
    """Draw the page."""
    name = header.head("collection")
    standing = frames.standing(name)
    if mode.is_public():
        _calendar(name)
        _gaps(name)
        return
    _standing(standing)
    _runs(name, standing.health)
    _incidents(name)
    _calendar(name)
    _gaps(name)
    waiting = data_service().unarchived(name)
    if waiting > OPEN_DAYS:
        text = (
            f"{waiting} closed days are not archived. Run `bikecollect compact` once a "
            "night: it saves disk space and makes all pages faster."
        )
        st.info(data_service().addressed(text))


def _standing(standing: Standing) -> None:
    st.markdown(f"**{headline(standing).text}**")
    addressed = data_service().addressed
    rows = "".join(
        f"| {fact.title} | {widgets.plain(addressed(fact.text))} |\n"
        for fact in facts(standing)
    )
    st.markdown(f"| | |\n|---|---|\n{rows}")
    for text in standing.health.damage:
        st.warning(widgets.plain(addressed(text)))
    # The age at the top of the page counts on; these were true at that minute.
    when = local_minute(standing.health.now, standing.zone)
    command = f"bikecollect status {standing.system_id}"
    st.caption(addressed(f"As of {when}. In a terminal: `{command}`"))


def _runs(name: str, health: Health) -> None:
    st.header("Runs of the last 24 hours", anchor=False)
    runs = data_service().runs(name, since=health.strip[0][0])
    if not runs:
        st.caption("No run in the last 24 hours.")
        return
    answer = collection.runs(runs)
    table = frames.frame(answer, frames.zone(name))
    tips = {
        "slot": ("slot", f"%a %d %b {widgets.clock_format(table['slot'])}"),
        "outcome": ("outcome", ""),
        "cause": ("cause", ""),
        "seconds": ("seconds", ".2f"),
        "rows": ("rows", ",d"),
        "attempts": ("attempts", "d"),
    }
    share = percent(health.good / health.runs) if health.runs else percent(None)
    top = collection.scale_top(answer)
    widgets.figure(
        bars.durations(COLOURS, tips=tips, top=top),
        table,
        f"{name}-runs",
        f"{health.good} of {health.runs} runs were good ({share})."
        f"{_cut(table['seconds'], top)}",
        "A bar for each run of the last 24 hours: its duration and its outcome",
    )


def _cut(seconds: pd.Series, top: float | None) -> str:
    """Return the part of a caption about bars that are cut at *top*."""
    if top is None:
        return ""
    longer = seconds[seconds > top]
    return (
        f" Bars end at {top:g} s; \N{BLACK UP-POINTING TRIANGLE} marks "
        f"{count_of(len(longer), 'longer run')}, "
        f"up to {round(longer.max(), 1):g} s."
    )


def _incidents(name: str) -> None:
    st.header("Incidents of the last 30 days", anchor=False)
    incidents = data_service().incidents(name)
    if not incidents:
        st.caption("None.")
        return
    grid = data_service().settings.system_folder(name).grid
    answer = collection.incidents(incidents, grid)
    table = frames.frame(answer, frames.zone(name))
    until = (
        table["until"]
        .dt.strftime(f"%Y-%m-%d {widgets.clock_format(table['until'])}")
        .fillna("still open")
    )
    text = table["text"].map(data_service().addressed)
    # In a cell of the table a remedy is cut.
    is_open = table["until"].isna()
    for what, details in zip(table["what"][is_open], text[is_open], strict=True):
        st.warning(f"**{widgets.plain(what)}**: {widgets.plain(details)}")
    widgets.data_table(
        table.assign(until=until, text=text),
        "Incidents",
        column_config={
            "what": st.column_config.TextColumn("incident", width="medium"),
            "since": widgets.time_column("since", table["since"]),
            "until": "until",
            "slots": "slots affected",
            "lost": "slots lost",
            "text": st.column_config.TextColumn("details", width="large"),
        },
    )
    count = count_of(len(incidents), "incident")
    caption = f"{count}, open ones first, then the newest."
    widgets.foot(table, f"{name}-incidents", caption)


def _calendar(name: str) -> None:
    st.header("Coverage day by day", anchor=False)
    first, last = widgets.days(name)[0], widgets.last_day(name)
    when = (max(first, last - timedelta(days=365)), last + timedelta(days=1))
    table, weeks = frames.calendar(name, when), mondays(last, first)
    basis = widgets.basis(table["collected"].sum(), table["expected"].sum())
    has_empty = f"{first}" > weeks[0]
    widgets.figure(
        heatmaps.calendar(weeks, last.weekday() + 1),
        table,
        f"{name}-coverage",
        f"{basis} Empty boxes: days before {first}." if has_empty else basis,
        "A box for each day: the share of its slots that were collected",
    )


def _gaps(name: str) -> None:
    st.header("Gaps and their causes", anchor=False)
    account = frames.account(name, inputs.span(name))
    if not account.gaps:
        st.success("No slot is missing in this range.")
        return
    tips = {
        "cause": ("cause", ""),
        "meaning": ("meaning", ""),
        "slots": ("slots", ",d"),
        "hours": ("hours", ",.1f"),
    }
    count, zone = account.total, frames.zone(name)
    say = public_meaning if mode.is_public() else meaning
    widgets.figure(
        bars.ranked("hours", "cause", title="hours missing", tips=tips),
        frames.frame(collection.causes(account, say), zone),
        f"{name}-causes",
        widgets.basis(count.collected, count.expected),
        "Missing hours by cause",
    )
    table = frames.frame(collection.gaps(account, say), zone)
    widgets.data_table(
        table,
        "Gaps",
        column_config={
            "first_slot": widgets.time_column("from", table["first_slot"]),
            "until": widgets.time_column("until", table["until"]),
            "hours": st.column_config.NumberColumn("hours", format="%.2f"),
            "meaning": st.column_config.TextColumn("meaning", width="medium"),
            "can_be_filled": st.column_config.TextColumn(
                "can be filled",
                help=None
                if mode.is_public()
                else "`bikecollect backfill --dry-run` tries the rejected payloads",
            ),
        },
    )
    text = f"{count_of(len(table), 'gap')}, the newest first."
    if any(gap.untried for gap in account.gaps) and not mode.is_public():
        text += data_service().addressed(
            ' "kept, not tried": the payloads are kept, but this page does not read '
            "them; `bikecollect backfill-report` shows which of them can be read."
        )
    widgets.foot(table, f"{name}-gaps", text)
