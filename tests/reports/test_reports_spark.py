"""The SQL of the reports runs unchanged on Spark, with the same results."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from keeping import viewed
from three_days import VALUES, WITHOUT_ROWS, answer_of_duckdb, three_days, tidy
from world import World

from bikecollect.archive import datasets
from bikecollect.reports.registry import REPORTS, Report, Values
from bikecollect.reports.runner import ASKED, Duck, asked
from bikecollect.storage.data_folder import ARCHIVE

pytest.importorskip("duckdb")
sql = pytest.importorskip("pyspark.sql")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java"),
    pytest.mark.filterwarnings("ignore"),
]
JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
"""A minute of Java: no time to optimize what it runs, nor to collect in parallel."""


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Yield a small Spark on this machine."""
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        # Compiling a plan costs more than these few rows take.
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.driver.extraJavaOptions", JVM)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.sources.partitionColumnTypeInference.enabled", "true")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return three archived days with gaps, NULLs, a renaming, and a late station."""
    return three_days(tmp_path_factory.mktemp("spark"))


@pytest.fixture(scope="module")
def views(spark: Any, world: World) -> Any:
    """Return Spark with the views of *world*'s archive, and its stations."""
    data = world.folder.parent
    for dataset in datasets.DATASETS:
        path = str(data / ARCHIVE / dataset)
        spark.read.parquet(path).createOrReplaceTempView(dataset)
    with viewed(world) as db:
        cursor = db.execute("SELECT * FROM stations")
        names = [field[0] for field in cursor.description or ()]
        rows = cursor.fetchall()
        kinds = {n: kind for n, kind, *_ in db.execute("DESCRIBE stations").fetchall()}
        some = asked(Duck(db), VALUES, "station")
    schema = ", ".join(f"{name} {SPARK[kinds[name]]}" for name in names)
    spark.createDataFrame(rows, schema).createOrReplaceTempView("stations")
    for dataset in datasets.VEHICLE_LAYOUT.datasets:
        columns = {"system_id": "VARCHAR", **datasets.COLUMNS[dataset]}
        schema = ", ".join(f"`{n}` {SPARK[kind]}" for n, kind in columns.items())
        vehicles = spark.createDataFrame([], f"{schema}, `date` DATE")
        vehicles.createOrReplaceTempView(dataset)
    asked_schema = ", ".join(f"{name} {SPARK[kind]}" for name, kind in ASKED.items())
    spark.createDataFrame(some, asked_schema).createOrReplaceTempView("asked")
    return spark


SPARK = {
    "VARCHAR": "STRING",
    "BIGINT": "BIGINT",
    "INTEGER": "INT",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "SMALLINT": "SMALLINT",
}
FRESH = replace(VALUES, without_stale=True)


@pytest.mark.parametrize("values", [VALUES, FRESH], ids=["all", "fresh"])
@pytest.mark.parametrize("report", REPORTS.values(), ids=lambda r: r.name)
def test_spark_gives_the_same(
    views: Any, world: World, report: Report, values: Values
) -> None:
    """One text, no date functions: equal rows, and some."""
    columns, expected = answer_of_duckdb(world, report, values)

    result = views.sql(values.sql(report))

    assert result.columns == columns
    assert tidy([tuple(row) for row in result.collect()]) == tidy(expected)
    assert expected or report.name in WITHOUT_ROWS
