"""An archive that is not mounted, or has lost days, is reported by all commands."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from in_process import bikecollect
from keeping import compacted
from quiet_settings import write_settings
from templates import copied
from world import NOON, World

from bikecollect.core.slots import DAY
from bikecollect.storage.files import known_folders, marker


@copied
def archived(data: Path) -> World:
    """Return a world in *data* with two archived days, and a third open one."""
    world = World(data / "city")
    for _ in range(3):
        world.fetch({"a": 1, "b": 2}, after=300)
        world.clock.now += DAY
        world.uptime += DAY
    compacted(world, csv_days=0)
    (world.folder / ".bikecollect").touch()
    return world


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return settings of the archived system, and of another one."""
    archived(tmp_path / "data")
    path = tmp_path / "bikecollect.toml"
    return write_settings(path, tmp_path / "data", "city", "town")


def not_mounted(archive: Path) -> None:
    """Leave the empty mount point."""
    shutil.rmtree(archive)
    archive.mkdir()


def moved(archive: Path) -> None:
    """Rename it."""
    archive.rename(archive.with_name("old"))


def a_day_lost(archive: Path) -> None:
    """Remove a day from all datasets."""
    for path in archive.glob("*/system_id=city/date=2026-11-22"):
        shutil.rmtree(path)


def folder_gone(archive: Path) -> None:
    """Move the system's folder, whose archived days remain."""
    city = archive.with_name("city")
    known_folders.remember(city)
    city.rename(archive.with_name("old"))


def begun_anew(archive: Path) -> None:
    """Mark the system's folder as the one in the place of another that is gone."""
    with (archive.with_name("city") / ".bikecollect").open("ab") as file:
        file.write(marker.mark(NOON + DAY))


def emptied(archive: Path) -> None:
    """Remove all of the system's folder but the marker, as ``rm -r city/*`` does."""
    city = archive.with_name("city")
    (city / ".bikecollect").write_bytes(marker.text_of("city") + b"holds: stations\n")
    for path in city.glob("[!.]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


LOSSES: dict[str, Callable[[Path], None]] = {
    "not mounted": not_mounted,
    "removed": shutil.rmtree,
    "moved": moved,
    "a day lost": a_day_lost,
}
OF_FOLDER = {"folder gone": folder_gone, "begun anew": begun_anew, "emptied": emptied}


@pytest.mark.parametrize(
    ("lose", "place"),
    [
        *((lose, "archive") for lose in LOSSES.values()),
        *((lose, "city") for lose in OF_FOLDER.values()),
    ],
    ids=[*LOSSES, *OF_FOLDER],
)
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("status", "--alert", "city"), 1),
        (("export", "city"), 74),
        (("query", "SELECT count(*) FROM station_status"), 74),
        (("report", "availability", "city"), 74),
        (("verify", "city"), 1),
        (("doctor", "--offline"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_lost_archive_or_folder_is_reported(
    config: Path,
    lose: Callable[[Path], None],
    place: str,
    command: tuple[str, ...],
    code: int,
) -> None:
    """No answer from a part is presented as complete."""
    data = config.with_name("data")
    lose(data / "archive")

    process = bikecollect("--config", str(config), *command)

    assert process.returncode == code
    assert str(data / place) in (process.stdout + process.stderr).replace("\n", "")


def test_an_answer_without_lost_data_is_complete(config: Path) -> None:
    """Of later days, of another system or of no table: 0, without a word on the loss.

    A query does not tell its days; a condition on a value still reads the lost rows.
    """
    begun_anew(config.with_name("data") / "archive")
    words = ("--config", config, "backfill-report", "city", "--since")
    sql = "SELECT count(*) FROM {} WHERE {}"
    conditions = {
        "SELECT 1": 0,
        sql.format("slots", "system_id = 'town' AND slot > 0"): 0,
        sql.format("slots", "system_id = 'city' AND slot > 0"): 74,
        sql.format("stations", "system_id <> 'town'"): 74,
    }

    codes = [
        bikecollect(*words, day).returncode for day in ("2026-11-23", "2026-11-24")
    ]
    answers = [bikecollect("--config", config, "query", text) for text in conditions]

    assert codes == [74, 0]
    assert [answer.returncode for answer in answers] == [*conditions.values()]
    assert [answer.stderr.count(" was gone on ") for answer in answers] == [0, 0, 1, 1]


def test_shared_pages_say_what_they_lack(config: Path, tmp_path: Path) -> None:
    """So does the command: figures without a day are not those of all days."""
    archive = config.with_name("data") / "archive"
    (archive / "station_status/system_id=city/date=2026-11-23/part.parquet").unlink()
    begun_anew(archive)

    process = bikecollect("--config", config, "share", "city", "-o", tmp_path / "web")

    assert process.returncode == 74
    assert f"{archive.with_name('city')} was gone on 2026-11-23 " in process.stderr
    assert "city: 2026-11-23 cannot be read: " in process.stderr
    texts = [page.read_text("utf-8") for page in (tmp_path / "web").glob("*.html")]
    lost = (
        "all data from before 2026-11-23 12:00 (+08:00), and data of 1 day that cannot"
    )
    assert ["Missing in all figures: " + lost in text for text in texts] == [True] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize(
    "private",
    [
        *("city", "city/ledger.sqlite3", "archive/station_status"),
        "archive/station_status/*/date=*",
    ],
)
def test_what_another_user_may_not_read_is_neither_lost_nor_damaged(
    private: str,
) -> None:
    """Each command names it, whose it is, and who asks; no remedy of a loss."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place, "data")
        archived(data)
        config = write_settings(Path(place, "bikecollect.toml"), data, "city")
        for path in (Path(place), *Path(place).rglob("*")):
            path.chmod(0o755)
        denied = min(data.glob(private))
        denied.chmod(0o700)
        calls = [("--config", config, name) for name in ("status", "export")]
        own = [bikecollect(*call).returncode for call in calls]
        os.setresuid(1, 1, 0)
        try:
            status, export = [bikecollect(*call) for call in calls]
        finally:
            os.setresuid(0, 0, 0)

    texts = [" ".join((p.stdout + p.stderr).split()) for p in (status, export)]
    assert own == [0, 0]
    assert export.returncode == 74
    assert "; it belongs to root, this user is " in export.stderr
    assert all(f"{denied}" in text for text in texts)
    assert all("Permission denied" in text for text in texts)
    remedies = "if it is damaged", "forget city"
    assert not [text for text in texts if any(word in text for word in remedies)]


def a_pipe(part: Path) -> None:
    """Put a pipe in the place of *part*."""
    part.unlink()
    os.mkfifo(part)


@pytest.mark.parametrize(
    "damage",
    [Path.unlink, a_pipe, lambda part: part.write_bytes(b"half")],
    ids=["deleted", "pipe", "other size"],
)
def test_compact_names_a_lost_day(
    config: Path, damage: Callable[[Path], object]
) -> None:
    """Not "every closed day is in the archive"; one line has the day and the remedy."""
    (part,) = config.with_name("data").glob(
        "archive/station_status/system_id=city/date=2026-11-22/part.parquet"
    )
    damage(part)

    process = bikecollect("--config", str(config), "compact", "city")

    assert (process.returncode, process.stdout) == (74, "")
    assert process.stderr.count("\n") == 1
    assert "city: 1 archived day (2026-11-22) is missing or damaged" in process.stderr
    _, _, remedy = process.stderr.partition("from the kept payloads of 1 of 1 slots: ")
    assert remedy.endswith(" backfill city\n")
    assert " forget city 2026-11-22; then: " in remedy


@pytest.mark.parametrize("name", ["not mounted", "removed", "moved"])
def test_compact_does_not_fill_a_mount_point(config: Path, name: str) -> None:
    """It ends with the remedy, and nothing is written there. Nor is a day forgotten.

    The same holds for a system that has no archived day yet, and for the mirror's
    record; open days are copied to the mirror nevertheless. `verify` has one remedy.
    """
    archive = config.with_name("data") / "archive"
    day = max(path.stem for path in archive.rglob("*.json"))
    LOSSES[name](archive)
    archive.with_name("town").mkdir()
    with config.open("a", encoding="utf-8") as settings:
        settings.write(f'[archive]\nmirror = "file://{config.with_name("nas")}"\n')

    found = bikecollect("--config", config, "verify", "city").stdout.splitlines()
    live = bikecollect("--config", config, "push", "--live", "city")
    calls = [
        bikecollect("--config", config, *command)
        for command in (["compact"], ["push"], ["forget", "city", day])
    ]

    todo = [line for line in found if line.endswith(" findings)")]
    assert ["is its disk mounted?" in line for line in todo] == [True]
    assert (live.returncode, live.stderr) == (0, "")
    assert [process.returncode for process in calls] == [78] * 3
    asked = [process.stderr.count("is its disk mounted?") for process in calls]
    assert asked == [2, 1, 1]
    assert (
        "3 archived days of city (2026-11-22 to 2026-11-24) missing in"
        in calls[1].stderr
    )
    assert not archive.exists() or list(archive.iterdir()) == []


def test_verify_does_not_take_a_mount_point_for_a_sound_system(config: Path) -> None:
    """It has nothing that could disagree; the disk with the data is elsewhere."""
    city = config.with_name("data") / "city"
    known_folders.remember(city)
    city.rename(config.with_name("disk"))
    city.mkdir()

    process = bikecollect("--config", str(config), "verify", "city")

    assert (process.returncode, process.stdout) == (78, "")
    assert "is its disk mounted?" in process.stderr


READERS = [
    ("backfill-report",),
    ("runs",),
    ("runs", "show", "10:05"),
    ("backfill", "--dry-run"),
    ("export",),
    ("query", "SELECT count(*) FROM station_status"),
    ("report", "reliability"),
    ("share", "-o", "pages"),
    ("publish", "city", "-o", "dataset"),
]
WRITERS = [
    ("compact",),
    ("push",),
    ("push", "--live"),
    ("rebuild", "stations"),
    ("forget", "city", "2026-11-22"),
]
JUDGES = [("status",), ("status", "--alert"), ("doctor", "--offline")]


@pytest.mark.parametrize("names", [["city"], ["city", "town"]], ids=len)
@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_mount_point_is_no_system_without_data(
    tmp_path: Path, command: tuple[str, ...], names: list[str]
) -> None:
    """Its data are elsewhere: "nothing yet" would be wrong. One disk may have all."""
    config = write_settings(tmp_path / "bikecollect.toml", tmp_path / "data", *names)
    for name in names:
        known_folders.remember(tmp_path / "data" / name)
    (tmp_path / "data").mkdir()

    process = bikecollect("--config", str(config), *command)

    assert (process.returncode, process.stdout) == (78, "")
    assert "is its disk mounted?" in process.stderr


@pytest.mark.parametrize("command", [*READERS, *WRITERS], ids=" ".join)
def test_a_folder_that_is_gone_is_no_system_without_data(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Its remedies are named; one that was never fetched has no data yet."""
    data = tmp_path / "data"
    config = write_settings(tmp_path / "bikecollect.toml", data, "city")
    with config.open("a", encoding="utf-8") as settings:
        settings.write('[archive]\nmirror = "file:///copy"\n')
    (data / "other").mkdir(parents=True)

    known_folders.remember(data / "city")
    lost = bikecollect("--config", str(config), *command)
    begun = (data / "city").exists()
    known_folders.disregard(data / "city")
    new = bikecollect("--config", str(config), *command)

    assert ("is gone" in new.stderr, begun) == (False, False)
    assert (lost.returncode, lost.stdout) == (74, "")
    assert lost.stderr.count(f"{data}/city is gone, with all data until now: ") == 1
    assert "backfill city --from file:///copy" in lost.stderr


@pytest.mark.parametrize("command", JUDGES, ids=" ".join)
def test_a_mount_point_is_named_where_the_state_is_shown(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The next fetch will not create the folder, but end with 78."""
    config = write_settings(tmp_path / "bikecollect.toml", tmp_path / "data", "city")
    known_folders.remember(tmp_path / "data" / "city")
    (tmp_path / "data").mkdir()

    printed = bikecollect("--config", str(config), *command).stdout

    lines = " ".join(printed.split())
    assert lines.count("/city should hold data but has no file .bikecollect") == 1
    assert "does not exist yet" not in lines


def test_an_archive_gets_a_marker(config: Path) -> None:
    """So that an empty mount point differs from an archive."""
    archive = config.with_name("data") / "archive"
    process = bikecollect("--config", str(config), "compact", "city")

    assert process.returncode == 0
    assert (archive / ".bikecollect").is_file()


def test_one_unusable_system_does_not_keep_the_others_from_the_archive(
    config: Path,
) -> None:
    """The bad one is named, and the exit code is not 0."""
    data = config.with_name("data")
    World(data / "town").fetch({"a": 1})
    (data / "town" / ".bikecollect").touch()
    with closing(sqlite3.connect(data / "city" / "ledger.sqlite3")) as db:
        db.execute("PRAGMA user_version = 99")

    process = bikecollect("--config", str(config), "compact")

    assert process.returncode == 78
    assert "city: the ledger" in process.stderr
    assert (data / "archive/station_status/system_id=town").is_dir()


def test_a_query_skips_a_system_that_cannot_be_read(config: Path) -> None:
    """The skipped one is named, and the exit code is not 0."""
    data = config.with_name("data")
    World(data / "town").fetch({"a": 1})
    (data / "city" / "ledger.sqlite3").write_bytes(b"no ledger" * 1000)

    process = bikecollect(
        "--config", str(config), "query", "SELECT DISTINCT system_id FROM slots"
    )

    assert process.returncode == 74
    assert "city: skipped: cannot read" in process.stderr
    assert "town" in process.stdout
