"""A day of hostile answers, mixed with good ones."""

import csv
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import hostile_day
import hostile_feed
import pytest
from mailserver import MailServer
from ports import free_port

SLOTS = 144
SEED = 20261122
SYSTEMS = ("youbike", "gbfs")
LASTING, LATE = "many station lists", 120
"""The kind after which each run knows thousands of stations, and about its slot."""
ADDRESSES = {"youbike": "youbike", "gbfs": "gbfs/gbfs.json"}
SAID = {"payload": "payload not understood", "fetch": "feed (down|limits)"}
"""What matches the subject of the mail about each kind of incident that loses slots."""
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What acts on a terminal, or turns a text around, unseen."""


@dataclass
class Day:
    """The results of the day in *folder*: the runs' exit codes, memory and answers."""

    folder: Path
    mail: MailServer
    runs: list[tuple[int, float, dict[str, str]]]

    def select(self, system: str, sql: str) -> list[tuple[int, ...]]:
        """Return the result of *sql* on the ledger of *system*."""
        path = self.folder / "data" / system / "ledger.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            return db.execute(sql).fetchall()

    def lost(self, system: str) -> list[float]:
        """Return the slots of *system* that have no block."""
        blocks = {slot for (slot,) in self.select(system, "SELECT slot FROM blocks")}
        slots = (
            hostile_day.BEGIN + number * hostile_day.INTERVAL for number in range(SLOTS)
        )
        return [slot for slot in slots if slot not in blocks]


def planned() -> list[dict[str, str]]:
    """Return the day: each kind once for each system, at a separate slot.

    All runs after the `LASTING` kind take twice as long: 24 of them are enough.
    """
    rng = random.Random(SEED)
    plan = [dict.fromkeys(SYSTEMS, "") for _ in range(SLOTS)]
    visits = [(system, kind) for kind in hostile_feed.kinds() for system in SYSTEMS]
    slots = rng.sample(range(1, SLOTS), len(visits))
    for slot, (system, kind) in zip(slots, visits, strict=True):
        plan[slot][system] = kind
    for system in SYSTEMS:
        (slot,) = (n for n, kinds in enumerate(plan) if kinds[system] == LASTING)
        plan.insert(LATE, plan.pop(slot))
    return plan


@contextmanager
def feed(note: Path) -> Iterator[int]:
    """Serve the hostile feed in a separate process; yield its port."""
    port = free_port()
    command = [sys.executable, hostile_feed.__file__, str(port), str(note)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield port
        finally:
            server.kill()


def settings(folder: Path, port: int, mail: MailServer) -> Path:
    """Write the settings of both systems, with alerts; return their path."""
    lines = ['data_dir = "data"', 'interval = "10min"', "[mail]"]
    lines += [f"{k} = {json.dumps(v)}" for k, v in mail.settings().items()]
    for system, address in ADDRESSES.items():
        lines += [f"[systems.{system}]", f'feed = "{system}"']
        lines += [f'url = "http://127.0.0.1:{port}/{address}"']
        lines += ['timezone = "Asia/Taipei"']
    path = folder / "bikecollect.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Play the day once."""
    folder = tmp_path_factory.mktemp("day")
    mail, note = MailServer.new(folder / "mail"), folder / "note"
    costly = hostile_feed.costly()
    plan = [
        (kinds, not costly.keys().isdisjoint(kinds.values())) for kinds in planned()
    ]
    (folder / "plan").write_text(json.dumps(plan), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path), "HOME": str(folder)}
    with feed(note) as port, mail.up():
        path = settings(folder, port, mail)
        process = subprocess.run(
            [sys.executable, hostile_day.__file__, path, note, folder / "plan"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=900,
            env={**env, "XDG_STATE_HOME": str(folder / "state")},
        )
    return Day(folder, mail, json.loads(process.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_day_of_hostile_answers_costs_only_their_own_slots(
    day: Day, system: str
) -> None:
    """Each good slot has exactly the rows of the city."""
    expected = {
        slot: {s.place.station_id: str(s.bikes) for s in hostile_feed.CITY.at(slot + 2)}
        for slot, (_, _, kinds) in _by_slot(day)
        if not kinds[system]
    }
    collected: dict[float, dict[str, str]] = {slot: {} for slot in expected}
    for path in sorted((day.folder / "data" / system / "station_status").iterdir()):
        with path.open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                slot = datetime.fromisoformat(row["slot"]).timestamp()
                if slot in collected:
                    collected[slot][row["station_id"]] = row["num_vehicles_available"]

    assert len(expected) == SLOTS - len(hostile_feed.kinds())
    assert collected == expected


@pytest.mark.slow
def test_no_run_of_the_day_is_killed_or_takes_much_memory(day: Day) -> None:
    """A run may take 250 MB, and 20 s of CPU; none ends by a bug."""
    ends = {code for code, _, _ in day.runs}

    assert ends <= {0, 65, 69, 75, 76, 77}
    assert max(memory for _, memory, _ in day.runs) < 250


@pytest.mark.slow
def test_the_day_takes_little_of_the_disk(day: Day) -> None:
    """Less than 50 MB, including the good slots."""
    files = [
        path
        for name in ("data", "state")
        for path in (day.folder / name).rglob("*")
        if path.is_file()
    ]

    assert len(files) > SLOTS
    assert sum(path.stat().st_size for path in files) < 50_000_000


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_trouble_is_mailed_within_the_hour(day: Day, system: str) -> None:
    """Each lost slot has an incident, and each incident was mailed in time."""
    sql = "SELECT opened, last, lost FROM incidents WHERE kind = '{}' AND lost > 0"
    incidents = {kind: day.select(system, sql.format(kind)) for kind in SAID}
    mails = [
        (parsedate_to_datetime(str(mail["Date"])).timestamp(), str(mail["Subject"]))
        for mail in day.mail.mails()
    ]
    untold = [
        (kind, opened)
        for kind, rows in incidents.items()
        for opened, _, _ in rows
        if not any(
            opened <= sent <= opened + 3_600
            and f"{system}: " in subject
            and re.search(SAID[kind], subject)
            for sent, subject in mails
        )
    ]
    spans = [span for rows in incidents.values() for span in rows]
    lost = day.lost(system)

    assert untold == []
    assert len(lost) == sum(slots for _, _, slots in spans)
    assert all(any(a <= slot <= b for a, b, _ in spans) for slot in lost)
    assert len(lost) > 40


@pytest.mark.slow
def test_no_control_character_of_the_day_is_printed(day: Day) -> None:
    """Logs, reasons, lists and mails have no escapes and no bidi marks."""
    texts = [
        path
        for suffix in ("*.log*", "*.txt", "*.csv", "*.json")
        for path in day.folder.rglob(suffix)
    ]
    acting = [
        path.name for path in texts if UNSEEN.search(path.read_text(encoding="utf-8"))
    ]
    mails = [str(mail["Subject"]) + mail.get_content() for mail in day.mail.mails()]

    assert len(texts) > 20
    assert acting == []
    assert [mail for mail in mails if UNSEEN.search(mail)] == []


def _by_slot(day: Day) -> Iterator[tuple[float, tuple[int, float, dict[str, str]]]]:
    for number, run in enumerate(day.runs):
        yield hostile_day.BEGIN + number * hostile_day.INTERVAL, run
