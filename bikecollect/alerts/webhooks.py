"""Other ways of telling: a ping, a webhook, a command; each bounded in time."""

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

DEADLINE = 10.0
AGENT = {"User-Agent": "bikecollect"}


def ping_address(url: str, sign: str) -> str:
    """Return *url* with *sign* (start, or an exit code) behind its path.

    The protocol of healthchecks: https://healthchecks.io/docs/http_api/

    >>> ping_address("https://hc.example.org/uuid?a=1", "start")
    'https://hc.example.org/uuid/start?a=1'
    """
    if not sign:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{sign}"))


def ping(url: str, sign: str, *, seconds: float = DEADLINE) -> str:
    """Ask *url* for *sign*; return what went wrong, empty where nothing did."""
    return within(seconds, lambda: _request("GET", ping_address(url, sign), seconds))


def post(url: str, text: str, *, seconds: float = DEADLINE) -> str:
    """Send *text* to a webhook in Slack's form; return what went wrong."""
    body = {"text": slack(text)}
    return within(seconds, lambda: _request("POST", url, seconds, body))


def slack(text: str) -> str:
    """Return *text* such that no part of it is a mention or a labelled link.

    https://docs.slack.dev/messaging/formatting-message-text: three characters are
    escaped, and no others.

    >>> slack("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def command(
    argv: Sequence[str],
    text: str,
    variables: Mapping[str, str],
    *,
    seconds: float = DEADLINE,
) -> str:
    """Run *argv* with *text* on its stdin; return what went wrong.

    Its output goes nowhere. What has not ended after *seconds* is killed, together
    with the processes that it started in its group.
    """
    import os  # only when there is something to tell
    import signal  # only when there is something to tell

    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"cannot run {argv[0]}: {error}"
    try:
        process.communicate(text.encode("utf-8", "backslashreplace"), timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"{argv[0]} did not end within {seconds:.0f} s and was killed"
    code = process.returncode
    return f"{argv[0]} ended with {code}" if code else ""


def within(seconds: float, act: Callable[[], str]) -> str:
    """Return what *act* returns, or that it took longer than *seconds*."""
    said: list[str] = []

    def labour() -> None:
        try:
            said.append(act())
        except Exception as error:  # noqa: BLE001 - told, never raised
            said.append(type(error).__name__)

    thread = threading.Thread(target=labour, daemon=True)
    thread.start()
    thread.join(seconds)
    return said[0] if said else f"no answer within {seconds:.0f} s"


def _request(
    method: str, url: str, seconds: float, body: Mapping[str, str] | None = None
) -> str:
    from bikecollect.feeds.http.session import (  # 60 ms
        session,
    )

    # The address is a secret (who has it can ping or post), and requests puts it
    # into its exceptions: only their class is told. No body is read, of no status.
    with (
        session() as asking,
        asking.request(
            method,
            url,
            json=body,
            timeout=seconds,
            headers=AGENT,
            allow_redirects=False,
            stream=True,
        ) as answer,
    ):
        good = answer.status_code < HTTPStatus.MULTIPLE_CHOICES
        return "" if good else f"HTTP {answer.status_code}"
