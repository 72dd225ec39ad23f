"""``bikecollect feeds``: the catalogue, and a try of any feed."""

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
@click.option("--find", "words", default="", help="Only those of this id, city, name.")
@_form
@click.pass_context
def feeds(ctx: click.Context, *, words: str, form: str) -> None:
    """List the feeds whose address is known; show or try one."""
    if ctx.invoked_subcommand is not None:
        return
    found = catalogue.search(words)
    say_figures(_lines(found) if form == "json" else _table(found))


@feeds.command()
@click.argument("system_id", metavar="ID")
@_form
def show(system_id: str, *, form: str) -> None:
    """Show what the catalogue knows of the system ID, and its settings."""
    entry = catalogue.find(system_id)
    if entry is None:
        near = ", ".join(each.system_id for each in catalogue.search(system_id)[:5])
        hint = f"did you mean {near}?" if near else "see: bikecollect feeds"
        raise SettingsError(f'the catalogue has no "{system_id}"; {hint}')
    say_figures(_lines([entry]) if form == "json" else _shown(entry))


@feeds.command("try")
@click.argument("asked", metavar="ADDRESS|ID")
@click.option(
    "--feed",
    type=click.Choice(["youbike", "gbfs", "citybikes"]),
    default=None,
    help="The dialect; found out by default.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="Sent to the feed's own host; @FILE reads lines of a file.",
)
@_form
@click.pass_context
def try_(
    ctx: click.Context,
    asked: str,
    *,
    feed: str | None,
    headers: tuple[str, ...],
    form: str,
) -> None:
    """Fetch and read a feed once, tell what it is, and write nothing.

    ADDRESS is that of a gbfs.json or any other file of a GBFS feed, of a YouBike
    list, or of a CityBikes network. Prints the settings to collect it by. The ID of
    a system of the settings is tried exactly as `fetch` would ask it.
    """
    stop = process.Stop()
    process.listen(stop)
    more = feed_access.headers(headers)
    system = None
    if "://" not in asked:
        system = ctx.ensure_object(Shared).settings().systems.get(asked)
    if system is None:
        like = replace(probe.ANY, feed=feed or "", headers=more)
        trial = probe.attempt(asked, stop=stop, like=like)
    else:
        like = replace(system, headers={**system.headers, **more})
        like = replace(like, feed=feed or system.feed)
        trial = probe.attempt_system(asked, like, stop=stop)
    if form == "json":
        say_json(_json(trial))
    else:
        say(_told(trial))


def _table(entries: list[Entry]) -> str:
    if not entries:
        return (
            "The catalogue has none of that name; where you know its address, try it:\n"
            "  bikecollect feeds try https://...\n"
        )
    lines = [
        f"{each.system_id:<21} {each.city:<15} {each.country}  {each.name}"
        for each in entries
    ]
    head = f"{'id':<21} {'city':<15} {'in'}  name"
    return "\n".join([head, *lines, ""])


def _shown(entry: Entry) -> str:
    return (
        f"{entry.name}, {entry.city} ({entry.country}), run by {entry.operator}\n"
        f"dialect:   {entry.feed}\ntime zone: {entry.timezone}\naddress:\n"
        f"  {entry.url}\n\nThe settings to collect it by:\n\n"
        f"{system_table(NewSystem(entry.system_id))}"
    )


def _lines(entries: list[Entry]) -> str:
    """Return *entries* as JSON, an object a line."""
    keys = {"system_id": "system"}
    return "".join(
        visible_json({keys.get(k, k): v for k, v in each._asdict().items()}) + "\n"
        for each in entries
    )


def _facts(trial: Trial) -> dict[str, Any]:
    """Return what a try found, by the names that scripts hold on to."""
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
        "with": {each: trial.having(each) for each in COUNTED},
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
    "is_renting": "whether it rents",
    "last_reported": "a stamp of its own",
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


def _told(trial: Trial) -> str:
    facts = _facts(trial)
    what = " ".join(filter(None, (facts["feed"], facts["version"])))
    age = facts["age_s"]
    stamp = "none" if age is None else f"{facts['last_updated']}, {age} s old"
    ttl = "not said" if facts["ttl_s"] is None else f"{facts['ttl_s']} s"
    rows = [
        ("dialect", what),
        ("name", facts["name"]),
        ("operator", facts["operator"]),
        ("time zone", facts["timezone"] or "the feed does not say"),
        ("stations", str(facts["stations"])),
        *((f"  {word}", f"{facts['with'][n]}") for n, word in COUNTED.items()),
        ("stamp", stamp),
        ("ttl", ttl),
        ("came in", f"{facts['seconds']} s, {facts['wire_bytes']:,} bytes"),
    ]
    lines = [f"{name + ':':<22}{visible(value)}" for name, value in rows if value]
    for each in facts["oddities"]:
        lines += wrapped(visible(each), "odd: ", "     ")
    return "\n".join(
        [*lines, "", "The settings to collect it by:", "", _settings(trial)]
    )
