"""The script of the app that Streamlit runs (`bikecollect app`)."""

from importlib.resources import files

import streamlit as st

from bikecollect.app import widgets
from bikecollect.app.pages import city, collection, now, station

ICON = str(files("bikecollect.app").joinpath("icon.svg"))

st.set_page_config(page_title="bikecollect", page_icon=ICON, layout="wide")
st.html(widgets.STYLE)
page = st.navigation(
    [
        st.Page(now.page, title="Now", url_path="now", default=True),
        st.Page(station.page, title="Station", url_path="station"),
        st.Page(city.page, title="City", url_path="city"),
        st.Page(collection.page, title="Collection", url_path="collection"),
    ],
    position="top",
)
widgets.run(page.run)
