"""A probe: what is at an address, found out by asking it once."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from bikecollect import catalogue
from bikecollect.client import Client
from bikecollect.errors import BikecollectError, FeedError, PayloadError, UsageError
from bikecollect.feeds import registry
from bikecollect.payload import Fetched, Memory
from bikecollect.policy import Budget
from bikecollect.process import Stop
from bikecollect.snapshot import Snapshot
from bikecollect.words import length

SECONDS = 30
"""Half of it is the time for all tries: somebody waits for the answer."""
DIALECTS = ("gbfs", "youbike", "citybikes")


@dataclass(frozen=True)
class Found:
    """What is at *url*: a feed of the dialect *feed*, and a snapshot of it.

    *version* is GBFS's, empty for others. *name* and *timezone* are the catalogue's
    or the publisher's words, empty where nobody says. *date* is the server's clock.
    """

    url: str
    feed: str
    snapshot: Snapshot
    fetched_at: float
    size: int
    requests: int
    seconds: float
    version: str = ""
    system_id: str = ""
    name: str = ""
    timezone: str = ""
    date: float | None = None


def probe(
    target: str,
    *,
    timezone: str = "",
    headers: Mapping[str, str] | None = None,
    feed: str = "",
    stop: Stop | None = None,
) -> Found:
    """Return what is at *target*, an address or the id of a system we know.

    Nothing is written. Raises FeedError where nothing answers, PayloadError where
    no dialect understands the answer, with what each of them had to say.
    """
    entry = catalogue.find(target)
    url = entry.url if entry else target
    if not re.match(r"https?://[^/\s]+", url):
        raise UsageError(
            f'"{target}" is neither an address (https://...) nor a system of the '
            "catalogue; see: bikecollect feeds"
        )
    known = feed or (entry.feed if entry else "")
    said = []
    for dialect in (known,) if known else DIALECTS:
        try:
            found = _ask(url, dialect, timezone or _zone(entry), headers, stop)
        except PayloadError as error:
            said.append(f"as {dialect}: {error}")
        except FeedError as error:
            if error.cause != "no-stations" and not said:
                raise
            said.append(f"as {dialect}: {error}")
        else:
            return _named(found, entry)
    raise PayloadError(f"no dialect understands {url}; " + "; ".join(said))


def _zone(entry: catalogue.Entry | None) -> str:
    return entry.timezone if entry else ""


def _ask(
    url: str,
    dialect: str,
    timezone: str,
    headers: Mapping[str, str] | None,
    stop: Stop | None,
) -> Found:
    client = Client(
        budget=Budget.for_interval(SECONDS), stop=stop or Stop(), headers=headers
    )
    timezone = timezone or (catalogue.TAIPEI if dialect == "youbike" else "")
    zone = ZoneInfo(timezone or "UTC")
    source = registry.build(dialect, url=url, timezone=zone, language="", mapping={})
    begun = time.monotonic()
    try:
        fetched = source.fetch(client, Memory(now=time.time()))
        snapshot = source.read(fetched.documents)
        if not snapshot.statuses:
            raise PayloadError("it lists no stations")
        about = _about(client, fetched) if dialect == "gbfs" else {}
    finally:
        client.close()
    return Found(
        url=url,
        feed=dialect,
        snapshot=snapshot,
        fetched_at=fetched.documents[-1].fetched_at,
        date=next((d.date for d in fetched.documents if d.date is not None), None),
        size=sum(len(each.body) for each in fetched.documents),
        requests=len(client.attempts),
        seconds=time.monotonic() - begun,
        version=about.get("version", ""),
        system_id=about.get("system_id", ""),
        name=about.get("name", ""),
        timezone=timezone or about.get("timezone", ""),
    )


def _about(client: Client, fetched: Fetched) -> dict[str, str]:
    """Return what a GBFS system says of itself; nothing of it is needed."""
    from bikecollect.feeds.decode import at, decode  # noqa: PLC0415 - only here
    from bikecollect.feeds.gbfs import addresses  # noqa: PLC0415 - only here

    found = {}
    try:
        body = next(each.body for each in fetched.documents if each.name == "gbfs")
        root = decode(body)
        found["version"] = str(at(root, "version") or "1.x")
        address = addresses(root, "").get("system_information")
        if address:
            data = at(decode(client("about", address, tries=1).body), "data")
            for key in ("system_id", "name", "timezone"):
                found[key] = _text(at(data, key))
    except (BikecollectError, StopIteration):
        return found
    return found


def _text(value: object) -> str:
    """Return a text, or the first of GBFS 3's texts by language."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0].get("text")
    return value if isinstance(value, str) else ""


def _named(found: Found, entry: catalogue.Entry | None) -> Found:
    if entry is None:
        return found
    return replace(
        found, system_id=entry.system_id, name=entry.name, timezone=entry.timezone
    )


def slug(found: Found) -> str:
    """Return a system id for *found*: its own, or one made from its host."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - only here

    text = found.system_id or found.name or urlsplit(found.url).hostname or "system"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "system"


def oddities(what: Found) -> list[str]:
    """Return what a person should know before collecting this feed."""
    snapshot, odd = what.snapshot, list(what.snapshot.oddities)
    if snapshot.duplicates:
        odd.append(f"{snapshot.duplicates} stations are listed more than once")
    without = sum(each.capacity is None for each in snapshot.information)
    if without:
        odd.append(f"{without} stations have no capacity: no occupancy for them")
    if not snapshot.information:
        odd.append("no names, places and capacities: there is no station information")
    age = seconds_old(what)
    if age is not None and age > 900:  # noqa: PLR2004 - a quarter of an hour
        odd.append(f"its own time stamp is {length(age)} old")
    if age is not None and age < -60:  # noqa: PLR2004 - a minute
        odd.append(f"its own time stamp lies {length(-age)} in the future")
    if what.fetched_at and not what.timezone:
        odd.append("it does not say its time zone: days would be cut in UTC")
    return odd


def seconds_old(what: Found) -> float | None:
    """Return the age of the feed's own time stamp at the fetch, in seconds."""
    stamp = what.snapshot.last_updated
    return None if stamp is None else what.fetched_at - stamp
