"""Serves the app: python -m bikecollect.app run PAGE [FLAG]... (see ``cli/app.py``)."""

import threading

from streamlit.web import cli

from bikecollect.looking import shared

if __name__ == "__main__":
    threading.Thread(target=shared.warm, daemon=True).start()
    cli.main(prog_name="streamlit")
