"""Commands are killed and failed at their calls; no history, result or mail is lost."""

import shutil
import sqlite3
from contextlib import closing
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from attempts import (
    KILL,
    attempt_all,
    attempt_each,
    attempted,
    heal_all,
    sample,
    undocumented,
)
from commands import Site, end
from harness import account
from interception import Fault
from ports import free_port

pytest.importorskip("duckdb")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed"
    ),
]
ERRORS = ("error=EIO", "error=ENOSPC", "error=EACCES", "error=EMFILE")
SLOTS = {-288: 1, -287: 2, 0: 3, 1: 4, 2: 5}
DAMAGED = "station_status/2026-11-22.csv"


def history(root: Path) -> Site:
    """Return a site with two slots of yesterday and three of today."""
    site = Site(root)
    for slot, number in SLOTS.items():
        assert site.fetch(number, slot) == (0, "")
    return site


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site with a history of two days."""
    return history(tmp_path_factory.mktemp("commands") / "site")


def calls_of(template: Site, *command: object, **how: Any) -> list[str]:
    """Return the calls of *command* on a copy of *template*."""
    counted = template.copy(template.root.with_name("counted"))
    try:
        return counted.calls(*command, **how)
    finally:
        shutil.rmtree(counted.root)


def cases_of(
    template: Site, *command: object, most: int, **how: Any
) -> list[tuple[str, str]]:
    """Return cases of *command*: kills at *most* calls, each error at a third of it."""
    calls = calls_of(template, *command, **how)
    kills = sample(calls, KILL, most)
    return kills + [c for what in ERRORS for c in sample(calls, what, most // 3)]


COUNT = (
    "SELECT count(bikes) FROM"
    " (SELECT num_vehicles_available AS bikes FROM station_status)"
)


def again(site: Site, *command: object) -> list[str]:
    """Run *command* on a healthy disk; return its failure."""
    code, printed = site.run(*command)
    return [] if code == 0 else [f"{command} ended with {code}: {printed[-300:]}"]


def collected(site: Site, number: int) -> list[str]:
    """Run `fetch`, which also commits the inbox; return its failure."""
    ended = site.fetch(number, number)
    return [] if ended == (0, "") else [f"fetch ended with {ended}"]


def test_compact_killed_or_failed_anywhere_is_completed_by_the_next(
    template: Site,
) -> None:
    """CSV and archive together keep each row; the next call archives every day."""
    command = ("compact", "--csv-days", "0")
    cases = cases_of(template, *command, most=9)

    def heal(site: Site) -> list[str]:
        bad = again(site, *command) + again(site, "verify", "--deep")
        if list((site.city / "station_status").glob("*.csv")):
            bad.append("a CSV is left")
        return bad + site.violations()

    bad = heal_all(template, cases, heal, *command)
    account("compact", len(cases), bad)
    assert len(cases) > 15
    assert bad == {}


def test_runs_that_are_packed_are_neither_lost_nor_doubled(template: Site) -> None:
    """The report on the past is the same after a kill or an error at any call."""
    report = ("backfill-report", "--format", "json")
    archived = template.copy(template.root.with_name("archived"))
    assert archived.run("compact", "--csv-days", "0")[0] == 0
    expected = archived.run(*report)
    cases = cases_of(archived, "compact", most=12, pack=True)

    def heal(site: Site) -> list[str]:
        bad = [] if site.run(*report) == expected else ["another account of the past"]
        code, printed = site.run("compact", pack=True)
        bad += [] if code == 0 else [f"compact ended with {code}: {printed[-300:]}"]
        bad += [] if site.run(*report) == expected else ["another account at the end"]
        if packed_runs(site) != (2, 3):
            bad.append(f"(packed, unpacked) runs are {packed_runs(site)}")
        return bad + again(site, "verify", "--deep") + site.violations()

    bad = heal_all(archived, cases, heal, "compact", pack=True)
    account("packing of runs", len(cases), bad)
    assert len(cases) > 15
    assert bad == {}


def packed_runs(site: Site) -> tuple[int, int]:
    """Return how many runs of the first system are packed, and how many are not."""
    with closing(sqlite3.connect(site.city / "ledger.sqlite3")) as db:
        ((packed,),) = db.execute("SELECT total(runs) FROM packed_runs")
        ((others,),) = db.execute("SELECT count(*) FROM runs")
        return int(packed), others


def test_an_export_beside_a_killed_compact_is_complete_or_absent(
    template: Site,
) -> None:
    """A concurrent export has every row, or ends with 74 and creates no file."""
    command = ("compact", "--csv-days", "0")
    complete = template.copy(template.root.with_name("whole"))
    result = complete.root / "rows.csv"
    assert complete.run("export", "-o", result)[0] == 0
    expected = result.read_bytes()
    cases = sample(calls_of(template, *command), KILL, 6)

    def attempt(site: Site, case: Fault) -> list[str]:
        rows = site.root / "rows.csv"
        reader = site.start("export", "-o", rows)
        site.fail(*command, fault=case, hurry=False)
        code, printed = end(reader)
        bad = [] if code in {0, 74} else [f"export ended with {code}: {printed}"]
        if rows.exists() != (code == 0) or (
            code == 0 and rows.read_bytes() != expected
        ):
            bad.append(f"export ended with {code}, its file is not whole")
        bad += again(site, *command) + again(site, "export", "-o", rows)
        return bad + ([] if rows.read_bytes() == expected else ["another history"])

    bad = attempt_all(template, cases, attempt)
    account("export beside compact", len(cases), bad)
    assert bad == {}


def test_backfill_of_a_damaged_block_can_be_killed_anywhere(tmp_path: Path) -> None:
    """`query` names what it skips; backfill and `verify --repair` fix everything."""
    template = history(tmp_path / "damaged")
    file = template.city / DAMAGED
    data = bytearray(file.read_bytes())
    begin = data.index(b"2026-11-22T12:05:00") + 300
    data[begin : begin + 10] = b"XXXXXXXXXX"
    file.write_bytes(data)
    cases = cases_of(template, "backfill", most=12)

    def heal(site: Site) -> list[str]:
        bad = []
        code, printed = site.run("query", COUNT)
        if code not in {0, 74} or (code and "1 of 3 slots are damaged" not in printed):
            bad.append(f"query ended with {code}: {printed[-300:]}")
        bad += again(site, "backfill") + again(site, "verify", "--repair")
        bad += again(site, "query", COUNT) + collected(site, 9)
        return bad + again(site, "verify", "--deep") + site.violations()

    bad = heal_all(template, cases, heal, "backfill")
    account("backfill of kept payloads", len(cases), bad)
    assert len(cases) > 20
    assert bad == {}


def test_forget_can_be_killed_anywhere(tmp_path: Path) -> None:
    """The next call forgets only what is lost, and leaves one note of it."""
    template = history(tmp_path / "lossy")
    for payload in template.city.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    file = template.city / DAMAGED
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:9] + lines[10:]))
    command = ("forget", "city", "2026-11-22")
    cases = cases_of(template, *command, most=24)

    def heal(site: Site) -> list[str]:
        code, printed = site.run(*command)
        bad = [] if code == 0 or "can be read" in printed else [printed]
        if (count := notes_of(site)) != 1:
            bad.append(f"{count} notes")
        bad += again(site, "verify", "--repair") + collected(site, 9)
        return bad + again(site, "verify", "--deep") + site.violations(slots=[0])

    bad = heal_all(template, cases, heal, *command)
    account("forget", len(cases), bad)
    assert len(cases) > 40
    assert bad == {}


def notes_of(site: Site) -> int:
    """Return how many notes of losses the ledger of the first system has."""
    with closing(sqlite3.connect(site.city / "ledger.sqlite3")) as db:
        sql = "SELECT count(*) FROM memory WHERE key GLOB 'bikecollect.forgotten.*'"
        return int(db.execute(sql).fetchone()[0])


def test_backfill_from_another_folder_can_be_killed_anywhere(
    template: Site,
) -> None:
    """The next call fills what is missing; each slot exists once."""
    other = template.copy(template.root.with_name("other"))
    for number, slot in ((6, 3), (7, 4), (8, -286)):
        assert other.fetch(number, slot) == (0, "")
    command = ("backfill", "--from", other.city)
    cases = cases_of(template, *command, most=12)

    def heal(site: Site) -> list[str]:
        site.age()
        bad = again(site, *command) + again(site, "verify", "--deep")
        site.slots = dict(other.slots)
        bad += collected(site, 9)
        return bad + site.violations()

    bad = heal_all(template, cases, heal, *command)
    account("backfill --from", len(cases), bad)
    assert len(cases) > 20
    assert bad == {}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_result_of_export_is_complete_or_absent(template: Site, ending: str) -> None:
    """After any end of export the next call leaves no temporary files."""
    complete = template.copy(template.root.with_name(f"whole-{ending}"))
    name = f"rows.{ending}"
    assert complete.run("export", "-o", complete.root / name)[0] == 0
    expected = (complete.root / name).read_bytes()
    cases = cases_of(
        template, "export", "-o", template.root.with_name("counted") / name, most=6
    )

    result = attempted(template) / name

    def heal(site: Site) -> list[str]:
        bad = []
        if result.exists() and result.read_bytes() != expected:
            bad.append("its file is not whole")
        site.age()
        bad += again(site, "export", "-o", result)
        if result.read_bytes() != expected:
            bad.append("the next export differs")
        return bad + site.violations()

    bad = heal_all(template, cases, heal, "export", "-o", result, result=result)
    account(f"export {ending}", len(cases), bad)
    assert len(cases) > 10
    assert bad == {}


@pytest.mark.parametrize("error", ["EIO", "EACCES", "EMFILE"])
def test_files_that_fail_cost_their_own_system_only(tmp_path: Path, error: str) -> None:
    """From any opened file on: the other system's slot is committed."""
    template = Site(tmp_path / "two", systems=("city", "town"))
    for slot, number in ((0, 1), (1, 2)):
        assert template.fetch(number, slot) == (0, "")
    events = [str(number) for number in (1, 2, 3, 5, 8, 13, 21, 34)]

    def attempt(site: Site, case: str) -> list[str]:
        failing = (site.city, error, case)
        code, printed = end(site.start("fetch", slot=2, number=3, fail=failing))
        site.slots[2] = 3
        bad = undocumented((code, printed))
        bad += site.violations("town")
        bad += collected(site, 9)
        return bad + site.violations("town") + site.violations("city", slots=[2])

    bad = attempt_each(template, events, attempt)
    account(f"one of two systems, {error}", len(events), bad)
    assert bad == {}


class Mailbox:
    """Accepts every mail, and records its recipient and subject."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []

    async def handle_DATA(self, _: object, __: object, envelope: Envelope) -> str:
        """Store the mail, with its recipients on top."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.SMTP)
        self.mails.append((envelope.rcpt_tos[0], str(message["Subject"])))
        return "250 OK"


def test_an_incident_of_a_run_killed_while_alerting_is_reported(tmp_path: Path) -> None:
    """Once or, killed between the server's answer and its record, twice."""
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    mail = (
        f'[mail]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'
        'sender = "bikes@example.org"\nto = ["{}@example.org"]\n'
    )
    template = Site(tmp_path / "telling", more=mail.format("counted"))
    for slot, number in ((0, 1), (1, 2)):
        assert template.fetch(number, slot) == (0, "")

    def attempt(site: Site, case: Fault) -> list[str]:
        name = site.root.name.replace(":", "-").lower()
        site = Site(site.root, more=mail.format(name), slots=site.slots)
        code, printed = site.fail("fetch", slot=2, fault=case)
        # What was mailed is not printed.
        bad = undocumented((code, printed or "mailed"), case)
        site.run("fetch", slot=3)
        subjects = [s for to, s in mailbox.mails if to == f"{name}@example.org"]
        if len(subjects) not in {1, 2}:
            bad.append(f"told {len(subjects)} times: {subjects}")
        return bad + collected(site, 9) + site.violations()

    try:
        cases = cases_of(template, "fetch", most=24, slot=2, expected=69)
        assert len(mailbox.mails) == 1
        bad = attempt_all(template, cases, attempt)
    finally:
        server.stop()
    account("telling", len(cases), bad)
    assert len(cases) > 30
    assert bad == {}
