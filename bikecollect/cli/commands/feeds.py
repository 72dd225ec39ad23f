"""``bikecollect feeds``: list the catalogue, and try any feed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import click

from bikecollect.cli.completion import complete_feed, complete_system
from bikecollect.cli.forms import format_option, object_option
from bikecollect.cli.options import Shared, client_id_option, client_secret_option
from bikecollect.cli.printing import complain, say, say_figures, say_json
from bikecollect.cli.render import catalogue
from bikecollect.cli.render.catalogue import description
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core import process
from bikecollect.core.errors import SettingsError, UsageError
from bikecollect.core.slots import iso
from bikecollect.core.text import length, visible, visible_json
from bikecollect.feeds.registry import DIALECTS
from bikecollect.setup import feed_access, probe
from bikecollect.setup.catalogue import lookup, world
from bikecollect.setup.catalogue.entry import Entry
from bikecollect.setup.catalogue.stations import with_stations
from bikecollect.setup.first_run import NewSystem, system_table
from bikecollect.setup.settings import System
from bikecollect.setup.trial import Trial

NOTHING = 1

_table_form = format_option("one object per line", "csv")
_country = click.option("--country", default="", metavar="CODE", help="Such as FR.")


@click.group(invoke_without_command=True)
@click.option(
    "--find",
    "words",
    default="",
    help="Only systems with these words, as `feeds search` does.",
)
@_table_form
@click.pass_context
def feeds(ctx: click.Context, *, words: str, form: str) -> None:
    """List, search, update or show the catalogue; try a feed.

    The catalogue is a short built-in list, and after `feeds update` the list of the
    world's systems that MobilityData publishes.
    """
    if ctx.invoked_subcommand is None:
        _print(lookup.search(words), form)


@feeds.command("list")
@_country
@_table_form
def list_(*, country: str, form: str) -> None:
    """List all systems of the catalogue."""
    _print(lookup.search("", country=country), form)


@feeds.command()
@click.argument("words", nargs=-1)
@_country
@click.option(
    "--stations",
    is_flag=True,
    help="Only systems with stations; requests feeds that were not checked yet.",
)
@_table_form
def search(words: tuple[str, ...], *, country: str, stations: bool, form: str) -> None:
    """Search the catalogue for systems with all WORDS.

    Words may be parts of the id, name, place, operator or website; case and accents
    are ignored. Exit code 1 if nothing is found.
    """
    if not words and not country and not stations:
        raise UsageError("feeds search needs words, --country or --stations")
    entries = lookup.search(" ".join(words), country=country)
    if stations:
        result = with_stations(entries, now=time.time())
        entries = list(result.entries)
        if result.failed:
            complain(f"{result.failed} feeds could not be read and were skipped")
        if result.not_asked:
            complain(
                f"{result.not_asked} unknown systems were skipped: run it again, "
                "or they require a key"
            )
    _print(entries, form)
    if not entries:
        text = "" if country or stations else " ".join(words)
        if lookup.similar(text):
            complain(lookup.hint(text))
        raise click.exceptions.Exit(NOTHING)


@feeds.command()
@click.option(
    "--from",
    "source",
    default=world.OFFICIAL,
    metavar="FILE|ADDRESS",
    help="A systems.csv; default: the list of MobilityData on GitHub.",
)
@click.option("--force", is_flag=True, help="Save it even if it lacks most systems.")
@object_option
def update(*, source: str, force: bool, form: str) -> None:
    """Fetch the list of the world's GBFS systems into the catalogue.

    It is saved in your data folder; your settings do not change. Rows that cannot be
    used are skipped, and listed with their line.
    """
    result = world.update(source, now=time.time(), force=force)
    if form == "json":
        say_json(catalogue.update_json(result))
    else:
        say(catalogue.update_text(result))


@feeds.command()
@click.argument("system_id", metavar="ID", shell_complete=complete_system)
@object_option
def show(system_id: str, *, form: str) -> None:
    """Show the catalogue's entry of the system ID, and its settings."""
    entry = lookup.find(system_id)
    if entry is None:
        hint = lookup.hint(system_id)
        raise SettingsError(f'"{system_id}" is not in the catalogue; {hint}')
    as_json = form == "json"
    say_figures(catalogue.json_lines([entry]) if as_json else description(entry))


def _print(entries: Sequence[Entry], form: str) -> None:
    render = {"json": catalogue.json_lines, "csv": catalogue.csv_text}
    say_figures(render.get(form, catalogue.table)(entries))


TRIED = tuple(name for name in DIALECTS if name != "mapped")
"""The dialects that need nothing but an address."""


@feeds.command("try")
@click.argument("query", metavar="ADDRESS|ID", shell_complete=complete_feed)
@click.option(
    "--feed",
    type=click.Choice(TRIED),
    default=None,
    help="The dialect; default: recognised by the response.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="Header sent to the feed's own host; @FILE: one header per line.",
)
@client_id_option
@client_secret_option
@click.option(
    "--token-url", default="", help="Address that issues tokens; default: TDX's."
)
@object_option
@click.pass_context
def try_(
    ctx: click.Context,
    query: str,
    *,
    feed: str | None,
    headers: tuple[str, ...],
    client_id: str,
    client_secret_file: str,
    token_url: str,
    form: str,
) -> None:
    """Fetch and read a feed once and describe it; nothing is written.

    ADDRESS is a gbfs.json or any other file of a GBFS feed, a YouBike list, or a
    CityBikes network. Prints the settings to collect it. The ID of a configured
    system is fetched exactly as by `fetch`, and all its settings are printed.
    """
    stop = process.Stop()
    process.listen(stop)
    extra_headers = feed_access.headers(headers)
    oauth2 = feed_access.client(client_id, client_secret_file, token_url)
    system = None
    if "://" not in query:
        system = ctx.ensure_object(Shared).settings().systems.get(query)
    if system is None:
        like = replace(probe.DEFAULTS, feed=feed or "", headers=extra_headers)
        like = replace(like, oauth2=oauth2)
        trial = probe.try_feed(query, stop=stop, like=like)
    else:
        like = replace(system, headers={**system.headers, **extra_headers})
        like = replace(like, feed=feed or system.feed, oauth2=oauth2 or system.oauth2)
        trial = probe.try_system(query, like, stop=stop)
    if form == "json":
        say_json(_json(trial, system))
    else:
        say(_trial_text(trial, system))


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
        "vehicles": None if trial.vehicles is None else len(trial.vehicles.statuses),
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


TRIAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the name in the settings"),
    "feed": ("text", "the dialect"),
    "version": ("text", "version of GBFS", "null if unknown"),
    "url": ("text", "the address to collect"),
    "name": ("text", "the system's name", "null if unknown"),
    "operator": ("text", "the operator", "null if unknown"),
    "timezone": ("text", "IANA name", "null if unknown"),
    "stations": ("integer", "stations in the feed"),
    "vehicles": ("integer", "single vehicles", "null if they were not requested"),
    "with": ("object", "stations that have a value"),
    "with.COLUMN": ("integer", "of this column, such as `capacity`"),
    "last_updated": ("time", "the feed's own time stamp", "null without one"),
    "age_s": ("integer, s", "its age; negative in the future", "null without one"),
    "ttl_s": ("integer, s", "when the feed says that it changes", "null if unknown"),
    "wire_bytes": ("integer, bytes", "received from the feed"),
    "seconds": ("number, s", "time of all requests"),
    "oddities": ("list of texts", "what is unusual"),
    "settings": ("text", "TOML to collect the feed"),
}
"""The keys of a trial, see `run_lines.RUN_KEYS`."""


def _json(trial: Trial, like: System | None) -> str:
    return visible_json({**_facts(trial), "settings": _settings(trial, like)}) + "\n"


def _settings(trial: Trial, like: System | None) -> str:
    """Return the table of the feed of *trial*, with the other keys of *like*."""
    like = like or System()
    target, headers = trial.target, dict.fromkeys(trial.headers, "...")
    vehicles = like.vehicles or not trial.has_stations
    system = replace(like, headers=headers, oauth2=trial.oauth2, vehicles=vehicles)
    if target.in_catalogue:
        system = replace(system, feed="", url="", timezone="")
    else:
        zone = trial.fitting_zone
        system = replace(system, feed=target.feed, url=target.url, timezone=zone)
    return system_table(NewSystem(target.system_id, system))


def _age(seconds: float) -> str:
    """Return the age of a stamp in words.

    >>> _age(12), _age(-28_800)
    ('12 s old', '8 h 0 min ahead of this clock')
    """
    if seconds < 0:
        return f"{length(-seconds)} ahead of this clock"
    return f"{length(seconds)} old"


def _vehicles(trial: Trial) -> str:
    """Return the number of single vehicles, or how to collect them, if there are any.

    A system that has stations is collected without them by default.
    """
    if trial.vehicles is None:
        is_listed = trial.about.lists_vehicles
        return "listed too: set `vehicles = true` to collect each" if is_listed else ""
    return str(len(trial.vehicles.statuses) or "")


def _trial_text(trial: Trial, like: System | None = None) -> str:
    facts = _facts(trial)
    dialect = " ".join(filter(None, (facts["feed"], facts["version"])))
    age = facts["age_s"]
    stamp = "none" if age is None else f"{facts['last_updated']}, {_age(age)}"
    ttl = "none" if facts["ttl_s"] is None else f"{facts['ttl_s']} s"
    rows = [
        ("dialect", dialect),
        ("name", facts["name"]),
        ("operator", facts["operator"]),
        ("time zone", facts["timezone"] or "unknown"),
        ("vehicles", _vehicles(trial)),
        ("stations", str(facts["stations"])),
        *((f"  {word}", f"{facts['with'][n]}") for n, word in COUNTED.items()),
        ("stamp", stamp),
        ("ttl", ttl),
        ("fetched in", f"{facts['seconds']} s, {facts['wire_bytes']:,} bytes"),
    ]
    lines = [f"{name + ':':<22}{visible(value)}" for name, value in rows if value]
    for oddity in facts["oddities"]:
        lines += wrapped(visible(oddity), "note: ", "      ")
    table = _settings(trial, like)
    return "\n".join([*lines, "", "The settings to collect it:", "", table])
