"""The user's copy of MobilityData's list of systems: fetched, saved and loaded."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bikecollect.core import user_folders
from bikecollect.core.errors import (
    PayloadError,
    SettingsError,
    StorageError,
    UsageError,
)
from bikecollect.core.process import Stop
from bikecollect.feeds.http.client import Client
from bikecollect.feeds.http.urls import parse as parse_url
from bikecollect.feeds.http.urls import plain
from bikecollect.setup import feed_access
from bikecollect.setup.catalogue import systems_csv
from bikecollect.setup.catalogue.entry import Entry
from bikecollect.setup.catalogue.systems_csv import ParsedList, Problem
from bikecollect.setup.settings import System
from bikecollect.storage.files import durable
from bikecollect.storage.files.regular_file import read_file

FILE = "catalogue.json"
OFFICIAL = "https://raw.githubusercontent.com/MobilityData/gbfs/master/systems.csv"
MAX_BYTES = 16 * 1024 * 1024
MIN_SHARE_LEFT = 0.5
"""Minimum share of the previous number of entries; a shorter list may be truncated."""
FETCH_INTERVAL = 120
"""The interval, in seconds, whose time limits apply to a download."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StationAnswer:
    """Whether a feed had stations when it was requested, at *asked* (epoch seconds)."""

    stations: bool
    asked: float


@dataclass(frozen=True)
class World:
    """The saved list: its *source*, and when it was *updated* (epoch seconds).

    *answers* say which feeds have stations, by their address.
    """

    source: str
    updated: float
    entries: tuple[Entry, ...]
    answers: Mapping[str, StationAnswer] = field(default_factory=dict)

    def completed(self) -> tuple[Entry, ...]:
        """Return the entries with the answers about stations."""
        return tuple(
            entry._replace(stations=self.answers[entry.url].stations)
            if entry.url in self.answers
            else entry
            for entry in self.entries
        )


@dataclass(frozen=True)
class Update:
    """The result of an update: the saved list, what changed, and what was skipped."""

    world: World
    path: Path
    added: int
    removed: int
    problems: tuple[Problem, ...]


def path() -> Path:
    """Return where the list is saved; raises SettingsError without a home folder."""
    home = user_folders.data_home()
    if home is None:
        raise SettingsError(
            "no home folder for the catalogue: set HOME or XDG_DATA_HOME to a folder"
        )
    return home / user_folders.OURS / FILE


def load() -> World | None:
    """Return the saved list, None if there is none.

    An unreadable file is logged and treated as missing.
    """
    try:
        file = path()
        data = read_file(file, MAX_BYTES)
    except (SettingsError, FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        log.warning("cannot read %s: %s", file, error.strerror)
        return None
    try:
        return _parse(data)
    except (ValueError, TypeError, KeyError, AttributeError):
        log.warning("%s is damaged; replace it: bikecollect feeds update", file)
        return None


def update(source: str, *, now: float, force: bool = False) -> Update:
    """Read the list at *source* (a file or an address) and save it atomically.

    The saved list stays unchanged if *source* cannot be read, is not a systems.csv,
    or has lost most of its entries (unless *force*). Raises BikecollectError.
    """
    parsed = _read(source)
    before = load()
    known = {entry.system_id for entry in before.entries} if before else set()
    current = {entry.system_id for entry in parsed.entries}
    if len(current) < len(known) * MIN_SHARE_LEFT and not force:
        raise PayloadError(
            f"{plain(source)} has {len(current)} systems, the saved list has "
            f"{len(known)}: probably truncated; --force saves it anyway"
        )
    urls = {entry.url for entry in parsed.entries}
    answers = {u: a for u, a in (before.answers if before else {}).items() if u in urls}
    world = World(plain(source), now, parsed.entries, answers)
    file = save(world)
    added, removed = len(current - known), len(known - current)
    return Update(world, file, added, removed, parsed.problems)


def save(world: World) -> Path:
    """Write *world* to its file atomically; return the path."""
    file = path()
    values = {
        "source": world.source,
        "updated": world.updated,
        "systems": [entry._asdict() for entry in world.entries],
        "stations": {url: asdict(answer) for url, answer in world.answers.items()},
    }
    temporary = durable.temporary(file)
    try:
        durable.make_folder(file.parent)
        temporary.unlink(missing_ok=True)
        durable.write_file(temporary, json.dumps(values).encode())
        temporary.replace(file)
        durable.sync_folder(file.parent)
    except OSError as error:
        raise StorageError(f"cannot write {file}: {error.strerror}") from error
    return file


def remember(answers: Mapping[str, StationAnswer]) -> None:
    """Add *answers* about stations to the list that is saved now, if there is one.

    It may be newer than the one for which the feeds were requested.
    """
    if world := load():
        save(replace(world, answers={**world.answers, **answers}))


def _read(source: str) -> ParsedList:
    data = _download(source) if "://" in source else _file(Path(source))
    try:
        return systems_csv.parse(data)
    except PayloadError as error:
        raise PayloadError(f"{plain(source)}: {error}", cause=error.cause) from error


def _file(file: Path) -> bytes:
    try:
        return read_file(os.path.realpath(file), MAX_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _download(url: str) -> bytes:
    try:
        parse_url(url)
    except ValueError as error:
        raise UsageError(f"--from {plain(url)}: {error}") from error
    system = System(url=url, max_body=f"{MAX_BYTES // 1024 // 1024}MiB")
    client = Client(
        budget=feed_access.budget(system, FETCH_INTERVAL),
        stop=Stop(),
        access=feed_access.access(system),
    )
    try:
        return client("systems", url, tries=2).body
    finally:
        client.close()


def _parse(data: bytes) -> World:
    values: dict[str, Any] = json.loads(data)
    entries = [
        Entry(**{**system, "versions": tuple(system["versions"])})
        for system in values["systems"]
    ]
    answers = {url: StationAnswer(**value) for url, value in values["stations"].items()}
    return World(
        str(values["source"]), float(values["updated"]), tuple(entries), answers
    )
