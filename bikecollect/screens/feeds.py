"""The catalogue and what a probe found, as screens and as JSON."""

import json
import textwrap
from collections.abc import Sequence

from bikecollect.catalogue import Entry
from bikecollect.probe import Found, oddities, seconds_old, slug
from bikecollect.screens.words import WIDTH, title
from bikecollect.words import length, size


def listing(entries: Sequence[Entry]) -> str:
    """Return the catalogue as a table."""
    wide = max((len(each.system_id) for each in entries), default=0)
    lines = [title(f"{'id':<{wide}}  {'feed':<7}  name")]
    lines += [f"{e.system_id:<{wide}}  {e.feed:<7}  {e.name}" for e in entries]
    return "\n".join(lines) + "\n"


def entry(known: Entry) -> str:
    """Return one system of the catalogue."""
    lines = [title(known.system_id), f"  {known.name}", f"  time zone {known.timezone}"]
    lines += [f"  {known.feed}: {known.url}", "", "For your settings:", ""]
    return "\n".join([*lines, f"  [systems.{known.system_id}]", ""])


def found(what: Found) -> str:
    """Return what a probe found, and the settings to paste."""
    snapshot = what.snapshot
    kind = f"GBFS {what.version}" if what.feed == "gbfs" else what.feed
    rows = [
        ("What", f"{kind}{': ' + what.name if what.name else ''}"),
        ("Address", what.url),
        ("Time zone", what.timezone or "not said; give yours"),
        ("Stations", _stations(what)),
        ("Its time", _age(what)),
        ("Asked", _asked(what)),
        ("Fields", ", ".join(snapshot.shape)),
    ]
    lines = []
    for name, value in rows:
        lines += textwrap.wrap(
            f"{name:<11}{value}",
            WIDTH - 1,
            subsequent_indent=" " * 11,
            break_long_words=False,
            break_on_hyphens=False,
        )
    odd = oddities(what)
    lines += ["", "Odd:" if odd else "Nothing odd was found."]
    for each in odd:
        lines += textwrap.wrap(
            each, WIDTH - 1, initial_indent="  - ", subsequent_indent="    "
        )
    lines += ["", "For your settings:", "", textwrap.indent(toml(what), "  ")]
    return "\n".join(lines)


def toml(what: Found, name: str = "") -> str:
    """Return the lines of the settings for *what*."""
    name = name or slug(what)
    lines = [
        f"[systems.{name}]",
        f'feed = "{what.feed}"',
        f"url = {json.dumps(what.url)}",
        f'timezone = "{what.timezone or "UTC"}"',
    ]
    return "\n".join(lines) + "\n"


def as_json(what: Found) -> str:
    """Return what a probe found as one line of JSON."""
    snapshot = what.snapshot
    return json.dumps(
        {
            "url": what.url,
            "feed": what.feed,
            "version": what.version or None,
            "system": slug(what),
            "name": what.name or None,
            "timezone": what.timezone or None,
            "stations": len(snapshot.statuses),
            "dropped": snapshot.dropped,
            "duplicates": snapshot.duplicates,
            "age_s": seconds_old(what),
            "ttl_s": snapshot.ttl,
            "size_bytes": what.size,
            "seconds": what.seconds,
            "fields": dict(snapshot.shape),
            "oddities": oddities(what),
        },
        ensure_ascii=False,
    )


def _stations(what: Found) -> str:
    snapshot = what.snapshot
    bikes = sum(each.num_vehicles_available or 0 for each in snapshot.statuses)
    dropped = f", {snapshot.dropped} cannot be read" if snapshot.dropped else ""
    return f"{len(snapshot.statuses)}{dropped}; {bikes} vehicles available"


def _age(what: Found) -> str:
    age, ttl = seconds_old(what), what.snapshot.ttl
    old = "no time stamp of its own" if age is None else f"{length(abs(age))} old"
    return old if ttl is None else f"{old}; it may change every {ttl} s (ttl)"


def _asked(what: Found) -> str:
    return f"{what.requests} requests, {size(what.size)}, {what.seconds:.1f} s"
