"""A day's columns take the smaller of two encodings, and every program reads them."""

import random
from pathlib import Path
from typing import Any

import pytest
import vehicle_day

from bikecollect.archive import parquet
from bikecollect.archive.encoding import thrift, trial
from bikecollect.archive.query import duckdb_engine

pytest.importorskip("duckdb")
COLUMNS = {
    "slot": "BIGINT",
    "station_id": "VARCHAR",
    "num_vehicles_available": "INTEGER",
    "num_docks_available": "INTEGER",
    "num_vehicles_disabled": "INTEGER",
    "is_renting": "BOOLEAN",
    "last_reported": "BIGINT",
    "hour_of_week": "SMALLINT",
}
STATIONS, SLOTS = 40, 288


def day(vehicles: dict[int, int | None] | None = None) -> list[tuple[Any, ...]]:
    """Return a day of changing counts; *vehicles* replaces those of some rows."""
    chance = random.Random(7)
    rows: list[tuple[Any, ...]] = []
    for station in range(STATIONS):
        count, reported = 10, 1_700_000_000
        for slot in range(SLOTS):
            if chance.random() < 0.3:
                count = max(0, min(40, count + chance.randint(-4, 4)))
                reported += chance.randint(1, 9_999)
            number = len(rows)
            stored = (vehicles or {}).get(number, count)
            head = (1_700_000_100 + slot * 300, f"s{station:03}", stored)
            docks = None if station == 3 else 40 - count
            rows.append((*head, docks, None, True, reported, slot // 12))
    return rows


def written(folder: Path, rows: list[tuple[Any, ...]]) -> Path:
    """Return the file of *rows*."""
    db = duckdb_engine.connect(folder / "spill")
    duckdb_engine.load(db, "day", COLUMNS, rows)
    path = folder / "part.parquet"
    parquet.copy_smallest(db, "SELECT * FROM day ORDER BY station_id, slot", path)
    db.close()
    return path


def read_by_duckdb(path: Path, sql: str = "SELECT *") -> list[tuple[Any, ...]]:
    """Return the rows of *path*."""
    db = duckdb_engine.connect(path.parent / "spill")
    rows = db.execute(f"{sql} FROM read_parquet('{path}')").fetchall()
    db.close()
    return [tuple(row) for row in rows]


def encodings(path: Path) -> dict[str, str]:
    """Return the encoding of each column of *path*."""
    db = duckdb_engine.connect(path.parent / "spill")
    sql = f"SELECT path_in_schema, encodings FROM parquet_metadata('{path}')"
    rows = db.execute(sql).fetchall()
    db.close()
    return dict(rows)


def test_counts_that_change_are_split_into_streams(tmp_path: Path) -> None:
    """They are smaller so; text, flags and unknown values are as before."""
    path = written(tmp_path, day())
    chosen = encodings(path)
    assert chosen["num_vehicles_available"] == "BYTE_STREAM_SPLIT"
    assert chosen["num_docks_available"] == "BYTE_STREAM_SPLIT"
    assert chosen["station_id"] == "RLE_DICTIONARY"
    assert "BYTE_STREAM_SPLIT" not in chosen["num_vehicles_disabled"]
    db = duckdb_engine.connect(tmp_path / "spill")
    usual = tmp_path / "usual.parquet"
    db.execute(f"COPY (FROM '{path}') TO '{usual}' ({parquet.OPTIONS})")
    db.close()
    assert path.stat().st_size < 0.9 * usual.stat().st_size
    assert sorted(tmp_path.glob("part.*")) == [path]


def test_duckdb_pyarrow_and_polars_read_the_same_rows(tmp_path: Path) -> None:
    """Names, types and values are those that were written."""
    arrow = pytest.importorskip("pyarrow.parquet")
    polars = pytest.importorskip("polars")
    rows = day()
    path = written(tmp_path, rows)

    table = arrow.read_table(path)

    assert read_by_duckdb(path) == rows
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert polars.read_parquet(path).rows() == rows
    assert [str(field.type) for field in table.schema] == [
        *("int64", "string", "int32", "int32", "int32", "bool", "int64", "int16")
    ]


def test_columns_of_a_csv_that_are_never_empty_are_read(tmp_path: Path) -> None:
    """DuckDB leaves out the places for NULL that the columns of a CSV could need."""
    arrow = pytest.importorskip("pyarrow.parquet")
    polars = pytest.importorskip("polars")
    rows = [(slot, slot % 7, None if slot % 3 else slot) for slot in range(5_000)]
    sheet, path = tmp_path / "day.csv", tmp_path / "part.parquet"
    lines = [",".join("" if v is None else str(v) for v in row) for row in rows]
    sheet.write_text("\n".join(["slot,bikes,docks", *lines, ""]), encoding="utf-8")
    db = duckdb_engine.connect(tmp_path / "spill")
    values = "slot, CAST(bikes AS INTEGER) AS bikes, docks"
    parquet.copy_smallest(
        db, f"SELECT {values} FROM read_csv('{sheet}') ORDER BY slot", path
    )
    db.close()

    table = arrow.read_table(path)

    assert read_by_duckdb(path) == rows
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert polars.read_parquet(path).rows() == rows


def test_the_limits_of_a_column_are_those_of_its_integers(tmp_path: Path) -> None:
    """A reader may skip a file by them."""
    arrow = pytest.importorskip("pyarrow.parquet")
    rows = day()
    path = written(tmp_path, rows)

    group = arrow.ParquetFile(path).metadata.row_group(0)

    limits = {
        column.path_in_schema: (column.statistics.min, column.statistics.max)
        for column in (group.column(number) for number in range(group.num_columns))
        if column.statistics is not None and column.statistics.has_min_max
    }
    for index in (0, 2, 6, 7):
        values = [row[index] for row in rows]
        assert limits[list(COLUMNS)[index]] == (min(values), max(values))
    slot = rows[5][0]
    sql = "SELECT count(*)"
    db = duckdb_engine.connect(tmp_path / "spill")
    ((count,),) = db.execute(f"{sql} FROM '{path}' WHERE slot = {slot}").fetchall()
    db.close()
    assert count == STATIONS


@pytest.mark.parametrize(
    "value", [-1, -2_147_483_648, 8_388_607, 8_388_608, 2_147_483_647, None, 0]
)
def test_odd_counts_are_read_back_unchanged(tmp_path: Path, value: int | None) -> None:
    """Also those whose bits are no fraction of their own."""
    rows = day({5: value, 900: value})
    path = written(tmp_path, rows)
    assert read_by_duckdb(path) == rows


@pytest.mark.parametrize("rows", [[], day()[:1], day()[:2]])
def test_a_day_of_few_rows_is_written(
    tmp_path: Path, rows: list[tuple[Any, ...]]
) -> None:
    """None, one, or two."""
    assert read_by_duckdb(written(tmp_path, rows)) == rows


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """The trial does not depend on chance."""
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        contents.append(written(tmp_path / name, day()).read_bytes())
    assert contents[0] == contents[1]


def test_columns_of_many_rows_stay_together_in_two_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files are written, each by two threads; row N of both is the same row."""
    for options in ("BASE", "QUICK"):
        text = getattr(parquet, options).replace("2000000", "20480")
        monkeypatch.setattr(parquet, options, text)
    rows, bikes = 600_000, "CAST(hash(slot) % 40 AS INTEGER)"
    sql = f"SELECT slot, {bikes} AS bikes FROM range({rows}) AS r(slot) ORDER BY slot"
    db = duckdb_engine.connect(tmp_path / "spill", threads=2)
    path = tmp_path / "part.parquet"
    parquet.copy_smallest(db, sql, path)
    db.close()

    right = f"slot = file_row_number AND bikes = {bikes}"
    counted = read_by_duckdb(path, f"SELECT count(*) FILTER ({right})")

    assert encodings(path)["bikes"] == "BYTE_STREAM_SPLIT"
    assert counted == [(rows,)]


def test_a_footer_that_is_not_understood_leaves_the_usual_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of DuckDB may write one; the day is archived all the same."""

    def fail(*_: object) -> None:
        raise ValueError("values of type 11 are not supported")

    monkeypatch.setattr(trial, "combine", fail)
    rows = day()
    path = written(tmp_path, rows)
    assert read_by_duckdb(path) == rows
    assert encodings(path)["num_vehicles_available"] == "RLE_DICTIONARY"
    assert sorted(tmp_path.glob("part.*")) == [path]


def test_row_groups_are_combined_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of more rows than a row group holds."""
    monkeypatch.setattr(parquet, "BASE", parquet.BASE.replace("2000000", "4096"))
    monkeypatch.setattr(parquet, "QUICK", parquet.QUICK.replace("2000000", "4096"))
    rows = day()
    path = written(tmp_path, rows)
    assert read_by_duckdb(path) == rows
    groups = read_by_duckdb(path, "SELECT DISTINCT file_row_number // 4096")
    assert len(groups) == 3


def test_times_of_vehicles_are_stored_as_differences(tmp_path: Path) -> None:
    """They come and go: as a dictionary their slots would be a tenth of the file."""
    pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow.parquet")
    polars = pytest.importorskip("polars")
    rows = vehicle_day.rows_of(vehicles=120, slots=288)
    path = vehicle_day.written(tmp_path, rows)

    table = arrow.read_table(path)
    frame = table.to_pandas(integer_object_nulls=True)

    chosen = encodings(path)
    assert chosen["slot"] == chosen["fetched_at"] == "DELTA_BINARY_PACKED"
    assert read_by_duckdb(path) == rows
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert polars.read_parquet(path).rows() == rows
    assert frame["slot"].tolist() == [row[0] for row in rows]
    assert frame["current_range_meters"].tolist() == [row[8] for row in rows]
    db = duckdb_engine.connect(tmp_path / "spill")
    usual = tmp_path / "usual.parquet"
    db.execute(f"COPY (FROM '{path}') TO '{usual}' ({parquet.OPTIONS})")
    db.close()
    assert path.stat().st_size < 0.8 * usual.stat().st_size


def test_vehicles_of_many_row_groups_stay_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day has millions of rows: row N of each column is the same row."""
    monkeypatch.setattr(parquet, "VEHICLE_ROW_GROUP", 4_096)
    rows = vehicle_day.rows_of(vehicles=60, slots=288)
    path = vehicle_day.written(tmp_path, rows)

    assert read_by_duckdb(path) == rows
    db = duckdb_engine.connect(tmp_path / "spill")
    sql = f"SELECT max(row_group_id) FROM parquet_metadata('{path}')"
    assert db.execute(sql).fetchall() == [(len(rows) // 4_096,)]
    db.close()


@pytest.mark.parametrize("broken", [b"", b"\x15", b"\x1c\x15", b"\x18\x7fab", b"\x1b"])
def test_a_broken_struct_is_an_error(broken: bytes) -> None:
    """It is never read in part."""
    with pytest.raises(ValueError, match=r"incomplete|not supported"):
        thrift.read_struct(broken)
