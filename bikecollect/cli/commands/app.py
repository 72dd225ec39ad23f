"""``bikecollect app``: the data app, served on this machine."""

import os
import re
import signal
import socket
import sys
from importlib.util import find_spec

import click

from bikecollect.app import environment
from bikecollect.cli.completion import complete_configured
from bikecollect.cli.options import Shared
from bikecollect.core.errors import NotInstalled, UsageError
from bikecollect.setup import settings_file
from bikecollect.setup.settings import Settings

LOOPBACK = ("localhost", "127.", "::1")
EXPOSED = (
    "everyone who can reach this machine can use the app, without a password or "
    "encryption; it is safer to listen on 127.0.0.1 and use ssh -L 8501:localhost:8501"
)


@click.command()
@click.option(
    "--port",
    default=8501,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port to listen on.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. There is no password: from another machine, use "
    "ssh -L 8501:localhost:8501 instead.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="Additional host name of the app in requests, such as that of a reverse "
    "proxy; repeatable. This machine's names and addresses always work.",
)
@click.option(
    "--public",
    is_flag=True,
    help="For the public: hide paths, disk, runs, incidents and error "
    "messages; allow other sites to show its pages in frames.",
)
@click.option(
    "--base-path",
    default="",
    metavar="PATH",
    help="Path of the pages behind a reverse proxy, such as /bikes.",
)
@click.option(
    "--system",
    "system_id",
    help="Show only this system.",
    shell_complete=complete_configured,
)
@click.pass_context
def app(
    ctx: click.Context,
    *,
    port: int,
    host: str,
    names: tuple[str, ...],
    public: bool,
    base_path: str,
    system_id: str | None,
) -> None:
    """Serve the data app: maps and charts, in a browser.

    The app only reads. Ctrl-C stops it. Requires the extra `app`; if that is missing,
    the command to install it is printed.
    """
    settings = ctx.ensure_object(Shared).settings()
    if system_id:
        settings.chosen([system_id])
    if not host.startswith(LOOPBACK):
        click.echo(f"bikecollect: warning: {EXPOSED}", err=True)
    _check(host, port)
    url_host = f"[{host}]" if ":" in host else host
    env = _environment(settings, system_id)
    path = _base_path(base_path)
    env[environment.ADDRESS] = f"http://{url_host}:{port}{path}"
    env[environment.BASE_PATH] = path
    env[environment.PUBLIC] = "1" if public else ""
    # Streamlit reads settings from the current folder; only root can write to this
    # one. -P: nothing is imported from there.
    os.chdir("/")
    # A Ctrl-C waits until the app has a handler; Python's own prints a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    arguments = ["-P", "-m", "bikecollect.app", host, str(port), *names]
    os.execve(sys.executable, [sys.executable, *arguments], env)  # noqa: S606 - our own interpreter


def _base_path(text: str) -> str:
    """Return *text* as a path with a slash before each part, empty for none.

    Raises UsageError.
    """
    parts = [part for part in text.split("/") if part]
    if not all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in parts):
        raise UsageError(
            f'--base-path "{text}": use letters, digits, ".", "_" and "-", as in /bikes'
        )
    return "".join(f"/{part}" for part in parts)


def _check(host: str, port: int) -> None:
    """Raise an error if the app cannot be served."""
    if find_spec("streamlit") is None:
        raise NotInstalled(
            "the data app requires Streamlit; run: pip install 'bikecollect[app]'"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}; "
            "choose another with --port or --host"
        ) from error


def _environment(settings: Settings, system_id: str | None) -> dict[str, str]:
    """Return the environment of the server, without settings of Streamlit."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_")}
    if settings.source:
        env[settings_file.VARIABLE] = settings.source
    if system_id:
        env[environment.SYSTEM] = system_id
    # Each page is drawn in another thread; with a heap per thread, memory only grows.
    env.setdefault("MALLOC_ARENA_MAX", "2")
    env.setdefault("OPENBLAS_NUM_THREADS", "1")  # see `packing`; Streamlit needs numpy
    return env
