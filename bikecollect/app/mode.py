"""The mode of serving the app: public or not, below a path, in a frame."""

import os

import streamlit as st

from bikecollect.app import environment


def is_public() -> bool:
    """Return whether paths, disk usage and error messages are hidden from visitors."""
    return bool(os.environ.get(environment.PUBLIC))


def base_path() -> str:
    """Return the path below which the app is served, without slashes at its ends."""
    return os.environ.get(environment.BASE_PATH, "").strip("/")


def is_embedded() -> bool:
    """Return whether the page is embedded as a figure in a page of another site."""
    return st.context.is_embedded is True
