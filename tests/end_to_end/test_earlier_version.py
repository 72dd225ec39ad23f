"""Data of the version before is read, recovered, verified and exported unchanged.

``before/87c69d1.tar.xz`` holds a demo's folder as that commit's own commands made it:
two days of three stations, the first one archived and its CSV gone, payloads that were
rejected, and a run that was killed in the middle of writing the newest block. The other
files have that commit's output for the folder: torn, and healed by its next fetch.
"""

import json
import tarfile
from pathlib import Path

import pytest
from in_process import bikecollect
from served import Answer, serving

BEFORE = Path(__file__).parent / "before" / "87c69d1.tar.xz"
DAY = ("--since", "2026-11-25", "--until", "2026-11-25")
TABLES = (
    *("station_status", "stations", "slots", "gaps", "runs"),
    *("coverage", "profile"),
)

NEW_COLUMNS = {"coverage": 3, "profile": 2}
"""The number of columns that a table has now, and had not then."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data and output of the version before."""
    return unpacked(tmp_path_factory.mktemp("before"))


def unpacked(folder: Path) -> Path:
    """Return *folder* with the content of the archive."""
    with tarfile.open(BEFORE) as packed:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4
            packed.extraction_filter = tarfile.data_filter
        packed.extractall(folder)
    return folder


@pytest.fixture
def healed(tmp_path: Path) -> Path:
    """Return the same after a fetch whose feed is gone."""
    path = unpacked(tmp_path) / "data" / "bikecollect.toml"
    text = path.read_text(encoding="utf-8")
    with serving(lambda _: Answer(b"gone", 404)) as url:
        path.write_text(text.replace("http://127.0.0.1/", url), encoding="utf-8")
        process = bikecollect("--config", path, "fetch")
    assert process.returncode == 69
    return tmp_path


def output_of(before: Path, *arguments: str) -> str:
    """Return the output of a command for the folder."""
    path = before / "data" / "bikecollect.toml"
    return bikecollect("--config", path, *arguments).stdout


def report(before: Path) -> str:
    """Return the report of its two days."""
    until = ("--until", "2026-11-26T08:40")
    return output_of(before, "backfill-report", *DAY[:2], *until, "--format", "json")


def known_part(printed: str) -> str:
    """Return lines of JSON without keys that are new or have changed since.

    A finding has a remedy; rejected payloads that still cannot be read fill no slot.
    """
    lines = [json.loads(line) for line in printed.splitlines()]
    for values in lines:
        values.pop("remedy", None)
        for gap in values.get("gaps", ()):
            del gap["backfillable"], gap["from"]
    return "".join(f"{json.dumps(values, ensure_ascii=False)}\n" for values in lines)


def test_the_report_is_equal_to_the_byte(before: Path) -> None:
    """Every slot, its state and its cause, from the archive and from the CSV."""
    expected = before / "torn" / "backfill-report.json"

    assert known_part(report(before)) == known_part(expected.read_text("utf-8"))


def test_the_output_of_verify_is_equal_to_the_byte(before: Path) -> None:
    """The same certificates, and the same torn bytes."""
    expected = before / "torn" / "verify.jsonl"

    printed = output_of(before, "verify", "--format", "json")

    assert known_part(printed) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_exported_to_the_byte(before: Path, table: str) -> None:
    """Of the archived day, as CSV; new columns are the last ones."""
    expected = before / "torn" / f"{table}.csv"

    printed = output_of(before, "export", "--what", table, *DAY, "--format", "csv")

    lines = printed.splitlines()
    new = NEW_COLUMNS.get(table, 0)
    known = [line.rsplit(",", new)[0] for line in lines] if new else lines
    assert "\n".join([*known, ""]) == expected.read_text(encoding="utf-8")


def test_the_recovered_folder_is_equal_to_the_byte(healed: Path) -> None:
    """The torn block is cut, and written completely from its payload."""
    expected = healed / "healed"

    printed = output_of(healed, "verify", "--format", "json")
    rows = output_of(healed, "export", "--since", "2026-11-26", "--until", "2026-11-26")

    assert known_part(printed) == (expected / "verify.jsonl").read_text("utf-8")
    assert rows == (expected / "open-day.csv").read_text(encoding="utf-8")
    before_upgrade = (expected / "backfill-report.json").read_text("utf-8")
    assert known_part(report(healed)) == known_part(before_upgrade)
