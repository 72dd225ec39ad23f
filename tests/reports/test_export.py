"""Exported data is unchanged, described, and readable by other programs."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import on_terminal
from in_process import bikecollect
from templates import copied
from world import World

from bikecollect.archive.encoding.csv_cells import quoted
from bikecollect.core.slots import DAY
from bikecollect.core.text import disarmed
from bikecollect.reports.export import QUOTED, _disarmed

duckdb = pytest.importorskip("duckdb")


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world with two closed days, long past, and a gap."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"0002": bikes, "=HYPER,1": 7}, after=300)
    world.clock.now += DAY
    world.fetch({"0002": 4}, names={"0002": "@新站"})
    world.fetch({"0002": 5}, after=900)
    return world


def export(config: Path, *arguments: object) -> str:
    """Return what ``export`` prints."""
    process = bikecollect("--config", config, "export", *arguments)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def sorted_lines(world: World, day: str) -> str:
    """Return the CSV of *day*, sorted by slot and station."""
    path = world.folder / f"station_status/{day}.csv"
    head, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    rows.sort(key=lambda row: (row[0], row[2]))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue()


def test_an_export_is_the_text_of_the_daily_file(world: World, config: Path) -> None:
    """Value for value, before and after the day is archived, and its CSV gone."""
    expected = sorted_lines(world, "2026-11-22")
    days = ("--since", "2026-11-22", "--until", "2026-11-22")
    before = export(config, *days)

    process = bikecollect("--config", config, "compact", "--csv-days", 0)

    assert process.returncode == 0
    assert not list((world.folder / "station_status").iterdir())
    assert before == expected
    assert export(config, *days) == expected


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["--since", "2026-11-23", "--until", "2026-11-22"],
            '--since "2026-11-23" is not before --until "2026-11-22"',
        ),
        (
            ["--since", "2025-01-01", "--until", "2025-01-31"],
            "no rows from 2025-01-01 to 2025-01-31",
        ),
        (["--station", "zzz"], "no rows of station zzz"),
        (["--station", "zzz", "--format", "jsonl"], "no rows of station zzz"),
        (["--what", "runs", "--since", "2027-01-01"], "no rows from 2027-01-01"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "stdout"])
def test_an_export_of_nothing_is_an_error(
    config: Path, world: World, kind: str, arguments: list[str], problem: str
) -> None:
    """Never an empty file with exit code 0: the range or the station is wrong."""
    target = config.with_name("out") if kind == "file" else "-"

    process = bikecollect("--config", config, "export", *arguments, "-o", target)

    assert process.returncode == 64
    assert problem in process.stderr
    assert not config.with_name("out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--station", "0002", "--station", "zzz"), "no rows of station zzz: unknown"),
        (("--what", "stations", "--station", "zzz"), "unknown station"),
        (("--what", "gaps", "--station", "0002"), "--station does not apply to gaps"),
        (("--what", "runs", "--station", "0002"), "--station does not apply to runs"),
        (
            ("--what", "gaps", "--since", "2020-01-01", "--until", "2020-01-02"),
            "no rows",
        ),
        (("--what", "slots", "--until", "1900-01-01"), "no rows"),
    ],
)
@pytest.mark.usefixtures("world")
def test_a_failed_export_prints_no_header(
    config: Path, arguments: tuple[str, ...], message: str
) -> None:
    """A script that only reads the output gets no table."""
    process = bikecollect("--config", config, "export", *arguments)

    assert (process.returncode, process.stdout) == (64, "")
    assert message in process.stderr


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("since", ["1900-01-01", "0001-01-01", "1970-01-01"])
def test_a_range_may_begin_long_before_the_data(config: Path, since: str) -> None:
    """It is limited to the existing data."""
    everything = export(config)

    assert export(config, "--since", since, "--until", "9999-12-31") == everything


@pytest.mark.parametrize(
    ("what", "remedy"),
    [
        ("station_status", " yet; see: "),
        ("stations", " yet; see: "),
        ("gaps", " yet; see: "),
        ("runs", " yet; see: "),
        ("vehicle_status", "\n  vehicles are collected only with `vehicles = true`"),
    ],
)
def test_an_export_of_a_system_without_data_is_an_error(
    config: Path, tmp_path: Path, what: str, remedy: str
) -> None:
    """No file, not even a header, so that it is not taken for a result."""
    text = config.read_text(encoding="utf-8").replace("systems.city", "systems.new")
    config.write_text(text, encoding="utf-8")
    path = tmp_path / "rows.csv"
    process = bikecollect("--config", config, "export", "--what", what, "-o", path)

    assert (process.returncode, process.stdout) == (64, "")
    assert f"no rows of {what}{remedy}" in process.stderr
    assert not path.exists()


@pytest.mark.usefixtures("world")
def test_a_terminal_shows_names_of_stations(config: Path) -> None:
    """A pipe gets the text of the daily files."""
    shown = on_terminal("--config", config, "export", "--since", "2026-11-22")

    assert "last_reported,name,region,lat,lon" in shown
    assert "name" not in export(config)


def test_a_table_of_gaps_may_be_empty(config: Path, world: World) -> None:
    """Exit code 0, and its header."""
    text = export(config, "--what", "gaps", "--since", "2026-11-22", "--until", "today")

    assert text.startswith("first_slot,last_slot,slots,cause\n")


def test_an_export_to_a_file_says_what_it_wrote(config: Path, world: World) -> None:
    """Rows, bytes, the file and its description: on stderr, on a terminal only."""
    target = config.with_name("out.csv")

    text = on_terminal("--config", config, "export", "-o", target)

    *before, rows, last = text.rstrip().replace("\r", "").split("\n")
    assert "writing the export ..." in " ".join(before)
    assert rows.endswith(f"bikecollect: 8 rows, 842 bytes: {target}")
    described = target.with_name("datapackage.json")
    assert last == f"  its columns are described in {described}"


def test_the_exports_sha256_is_the_certificates(world: World, config: Path) -> None:
    """`sha256sum` of an export checks an old certificate of `verify`."""
    text = export(config, "--since", "2026-11-23")
    process = bikecollect("--config", config, "verify", "--format", "json")

    certificate = json.loads(process.stdout.splitlines()[-1])
    assert certificate["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_station_can_be_picked_and_named(config: Path, world: World) -> None:
    """The name is the one that was valid at the slot."""
    text = export(config, "--station", "0002", "--names", "--format", "jsonl")

    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["name"] for row in rows] == ["0002"] * 3 + ["@新站", "0002"]
    assert rows[0]["slot"] == "2026-11-22T12:05:00+08:00"
    assert rows[0]["is_renting"] is True


def test_excel_safe_escapes_formulas(config: Path) -> None:
    """Text that begins like a formula gets an apostrophe, numbers do not (fault 46)."""
    text = export(config, "--names", "--excel-safe")
    plain = export(config, "--names")

    assert text.startswith("\ufeffslot,")
    assert '"\'=HYPER,1",7' in text
    assert ",'@新站," in text
    assert '"=HYPER,1",7' in plain
    assert ",@新站," in plain


def test_gaps_and_runs_can_be_exported(config: Path) -> None:
    """The cause of a missing slot is part of the data."""
    gaps = export(config, "--what", "gaps", "--since", "2026-11-23")
    runs = export(config, "--what", "runs")

    _, gap, *_ = csv.DictReader(gaps.splitlines())
    assert (gap["first_slot"], gap["slots"]) == ("2026-11-23T12:20:00+08:00", "2")
    assert [row["outcome"] for row in csv.DictReader(runs.splitlines())] == [
        "collected"
    ] * 5


def test_a_data_package_describes_every_column(config: Path, tmp_path: Path) -> None:
    """Frictionless validates the files against it; each has a name of its own."""
    (tmp_path / "out").mkdir()
    for name, more in (
        ("rows.csv", ()),
        ("named.csv", ("--names",)),
        ("gaps.csv", ("--what", "gaps")),
        ("runs.csv", ("--what", "runs")),
        ("stations.csv", ("--what", "stations")),
        ("profile.csv", ("--what", "profile")),
        ("coverage.csv", ("--what", "coverage")),
        ("slots.csv", ("--what", "slots")),
        ("rows.parquet", ()),
    ):
        export(config, "--output", tmp_path / "out" / name, *more)
    place = tmp_path / "out/datapackage.json"
    description = json.loads(place.read_text(encoding="utf-8"))
    fields = [
        f for resource in description["resources"] for f in resource["schema"]["fields"]
    ]

    assert {resource["name"] for resource in description["resources"]} == {
        *("rows", "named", "gaps", "runs", "stations", "profile", "coverage", "slots"),
        "rows-parquet",
    }
    assert all(field["description"] and field["type"] for field in fields)
    description["resources"] = [
        r for r in description["resources"] if r["format"] == "csv"
    ]
    place.write_text(json.dumps(description), encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "frictionless", "validate", place, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(checked.stdout)["valid"], checked.stdout


def test_exported_parquet_has_types(config: Path, tmp_path: Path) -> None:
    """Pandas reads it: ids are text, times whole seconds."""
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "rows.parquet"
    export(config, "-o", path)

    frame = pandas.read_parquet(path)

    assert list(frame["station_id"])[0:2] == ["0002", "=HYPER,1"]
    assert str(frame["slot"].dtype) == "int64"


def test_a_closed_pipe_ends_an_export_quietly(config: Path) -> None:
    """A pipe to `head -1` gets no error."""
    process = subprocess.run(
        f"{sys.executable} -m bikecollect --config {config} export | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.stdout.startswith("slot,")
    assert process.stderr == ""


def test_a_query_sees_types_and_all_days(config: Path) -> None:
    """One SQL query over open days and the archive."""
    sql = "SELECT station_id, sum(num_vehicles_available) AS n FROM station_status"
    process = bikecollect(
        *("--config", config, "query", f"{sql} GROUP BY 1 ORDER BY 1"),
        *("--format", "csv"),
    )

    assert process.stdout == 'station_id,n\n0002,12\n"=HYPER,1",21\n'


def test_a_wrong_query_says_what_is_wrong(config: Path) -> None:
    """No traceback; the exit code of a usage error."""
    process = bikecollect("--config", config, "query", "SELECT nonsense FROM runs")

    assert process.returncode == 64
    assert "nonsense" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_day_that_has_grown_since_its_certificate_is_not_to_be_restored(
    config: Path, world: World
) -> None:
    """It was not over then; one that has lost slots is to be restored."""
    kept = world.folder.parent / "kept.jsonl"
    bikecollect("--config", config, "verify", "--certificates", kept)
    now = json.loads(kept.read_text(encoding="utf-8").splitlines()[-1])

    def to_do(slots: int) -> str:
        old = now | {"slots": slots, "sha256": "0" * 64}
        kept.write_text(json.dumps(old), encoding="utf-8")
        process = bikecollect("--config", config, "verify", "--against", kept)
        assert process.returncode == 1
        return process.stdout.partition("To do:\n  ")[2]

    assert to_do(now["slots"] - 1).startswith("write the certificates again if that ")
    assert to_do(now["slots"] + 1).startswith(f"restore {now['date']} from a backup ")


def test_verify_ends_with_1_after_a_change(config: Path, world: World) -> None:
    """It names the change; kept certificates detect it years later.

    Those of systems and days that were not asked for are not missed; those of a system
    that is no longer in the settings are.
    """
    kept = world.folder.parent / "kept.jsonl"
    first = bikecollect("--config", config, "verify", "--certificates", kept)
    line = kept.read_text(encoding="utf-8").splitlines()[0]
    others = line.replace("city", "sold"), line.replace("2026-11-22", "2025-01-01")
    with kept.open("a", encoding="utf-8") as out:
        out.writelines(f"{other}\n" for other in others)
    asked = ("city", "--since", "2026-11-01", "--against", kept)
    sound = bikecollect("--config", config, "verify", *asked)
    path = world.folder / "station_status/2026-11-22.csv"
    path.write_bytes(path.read_bytes().replace(b"0002,1,", b"0002,9,"))

    process = bikecollect("--config", config, "verify", "--against", kept)
    other_file = bikecollect("--config", config, "verify", "--against", config)

    assert "not a file of certificates" in other_file.stderr
    assert (first.returncode, sound.returncode, process.returncode) == (0, 0, 1)
    assert "sold 2026-11-22: is missing" in process.stdout
    assert "is damaged" in process.stdout
    assert "its certificate says" in process.stdout


TEXTS = (
    *("=1+1", "+1", "-1+1", "@x", "\uff1d1", "\uff0b1", "\uff0d1+1", "\uff20x"),
    *("\t=1", "\r=1", "\n=1", "=a,b", '="q"', "-1.0", "+7", "-2e5", "-", "--1"),
    *("a=1", " =1", "'=1", "plain", 'say "x"', "1,5", "", "-1.0.0", "-\u0663"),
)


def test_excel_safe_escapes_the_same_texts_as_the_app() -> None:
    """Numbers are unchanged."""
    sql = quoted(_disarmed("t"), QUOTED)
    values = ", ".join(f"('{text.replace(chr(39), chr(39) * 2)}')" for text in TEXTS)
    rows = duckdb.sql(f"SELECT {sql} FROM (VALUES {values}) AS texts(t)").fetchall()

    lines = io.StringIO("".join(f"{cell},\r\n" for (cell,) in rows), newline="")
    cells = [row[0] for row in csv.reader(lines)]
    assert cells == [disarmed(text) for text in TEXTS]
    numbers = [cell for cell in cells if cell.startswith(("+", "-"))]
    assert numbers == ["+1", "-1.0", "+7", "-2e5"]


def test_excel_safe_only_adds_apostrophes(
    config: Path,
) -> None:
    """Removing them gives the original values, also through a CSV reader."""
    plain = list(csv.reader(io.StringIO(export(config, "--names"))))
    safe = list(csv.reader(io.StringIO(export(config, "--names", "--excel-safe")[1:])))

    assert len(plain) > 5
    assert safe != plain
    assert [[cell.removeprefix("'") for cell in row] for row in safe] == plain
