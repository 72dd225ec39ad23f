"""The ledger's tables, the steps that upgrade an older ledger, and their rows."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect.core.blocks import Block, Span
from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.data_folder import INFORMATION, STATUS

if TYPE_CHECKING:
    import sqlite3

RUNS_AND_BLOCKS = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    slot INTEGER NOT NULL,      -- epoch seconds at which the slot begins
    started REAL NOT NULL,      -- epoch seconds
    finished REAL,              -- epoch seconds; empty for a killed run
    outcome TEXT NOT NULL,
    cause TEXT NOT NULL,
    http_status INTEGER,
    attempts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,     -- of all documents, inflated
    stations INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    flags TEXT NOT NULL,        -- words, separated by a blank
    file TEXT NOT NULL,
    seconds TEXT NOT NULL,      -- JSON: stage -> seconds
    accepted INTEGER NOT NULL,  -- 1: the payload became durable
    boot_id TEXT NOT NULL,
    uptime REAL NOT NULL,       -- seconds since that boot, at the start
    version TEXT NOT NULL,      -- of bikecollect
    error TEXT NOT NULL,
    notices TEXT NOT NULL,      -- JSON: [{kind, text}]
    tries TEXT NOT NULL         -- JSON: [{url, started, seconds, ...}]
) STRICT;
CREATE INDEX runs_by_slot ON runs (slot);
CREATE TABLE blocks (
    slot INTEGER PRIMARY KEY,   -- epoch seconds at which the slot begins
    file TEXT NOT NULL,
    start INTEGER NOT NULL,     -- byte at which the block begins
    "end" INTEGER NOT NULL,     -- byte after its last
    crc32 INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    sha256 TEXT NOT NULL,       -- of the payload's documents; empty if adopted
    fetched_at REAL NOT NULL,   -- epoch seconds
    last_updated INTEGER,       -- the feed's own stamp, epoch seconds
    run_id TEXT NOT NULL,
    uptime REAL NOT NULL,       -- seconds since boot, at the fetch
    boot_id TEXT NOT NULL,
    source TEXT NOT NULL        -- fetch, recovery, adopted
) STRICT;
CREATE TABLE files (
    file TEXT PRIMARY KEY,
    "end" INTEGER NOT NULL,     -- committed bytes
    start INTEGER NOT NULL,     -- of the last block
    crc32 INTEGER NOT NULL,     -- of the last block
    damaged INTEGER NOT NULL    -- 1: never appended to again
) STRICT;
CREATE TABLE stations (
    station_id TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    name TEXT, short_name TEXT, lat REAL, lon REAL, capacity INTEGER,
    address TEXT, region TEXT, post_code TEXT, is_virtual_station INTEGER,
    name_en TEXT, address_en TEXT, region_en TEXT, is_listed INTEGER NOT NULL,
    PRIMARY KEY (station_id, valid_from)
) STRICT, WITHOUT ROWID;
CREATE TABLE absent (
    station_id TEXT PRIMARY KEY,
    since INTEGER NOT NULL      -- first slot at which the list lacked it
) STRICT;
CREATE TABLE memory (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
"""
INCIDENTS = """
CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,         -- fetch, payload, disk, ...
    opened INTEGER NOT NULL,    -- first slot in trouble, epoch seconds
    last INTEGER NOT NULL,      -- latest slot in trouble
    closed INTEGER,             -- slot at which it was over; empty while open
    slots INTEGER NOT NULL,     -- slots in trouble
    lost INTEGER NOT NULL,      -- slots without a block because of it
    told INTEGER NOT NULL,      -- number of reports
    causes TEXT NOT NULL,       -- JSON: cause -> slots
    text TEXT NOT NULL          -- the last message
) STRICT;
CREATE INDEX incidents_by_slot ON incidents (opened);
"""
ARCHIVES = """
ALTER TABLE runs ADD COLUMN awake REAL NOT NULL DEFAULT 0;  -- uptime without sleep
ALTER TABLE blocks ADD COLUMN flags TEXT NOT NULL DEFAULT '';  -- words, as of runs
ALTER TABLE files ADD COLUMN header INTEGER;  -- crc32 of the first line; empty: unknown
CREATE TABLE archives (
    day TEXT PRIMARY KEY,       -- local day, as in the file's name
    rows INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    sha256 TEXT NOT NULL,       -- of the day's CSV, sorted by slot and station_id
    timezone TEXT NOT NULL,     -- by which the day was cut
    made REAL NOT NULL,         -- epoch seconds
    csv_gone INTEGER NOT NULL,  -- 1: the CSV was removed, the archive has the rows
    parts TEXT NOT NULL         -- JSON: dataset -> {bytes, sha256} of its file
) STRICT;
"""
PACKED_RUNS = """
CREATE TABLE packed_runs (
    day TEXT PRIMARY KEY,       -- local day, archived more than five weeks ago
    first INTEGER NOT NULL,     -- slot of its first run
    last INTEGER NOT NULL,      -- slot of its last run
    runs INTEGER NOT NULL,      -- their number
    account BLOB NOT NULL,      -- zlib, JSON: column of `runs` -> values, in order
    details BLOB NOT NULL       -- the same, of the other columns
) STRICT;
"""
LISTED = """
SELECT station_id
FROM (SELECT station_id, is_listed, max(valid_from) FROM stations GROUP BY station_id)
WHERE is_listed
"""
"""The stations whose newest version is listed. In SQLite a bare column is taken from
the row with max(); see https://sqlite.org/lang_select.html."""
STEPS = (RUNS_AND_BLOCKS, INCIDENTS, ARCHIVES, PACKED_RUNS)
"""The n-th step upgrades schema n - 1 to schema n."""
VERSION = len(STEPS)
GONE = 2
"""In ``files.damaged``: the file was archived and removed."""
UNPACKED = 3
"""The schema that lacks only the packed runs."""
LOST_ROWS = {
    "blocks": f"file <> '{INFORMATION}'",
    "stations": f"file = '{INFORMATION}'",
}
"""By table, the files to read again if the table is empty."""
INDEXES = """
CREATE INDEX IF NOT EXISTS runs_by_slot ON runs (slot);
CREATE INDEX IF NOT EXISTS incidents_by_slot ON incidents (opened);
"""
COLUMNS = (
    "SELECT m.name, c.name, c.type, c.pk FROM sqlite_master AS m"
    " JOIN pragma_table_info(m.name) AS c"
    " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid"
)


ARCHIVED_DAYS = "SELECT day FROM archives"
TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
CURRENT = 0xD773FFFD
"""The crc32 of the columns in schema `VERSION`: a shortcut for nearly all ledgers."""
MAX_NOTE, MAX_NOTES = 1_048_576, 32
"""Maximum characters of a note, and maximum notes that are stored at a time."""


def file_day(file: str = "file") -> str:
    """Return in SQL the local day in the name of a daily *file*.

    The folders ``station_status`` and ``vehicle_status`` have names of the same length.
    """
    return f"substr({file}, {len(STATUS) + 2}, 10)"


def find_version(db: "sqlite3.Connection") -> int | None:
    """Return the schema version of *db*, found by its tables.

    It is 0 if there are no tables and None if they are of no known schema. The stored
    version number is ignored: a ledger restored from SQL text has 0.
    """
    tables = tuple(db.execute(TABLES).fetchall())
    if not tables:
        return 0
    if tables not in _versions:  # usually all ledgers of a call have the same tables
        columns = tuple(db.execute(COLUMNS).fetchall())
        is_current = zlib.crc32(repr(columns).encode()) == CURRENT
        _versions[tables] = VERSION if is_current else _schemas().get(columns)
    return _versions[tables]


_versions: dict[tuple[Any, ...], int | None] = {}


@cache
def _schemas() -> dict[tuple[Any, ...], int]:
    """Return the number of each schema, by its columns."""
    import sqlite3  # not at the top: many importers of this module do not need it

    schemas = {}
    with closing(sqlite3.connect(":memory:")) as model:
        for version, step in enumerate(("", *STEPS)):
            model.executescript(step)
            schemas[tuple(model.execute(COLUMNS).fetchall())] = version
    return schemas


def newer_schema(path: Path, version: int) -> SettingsError:
    """Return the error that the ledger at *path* has a later schema, *version*."""
    return SettingsError(
        f"the ledger {path} was written by a newer bikecollect (schema {version}, "
        f"this one knows {VERSION}); upgrade it here too"
    )


def insert_block(db: "sqlite3.Connection", block: Block) -> None:
    """Write *block*, and the new end of its file."""
    row = block.to_row()
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO blocks VALUES ({marks})", row)
    upsert_file(db, block.span, block.header)


def upsert_file(
    db: "sqlite3.Connection", span: Span, header: int | None = None
) -> None:
    """Record that the file of *span* ends with that span."""
    db.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, 0, ?)"
        ' ON CONFLICT (file) DO UPDATE SET "end" = excluded."end",'
        " start = excluded.start, crc32 = excluded.crc32,"
        " header = coalesce(excluded.header, header)",
        (span.file, span.end, span.start, span.crc, header),
    )


def insert_stations(
    db: "sqlite3.Connection", slot: Slot, versions: Iterable[StationInformation]
) -> None:
    """Write *versions* of stations, valid from *slot* on."""
    marks = ", ".join("?" * 15)
    db.executemany(
        f"INSERT OR REPLACE INTO stations VALUES ({marks})",
        ((version.station_id, slot, *version[1:]) for version in versions),
    )


def to_information(row: Sequence[Any]) -> StationInformation:
    """Return the station version in a *row* of the table ``stations``."""
    virtual = None if row[10] is None else bool(row[10])
    return StationInformation._make(
        (row[0], *row[2:10], virtual, *row[11:14], bool(row[14]))
    )


def store_notes(db: "sqlite3.Connection", notes: Mapping[str, str]) -> None:
    """Store *notes*, replacing former values; those that are too long are dropped."""
    kept = [(k, text) for k, text in notes.items() if len(text) <= MAX_NOTE]
    db.executemany("DELETE FROM memory WHERE key = ?", ((k,) for k in notes))
    db.executemany("INSERT INTO memory VALUES (?, ?)", kept[:MAX_NOTES])
