"""The tables ``[mail]``, ``[ping]`` and the like, for all systems."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bikecollect.setup.tables.declaration import key

if TYPE_CHECKING:
    from bikecollect.alerts.mail.smtp import Server

MAX_PORT = 65_535
TILES = re.compile(
    r"https?://[\w.:-]+/(?=.*\{z\})(?=.*\{x\})(?=.*\{y\})[\w./{}@?=&%-]+", re.ASCII
)
"""Valid addresses of tiles: without characters that could end a directive of the
Content-Security-Policy, in which their host is named."""


@dataclass(frozen=True, eq=False, repr=False)
class Mail:
    """``[mail]``: the mail server and the recipients of alerts."""

    host: str = key("mail server", "")
    port: int = key("port", 587, kind=int)
    security: str = key("starttls, tls or none", "starttls")
    user: str = key("user name for the login", "")
    password_file: str = key("file with the password, mode 0600", "")
    sender: str = key("From address", "")
    to: list[str] = key("recipients", [], kind=list)
    escalate_to: list[str] = key(
        "more recipients for incidents that last an hour", [], kind=list
    )
    after: int = key("slots lost before the first mail about them", 1, kind=int)
    quiet: str = key('times of the day at which mails wait, such as "23:00-07:00"', "")
    timezone: str = key(
        "IANA time zone of the times in mails; default: this machine's", ""
    )
    digest: str = key("summary by mail: daily or weekly; default: none", "")
    ca_bundle: str = key("file of trusted certificates instead of the system's", "")

    @property
    def server_problem(self) -> str:
        """Why no server can have this host and port, empty if one can."""
        if not 1 <= self.port <= MAX_PORT:
            return f"mail.port must be from 1 to {MAX_PORT}"
        if self.host.count(":") == 1 or re.search(r"[\s/@[\]]", self.host):
            return (
                "mail.host must be only the name of a server, such as "
                '"smtp.example.org", or an address without brackets; its port is '
                "mail.port"
            )
        return ""


@dataclass(frozen=True, eq=False, repr=False)
class Ping:
    """``[ping]``: a dead-man switch with the protocol of healthchecks.io."""

    url: str = key(
        "requested after each run; after a failed one with /EXITCODE appended", ""
    )
    start: bool = key(
        "request URL/start at the start of a run", default=False, kind=bool
    )


@dataclass(frozen=True, eq=False, repr=False)
class Tell:
    """``[tell]``: alert channels other than mail, and muted kinds."""

    webhook: str = key("address that accepts Slack's JSON; a secret: mode 0600", "")
    command: list[str] = key(
        "program and arguments, run with the text on stdin", [], kind=list
    )
    mute: list[str] = key("kinds of incidents without alerts", [], kind=list)


@dataclass(frozen=True, eq=False, repr=False)
class Log:
    """``[log]``: the log file beside each system's data."""

    format: str = key("text or json", "text")
    max_bytes: int = key("size limit of a file", 1_000_000, kind=int)
    files: int = key("number of older files kept", 4, kind=int)


@dataclass(frozen=True, eq=False, repr=False)
class Keep:
    """``[keep]``: how long files are kept."""

    payload_days: int = key("days for which payloads are kept", 7, kind=int)
    csv_days: int = key("days for which a compacted day's CSV is kept", 7, kind=int)


@dataclass(frozen=True, eq=False, repr=False)
class Collect:
    """``[collect]``: a call for many systems."""

    workers: int = key("processes for 128 systems or more; default: cores", 0, kind=int)


@dataclass(frozen=True, eq=False, repr=False)
class App:
    """``[app]``: the data app."""

    tiles: str = key(
        "background of the map: an address with {z}, {x} and {y}; the browser of each "
        "visitor then contacts that host, which can see where they look",
        "",
    )
    attribution: str = key(
        "the attribution that the publisher of the tiles requires", ""
    )

    @property
    def problem(self) -> str:
        """Why the tiles cannot be used, empty if they can."""
        if self.tiles and not TILES.fullmatch(self.tiles):
            example = "https://tiles.example.org/{z}/{x}/{y}.png"
            return f'app.tiles must be an address such as "{example}"'
        if self.tiles and not self.attribution:
            return "app.attribution is missing: it is required with app.tiles"
        return ""


def server(mail: Mail, password: str, error: str = "") -> "Server":
    """Return the mail server of *mail*; for *error* see `Server`."""
    from bikecollect.alerts.mail.smtp import Server  # only for mails

    login = mail.user, password
    return Server(mail.host, mail.port, mail.security, *login, mail.ca_bundle, error)


@dataclass(frozen=True, eq=False, repr=False)
class ArchiveTable:
    """``[archive]``: the copy of the archive in an object store."""

    mirror: str = key(
        "where closed days are copied to, such as s3://bucket/prefix, gs://, az:// or "
        "file:///folder; credentials are read from the environment and the usual files",
        "",
    )


SECTIONS = {
    "mail": Mail,
    "ping": Ping,
    "tell": Tell,
    "log": Log,
    "keep": Keep,
    "collect": Collect,
    "app": App,
    "archive": ArchiveTable,
}
"""The tables by their names."""
