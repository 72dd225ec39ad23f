"""Alerts: from the result of a run to mails and other channels."""

import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from alerting_world import BEGIN, BEGIN_SLOT, INTERVAL, World
from mailserver import ME, MailServer
from ports import free_port
from served import Answer, running, serving
from waiting import is_running, wait_until

from bikecollect.alerts import space, webhooks
from bikecollect.alerts.escalation import step
from bikecollect.alerts.signals import of_run
from bikecollect.alerts.space import Space
from bikecollect.alerts.state import AlertState, AlertStateFile, stored_state
from bikecollect.alerts.system_state import SystemAlertState, stored_incidents
from bikecollect.collect.sources.bikecollect_folder import machine_of
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.incidents import Incident
from bikecollect.core.process import Stop, Times
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.evidence import read_account, slot_rows
from bikecollect.reports.status import survey
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator.demo import Time
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.lost_days import ArchiveDamage
from bikecollect.wiring import archive_alerts
from bikecollect.wiring.archive_alerts import report_compact
from bikecollect.wiring.history import compactor


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that has not been started."""
    return MailServer.new(tmp_path / "mail")


def test_systems_that_fail_together_share_one_mail(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A network failure is reported once, not once per city."""
    world = World(tmp_path / "data", "a", "b", "c", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.slot(settings, up=False)
    assert mailserver.subjects() == ["a and 2 more: feed down since 00:10"]
    text = mailserver.mails()[0].get_content()
    assert text.count("Slots lost  1 so far") == 3


def test_a_second_run_in_a_slot_changes_no_incident(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A manual run in the same slot does not count the slot twice."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.slot(settings, up=False)
        now = BEGIN + 2 * INTERVAL
        for second in range(5):
            world.clock.now = now + second
            world.run(settings)
        world.slot(settings)
        world.slot(settings)
    assert mailserver.subjects() == [
        "a: feed down since 00:10",
        "a: resolved: feed down 00:10 to 00:15, 1 slot lost",
    ]
    lines = mailserver.mails()[1].get_content().splitlines()
    assert "Slots lost  1" in lines


def test_a_second_run_that_fails_by_itself_is_a_line(
    tmp_path: Path, mailserver: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The mails are about its slot, which has data; once mailed, it is no line."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    told = []
    with world.served(dated=True) as settings, mailserver.up():
        for first in (True, False):
            world.slot(settings, up=first)
            for world.up in (True, False):
                caplog.clear()
                world.clock.now += 1
                world.run(settings)
                errors = [r for r in caplog.records if r.levelname == "ERROR"]
                told.append([getattr(record, "is_reported", None) for record in errors])

    assert told == [[], [False], [], [True]]
    assert mailserver.subjects() == ["a: feed down since 00:10"]


def test_a_slot_that_a_second_run_collects_is_not_lost(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Somebody mends the cause, and fetches again before the slot is over."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        for up in (True, False, False):
            world.slot(settings, up=up)
        world.up = True
        for _ in range(2):
            world.clock.now += 1
            world.run(settings)
        (known,) = stored_incidents(settings.system_folder("a"))
        (shown,) = History("a", settings.system_folder("a").path).incidents()
        for _ in range(2):
            world.slot(settings)

    assert (known.lost, known.slots, shown.lost) == (1, 2, 1)
    assert mailserver.subjects() == [
        "a: feed down since 00:10",
        "a: resolved: feed down 00:10 to 00:20, 1 slot lost",
    ]


def test_a_reboot_is_reported_as_missed_slots(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """One mail with cause, time span and number of lost slots (fault 94)."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.clock.now += 10 * INTERVAL
        world.run(settings, uptime=lambda: 60.0)
    assert mailserver.subjects() == [
        "a: slots not collected 00:10 to 00:55, 9 slots lost"
    ]
    text = mailserver.mails()[0].get_content()
    assert "host-off (9 slots)" in text
    assert "00:10 (+08:00)" in text


def test_the_mail_after_a_sleep_has_the_cause_of_the_report(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """If boot time advanced and waking time did not, the mail says asleep."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        for awake in (5_000.0, 5_300.0):
            world.clock.now += INTERVAL if awake == 5_000.0 else 10 * INTERVAL
            world.run(
                settings,
                uptime=lambda: world.clock.now - BEGIN + 5_000.0,
                awake=lambda awake=awake: awake,
            )

    now = world.clock.now + INTERVAL
    (gap,) = read_account(settings.system_folder("a"), now=now).gaps
    assert (gap.cause, gap.slots) == ("asleep", 9)
    assert "asleep (9 slots)" in mailserver.mails()[0].get_content()


def test_a_muted_kind_is_not_reported(tmp_path: Path, mailserver: MailServer) -> None:
    """`tell.mute` suppresses incidents of a kind."""
    more = {"mail": mailserver.settings(), "tell": {"mute": ["fetch"]}}
    world = World(tmp_path / "data", "a", **more)
    with world.served() as settings, mailserver.up():
        world.slot(settings, up=False)
    assert mailserver.mails() == []


def test_without_any_memory_one_mail_an_hour_is_sent(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If neither state nor ledger can be written, mails are limited, not stopped."""
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    data = tmp_path / "data"
    data.touch()
    world = World(data, "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        for _ in range(24):
            (run,) = world.slot(settings)
            assert run.exit_code == 74
    assert len(mailserver.mails()) == 2


def test_without_any_memory_a_run_between_two_mails_is_named_on_stderr(
    tmp_path: Path,
    mailserver: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A problem that begins at five past the hour is reported before the next hour."""
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    data = tmp_path / "data"
    data.touch()
    world = World(data, "a", mail=mailserver.settings())
    told = []
    with world.served() as settings, mailserver.up():
        for _ in range(13):
            caplog.clear()
            world.slot(settings)
            errors = [r for r in caplog.records if r.levelname == "ERROR"]
            told.append([getattr(record, "is_reported", None) for record in errors])

    assert len(mailserver.mails()) == 1
    assert told == [*[[False]] * 11, [True], [False]]


def test_a_state_file_that_cannot_be_written_is_no_memory(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that opens files and fails to write sends one mail an hour, too."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "injected")

    def refuse(*_: object) -> str:
        raise StorageError("injected", cause="ledger")

    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        (tmp_path / "data/a/ledger.sqlite3").unlink()
        (tmp_path / "data/a/ledger.sqlite3").mkdir()
        monkeypatch.setattr("os.pwrite", fail)
        aside = "bikecollect.storage.sqlite.ledger_file.set_aside"
        monkeypatch.setattr(aside, refuse)
        for _ in range(24):
            (run,) = world.slot(settings)
            assert run.exit_code == 74

    assert mailserver.subjects() == [
        "a: ledger unusable since 01:00",
        "a: slots not collected 00:10 to 01:00, 10 slots lost",
        "a: ledger unusable since 02:00",
        "a: slots not collected 00:10 to 02:00, 22 slots lost",
    ]


def test_an_unmounted_disk_is_reported(tmp_path: Path, mailserver: MailServer) -> None:
    """Its mails wait in another folder, and the mount point remains empty."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings:
        world.slot(settings)
        (tmp_path / "data/a").rename(tmp_path / "disk")
        (tmp_path / "data/a").mkdir()
        (run,) = world.slot(settings)
        assert (run.exit_code, run.cause) == (78, "not-mounted")
        with mailserver.up():
            world.slot(settings)
    assert mailserver.subjects() == ["a: disk unusable since 00:10"]


def test_a_folder_in_place_of_the_lock_is_no_unusable_disk(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """The mail has the command, and says what `doctor` names."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        lock = tmp_path / "data/a/lock"
        lock.unlink()
        lock.mkdir()
        world.slot(settings)
        lock.rmdir()
        for _ in range(2):
            world.slot(settings)

    assert mailserver.subjects() == [
        "a: file or folder in the way since 00:10",
        "a: resolved: file or folder in the way 00:10 to 00:15",
    ]
    text = " ".join(mailserver.mails()[0].get_content().split())
    assert f"run: mv {lock} {lock}.aside" in text
    assert "doctor a # names it, and the command" in text


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("[Errno 13] Permission denied: '/a/x.csv'", "a file or folder cannot be"),
        ("[Errno 22] not a regular file: '/a/x.csv'", "an entry is in the place"),
        ("[Errno 5] Input/output error: '/a/x.csv'", "the disk cannot be used"),
    ],
)
def test_what_the_disk_refuses_is_told_from_a_broken_disk(
    error: str, title: str
) -> None:
    """By the error in its text."""
    run = Run("1", "a", Slot(BEGIN_SLOT), float(BEGIN_SLOT))
    failed = run.failed(StorageError(f"cannot read /a/x.csv: {error}"))

    _, (event,) = step((), run.slot, of_run(failed, None), Grid.of(INTERVAL))

    assert event.incident.title(INTERVAL).startswith(title)


def test_a_bug_is_mailed_with_its_traceback(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail ends with the tail of the log, including the traceback."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())

    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr("bikecollect.collect.cycle.Cycle.run", broken)
    with world.served() as settings, mailserver.up():
        (run,) = world.slot(settings)
    assert run.exit_code == 70
    (mail,) = mailserver.mails()
    assert "a: bug in bikecollect since 00:05" in mail["Subject"]
    assert "Traceback (most recent call last)" in mail.get_content()


def test_a_mail_ends_with_the_lines_of_the_failed_run(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """They are in the log before the mail is written, and only once (here errors)."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        (run,) = world.slot(settings, up=False)

    (mail,) = mailserver.mails()
    lines = mail.get_content().splitlines()
    tail = lines[lines.index("The last lines of the log:") + 1 :]
    words = [line.split()[1:3] for line in tail]
    assert [pair for pair in words if pair[0] != "INFO"] == [["ERROR", run.run_id]]
    assert (tmp_path / "data/a/bikecollect.log").read_text().splitlines() == tail


def test_a_bug_in_an_alert_does_not_change_the_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in the notifier does not lose a slot (fault 106)."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the alerter")

    monkeypatch.setattr("bikecollect.alerts.alerter.Alerter.report", broken)
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        (run,) = world.slot(settings)
    assert run.exit_code == 0
    assert "prevented the alerts" in caplog.text


def test_a_digest_is_sent_once_a_day(tmp_path: Path, mailserver: MailServer) -> None:
    """It has expected and collected slots, and the causes of missing ones."""
    mail = mailserver.settings(digest="daily")
    world = World(tmp_path / "data", "a", mail=mail, tell={"mute": ["fetch", "missed"]})
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.slot(settings, up=False)
        world.slot(settings, skip=2)
        world.clock.now = BEGIN + 86_400 - INTERVAL
        for _ in range(3):
            world.slot(settings)
    assert mailserver.subjects() == ["digest: 2026-11-22: a 0.7 %"]
    text = mailserver.mails()[0].get_content()
    assert text.startswith("To do: nothing; problems have mails of their own")
    assert "Collected  2 of 287, 0.7 %" in text
    assert "284 not-started, 1 http-503" in text


def test_a_ping_is_sent_after_the_commit_with_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start, success, and failure with its exit code (fault 107).

    The ping at the start has no effect on the run if it gets no thread.
    """
    deliveries: list[tuple[str, bool]] = []

    def hear(path: str) -> Answer:
        filled = bool(list((tmp_path / "data").glob("a/station_status/*.csv")))
        deliveries.append((path, filled))
        return Answer(b"OK")

    with serving(hear) as url:
        ping = {"url": f"{url}/uuid", "start": True}
        world = World(tmp_path / "data", "a", ping=ping)
        with world.served() as settings:
            world.slot(settings)
            world.slot(settings, up=False)
            refuse_first_thread(monkeypatch)
            world.slot(settings)
    paths = [path for path, _ in deliveries]
    assert paths == ["/uuid/start", "/uuid", "/uuid/start", "/uuid/69", "/uuid"]
    assert deliveries[1] == ("/uuid", True)


def test_a_channel_that_fails_is_in_the_log_of_the_systems_it_would_tell_of(
    tmp_path: Path,
) -> None:
    """`fetch` prints nothing of it if there was a mail; a ping is in the first log."""
    deaf = "http://127.0.0.1:1/secret"
    tell, ping = {"webhook": deaf, "mute": ["missed"]}, {"url": deaf}
    world = World(tmp_path / "data", "a", "b", "c", tell=tell, ping=ping)
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, down="bc")

    files = (tmp_path / f"data/{name}/bikecollect.log" for name in "abc")
    logs = [file.read_text(encoding="utf-8") for file in files]
    assert [log.count(" webhook failed: cannot connect") for log in logs] == [0, 1, 1]
    assert [log.count(" ping failed: cannot connect") for log in logs] == [2, 0, 0]
    assert "secret" not in "".join(logs)


def refuse_first_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the limit of threads be reached when the next thread is started."""
    real, refusals = threading.Thread.start, iter([True])

    def start(thread: threading.Thread) -> None:
        if next(refusals, False):
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_slow_ping_times_out(tmp_path: Path) -> None:
    """A ping that does not answer is abandoned (fault 107)."""

    def slow(_: str) -> Answer:
        time.sleep(5)
        return Answer(b"late")

    with serving(slow) as url:
        assert webhooks.ping(url, "", seconds=0.2) in {
            "timed out after 0 s",
            f"{url} timed out",
        }


def test_an_error_of_a_ping_says_what_is_wrong_without_the_address() -> None:
    """Its host is named; its path is a secret, and so is a login (fault 108)."""
    host = f"127.0.0.1:{free_port()}"
    refused = webhooks.ping(f"http://me:pw@{host}/secret-uuid", "")
    unknown = webhooks.post("http://hooks.example.invalid/secret-uuid", "text")

    assert refused == f"cannot connect to http://{host}: connection refused"
    assert unknown == "the host name of http://hooks.example.invalid does not resolve"
    moved = Answer(b"", 301, {"Location": "https://hooks.example.org/new"})
    with serving(lambda _: moved) as url:
        error = webhooks.ping(url, "")
    assert error == "HTTP 301, a redirect; correct the address"


def test_the_webhook_gets_slack_json_and_the_command_its_variables(
    tmp_path: Path,
) -> None:
    """The webhook gets JSON; the command gets stdin and environment variables."""
    posts: list[tuple[str, bytes]] = []
    printed = tmp_path / "said"
    script = f'cat > {printed}; echo "$BIKECOLLECT_KIND $BIKECOLLECT_WHAT" >> {printed}'
    with posted(posts) as url:
        tell = {"webhook": f"{url}/T0/secret", "command": ["sh", "-c", script]}
        world = World(tmp_path / "data", "a", tell=tell)
        with world.served() as settings:
            world.slot(settings)
            world.slot(settings, up=False)
    ((path, body),) = posts
    assert path == "/T0/secret"
    text = json.loads(body)["text"]
    assert text.startswith("[bikecollect] a: feed down since ")
    assert printed.read_text(encoding="utf-8") == f"{text}fetch trouble\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("echo told\n", 'its first line is not "#!" with a program'),
        ("#!/bin/sh\r\necho told\r\n", "has it CR LF line ends?"),
        ("#!/bin/sh\nkill -9 $$\n", "was killed by signal 9"),
    ],
)
def test_a_command_that_cannot_run_is_explained(
    tmp_path: Path, text: str, error: str
) -> None:
    """The system says "No such file" of a program that is there."""
    program = tmp_path / "tell"
    program.write_bytes(text.encode())
    program.chmod(0o700)

    assert error in webhooks.command([str(program)], "text", {})
    assert "each word as a text" in webhooks.command(["mail -s bikes me"], "text", {})


def test_several_reports_share_the_time_of_a_channel_that_hangs(
    tmp_path: Path,
) -> None:
    """Else they take longer than the slot, and the run is killed before its ping."""
    said = tmp_path / "said"
    script = f'echo "$BIKECOLLECT_KIND" >> {said}; sleep 600'
    world = World(
        tmp_path / "data",
        *("a", "b"),
        tell={"command": ["sh", "-c", script]},
        interval="12s",  # a second for each channel
    )
    with world.served() as settings:
        world.slot(settings)
        begin = time.monotonic()
        world.slot(settings, down="a", skip=1)
    assert time.monotonic() - begin < 1.9
    assert said.read_text(encoding="utf-8").splitlines() == ["fetch"]


def test_a_channel_is_called_whatever_the_interval(tmp_path: Path) -> None:
    """With slots of some seconds it has little time, but some."""
    said = tmp_path / "said"
    command = ["sh", "-c", f'echo "$BIKECOLLECT_KIND" >> {said}']
    world = World(tmp_path / "data", "a", tell={"command": command}, interval="5s")
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, up=False)

    assert "fetch" in said.read_text(encoding="utf-8").splitlines()


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """A command that hangs is killed after its time limit."""
    script = f"sleep 600 & echo $! > {tmp_path}/pid; wait"
    error = webhooks.command(["sh", "-c", script], "text", {}, seconds=2)
    assert "was killed" in error
    child = int((tmp_path / "pid").read_text(encoding="utf-8"))
    wait_until(lambda: not is_running(child), "the command's end")
    assert "cannot run" in webhooks.command(["/no/such/program"], "text", {})
    assert "exited with 3" in webhooks.command(["sh", "-c", "exit 3"], "text", {})


@contextmanager
def posted(heard: list[tuple[str, bytes]]) -> Iterator[str]:
    """Record POSTs on loopback in *heard*; yield the address."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            heard.append((self.path, self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, running(server) as url:
        yield url


def test_the_state_file_survives_a_full_disk(tmp_path: Path) -> None:
    """Its length never changes, and a damaged one is ignored."""
    path = tmp_path / "state.json"
    state_file = AlertStateFile(path)
    with state_file.held():
        assert state_file.load() is None
        size = path.stat().st_size
        assert state_file.save(AlertState(seen=None, mail="why"))
        assert state_file.load() == AlertState(mail="why")
        assert path.stat().st_size == size
    data = bytearray(path.read_bytes())
    data[12] ^= 1
    path.write_bytes(data)
    with state_file.held():
        assert state_file.load() is None


def test_a_short_state_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    """Only what the file has is overwritten, whoever wrote it, damaged or not."""
    path = tmp_path / "state.json"
    writer, other = AlertStateFile(path), AlertStateFile(path)
    with writer.held():
        assert writer.save(AlertState(mail="long " * 4_000))
        assert writer.save(AlertState(mail="longer " * 4_000))
    with other.held():
        assert other.save(AlertState(mail="short"))
    with writer.held():
        assert writer.load() == AlertState(mail="short")
    data = path.read_bytes()
    path.write_bytes(b"x" * 30_000 + data[30_000:])
    with other.held():
        assert other.save(AlertState(mail="again"))

    assert stored_state(path) == AlertState(mail="again")
    assert len(path.read_bytes()) == len(data)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mail": {"host": "h"}}, "mail.sender is missing"),
        (
            {"mail": {"host": "h", "sender": "a@b", "to": ["a@b\nBcc: x@y"]}},
            "is not a mail address",
        ),
        (
            {
                "mail": {
                    "host": "h",
                    "sender": "a@b.c",
                    "to": [ME],
                    "user": "u",
                    "security": "none",
                }
            },
            "unencrypted",
        ),
        ({"tell": {"mute": ["fetsch"]}}, "unknown kind"),
        ({"tell": {"webhook": "ftp://x"}}, "http"),
        ({"log": {"format": "xml"}}, "text or json"),
    ],
)
def test_unusable_alert_settings_are_refused(
    values: dict[str, object], words: str
) -> None:
    """Before any network access, with the key (fault 90)."""
    with pytest.raises(SettingsError, match=words):
        parse(values)


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """The error has the command that fixes it (fault 91)."""
    path = tmp_path / "password"
    path.write_text("secret\n", encoding="utf-8")
    mail = {"host": "h", "sender": ME, "to": [ME], "user": "u"}
    settings = parse({"mail": {**mail, "password_file": str(path)}})
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        settings.password()
    path.chmod(0o600)
    assert settings.password() == "secret"


def test_a_credential_of_systemd_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LoadCredential= puts it into a folder that only the service may read."""
    (tmp_path / "smtp").write_text("from systemd\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    mail = {"host": "h", "sender": ME, "to": [ME], "password_file": "smtp"}
    assert parse({"mail": mail}).password() == "from systemd"


def test_status_shows_an_incident_that_the_ledger_lacks(tmp_path: Path) -> None:
    """An incident of a full disk is in the state file beside the ledger."""
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        world.slot(settings)
        world.slot(settings, up=False)
    place = tmp_path / "data/a"
    db = sqlite3.connect(place / "ledger.sqlite3")
    db.execute("DELETE FROM incidents")
    db.commit()
    db.close()
    system = SystemFolder("a", place, settings.zones()["a"], INTERVAL)
    seen = survey(system, now=world.clock.now, noted=stored_incidents(system))
    assert [incident.kind for incident in seen.health.incidents] == ["fetch"]


def test_without_a_state_folder_the_ledger_is_used(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that can write only its data folder sends as few mails."""
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        for up in [False] * 5 + [True] * 4:
            world.slot(settings, up=up)
    assert mailserver.subjects() == [
        "a: feed down since 00:10",
        "a: feed down since 00:10, for 15 min",
        "a: resolved: feed down 00:10 to 00:35, 5 slots lost",
    ]


def state_of(settings: Settings) -> SystemAlertState:
    """Return the state of the alerts of the system a."""
    return SystemAlertState.of(settings.system_folder("a"))


@pytest.mark.parametrize("days", [1, 400])
def test_a_clock_that_was_ahead_mutes_no_alert(
    tmp_path: Path, mailserver: MailServer, days: int
) -> None:
    """Alerts that a wrong clock dated into the future suppress no later ones."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        with (state_file := state_of(settings)).held():
            state = state_file.load()
            assert state is not None
            assert state.seen is not None
            ahead = Slot(state.seen + days * DAY)
            state_file.save(state._replace(seen=ahead))
        world.slot(settings, up=False)
        world.slot(settings)
        world.slot(settings)

    assert mailserver.subjects() == [
        "a: feed down since 00:10",
        "a: resolved: feed down 00:10 to 00:15, 1 slot lost",
    ]


@pytest.mark.parametrize("hours", [(-3, -3), (3, 3), (-3, 3)])
def test_a_wrong_clock_loses_no_slots_that_were_not_due(
    tmp_path: Path, mailserver: MailServer, hours: tuple[int, ...]
) -> None:
    """Only the slots of its runs are lost, and they are told once, at their time."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    world.more["tell"]["mute"] = []
    true = Time(world.clock.now)
    with serving(world.answer, clock=true) as url, mailserver.up():
        system = {"feed": "youbike", "timezone": "Asia/Taipei", "url": f"{url}/a"}
        settings = parse(
            {"data_dir": str(world.folder), "systems": {"a": system}, **world.more}
        )
        for number, error in enumerate([0, 0, *hours, 0, 0, 0]):
            true.now = BEGIN + INTERVAL * number + 2
            world.clock.now = true.now + error * 3600
            world.run(settings, uptime=lambda: 9_000 + true.now - BEGIN)
        incidents = stored_incidents(settings.system_folder("a"))

    assert sum(i.lost for i in incidents) == 2
    (missed,) = [i for i in incidents if i.kind == "missed"]
    assert missed.text == "2 x the machine's clock was changed"
    end = Slot(int(BEGIN) + 5 * 300)
    rows = slot_rows(settings.system_folder("a"), Slot(int(BEGIN)), end, clock=true)
    assert [row[4] for row in rows] == ["", "", "clock", "clock", ""]
    assert mailserver.subjects() == [
        "a: clock wrong since 00:10",
        "a: slots not collected 00:10 to 00:20, 2 slots lost",
        "a: resolved: clock wrong 00:10 to 00:20",
    ]


def test_a_clock_set_back_by_seconds_tells_no_lost_slot_twice(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Slots of five seconds, of which eight occur again."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    world.more["interval"] = "5s"
    with world.served() as settings, mailserver.up():
        for after in (5, 5, 100, 5, 1_000, 5, -40, 45, 5, 5):
            world.clock.now += after
            world.run(settings)
        incidents = stored_incidents(settings.system_folder("a"))

    assert [(i.kind, i.lost) for i in incidents] == [("missed", 218)]
    assert mailserver.subjects()[0] == (
        "a: slots not collected 00:00:15 to 00:01:50, 19 slots lost"
    )


def test_what_closed_in_the_future_is_not_returned_to(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A clock ahead by a day reported 288 lost slots; the one it skipped counts."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        with (state_file := state_of(settings)).held():
            state = state_file.load()
            assert state is not None
            assert state.seen is not None
            since, ahead = Slot(state.seen + 300), Slot(state.seen + DAY)
            name = f"missed-{since}"
            missed = Incident(name, "missed", since, ahead, ahead, slots=288, told=1)
            state_file.save(state._replace(seen=ahead, incidents=(missed,)))
        world.slot(settings, skip=1)
        world.slot(settings)
        incidents = stored_incidents(settings.system_folder("a"))

    assert [(i.kind, i.slots, i.is_open) for i in incidents] == [("missed", 1, False)]
    assert mailserver.subjects() == [
        "a: slots not collected 00:10 to 00:15, 1 slot lost"
    ]


def test_an_incident_dated_in_the_future_closes(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """An incident that a wrong clock opened in 2038 closes after two good slots."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings, up=False)
        with (state_file := state_of(settings)).held():
            state = state_file.load()
            assert state is not None
            late = Slot(int(world.clock.now) + 4_000 * DAY)
            (incident,) = state.incidents
            moved = incident._replace(opened=late, last=late, told_at=late, streak=late)
            state_file.save(state._replace(seen=late, incidents=(moved,)))
        world.slot(settings)
        world.slot(settings)
        world.slot(settings)

    assert mailserver.subjects()[-1] == (
        "a: resolved: feed down 00:10 to 00:15, 1 slot lost"
    )


def report(world: World, settings: Settings, error: str) -> None:
    """Report a `compact` that ended with *error* a second after the latest run."""
    world.clock.now += 1
    times = Times(world.clock, world.clock, world.clock)
    report_compact(settings, {"a": error}, times)


def test_a_compact_by_another_user_is_no_incident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who may only read the data cannot archive them; their owner can."""
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        world.slot(settings)
    with monkeypatch.context() as reader:
        reader.setattr("os.access", lambda *_: False)
        reader.setattr("os.geteuid", lambda: 54_321)
        report(world, settings, "2026-11-20: permission denied")
    system = settings.system_folder("a")

    assert not stored_incidents(system)
    report(world, settings, "2026-11-20: first line is damaged")
    assert [incident.kind for incident in stored_incidents(system)] == ["archive"]


@pytest.mark.parametrize("lost", [[], [ArchiveDamage("a day is lost", ["2026-11-19"])]])
def test_a_full_disk_is_one_incident_also_if_compact_fails_because_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: list[ArchiveDamage]
) -> None:
    """It is an incident of its own if it fails when the disk is usable again.

    Or if the archive has lost days, which the disk does not explain.
    """
    monkeypatch.setattr(archive_alerts, "find_lost_days", lambda _: lost)
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        world.slot(settings)
        system, lock = settings.system_folder("a"), tmp_path / "data/a/lock"
        lock.unlink()
        lock.mkdir()
        kinds = []
        for is_usable in (False, True):
            if is_usable:
                lock.rmdir()
                world.slot(settings)
            world.slot(settings)
            report(world, settings, "2026-11-20: no space left")
            kinds.append([i.kind for i in stored_incidents(system) if not i.closed])

    assert kinds == [["disk", *["archive"] * len(lost)], ["archive"]]


def test_a_compact_that_fails_is_an_incident_of_its_own(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """It is reported, reminded of once a day, and closed by the next success."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        report(world, settings, "2026-11-20: first line is damaged")
        for _ in range(24):
            world.slot(settings)
        report(world, settings, "2026-11-20: first line is damaged")
        world.slot(settings, skip=287)
        standing = survey(settings.system_folder("a"), now=world.clock.now)
        report(world, settings, "")

    titles = [s for s in mailserver.subjects() if "archived" in s]
    assert [title.partition(", for")[0] for title in titles] == [
        "a: closed days not archived since 00:05",
        "a: closed days not archived since 2026-11-22 00:05",
        "a: resolved: closed days not archived 2026-11-22 00:05 to 02:10",
    ]
    first, *_, last = [m.get_content().splitlines() for m in mailserver.mails()]
    trouble = "  2026-11-20: first line is damaged"
    assert trouble in first
    assert last[last.index(trouble) - 1] == "It was reported as:"
    kept = [any(line.startswith("Kept ") for line in text) for text in (first, last)]
    assert kept == [True, False]  # the files of these days are in the archive now
    assert [i.kind for i in standing.health.incidents] == ["archive"]


def test_a_lost_archive_is_the_subject_and_no_copy_is_claimed(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """The next steps restore it. With a mirror, the ledger tells whose it is."""
    archive = {"mirror": "file:///copy"}
    mail = mailserver.settings()
    world = World(tmp_path / "data", "a", mail=mail, archive=archive)
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        world.clock.now += 2 * DAY
        times = Times(world.clock, world.clock, Stop())
        *_, step = compactor(settings, "a", times, csv_days=0).run()
        assert step.what == "let go"
        assert machine_of(world.folder / "a") == os.uname().nodename
        shutil.rmtree(world.folder / "archive")
        report(world, settings, "the archive is gone")
        report(world, settings, "")

    lost, over = (m for m in mailserver.mails() if "archived" in m["Subject"])
    assert ": archived days missing since" in lost["Subject"]
    text = " ".join(lost.get_content().split())
    assert "Kept the other days; what a backup or the mirror has" in text
    assert "1 archived day of a (" in text, text
    assert f"touch {world.folder}/archive/.bikecollect" in text
    assert "backfill a --from file:///copy # or copy them from a backup" in text
    assert "mkdir" not in over.get_content().partition("To know more:")[2]


def test_a_compact_that_succeeds_as_always_is_not_reported(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A successful compact sends no mail."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        report(world, settings, "")


@pytest.mark.parametrize(
    ("files", "age", "count"),
    [
        ("station_status", 12, 0),
        ("station_status", 16, 1),
        ("vehicles/vehicle_status", 16, 1),
    ],
)
def test_a_compact_that_never_runs_is_reported(
    tmp_path: Path, mailserver: MailServer, files: str, age: int, count: int
) -> None:
    """When a CSV is a week older than `csv_days`, once; it was never scheduled."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        day = datetime.fromtimestamp(world.clock.now - age * DAY, UTC).date()
        folder = tmp_path / "data/a" / files
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{day}.csv").touch()
        world.slot(settings, skip=286)
        world.slot(settings)

    expected = ["a: closed days not archived since 00:00"] * count
    titles = [s for s in mailserver.subjects() if "archived" in s]
    assert titles == expected


@pytest.mark.parametrize(("nights", "count"), [(0, 0), (1, 1)])
def test_after_weeks_off_compact_gets_a_night_before_it_is_said_not_to_run(
    tmp_path: Path, mailserver: MailServer, nights: int, count: int
) -> None:
    """It could not run while the machine was off; its next time is the next night."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served(dated=True) as settings, mailserver.up():
        world.slot(settings)
        world.slot(settings, skip=20 * 288)
        for _ in range(nights):
            world.slot(settings, skip=288)

    titles = [s for s in mailserver.subjects() if "archived" in s]
    assert len(titles) == count


def test_a_csv_that_is_no_longer_too_old_ends_its_incident(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """More `csv_days` do so, as does a CSV that was removed; by the next day."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        day = datetime.fromtimestamp(world.clock.now - 16 * DAY, UTC).date()
        world.slot(settings)
        (tmp_path / f"data/a/station_status/{day}.csv").touch()
        world.slot(settings, skip=286)
        keep = replace(settings.keep, csv_days=3_650)
        world.slot(replace(settings, keep=keep), skip=287)

    titles = [s for s in mailserver.subjects() if "archived" in s]
    assert titles == [
        "a: closed days not archived since 00:00",
        "a: resolved: closed days not archived 2026-11-23 00:00 to 00:05",
    ]


def test_two_systems_on_a_full_disk_share_one_mail_a_day(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened once, reminded of once a day, and closed when there is space again."""
    gb = 1_000_000_000
    free = [100 * gb]
    monkeypatch.setattr(space, "measure", lambda _: Space(free[0], 1_000 * gb))
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings())
    with world.served(dated=True) as settings, mailserver.up():
        world.slot(settings)
        for _ in range(5):
            free[0] -= 9 * gb
            world.slot(settings, skip=int(DAY // 300) - 1)
            world.slot(settings)
        free[0] = 500 * gb
        for _ in range(2):
            world.slot(settings)

    titles = [s for s in mailserver.subjects() if "disk" in s]
    assert titles == [
        "a and 1 more: disk soon full since 00:15",
        "a and 1 more: disk soon full since 2026-11-25 00:15, for 1 d 0 h",
        "a and 1 more: disk soon full since 2026-11-25 00:15, for 2 d 0 h",
        "a and 1 more: resolved: disk soon full 2026-11-25 00:15 to 2026-11-27 00:35",
    ]


def die(*_: object, **__: object) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_while_alerting(
    world: World, settings: Settings, point: str, *, up: bool = True
) -> None:
    """Collect the next slot in a child that is killed at *point* of its alerts."""
    child = os.fork()
    if child == 0:
        kill = f"bikecollect.alerts.{point}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kill, die)
            world.slot(settings, up=up)
        os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    world.clock.now = (world.clock.now // INTERVAL + 1) * INTERVAL + 2


@pytest.mark.parametrize(
    "point",
    ["signals.of_run", "alerter.step", "mail.mailer.Mailer.spool", "alerter._save"],
)
def test_a_run_killed_while_it_alerts_is_reported_by_the_next(
    tmp_path: Path, mailserver: MailServer, point: str
) -> None:
    """Its note has what it detected: here a ledger that was set aside."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        for suffix in ("-wal", "-shm"):
            Path(f"{settings.system_folder('a').ledger}{suffix}").unlink(
                missing_ok=True
            )
        settings.system_folder("a").ledger.write_bytes(b"no ledger" * 999)
        killed_while_alerting(world, settings, point)
        world.slot(settings)
        world.slot(settings)

    assert "a: ledger rebuilt, runs lost 00:10 to 00:15" in mailserver.subjects()
    assert (
        mailserver.subjects().count("a: ledger rebuilt, runs lost 00:10 to 00:15") == 1
    )
    inbox = settings.system_folder("a").payloads / "inbox"
    assert list(inbox.iterdir()) == []


def test_a_ledger_that_was_removed_is_reported_as_missing(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Not as one that cannot be used, or by the number of adopted blocks."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        settings.system_folder("a").ledger.unlink()
        world.slot(settings, skip=2)
        (missed,) = (i for i in stored_incidents(settings.system_folder("a")) if i.lost)

    assert missed.text == "2 x the ledger that recorded the runs was lost"
    assert mailserver.subjects() == [
        "a: ledger rebuilt, runs lost 00:20 to 00:25",
        "a: slots not collected 00:10 to 00:20, 2 slots lost",
    ]
    text, _ = [mail.get_content() for mail in mailserver.mails()]
    assert text.startswith("To do: get the earlier runs from a mirror or backup")
    assert "the ledger is rebuilt without its runs (noted)" in text
    assert "a/ledger.sqlite3 was missing: a new one is rebuilt from the files" in text


def test_a_run_killed_after_it_set_the_ledger_aside_is_reported(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Its note lacks the event; the ledger that was set aside is evidence."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        settings.system_folder("a").ledger.write_bytes(b"no ledger" * 999)
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                kill = "bikecollect.storage.ledger.Ledger._migrate"
                patch.setattr(kill, die)
                world.slot(settings)
            os._exit(1)
        os.waitpid(child, 0)
        world.clock.now += INTERVAL
        world.slot(settings)

    assert "a: ledger rebuilt, runs lost 00:10 to 00:15" in mailserver.subjects()


@pytest.mark.parametrize("point", ["state.AlertStateFile.save", "alerter._save"])
def test_a_run_killed_while_it_alerts_leaves_no_incident_open(
    tmp_path: Path, mailserver: MailServer, point: str
) -> None:
    """The state file and the ledger agree that the incident is closed."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        killed_while_alerting(world, settings, point, up=False)
        for _ in range(4):
            world.slot(settings)
        standing = survey(settings.system_folder("a"), now=world.clock.now)

    assert standing.health.incidents == []


def test_an_incident_that_only_the_ledger_has_is_closed(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """An incident left open by an earlier version closes within a day."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        orphan = Incident("disk-1", "disk", BEGIN_SLOT, BEGIN_SLOT, slots=1, told=1)
        assert AlertLedger(settings.system_folder("a").ledger).save([orphan])
        world.slot(settings, skip=285)
        for _ in range(4):
            world.slot(settings)
        standing = survey(settings.system_folder("a"), now=world.clock.now)

    assert standing.health.incidents == []


def test_counts_of_which_none_can_be_right_are_an_incident_while_they_last(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """One mail says so, as all values are empty. A few such stations are a finding."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    city, replaced = world.answer, [0]

    def answer(path: str) -> Answer:
        count = rb'"available_rent_bikes": ?"?\d+"?'
        odd = b'"available_rent_bikes": -5'
        body = city(path).body
        return Answer(
            re.sub(count, odd, body, count=replaced[0]) if replaced[0] else body
        )

    world.answer = answer  # type: ignore[method-assign]
    with world.served() as settings, mailserver.up():
        for some in (0, 20, 20, 20):
            replaced[0] = some
            world.slot(settings)
        standing = survey(settings.system_folder("a"), now=world.clock.now)
        replaced[0] = 19
        for _ in range(4):
            world.slot(settings)

    assert [i.variant for i in standing.health.incidents] == ["implausible"]
    assert mailserver.subjects() == [
        "a: all counts implausible since 00:10",
        "a: feed changed its shape 00:25 to 00:30",
        "a: resolved: all counts implausible 00:10 to 00:25",
    ]


def test_what_happened_to_a_file_and_what_is_left_to_do_are_in_its_mail(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Each kind of damage has its own subject, next steps and what was kept."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        folder = tmp_path / "data/a"
        (file,) = (folder / "station_status").iterdir()
        (folder / "station_information.csv").unlink()
        world.slot(settings)
        file.unlink()
        world.slot(settings)
        (file,) = (folder / "station_status").iterdir()
        file.write_bytes(file.read_bytes().replace(b"2026-", b"2027-"))
        world.slot(settings)

    assert mailserver.subjects() == [
        "a: list of stations repaired 00:10 to 00:15",
        "a: data file missing 00:15 to 00:20",
        "a: data file damaged 00:20 to 00:25",
    ]
    texts = (mail.get_content() for mail in mailserver.mails())
    repaired, missing, _ = (text.replace("\r\n", "\n") for text in texts)
    assert repaired.startswith("To do: nothing, it is repaired\n\nSystem      a\n")
    assert "To know more:" in repaired
    assert "bikecollect verify a   # to be sure" in repaired
    assert "Kept        all versions of stations" in repaired
    assert "bikecollect backfill a   # fills what has kept payloads" in missing
    assert "Causes" not in repaired + missing  # nothing is lost that could have one


def test_a_machine_that_was_off_while_its_disk_failed_is_so_in_mail_and_report(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """The incident of the disk spans these slots, but the mail knew better."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    folder, aside = tmp_path / "data/a", tmp_path / "aside"
    booted = BEGIN - 9_000

    def run(slots: int, skip: int = 0) -> None:
        for number in range(slots):
            world.clock.now += INTERVAL * (1 + (0 if number else skip))
            clocks = partial(lambda: world.clock.now - booted)
            world.run(settings, uptime=clocks, awake=clocks)

    with world.served() as settings, mailserver.up():
        run(2)
        folder.rename(aside)  # unmounted
        folder.mkdir()
        run(3)
        booted = world.clock.now + 4.5 * INTERVAL
        run(2, skip=4)
        folder.rmdir()
        aside.rename(folder)
        run(3)

    account = read_account(settings.system_folder("a"), now=world.clock.now)
    mails = [mail.get_content() for mail in mailserver.mails()]
    assert ["host-off (4 slots)" in mail for mail in mails].count(True) == 1
    assert [(gap.cause, gap.slots) for gap in account.gaps] == [
        ("disk", 3),
        ("host-off", 4),
        ("disk", 2),
    ]
