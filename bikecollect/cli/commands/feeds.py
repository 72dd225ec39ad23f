"""``bikecollect feeds``: list the catalogue, and try any feed."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import click

from bikecollect.cli.options import Shared, say, say_figures, say_json
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core import process
from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import iso
from bikecollect.core.text import visible, visible_json
from bikecollect.setup import catalogue, feed_access, probe
from bikecollect.setup.catalogue import Entry
from bikecollect.setup.first_run import NewSystem, system_table
from bikecollect.setup.settings import System
from bikecollect.setup.trial import Trial

_form = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: for scripts.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--find",
    "words",
    default="",
    help="Only systems with these words in id, name, city.",
)
@_form
@click.pass_context
def feeds(ctx: click.Context, *, words: str, form: str) -> None:
    """List the systems of the catalogue; show or try a feed."""
    if ctx.invoked_subcommand is not None:
        return
    entries = catalogue.search(words)
    say_figures(_lines(entries) if form == "json" else _table(entries))


@feeds.command()
@click.argument("system_id", metavar="ID")
@_form
def show(system_id: str, *, form: str) -> None:
    """Show the catalogue's entry of the system ID, and its settings."""
    entry = catalogue.find(system_id)
    if entry is None:
        close = ", ".join(e.system_id for e in catalogue.search(system_id)[:5])
        hint = f"did you mean {close}?" if close else "see: bikecollect feeds"
        raise SettingsError(f'"{system_id}" is not in the catalogue; {hint}')
    say_figures(_lines([entry]) if form == "json" else _entry_text(entry))


@feeds.command("try")
@click.argument("query", metavar="ADDRESS|ID")
@click.option(
    "--feed",
    type=click.Choice(["youbike", "gbfs", "citybikes"]),
    default=None,
    help="The dialect; recognized by default.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="Header sent to the feed's own host; @FILE: one header per line.",
)
@_form
@click.pass_context
def try_(
    ctx: click.Context,
    query: str,
    *,
    feed: str | None,
    headers: tuple[str, ...],
    form: str,
) -> None:
    """Fetch and read a feed once and describe it; nothing is written.

    ADDRESS is a gbfs.json or any other file of a GBFS feed, a YouBike list, or a
    CityBikes network. Prints the settings to collect it. The ID of a configured
    system is tried exactly like `fetch` does.
    """
    stop = process.Stop()
    process.listen(stop)
    extra_headers = feed_access.headers(headers)
    system = None
    if "://" not in query:
        system = ctx.ensure_object(Shared).settings().systems.get(query)
    if system is None:
        like = replace(probe.DEFAULTS, feed=feed or "", headers=extra_headers)
        trial = probe.try_feed(query, stop=stop, like=like)
    else:
        like = replace(system, headers={**system.headers, **extra_headers})
        like = replace(like, feed=feed or system.feed)
        trial = probe.try_system(query, like, stop=stop)
    if form == "json":
        say_json(_json(trial))
    else:
        say(_trial_text(trial))


def _table(entries: list[Entry]) -> str:
    if not entries:
        return (
            "No such system in the catalogue. Try the address of a feed:\n"
            "  bikecollect feeds try https://...\n"
        )
    lines = [
        f"{entry.system_id:<21} {entry.city:<15} {entry.country}  {entry.name}"
        for entry in entries
    ]
    head = f"{'id':<21} {'city':<15} {'in'}  name"
    return "\n".join([head, *lines, ""])


def _entry_text(entry: Entry) -> str:
    return (
        f"{entry.name}, {entry.city} ({entry.country}), run by {entry.operator}\n"
        f"dialect:   {entry.feed}\ntime zone: {entry.timezone}\naddress:\n"
        f"  {entry.url}\n\nThe settings to collect it:\n\n"
        f"{system_table(NewSystem(entry.system_id))}"
    )


def _lines(entries: list[Entry]) -> str:
    """Return *entries* as JSON, one object per line."""
    keys = {"system_id": "system"}
    return "".join(
        visible_json({keys.get(k, k): v for k, v in entry._asdict().items()}) + "\n"
        for entry in entries
    )


def _facts(trial: Trial) -> dict[str, Any]:
    """Return the facts of *trial* by their JSON keys."""
    snapshot, target = trial.snapshot, trial.target
    zone = ZoneInfo(target.timezone or "UTC")
    stamp, age = snapshot.last_updated, trial.age
    return {
        "system": target.system_id,
        "feed": target.feed,
        "version": trial.about.version or None,
        "url": target.url,
        "name": trial.about.name or None,
        "operator": trial.about.operator or None,
        "timezone": target.timezone or None,
        "stations": len(snapshot.statuses),
        "with": {column: trial.count_stations_with(column) for column in COUNTED},
        "last_updated": None if stamp is None else iso(stamp, zone),
        "age_s": None if age is None else round(age),
        "ttl_s": snapshot.ttl,
        "wire_bytes": trial.wire_bytes,
        "seconds": round(trial.seconds, 2),
        "oddities": list(trial.oddities),
    }


COUNTED = {
    "capacity": "capacity",
    "num_vehicles_available": "vehicles",
    "num_ebikes_available": "e-bikes",
    "num_docks_available": "free docks",
    "is_renting": "renting state",
    "last_reported": "own stamp",
}


def _json(trial: Trial) -> str:
    return visible_json({**_facts(trial), "settings": _settings(trial)}) + "\n"


def _settings(trial: Trial) -> str:
    target, headers = trial.target, dict.fromkeys(trial.headers, "...")
    system = System(headers=headers)
    if not target.in_catalogue:
        system = replace(
            system, feed=target.feed, url=target.url, timezone=target.timezone
        )
    return system_table(NewSystem(target.system_id, system))


def _trial_text(trial: Trial) -> str:
    facts = _facts(trial)
    dialect = " ".join(filter(None, (facts["feed"], facts["version"])))
    age = facts["age_s"]
    stamp = "none" if age is None else f"{facts['last_updated']}, {age} s old"
    ttl = "none" if facts["ttl_s"] is None else f"{facts['ttl_s']} s"
    rows = [
        ("dialect", dialect),
        ("name", facts["name"]),
        ("operator", facts["operator"]),
        ("time zone", facts["timezone"] or "unknown"),
        ("stations", str(facts["stations"])),
        *((f"  {word}", f"{facts['with'][n]}") for n, word in COUNTED.items()),
        ("stamp", stamp),
        ("ttl", ttl),
        ("fetched in", f"{facts['seconds']} s, {facts['wire_bytes']:,} bytes"),
    ]
    lines = [f"{name + ':':<22}{visible(value)}" for name, value in rows if value]
    for oddity in facts["oddities"]:
        lines += wrapped(visible(oddity), "note: ", "      ")
    return "\n".join([*lines, "", "The settings to collect it:", "", _settings(trial)])
