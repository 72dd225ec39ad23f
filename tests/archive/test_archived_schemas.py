"""Which archived files lack a column."""

from pathlib import Path

import pytest

from bikecollect.archive.query.archived_schemas import ArchivedSchemas

duckdb = pytest.importorskip("duckdb")
DAYS = ("2026-11-22", "2026-11-23", "2026-11-24")


@pytest.mark.parametrize(
    ("contents", "lacking"),
    [
        (("new", "new", "new"), ()),
        (("old", "new", "new"), DAYS[:1]),
        (("old", "old", "new"), DAYS[:2]),
        (("damaged", "old", "new"), DAYS[1:2]),
        (("new", "old", "damaged"), DAYS[1:2]),
        (("damaged", "old", "damaged"), DAYS[1:2]),
        (("damaged", "new", "new"), ()),
    ],
)
def test_files_without_a_column_are_found(
    tmp_path: Path, contents: tuple[str, ...], lacking: tuple[str, ...]
) -> None:
    """Also those between files that cannot be read."""
    columns = {"new": "1 AS slots, 2 AS episodes", "old": "1 AS slots"}
    files = {("city", day): tmp_path / f"{day}.parquet" for day in DAYS}
    with duckdb.connect() as db:
        for path, content in zip(files.values(), contents, strict=True):
            if content in columns:
                db.execute(f"COPY (SELECT {columns[content]}) TO '{path}'")
            else:
                path.write_bytes(b"no Parquet")

        keys = ArchivedSchemas(db).lacking(files, "episodes")

    assert keys == {("city", day) for day in lacking}
