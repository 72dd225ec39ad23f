"""``bikecollect app``: the data app, served on this machine."""

from typing import TYPE_CHECKING

import click

from bikecollect.cli.options import Shared

if TYPE_CHECKING:
    from bikecollect.setup.settings import Settings

BLUE, SKY = "#0072B2", "#56B4E9"
"""Of what is chosen: red would look like trouble (Okabe and Ito's blues)."""


@click.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Nobody is asked for a password: to look from elsewhere, "
    "rather use ssh -L 8501:localhost:8501.",
)
@click.option("--system", "system_id", help="Show only this system.")
@click.pass_context
def app(ctx: click.Context, *, port: int, host: str, system_id: str | None) -> None:
    """Serve the data app: maps and charts of the history, in a browser.

    It only reads. Ctrl-C ends it. Needs: pip install 'bikecollect[app]'
    """
    import os  # noqa: PLC0415 - only here
    import sys  # noqa: PLC0415 - only here

    settings = ctx.ensure_object(Shared).settings()
    if system_id:
        settings.chosen([system_id])
    _check(host, port)
    place = f"[{host}]" if ":" in host else host
    env = _environment(settings, system_id)
    env["BIKECOLLECT_APP_ADDRESS"] = f"http://{place}:{port}"
    os.execve(sys.executable, _command(host, port), env)  # noqa: S606 - our own interpreter


def _check(host: str, port: int) -> None:
    """Raise what says why the app cannot be served."""
    import socket  # noqa: PLC0415 - only here
    from importlib.util import find_spec  # noqa: PLC0415 - only here

    from bikecollect.core.errors import (  # noqa: PLC0415 - as above
        NotInstalled,
        UsageError,
    )

    if find_spec("streamlit") is None:
        raise NotInstalled(
            "the data app needs Streamlit; run: pip install 'bikecollect[app]'"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}; "
            "choose another with --port or --host"
        ) from error


def _command(host: str, port: int) -> list[str]:
    import sys  # noqa: PLC0415 - only here
    from importlib.resources import files  # noqa: PLC0415 - only here

    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "logger.hideWelcomeMessage": "true",
        "logger.level": "warning",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "runner.magicEnabled": "false",
        "theme.light.primaryColor": BLUE,
        "theme.dark.primaryColor": SKY,
    }
    page = str(files("bikecollect").joinpath("app/main.py"))
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "bikecollect.app", "run", page, *flags]


def _environment(settings: "Settings", system_id: str | None) -> dict[str, str]:
    import os  # noqa: PLC0415 - only here

    env = dict(os.environ)
    if settings.source:
        env["BIKECOLLECT_CONFIG"] = settings.source
    if system_id:
        env["BIKECOLLECT_APP_SYSTEM"] = system_id
    return env
