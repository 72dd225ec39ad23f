"""The doctor: reports problems, with remedies."""

import errno
import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from in_process import bikecollect
from json_shapes import documented
from mailserver import MailServer

from bikecollect.cli.commands.doctor import KEYS
from bikecollect.core.errors import ExitCode, StorageError
from bikecollect.setup import loader
from bikecollect.setup.checks import machine, remedies
from bikecollect.setup.checks.check import Verdict
from bikecollect.setup.checks.folders import check_disk, check_folder, check_scratch
from bikecollect.setup.checks.idle_settings import idle_mail, idle_settings
from bikecollect.setup.checks.services import check_mail
from bikecollect.setup.doctor import examine
from bikecollect.setup.scheduler import systemd, systemd_schedule
from bikecollect.setup.scheduler.checks import schedule_checks
from bikecollect.setup.settings import Settings
from bikecollect.setup.tables.sections import Mail
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import FEEDS, settings_text
from bikecollect.simulator.server import LiveFeed
from bikecollect.storage import data_folder
from bikecollect.storage.files import durable, marker, scratch
from bikecollect.storage.lock import Lock


@pytest.fixture
def feed() -> Iterator[LiveFeed]:
    """Serve a city."""
    with LiveFeed(City(30), clock=time.time) as served:
        yield served


def test_the_doctor_reports_problems_with_remedies(
    feed: LiveFeed, tmp_path: Path
) -> None:
    """Feed and mail are good, the crontab is not (faults 60, 93, 112)."""
    mail = MailServer.new(tmp_path / "mail")
    lines = [f"{key} = {json.dumps(value)}" for key, value in mail.settings().items()]
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "gbfs"\n'
        f'url = "{feed.gbfs_url}"\ntimezone = "Asia/Taipei"\n[mail]\n'
        + "\n".join(lines),
        encoding="utf-8",
    )
    with mail.up():
        bikecollect("--config", config, "fetch")
        words = ("--config", config, "doctor", "--send", "--format", "json")
        process = bikecollect(*words)
    assert process.returncode == 1
    checks = documented(process.stdout, KEYS)
    verdicts = {check["check"]: check["verdict"] for check in checks if check["text"]}
    assert verdicts["city: feed"] == "good"
    assert verdicts["city: disk"] in {"good", "note"}
    assert verdicts["mail"] == "good"
    assert verdicts["cron: line"] == "bad"
    assert all(check["remedy"] for check in checks if check["verdict"] != "good")
    assert mail.subjects() == ["test mail"]
    shown = bikecollect("--config", config, "doctor", "--offline").stdout
    without_path = [line for line in shown.splitlines() if " /" not in line]
    assert max(map(len, without_path)) < 80
    alone = bikecollect("--config", config, "doctor", "city", "--format", "json")
    checks = [json.loads(line) for line in alone.stdout.splitlines()]
    names = {check["check"] for check in checks}
    assert {"settings", "city: folder", "city: disk", "city: feed"} <= names
    assert not {"mail", "cron: line"} & names
    assert alone.returncode == 0


def test_the_doctor_names_foreign_files(feed: LiveFeed, tmp_path: Path) -> None:
    """And a folder that is not mounted (fault 112)."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "gbfs"\n'
        f'url = "{feed.gbfs_url}"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    bikecollect("--config", config, "fetch")
    ledger = tmp_path / "data/city/ledger.sqlite3"
    os.chown(ledger, 12_345, -1)
    process = bikecollect("--config", config, "doctor", "--offline")
    text = process.stdout.replace("\n      ", " ")
    assert f"city: folder: {ledger} belongs to 12345" in text
    assert "chown -R" in process.stdout
    city = (tmp_path / "data/city").rename(tmp_path / "data/town")
    config.write_text(config.read_text().replace("s.city", "s.town"), encoding="utf-8")
    for command, code in {"doctor --offline": 1, "status": 0, "verify": 78}.items():
        process = bikecollect("--config", config, *command.split())
        assert process.returncode == code
        text = process.stdout.replace("\n      ", " ") + process.stderr
        assert "has the data of another system, city," in " ".join(text.split())
    city.rename(tmp_path / "data/city")
    config.write_text(config.read_text().replace("s.town", "s.city"), encoding="utf-8")
    (tmp_path / "data/city/.bikecollect").unlink()
    ledger.unlink()
    process = bikecollect("--config", config, "doctor", "--offline")
    text = process.stdout.replace("\n      ", " ")
    assert "has no file .bikecollect" in text
    assert "city: data: ledger.sqlite3 is missing" in text


def test_the_folders_of_the_service_are_left_to_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy `chown` would stop the service, which collects as another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    data = tmp_path / "data"
    (data / "city").mkdir(parents=True)
    (data / "archive").mkdir()
    for place in (data, data / "city", data / "archive"):
        os.chown(place, 4321, 4321)
    timer = systemd.SYSTEM_WIDE / "bikecollect.timer"
    monkeypatch.setattr(systemd_schedule, "timer", lambda _: timer)
    system = {"feed": "youbike", "url": "http://localhost/", "timezone": "UTC"}
    settings = loader.parse({"data_dir": str(data), "systems": {"city": system}})

    checks = {
        check.name: check for check in examine(settings, network=False, send=False)
    }

    assert checks["folders"].remedy == "run as 4321: bikecollect doctor"
    assert not any("chown" in check.remedy for check in checks.values())


def test_the_doctor_checks_the_environment_of_cron(tmp_path: Path) -> None:
    """In an empty environment, by the command of the crontab (faults 92, 93)."""
    config = tmp_path / "bikecollect.toml"
    config.write_text("[systems.velib-paris]\n", encoding="utf-8")
    words = ("--config", config, "doctor", "--as-cron", "--offline")
    process = bikecollect(*words, MARK="here")
    assert process.returncode == 1
    assert f"settings: {config}" in process.stdout.replace("\n      ", " ")


def test_cron_has_no_place_to_start_commands_of_a_user_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of `nobody`, whose home is named but not there (fault 92)."""
    config = tmp_path / "bikecollect.toml"
    config.write_text("[systems.velib-paris]\n", encoding="utf-8")
    user = pwd.struct_passwd(("nobody", "x", 1, 1, "", str(tmp_path / "none"), "sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: user)

    process = bikecollect("--config", config, "doctor", "--as-cron")

    assert process.returncode == 78
    assert f"home of nobody, and there is no folder {tmp_path}/none" in process.stderr


def test_the_doctor_names_what_others_may_change(
    feed: LiveFeed, tmp_path: Path
) -> None:
    """A linked inbox, a writable archive, a program that anybody may write."""
    program = tmp_path / "notify"
    program.touch()
    program.chmod(0o777)
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[tell]\ncommand = ["./notify"]\n[systems.city]\n'
        f'feed = "gbfs"\nurl = "{feed.gbfs_url}"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    bikecollect("--config", config, "fetch")
    inbox = tmp_path / "data/city/payloads/inbox"
    inbox.rename(tmp_path / "inbox")
    inbox.symlink_to(tmp_path / "inbox")
    (tmp_path / "data/archive").mkdir()
    (tmp_path / "data/archive").chmod(0o777)

    words = ("--config", config, "doctor", "--offline", "--format", "json")
    checks = [json.loads(line) for line in bikecollect(*words).stdout.splitlines()]
    remedies = {c["check"]: c["remedy"] for c in checks if c["verdict"] == "bad"}

    assert remedies["city: folder"].startswith(f"rm {inbox} ")
    assert remedies["archive: folder"] == f"chmod go-w {tmp_path}/data/archive"
    assert remedies["tell.command"] == f"chmod go-w {program}"


def test_the_doctor_checks_the_folders_above_the_settings(tmp_path: Path) -> None:
    """A user who can rename one of them decides which settings are read."""
    config = tmp_path / "open/mine/bikecollect.toml"
    config.parent.mkdir(parents=True)
    config.touch()
    words = ("--config", config, "doctor", "--offline")
    good = bikecollect(*words).stdout
    (tmp_path / "open").chmod(0o777)
    bad = bikecollect(*words).stdout.replace("\n      ", " ")

    assert "in place of" not in good
    assert f"others can replace the folder {config.parent}" in bad


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            "/proc/bikes",
            "/proc/bikes/youbike-taipei is not on a disk but in a file system of the "
            "kernel (proc)",
        ),
        ("data", "/data is a file, not a folder"),
    ],
)
def test_a_place_that_can_never_be_a_folder_is_named_once(
    tmp_path: Path, data: str, problem: str
) -> None:
    """Nothing can be stored there, so it is no folder that a fetch may create."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(f'data_dir = "{data}"\n[systems.youbike-taipei]\n')
    (tmp_path / "data").touch()

    checks = list(examine(loader.load(str(config)), network=False, send=False))

    place = [(c.name, c.verdict.value) for c in checks if c.text.endswith(problem)]
    assert place == [("youbike-taipei: folder", "BAD")]
    assert not [check for check in checks if check.name.endswith(": disk")]


def test_a_folder_that_was_there_is_gone_and_not_to_be_created(tmp_path: Path) -> None:
    """A new system's folder is created by the first fetch."""
    for name in ("old", "other"):
        data_folder.prepare(tmp_path / name)
    (tmp_path / "old/.bikecollect").unlink()
    (tmp_path / "old").rmdir()

    checks = [
        *check_folder("old", tmp_path / "old", "file:///srv/copy"),
        *check_folder("a", tmp_path / "a"),
    ]

    assert [check.verdict.value for check in checks] == ["BAD", "note"]
    assert "old is gone, with all data until now: was it removed" in checks[0].text
    assert checks[0].remedy == (
        "mount its disk, or put it back (from a backup); or fill it from the mirror: "
        "bikecollect backfill old --from file:///srv/copy; the next fetch begins a new "
        "one"
    )


def test_the_best_remedy_of_damage_comes_first(tmp_path: Path) -> None:
    """To accept a loss is the last one, so it is never named alone."""
    config = tmp_path / "bikecollect.toml"
    mirror = '[archive]\nmirror = "file:///srv/copy"\n'
    config.write_text(f'data_dir = "{tmp_path}"\n{mirror}[systems.youbike-taipei]\n')
    settings = loader.load(str(config))
    system = settings.system_folder("youbike-taipei")
    mark = marker.text_of("youbike-taipei") + marker.mark(1_763_769_600)

    def remedy_of(text: bytes) -> str:
        (system.path / ".bikecollect").write_bytes(text)
        name = "youbike-taipei: data"
        checks = check_disk("youbike-taipei", settings)
        return next(check.remedy for check in checks if check.name == name)

    data_folder.prepare(system.path)
    lost = remedy_of(mark)
    (system.path / ".bikecollect").write_bytes(marker.text_of("other"))
    (check,) = check_folder("youbike-taipei", system.path)
    foreign = check.remedy
    again = [c.remedy for c in check_disk("youbike-taipei", settings)]

    assert lost.startswith("a new one was begun. To go on with the earlier one: move ")
    assert "the mirror: bikecollect backfill youbike-taipei --from file:/" in lost
    assert lost.endswith(
        "; or accept the loss: bikecollect forget youbike-taipei earlier-data"
    )
    assert foreign.startswith(
        "put each in its place; or, if youbike-taipei is the new "
    )
    assert foreign not in again  # it is said once


def test_a_file_system_that_is_not_safe_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its type: of a server, or of a program (FUSE); `fuseblk` is NTFS."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[systems.youbike-taipei]\n')
    settings = loader.load(str(config))

    def doubt(kind: str) -> str:
        monkeypatch.setattr(machine, "file_system", lambda _: kind)
        notes = [c for c in check_disk("youbike-taipei", settings) if c.remedy]
        return " ".join(c.text for c in notes if c.verdict is Verdict.NOTE)

    for kind in ("nfs4", "smb3", "fuse", "fuse.sshfs", "ceph", "afs", "autofs"):
        assert doubt(kind) == (
            f"the file system is {kind}: locks and syncs depend on its server"
        )
    assert "syncs may not reach the disk" in doubt("9p")
    assert "not safe in a crash" in doubt("fuseblk")
    assert [doubt(kind) for kind in ("ext4", "xfs", "btrfs", "zfs")] == [""] * 4


def test_an_interval_that_cron_lacks_has_a_remedy_that_works(tmp_path: Path) -> None:
    """`schedule install` would end with the same error."""
    config = tmp_path / "bikecollect.toml"
    text = f'data_dir = "{tmp_path}"\ninterval = "5s"\n[systems.youbike-taipei]\n'
    config.write_text(text)

    checks = schedule_checks(loader.load(str(config)))

    remedy = next(check.remedy for check in checks if check.name == "cron: line")
    assert remedy.startswith("use a systemd timer (bikecollect schedule install --sys")


def test_a_ledger_that_only_root_may_read_is_not_said_to_be_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next fetch could not read it, either."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[systems.youbike-taipei]\n')
    settings = loader.load(str(config))
    ledger = settings.system_folder("youbike-taipei").ledger
    data_folder.prepare(ledger.parent)
    ledger.write_bytes(b"junk" * 9)

    def remedy() -> str:
        *_, check = check_disk("youbike-taipei", settings)
        assert "rebuilds" not in check.text  # the remedy is not said twice
        return check.remedy

    damaged = remedy()
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert damaged == "the next fetch rebuilds the ledger from the files"
    assert "chown " in remedy()
    assert remedy().endswith(str(ledger))


def test_what_is_in_the_way_of_a_file_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a file in place of a folder, a file without access."""
    place = tmp_path / "a"
    data_folder.prepare(place)
    (place / "lock").mkdir()
    (place / "payloads").write_text("x")
    locked = place / "station_information.csv"
    locked.touch()
    is_ok = os.access
    monkeypatch.setattr("os.access", lambda p, mode: p != locked and is_ok(p, mode))

    found = {(c.text, c.remedy) for c in check_folder("a", place) if c.remedy}

    assert found == {
        (
            f"{place}/lock is a folder, in place of a file",
            f"mv {place}/lock {place}/lock.aside",
        ),
        (f"no access to {locked}", f"chmod u+rw {locked}"),
        (
            f"{place}/payloads is a file, in place of a folder",
            f"mv {place}/payloads {place}/payloads.aside",
        ),
    }
    with pytest.raises(StorageError, match=f"; run: mv {place}/lock "):
        Lock(place / "lock").held().__enter__()


def test_a_path_that_is_too_long_for_a_ledger_is_bad(tmp_path: Path) -> None:
    """SQLite, and so each run, would say that it is "unable to open" the file."""
    config = tmp_path / "bikecollect.toml"
    data = tmp_path / "/".join(["d" * 200] * 2) / ("e" * 80)
    config.write_text(f'data_dir = "{data}"\n[systems.youbike-taipei]\n')

    checks = list(examine(loader.load(str(config)), network=False, send=False))

    text = next(c.text for c in checks if c.name == "youbike-taipei: folder")
    assert "bytes, SQLite opens those of at most 504: /" in text


def test_the_place_for_temporary_data_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports and queries fail without; collecting needs none, so it is a note."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    usual = check_scratch()
    monkeypatch.setattr(scratch, "free_bytes", lambda _: 5_000_000)
    little = check_scratch()
    monkeypatch.setattr(scratch, "place", Mock(side_effect=OSError(2, "none", "/x")))
    none = check_scratch()

    assert usual.text.startswith(f"{tmp_path}, ")
    assert little.text.startswith(f"{tmp_path}, 5.0 MB free: long reports")
    assert none.text == "none: /x"
    assert {little.verdict, none.verdict} == {Verdict.NOTE}


def test_a_disk_that_is_mounted_read_only_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel does that after errors: no run can store anything."""
    config = tmp_path / "bikecollect.toml"
    config.write_text('data_dir = "."\n[systems.youbike-taipei]\n', encoding="utf-8")
    (tmp_path / "archive").mkdir()
    real = os.statvfs

    def read_only(place: Path) -> os.statvfs_result:
        values = list(real(place))
        values[8] |= os.ST_RDONLY
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", read_only)
    checks = list(examine(loader.load(str(config)), network=False, send=False))

    named = [c.name for c in checks if "is mounted read-only" in c.text]
    assert named == ["youbike-taipei: folder", "archive: folder"]


@pytest.mark.parametrize(
    ("programs", "systemd", "user", "remedy"),
    [
        ("crond sudo", True, 1000, "sudo systemctl enable --now crond"),
        ("cron sudo", False, 1000, "sudo {}/cron   # and again after each start"),
        ("cron", False, 1000, "run as root: {}/cron   # and again after each start"),
        ("cron", True, 0, "systemctl enable --now cron"),
        ("", True, 0, "install a cron daemon, such as the package cron or cronie"),
    ],
)
def test_a_cron_daemon_is_started_by_what_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    programs: str,
    systemd: bool,
    user: int,
    remedy: str,
) -> None:
    """A container has neither systemd nor sudo."""
    for name in programs.split():
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(remedies, "SYSTEM_PLACES", str(tmp_path))
    monkeypatch.setattr(remedies, "has_systemd", lambda: systemd)
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert remedies.start_cron().startswith(remedy.format(tmp_path))


def test_a_cron_daemon_is_not_missing_where_processes_are_hidden(
    tmp_path: Path,
) -> None:
    """Where even the first process is hidden, whether one runs is unknown."""
    for number, name in {"7": "bash", "9": "crond"}.items():
        (tmp_path / number).mkdir()
        (tmp_path / number / "comm").write_text(f"{name}\n")

    assert machine.cron_daemon(tmp_path) == "crond runs, process 9"
    (tmp_path / "9/comm").write_text("sh\n")
    assert machine.cron_daemon(tmp_path) is None
    (tmp_path / "7").rename(tmp_path / "1")
    assert machine.cron_daemon(tmp_path) == ""


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Each run ends with 74 there: its payload is kept and never committed."""
    lock = tmp_path / "city" / "lock"
    lock.parent.mkdir()
    lock.touch()
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(number, "")))

    why, remedy = machine.unusable(lock.parent, lock.parent) or ("", "")
    with (
        pytest.raises(StorageError, match="move the data to a local disk"),
        Lock(lock).held(),
    ):
        pass

    assert "no file locks" in why
    assert "move the data to a local disk" in remedy


def test_a_file_system_that_cannot_sync_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run ends with 74 there; "repair the disk" was the remedy."""
    error = OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    monkeypatch.setattr(os, "fsync", Mock(side_effect=error))

    why, remedy = machine.unusable(tmp_path, tmp_path) or ("", "")
    with pytest.raises(OSError, match="cannot sync a folder") as raised:
        durable.sync_folder(tmp_path)

    assert str(tmp_path) in why
    assert "cannot sync a folder" in why
    assert remedy in str(durable.unwritten("cannot write", raised.value))
    assert "move the data to a local disk" in remedy


def test_a_demo_that_is_over_is_no_problem(tmp_path: Path) -> None:
    """Its city is served no more: that is a note, not a dead feed or a late system."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(settings_text(FEEDS), encoding="utf-8")
    os.utime(config, (0, 0))

    def problems() -> tuple[set[str], str, str]:
        words = ("--config", config, "doctor", "--format", "json")
        checks = [json.loads(line) for line in bikecollect(*words).stdout.splitlines()]
        bad = {check["check"] for check in checks if check["verdict"] == "bad"}
        demo = next((c["text"] for c in checks if c["check"] == "demo"), "")
        return bad, demo, bikecollect("--config", config, "status", "--alert").stdout

    bad, demo, alerts = problems()
    assert {"simport-gbfs: feed", "cron: line"} <= bad
    assert (demo, alerts.count(": late:")) == ("", 2)

    (tmp_path / ".bikecollect-demo").touch()

    text = "simport-youbike, simport-gbfs: the simulated city is no longer served"
    assert problems() == (set(), text, "")
    shown = bikecollect("--config", config, "status", "simport-gbfs").stdout
    assert shown.startswith("simport-gbfs: a demo, which is over\n")
    assert "none needed: the simulated city is no longer served" in shown

    before = sorted(tmp_path.rglob("*"))
    dry_run = ["fetch", "simport-gbfs", "--dry-run"]
    for words in (["fetch"], dry_run, ["schedule", "install"]):
        # No crontab is found: even if this fails, this machine's is unchanged.
        refused = bikecollect("--config", config, *words, PATH=str(tmp_path))
        assert refused.returncode == ExitCode.SETTINGS
        assert "simport-gbfs: the demo is over" in refused.stderr
        assert "bikecollect --config FILE init" in refused.stderr
    assert sorted(tmp_path.rglob("*")) == before, "no trace of a run or an incident"


def test_a_time_zone_in_which_the_stamps_are_hours_ahead_is_bad(
    feed: LiveFeed, tmp_path: Path
) -> None:
    """`feeds try` says so, too; the simulated stations are in the Pacific."""
    zone = "Africa/Lagos"
    what = f'about 7 h ahead in timezone = "{zone}"'
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "data"\n[systems.city]\nfeed = "youbike"\n'
        f'url = "{feed.youbike_url}"\ntimezone = "{zone}"\n',
        encoding="utf-8",
    )

    checked = bikecollect("--config", config, "doctor", "--format", "json").stdout
    tried = bikecollect("--config", config, "feeds", "try", "city").stdout

    checks = [json.loads(line) for line in checked.splitlines()]
    (bad,) = [check for check in checks if what in (check["text"] or "")]
    assert (bad["check"], bad["verdict"]) == ("city: feed", "bad")
    assert bad["remedy"].endswith("if it is wrong; the stamps fit Etc/GMT-8")
    text = f"{what}: the feed's clock is wrong, or the right time zone is UTC+8"
    assert text in " ".join(tried.split())
    assert tried.endswith('\ntimezone = "Etc/GMT-8"\n')


def test_recipients_without_a_mail_server_are_noticed() -> None:
    """Nobody is told anything, although [mail] is there."""
    settings = Settings(mail=Mail(to=["me@example.org"], after=3))
    (check,) = check_mail(settings, network=False, send=False)
    assert check.text == "no mails are sent, because [mail] has no host: mail.to"
    assert check.remedy == "set mail.host in the settings"
    *_, sent = check_mail(settings, network=False, send=True)
    assert sent.verdict is Verdict.BAD
    assert sent.text == "no test mail was sent: mail.host is not set"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        (
            {"ping": {"start": True}},
            ["ping.start has no effect without ping.url; set ping.url, or remove it"],
        ),
        (
            {"app": {"attribution": "me"}},
            ["app.attribution has no effect without app.tiles"],
        ),
        (
            {
                "systems": {
                    "city": {
                        "feed": "citybikes",
                        "language": "en",
                        "mapping": {"a": "b"},
                    }
                }
            },
            [
                'systems.city.mapping has no effect with feed = "citybikes"',
                'systems.city.language has no effect with feed = "citybikes"',
            ],
        ),
        (
            {"systems": {"city": {"feed": "gbfs", "language": "en", "version": "2.3"}}},
            [],
        ),
        (
            {"mail": {"password_file": "x", "security": "none", "ca_bundle": "y"}},
            [
                "mail.password_file has no effect without mail.user",
                "mail.ca_bundle has",
            ],
        ),
        ({"mail": {"user": "a", "password_file": "x", "ca_bundle": "y"}}, []),
        ({"mail": {"host": "", "after": 2, "timezone": "UTC"}}, []),
    ],
)
def test_settings_without_effect_are_named(
    more: dict[str, dict[str, Any]], told: list[str]
) -> None:
    """Only those that certainly have none; what another channel heeds has one."""
    if mail := more.get("mail"):
        basics = {"host": "localhost", "sender": "a@b.c", "to": ["a@b.c"]}
        more = {"mail": {**(basics if "host" not in mail else {}), **mail}}
    for system in more.get("systems", {}).values():
        system |= {"url": "https://example.org/a.json", "timezone": "UTC"}
    settings = loader.parse(more)

    idle = (*idle_settings(settings), *idle_mail(settings.mail))

    texts = ["; ".join(each) for each in idle]
    assert len(texts) == len(told)
    assert all(text.startswith(each) for text, each in zip(texts, told, strict=True))


@pytest.mark.parametrize(
    ("command", "text", "remedy"),
    [
        ("mail -s me", "program `mail -s me` not found", '["mail", "-s", "me"]'),
        ("{}/tell", "`{}/tell` is not executable", "chmod +x {}/tell"),
        ("no-such-tell", "program `no-such-tell` not found", "its absolute path"),
    ],
)
def test_a_command_that_cannot_be_started_has_a_remedy(
    tmp_path: Path, command: str, text: str, remedy: str
) -> None:
    """The usual mistakes: one text for all words, and a file without its x bit."""
    (tmp_path / "tell").touch(0o600)
    file = tmp_path / "b.toml"
    words = json.dumps([command.format(tmp_path)])
    file.write_text(f"[tell]\ncommand = {words}\n", encoding="utf-8")
    found = examine(loader.load(str(file)), network=False, send=False)
    (check,) = [check for check in found if check.name == "tell.command"]

    assert check.text == text.format(tmp_path)
    assert check.remedy.endswith(remedy.format(tmp_path))
