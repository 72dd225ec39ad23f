"""The SQL of the reports runs unchanged on Spark, with the same results."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from keeping import compacted, compactor, viewed
from world import NOON, World

from bikecollect.archive import datasets
from bikecollect.core.slots import DAY
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
VALUES = Values(
    since=date(2026, 11, 1),
    until=date(2026, 12, 31),
    interval=300,
    minute=740,
    first_hour=144,
)
JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
"""A minute of Java: no time to optimize what it runs, nor to collect in parallel."""
Rows = list[tuple[Any, ...]]


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
    world = World(tmp_path_factory.mktemp("spark") / "bikes" / "city")
    for day in range(3):
        world.clock.now = NOON + day * DAY
        for number in range(40):
            world.clock.now += 300 if number % 7 else 900
            world.uptime = world.clock.now - NOON
            stations: dict[str, Any] = {
                "0001": number % 5,
                "0002": (number // 6) % 2 * 4,
                "x,y": None if number % 4 == 0 else 3,
            }
            if day:
                stations["late"] = number % 2
            names = {"0002": "Elsewhere"} if day == 2 else {}
            world.fetch(stations, names=names)
    world.clock.now = NOON + 3 * DAY
    compacted(world)
    assert len(compactor(world).archive.days()) == 3
    return world


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
WITHOUT_ROWS = {
    "neighbours",
    "vehicles",
    "vehicle_grid",
    "vehicle_idle",
    "vehicle_ids",
}
"""Of this feed, which has neither places nor vehicles."""


def tidy(rows: Sequence[Sequence[Any]]) -> Rows:
    """Return *rows*, floats to nine digits, sorted."""
    rounded = [
        tuple(float(f"{v:.9g}") if isinstance(v, float) else v for v in row)
        for row in rows
    ]
    return sorted(rounded, key=repr)


FRESH = replace(VALUES, without_stale=True)


@pytest.mark.parametrize("values", [VALUES, FRESH], ids=["all", "fresh"])
@pytest.mark.parametrize("report", REPORTS.values(), ids=lambda r: r.name)
def test_spark_gives_the_same(
    views: Any, world: World, report: Report, values: Values
) -> None:
    """One text, no date functions: equal rows, and some."""
    text = values.sql(report)
    with viewed(world) as db:
        duck = Duck(db)
        duck.register("asked", ASKED, asked(duck, VALUES, "station"))
        columns, expected = duck.query(text)

    result = views.sql(text)

    assert result.columns == columns
    assert tidy([tuple(row) for row in result.collect()]) == tidy(expected)
    assert expected or report.name in WITHOUT_ROWS
