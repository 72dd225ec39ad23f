"""What every column means: for people, and as a Frictionless data package."""

from collections.abc import Mapping, Sequence
from typing import Any

from bikecollect.archive.datasets import type_of
from bikecollect.core.snapshot import VEHICLE_KINDS
from bikecollect.storage.csv_format import COLUMNS, DERIVED, INFORMATION_COLUMNS

KINDS = {
    "BIGINT": "integer",
    "INTEGER": "integer",
    "SMALLINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "DATE": "date",
}
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
SECONDS = {
    *("slot", "fetched_at", "last_reported", "started", "finished", "first_slot"),
    *("last_slot", "valid_from", "valid_to", "last_updated"),
}
"""Columns that are times: ISO 8601 in CSV and JSON, epoch seconds in Parquet."""
DOCS: Mapping[str, str] = {
    **INFORMATION_COLUMNS,
    **COLUMNS,
    **{name: each.doc for name, each in DERIVED.items()},
    **VEHICLE_KINDS,
    "system_id": "the system's name in the settings",
    "date": "local day of the system",
    "minute_of_day": "local minute of the day, 0 to 1439",
    "hour_of_week": "local hour of the week, 0 = Monday 00:00",
    "state": "collected, stale, partial or missing; the first three have rows",
    "cause": "why it is missing, or why the run did not go well; empty where all did",
    "rows": "rows that were written",
    "flags": "words, separated by a blank: partial, short, stale, dup, clock, late, "
    "implausible, contradictory, cut",
    "source": "where the block came from: fetch, recovery, adopted, backfill ...",
    "last_updated": "the feed's own time stamp",
    "sha256": "of the payload's documents",
    "run_id": "the run's name",
    "started": "when the run began",
    "finished": "when it ended; empty for a killed one",
    "outcome": "how the run ended",
    "http_status": "of the last answer",
    "attempts": "tries at the feed",
    "bytes": "of all documents, inflated",
    "stations": "stations in the payload",
    "file": "the daily file",
    "accepted": "whether the payload became durable",
    "boot_id": "the kernel's name for the boot",
    "uptime": "seconds since that boot",
    "awake": "the same without the time that the machine slept",
    "version": "of bikecollect",
    "error": "what went wrong, in words",
    "valid_to": "the first slot at which it no longer held; empty: it still does",
    "slots": "slots in which the station has a row; of a gap: missing slots",
    "expected": "slots that the day should have",
    "collected": "slots of the day that the system has",
    "first_slot": "the first one",
    "last_slot": "the last one",
    "gaps": "maximal rows of slots without the station",
    "longest_gap_s": "length of the longest of them",
    "known": "rows that say how many vehicles there are",
    "docks_known": "rows that say how many docks are free",
    "empty_slots": "rows with no vehicle",
    "full_slots": "rows with no free dock",
    "changes": "slots whose vehicles differ from the slot just before",
    "capacity_min": "least capacity of the day",
    "capacity_max": "greatest capacity of the day",
    "silent": "rows whose station had not spoken for over an hour",
    "inactive": "rows in which it was not installed or not renting",
    "with_vehicle": "rows with a vehicle",
    "with_dock": "rows with a free dock",
    "sum_vehicles": "sum of vehicles over those rows",
    "sum_docks": "sum of free docks over those rows",
    "min_vehicles": "least vehicles",
    "max_vehicles": "most vehicles",
    "sum_capacity": "sum of capacities over rows that say it",
    "capacity_known": "rows that say the capacity",
}
KEYS = {
    "station_status": ["slot", "station_id"],
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
}


def doc(column: str) -> str:
    """Return what *column* means.

    >>> doc("num_docks_available")
    'docks that take a vehicle'
    """
    return DOCS.get(column, "a column of the user's own")


def fields(columns: Mapping[str, str], form: str) -> list[dict[str, Any]]:
    """Return the fields of a table schema: *columns* with their SQL types.

    *form* is csv, jsonl or parquet: times are text in the first two.

    >>> fields({"lat": "DOUBLE"}, "csv")[0]["unit"]
    'degrees'
    """
    found = []
    for name, kind in columns.items():
        field: dict[str, Any] = {"name": name, "type": KINDS.get(kind, "string")}
        if name in SECONDS and form != "parquet":
            field["type"] = "datetime"
            field["format"] = "%Y-%m-%dT%H:%M:%S%z"
        elif name in SECONDS:
            field["unit"] = "seconds since 1970-01-01T00:00:00Z"
        if kind == "BOOLEAN" and form == "csv":
            field |= {"trueValues": ["true"], "falseValues": ["false"]}
        if name in UNITS:
            field["unit"] = UNITS[name]
        field["description"] = doc(name)
        found.append(field)
    return found


def resource(
    name: str, path: str, form: str, columns: Mapping[str, str], *, systems: int = 1
) -> dict[str, Any]:
    """Return the Frictionless resource that describes an exported file.

    (https://specs.frictionlessdata.io/tabular-data-resource/)
    """
    key = (["system_id"] if systems > 1 else []) + KEYS[name]
    return {
        "name": path.rpartition("/")[2].partition(".")[0].lower(),
        "path": path,
        "profile": "tabular-data-resource",
        "title": name,
        "format": form,
        "mediatype": MEDIA[form],
        "encoding": "utf-8",
        "schema": {
            "fields": fields(columns, form),
            "missingValues": [""],
            "primaryKey": [each for each in key if each in columns],
        },
    }


def package(
    name: str, resources: Sequence[Mapping[str, Any]], version: str
) -> dict[str, Any]:
    """Return the data package of *resources*."""
    return {
        "profile": "tabular-data-package",
        "name": name,
        "title": "History of bike-share systems",
        "description": (
            "Snapshots of bike-share stations, one for each slot of the interval. A "
            "slot without rows was not seen: see the slots and their causes."
        ),
        "created_with": f"bikecollect {version}",
        "resources": list(resources),
    }


def status_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return the *columns* of daily files with their types."""
    return {each: type_of(each) for each in columns}
