"""Streamlit with nothing on it: what every page pays."""

import streamlit as st

st.title("Nothing")
