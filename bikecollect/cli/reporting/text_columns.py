"""The columns of reports as text shows them: names, meanings, and which are shown."""

SHORT = {
    "slots_seen": "seen",
    "slots_expected": "expected",
    "share_seen": "seen %",
    "mean_vehicles": "vehicles",
    "mean_docks": "docks",
    "mean_free": "free",
    "mean_hours": "hours",
    "longest_hours": "longest",
    "share_with_vehicle": "vehicle %",
    "share_with_dock": "dock %",
    "share_silent": "silent %",
    "share_inactive": "closed %",
    "share_survived": "survived %",
    "share_closed": "closed %",
    "slots_stale": "stale",
    "days_stale": "stale",
    "days_closed": "closed",
    "share": "share %",
    "num_vehicles_available": "vehicles",
    "num_docks_available": "docks",
    "current_range_meters": "range m",
    "current_fuel_percent": "fuel %",
    "hour_of_week": "hour",
    "minute_of_day": "time",
    "minute": "time",
    "days_seen": "seen",
    "days_expected": "expected",
    "low": "95 % interval",
    "first_slot": "from",
    "last_slot": "last slot",
    "last_reported": "reported",
    "last_seen": "last seen",
    "length_s": "length",
    "begin_seen": "begin seen",
    "end_seen": "end seen",
    "is_installed": "installed",
    "is_renting": "renting",
    "is_returning": "returning",
    "is_reserved": "reserved",
    "is_disabled": "disabled",
    "min_vehicles": "least",
    "max_vehicles": "most",
    "low_vehicles": "vehicles 25 %",
    "mid_vehicles": "50 %",
    "high_vehicles": "75 %",
    "low_docks": "docks 25 %",
    "mid_docks": "50 %",
    "high_docks": "75 %",
    "empty_stations": "empty",
    "full_stations": "full",
    "closed_stations": "closed",
    "capacity_max": "capacity",
    "neighbour_name": "its name",
    "station_id": "station",
    "system_id": "system",
}
HIDDEN = {
    "availability": {"slots_seen", "slots_expected", "share_empty", "share_full"},
    "reliability": {"slots_seen", "slots_expected", "share_empty", "share_full"},
    "episodes": {"slots", "last_slot"},
    "chance": {"with_vehicle", "with_dock"},
    "snapshot": {"region", "lat", "lon", "is_installed", "is_returning", "state"},
    "history": {"minute_of_day", "capacity", "is_installed", "is_returning"},
    "hours": {"mean_capacity", "day_slots", "day_closed"},
    "days": {"day_slots", "day_closed", "capacity_min"},
    "typical": {"slots_seen", "slots_expected", "mean_vehicles"},
    "vehicles": {"station_id"},
    "vehicle_grid": {"cell_row", "cell_col"},
    "vehicle_idle": {"cell_row", "cell_col"},
}
"""Columns that only CSV and JSON have, because a table has 80 characters."""
ORDER = {
    "reliability": "least reliable first",
    "episodes": "longest first",
    "changes": "oldest first",
}
NOTES = {
    ("share_seen",): "seen %: slots with data, of those expected",
    ("slots_seen", "slots_expected"): "seen, expected: slots with data, and slots that "
    "there should be",
    ("slots_seen",): "seen: slots with data",
    ("slots", "slots_expected"): "slots, expected: slots collected, and slots that "
    "there should be",
    ("days_seen", "days_expected"): "seen, expected: such days with data, and all such "
    "days",
    ("days_seen",): "seen: such days with data",
    ("mean_vehicles", "mean_docks"): "vehicles, docks: the mean of the slots with data",
    ("mean_vehicles",): "vehicles: the mean of the slots with data",
    ("share_with_vehicle", "share_with_dock"): "vehicle %, dock %: share of the "
    "slots with data in which the station was open and had a vehicle, or a free dock",
    ("share_silent",): "silent %: rows last reported over an hour before the slot",
    ("share_inactive",): "closed %: rows not installed, or neither renting nor "
    "returning",
    ("low",): "95 % interval: of vehicle %, which rests on the few days that were seen",
    (
        "begin_seen",
        "end_seen",
    ): "begin seen, end seen: if no, the episode may have been longer",
    ("mid_vehicles",): "25 %, 50 %, 75 %: quartiles of the slots of those days",
    ("metres",): "metres: straight-line distance",
    ("capacity",): "capacity: docks of the station",
    ("share_survived",): "survived %: ids of a slot that are in the next slot, too",
}
"""The meaning of columns in text whose name is not clear; of several the first."""
FLAGS = frozenset({"begin_seen", "end_seen"})
LOCAL = frozenset({"hour_of_week", "hour", "minute", "minute_of_day"})
COMMON = ("system_id", "place", "station_id", "name")
"""Columns that stand above the table if all rows have the same value."""
CUT = (("name", "its name"), ("system",))
"""Columns that lose a beginning that all cells share on a narrow terminal."""
NARROWER = ("name", "its name", "region", "address", "cause", "old", "new", "system")
"""Columns that a narrow terminal shortens, the last at last."""
SPARE = ("cause", "reported", "name", "old")
"""Columns that a narrow terminal leaves out, after empty ones, the last at last."""
SPARE_IN = {
    "coverage": ("expected",),
    "history": ("name", "renting", "cause"),
    "stations": ("region", "since", "capacity"),
    "typical": ("name", "expected"),
}
"""The same in reports that are for one of `SPARE`, or have others to spare."""
WHOLE_IN = {"coverage": {"cause"}, "history": {"cause"}, "stations": {"name"}}
"""Columns of `NARROWER` that are shortened at last in reports that are for them."""
GROUPED = frozenset({"vehicles 25 %", "docks 25 %", "50 %", "75 %"})
"""Columns that are understood only beside each other: none of them is left out."""
IF_ANY = frozenset(
    {"share_closed", "slots_stale", "days_stale", "days_closed", "until"}
    | {"is_reserved", "is_disabled"}
)


def spare_in(report: str) -> tuple[str, ...]:
    """Return the columns that a narrow terminal leaves out of *report*, in order."""
    return SPARE_IN.get(report, SPARE)


def narrower_in(report: str) -> list[str]:
    """Return the columns that a narrow terminal shortens first in *report*."""
    return [name for name in NARROWER if name not in WHOLE_IN.get(report, ())]
