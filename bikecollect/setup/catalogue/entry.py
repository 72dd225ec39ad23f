"""An entry of the catalogue: a system, its feed, and how to access it."""

import re
from typing import NamedTuple

CLIENT = "oauth2-client"
"""The type of authentication by OAuth2 client credentials."""
BUILT_IN, WORLD = "built-in", "world"


class Entry(NamedTuple):
    """A system: its id, name, place and operator, and its feed.

    The fields from *website* on are those of MobilityData's list; *stations* says
    whether the feed has stations, None until it was checked.
    """

    system_id: str
    name: str
    city: str
    country: str
    operator: str
    timezone: str
    feed: str
    url: str
    website: str = ""
    versions: tuple[str, ...] = ()
    auth_type: str = ""
    auth_parameter: str = ""
    auth_info: str = ""
    stations: bool | None = None
    source: str = BUILT_IN


def requires_key(entry: Entry) -> bool:
    """Return whether the feed of *entry* cannot be read without credentials."""
    return entry.auth_type not in {"", "0"} or bool(entry.auth_parameter)


def is_header_key(entry: Entry) -> bool:
    """Return whether the key of *entry* is sent in a header, not in the address.

    MobilityData's types are 1 (a parameter of the address) and 2 (a header); types in
    words are recognised too.
    """
    kind = entry.auth_type.casefold()
    return kind == "2" or any(word in kind for word in ("header", "bearer", "oauth"))


def key_header(entry: Entry) -> list[str]:
    """Return the name of the header for the key of *entry*, empty if there is none."""
    if entry.auth_type == CLIENT or not (requires_key(entry) and is_header_key(entry)):
        return []
    parameter = entry.auth_parameter
    return [parameter if re.fullmatch(r"[A-Za-z0-9-]+", parameter) else "Authorization"]


def access_text(entry: Entry) -> str:
    """Return what a user needs to access the feed of *entry*, empty if nothing.

    >>> access_text(Entry("x", "", "", "", "", "", "gbfs", "", auth_type="1"))
    'a key in the address: add ?PARAMETER=KEY to url'
    """
    if not requires_key(entry):
        return ""
    parameter = entry.auth_parameter
    if entry.auth_type == CLIENT:
        text = "a client id and a client secret, in [systems.NAME.oauth2]"
    elif is_header_key(entry):
        name = key_header(entry)[0]
        text = f'a key in a header: headers = {{"{name}" = "KEY"}}'
    else:
        text = f"a key in the address: add ?{parameter or 'PARAMETER'}=KEY to url"
    return f"{text}; get one at {entry.auth_info}" if entry.auth_info else text
