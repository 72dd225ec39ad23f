"""Commands that cron calls end, and say why, if a disk does not answer (fault 59)."""

import importlib
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import forking
import pytest
from hanging_disk import HangingDisk, hanging_disk
from mailserver import MailServer
from served import Answer, serving
from test_fetch import GOOD, bikecollect, settings
from test_status_mail import config
from waiting import PATIENCE, wait_until

from bikecollect.cli.commands.status import _tell_hung
from bikecollect.cli.options import Shared
from bikecollect.cli.watching import hung_disk
from bikecollect.cli.watching.hung_disk import DiskWatch, complain_and_mail
from bikecollect.core.process import Stop, Times
from bikecollect.setup.loader import load
from bikecollect.simulator.demo import Time
from bikecollect.wiring import late_mail
from bikecollect.wiring.alerting import failed_calls_path

fetching = importlib.import_module("bikecollect.cli.commands.fetch")

IMPATIENT = """
from bikecollect.cli.watching import hung_disk
from bikecollect.cli.commands import fetch
import sys
hung_disk.PATIENCE, hung_disk.PAUSE, hung_disk.ANSWER = 0.4, 0.1, 0.1
hung_disk.TELLING, hung_disk.MAILING = 2.0, 0.5
fetch = sys.modules["bikecollect.cli.commands.fetch"]
fetch.HANG, fetch.UNTIL_SETTINGS = 0.01, 1
from bikecollect.__main__ import main
main()
"""
COMMANDS = {
    "compact --quiet": 74,
    "push --quiet": 74,
    "push --live --quiet": 74,
    "publish -o dataset": 74,
    "backfill-report --since 7d --mail": 74,
    "status --alert": 1,
    "status --nagios": 3,
    "status --format prometheus -o bikes.prom": 74,
    "share --live -o www": 74,
    "verify": 74,
    "backfill city": 74,
}
WORDS = (
    "did not answer within 0 s: does its disk hang? See dmesg; if it is a network "
    "disk, check its server"
)
TEXT = "did not answer within 0 s: does its disk hang? See dmesg;"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> "SimpleQueue[int]":
    """Return the exit codes with which a watch ends the process; it is impatient."""
    monkeypatch.setattr(hung_disk, "PAUSE", 0.01)
    monkeypatch.setattr(hung_disk, "PATIENCE", 0.02)
    monkeypatch.setattr(hung_disk, "ANSWER", 0.02)
    monkeypatch.setattr(hung_disk, "PROGRESS", float("inf"))  # tests make some
    return SimpleQueue()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[HangingDisk]:
    """Yield a disk that does not hang yet."""
    with hanging_disk(tmp_path) as disk:
        yield disk


def test_every_command_of_cron_names_the_disk_that_hangs(
    tmp_path: Path, disk: HangingDisk
) -> None:
    """Each would wait for it for ever, and more of them every day."""
    more = f'[archive]\nmirror = "file://{tmp_path}/mirror"'
    path = settings(tmp_path, "http://127.0.0.1:9/", more=more)
    _collect_into(disk.place / "data", path)
    disk.hang()

    begun = {words: _begun(path, words) for words in COMMANDS}
    ends = {words: fork.communicate() for words, fork in begun.items()}

    assert {words: code for words, (code, *_) in ends.items()} == COMMANDS
    named = f"{disk.place}/data {TEXT}"
    assert [words for words, end in ends.items() if named not in "".join(end[1:])] == []


def test_settings_on_a_disk_that_hangs_are_named(disk: HangingDisk) -> None:
    """The file may lie beside the data."""
    path = disk.place / "bikecollect.toml"
    disk.hang()

    commands = "status --alert", "compact -q", f"status --all --alert {path}"
    begun = [_begun(path, words) for words in commands]
    alert, compact, every = (fork.communicate() for fork in begun)

    assert (alert[0], compact[0], every[0]) == (1, 74, 1)
    assert alert[1].startswith(f"{path} {TEXT}")
    assert every[1].startswith(f"{path} {TEXT}")
    assert compact[2].startswith(f"bikecollect: {path} {TEXT}")


def test_a_home_that_hangs_is_named_though_no_mail_can_be_written(
    tmp_path: Path, disk: HangingDisk
) -> None:
    """The data folder is not to blame; a mail is put down in the home first.

    What watches the collector gets the exit code that it knows.
    """
    path = config(tmp_path, MailServer.new(tmp_path / "mail"))
    disk.hang()

    options = "--alert --mail", "--alert --nagios --mail"
    begun = [_begun(path, f"status {o}", HOME=str(disk.place)) for o in options]
    alert, nagios = (fork.communicate() for fork in begun)

    assert alert == (1, f"{disk.place} {WORDS}\n", "")
    assert (nagios[0], nagios[2]) == (3, "")
    assert nagios[1].endswith(f"\n{disk.place} {WORDS}\n")


def test_a_mail_server_that_hangs_too_lets_a_disk_be_named_once(
    ended: "SimpleQueue[int]",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The text was printed before; printed again, it looks like two disks."""
    never = threading.Event()
    monkeypatch.setattr(hung_disk, "_thread_states", lambda: iter("D"))
    monkeypatch.setattr(hung_disk, "TELLING", 0.5)
    monkeypatch.setattr(hung_disk, "MAILING", 0.02, raising=False)
    monkeypatch.setattr(late_mail, "mail_problems", lambda *_: never.wait(PATIENCE))
    watch = DiskWatch(complain_and_mail, ended.put)
    watch.places.append(tmp_path)
    watch.settings = load(str(config(tmp_path, MailServer.new(tmp_path / "mail"))))

    watch.start()

    assert ended.get(timeout=PATIENCE) == 74
    assert capsys.readouterr().err.count("did not answer") == 1
    never.set()


def test_a_disk_whose_server_is_gone_is_named_with_what_to_do(
    tmp_path: Path, disk: HangingDisk
) -> None:
    """Each call fails at once; what helps is not to repair the disk (fault 60)."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    _collect_into(disk.place / "data", path)
    disk.die()

    ends = [bikecollect("--config", path, words) for words in ("fetch", "verify")]

    helps = "its server is gone: unmount it (umount -l), and mount it again"
    assert [end.returncode for end in ends] == [74, 74]
    assert [end.stderr.count(helps) for end in ends] == [1, 1]


def test_a_slot_lost_because_the_disk_hangs_has_that_cause(
    tmp_path: Path, disk: HangingDisk
) -> None:
    """Its `fetch` is killed, and cannot note anything there; it notes it in the home.

    Later fetches record it; the report would say that cron had not started them.
    """
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        _collect_into(disk.place / "data", path)
        assert bikecollect("--config", path, "fetch").returncode == 0
        calls = failed_calls_path(str(path))

        disk.hang()
        hung = _begun(path, "fetch")
        wait_until(calls.exists, "noted")
        hung.kill()
        disk.go_on()

        call = json.loads(calls.read_text(encoding="utf-8"))
        early = json.dumps({**call, "started": call["started"] - 60})
        calls.write_text(f"{early}\n", encoding="utf-8")
        assert bikecollect("--config", path, "fetch").returncode == 0
    report = bikecollect("--config", path, "backfill-report", "--format", "json")
    first, *_ = json.loads(report.stdout)["gaps"]
    assert (first["slots"], first["cause"]) == (1, "disk")
    assert call["error"].startswith(f"{disk.place}/data did not answer within ")


def test_each_slot_that_is_lost_because_the_disk_hangs_is_noted(
    tmp_path: Path, disk: HangingDisk
) -> None:
    """A note of the first is handed over by later ones, and waits for the disk, too."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    _collect_into(disk.place / "data", path)
    calls = failed_calls_path(str(path))
    disk.hang()

    said = [_killed(_begun(path, "fetch")) for _ in range(2)]

    named = f"bikecollect: {disk.place}/data did not answer within "
    assert [text.startswith(named) for text in said] == [True, True]
    assert len(calls.read_bytes().splitlines()) == 2


def test_a_fetch_that_can_note_nothing_in_a_home_that_hangs_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The alarm comes soon: neither a note nor a mail may keep back the message."""
    never, waited = threading.Event(), list[bool]()

    def note(*_: object) -> None:
        waited.append(never.wait(PATIENCE))

    monkeypatch.setattr(fetching, "_note_failed_call", note)
    own = load(str(settings(tmp_path, "http://127.0.0.1:9/")))

    fetching._report_hang(own, 0.0, 0.1)

    assert f"{tmp_path}/data did not answer within 0 s" in capsys.readouterr().err
    assert waited == []
    never.set()


def test_a_fetch_whose_settings_or_home_hang_says_so(
    tmp_path: Path, disk: HangingDisk
) -> None:
    """It touches both before the data folder, and the alarm ends it without a word."""
    own = settings(tmp_path, "http://127.0.0.1:9/")
    path = disk.place / "bikecollect.toml"
    disk.hang()

    home = _killed(_begun(own, "fetch", HOME=str(disk.place)))
    file = _killed(_begun(path, "fetch"))

    assert home == f"bikecollect: {disk.place} {WORDS}\n"
    assert file == f"bikecollect: {path} {WORDS}\n"


def test_a_fetch_whose_disk_answers_is_not_told_to_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the feed takes: the timer ends when the data folder is read."""
    timers: list[threading.Timer] = []
    hang_timer = fetching._hang_timer

    def noted(*arguments: Any) -> threading.Timer:
        timers.append(hang_timer(*arguments))
        return timers[-1]

    monkeypatch.setattr(fetching, "_hang_timer", noted)
    served: list[bool] = []

    def answer(_: object) -> Answer:
        served.append(timers[0].finished.is_set())
        return GOOD

    with serving(answer) as url:
        path = settings(tmp_path, url)
        fetching.fetch.main([], obj=Shared(str(path)), standalone_mode=False)

    assert served == [True]


def _collect_into(folder: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"data"', f'"{folder}"'), encoding="utf-8")


def _begun(path: Path, words: str, **env: str) -> forking.Fork:
    program = Path("impatient.py")
    program.write_text(IMPATIENT, encoding="utf-8")
    arguments = ["--config", str(path), *words.split()]
    return forking.server().fork(str(program), arguments, {**os.environ, **env})


def _killed(fork: forking.Fork) -> str:
    """Kill *fork* when it has complained, as the alarm does; return what it said.

    Others are begun later: in one folder of such a disk, all wait for the first.
    """
    said = fork.complaint()
    assert fork.kill() == -signal.SIGKILL
    return said


def test_a_command_that_waits_for_a_reader_is_not_ended(
    ended: "SimpleQueue[int]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its disk answers; a person may read its output in a pager for an hour."""
    asked: SimpleQueue[Path] = SimpleQueue()
    monkeypatch.setattr(hung_disk, "_ask", asked.put)
    watch = DiskWatch(lambda _settings, _text: 74, ended.put)
    watch.places.append(tmp_path)

    watch.start()
    places = [asked.get(timeout=PATIENCE) for _ in range(3)]
    watch.stop()

    assert (places, ended.empty()) == ([tmp_path] * 3, True)


def test_a_thread_that_waits_for_a_disk_for_ever_ends_the_command(
    ended: "SimpleQueue[int]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk without a cache is asked nothing by a sync of what is not changed."""
    monkeypatch.setattr(hung_disk, "_thread_states", lambda: iter("SDS"))
    told: list[str] = []

    def tell(_settings: object, text: str) -> int:
        told.append(text)
        return 75

    watch = DiskWatch(tell, ended.put)
    watch.places.append(tmp_path)

    watch.start()

    assert ended.get(timeout=PATIENCE) == 75
    assert told[0].startswith(f"{tmp_path} did not answer")


def test_a_command_without_a_place_on_a_disk_is_not_ended(
    ended: "SimpleQueue[int]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `status --all s3://...`; its watch does not end by an error, either."""
    looks: SimpleQueue[None] = SimpleQueue()

    def states() -> Iterator[str]:
        looks.put(None)
        return iter("D")

    monkeypatch.setattr(hung_disk, "_thread_states", states)
    watch = DiskWatch(lambda _settings, _text: 74, ended.put)

    watch.start()
    for _ in range(3):
        looks.get(timeout=PATIENCE)
    watch.stop()

    assert ended.empty()


def test_a_command_that_gets_on_is_not_suspected(
    ended: "SimpleQueue[int]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However long it takes, and whatever it waits for in between."""
    looks, enough = itertools.count(), threading.Event()
    monkeypatch.setattr(hung_disk, "PROGRESS", 0.5)
    monkeypatch.setattr(hung_disk, "_thread_states", lambda: iter("D"))

    def busy() -> float:
        look = next(looks)
        if look == 9:
            enough.set()
        return float(look)

    monkeypatch.setattr(time, "process_time", busy)
    watch = DiskWatch(lambda _settings, _text: 74, ended.put)
    watch.places.append(tmp_path)

    watch.start()
    assert enough.wait(PATIENCE)
    watch.stop()

    assert ended.empty()


def test_people_who_cannot_be_told_do_not_keep_the_command(
    ended: "SimpleQueue[int]",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The mail server, or the disk of the log, may hang as well: cron mails then."""
    monkeypatch.setattr(hung_disk, "_thread_states", lambda: iter("D"))
    monkeypatch.setattr(hung_disk, "TELLING", 0.02)
    never = threading.Event()
    watch = DiskWatch(lambda _settings, _text: int(never.wait(PATIENCE)), ended.put)
    watch.places.append(tmp_path)

    watch.start()

    assert ended.get(timeout=PATIENCE) == 74
    assert f"{tmp_path} did not answer" in capsys.readouterr().err
    never.set()


def test_a_disk_that_hangs_is_mailed_once_a_day_by_all_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No `fetch` can; the mail is put down in the home, not in the data folder."""
    mail = MailServer.new(tmp_path / "mail")
    own = load(str(config(tmp_path, mail)))

    with mail.up():
        code = _tell_hung("alert", "text", None, own, "/srv hangs", is_mail=True)
        again = complain_and_mail(own, "/srv hangs")

    assert mail.subjects() == ["bikecollect: /srv hangs"]
    assert (code, again) == (1, 74)
    assert capsys.readouterr() == ("", "bikecollect: /srv hangs\n")
    assert not (tmp_path / "data").exists()


def test_a_disk_that_hangs_again_and_again_is_one_mail_and_repeats_no_other(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hang says nothing of the systems, and they say nothing of the disk."""
    mail = MailServer.new(tmp_path / "mail")
    own, clock = load(str(config(tmp_path, mail))), Time(1_795_276_800.0)
    monkeypatch.setattr(time, "time", clock)
    late = {"city": {"run": "no run for 2 h"}}

    with mail.up():
        for _ in range(2):
            times = Times(clock, clock, Stop())
            late_mail.mail_problems(own, late, times, judged={"", "city"})
            clock.now += 60.0
            complain_and_mail(own, "/srv hangs")
            clock.now += 60.0

    assert mail.subjects() == ["city: no run for 2 h", "bikecollect: /srv hangs"]
    assert capsys.readouterr().err == "bikecollect: /srv hangs\n" * 2
