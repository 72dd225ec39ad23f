"""The script of the app that Streamlit runs (`bikecollect app`)."""

from importlib import import_module
from importlib.resources import files

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from bikecollect.app import widgets

ICON = str(files("bikecollect.app").joinpath("icon.svg"))


def _page(name: str, *, default: bool = False) -> StreamlitPage:
    """Return the page *name*, whose module is imported when it is shown first."""

    def show() -> None:
        import_module(f"bikecollect.app.pages.{name}").page()

    return st.Page(show, title=name.capitalize(), url_path=name, default=default)


st.set_page_config(page_title="bikecollect", page_icon=ICON, layout="wide")
st.html(widgets.STYLE)
page = st.navigation(
    [
        _page("now", default=True),
        _page("station"),
        _page("city"),
        _page("collection"),
    ],
    position="top",
)
widgets.run(page.run)
