"""The causes of missing slots that the files of an archived day state."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bikecollect.archive.query import duckdb_engine
from bikecollect.core.causes import Cause

MEMORY = "64MB"
CAUSES = (
    f"SELECT count(*) FILTER (cause NOT IN ('{Cause.UNKNOWN}',"
    f" '{Cause.NOT_COLLECTING}', '')), count(*) FILTER (cause = '{Cause.UNKNOWN}')"
    " FROM {} WHERE state = 'missing'"
)


class KnownCauses(NamedTuple):
    """The facts of a day, the most important first: a greater value has more.

    *causes* is the number of missing slots whose cause is known, *unknown* that of
    slots that were expected, but nobody knows why they are missing. Of all others the
    day only says that collection had not started. *runs* is the number of its runs.
    """

    causes: int
    unknown: int
    runs: int


def known_causes(files: Mapping[str, Path], spill: Path) -> KnownCauses:
    """Return what *files*, the datasets `slots` and `runs` of a day, know.

    They are untrusted; raises StorageError if they cannot be read.
    """
    slots, runs = files["slots"], files["runs"]
    with (
        closing(duckdb_engine.connect(spill, memory=MEMORY, caches_files=False)) as db,
        duckdb_engine.translated("the slots and runs of a day cannot be read"),
    ):
        duckdb_engine.confine(db, [str(slots), str(runs)])
        sql = CAUSES.format(duckdb_engine.parquet(slots))
        ((causes, unknown),) = db.execute(sql).fetchall()
        sql = f"SELECT count(*) FROM {duckdb_engine.parquet(runs)}"
        ((count,),) = db.execute(sql).fetchall()
    return KnownCauses(causes, unknown, count)
