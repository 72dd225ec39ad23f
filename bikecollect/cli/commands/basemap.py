"""``bikecollect basemap``: a user's own map below the stations."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from bikecollect.app.basemap import basemap_file
from bikecollect.app.basemap.basemap_file import Basemap
from bikecollect.cli.completion import complete_configured
from bikecollect.cli.forms import lines_option
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import complain, say, say_json
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.text import count_of, size, visible
from bikecollect.setup.settings import Settings


@click.group()
def basemap() -> None:
    """Add, list or remove your own map below the stations.

    The map is drawn in the app, in embedded figures and on shared pages; no other host
    is contacted.
    """


@basemap.command("add")
@click.argument("system_id", metavar="SYSTEM", shell_complete=complete_configured)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--attribution",
    default="",
    metavar="TEXT",
    help="The source to be named on the map; default: that of the PMTiles file.",
)
@click.pass_context
def add(ctx: click.Context, *, system_id: str, file: Path, attribution: str) -> None:
    """Use FILE, GeoJSON or PMTiles, as the basemap of SYSTEM.

    PMTiles are read as vector tiles. Water, parks, roads, railways and borders are
    recognised by the tags of OpenStreetMap. The area around the stations is kept,
    simplified to fit a page. An earlier basemap of SYSTEM is replaced.
    """
    settings = ctx.ensure_object(Shared).settings()
    settings.chosen((system_id,))
    folder = settings.data / system_id
    stations = basemap_file.stations_of(system_id, folder)
    if not stations:
        raise UsageError(
            f"{system_id} has no station with a location yet; first collect it: "
            f"bikecollect fetch {system_id}"
        )
    added = basemap_file.read_source(file, stations, attribution)
    basemap_file.write(folder, added)
    say(f"{system_id}: {_described(added)}\n")
    if not added.attribution:
        complain(
            f"{system_id}: the map names no source; if its licence requires that (as "
            "OpenStreetMap's does), add it again with --attribution"
        )


@basemap.command("list")
@lines_option
@click.pass_context
def list_(ctx: click.Context, *, form: str) -> None:
    """List the basemap of each system."""
    settings = ctx.ensure_object(Shared).settings()
    for name in settings.systems:
        kept, problem = _loaded(settings, name)
        if form == "json":
            say_json(f"{json.dumps(_as_json(name, settings, kept, problem))}\n")
        elif problem:
            complain(f"{name}: {problem}")
        else:
            say(f"{name}: {_described(kept) if kept else 'none'}\n")
    if not settings.systems:
        say("no system in the settings\n")


@basemap.command("remove")
@click.argument("system_id", metavar="SYSTEM", shell_complete=complete_configured)
@click.pass_context
def remove(ctx: click.Context, *, system_id: str) -> None:
    """Remove the basemap of SYSTEM; maps show only its stations again."""
    settings = ctx.ensure_object(Shared).settings()
    settings.chosen((system_id,))
    if not basemap_file.remove(settings.data / system_id):
        raise UsageError(f"{system_id} has no basemap")
    say(f"{system_id}: basemap removed\n")


def _loaded(settings: Settings, name: str) -> tuple[Basemap | None, str]:
    """Return the basemap of the system *name*, and what is wrong with it."""
    try:
        return basemap_file.load(settings.data / name), ""
    except StorageError as error:
        return None, str(error)


def _described(basemap: Basemap) -> str:
    fitted = basemap.fitted
    text = (
        f"{visible(basemap.source)}, {count_of(fitted.count, 'shape')}, "
        f"{size(len(basemap.packed()))} on a page, simplified to {fitted.metres:g} m"
    )
    if fitted.left_out:
        text += f", without {' and '.join(fitted.left_out)}"
    credit = basemap.attribution
    return (
        f"{text}; source: {visible(credit)}" if credit else f"{text}; no source named"
    )


def _as_json(
    name: str, settings: Settings, basemap: Basemap | None, problem: str
) -> dict[str, object]:
    fitted = basemap.fitted if basemap else None
    return {
        "system": name,
        "file": str(settings.data / name / basemap_file.NAME) if basemap else None,
        "source": basemap.source if basemap else None,
        "attribution": basemap.attribution if basemap else None,
        "shapes": fitted.count if fitted else 0,
        "page_bytes": len(basemap.packed()) if basemap else 0,
        "simplified_m": fitted.metres if fitted else None,
        "left_out": list(fitted.left_out) if fitted else [],
        "problem": problem or None,
    }


KEYS: Mapping[str, tuple[str, ...]] = {
    "system": ("text", "the system's name"),
    "file": ("text", "the map's file", "null without a map"),
    "source": ("text", "the file that was added", "null without a map"),
    "attribution": ("text", "whom maps name; empty for nobody", "null without a map"),
    "shapes": ("integer", "lines and areas"),
    "page_bytes": ("integer, bytes", "its size on a page"),
    "simplified_m": ("number, m", "how far a line was moved", "null without a map"),
    "left_out": ("list of texts", "kinds of shapes that have no room"),
    "problem": ("text", "why it cannot be read", "null if it can"),
}
"""The keys of `list` as JSON, see `run_lines.RUN_KEYS`."""
