"""What the history costs, beside the best that one would do without us.

Run: .venv/bin/python benchmarks/history.py FOLDER   (makes a year there: six minutes)

Whole processes, each beside its baselines in the same run: wall, CPU, peak memory;
sizes in bytes for each observation (a station in a slot).
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fetch import Figures, measured
from year import write_sheet

from bikecollect.core.slots import DAY

HERE = Path(__file__).parent
TIMES = 3
BEGIN = (int(time.time() + 28_800) // DAY - 1) * DAY - 28_800
"""Yesterday's midnight in Taipei: no day behind it is due."""
STATION = "990000100"
NARROW = "slot, station_id, num_vehicles_available, num_docks_available, is_renting"

DUCK = "import duckdb; db = duckdb.connect(config={{'threads': {threads}}}); {code}"
STATUS = (
    "read_parquet('{data}/archive/station_status/*/*/*.parquet',"
    " hive_partitioning=true)"
)
GAPS = (
    "s = [r[0] for r in db.execute('''SELECT DISTINCT slot FROM {status}"
    " ORDER BY slot''').fetchall()];"
    "g = [(a, b) for a, b in zip(s, s[1:]) if b - a > 300]"
)
WEEK = (
    "r = db.execute('''SELECT station_id, hour_of_week, COUNT(*),"
    " AVG(num_vehicles_available), AVG(num_docks_available),"
    " SUM(CASE WHEN num_vehicles_available > 0 THEN 1 ELSE 0 END)"
    " FROM {status} GROUP BY station_id, hour_of_week''').fetchall()"
)
EMPTY = (
    "r = db.execute('''SELECT station_id, slot FROM {status}"
    " WHERE num_vehicles_available = 0 ORDER BY station_id, slot''').fetchall()"
)
MONTH = (
    "r = db.execute('''SELECT slot, num_vehicles_available, num_docks_available"
    " FROM {status} WHERE station_id = '{station}' AND date >= DATE '2026-10-01'"
    " AND date < DATE '2026-11-01' ORDER BY slot''').fetchall()"
)
PANDAS_WEEK = (
    "import pandas as pd; d = pd.read_csv('{csv}', dtype={{'station_id': str}});"
    "t = pd.to_datetime(d.slot, utc=True).dt.tz_convert('Asia/Taipei');"
    "d['how'] = t.dt.day_of_week * 24 + t.dt.hour;"
    "d.groupby(['station_id', 'how'])[['num_vehicles_available',"
    " 'num_docks_available']].agg(['size', 'mean'])"
)
PANDAS_MONTH = (
    "import pandas as pd; d = pd.read_csv('{csv}', dtype={{'station_id': str}});"
    "d[d.station_id == '{station}'].sort_values('slot')"
)
COPY = (
    "db.execute('''COPY (SELECT * FROM read_csv(''{csv}'', types={{''station_id'':"
    " ''VARCHAR''}}) ORDER BY station_id, slot) TO ''{out}''"
    " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9,"
    " ROW_GROUP_SIZE 500000)'''.replace(\"''\", \"'\"))"
)
PANDAS_COPY = (
    "import pandas as pd; d = pd.read_csv('{csv}', dtype={{'station_id': str}});"
    "d.sort_values(['station_id', 'slot']).to_parquet('{out}', compression='zstd')"
)


def main() -> None:
    """Measure all, and print it."""
    folder = Path(sys.argv[1])
    data = folder / "bikes"
    if not (folder / "bikecollect.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, HERE / "year.py", data], check=True)
    with tempfile.TemporaryDirectory() as aside:
        day = _day(Path(aside))
        csv = next((day / "bikes/city/station_status").iterdir())
        _year(folder, data, csv)
        _compaction(day, csv, Path(aside))


def _year(folder: Path, data: Path, csv: Path) -> None:
    status = STATUS.format(data=data)
    config = folder / "bikecollect.toml"
    print("\na year of 1,600 stations, 166 million rows")
    _beside(
        ("backfill-report", lambda: _ours(config, "backfill-report")),
        ("  plain DuckDB: slots, holes between them", _duck(GAPS, status=status)),
    )
    week = ("report", "availability", "--by", "station", "--format", "csv")
    _beside(
        ("hour by weekday, each station", lambda: _ours(config, *week)),
        ("  plain DuckDB over the rows", _duck(WEEK, status=status)),
        ("  pandas over the CSV of ONE day", _python(PANDAS_WEEK, csv=csv)),
    )
    episodes = ("report", "episodes", "--least", "12", "--format", "csv")
    _beside(
        ("episodes of an hour or more", lambda: _ours(config, *episodes)),
        ("  plain DuckDB: slots without a vehicle", _duck(EMPTY, status=status)),
    )
    sql = (
        "SELECT slot, num_vehicles_available, num_docks_available FROM station_status"
        f" WHERE station_id = '{STATION}' AND date >= DATE '2026-10-01'"
        " AND date < DATE '2026-11-01' ORDER BY slot"
    )
    query = ("query", sql, "--format", "csv")
    month = _python(PANDAS_MONTH, csv=csv, station=STATION)
    _beside(
        ("one station's month", lambda: _ours(config, *query)),
        ("  plain DuckDB", _duck(MONTH, status=status, station=STATION)),
        ("  pandas over the CSV of ONE day", month),
    )
    files = list((data / "archive/station_status").rglob("*.parquet"))
    size = sum(path.stat().st_size for path in files)
    total = sum(p.stat().st_size for p in (data / "archive").rglob("*.parquet"))
    rows = len(files) * 455_890
    print(f"archive {total / 1e6:.0f} MB, rows {size / rows:.2f} B an observation")


def _compaction(day: Path, csv: Path, aside: Path) -> None:
    rows = csv.read_bytes().count(b"\n") - 1
    print(f"\ncompaction of one day, {rows:,} rows, {csv.stat().st_size / 1e6:.1f} MB")
    kept = aside / "kept"
    shutil.copytree(day, kept)

    def compact() -> Figures:
        shutil.rmtree(day)
        shutil.copytree(kept, day)
        return _ours(day / "bikecollect.toml", "compact", "--csv-days", "90000")

    out = aside / "out.parquet"
    _beside(
        ("compact: written, read back, proved, summed up", compact),
        ("  plain DuckDB: sort and copy", _duck(COPY, threads=1, csv=csv, out=out)),
    )
    duck = out.stat().st_size
    _row("  pandas: sort and to_parquet", _python(PANDAS_COPY, csv=csv, out=out))
    pandas = out.stat().st_size
    gz, xz = aside / "day.gz", aside / "day.xz"
    _row("  gzip -6", _shell(f"gzip -6 -c {csv} > {gz}"))
    _row("  xz -6", _shell(f"xz -6 -T1 -c {csv} > {xz}"), times=1)
    part = next((day / "bikes/archive/station_status").rglob("*.parquet"))
    narrow = aside / "narrow.parquet"
    sql = (
        f"COPY (SELECT {NARROW} FROM '{part}' ORDER BY station_id, slot) TO '{narrow}'"
        " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9,"
        " ROW_GROUP_SIZE 500000)"
    )
    subprocess.run(
        [sys.executable, "-c", f"import duckdb; duckdb.execute({sql!r})"], check=True
    )
    print("bytes an observation, all columns:")
    for name, size in (
        ("compact", part.stat().st_size),
        ("plain DuckDB, zstd 9", duck),
        ("pandas, zstd", pandas),
        ("CSV + gzip", gz.stat().st_size),
        ("CSV + xz", xz.stat().st_size),
        ("five columns only, DuckDB, zstd 9", narrow.stat().st_size),
    ):
        print(f"  {name:36} {size / rows:6.2f}")


def _day(aside: Path) -> Path:
    """Make a folder with one day of a city, as `fetch` leaves it."""
    folder = aside / "day"
    place = folder / "bikes/city"
    place.mkdir(parents=True)
    (place / ".bikecollect").touch()
    write_sheet(place, BEGIN, BEGIN + DAY)
    (folder / "bikecollect.toml").write_text(
        'data_dir = "bikes"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    return folder


def _ours(config: Path, *arguments: str) -> Figures:
    quiet = [sys.executable, "-m", "bikecollect", "--config", str(config)]
    return _quiet([*quiet, *arguments])


def _duck(code: str, threads: int = 2, **values: object) -> Callable[[], Figures]:
    text = DUCK.format(threads=threads, code=code.format(**values))
    return lambda: _quiet([sys.executable, "-c", text])


def _python(code: str, **values: object) -> Callable[[], Figures]:
    text = code.format(**values)
    return lambda: _quiet([sys.executable, "-c", text])


def _shell(text: str) -> Callable[[], Figures]:
    return lambda: measured(["/bin/sh", "-c", text])


def _quiet(command: list[str]) -> Figures:
    """Run *command* and discard its output."""
    return measured(["/bin/sh", "-c", 'exec "$@" > /dev/null', "sh", *command])


def _beside(*rows: tuple[str, Callable[[], Figures]]) -> None:
    """Measure *rows* in turn: ours, plain DuckDB and others; print the ratio, too."""
    turns = [[act() for _, act in rows] for _ in range(TIMES)]
    medians = [_median(figures) for figures in zip(*turns, strict=True)]
    ours, plain, *_ = medians
    for (name, _), figures in zip(rows, medians, strict=True):
        _print(name, figures)
    ratio = f"{ours.wall / plain.wall:.2f} wall, {ours.cpu / plain.cpu:.2f} CPU"
    print(f"  ours, times plain DuckDB: {ratio}")


def _row(name: str, act: Callable[[], Figures], times: int = TIMES) -> None:
    _print(name, _median([act() for _ in range(times)]))


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(
        wall=statistics.median(f.wall for f in figures),
        cpu=statistics.median(f.cpu for f in figures),
        mib=statistics.median(f.mib for f in figures),
    )


def _print(name: str, median: Figures) -> None:
    text = f"{median.wall:7.2f} s wall {median.cpu:7.2f} s CPU {median.mib:6.0f} MiB"
    print(f"{name:48} {text}")


if __name__ == "__main__":
    main()
