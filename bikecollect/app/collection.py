"""The page of the collection itself: runs, gaps and disk, in the words of status."""

from datetime import timedelta

import click
import pandas as pd
import streamlit as st

from bikecollect.app import charts, grids, parts
from bikecollect.incident import KINDS
from bikecollect.run import Run
from bikecollect.screens import report, status
from bikecollect.words import percent

COLOURS = {
    "good": charts.BLUE,
    "skipped": charts.SKY,
    "partial or stale": charts.ORANGE,
    "failed": charts.VERMILLION,
}


def page() -> None:
    """Draw the page."""
    st.title("Collection")
    name = parts.system()
    parts.freshness(name)
    _standing(name)
    _runs(name)
    _incidents(name)
    _calendar(name)
    _gaps(name)
    waiting = parts.look().unarchived(name)
    if waiting > 3:  # noqa: PLR2004 - the newest days are always open
        st.info(
            f"{waiting} days are over and not archived. `bikecollect compact`, once a "
            "night, makes them small, and all pages quick."
        )


def _standing(name: str) -> None:
    standing = parts.look().standing(name)
    facts = status.facts(standing)
    st.markdown(f"**{click.unstyle(status.verdict(standing.health))}**")
    rows = "".join(f"| {title} | {click.unstyle(value)} |\n" for title, value in facts)
    st.markdown(f"| As `bikecollect status` has it | |\n|---|---|\n{rows}")


def _runs(name: str) -> None:
    st.subheader("Runs of the last day")
    there = parts.zone(name)
    runs = parts.look().runs(name)
    if not runs:
        st.caption("No run in the last 24 hours.")
        return
    table = pd.DataFrame(
        [
            (
                *(r.slot, r.outcome.value if r.outcome else "at work", r.cause),
                *(sum(r.seconds.values()), r.rows, len(r.attempts), _kind(r)),
            )
            for r in runs
        ],
        columns=["slot", "outcome", "cause", "seconds", "rows", "attempts", "kind"],
    )
    table["slot"] = parts.local(table["slot"], there)
    tips = {
        "slot": ("slot", "%a %d %b %H:%M"),
        "outcome": ("outcome", ""),
        "cause": ("cause", ""),
        "seconds": ("seconds", ".2f"),
        "rows": ("rows", ",d"),
        "attempts": ("attempts", "d"),
    }
    health = parts.look().standing(name).health
    share = percent(health.good / health.runs) if health.runs else percent(None)
    parts.figure(
        charts.bars(
            "slot", "seconds", COLOURS, title="seconds", kind="kind", tips=tips
        ),
        table,
        f"{name}-runs",
        f"{health.good} of {health.runs} runs good, {share}.",
    )


def _kind(run: Run) -> str:
    outcome = run.outcome.value if run.outcome else ""
    if run.exit_code:
        return "failed"
    if {"stale", "partial", "short"} & set(run.flags):
        return "partial or stale"
    return "good" if outcome == "collected" else "skipped"


def _incidents(name: str) -> None:
    st.subheader("Incidents of the last 30 days")
    found = parts.look().incidents(name)
    if not found:
        st.caption("None.")
        return
    table = pd.DataFrame(
        [
            (
                *(
                    KINDS[i.kind].title if i.kind in KINDS else i.kind,
                    i.opened,
                    i.closed,
                ),
                *(i.slots, i.lost, i.text),
            )
            for i in found
        ],
        columns=["what", "since", "until", "slots", "lost", "text"],
    ).sort_values("since", ascending=False)
    for each in ("since", "until"):
        table[each] = parts.local(table[each], parts.zone(name))
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "what": st.column_config.TextColumn("what is the matter", width="medium"),
            "since": parts.time_column("since"),
            "until": parts.time_column("until", "Empty: still open"),
            "slots": "bad slots",
            "lost": "slots lost",
            "text": st.column_config.TextColumn("in words", width="large"),
        },
    )
    parts.foot(table, f"{name}-incidents", f"{len(found)}, the newest first.")


def _calendar(name: str) -> None:
    st.subheader("Coverage of the year")
    first, newest = parts.days(name)
    when = (max(first, newest - timedelta(days=365)), newest + timedelta(days=1))
    table = parts.calendar(name, when)
    parts.figure(
        grids.calendar(parts.mondays(newest)),
        table,
        f"{name}-coverage",
        parts.basis(table["collected"].sum(), table["expected"].sum()),
    )


def _gaps(name: str) -> None:
    st.subheader("Gaps, and why")
    when = parts.span(name)
    account = parts.account(name, when)
    if not account.gaps:
        st.success("No slot is missing in this range.")
        return
    causes = pd.DataFrame(
        [
            (cause, slots, report.meaning(cause))
            for cause, slots in account.causes.items()
        ],
        columns=["cause", "slots", "meaning"],
    )
    tips = {
        "cause": ("cause", ""),
        "meaning": ("that is", ""),
        "slots": ("slots", ",d"),
    }
    count = account.total
    parts.figure(
        charts.ranked("slots", "cause", title="missing slots", form=",d", tips=tips),
        causes,
        f"{name}-causes",
        parts.basis(count.collected, count.expected),
    )
    table = pd.DataFrame(
        [
            (
                g.start,
                g.end,
                g.slots,
                g.cause,
                report.meaning(g.cause),
                g.backfillable,
                g.origin,
            )
            for g in reversed(account.gaps)
        ],
        columns=[
            "from",
            "until",
            "slots",
            "cause",
            "meaning",
            "backfillable",
            "origin",
        ],
    )
    for each in ("from", "until"):
        table[each] = parts.local(table[each], parts.zone(name))
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "from": parts.time_column("from"),
            "until": parts.time_column("until"),
            "meaning": st.column_config.TextColumn("that is", width="medium"),
            "backfillable": st.column_config.NumberColumn(
                "can be filled", help="By bikecollect backfill"
            ),
            "origin": "out of",
        },
    )
    parts.foot(table, f"{name}-gaps", f"{len(table):,} gaps, the newest first.")
