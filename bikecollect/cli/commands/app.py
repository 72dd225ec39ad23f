"""``bikecollect app``: the data app, served on this machine."""

import os
import socket
import sys
from importlib.util import find_spec

import click

from bikecollect.cli.options import Shared
from bikecollect.core.errors import NotInstalled, UsageError
from bikecollect.setup.settings import Settings

LOOPBACK = ("localhost", "127.", "::1")
EXPOSED = (
    "the app will answer everyone who can reach this machine, without a password and "
    "unencrypted; rather listen on 127.0.0.1 and use ssh -L 8501:localhost:8501"
)


@click.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Nobody is asked for a password: to look from elsewhere, "
    "rather use ssh -L 8501:localhost:8501.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A host name by which browsers may ask for the app, such as that of a reverse "
    "proxy; repeatable. This machine's names and addresses are known.",
)
@click.option("--system", "system_id", help="Show only this system.")
@click.pass_context
def app(
    ctx: click.Context,
    *,
    port: int,
    host: str,
    names: tuple[str, ...],
    system_id: str | None,
) -> None:
    """Serve the data app: maps and charts of the history, in a browser.

    It only reads. Ctrl-C ends it. Needs the extra `app`: without it, the command that
    installs it is told.
    """
    settings = ctx.ensure_object(Shared).settings()
    if system_id:
        settings.chosen([system_id])
    if not host.startswith(LOOPBACK):
        click.echo(f"bikecollect: warning: {EXPOSED}", err=True)
    _check(host, port)
    place = f"[{host}]" if ":" in host else host
    env = _environment(settings, system_id)
    env["BIKECOLLECT_APP_ADDRESS"] = f"http://{place}:{port}"
    # Streamlit obeys the settings that lie in the current folder; in this one only
    # root can write. -P: and nothing is imported from there.
    os.chdir("/")
    words = ["-P", "-m", "bikecollect.app", host, str(port), *names]
    os.execve(sys.executable, [sys.executable, *words], env)  # noqa: S606 - our own interpreter


def _check(host: str, port: int) -> None:
    """Raise what says why the app cannot be served."""
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


def _environment(settings: Settings, system_id: str | None) -> dict[str, str]:
    """Return the environment of the server: none of it is a setting of Streamlit's."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_")}
    if settings.source:
        env["BIKECOLLECT_CONFIG"] = settings.source
    if system_id:
        env["BIKECOLLECT_APP_SYSTEM"] = system_id
    return env
