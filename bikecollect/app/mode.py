"""The mode of serving the app: public or not, below a path, in a frame."""

import os

import streamlit as st

from bikecollect.app.queries.current import PUBLIC

BASE_PATH = "BIKECOLLECT_APP_BASE_PATH"
"""The environment variable with the path below which the app is served."""


def is_public() -> bool:
    """Return whether paths, disk usage and error messages are hidden from visitors."""
    return bool(os.environ.get(PUBLIC))


def base_path() -> str:
    """Return the path below which the app is served, without slashes at its ends."""
    return os.environ.get(BASE_PATH, "").strip("/")


def is_embedded() -> bool:
    """Return whether the page is embedded as a figure in a page of another site."""
    return st.context.is_embedded is True
