"""An export as a workbook: real types, no formula, nothing truncated."""

import errno
import gc
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from traceback import clear_frames
from typing import Any
from unittest.mock import Mock
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from in_process import bikecollect
from templates import copied
from world import World

from bikecollect.cli.exporting import workbook
from bikecollect.core.errors import UsageError

pytest.importorskip("duckdb")
pytest.importorskip("xlsxwriter")

DAY = "2026-11-22"
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a system with two slots, of a station whose name looks like a formula."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.fetch({"007": 1, "b": 2}, names={"007": "=1+1", "b": "市政府站"})
    world.fetch({"007": 0, "b": 3}, after=300)
    return world


def parsed(path: Path, sheet: int = 1) -> ET.Element:
    """Return a sheet of the workbook *path*."""
    with zipfile.ZipFile(path) as archive:
        return ET.fromstring(archive.read(f"xl/worksheets/sheet{sheet}.xml"))


def cells(path: Path, sheet: int = 1) -> Iterator[list[str]]:
    """Yield the rows of a sheet as they are stored: a letter for the type, and text."""
    for row in parsed(path, sheet).iter(f"{MAIN}row"):
        yield [
            f"{cell.get('t', 'n')}:{''.join(cell.itertext())}"
            for cell in row.iter(f"{MAIN}c")
        ]


def written(path: Path, rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Write *rows* with the header a, b, ... to *path*; return its first rows."""
    header = "abcdef"[: len(rows[0])]
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        zones, formats = {"city": ZoneInfo("Asia/Taipei")}, {"b": workbook.PERCENT}
        workbook.write(fd, "table", tuple(header), rows, zones=zones, formats=formats)
    finally:
        os.close(fd)
    return list(cells(path))


@pytest.mark.usefixtures("world")
def test_an_export_is_a_workbook_with_types(config: Path, tmp_path: Path) -> None:
    """Ids are text, counts are numbers, times are times of the system's zone."""
    path = tmp_path / "rows.xlsx"
    process = bikecollect("--config", config, "export", "--names", "-o", path)

    header, first, *others = cells(path)
    assert (process.returncode, process.stderr) == (0, "")
    assert header[:4] == [
        "inlineStr:slot",
        "inlineStr:fetched_at",
        "inlineStr:station_id",
        "inlineStr:num_vehicles_available",
    ]
    assert first[0] == "n:46348.5"  # 2026-11-22 12:00, in days since 1899-12-30
    assert first[2:4] == ["inlineStr:007", "n:1"]
    assert "inlineStr:=1+1" in first
    assert len(others) == 3


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("what", ["stations", "slots", "runs", "coverage"])
def test_each_table_is_written(config: Path, tmp_path: Path, what: str) -> None:
    """With a description beside it that names the format."""
    path = tmp_path / f"{what}.xlsx"
    process = bikecollect("--config", config, "export", "--what", what, "-o", path)

    assert process.returncode == 0
    assert len(list(cells(path))) > 1
    package = (tmp_path / "datapackage.json").read_text(encoding="utf-8")
    assert '"format": "xlsx"' in package


@pytest.mark.usefixtures("world")
def test_a_report_is_a_workbook_for_people(config: Path, tmp_path: Path) -> None:
    """Stations have their names, dates are dates, hours of the week have their name."""
    paths = tmp_path / "days.xlsx", tmp_path / "hours.xlsx"
    arguments = ("--config", config, "report", "--station", "b", "--since", DAY)
    bikecollect(*arguments, "days", "-o", paths[0])
    bikecollect(*arguments, "availability", "--by", "station", "-o", paths[1])

    days, hours = ([row[:5] for row in cells(path)] for path in paths)
    assert [cell.partition(":")[2] for cell in days[0][:4]] == [
        *("system_id", "station_id", "name", "date")
    ]
    assert days[1][1:4] == ["inlineStr:b", "inlineStr:b", "n:46348"]
    named = ["inlineStr:b", "inlineStr:b", "n:156", "inlineStr:Sun 12:00"]
    assert named in [row[1:] for row in hours]


@pytest.mark.usefixtures("world")
def test_a_query_is_a_workbook_with_times(config: Path, tmp_path: Path) -> None:
    """A timestamp is the local time."""
    path = tmp_path / "q.xlsx"
    sql = "SELECT slot_time, station_id FROM station_status ORDER BY ALL LIMIT 1"
    process = bikecollect("--config", config, "query", sql, "-o", path)

    assert (process.returncode, process.stderr) == (0, "")
    assert list(cells(path))[1] == ["n:46348.5", "inlineStr:007"]


@pytest.mark.usefixtures("world")
def test_times_of_two_zones_are_in_the_first_one(config: Path, tmp_path: Path) -> None:
    """A line says so, and the workbook calls it the zone of no system."""
    two, path = config.with_name("two.toml"), tmp_path / "q.xlsx"
    north = '\n[systems.north]\nfeed = "youbike"\ntimezone = "Europe/Oslo"\nurl = "http://h/"\n'
    two.write_text(config.read_text("utf-8") + north, encoding="utf-8")
    two.chmod(0o600)
    sql = "SELECT slot_time, station_id FROM station_status"
    lines = [
        bikecollect("--config", two, "query", *arguments).stderr
        for arguments in (
            [sql, "-o", path],
            ["FROM station_status"],
            ["SELECT count(*) FROM station_status"],
            [sql, "--system", "city"],
        )
    ]

    about = "time zone of city (Asia/Taipei), those of north (Europe/Oslo) too;"
    assert about in lines[0]
    assert about in lines[1]
    assert lines[2:] == ["", ""]
    assert list(cells(path, 2))[1:] == [
        ["inlineStr:(times of all systems)", "inlineStr:Asia/Taipei"]
    ]


def test_values_keep_their_types(tmp_path: Path) -> None:
    """Text that looks like a number, an address or a formula remains text."""
    day = date(2026, 11, 22)
    texts = ("007", "=cmd()", "https://example.org", "1e5")

    _, numbers, strings = written(
        tmp_path / "t.xlsx",
        [(1, 0.25, True, day, datetime(2026, 11, 22, 12, tzinfo=UTC), None), texts],
    )

    assert numbers == ["n:1", "n:0.25", "b:1", "n:46348", "n:46348.5"]
    assert strings == [f"inlineStr:{text}" for text in texts]


def test_what_is_no_number_is_an_empty_cell(tmp_path: Path) -> None:
    """Not a formula with an error, which each sum above it would show."""
    _, numbers = written(tmp_path / "t.xlsx", [(float("nan"), float("-inf"), 1)])

    assert numbers == ["n:1"]


def test_fractions_are_shown_as_such(tmp_path: Path) -> None:
    """The cell has all digits; whole numbers in the column have no format."""
    written(tmp_path / "t.xlsx", [(0.25, 0.995, 1), (1, 1, 0.1)])

    styles = [c.get("s", "") for c in parsed(tmp_path / "t.xlsx").iter(f"{MAIN}c")]
    with zipfile.ZipFile(tmp_path / "t.xlsx") as archive:
        code = b"[&gt;=0.9995]0.0####%;[&lt;0.0005]0.0####%;0.0%"
        assert b'formatCode="%s"' % code in archive.read("xl/styles.xml")
    assert [bool(style) for style in styles[3:]] == [False, True, *[False] * 4]


def test_local_times_have_their_zones_on_the_last_sheet(tmp_path: Path) -> None:
    """A workbook knows no offsets, and systems can have several zones."""
    written(tmp_path / "t.xlsx", [(datetime(2026, 11, 22, 12, tzinfo=UTC),)])
    written(tmp_path / "none.xlsx", [(1,)])

    sheets = [list(cells(tmp_path / "t.xlsx", 2))]
    with zipfile.ZipFile(tmp_path / "none.xlsx") as archive:
        assert "xl/worksheets/sheet2.xml" not in archive.namelist()
    assert sheets == [
        [
            ["inlineStr:system_id", "inlineStr:time_zone"],
            ["inlineStr:city", "inlineStr:Asia/Taipei"],
        ]
    ]


@pytest.mark.usefixtures("world")
def test_columns_of_equal_names_are_both_written(config: Path) -> None:
    """An object of JSON would have lost the first; no NaN is in it."""
    sql = "SELECT 1 AS a, 2 AS A, 'nan'::DOUBLE AS b"
    for form in ("jsonl", "csv", "xlsx"):
        process = bikecollect("--config", config, "query", sql, "-o", f"t.{form}")
        assert (process.returncode, process.stderr) == (0, "")

    texts = [Path(f"t.{form}").read_text("utf-8") for form in ("jsonl", "csv")]
    assert texts == ['{"a": 1, "A_1": 2, "b": null}\n', "a,A_1,b\n1,2,nan\n"]
    assert next(cells(Path("t.xlsx"))) == [f"inlineStr:{n}" for n in ("a", "A_1", "b")]


def test_a_column_is_as_wide_as_its_cells(tmp_path: Path) -> None:
    """A time that does not fit is shown as ######; no column fills the screen."""
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)

    written(
        tmp_path / "t.xlsx",
        [(1, None, "模擬_鐘樓街33號", "x" * 99), (2, at, "b", "c")],
    )

    sheet = parsed(tmp_path / "t.xlsx")
    widths = [float(c.get("width", "")) for c in sheet.iter(f"{MAIN}col")]
    assert [round(size) for size in widths] == [13, 21, 16, 41]
    assert [f.get("ref") for f in sheet.iter(f"{MAIN}autoFilter")] == ["A1:D3"]
    assert [p.get("ySplit") for p in sheet.iter(f"{MAIN}pane")] == ["1"]


def test_an_id_that_a_spreadsheet_would_round_is_text(tmp_path: Path) -> None:
    """They show fifteen digits of a number."""
    _, numbers = written(tmp_path / "t.xlsx", [(10**15 - 1, 10**15)])

    assert numbers == [f"n:{10**15 - 1}", f"inlineStr:{10**15}"]


def test_more_rows_than_a_sheet_go_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same header."""
    monkeypatch.setattr(workbook, "SHEET_ROWS", 3)

    first = written(tmp_path / "t.xlsx", [(n,) for n in range(5)])

    assert first == [["inlineStr:a"], ["n:0"], ["n:1"]]
    second, third = (list(cells(tmp_path / "t.xlsx", n)) for n in (2, 3))
    assert second == [["inlineStr:a"], ["n:2"], ["n:3"]]
    assert third == [["inlineStr:a"], ["n:4"]]


def test_a_disk_that_is_full_is_one_error() -> None:
    """The unfinished file is not written again: that error could only be printed."""
    with pytest.raises(OSError, match="No space left on device") as caught:
        written(Path("/dev/full"), [("x", 1)])

    assert caught.value.filename is None, "`placed` names the file"


def test_a_signal_amid_the_writing_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The destructor of the unfinished file finds no closed one."""
    failed = Mock()
    monkeypatch.setattr(sys, "unraisablehook", failed)
    monkeypatch.setattr(zipfile.ZipFile, "write", Mock(side_effect=KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt) as caught:
        written(tmp_path / "t.xlsx", [("x", 1)])
    clear_frames(caught.tb)
    del caught
    gc.collect()

    failed.assert_not_called()


def test_a_full_disk_of_the_temporary_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the disk of the workbook."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(f"{workbook.__name__}._Book.fill", Mock(side_effect=error))

    with pytest.raises(OSError, match="No space left on device") as caught:
        written(tmp_path / "t.xlsx", [("x", 1)])

    assert "/bikecollect-" in str(caught.value.filename)


def test_a_text_too_long_for_a_cell_is_an_error(tmp_path: Path) -> None:
    """The library would omit it."""
    with pytest.raises(UsageError, match="b: a text of 32,768 characters does not fit"):
        written(tmp_path / "t.xlsx", [("x", "y" * 32_768)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "xlsx"), "a workbook goes to a file"),
        (("--format", "xlsx", "-o", "/dev/stdout"), "a workbook goes to a file"),
        (("--format", "xlsx", "-o", "rows.csv"), "cannot write .csv, but .xlsx"),
        (("--format", "xlsx", "-o", "rows"), "a workbook goes to a file"),
        (("--format", "csv", "-o", "rows.xlsx"), "cannot write .xlsx"),
        (("--excel-safe", "-o", "rows.xlsx"), "--excel-safe is for --format csv"),
        (("--since", "3000-01-01", "-o", "rows.xlsx"), "no rows after 2199;"),
    ],
)
@pytest.mark.usefixtures("world")
def test_an_unsupported_workbook_is_refused(
    config: Path, arguments: tuple[str, ...], words: str
) -> None:
    """Nothing is written."""
    process = bikecollect("--config", config, "export", *arguments)

    assert process.returncode == 64
    assert words in process.stderr
    assert not list(Path().glob("rows*"))


@pytest.mark.usefixtures("world")
def test_a_missing_library_is_named(config: Path, tmp_path: Path) -> None:
    """With its extra; an existing file is unchanged."""
    path = tmp_path / "rows.xlsx"
    path.write_text("mine", encoding="utf-8")
    code = (
        "import sys; sys.modules['xlsxwriter'] = None\n"
        "from bikecollect.__main__ import main\n"
        f"sys.argv = ['bikecollect', '--config', {str(config)!r}, 'export', '-o',"
        f" {str(path)!r}]\nmain()"
    )

    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert process.returncode == 69
    assert "a workbook requires XlsxWriter; run: " in process.stderr
    assert path.read_text(encoding="utf-8") == "mine"
