"""The ledger's tables, and the steps that bring an older ledger to them."""

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
    "end" INTEGER NOT NULL,     -- byte behind its last
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
    told INTEGER NOT NULL,      -- how often somebody was told
    causes TEXT NOT NULL,       -- JSON: cause -> slots
    text TEXT NOT NULL          -- what was said last
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
STEPS = (RUNS_AND_BLOCKS, INCIDENTS, ARCHIVES)
"""The n-th step makes schema n out of schema n - 1."""
VERSION = len(STEPS)
