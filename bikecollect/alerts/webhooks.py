"""Alert channels other than mail: ping, webhook and command, each with a deadline."""

import errno
import subprocess
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bikecollect.core.errors import FeedError
from bikecollect.core.process import DeadlineError, NoThreadError, deadline

DEADLINE = 10.0
AGENT = {"User-Agent": "bikecollect"}


def ping_address(url: str, suffix: str) -> str:
    """Return *url* with *suffix* (``start``, or an exit code) appended to its path.

    The protocol of healthchecks: https://healthchecks.io/docs/http_api/

    >>> ping_address("https://hc.example.org/uuid?a=1", "start")
    'https://hc.example.org/uuid/start?a=1'
    """
    if not suffix:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{suffix}"))


def ping(url: str, suffix: str, *, seconds: float = DEADLINE) -> str:
    """Request *url* with *suffix*; return the error, empty if there was none."""
    address = ping_address(url, suffix)
    return _error_of(lambda: _request("GET", address, seconds), seconds)


def post(url: str, text: str, *, seconds: float = DEADLINE) -> str:
    """Send *text* to a webhook in Slack's format; return the error, empty if none."""
    body = {"text": slack(text)}
    return _error_of(lambda: _request("POST", url, seconds, body), seconds)


def slack(text: str) -> str:
    """Return *text* with mentions and links of Slack disabled.

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
    """Run *argv* with *text* on its stdin; return the error, empty if there was none.

    Its output is discarded. After *seconds* it is killed, together with the processes
    in its group.
    """
    import os  # only if there is something to report
    import signal  # only if there is something to report

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
        return f"cannot run {argv[0]}: {_why_not_run(argv[0], error)}"
    try:
        process.communicate(text.encode("utf-8", "backslashreplace"), timeout=seconds)
    except subprocess.TimeoutExpired:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError as error:  # such as `sudo`, which belongs to root
            return f"{argv[0]} timed out, and cannot be killed: {error.strerror}"
        process.wait()
        return f"{argv[0]} timed out after {seconds:.0f} s and was killed"
    code = process.returncode
    if code < 0:
        return f"{argv[0]} was killed by signal {-code}"
    return f"{argv[0]} exited with {code}" if code else ""


def _why_not_run(program: str, error: Exception) -> str:
    """Return the *error* of a *program* in the words of an operator."""
    if isinstance(error, FileNotFoundError) and Path(program).exists():
        return 'its first line ("#!...") names no program; has it CR LF line ends?'
    if isinstance(error, FileNotFoundError) and " " in program:
        return "there is no such program; give each word as a text of its own"
    if getattr(error, "errno", None) == errno.ENOEXEC:
        return 'its first line is not "#!" with a program, such as "#!/bin/sh"'
    return getattr(error, "strerror", None) or str(error)


def _error_of(request: Callable[[], str], seconds: float) -> str:
    try:
        return deadline(request, seconds)
    except NoThreadError as error:
        return str(error)
    except DeadlineError:
        return f"timed out after {seconds:.0f} s"
    except FeedError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - reported, never raised
        return type(error).__name__


def _request(
    method: str, url: str, seconds: float, body: Mapping[str, str] | None = None
) -> str:
    from bikecollect.feeds.http.connection_errors import translated  # takes 60 ms
    from bikecollect.feeds.http.session import session

    # The body is not read.
    try:
        with (
            session() as http,
            http.request(
                method,
                url,
                json=body,
                timeout=seconds,
                headers=AGENT,
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            status = response.status_code
            if status < HTTPStatus.MULTIPLE_CHOICES:
                return ""
            moved = ", a redirect; correct the address" if response.is_redirect else ""
            return f"HTTP {status}{moved}"
    except Exception as error:
        # The address is a secret, and exceptions of requests contain it.
        raise translated(error, _server(url)) from error


def _server(url: str) -> str:
    """Return the part of *url* that is no secret.

    >>> _server("https://me:pw@hooks.example.org:8443/services/T0/B1234")
    'https://hooks.example.org:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
