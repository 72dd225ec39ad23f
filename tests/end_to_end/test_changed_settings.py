"""A system whose settings change: reports on the past remain the same."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import pytest
from in_process import bikecollect
from served import Answer, serving

from bikecollect.core.errors import StorageError
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot
from bikecollect.setup import loader
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.ledger import Ledger
from bikecollect.wiring.backfilling import backfiller
from bikecollect.wiring.collection import collect

if TYPE_CHECKING:
    from bikecollect.core.process import Stop

HOUR = 3600
BEGIN = 1_795_388_400
"""2026-11-23 00:00 in Oslo."""
STEPS = {"5min": 300, "10min": 600, "30min": 1800, "1h": HOUR, "6h": 6 * HOUR}


class Clock:
    """Shows *now*; a wait advances it."""

    now = 0.0
    signum = 0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds

    def wait(self, seconds: float) -> bool:
        """Advance the clock; the wait is never interrupted."""
        self.now += seconds
        return False

    def raise_if_set(self) -> None:
        """Go on."""


class Life:
    """Collects a small city with settings that change."""

    def __init__(self, folder: Path, url: str, clock: Clock) -> None:
        self.folder, self.url, self.clock = folder, url, clock
        self.file = folder / "b.toml"
        self._settings = ("", "")

    def settings(self, zone: str = "Europe/Oslo", interval: str = "1h") -> None:
        """Write the settings."""
        self._settings = zone, interval
        self.file.write_text(
            f'data_dir = "data"\ninterval = "{interval}"\n[systems.city]\n'
            f'feed = "youbike"\nurl = "{self.url}"\ntimezone = "{zone}"\n'
            f'[tell]\ncommand = ["/bin/sh", "-c", "echo $BIKECOLLECT_KIND >> '
            f'{self.folder}/told"]\n',
            encoding="utf-8",
        )

    def collect(self, since: int, until: int, step: int, code: int = 0) -> None:
        """Collect the slots from *since* to before *until*; all end with *code*."""
        settings = loader.load(str(self.file))
        for slot in range(since, until, step):
            self.clock.now = slot + 2.0
            up = partial(float, slot - BEGIN + 9000)
            (run,) = collect(
                settings,
                clock=self.clock,
                stop=cast("Stop", self.clock),
                monotonic=self.clock,
                uptime=up,
                awake=up,
            )
            assert run.exit_code == code

    def copy(self, folder: Path) -> "Life":
        """Return a life in *folder* with this one's settings and history.

        The test's home has not seen it: the last slot should be collected there.
        """
        shutil.copytree(self.folder / "data", folder / "data")
        life = Life(folder, self.url, self.clock)
        life.settings(*self._settings)
        return life

    def run(self, *arguments: str) -> str:
        """Run a command; return its output."""
        process = bikecollect("--config", str(self.file), *arguments)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    @property
    def alerts(self) -> str:
        """Return the alerts that were sent."""
        file = self.folder / "told"
        return file.read_text(encoding="utf-8") if file.exists() else ""


Begun = Callable[[str], Life]
"""Returns a life with slots of an interval, see `begun`."""


@pytest.fixture(scope="module")
def feed() -> Iterator[tuple[str, Clock]]:
    """Yield the address of a feed, and the clock that it uses."""
    clock, city = Clock(), City(5)
    with serving(lambda _: Answer(dialects.youbike(city, clock.now))) as url:
        yield url, clock


@pytest.fixture
def life(tmp_path: Path, feed: tuple[str, Clock]) -> Life:
    """Return a life, whose feed uses its clock."""
    return Life(tmp_path, *feed)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, feed: tuple[str, Clock]) -> Begun:
    """Return lives of 24 hours in Oslo, but for the last slot, by their interval."""

    @cache
    def collected(interval: str) -> Life:
        life = Life(tmp_path_factory.mktemp("begun"), *feed)
        life.settings("Europe/Oslo", interval)
        step = STEPS[interval]
        life.collect(BEGIN, BEGIN + 24 * HOUR - step, step)
        return life

    return collected


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, begun: Begun) -> Life:
    """Return a life of 60 hours, but for the last, that moved after 24 hours."""
    life = begun("1h").copy(tmp_path_factory.mktemp("moved"))
    life.collect(BEGIN + 23 * HOUR, BEGIN + 24 * HOUR, HOUR)
    life.settings("America/New_York")
    life.collect(BEGIN + 24 * HOUR, BEGIN + 59 * HOUR, HOUR)
    return life


@pytest.fixture(scope="module")
def slowed(tmp_path_factory: pytest.TempPathFactory, begun: Begun) -> Life:
    """Return a life that goes on from half hours to 60 hours, but for the last two.

    It moved, and has slots of two hours.
    """
    life = begun("30min").copy(tmp_path_factory.mktemp("slowed"))
    life.collect(BEGIN + 24 * HOUR - HOUR // 2, BEGIN + 24 * HOUR, HOUR // 2)
    life.settings("America/New_York", "2h")
    life.collect(BEGIN + 24 * HOUR, BEGIN + 58 * HOUR, 2 * HOUR)
    return life


def test_a_changed_zone_does_not_change_the_past(begun: Begun, tmp_path: Path) -> None:
    """Archived days verify, open ones are compacted, exports are complete."""
    life = begun("1h").copy(tmp_path)
    life.collect(BEGIN + 23 * HOUR, BEGIN + 24 * HOUR, HOUR)
    life.run("compact", "--csv-days", "0")
    life.collect(BEGIN + 24 * HOUR, BEGIN + 36 * HOUR, HOUR)
    life.settings("America/New_York")
    life.collect(BEGIN + 36 * HOUR, BEGIN + 60 * HOUR, HOUR)

    life.run("compact", "--csv-days", "0")
    life.run("verify", "--deep")
    rows = life.run("export", "--since", "2026-11-23", "--until", "2026-11-23")
    report = json.loads(
        life.run("backfill-report", "--until", "2026-11-24", "--format", "json")
    )
    facts = json.loads((life.folder / "data" / "city" / "facts.json").read_text())

    assert len(rows.splitlines()) == 1 + 24 * 5
    assert (report["expected"], report["collected"]) == (48, 48)
    assert [day["expected"] for day in report["days"]] == [24, 24]
    assert [f["timezone"] for f in facts["facts"]] == [
        "Europe/Oslo",
        "America/New_York",
    ]
    assert "missed" not in life.alerts


@pytest.mark.parametrize(
    ("before", "after"), [("1h", "10min"), ("30min", "1h"), ("6h", "5min")]
)
def test_a_changed_interval_is_no_gap(
    begun: Begun, tmp_path: Path, before: str, after: str
) -> None:
    """Neither in the report nor in alerts nor in the archive."""
    step, change = STEPS[before], BEGIN + 30 * HOUR
    life = begun(before).copy(tmp_path)
    life.collect(BEGIN + 24 * HOUR - step, change, step)
    life.settings(interval=after)
    life.collect(change, change + 2 * HOUR, STEPS[after])

    first = ("--since", "2026-11-23", "--until", "2026-11-23", "--format", "json")
    report = json.loads(life.run("backfill-report", *first))
    until = ("--until", "2026-11-24T08:00:00+01:00", "--format", "json")
    full = json.loads(life.run("backfill-report", *until))
    life.run("compact", "--csv-days", "0")
    sql = "SELECT count(*) AS n FROM slots WHERE date = '2026-11-23' GROUP BY state"
    states = life.run("query", sql, "--format", "csv").splitlines()

    assert report["expected"] == report["collected"] == 24 * HOUR // step
    assert full["missing"] == 0
    assert states[1:] == [str(24 * HOUR // step)]
    assert "missed" not in life.alerts


@pytest.mark.parametrize("then", ["fetch", "backfill"])
def test_a_new_interval_holds_from_the_first_payload_that_has_it(
    life: Life, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Also if the run that accepted that one could not record the interval."""
    life.settings(interval="1h")
    life.collect(BEGIN, BEGIN + HOUR, HOUR)
    life.settings(interval="10min")
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "open", Mock(side_effect=StorageError("a full disk")))
        life.collect(BEGIN + 600, BEGIN + 1_200, 600, 74)
    if then == "backfill":
        life.clock.now = BEGIN + 1_202
        work = backfiller(
            loader.load(str(life.file)),
            "city",
            Times(life.clock, life.clock, cast("Stop", life.clock)),
            span=(Slot(BEGIN), Slot(BEGIN + 1_200)),
            dry=False,
        )
        work.record_facts()  # as before it fills slots from a source
        facts = json.loads((life.folder / "data/city/facts.json").read_text())
        assert facts["facts"][-1]["since"] == BEGIN + 600
    life.collect(BEGIN + 1_200, BEGIN + 1_800, 600)

    until = ("--until", "2026-11-23T00:30:00+01:00", "--format", "json")
    report = json.loads(life.run("backfill-report", *until))

    assert (report["expected"], report["collected"]) == (3, 3)


def test_facts_are_derived_from_the_ledger_if_missing(
    begun: Begun, tmp_path: Path
) -> None:
    """As in a folder of an earlier version."""
    life = begun("1h").copy(tmp_path)
    life.collect(BEGIN + 23 * HOUR, BEGIN + 30 * HOUR, HOUR)
    (life.folder / "data" / "city" / "facts.json").unlink()
    life.settings(interval="10min")
    life.collect(BEGIN + 30 * HOUR, BEGIN + 31 * HOUR, 600)

    until = ("--until", "2026-11-24T07:00:00+01:00", "--format", "json")
    report = json.loads(life.run("backfill-report", *until))

    assert (report["expected"], report["missing"]) == (36, 0)
    assert "missed" not in life.alerts


def test_zone_and_interval_are_taken_from_archived_days(
    begun: Begun, tmp_path: Path
) -> None:
    """If the file of facts is lost, too; slots of the past interval are no gap."""
    life = begun("1h").copy(tmp_path)
    life.collect(BEGIN + 23 * HOUR, BEGIN + 26 * HOUR, HOUR)
    life.settings("Europe/Oslo", "2h")
    life.collect(BEGIN + 26 * HOUR, BEGIN + 54 * HOUR, 2 * HOUR)
    life.run("compact", "--csv-days", "0")
    (life.folder / "data" / "city" / "facts.json").unlink()
    life.settings("America/New_York", "2h")
    life.collect(BEGIN + 54 * HOUR, BEGIN + 58 * HOUR, 2 * HOUR)

    life.run("verify", "--deep")
    rows = life.run("export", "--since", "2026-11-23", "--until", "2026-11-23")
    until = ("--until", "2026-11-24", "--format", "json")
    report = json.loads(life.run("backfill-report", *until))

    assert len(rows.splitlines()) == 1 + 24 * 5
    assert (report["missing"], report["collected"]) == (0, 24 + 2 + 11)


@pytest.mark.parametrize("change", [('"since": 0', '"since": "x"'), ("3600", "1200")])
def test_a_damaged_file_of_facts_is_replaced(
    life: Life, change: tuple[str, str]
) -> None:
    """It is an index: no command fails because of it; one that only reads names it.

    Nor is an interval with a changed byte believed: most slots would be missing.
    """
    life.settings()
    life.collect(BEGIN, BEGIN + 3 * HOUR, HOUR)
    facts = life.folder / "data" / "city" / "facts.json"
    text = facts.read_text()
    facts.write_text(text.replace(*change), encoding="utf-8")
    reading = bikecollect("--config", str(life.file), "status")
    assert f"cannot read {facts}: " in reading.stderr
    life.collect(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR, HOUR)

    assert json.loads(facts.read_text())["facts"] == json.loads(text)["facts"]
    (damaged,) = facts.parent.glob("facts.json.damaged-*")
    assert change[1] in damaged.read_text()


def test_facts_that_cannot_be_read_for_a_moment_are_kept(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not replaced by what the ledger shows; the next run commits the slot."""
    life.settings(interval="30min")
    life.collect(BEGIN, BEGIN + HOUR, HOUR)
    life.settings(interval="1h")
    life.collect(BEGIN + HOUR, BEGIN + 2 * HOUR, HOUR)
    facts = life.folder / "data" / "city" / "facts.json"
    before, errors = facts.read_text(), [OSError(errno.EMFILE, "many") for _ in "123"]

    def failing(path: Path, most: int) -> bytes:
        if errors:
            raise errors.pop()
        return read_file(path, most)

    monkeypatch.setattr("bikecollect.storage.facts.facts_file.read_file", failing)
    life.collect(BEGIN + 2 * HOUR, BEGIN + 3 * HOUR, HOUR, 74)  # unreadable throughout
    errors.extend([OSError(errno.EIO, "a bad moment")] * 2)
    life.collect(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR, HOUR, 74)  # readable at the end
    waiting = len(list(facts.parent.glob("payloads/inbox/*.zip")))
    errors.append(OSError(errno.EIO, "a bad moment"))
    life.collect(BEGIN + 4 * HOUR, BEGIN + 5 * HOUR, HOUR)

    assert facts.read_text() == before
    assert waiting == 2
    assert not list(facts.parent.glob("payloads/inbox/*.zip"))


def test_slots_of_hours_are_never_late(life: Life) -> None:
    """They begin when cron fires, at +05:30 too."""
    life.settings("Asia/Kolkata")
    begin = BEGIN + 30 * 60
    life.collect(begin, begin + 5 * HOUR, HOUR)
    rows = life.run("export").splitlines()

    assert "2026-11-23T05:00:00+05:30" in rows[1]
    assert "late" not in life.run("runs", "--format", "json")


@pytest.mark.parametrize("is_archived", [True, False])
def test_a_lost_machine_gets_the_slots_of_earlier_settings_back(
    slowed: Life, tmp_path: Path, *, is_archived: bool
) -> None:
    """Its history keeps the interval and the days of each time, not today's."""
    life = slowed.copy(tmp_path)
    life.collect(BEGIN + 58 * HOUR, BEGIN + 60 * HOUR, 2 * HOUR)
    report = ("backfill-report", "--until", "2026-11-25", "--format", "csv")
    before, rows = life.run(*report), life.run("export")
    if is_archived:
        life.run("compact", "--csv-days", "0")
        (life.folder / "data" / "city" / "facts.json").unlink()
    (life.folder / "data").rename(life.folder / "lost")

    life.run("backfill", "city", "--from", str(life.folder / "lost"))

    assert sorted(life.run("export").splitlines()) == sorted(rows.splitlines())
    if not is_archived:
        assert life.run(*report) == before
    life.run("compact")
    life.run("verify", "--deep")


def test_a_machine_that_collects_again_gets_earlier_slots_of_its_own(
    begun: Begun, tmp_path: Path
) -> None:
    """Slots that were collected before the backfill keep their interval."""
    life = begun("30min").copy(tmp_path)
    life.collect(BEGIN + 24 * HOUR - HOUR // 2, BEGIN + 24 * HOUR, HOUR // 2)
    (life.folder / "data").rename(life.folder / "lost")
    life.settings("Europe/Oslo", "1h")
    life.collect(BEGIN + 24 * HOUR, BEGIN + 36 * HOUR, HOUR)

    life.run("backfill", "city", "--from", str(life.folder / "lost"), "--dry-run")
    facts = json.loads((life.folder / "data" / "city" / "facts.json").read_text())
    life.run("backfill", "city", "--from", str(life.folder / "lost"))
    assert len(facts["facts"]) == 1
    assert len(life.run("export").splitlines()) == 1 + (48 + 12) * 5


def test_a_certificate_names_the_zone_of_its_own_day(
    moved: Life, tmp_path: Path
) -> None:
    """Also that of a day that is archived after the change."""
    life = moved.copy(tmp_path)
    life.collect(BEGIN + 59 * HOUR, BEGIN + 60 * HOUR, HOUR)

    life.run("compact")

    place = life.folder / "data" / "archive" / "certificates" / "system_id=city"
    zones = [json.loads(p.read_text())["timezone"] for p in sorted(place.iterdir())]
    assert zones == ["Europe/Oslo", "America/New_York", "America/New_York"]


def test_another_machine_reads_the_mirror_in_the_zone_of_each_day(
    moved: Life, tmp_path: Path
) -> None:
    """It has no data, only the settings of today."""
    pytest.importorskip("obstore")
    life = moved.copy(tmp_path)
    life.collect(BEGIN + 59 * HOUR, BEGIN + 60 * HOUR, HOUR)
    with life.file.open("a") as out:
        out.write(f'[archive]\nmirror = "file://{life.folder}/mirror"\n')
    life.run("compact", "--csv-days", "0")
    rows = life.run("export", "--until", "2026-11-25")
    (life.folder / "data").rename(life.folder / "lost")

    mirrored = life.run("export", "--mirror", "--until", "2026-11-25")

    assert sorted(mirrored.splitlines()) == sorted(rows.splitlines())
