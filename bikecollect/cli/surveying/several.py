"""The systems of several settings files and mirrors, for `status --all`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.mirror.address import is_address
from bikecollect.cli.render.programs.status_json import as_json
from bikecollect.cli.render.status import alerts
from bikecollect.cli.surveying.systems import survey_systems
from bikecollect.core.errors import BikecollectError, StorageError, UsageError
from bikecollect.core.slots import iso
from bikecollect.core.text import ago, count_of, visible_json
from bikecollect.reports.health import WINDOWS
from bikecollect.reports.status_facts import Overview, Part, Tone, overview
from bikecollect.setup import settings_file
from bikecollect.setup.loader import load
from bikecollect.wiring.mirror import mirrored_systems

if TYPE_CHECKING:
    from bikecollect.archive.mirror.contents import MirroredSystem

NO_PLACE = (
    "--all requires settings files, folders with a bikecollect.toml, or mirrors, such "
    "as: bikecollect status --all /srv/*/bikecollect.toml s3://bucket/prefix"
)


class SurveyedSystem(NamedTuple):
    """A system of one of several places.

    *rank* sorts those in trouble first, *problems* are lines for `--alert`.
    """

    rank: int
    overview: Overview
    json: str
    problems: str


class CombinedSurvey(NamedTuple):
    """The systems of all places, and the errors by place or system."""

    systems: Sequence[SurveyedSystem]
    errors: dict[str, BikecollectError]


def survey_all(arguments: Sequence[str]) -> CombinedSurvey:
    """Return the systems of all *arguments*, those in trouble first.

    A place that cannot be read is among the errors; raises UsageError if there is none.
    """
    if not arguments:
        raise UsageError(NO_PLACE)
    systems: list[SurveyedSystem] = []
    errors: dict[str, BikecollectError] = {}
    for place in _places(arguments, errors):
        try:
            if is_address(place):
                systems += [_mirrored(place, s) for s in mirrored_systems(place)]
            else:
                systems += _configured(Path(place), errors)
        except BikecollectError as error:
            errors[place] = error
    return CombinedSurvey(sorted(systems, key=lambda system: system.rank), errors)


def _places(
    arguments: Sequence[str], errors: dict[str, BikecollectError]
) -> Iterator[str]:
    """Yield each settings file and mirror of *arguments* once.

    For a folder its settings file is used, or those in its subfolders.
    """
    places = dict[str, None]()
    for argument in arguments:
        path = Path(argument)
        if is_address(argument) or not path.is_dir():
            places[argument] = None
            continue
        files = [path / settings_file.FILE]
        if not files[0].exists():
            files = sorted(path.glob(f"*/{settings_file.FILE}"))
        if not files:
            errors[argument] = StorageError(
                f"there is no {settings_file.FILE} in {path}"
            )
        places |= dict.fromkeys(map(str, files))
    yield from places


def _configured(
    path: Path, errors: dict[str, BikecollectError]
) -> Iterator[SurveyedSystem]:
    """Yield the systems of the settings file *path*."""
    settings = load(str(path))
    standings, unreadable = survey_systems(settings, (), WINDOWS)
    errors |= {_label(path, name): error for name, error in unreadable.items()}
    for standing in standings:
        labelled = replace(standing, system_id=_label(path, standing.system_id))
        health = standing.health
        yield SurveyedSystem(
            (not health.late) + (not health.in_trouble),
            next(iter(overview([labelled]))),
            as_json(standing, settings=str(path)),
            alerts([labelled]),
        )


def _label(path: Path, name: str) -> str:
    """Return the name of a system of the settings file *path*."""
    return f"{path.parent if path.name == settings_file.FILE else path}: {name}"


MIRRORED_KEYS: Mapping[str, tuple[str, ...]] = {
    "mirror": ("text", "address of the mirror, as given"),
    "system": ("text", "the system's name"),
    "now": ("time", "when the mirror was read"),
    "late": ("boolean", "whether nothing has arrived for two days"),
    "behind_s": ("number, s", "age of the newest copied data", "null without data"),
    "days": ("integer", "archived days"),
    "first_day": ("date", "the first of them", "null if there is none"),
    "last_day": ("date", "the last of them", "null if there is none"),
}
"""The keys of a system of a mirror, see `run_lines.RUN_KEYS`."""


def _mirrored(address: str, system: "MirroredSystem") -> SurveyedSystem:
    now = time.time()
    name = f"{address}: {system.system_id}"
    behind = None if system.newest is None else now - system.newest
    is_late = system.is_late(now)
    text = "no data" if behind is None else f"data {ago(behind)}"
    verdict = Part("late", Tone.BAD) if is_late else Part("all is well", Tone.GOOD)
    values = {
        "mirror": address,
        "system": system.system_id,
        "now": iso(int(now), system.zone),
        "late": is_late,
        "behind_s": behind and round(behind, 1),
        "days": len(system.days),
        "first_day": system.days[0] if system.days else None,
        "last_day": system.days[-1] if system.days else None,
    }
    return SurveyedSystem(
        0 if is_late else 2,
        Overview(name, verdict, text, count_of(len(system.days), "archived day")),
        visible_json(values),
        f"{name}: late: {text}\n" if is_late else "",
    )
