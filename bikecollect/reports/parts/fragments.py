"""Parts that the reports' SQL has in common, by their placeholders."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template

from bikecollect.core.slots import stale_sql

UNKNOWN_DOCKS = (
    "LEFT JOIN dockless AS x ON x.system_id = {0}.system_id\n"
    "        AND x.station_id = {0}.station_id AND x.date = {0}.date"
)
"""Joins days without known docks to the table {0}; x is NULL on other days."""
OF_ASKED = (
    "    JOIN asked AS a ON a.system_id = p.system_id AND a.station_id = p.station_id"
)
PROFILE = "    FROM profile AS p"
DOCKLESS_BY_DAY = """without_docks AS (
    SELECT DISTINCT p.system_id AS system_id, p.station_id AS station_id
    FROM station_days AS p
    WHERE p.sum_docks = 0 AND p.date < DATE '$until'
), """
"""In front of ``dockless``: it then looks at the days of these stations only."""


def with_parts(text: str) -> str:
    """Return the SQL *text* with the placeholders of `parts` filled in."""
    return Template(text).safe_substitute(parts())


@cache
def parts() -> Mapping[str, str]:
    """Return the SQL for each placeholder of a part.

    Parts that end with a table are the beginning of a WITH clause; their tables:
    ``dockless`` has station days without known docks (``dockless_of_asked``: of the
    stations in ``asked`` only; ``dockless_by_day``: the same from ``station_days``),
    ``expected`` has numbers of expected slots, ``vehicle_expected`` those of vehicles,
    ``turns`` their collected ones.
    """
    dockless = _read("dockless")
    of_asked = dockless.replace(PROFILE, f"{PROFILE}\n{OF_ASKED}")
    stale = {f"stale_{alias}": stale_sql(alias) for alias in "mst"}
    joins = {
        **{f"join_dockless_{alias}": UNKNOWN_DOCKS.format(alias) for alias in "pqr"},
        "docks": "CASE WHEN x.station_id IS NULL THEN r.num_docks_available END",
        "docks_known": "CASE WHEN x.station_id IS NULL THEN p.docks_known ELSE 0 END",
    }
    return {
        **joins,
        **stale,
        "dockless": dockless,
        "dockless_of_asked": of_asked,
        "dockless_by_day": DOCKLESS_BY_DAY
        + of_asked.replace("profile AS", "station_days AS").replace(
            "JOIN asked", "JOIN without_docks"
        ),
        "lives": _read("lives"),
        "numbered": Template(_read("numbered")).safe_substitute(stale),
        "expected": _expected(),
        "expected_by_date": _expected("date"),
        "expected_by_hour": _expected("hour_of_week"),
        "expected_by_date_and_hour": _expected("date", "hour_of_week"),
        "turns": _read("turns"),
        "vehicle_expected": _by_keys("vehicle_expected"),
        "vehicle_expected_by_hour": _by_keys("vehicle_expected", "hour_of_week"),
        "scarce": Template(_read("scarce")).safe_substitute(joins),
    }


def _expected(*keys: str) -> str:
    """Return the SQL of the tables ``lives`` and ``expected``, by *keys*."""
    return Template(_by_keys("expected", *keys)).safe_substitute(lives=_read("lives"))


def _by_keys(name: str, *keys: str) -> str:
    """Return the SQL of the part *name*, whose slots ``s`` are counted by *keys*."""
    return Template(_read(name)).safe_substitute(
        columns="".join(f"s.{key} AS {key}, " for key in keys),
        keys="".join(f", s.{key}" for key in keys),
    )


def _read(name: str) -> str:
    """Return the SQL of the part *name* without the comments above it."""
    text = files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
    return "\n".join(
        line for line in text.strip().splitlines() if not line.startswith("--")
    )
