"""A snapshot: the whole system at one moment, as every feed yields it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class StationStatus(NamedTuple):
    """What changes at a station; names are GBFS v3's, None is "not said".

    A named tuple, for some thousand are made on the five-minute path.
    *last_reported* is in epoch seconds.
    """

    station_id: str
    num_vehicles_available: int | None
    num_ebikes_available: int | None
    num_docks_available: int | None
    num_vehicles_disabled: int | None
    num_docks_disabled: int | None
    capacity: int | None
    is_installed: bool | None
    is_renting: bool | None
    is_returning: bool | None
    last_reported: int | None


class StationInformation(NamedTuple):
    """What stays at a station; None is "not said". *lat*, *lon* in degrees."""

    station_id: str
    name: str | None = None
    short_name: str | None = None
    lat: float | None = None
    lon: float | None = None
    capacity: int | None = None
    address: str | None = None
    region: str | None = None
    post_code: str | None = None
    is_virtual_station: bool | None = None
    name_en: str | None = None
    address_en: str | None = None
    region_en: str | None = None
    is_listed: bool = True


VEHICLE_KINDS: Mapping[str, str] = {
    "num_bicycles_available": "bicycles without a motor",
    "num_ebicycles_available": "bicycles with one",
    "num_cargo_bicycles_available": "cargo bicycles without a motor",
    "num_cargo_ebicycles_available": "cargo bicycles with one",
    "num_scooters_available": "scooters to stand on",
    "num_seated_scooters_available": "scooters with a seat",
    "num_mopeds_available": "mopeds",
    "num_cars_available": "cars",
    "num_other_vehicles_available": "vehicles of other kinds",
    "num_untyped_vehicles_available": "vehicles whose type says no kind",
}
"""The kinds of vehicles that ``columns = ["vehicle_types"]`` counts, each a column."""


@dataclass(frozen=True)
class Snapshot:
    """One payload, understood.

    *statuses* holds each station once, in the publisher's order.
    *information* is empty where the payload carries none; *lists_all* says that
    it names every station of the system, so that one missing from it is gone.
    *last_updated* and *ttl* are the feed's own words, in epoch seconds and seconds.
    *shape* maps each field of the station objects to its JSON types
    (``{"sno": "str", "lat": "float|null"}``), for noticing drift.
    *dropped* counts stations that could not be read, *duplicates* those left
    out because their id came before; *oddities* are short sentences for people.
    *flags* are words for the block; *findings* are sentences that people should read
    once, by a key that stays the same while the matter lasts; *incomplete* says why a
    part of the payload is missing, empty where none is. *total* is how many stations
    the publisher says there are, None for not said; *kinds* counts the vehicles of
    the `VEHICLE_KINDS` by station, where that was wanted. Where *secondary*, the
    information comes from beside the counts: it counts less than a list of its own.
    """

    statuses: tuple[StationStatus, ...]
    information: tuple[StationInformation, ...] = ()
    lists_all: bool = False
    last_updated: int | None = None
    ttl: int | None = None
    shape: Mapping[str, str] = field(default_factory=dict)
    dropped: int = 0
    duplicates: int = 0
    oddities: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    findings: Mapping[str, str] = field(default_factory=dict)
    secondary: bool = False
    incomplete: str = ""
    total: int | None = None
    kinds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
