"""A draft of the settings file: its text, with a word on each key."""

from collections.abc import Sequence
from typing import NamedTuple

from bikecollect.core.text import visible_toml
from bikecollect.setup.settings import Mail, System

UNKNOWN_ZONE = "Area/City"


class NewSystem(NamedTuple):
    """A system for the file; without a feed the catalogue knows it. *title*: of people.

    Its headers' values are still to be filled in.
    """

    system_id: str
    system: System = System()
    title: str = ""


def system_table(new: NewSystem) -> str:
    """Return the table of one system.

    >>> print(system_table(NewSystem("youbike-taipei")), end="")
    [systems.youbike-taipei]
    """
    system = new.system
    key = new.system_id if "." not in new.system_id else quoted(new.system_id)
    lines = [f"[systems.{key}]"]
    if system.feed:
        lines += [f"feed = {quoted(system.feed)}", f"url = {quoted(system.url)}"]
        zone = quoted(system.timezone or UNKNOWN_ZONE)
        note = "" if system.timezone else "  # the feed does not say: fill it in"
        lines.append(f"timezone = {zone}{note}")
    if system.headers:
        pairs = ", ".join(f'{quoted(each)} = "..."' for each in system.headers)
        lines.append(f"headers = {{{pairs}}}  # fill in; the file must be 0600 then")
    return "\n".join(lines) + "\n"


def settings_text(
    systems: Sequence[NewSystem], *, data_dir: str = "", mail: Mail | None = None
) -> str:
    """Return the whole file for *systems*; an empty *data_dir* is the default."""
    parts = [HEAD, _folder(data_dir), INTERVAL]
    for each in systems:
        title = f"# {each.title}\n" if each.title and each.title.isprintable() else ""
        parts.append(title + system_table(each))
    parts.append(_mail(mail) if mail and mail.host else NO_MAIL)
    return "\n".join([*parts, KEEP])


def quoted(text: str) -> str:
    r"""Return *text* as a string of TOML.

    >>> quoted('a "b" \\')
    '"a \\"b\\" \\\\"'
    """
    return visible_toml(text)


def _folder(data_dir: str) -> str:
    if not data_dir:
        return DEFAULT_FOLDER
    return f"# Where the files go.\ndata_dir = {quoted(data_dir)}\n"


def _mail(mail: Mail) -> str:
    lines = [
        "# Whom to tell when slots are lost.",
        "[mail]",
        f"host = {quoted(mail.host)}",
        f"port = {mail.port}",
        f"security = {quoted(mail.security)}          # starttls, tls or none",
    ]
    if mail.user:
        lines.append(f"user = {quoted(mail.user)}")
    if mail.password_file:
        lines.append(f"password_file = {quoted(mail.password_file)}  # mode 0600")
    lines.append(f"sender = {quoted(mail.sender)}")
    lines.append(f"to = [{', '.join(map(quoted, mail.to))}]")
    return "\n".join(lines) + "\n"


HEAD = """\
# The settings of bikecollect, written by `bikecollect init`.
# Every key is told of in docs/reference/settings.md; an unknown one is an error.
"""
DEFAULT_FOLDER = """\
# Where the files go; this is the default.
# data_dir = "~/.local/share/bikecollect"
"""
INTERVAL = """\
# The length of a slot. The crontab goes by it: after a change, run
# `bikecollect schedule install` again.
interval = "5min"
"""
NO_MAIL = """\
# Whom to tell when slots are lost; nobody is told without it.
# [mail]
# host = "smtp.example.org"
# port = 587
# security = "starttls"
# user = "me"
# password_file = "smtp-password"   # a file of mode 0600
# sender = "bikes@example.org"
# to = ["me@example.org"]
"""
KEEP = """\
[keep]
payload_days = 7        # the publisher's own bytes, as they came
csv_days = 7            # a day's CSV, after it went into the archive
"""
