"""The header of a page: its title, the system, and the age of the newest data."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from bikecollect.app import environment, frames, inputs, mode, widgets
from bikecollect.app.queries import current
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.service import State
from bikecollect.app.queries.stations import Known
from bikecollect.core.errors import BikecollectError
from bikecollect.core.text import clock_minute, count_of
from bikecollect.setup.catalogue.publishers import Publisher

TITLES = {
    "now": "Live",
    "station": "Station",
    "city": "City",
    "collection": "Collection",
    "systems": "Systems",
}
"""The title of each page, by the last part of its address."""
STATUS_PAGE = "collection"
"""The page that shows the runs that are running now."""
EMBEDDED = """<style>
.st-key-head, [data-testid="stHeader"], [data-testid="stAlert"] {display: none}
[data-testid="stMainBlockContainer"] {padding: 0.4rem}
</style>"""
"""The style that hides everything except figures."""
LOOK_AGAIN = 10.0
"""Seconds between two checks of an open page for new data."""
MAX_NAME = 60
"""Maximum characters quoted from the address, which is untrusted."""


def head(name: str) -> str:
    """Show the header of the page *name*; return the chosen system."""
    st.session_state.setdefault("kept", {})
    if mode.is_embedded():
        st.html(EMBEDDED)
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key="head"
    ):
        st.title(TITLES[name], anchor=False, width="content")
        system = _system(name)
        _age(system)
    entitle(TITLES[name], system)
    _warn(system)
    state = frames.status_state if name == STATUS_PAGE else data_service().state
    _watch(system, state, state(system))
    return system


def follow_settings() -> None:
    """Use the settings as they are now, and again when they are changed.

    If they are invalid, the page shows the reason and the systems from before.
    """
    stamp = current.settings_stamp()  # of before: a change meanwhile is seen later
    try:
        problem = current.refresh()
    except BikecollectError:
        return  # there were none from the beginning: shown by the page
    if problem and not mode.is_public():
        st.warning(
            "The settings file was changed but cannot be used: the pages still use the "
            f"settings from before. {widgets.plain(problem)}"
        )
    _watch_settings(stamp)


@st.fragment(run_every=LOOK_AGAIN)
def _watch_settings(stamp: current.Stamp) -> None:
    """Draw the page again when the settings have been changed since *stamp*."""
    if current.settings_stamp() != stamp:
        st.rerun()


def source() -> None:
    """Show the source and the licence of the data, at the end of a page."""
    name = kept("system")
    if not name or name not in data_service().settings.systems:
        return
    publisher = frames.publisher(name)
    text = escape(f"{publisher.credit}.")
    if publisher.url:
        text = f'<a href="{escape(publisher.url)}" rel="noreferrer">{text}</a>'
    st.html(f'<p class="source">{text} {_license(publisher)}</p>')


def _license(publisher: Publisher) -> str:
    """Return the licence of the data of *publisher* as HTML."""
    if not publisher.has_license:
        return "The licence of the data is unknown: ask the publisher."
    title = escape(publisher.license or "terms of the publisher")
    if publisher.license_url:
        address = escape(publisher.license_url)
        title = f'<a href="{address}" rel="license noreferrer">{title}</a>'
    return f"Licence of the data: {title}."


def stations(name: str) -> dict[str, Known]:
    """Return all stations of the system *name*, by their ids; stop without any."""
    known = frames.stations(name, widgets.days(name)[1])
    if not known:
        if data_service().settings.systems[name].vehicles:
            st.info("No station has been seen: Live shows the vehicles of this system.")
        else:
            st.info("No station has been seen yet; see Collection for the reason.")
        st.stop()
    return known


def has_several() -> bool:
    """Return whether there are several systems to be shown."""
    with suppress(BikecollectError):  # shown by the page
        return (
            not os.environ.get(environment.SYSTEM)
            and len(data_service().settings.systems) > 1
        )
    return False


def entitle(*parts: str) -> None:
    """Set the title of the browser's tab to *parts*."""
    st.set_page_config(page_title=" · ".join([*filter(None, parts), "bikecollect"]))


def keep(key: str, value: str) -> None:
    """Keep *value* as *key* while the user visits other pages."""
    st.session_state.setdefault("kept", {})[key] = value


def kept(key: str) -> str:
    """Return the value kept as *key*, empty if there is none."""
    value: str = st.session_state.get("kept", {}).get(key, "")
    return value


def link(name: str) -> StreamlitPage:
    """Return the page *name*, for links to it."""
    pages: dict[str, StreamlitPage] = st.session_state.get("pages", {})
    return pages[name]


def has_link(name: str) -> bool:
    """Return whether there is a page *name* to link to (not if a page is run alone)."""
    return name in st.session_state.get("pages", {})


def _system(page: str) -> str:
    """Return the system in the address, else the one that was shown last."""
    only = os.environ.get(environment.SYSTEM)
    names = list(data_service().settings.systems)
    if only and only not in names:
        st.error(f'The system "{widgets.plain(only)}" is no longer in the settings.')
        st.stop()
    names = [only] if only else names
    requested = st.query_params.get("system", "")
    if requested and requested not in names:
        short = (
            requested if len(requested) <= MAX_NAME else f"{requested[:MAX_NAME]}..."
        )
        known = widgets.plain(", ".join(names[:8]))
        st.error(f'Unknown system "{widgets.plain(short)}". Known systems: {known}.')
        st.stop()
    current = requested or kept("system")
    current = current if current in names else names[0]
    if len(names) > 1:
        picked = st.selectbox(
            "System",
            names,
            index=names.index(current),
            key=inputs.fresh("system", current),
            label_visibility="collapsed",
            width=260,
        )
        inputs.showing("system", picked or current)
        if picked and picked != current:
            st.query_params["system"] = current = picked
        else:
            note(page, "system", current)
    keep("system", current)
    return current


def note(page: str, key: str, value: str) -> None:
    """Note in the address that *page* shows *value* as *key*.

    It is no step in the browser's history: the user did not choose it.
    """
    before = st.query_params.get(key, "")
    if before == value:
        return
    with st.container(key=f"address-{key}"):
        _component("address")(
            key=f"note-{key}",
            data={
                "key": key,
                "before": before,
                "value": value,
                "page": page,
                "pages": list(TITLES),
            },
        )


def _age(name: str) -> None:
    """Show the age of the newest data, which the browser keeps counting."""
    health = frames.standing(name).health
    if health.behind is None:
        return
    newest, zone = health.now - health.behind, frames.zone(name)
    _component("age", '<div class="age"></div>')(
        key="age",
        data={
            "age": data_service().clock() - newest,
            "when": f"{clock_minute(newest, zone, health.interval)} in {zone.key}",
            "late": health.late,
            "trouble": health.in_trouble and not mode.is_public(),
            "over": health.is_over,
        },
    )


@cache
def _component(name: str, html: str = "") -> Any:
    folder = files(__package__).joinpath("charts")
    script = folder.joinpath(f"{name}.js").read_text("utf-8")
    css = folder.joinpath("age.css").read_text("utf-8")
    return st.components.v2.component(
        f"bikecollect_{name}", html=html, css=css, js=script
    )


def _warn(name: str) -> None:
    """Warn of a system without data, and of files that could not be read."""
    health = frames.standing(name).health
    if health.behind is None and not health.damage:
        st.warning(f"**{widgets.plain(name)}**: nothing has been collected yet.")
    skipped = data_service().skipped(name)
    # Without any data, the page itself says so.
    loss = data_service().loss(name) if health.behind is not None else None
    if mode.is_public():
        if loss:
            when = loss.when(frames.zone(name))
            st.warning(f"Missing in all figures: all data {when}.")
        if skipped:
            days = count_of(len(skipped), "day")
            st.warning(f"Missing in all figures: {days} that cannot be read.")
        return
    for text in [*([loss.text] if loss else []), *skipped]:
        left_out = f"Missing in all figures: {text}"
        st.warning(widgets.plain(data_service().addressed(left_out)))


@st.fragment(run_every=LOOK_AGAIN)
def _watch(
    name: str,
    state: Callable[[str], State],
    shown: State,
) -> None:
    """Draw the page again when the *state* of the system *name* is not as *shown*."""
    if state(name) != shown:
        st.rerun()
