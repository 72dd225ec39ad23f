"""Descriptions and units of all columns, and the Frictionless data package."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from bikecollect.core.snapshot import VEHICLE_KINDS
from bikecollect.storage.csv_format import COLUMNS, DERIVED, INFORMATION_COLUMNS
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.vehicles.rows import COLUMNS as VEHICLE_COLUMNS

PACKAGE = "datapackage.json"
MAX_BYTES = 16 << 20
"""Maximum bytes of a data package, more than thousands of files need."""
KINDS = {
    "BIGINT": "integer",
    "INTEGER": "integer",
    "SMALLINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "DATE": "date",
}
FLAGS = {
    "partial": "stations or documents are missing",
    "short": "less than half of the usual rows",
    "stale": "old data",
    "dup": "an id twice, stored once",
    "clock": "the server's clock differs by over two minutes",
    "late": "fetched over half an interval (at most: over 150 s) after its start",
    "implausible": "values that cannot be, left empty",
    "contradictory": "fewer vehicles than e-bikes",
    "cut": "texts cut off",
    "no-stations": "vehicles alone",
}
"""What is unusual about the rows of a slot."""
UNITS = {
    "num_vehicles_available": "vehicles",
    "num_ebikes_available": "vehicles",
    "num_docks_available": "docks",
    "num_vehicles_disabled": "vehicles",
    "num_docks_disabled": "docks",
    "capacity": "docks",
    "capacity_min": "docks",
    "capacity_max": "docks",
    "occupancy": "1",
    "current_range_meters": "metres",
    "current_fuel_percent": "1",
    "lat": "degrees",
    "lon": "degrees",
    "minute_of_day": "minutes",
    "longest_gap_s": "seconds",
    "uptime": "seconds",
    "awake": "seconds",
    "bytes": "bytes",
    **dict.fromkeys(VEHICLE_KINDS, "vehicles"),
    "sum_vehicles": "vehicles",
    "sum_docks": "docks",
    "sum_capacity": "docks",
    "min_vehicles": "vehicles",
    "max_vehicles": "vehicles",
    "weekday": "days",
    "hour": "hours",
    "hour_of_week": "hours",
}
SECONDS = frozenset(
    {
        "slot",
        "fetched_at",
        "last_reported",
        "started",
        "finished",
        "first_slot",
        "last_slot",
        "valid_from",
        "valid_to",
        "last_updated",
    }
)
"""Columns that are times: ISO 8601 in CSV and JSON, epoch seconds in Parquet."""
TIMES = {"parquet": "epoch seconds", "xlsx": "local time of the system"}
"""What times are in other formats than CSV and JSON."""
DOCS: Mapping[str, str] = {
    **VEHICLE_COLUMNS,
    **INFORMATION_COLUMNS,
    **COLUMNS,
    **{name: column.doc for name, column in DERIVED.items()},
    **VEHICLE_KINDS,
    "system_id": "the system's name in the settings",
    "date": "local day of the system",
    "minute_of_day": "local minute of the day, 0 to 1439",
    "hour_of_week": "local hour of the week, 0 = Monday 00:00",
    "state": "collected, stale, partial or missing; the first three have rows",
    "cause": "why the slot is missing or the run failed; empty if it succeeded",
    "rows": "rows written",
    "flags": "words separated by a blank: "
    + ", ".join(f"{flag} ({meaning})" for flag, meaning in FLAGS.items()),
    "source": "where the rows came from: fetch, recovery, adopted, backfill ...",
    "last_updated": "the feed's own time stamp",
    "sha256": "sha256 of the payload's documents",
    "run_id": "id of the run",
    "started": "when the run started",
    "finished": "when the run ended; empty if it was killed",
    "outcome": "how the run ended",
    "http_status": "HTTP status of the last response",
    "attempts": "number of requests, retries included",
    "bytes": "size of all documents, uncompressed",
    "stations": "stations in the payload",
    "file": "name of the daily file",
    "accepted": "whether the payload was stored durably",
    "boot_id": "the kernel's id of the boot",
    "uptime": "seconds since that boot, suspended time included",
    "awake": "seconds since that boot, suspended time excluded",
    "version": "version of bikecollect",
    "error": "error message",
    "valid_to": "first slot at which this version is no longer valid; empty: current",
    "slots": "slots in which the station has a row",
    "expected": "slots that the day should have",
    "collected": "slots of the day that were collected",
    "first_slot": "start of the first slot",
    "last_slot": "start of the last slot",
    "gaps": "number of gaps: sequences of slots without the station",
    "longest_gap_s": "length of the longest gap of the day, which ends at midnight",
    "known": "rows with a number of vehicles",
    "docks_known": "rows with a number of free docks",
    "empty_slots": "rows of the open station with no vehicle",
    "full_slots": "rows of the open station whose number of free docks is 0",
    "changes": "slots in which the number of vehicles differs from the adjacent slot "
    "before, of the same local day; none after a gap (midnight: see first_vehicles)",
    "capacity_min": "lowest capacity of the day",
    "capacity_max": "highest capacity of the day",
    "silent": "rows whose last_reported is over 3,600 s before the slot, or empty; "
    "empty if no station of the day has such a time",
    "inactive": "rows in which the station was closed: not installed, or neither "
    "renting nor returning",
    "closed": "rows with a number of vehicles in which the station was closed",
    "stale": "rows in stale slots",
    "first_vehicles": "number of vehicles in the first slot with a row",
    "last_vehicles": "number of vehicles in the last slot with a row",
    "with_vehicle": "rows of the open station with at least one vehicle",
    "with_dock": "rows of the open station with at least one free dock",
    "sum_vehicles": "sum of vehicles over the rows with a number of vehicles",
    "sum_docks": "sum of free docks over the rows with a number of free docks",
    "min_vehicles": "lowest number of vehicles",
    "max_vehicles": "highest number of vehicles",
    "sum_capacity": "sum of capacities over the rows with a capacity",
    "capacity_known": "rows with a capacity",
}
OF_GAPS = {
    "cause": "why the slots are missing",
    "slots": "missing slots",
    "first_slot": "start of the first missing slot",
    "last_slot": "start of the last missing slot, which ends an interval later",
}
"""The columns of gaps that mean something else in other tables."""
KEYS = {
    "station_status": ["slot", "station_id"],
    "vehicle_status": ["slot", "vehicle_id"],
    "slots": ["slot"],
    "runs": ["run_id"],
    "coverage": ["date", "station_id"],
    "profile": ["date", "station_id", "hour_of_week"],
    "stations": ["station_id", "valid_from"],
    "gaps": ["first_slot"],
}
MEDIA = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def doc(column: str, form: str = "csv", table: str = "") -> str:
    """Return the description of *column* of *table* in a file of the format *form*.

    >>> doc("num_docks_available"), doc("fetched_at", "parquet")
    ('docks that accept a vehicle', 'when the response was complete; epoch seconds')
    >>> doc("slots"), doc("slots", table="gaps")
    ('slots in which the station has a row', 'missing slots')
    """
    docs = {**DOCS, **OF_GAPS} if table == "gaps" else DOCS
    text = docs.get(column, "a column defined by the user")
    if column in SECONDS and form in TIMES:
        return f"{text.partition('; ISO 8601')[0]}; {TIMES[form]}"
    return text


def fields(
    columns: Mapping[str, str], form: str, table: str = ""
) -> list[dict[str, Any]]:
    """Return the fields of a table schema for *columns* (names with SQL types).

    *form* is csv, jsonl, parquet or xlsx; in the first two times are texts.

    >>> fields({"lat": "DOUBLE"}, "csv")[0]["unit"]
    'degrees'
    """
    described = []
    for name, kind in columns.items():
        field: dict[str, Any] = {"name": name, "type": KINDS.get(kind, "string")}
        if name in SECONDS and form == "xlsx":
            field["type"] = "datetime"
        elif name in SECONDS and form != "parquet":
            field["type"] = "datetime"
            field["format"] = "%Y-%m-%dT%H:%M:%S%z"
        elif name in SECONDS:
            field["unit"] = "seconds since 1970-01-01T00:00:00Z"
        if kind == "BOOLEAN" and form == "csv":
            field |= {"trueValues": ["true"], "falseValues": ["false"]}
        if name in UNITS:
            field["unit"] = UNITS[name]
        field["description"] = doc(name, form, table)
        described.append(field)
    return described


def resource(
    name: str, path: str, form: str, columns: Mapping[str, str], *, systems: int = 1
) -> dict[str, Any]:
    """Return the Frictionless resource that describes an exported file.

    (https://specs.frictionlessdata.io/tabular-data-resource/)
    """
    key = (["system_id"] if systems > 1 else []) + KEYS[name]
    return {
        "name": _name(path),
        "path": path,
        "profile": "tabular-data-resource",
        "title": name,
        "format": form,
        "mediatype": MEDIA[form],
        "encoding": "utf-8",
        "schema": {
            "fields": fields(columns, form, name),
            "missingValues": [""],
            "primaryKey": [column for column in key if column in columns],
        },
    }


def package(
    name: str, resources: Sequence[Mapping[str, Any]], version: str
) -> dict[str, Any]:
    """Return the data package of *resources*, each with a name of its own."""
    return {
        "profile": "tabular-data-package",
        "name": name,
        "title": "History of bike-share systems",
        "description": (
            "Snapshots of bike-share stations, one per slot of the interval. A slot "
            "without rows was not collected: see the slots and their causes."
        ),
        "created_with": f"bikecollect {version}",
        "resources": list(_uniquely_named(resources)),
    }


def _name(path: str) -> str:
    """Return the name of the file *path* in the letters that a package allows.

    (https://specs.frictionlessdata.io/data-resource/#name)

    >>> _name("out/My bikes.csv")
    'my-bikes'
    """
    stem = path.rpartition("/")[2].partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-") or "data"


def _uniquely_named(resources: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield *resources*; of those with one name, later ones get their format, too."""
    names: set[str] = set()
    for resource in resources:
        name = str(resource.get("name", "data"))
        longer = f"{name}-{resource.get('format', 'data')}"
        others = (f"{longer}-{number}" for number in count(2))
        name = next(n for n in chain((name, longer), others) if n not in names)
        names.add(name)
        yield {**resource, "name": name}


def read_package(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Return the name and the resources of the data package *path*, which is untrusted.

    Raises OSError if it cannot be read, ValueError if it is not one.
    """
    try:
        document = json.loads(read_file(path, MAX_BYTES))
        resources = [dict(resource) for resource in document["resources"]]
        return str(document["name"]), resources
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not a data package") from error
