"""Inputs of pages; what the user chose is in the address, and comes back with Back."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any, Literal

import streamlit as st

from bikecollect.app.frames import Span
from bikecollect.app.widgets import days, last_day

RANGES = {"7 days": 7, "28 days": 28, "90 days": 90, "365 days": 365, "All": 0}
OWN = "Custom dates"
MAX_COUNT = 100
"""The highest minimum of a filter."""


def views(known: dict[str, Any]) -> str:
    """Return the name of the view, chosen by the user from *known*."""
    return segments("View", "view", list(known))


def segments(
    title: str,
    key: str,
    options: Sequence[str],
    *,
    label: Literal["visible", "collapsed"] = "collapsed",
) -> str:
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
        label_visibility=label,
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


def number(title: str, key: str) -> int:
    """Return the number typed by the user, 0 at first, like `segments`."""
    known = [str(count) for count in range(MAX_COUNT + 1)]
    current = int(_requested(key, "0", known))
    chosen = st.number_input(title, 0, MAX_COUNT, current, key=fresh(key, str(current)))
    return int(_noted(key, str(current), str(chosen)))


def several(
    title: str,
    key: str,
    options: Sequence[str],
    default: Iterable[str] = (),
    **more: Any,
) -> list[str]:
    """Return those of *options* that the user chose, like `segments`.

    *more* is for the input.
    """
    requested = st.query_params.get_all(key) if key in st.query_params else default
    current = [option for option in requested if option in options]
    current = current[: more.get("max_selections")]
    chosen = st.multiselect(
        title, options, current, key=fresh(key, "\n".join(current)), **more
    )
    if chosen != current:
        showing(key, "\n".join(chosen))
        st.query_params[key] = chosen or ""
    return chosen


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
