"""Mails, reports, the app, exports and datasets name the same causes of slots."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import pytest
from every_cause import COUNTS, SLOTS, START, every_cause
from in_process import bikecollect
from keeping import data_service
from mailserver import MailServer
from world import TAIPEI, World

from bikecollect.alerts.signals import as_seen, of_lost_runs
from bikecollect.alerts.system_state import stored_incidents
from bikecollect.app.queries import collection
from bikecollect.core.causes import Cause, SeenRun, meaning
from bikecollect.core.errors import Outcome
from bikecollect.core.process import Stop, Times
from bikecollect.core.run import Notice, Run
from bikecollect.core.slots import Slot
from bikecollect.reports.evidence import UNTOLD, read_account, read_missing
from bikecollect.setup.loader import parse
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.run_notes import RunNotes
from bikecollect.wiring.alerting import alerter

pytest.importorskip("duckdb")
DAYS = date(2026, 11, 22), date(2026, 11, 23)


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that is down until it is needed."""
    return MailServer.new(tmp_path / "mail")


@pytest.fixture
def world(folder: Path) -> World:
    """Return the world with every cause."""
    return every_cause(folder)


def mailed(world: World, mailserver: MailServer) -> Iterator[tuple[str, int]]:
    """Report the runs of a few slots; yield what is told of those missed, in all."""
    system = {
        "feed": "youbike",
        "url": "http://127.0.0.1/",
        "timezone": "Asia/Taipei",
    }
    settings = parse(
        {
            "data_dir": str(world.folder.parent),
            "systems": {"city": system},
            "mail": mailserver.settings(),
        }
    )
    times = Times(world.clock, world.clock, Stop())
    folder, history = settings.system_folder("city"), History("city", world.folder)
    for number in (0, 21, 36, SLOTS - 1):
        slot = Slot(START + 300 * number)
        (run,) = history.runs(slot, Slot(slot + 300))
        alerter(settings, [folder], times, {}).report([run])
        for missed in [i for i in stored_incidents(folder) if i.kind == "missed"]:
            yield missed.text.removeprefix("most recently: "), missed.lost


def test_mails_about_missed_slots_name_the_causes_of_the_report(
    world: World, mailserver: MailServer
) -> None:
    """None of the runs in between was reported; the first slot was."""
    expected = Counter[str]()
    for cause, slots in COUNTS.items():
        expected[meaning(cause)] += slots

    with mailserver.up():
        texts, lost = zip(*mailed(world, mailserver), strict=True)

    told = [re.findall(r"(\d+) x (.+?)(?=; \d+ x |$)", text) for text in texts]
    pairs = ((word, count) for pairs in told for count, word in pairs)
    assert _counted(pairs) == expected
    assert lost[0] == 20, "until the run of the slot 21"
    (mail, *_) = mailserver.mails()
    assert texts[0] in " ".join(mail.get_content().split())


def test_a_folder_without_its_marker_is_no_evidence(world: World) -> None:
    """It may be that of another system: what its ledger says is not of these slots."""
    system = SystemFolder("city", world.folder, TAIPEI, 300)
    now, seen = SeenRun(Slot(START + 1500), START + 1502.0), Slot(START)
    own = read_missing(system, seen, now, ())
    (world.folder / ".bikecollect").unlink()

    others = read_missing(system, seen, now, ())

    causes = [str(item.cause) for item in own]
    assert causes == ["bug", "credentials", "disk", "ledger"]
    assert [str(item.cause) for item in others] == ["not-started"] * 4


def test_a_slot_whose_run_still_runs_is_told_of_by_that_run_alone(
    folder: Path,
) -> None:
    """One that was begun late, by hand, retries into the next slot."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.fetch({"a": 1})
    world.clock.now += 300
    late = world.begin()
    notes = RunNotes(world.folder / "payloads/inbox")
    notes.begin(late)
    world.fetch({"a": 1}, after=300)
    system, seen = SystemFolder("city", world.folder, TAIPEI, 300), Slot(START)
    now = SeenRun(Slot(START + 600), START + 602.0)

    told = read_missing(system, seen, now, ())
    causes = read_account(system, now=START + 610.0).causes
    notes.end(late, written=True)

    assert told == []
    assert causes == {"running": 1}


def test_a_run_that_could_not_be_recorded_yet_has_the_cause_of_its_end(
    folder: Path,
) -> None:
    """Such as the lock that another process held: nobody killed it."""
    world = World(folder / "city")
    world.fetch({"a": 1})
    world.clock.now += 300
    run, notes = world.begin(), RunNotes(world.folder / "payloads/inbox")
    notes.begin(run)
    notes.end(run.ended(Outcome.DEFERRED, "lock"), written=False)
    system = SystemFolder("city", world.folder, TAIPEI, 300)

    assert read_account(system, now=START + 610.0).causes == {"lock": 1}


def test_a_run_that_rebuilds_the_ledger_tells_that_the_runs_before_are_lost(
    world: World,
) -> None:
    """Its incident is not in the ledger yet when the mail is written."""
    system = SystemFolder("city", world.folder, TAIPEI, 300)
    slot = Slot(START + 300 * (SLOTS + 2))
    run = Run("new", "city", slot, slot + 2.0).noticed(Notice("runs-lost", "rebuilt"))

    args = system, Slot(START + 300 * (SLOTS - 1)), as_seen(run)
    causes = [read_missing(*args, lost) for lost in ((), of_lost_runs(run))]

    assert [[str(item.cause) for item in items] for items in causes] == [
        ["not-started"] * 2,
        ["unknown"] * 2,
    ]


def test_every_report_names_the_same_causes(
    world: World, config: Path, tmp_path: Path
) -> None:
    """The text, the JSON, the app, the exported slots, the dataset, and `status`."""
    (world.folder / ".bikecollect").write_text("city\nstopped\n", encoding="utf-8")
    dataset, missing = tmp_path / "dataset", sum(COUNTS.values())

    texts = [
        bikecollect("--config", config, *words.split()).stdout
        for words in (
            "backfill-report",
            "backfill-report --format json",
            "export --what slots",
            "status --format json",
            f"publish -o {dataset}",
        )
    ]

    text, report, slots, status, _ = texts
    gaps = json.loads(report)["gaps"]
    (table,) = dataset.rglob("gaps.csv")
    with table.open(encoding="utf-8", newline="") as file:
        published = [*csv.DictReader(file)]
    in_readme = re.findall(
        r"^\| ([^|]+) \| (\d+) \| ",
        (dataset / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    service = data_service(world)
    shown = collection.causes(service.account("city", *DAYS))
    service.close()
    assert _counted((gap["cause"], gap["slots"]) for gap in gaps) == COUNTS
    assert _counted((gap["cause"], gap["slots"]) for gap in published) == COUNTS
    by_cause = " ".join(text.partition("by cause")[2].split())
    lines = [f"{n} {cause}: {meaning(cause)}" for cause, n in COUNTS.items()]
    assert [line for line in lines if line not in by_cause] == []
    assert {c: int(n) for c, n in in_readme if c in COUNTS} == COUNTS
    assert {str(row[0]): row[1] for row in shown.rows} == COUNTS
    rows = csv.DictReader(slots.splitlines())
    assert Counter(row["cause"] for row in rows if row["cause"]) == COUNTS
    total = json.loads(status)["coverage"]["today"]
    assert total["expected"] - total["collected"] == missing
    assert total["expected"] == SLOTS


def _counted(pairs: Iterable[tuple[str, object]]) -> Counter[str]:
    """Return the sum of the slots of each cause."""
    counts = Counter[str]()
    for cause, slots in pairs:
        counts[cause] += int(str(slots))
    return counts


def test_the_world_has_every_cause() -> None:
    """But those of slots before the first run, and of one whose run has not ended."""
    named = {word.partition(":")[0] for words in COUNTS for word in words.split(" or ")}

    assert named - {"http-503"} == {*Cause} - UNTOLD
