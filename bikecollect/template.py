"""The settings file that ``init`` writes, with a word on every line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One system: its id and, where the catalogue does not know it, the rest."""

    system_id: str
    feed: str = ""
    url: str = ""
    timezone: str = ""
    name: str = ""


@dataclass(frozen=True)
class MailChoice:
    """Whom to tell; *password_file* is empty where no login is needed."""

    to: Sequence[str] = ()
    host: str = ""
    port: int = 587
    user: str = ""
    sender: str = ""
    password_file: str = ""


HEAD = """\
# The settings of bikecollect; every key: bikecollect's docs/reference/settings.md
# Check them with: bikecollect doctor
"""
NO_MAIL = """
# Uncomment to be told of trouble by mail; see docs/how-to/be-told.md
# [mail]
# host = "smtp.example.org"
# port = 587
# security = "starttls"              # or tls (port 465)
# user = "me"
# password_file = "smtp-password"    # beside this file, mode 0600
# sender = "bikes@example.org"
# to = ["me@example.org"]
"""
PING = """
# A dead-man switch that speaks the protocol of healthchecks:
# [ping]
# url = "https://hc.example.org/your-uuid"
"""


def text(
    systems: Sequence[Choice], *, data_dir: str, interval: str, mail: MailChoice
) -> str:
    """Return the settings file for *systems*."""
    parts = [HEAD, _top(data_dir, interval)]
    parts += [_system(each) for each in systems]
    parts.append(_mail(mail) if mail.host else NO_MAIL)
    parts.append(PING)
    return "".join(parts)


def _top(data_dir: str, interval: str) -> str:
    lines = []
    if data_dir:
        lines.append(f"data_dir = {_quoted(data_dir)}    # the folder of all data")
    else:
        lines.append('# data_dir = "/srv/bikes"    # default: your data folder')
    lines.append(f"interval = {_quoted(interval)}    # one snapshot in each")
    return "\n" + "".join(f"{line}\n" for line in lines)


def _system(choice: Choice) -> str:
    lines = [f"\n[systems.{choice.system_id}]"]
    if choice.name:
        lines[0] += f"    # {choice.name}"
    if choice.url:
        lines += [f"feed = {_quoted(choice.feed)}", f"url = {_quoted(choice.url)}"]
        lines.append(f"timezone = {_quoted(choice.timezone)}    # cuts the days")
    return "".join(f"{line}\n" for line in lines)


def _mail(mail: MailChoice) -> str:
    security = "tls" if mail.port == 465 else "starttls"  # noqa: PLR2004 - submissions
    lines = [
        "[mail]",
        f"host = {_quoted(mail.host)}",
        f"port = {mail.port}",
        f"security = {_quoted(security)}",
    ]
    if mail.user:
        lines.append(f"user = {_quoted(mail.user)}")
        lines.append(f"password_file = {_quoted(mail.password_file)}")
    lines.append(f"sender = {_quoted(mail.sender)}")
    lines.append(f"to = [{', '.join(_quoted(each) for each in mail.to)}]")
    lines.append('# escalate_to = ["boss@example.org"]    # after an hour')
    lines.append('# digest = "daily"    # or "weekly": a summary, also of good days')
    return "\n" + "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    """Return *value* as a text of TOML, whose escapes are those of JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
