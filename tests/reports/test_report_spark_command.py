"""`report --engine spark` prints the rows that `report` prints with DuckDB."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import vehicle_day
from command import bikecollect
from damaged_archives import HISTORY, SECOND, commands, damaged
from keeping import compacted
from three_days import WITHOUT_ROWS, three_days
from world import NOON

from bikecollect.archive import datasets
from bikecollect.core import process
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY
from bikecollect.reports.engines import spark
from bikecollect.reports.registry import REPORTS
from bikecollect.storage.data_folder import VEHICLE_STATUS
from bikecollect.storage.files import marker

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyspark")
pytestmark = pytest.mark.slow
needs_java = pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java")
SETTINGS = {
    # Compiling a plan costs more than these few rows take.
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    # So does improving it.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.optimizer.maxIterations": "5",
    "spark.sql.subexpressionElimination.enabled": "false",
    # By default each sort and each join allocates and clears 64 MB.
    "spark.buffer.pageSize": "1m",
    "spark.shuffle.compress": "false",
    "spark.broadcast.compress": "false",
    # Nobody sees the descriptions of plans, nor the progress.
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.maxPlanStringLength": "1000",
    "spark.ui.liveUpdate.period": "1h",
    # No session has classes that another one must not see.
    "spark.sql.artifact.isolation.enabled": "false",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    # Most of the time is spent in code that is not compiled yet.
    " -XX:CompileThresholdScaling=0.3"
    # Classes are loaded without a check of their bytecode.
    " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
    " -XX:+IgnoreUnrecognizedVMOptions"
    # With room for objects, classes and compiled code, less is cleaned up.
    " -Xms1g -Xmn500m -XX:MetaspaceSize=400m"
    " -XX:ReservedCodeCacheSize=200m -XX:-UseCodeCacheFlushing"
    # Memory that is touched for the first time comes in pieces of 2 MB, not 4 KiB.
    " -XX:+UseTransparentHugePages"
    # Java writes such lines, and its warnings, to stdout.
    " -Xlog:gc+init",
}
SUBMIT = " ".join(f"--conf '{name}={value}'" for name, value in SETTINGS.items())
ONE_CONTEXT = """
from pyspark import SparkContext
from pyspark.sql import SparkSession
def stop_recording(context):
    spark, session = context._jsc.sc(), SparkSession._instantiatedSession
    for store in (spark, session._jsparkSession.sharedState()):
        spark.listenerBus().removeListener(store.statusStore().listener().get())
SparkContext.stop = stop_recording
"""
"""Each command has its session, with its own views; what takes long is the context.

The listeners that record jobs and queries for Spark's web pages are removed.
"""
RUN_ALL = """
import contextlib, io, json, sys
from bikecollect.core import process
process.prepare()
from bikecollect.cli.main import run
answers = []
for arguments in json.load(sys.stdin):
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run(arguments)
    stdout.flush()
    answers.append([code, stdout.buffer.getvalue().decode(), stderr.getvalue()])
"""
"""All commands in one process, so that Java starts once."""
ASK_ONCE = """
from bikecollect.archive.query.views import tables_in
from bikecollect.reports.engines import spark
from bikecollect.reports.runner import BatchedAnswer
sessions, answered, streamed, viewed = {}, {}, {}, {}
def create_views(session, place, tables, create=spark._create_views):
    viewed.update(place=str(place), tables=frozenset(tables))
    if (key := (*viewed.values(),)) not in sessions:
        create(session, place, tables)
        sessions[key] = session
class Spark(spark.Spark):
    def __init__(self, session):
        super().__init__(sessions[(*viewed.values(),)])
    def register(self, table, columns, rows):
        self.asked = str(rows)
        super().register(table, columns, rows)
    def query(self, sql):
        key = viewed["place"], viewed["tables"] & tables_in(sql), sql
        if key not in answered:
            answered[key] = super().query(sql)
        return answered[key]
    def stream(self, sql):
        key = (*viewed.values(), self.asked, sql)
        if key in streamed:
            columns, batches = streamed[key]
            return BatchedAnswer(columns, iter(batches))
        columns, batches = super().stream(sql)
        return BatchedAnswer(columns, read(key, columns, batches))
def read(key, columns, batches):
    kept = []
    for rows in batches:
        kept.append(rows)
        yield rows
    streamed[key] = columns, kept
spark._create_views, spark.Spark = create_views, Spark
"""
"""Equal tables are viewed once, and what is asked of equal views is answered once."""
HOLD = """
from pathlib import Path
from bikecollect.reports.engines import spark
from bikecollect.reports.engines.archive_place import ArchivePlace
from bikecollect.storage.lock import exclusive_lock
data = Path(sys.argv[2])
place = ArchivePlace(f"{data}/archive", ["city"])
with spark.connected(place, {"slots"}, "local[1]") as engine:
    _, [(_, partitions)] = engine.query("SET spark.sql.shuffle.partitions")
    answers.append([0, partitions, ""])
    with exclusive_lock(data / "city/station_status") as is_free:
        answers.append([is_free, "", ""])
with exclusive_lock(data / "city/station_status") as is_free:
    answers.append([is_free, "", ""])
"""
"""The partitions of a shuffle; if `compact` may remove files then, and afterwards."""
HELD = ("partitions", "held", "released")
READ_PLAINLY = """
from pyspark.sql import SparkSession
session = SparkSession.builder.getOrCreate()
for dataset, select in json.loads(sys.argv[1]):
    frame = session.read.option("pathGlobFilter", "*.parquet").parquet(dataset)
    frame.createOrReplaceTempView("plain")
    answers.append([0, str([*session.sql(select).collect()[0]]), ""])
"""
"""The files as somebody reads them who has only Spark."""
PRINT = "\nprint(json.dumps(answers))\n"
RANGE = ["--since", "2026-11-22", "--until", "2026-11-24", "--at", "Sun 12:20"]
FRESH, JSON = ["--without-stale"], ["--format", "json"]
BY_STATION = ["--by", "station"]
GROUPED = {"availability": BY_STATION}
"""By station, so that text and CSV ask the same; without stale rows, by system."""
COMMANDS = {
    **{name: [name, *RANGE, *GROUPED.get(name, []), *JSON] for name in REPORTS},
    **{f"{name} without stale rows": [name, *RANGE, *FRESH, *JSON] for name in REPORTS},
    "text": ["availability", *RANGE, *BY_STATION, "--names"],
    "csv": ["availability", *RANGE, *BY_STATION, "--format", "csv"],
    "limit": ["history", *RANGE, "--limit", "3", "--station", "0001"],
    "names": ["hours", *RANGE, *FRESH, "--format", "csv", "--names"],
    "unknown station": ["hours", *RANGE, "--station", "nowhere"],
    "no data": ["coverage", "--since", "2025-01-01", "--until", "2025-01-02"],
    "earlier data": ["coverage", "--until", "2026-11-24", *JSON],
}
WITH_SPARK = ["--engine", "spark", "--master", "local[1]"]
SPARK_ONLY = {
    "no archive": ["hours", *RANGE, *WITH_SPARK, "--archive", "/nowhere/archive"],
    "no master": ["hours", *RANGE, "--engine", "spark", "--master", "nonsense"],
}
NUMBERS = {"BIGINT", "INTEGER", "SMALLINT", "UTINYINT", "TINYINT", "DOUBLE"}
Answers = Mapping[str, tuple[int, str, str]]
BASIS = re.compile(
    r"^  2026-.*: [\d,]+ of [\d,]+ expected slots were\s+collected.*\n", re.MULTILINE
)
"""The end of a text by DuckDB."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the settings of a system with three archived days, and lost ones."""
    world = three_days(tmp_path_factory.mktemp("by-spark"))
    compacted(world, csv_days=0)
    with (world.folder / ".bikecollect").open("ab") as file:
        file.write(marker.mark(NOON - 30 * DAY))
    path = world.folder.parents[1] / "bikecollect.toml"
    path.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n',
        encoding="utf-8",
    )
    (world.folder.parent / "archive/coverage/system_id=city/date=2026-11-22").joinpath(
        "part.parquet.tmp"
    ).write_bytes(b"half a file")
    vehicles = path.parent / "vehicles/system_id=city/date=2026-11-22"
    vehicles.mkdir(parents=True)
    vehicle_day.written(vehicles, vehicle_day.rows_of(vehicles=60, slots=100))
    return path


def answers(
    config: Path,
    commands: Mapping[str, list[str]],
    program: str = RUN_ALL,
    plain: Mapping[str, tuple[str, str]] | None = None,
) -> Answers:
    """Return exit code, stdout and stderr of *commands*, by one process.

    *plain* has a folder and a SELECT of the table `plain` for each further answer.
    """
    plain = plain or {}
    calls = [["--config", str(config), "report", *c] for c in commands.values()]
    process = subprocess.run(
        [
            *(sys.executable, "-c", program + PRINT),
            *(json.dumps([*plain.values()]), str(config.parent / "bikes")),
        ],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
        env={**os.environ, "PYSPARK_SUBMIT_ARGS": f"{SUBMIT} pyspark-shell"},
    )
    assert process.returncode == 0, process.stderr
    names = [*commands, *plain, *(HELD if HOLD in program else [])]
    return dict(zip(names, map(tuple, json.loads(process.stdout)), strict=True))


@pytest.fixture(scope="module")
def of_duckdb(config: Path) -> Answers:
    """Return what the commands print with DuckDB."""
    return answers(config, COMMANDS)


@pytest.fixture(scope="module")
def damaged_copies(config: Path) -> Mapping[str, Path]:
    """Return data folders with a damaged archive, without the daily files."""
    return damaged(config.parent / "bikes", config.parent / "damaged")


@pytest.fixture(scope="module")
def of_duckdb_on_damaged(damaged_copies: Mapping[str, Path], config: Path) -> Answers:
    """Return what DuckDB prints for damaged copies, and for the whole archive."""
    settings = config.read_text(encoding="utf-8")
    results = {"whole": answers(config, {"": HISTORY})[""]}
    for name in ("damaged", "half archived"):
        own = damaged_copies[name].with_name("bikecollect.toml")
        text = settings.replace(str(config.parent / "bikes"), str(damaged_copies[name]))
        own.write_text(text, encoding="utf-8")
        until = ["--until", SECOND] if name == "half archived" else []
        results[name] = answers(own, {"": [*HISTORY, *until]})[""]
    return results


@pytest.fixture(scope="module")
def of_spark(config: Path, damaged_copies: Mapping[str, Path]) -> Answers:
    """Return what the commands print with Spark."""
    shared = {name: [*words, *WITH_SPARK] for name, words in COMMANDS.items()}
    program = ONE_CONTEXT + ASK_ONCE + RUN_ALL + READ_PLAINLY + HOLD
    for name, words in commands(damaged_copies).items():
        shared[name] = [*words, *WITH_SPARK]
    return answers(config, shared | SPARK_ONLY, program, plain_reading(config))


def plain_reading(config: Path) -> dict[str, tuple[str, str]]:
    """Return the folder of each dataset, and a SELECT of what is in it."""
    archive = config.parent / "bikes" / "archive"
    folders = {dataset: archive / dataset for dataset in datasets.DATASETS}
    folders[VEHICLE_STATUS] = config.parent / "vehicles"
    return {
        f"plain {dataset}": (str(folder), f"SELECT {summary(dataset)} FROM plain")
        for dataset, folder in folders.items()
    }


def summary(dataset: str) -> str:
    """Return expressions that differ where rows, NULLs or numbers differ."""
    columns = datasets.COLUMNS[dataset]
    counted = [f"count({name})" for name in columns]
    summed = [
        f"round(sum(CAST({name} AS DOUBLE)), 6)"
        for name, kind in columns.items()
        if kind in NUMBERS
    ]
    return ", ".join(["count(*)", "count(DISTINCT date)", *counted, *summed])


@needs_java
@pytest.mark.parametrize("name", COMMANDS)
def test_spark_prints_what_duckdb_prints(
    of_duckdb: Answers, of_spark: Answers, name: str
) -> None:
    """`--engine spark` changes who computes, and nothing else, also in errors.

    But the slots of the days are counted from the ledger, which Spark does not have.
    """
    code, text, errors = of_duckdb[name]

    assert of_spark[name] == (code, BASIS.sub("", text), errors)


@needs_java
@pytest.mark.parametrize("dataset", [*datasets.DATASETS, VEHICLE_STATUS])
def test_spark_reads_the_files_as_they_are(
    of_spark: Answers, config: Path, dataset: str
) -> None:
    """Rows, values and sums of each column are those that DuckDB reads."""
    folder, select = plain_reading(config)[f"plain {dataset}"]
    files = f"read_parquet('{folder}/*/*/*.parquet', hive_partitioning = true)"
    query = select.replace("FROM plain", f"FROM {files}")
    expected = duckdb.connect().execute(query).fetchone()

    assert of_spark[f"plain {dataset}"][1] == str([*(expected or ())])
    assert expected
    assert expected[0] > 0


def test_there_is_something_to_compare(of_duckdb: Answers) -> None:
    """All reports on stations have rows."""
    empty = {name for name in REPORTS if not of_duckdb[name][1]}

    assert empty == WITHOUT_ROWS
    assert "Elsewhere" in of_duckdb["stations"][1]
    assert of_duckdb["unknown station"][0] == 64
    assert of_duckdb["no data"][0] == of_duckdb["earlier data"][0] == 74
    assert " was gone on " in of_duckdb["earlier data"][2]


def collected(text: str) -> list[str]:
    """Return the lines of collected slots: causes are of the ledger, or archived."""
    return [line for line in text.splitlines() if ",missing," not in line]


@needs_java
def test_damaged_days_are_skipped_and_named(
    of_spark: Answers, of_duckdb_on_damaged: Answers
) -> None:
    """The other days are printed; messages and exit code are those of DuckDB."""
    code, stdout, stderr = of_spark["damaged"]

    expected = of_duckdb_on_damaged["damaged"]
    # Only the archive of the settings can be looked at by `verify`, not any --archive.
    without_remedies = re.sub("; for remedies, see: .* verify", "", expected[2])
    assert without_remedies != expected[2]
    assert (code, collected(stdout), stderr) == (
        74,
        collected(expected[1]),
        without_remedies,
    )
    assert stderr.count(" cannot be read: ") == 2
    assert "date=2026-11-22/part.parquet has 160 rows, 120 were archived" in stderr
    assert "2026-11-24T" in stdout


@needs_java
def test_a_day_without_certificate_is_not_archived_yet(
    of_spark: Answers, of_duckdb_on_damaged: Answers
) -> None:
    """Its files may be incomplete. By a URL, sizes are compared."""
    code, stdout, stderr = of_spark["half archived"]

    expected = of_duckdb_on_damaged["half archived"]
    assert (code, collected(stdout)) == (74, collected(expected[1]))
    assert stderr.count(" cannot be read: ") == 1
    assert "city: 2026-11-23 cannot be read: file://" in stderr
    assert " bytes, its certificate lists another size; run: " in stderr


@needs_java
def test_an_archive_without_certificates_is_read_unchecked(
    of_spark: Answers, of_duckdb_on_damaged: Answers
) -> None:
    """Somebody may have copied the files only: a warning says so."""
    code, stdout, stderr = of_spark["uncertified"]

    assert (code, stdout) == of_duckdb_on_damaged["whole"][:2]
    assert "city: no certificates at " in stderr


@needs_java
def test_summaries_of_an_earlier_version_are_named(of_spark: Answers) -> None:
    """They lack columns, which Spark would read as NULL: other days are printed."""
    code, stdout, stderr = of_spark["outdated"]

    assert code == 74
    assert (
        "2026-11-23 cannot be read: its summaries are of an earlier version" in stderr
    )
    assert len(stdout.splitlines()) > 1


@needs_java
def test_compaction_removes_no_files_while_spark_reads(of_spark: Answers) -> None:
    """Spark holds the lock that DuckDB holds."""
    assert (of_spark["held"][0], of_spark["released"][0]) == (False, True)


@needs_java
def test_the_configured_number_of_partitions_is_kept(of_spark: Answers) -> None:
    """`--conf` in PYSPARK_SUBMIT_ARGS has precedence over what fits the cores."""
    assert of_spark["partitions"][1] == SETTINGS["spark.sql.shuffle.partitions"] == "1"


@needs_java
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no archive", "no archived days at /nowhere/archive"),
        ("no master", "Spark cannot be started at nonsense: unknown master; use local"),
    ],
)
def test_what_spark_cannot_read_is_an_error(
    of_spark: Answers, name: str, text: str
) -> None:
    """A wrong archive or master is named, without a traceback and without rows."""
    code, stdout, stderr = of_spark[name]

    assert (code, stdout) == (74, "")
    assert text in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("left", "variables", "expected"),
    [
        (16 << 30, {}, {"spark.driver.memory": "8g"}),
        (3 << 30, {}, {}),
        (16 << 30, {"SPARK_CONF_DIR": "/etc/spark"}, {}),
    ],
    ids=["half", "small machine", "configured"],
)
def test_java_may_take_half_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
    left: int,
    variables: Mapping[str, str],
    expected: Mapping[str, str],
) -> None:
    """By default it is 1 GiB, too little for the episodes of ten systems."""
    monkeypatch.setattr(process, "memory_left", lambda: left)
    for name in ("SPARK_CONF_DIR", "SPARK_DRIVER_MEMORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert spark._memory() == expected


def test_too_little_memory_of_java_says_what_to_do() -> None:
    """The report ends with the setting that helps."""
    text = "failed: Java heap space; give it more memory: PYSPARK_SUBMIT_ARGS="

    with pytest.raises(StorageError, match=text), spark._translated("failed"):
        raise RuntimeError("Java heap space")


def test_without_java_the_package_is_named(config: Path, tmp_path: Path) -> None:
    """Spark is a program in Java, which pip does not install."""
    process = bikecollect(
        *("--config", config, "report", "hours", *RANGE, *WITH_SPARK),
        PATH=str(tmp_path),
        JAVA_HOME="",
    )

    assert process.returncode == 69
    assert "requires Java 17 or newer; run: apt install default" in process.stderr


def test_a_java_that_does_not_start_is_named(config: Path, tmp_path: Path) -> None:
    """A Java that is too old ends before Spark can connect to it."""
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    java.chmod(0o755)

    process = bikecollect(
        *("--config", config, "report", "hours", *RANGE, *WITH_SPARK),
        JAVA_HOME=str(tmp_path),
    )

    assert process.returncode == 69
    assert "Java does not start" in process.stderr
    assert "Traceback" not in process.stderr


def test_without_pyspark_the_command_says_so(config: Path) -> None:
    """The extra is not part of any other."""
    blocked = "import sys; sys.modules['pyspark.sql'] = None\n" + RUN_ALL + PRINT
    call = ["--config", str(config), "report", "hours", *RANGE, *WITH_SPARK]
    process = subprocess.run(
        [sys.executable, "-c", blocked],
        input=json.dumps([call]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    [(code, stdout, stderr)] = json.loads(process.stdout)

    assert (code, stdout) == (69, "")
    assert "Spark is not installed; run: " in stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--master", "local[1]"], "--master requires --engine spark"),
        (["--archive", "/srv/archive"], "--archive requires --engine spark or --sql"),
    ],
)
def test_options_of_spark_require_it(
    config: Path, options: list[str], text: str
) -> None:
    """Without Spark they would change nothing, silently."""
    process = bikecollect("--config", config, "report", "hours", *options)

    assert process.returncode == 64
    assert text in process.stderr
