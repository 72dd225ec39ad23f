"""The script of the app that Streamlit runs (`bikecollect app`)."""

from importlib import import_module
from importlib.resources import files

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from bikecollect.app import header, widgets

ICON = str(files("bikecollect.app").joinpath("icon.svg"))


def _page(name: str, *, default: bool = False) -> StreamlitPage:
    """Return the page *name*; its module is imported when it is first shown."""

    def show() -> None:
        import_module(f"bikecollect.app.pages.{name}").page()

    return st.Page(show, title=header.TITLES[name], url_path=name, default=default)


st.set_page_config(page_title="bikecollect", page_icon=ICON, layout="wide")
st.html(widgets.STYLE)
header.follow_settings()
names = [name for name in header.TITLES if name != "systems" or header.has_several()]
pages = {name: _page(name, default=name == "now") for name in names}
st.session_state["pages"] = pages
page = st.navigation(list(pages.values()), position="top")
is_shown = widgets.run(page.run)
if is_shown and page is not pages.get("systems"):  # it has no publisher of its own
    widgets.run(header.source)
