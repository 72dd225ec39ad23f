"""``bikecollect schedule`` with the real crontab program, on a separate spool."""

import errno
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import covered_spool
import pytest
from click.testing import CliRunner
from command import bikecollect as in_own_process
from command import forked
from cron_daemon import ALONE, first_lines
from in_process import bikecollect
from json_shapes import documented
from waiting import wait_until

from bikecollect.cli import cli
from bikecollect.cli.commands.schedule import KEYS
from bikecollect.core.errors import LockBusy, StorageError
from bikecollect.setup.loader import parse
from bikecollect.setup.scheduler import (
    checks,
    cron_schedule,
    service_user,
    systemd,
)
from bikecollect.setup.scheduler.cron_schedule import install_in_cron, remove_from_cron
from bikecollect.setup.scheduler.service_user import MODE
from bikecollect.simulator.city import City
from bikecollect.simulator.server import LiveFeed
from bikecollect.storage.files import flock

ROOT = Path(__file__).parents[2]
CRONTAB = shutil.which("crontab")
real_crontab = pytest.mark.skipif(
    CRONTAB is None or os.geteuid() != 0,
    reason="needs the crontab program, and root for a spool of its own",
)
CRON = shutil.which("cron", path="/usr/sbin:/usr/bin:/sbin:/bin")
ANALYZE = shutil.which("systemd-analyze")
OTHERS = b"MAILTO=me@example.org\n# mine\n0 4 * * *   /usr/bin/backup 50\\% \n"
# The machine's own crontabs are covered in a mount namespace.
COVERED = 'mount --bind "$0" /var/spool/cron && PATH=${PATH#*/no-crontab:} exec "$@"'


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Return a folder used in place of /var/spool/cron."""
    (tmp_path / "spool/crontabs").mkdir(parents=True)
    (tmp_path / "spool/crontabs").chmod(0o1730)
    return tmp_path / "spool"


def covered(spool: Path, *command: object) -> "subprocess.CompletedProcess[str]":
    """Run *command* with *spool* in place of /var/spool/cron."""
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", COVERED, str(spool), *map(str, command)],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def scheduled(spool: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run ``bikecollect`` *arguments* with *spool* in place of /var/spool/cron."""
    words = [str(spool), *map(str, arguments)]
    return forked(words, "", os.environ, program=covered_spool.__file__)


def installed(spool: Path) -> bytes:
    """Return the crontab in *spool*, as ``crontab -l`` prints it."""
    return covered(spool, "crontab", "-l").stdout.encode()


def install(spool: Path, folder: Path, crontab: bytes) -> None:
    """Install *crontab* into *spool*."""
    (folder / "others").write_bytes(crontab)
    assert covered(spool, "crontab", folder / "others").returncode == 0


@real_crontab
def test_the_line_is_installed_once_and_removed_without_a_trace(
    spool: Path, tmp_path: Path
) -> None:
    """Installing twice leaves one block; other lines are unchanged (fault 93)."""
    install(spool, tmp_path, OTHERS)

    first = scheduled(spool, "schedule", "install")
    there = installed(spool)
    second = scheduled(spool, "schedule", "install")
    again = installed(spool)
    gone = scheduled(spool, "schedule", "remove")

    assert first.returncode == 0
    assert first.stdout.startswith("Installed in your crontab.\n  fetch ")
    assert "Already" in second.stdout
    assert there.startswith(OTHERS)
    assert there.count(b"bikecollect fetch\n") == 1
    assert again == there
    assert gone.stdout == "Removed.\n"
    assert installed(spool) == OTHERS


KILLING = """\
#!/bin/sh
cd "${0%/*}"
case $1 in
-l) exec cat lines ;;
-) kill -9 $PPID && cat > read && mv read lines && echo > done ;;
esac
"""
"""A `crontab` that kills the process that runs it, before it reads its input."""


def test_a_kill_amid_the_installation_leaves_the_users_lines(tmp_path: Path) -> None:
    """`crontab -` installs what it has read when its input ends."""
    program, lines = tmp_path / "crontab", tmp_path / "lines"
    program.write_text(KILLING, encoding="utf-8")
    program.chmod(0o755)
    lines.write_bytes(OTHERS)
    path = f"{tmp_path}:{os.environ['PATH']}"

    killed = in_own_process("schedule", "install", PATH=path)

    assert killed.returncode == -signal.SIGKILL
    wait_until((tmp_path / "done").exists, "the crontab is installed")
    assert lines.read_bytes().startswith(OTHERS)
    assert b" fetch\n" in lines.read_bytes()


LOOKING = """\
#!/bin/sh
cd "${0%%/*}"
flock -n '%s' true && echo "$1" >> unlocked
case $1 in
-l) exec cat lines ;;
-) cat > lines ;;
esac
"""
"""A `crontab` that records whether a folder is not locked."""


def test_two_installations_at_once_lose_no_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crontab is locked from before it is read until it was written.

    A call between the two would write its own lines, and lose those of the first.
    """
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    program, lines = tmp_path / "crontab", tmp_path / "lines"
    program.write_text(LOOKING % home, encoding="utf-8")
    program.chmod(0o755)
    lines.write_bytes(OTHERS)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    settings = parse({"systems": {"nextbike-berlin": {}}})

    install_in_cron(settings, tmp_path / "a.toml")
    remove_from_cron(tmp_path / "a.toml", ["compact"])
    assert b" fetch\n" in lines.read_bytes()
    assert not (tmp_path / "unlocked").exists()

    monkeypatch.setattr(cron_schedule, "PATIENCE", 0.0)
    with flock.open_folder(home) as fd:
        assert fd is not None
        flock.lock(fd)
        with pytest.raises(LockBusy, match="nothing was changed"):
            install_in_cron(settings, tmp_path / "b.toml")


@pytest.mark.parametrize(("daemon", "is_named"), [("", True), (None, False)])
def test_a_schedule_without_a_daemon_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    daemon: str | None,
    *,
    is_named: bool,
) -> None:
    """The lines are installed, but nothing would run them; unless that is unknown."""
    (tmp_path / "lines").write_bytes(OTHERS)
    program = tmp_path / "crontab"
    program.write_text(LOOKING % tmp_path, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(checks, "cron_daemon", lambda: daemon)

    before = CliRunner().invoke(cli, ["schedule", "show"])
    install = CliRunner().invoke(cli, ["schedule", "install"])
    after = CliRunner().invoke(cli, ["schedule", "show"])

    words = "No cron daemon is running: until one does, nothing is fetched:"
    assert (words in install.stdout, words in after.stdout) == (is_named, is_named)
    assert words not in before.stdout


@real_crontab
def test_a_machine_of_several_installs_its_share(spool: Path) -> None:
    """Each line has the shard, and the schedule is up to date for it only."""
    ended = scheduled(spool, "schedule", "install", "--shard", "5/5")
    assert ended.returncode == 0, ended.stderr

    lines = [line for line in installed(spool).splitlines() if line[:1] != b"#"]
    assert len(lines) >= 2
    assert all(b"bikecollect --shard 5/5 " in line for line in lines)
    mine = scheduled(spool, "--shard", "5/5", "schedule", "show")
    all_systems = scheduled(spool, "schedule", "show")
    assert "state: installed and up to date" in mine.stdout
    assert "state: installed but outdated" in all_systems.stdout


@real_crontab
@pytest.mark.parametrize(
    ("crontab", "times"),
    [
        (b"17 3 * * * backup\n", 1),
        (b"# bikecollect fetch\n", 1),
        (b"*/5 * * * * ~/bin/bikecollect fetch\n", 0),
    ],
)
def test_status_says_when_nothing_starts_the_runs(
    spool: Path, tmp_path: Path, crontab: bytes, times: int
) -> None:
    """A line of the user's own counts as a schedule; a comment does not."""
    config = tmp_path / "bikes.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\n[systems.youbike-taipei]\n')
    install(spool, tmp_path, crontab)

    status = scheduled(spool, "--config", config, "status")

    assert status.stdout.count("no schedule found") == times


@real_crontab
def test_a_crontab_is_created_and_removed_with_our_lines(
    spool: Path,
) -> None:
    """Without any crontab before, there is none afterwards."""
    scheduled(spool, "schedule", "install")
    crontabs = list((spool / "crontabs").iterdir())
    scheduled(spool, "schedule", "remove")
    again = scheduled(spool, "schedule", "remove")

    assert len(crontabs) == 1
    assert list((spool / "crontabs").iterdir()) == []
    assert (again.returncode, again.stdout) == (0, "Nothing to remove.\n")


@real_crontab
def test_show_prints_the_state_of_the_schedule(spool: Path, tmp_path: Path) -> None:
    """Absent, installed, and different after a change of the interval."""
    path = tmp_path / "my 100% file.toml"
    path.write_text('interval = "5min"\n', encoding="utf-8")
    show = ("--config", path, "schedule", "show", "--format", "json")

    (before,) = documented(scheduled(spool, *show).stdout, KEYS)
    scheduled(spool, "--config", path, "schedule", "install")
    after = json.loads(scheduled(spool, *show).stdout)
    path.write_text('interval = "10min"\n', encoding="utf-8")
    changed = json.loads(scheduled(spool, *show).stdout)

    assert [listing["state"] for listing in (before, after, changed)] == [
        *("absent", "there", "differs"),
    ]
    assert f"--config '{str(path).replace('%', chr(92) + '%')}' fetch" in before["text"]
    assert changed["text"].splitlines()[3].startswith("*/10 * * * * /")
    assert len(before["next"]) == 3


@real_crontab
def test_a_relative_config_becomes_absolute(spool: Path, tmp_path: Path) -> None:
    """Cron starts in another folder (fault 93)."""
    (tmp_path / "bikecollect.toml").write_text("", encoding="utf-8")
    ours = f"{sys.executable} -m bikecollect --config bikecollect.toml"
    command = f"cd {tmp_path} && {ours} schedule show"

    process = covered(spool, "sh", "-c", command)

    assert f"--config {tmp_path}/bikecollect.toml fetch\n" in process.stdout
    assert "not installed" in process.stdout


OLD = (
    "# >>> bikecollect >>>\n# Written by `bikecollect schedule install`\n"
    "*/5 * * * * /usr/bin/bikecollect --config {} fetch\n# <<< bikecollect <<<\n"
)


@real_crontab
def test_lines_for_other_settings_are_kept(spool: Path, tmp_path: Path) -> None:
    """Each file has its own lines, marked with its path."""
    one, two = tmp_path / "one 50%.toml", tmp_path / "two.toml"
    one.write_text('interval = "5min"\n', encoding="utf-8")
    two.write_text('interval = "10min"\n', encoding="utf-8")
    install(spool, tmp_path, OTHERS)

    first = scheduled(spool, "--config", one, "schedule", "install")
    alone = installed(spool)
    second = scheduled(spool, "--config", two, "schedule", "install")
    both = installed(spool)
    again = scheduled(spool, "--config", one, "schedule", "install")
    shown = scheduled(spool, "--config", two, "schedule", "show", "--format", "json")
    gone = scheduled(spool, "--config", two, "schedule", "remove")

    assert first.stdout.startswith("Installed in your crontab.\n")
    assert f"\n# >>> bikecollect {one} >>>\n".encode() in alone
    assert both.startswith(alone)
    assert f"\n# >>> bikecollect {two} >>>\n".encode() in both
    assert second.stdout.endswith(f"The lines for {one} are unchanged.\n")
    assert "Already" in again.stdout
    assert json.loads(shown.stdout)["state"] == "there"
    assert json.loads(shown.stdout)["others"] == [str(one)]
    assert gone.stdout == f"Removed.\nThe lines for {one} are unchanged.\n"
    assert installed(spool) == alone


@real_crontab
def test_an_older_block_is_replaced_only_by_the_settings_it_names(
    spool: Path, tmp_path: Path
) -> None:
    """Its mark has no path, but its command has."""
    ours, theirs = tmp_path / "ours.toml", tmp_path / "theirs.toml"
    ours.write_text("", encoding="utf-8")
    text = OLD.format(theirs) + OLD.format(ours)
    install(spool, tmp_path, text.encode())

    before = scheduled(spool, "--config", ours, "schedule", "show")
    scheduled(spool, "--config", ours, "schedule", "install")
    usual = scheduled(spool, "schedule", "install")

    assert "installed but outdated" in before.stdout
    assert installed(spool).startswith(OLD.format(theirs).encode())
    assert installed(spool).count(b"ours.toml fetch") == 1
    assert usual.stdout.startswith("Installed in your crontab.\n")
    assert installed(spool).count(b"# <<< bikecollect <<<") == 3


@real_crontab
def test_a_block_without_a_path_belongs_to_the_default_settings(
    spool: Path, tmp_path: Path
) -> None:
    """Creating settings after the schedule does not add a second line."""
    scheduled(spool, "schedule", "install")
    path = Path("~/.config/bikecollect/bikecollect.toml").expanduser()
    path.parent.mkdir(parents=True)
    path.write_text('interval = "10min"\n', encoding="utf-8")

    process = scheduled(spool, "schedule", "install")

    assert process.stdout.startswith("Updated in your crontab.\n")
    assert installed(spool).count(b" fetch\n") == 1
    assert f"# >>> bikecollect {path} >>>".encode() in installed(spool)


@real_crontab
def test_the_doctor_goes_by_the_settings_of_the_lines(
    spool: Path, tmp_path: Path
) -> None:
    """A line for other settings does not collect these systems."""
    path = tmp_path / "ours.toml"
    path.write_text("", encoding="utf-8")
    install(spool, tmp_path, OLD.format("/etc/theirs.toml").encode())
    words = ("--config", path, "doctor", "--offline", "--format", "json")

    checks = [json.loads(x) for x in scheduled(spool, *words).stdout.splitlines()]

    (line,) = [check for check in checks if check["check"] == "cron: line"]
    assert (line["verdict"], line["text"]) == (
        *("bad", "the crontab has lines for other settings: /etc/theirs.toml"),
    )


@pytest.mark.parametrize("path", ['/a"b.toml', "/it's.toml", "/a b/50%.toml"])
def test_the_settings_of_a_unit_are_found_whatever_their_path(path: str) -> None:
    """Else an installation would not know its own units, and write others beside."""
    command = ["/x/bikecollect", "--config", path, "fetch"]
    unit = systemd.service(systemd.ServiceConfig(command, "/srv/bikes", 300))

    assert systemd.settings_of(unit) == path


def test_a_unit_with_an_open_quote_is_that_of_no_settings() -> None:
    """A person may have written a `bikecollect.service`: the doctor goes on."""
    assert systemd.settings_of("ExecStart=/bin/echo it's --config /a.toml x") == ""


def test_units_for_other_settings_are_kept(tmp_path: Path) -> None:
    """The second file's units have other names."""
    folder = Path("~/.config/systemd/user").expanduser()
    one, two = tmp_path / "one 50%.toml", tmp_path / "two.toml"
    for path in (one, two):
        path.write_text('data_dir = "data"\n', encoding="utf-8")
        bikecollect("--config", path, "schedule", "install", "--systemd", PATH="/no")
    units = sorted(unit.name for unit in folder.iterdir())
    shown = bikecollect("--config", two, "schedule", "show", "--systemd").stdout
    checked = bikecollect("--config", two, "doctor", "--offline", PATH="/no").stdout
    bikecollect("--config", one, "schedule", "remove", "--systemd", PATH="/no")
    left = sorted(unit.name for unit in folder.iterdir())
    again = bikecollect("--config", two, "schedule", "show", "--systemd").stdout

    usual = {
        *("bikecollect-compact.service", "bikecollect-compact.timer"),
        *("bikecollect.service", "bikecollect.timer"),
    }
    others = [unit for unit in units if unit not in usual]
    assert (len(units), len(others)) == (8, 4)
    assert "state: installed and up to date" in shown
    assert "a systemd timer" in checked
    assert left == others
    assert "state: installed and up to date" in again


@real_crontab
def test_the_jobs_are_installed_and_each_can_be_removed(
    spool: Path, tmp_path: Path
) -> None:
    """The nightly compact and the hourly alert, each after its comment."""
    install(spool, tmp_path, OTHERS)

    first = scheduled(spool, "schedule", "install")
    everything = _commands(installed(spool))
    gone = scheduled(spool, "schedule", "remove", "compact")
    left = installed(spool)
    shown = scheduled(spool, "schedule", "show")
    scheduled(spool, "schedule", "install", "--minimal")
    minimal = _commands(installed(spool))
    scheduled(spool, "schedule", "install")

    assert everything == ["fetch", "compact --quiet", "status --alert"]
    assert "\n  compact  closed days go to the archive" in first.stdout
    assert gone.stdout == "Removed.\n"
    assert _commands(left) == ["fetch", "status --alert"]
    assert b"# compact:" not in left
    assert left.startswith(OTHERS)
    assert b"\n# alert: a mail if no run has started for a while" in left
    assert "state: installed and up to date" in shown.stdout
    assert "\nnot installed: job `compact` (" in shown.stdout
    assert re.search(r"\nnext:  \d{4}-\d\d-\d\d \d\d:\d\d \(\+", shown.stdout)
    assert minimal == ["fetch"]
    assert _commands(installed(spool)) == everything


@real_crontab
def test_the_alert_job_is_omitted_if_no_mail_can_be_sent(
    spool: Path, tmp_path: Path
) -> None:
    """Without MAILTO and [mail] the output of `status --alert` would be lost."""
    path = _with_a_password(tmp_path, "data")
    install(spool, tmp_path, b'MAILTO=""\n')

    unread = scheduled(spool, "schedule", "install", "--report")
    without = _commands(installed(spool))
    mailed = scheduled(spool, "--config", path, "schedule", "install", "--report")
    again = scheduled(spool, "--config", path, "schedule", "install")
    lines = installed(spool).decode()

    assert without == ["fetch", "compact --quiet"]
    assert "alert    skipped: no mail can be sent; add [mail]" in unread.stdout
    assert "skipped" not in mailed.stdout
    assert " status --alert --mail\n" in lines
    assert " backfill-report --since 7d --mail > /dev/null\n" in lines
    assert "Already" in again.stdout


@real_crontab
def test_a_missing_job_is_only_a_note_of_the_doctor(
    spool: Path, tmp_path: Path
) -> None:
    """It may have been removed on purpose."""
    install(spool, tmp_path, OTHERS)
    scheduled(spool, "schedule", "install", "--without", "compact")

    process = scheduled(spool, "doctor", "--offline", "--format", "json")

    checks = [json.loads(line) for line in process.stdout.splitlines()]
    verdicts = {check["check"]: check["verdict"] for check in checks}
    assert verdicts["cron: line"] == "good"
    assert verdicts["schedule: compact"] == "note"
    assert "schedule: alert" not in verdicts


def test_each_timer_can_be_installed_and_removed(tmp_path: Path) -> None:
    """Under systemd each job has a service and a timer."""
    path = _with_a_password(tmp_path, "data")
    schedule = ("--config", path, "schedule")
    folder = Path("~/.config/systemd/user").expanduser()

    bikecollect(*schedule, "install", "--systemd", "--report", PATH="/no")
    everything = {unit.stem for unit in folder.iterdir()}
    alert = (folder / "bikecollect-alert.service").read_text(encoding="utf-8")
    bikecollect(*schedule, "remove", "--systemd", "alert", PATH="/no")
    shown = bikecollect(*schedule, "show", "--systemd", PATH="/no").stdout
    bikecollect(*schedule, "install", "--systemd", "--minimal", PATH="/no")
    minimal = {unit.stem for unit in folder.iterdir()}

    assert everything == {
        *("bikecollect", "bikecollect-compact"),
        *("bikecollect-alert", "bikecollect-report"),
    }
    assert f"--config {path} status --alert --mail\n" in alert.replace('"', "")
    assert "not installed: job `alert` (" in shown
    assert "state: installed and up to date" in shown
    assert minimal == {"bikecollect"}


def _commands(crontab: bytes) -> list[str]:
    """Return what our lines of *crontab* run, without the program."""
    commands = re.findall(rb"^[^#\n].*bikecollect (\w.*)$", crontab, re.MULTILINE)
    return [command.decode() for command in commands]


@real_crontab
def test_a_half_block_is_not_changed(spool: Path, tmp_path: Path) -> None:
    """A mark without the other changes nothing, and is reported."""
    install(spool, tmp_path, OTHERS + b"# >>> bikecollect >>>\n")

    process = scheduled(spool, "schedule", "install")

    assert process.returncode == 78
    assert "crontab -e" in process.stderr
    assert installed(spool) == OTHERS + b"# >>> bikecollect >>>\n"


@real_crontab
@pytest.mark.slow
@pytest.mark.skipif(CRON is None, reason="no cron daemon is installed")
def test_the_installed_line_fills_a_slot_under_a_real_cron(
    spool: Path, tmp_path: Path
) -> None:
    """Spaces, quotes and percent signs of a path are passed on (fault 93)."""
    folder = tmp_path / "it's 100% mine"
    folder.mkdir()
    path = folder / "bikecollect.toml"
    install(spool, tmp_path, f"HOME={tmp_path}\n".encode())  # not that of this user
    with LiveFeed(City(29), clock=time.time) as feed:
        path.write_text(
            f'data_dir = "data"\ninterval = "1min"\n[systems.city]\n'
            f'feed = "youbike"\nurl = "{feed.youbike_url}"\n'
            f'timezone = "Asia/Taipei"\n',
            encoding="utf-8",
        )
        line = scheduled(spool, "--config", path, "schedule", "install")
        script = f"set -e\n{ALONE}{COVERED}"
        status = folder / "data/city/station_status"
        lines = first_lines(status, script, spool, CRON, "-f")

    assert line.returncode == 0
    assert len(lines) == 30
    assert (tmp_path / ".local/state/bikecollect/folders").is_file()


def test_an_interval_beyond_cron_is_an_error(tmp_path: Path) -> None:
    """30 s: the error names the alternative."""
    path = tmp_path / "bikecollect.toml"
    text = 'interval = "30s"\n[systems.youbike-taipei]\n'
    path.write_text(text, encoding="utf-8")

    process = bikecollect("--config", path, "schedule", "install", PATH="/nowhere")

    assert process.returncode == 78
    assert "--systemd" in process.stderr
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["show", "install", "remove"])
def test_without_the_crontab_program_the_remedy_is_named(command: str) -> None:
    """69, and how to get it."""
    process = bikecollect("schedule", command, PATH="/nowhere")

    assert process.returncode == 69
    assert "apt-get install cron" in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("echo 'you are not allowed to use this program' >&2; exit 1", "not allowed"),
        ("echo \"crontab: can't open 'x': Permission denied\" >&2; exit 1", "denied"),
        ("echo 'You are not allowed\nSee crontab(1)' >&2; exit 1", "not allowed"),
        ("echo 'ld.so: x: No such file or directory\nbusy' >&2; exit 1", ", busy"),
    ],
)
def test_a_crontab_that_cannot_be_read_is_not_overwritten(
    tmp_path: Path, body: str, word: str
) -> None:
    """The program is called once, to read."""
    log = tmp_path / "log"
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\necho $@ >> {log}\n{body}\n", encoding="utf-8")
    program.chmod(0o755)

    process = bikecollect("schedule", "install", PATH=f"{tmp_path}:/usr/bin:/bin")

    assert process.returncode == 74
    assert word in process.stderr
    assert log.read_text(encoding="utf-8") == "-l\n"


def test_a_crontab_that_was_not_saved_is_reported(tmp_path: Path) -> None:
    """A program that succeeds and saves nothing is detected."""
    program = tmp_path / "crontab"
    program.write_text("#!/bin/sh\ncat >/dev/null\n", encoding="utf-8")
    program.chmod(0o755)

    process = bikecollect("schedule", "install", PATH=f"{tmp_path}:/usr/bin:/bin")

    assert process.returncode == 74
    assert "crontab -l" in process.stderr


def test_units_are_written_also_where_systemctl_fails(tmp_path: Path) -> None:
    """The two remaining commands are printed."""
    path = tmp_path / "bikecollect.toml"
    path.write_text('data_dir = "the data"\ninterval = "30s"\n', encoding="utf-8")
    command = ("--config", path, "schedule")

    process = bikecollect(*command, "install", "--systemd", PATH="/nowhere")
    shown = bikecollect(*command, "show", "--systemd", PATH="/nowhere").stdout
    units = sorted(Path("~/.config/systemd/user").expanduser().iterdir())
    gone = bikecollect(*command, "remove", "--systemd", PATH="/nowhere")

    assert process.returncode == 0
    assert "systemctl --user daemon-reload" in process.stdout
    assert "systemctl --user enable --now bikecollect.timer " in process.stdout
    assert "state: installed and up to date" in shown
    assert [unit.name for unit in units] == [
        *("bikecollect-compact.service", "bikecollect-compact.timer"),
        *("bikecollect.service", "bikecollect.timer"),
    ]
    assert "OnCalendar=*:*:7/30\n" in shown
    assert gone.stdout == "Removed.\n"
    assert list(Path("~/.config/systemd/user").expanduser().iterdir()) == []


def test_a_unit_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error after the opening of a file names none."""
    (tmp_path / systemd.TIMER).touch()
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=error))

    with pytest.raises(StorageError, match=r"/bikecollect\.timer: Input/output error"):
        systemd.read(tmp_path, (systemd.SERVICE, systemd.TIMER))


def test_systemctl_starts_the_timer(tmp_path: Path) -> None:
    """Reload, then enable; the data folder exists for the sandbox.

    What is removed leaves no time of its last run, by which it would seem missed.
    """
    log = tmp_path / "log"
    program = tmp_path / "systemctl"
    script = f"#!/bin/sh\necho $XDG_RUNTIME_DIR $@ >> {log}\n"
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)

    process = bikecollect(
        *("schedule", "install", "--systemd"), PATH=str(tmp_path), XDG_RUNTIME_DIR=""
    )

    assert process.stdout.startswith("The timers are started.\n")
    runtime = f"/run/user/{os.geteuid()}"  # after `sudo -u`, too
    assert log.read_text(encoding="utf-8").splitlines() == [
        f"{runtime} --user daemon-reload",
        f"{runtime} --user enable --now bikecollect.timer bikecollect-compact.timer",
    ]
    bikecollect("schedule", "remove", "compact", "--systemd", PATH=str(tmp_path))
    assert [line.split()[-2] for line in log.read_text("utf-8").splitlines()[2:]] == [
        *("--now", "--what=state", "--user")
    ]
    assert Path("~/.local/share/bikecollect").expanduser().is_dir()


@pytest.mark.parametrize(
    ("answer", "verdict", "text"),
    [
        ("echo active", "good", "a systemd timer: "),
        (
            "[ $2 = is-active ] && echo active || echo disabled",
            "note",
            "will not start",
        ),
        ("echo inactive; exit 3", "bad", "but it is inactive"),
        ("echo no bus >&2; exit 1", "note", "whether it is started is unknown: no bus"),
    ],
)
def test_the_doctor_checks_that_the_timer_is_started(
    tmp_path: Path, answer: str, verdict: str, text: str
) -> None:
    """Its file alone collects nothing."""
    bikecollect("schedule", "install", "--systemd", PATH="/no")
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    program.chmod(0o755)

    process = bikecollect("doctor", "--offline", "--format", "json", PATH=str(tmp_path))
    shown = bikecollect("schedule", "show", "--systemd", PATH=str(tmp_path)).stdout

    checks = map(json.loads, process.stdout.splitlines())
    (check,) = [check for check in checks if check["check"] == "schedule"]
    assert check["verdict"] == verdict
    assert text in check["text"]
    assert (text in shown) == (verdict != "good")
    assert ("\nnext:" in shown) == (verdict != "bad")
    if verdict == "bad":
        assert check["remedy"].startswith("systemctl --user enable --now bikecollect.t")


def test_timers_that_end_with_the_session_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a user lingers, the user's systemd ends at the last logout."""
    monkeypatch.setattr(service_user, "LINGER", tmp_path)
    monkeypatch.setenv("PATH", "/no")
    bikecollect("schedule", "install", "--systemd", PATH="/no")
    settings = parse({"systems": {"nextbike-berlin": {}}})
    name = pwd.getpwuid(os.geteuid()).pw_name

    (_, logged_out, *_) = checks.schedule_checks(settings)
    (tmp_path / name).touch()
    after = [check.name for check in checks.schedule_checks(settings)]

    assert logged_out.name == "schedule: logged out"
    assert logged_out.remedy == f"loginctl enable-linger {name}"
    assert logged_out.name not in after


@real_crontab
def test_a_schedule_in_both_cron_and_systemd_is_named(
    spool: Path, tmp_path: Path
) -> None:
    """Each job would run twice, and the weekly report be mailed twice."""
    install(spool, tmp_path, OTHERS)
    first = scheduled(spool, "schedule", "install", "--systemd")
    second = scheduled(spool, "schedule", "install")
    process = scheduled(spool, "doctor", "--offline", "--format", "json")
    gone = scheduled(spool, "schedule", "remove")
    shown = scheduled(spool, "schedule", "show")
    again = scheduled(spool, "schedule", "remove")
    after = scheduled(spool, "doctor", "--offline", "--format", "json")

    assert gone.stdout.startswith("Removed.\nAlso installed: the systemd timer ")
    assert again.stdout.startswith("Nothing to remove.\nAlso installed: ")
    assert again.stdout.endswith("bikecollect schedule remove --systemd\n")
    assert shown.stdout.endswith("bikecollect schedule show --systemd\n")
    assert "each twice" not in first.stdout
    assert "bikecollect.timer run the same jobs, each twice" in second.stdout
    assert "schedule: twice" in process.stdout
    assert "schedule: twice" not in after.stdout


@real_crontab
@pytest.mark.parametrize("options", ["", "--config {folder}/other.toml "])
def test_a_line_written_by_hand_is_recognised(
    spool: Path, tmp_path: Path, options: str
) -> None:
    """One of crontab.example, for example; `install` would double it."""
    other = options.format(folder=tmp_path)
    line = f"*/5 * * * *  $HOME/.local/bin/bikecollect {other}fetch"
    install(spool, tmp_path, OTHERS + f"{line}\n".encode())

    process = scheduled(spool, "doctor", "--offline", "--format", "json")
    installation = scheduled(spool, "schedule", "install")

    checks = map(json.loads, process.stdout.splitlines())
    (check,) = [check for check in checks if check["check"] == "cron: line"]
    assert check["verdict"] == ("bad" if options else "good")
    assert (line in check["text"]) == (not options)
    doubled = f"or each slot is fetched twice:\n  {line}\n"
    assert (doubled in installation.stdout) == (not options)


@real_crontab
def test_a_path_that_is_not_utf_8_is_scheduled_by_cron(
    spool: Path, tmp_path: Path
) -> None:
    """A unit of systemd is UTF-8: there it is an error that says so."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = folder / "b.toml"
    path.write_text("[systems.youbike-taipei]\n", encoding="utf-8")
    path.chmod(0o600)
    install(spool, tmp_path, OTHERS)

    installation = scheduled(spool, "--config", path, "schedule", "install")
    again = scheduled(spool, "--config", path, "schedule", "install")
    crontab = (spool / "crontabs/root").read_bytes()
    removal = scheduled(spool, "--config", path, "schedule", "remove")
    units = scheduled(spool, "--config", path, "schedule", "install", "--systemd")

    assert installation.returncode == 0
    assert os.fsencode(path) in crontab
    assert again.stdout.startswith("Already")
    assert removal.stdout == "Removed.\n"
    assert units.returncode == 78
    assert "not valid UTF-8" in units.stderr


UNITS = (
    *("bikecollect.service", "bikecollect.timer"),
    *("bikecollect-compact.service", "bikecollect-compact.timer"),
    *("bikecollect-alert.service", "bikecollect-alert.timer"),
)


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze is installed")
def test_the_system_wide_units_are_valid_and_little_exposed(tmp_path: Path) -> None:
    """Systemd reports no error, and an exposure below 2 of 10."""
    path = _with_a_password(tmp_path, "da ta")
    (tmp_path / "da ta").mkdir()
    show = ("--config", path, "schedule", "show", "--system-wide", "--format", "json")

    text = json.loads(bikecollect(*show).stdout)["text"]
    _, *units = text.split("# Written")
    service = f"# Written{units[0]}"
    files = [str(tmp_path / name) for name in UNITS]
    for file, unit in zip(files, units, strict=True):
        Path(file).write_text(f"# Written{unit}", encoding="utf-8")
    valid = _analyze("verify", *files)
    (tmp_path / "bikecollect.service").write_text(
        service.replace("\n#IP", "\nIP"), encoding="utf-8"
    )
    away = _analyze("verify", files[0])
    locked = _analyze("security", "--offline=yes", "--threshold=20", files[0])

    assert f'ReadWritePaths="{tmp_path}/da ta"' in service
    assert "\nUser=bikecollect\n" in service
    assert f"\nLoadCredential=pass word:{tmp_path}/pass word\n" in service
    page = (ROOT / "docs/how-to/schedule-the-runs.md").read_text(encoding="utf-8")
    drop_in = [line[1:] for line in service.splitlines() if line.startswith("#IP")]
    assert "\n".join(("[Service]", *drop_in)) in page
    assert len(drop_in) == 3
    assert (valid.returncode, valid.stderr) == (0, "")
    assert (away.returncode, away.stderr) == (0, "")
    assert locked.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
@pytest.mark.parametrize(("uid", "user"), [(1, "daemon"), (54_321, "54321")])
def test_the_service_runs_as_the_owner_of_the_data(
    tmp_path: Path, uid: int, user: str
) -> None:
    """By name if that user has one (fault 112)."""
    path = tmp_path / "bikecollect.toml"
    path.write_text('data_dir = "data"\n', encoding="utf-8")
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", uid, uid)

    process = bikecollect("--config", path, "schedule", "show", "--system-wide")

    assert f"\nUser={user}\n" in process.stdout


WIDE = ("--system-wide",)
NEW_ETC = 'cp -a /etc "$0" && mount --bind "$0/etc" /etc && exec "$@"'
"""The machine's own users and units are covered by a copy."""


def _as_root_here(
    folder: Path, *arguments: object
) -> "subprocess.CompletedProcess[str]":
    """Run ``bikecollect`` *arguments* on a copy of /etc in *folder*."""
    command = [sys.executable, "-m", "bikecollect", *map(str, arguments)]
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", NEW_ETC, str(folder), *command],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def _with_a_password(folder: Path, data: str) -> Path:
    """Write settings that name *data* and a password; both files belong to root."""
    secret = folder / "pass word"
    secret.write_text("correct horse\n", encoding="utf-8")
    secret.chmod(0o600)
    path = folder / "bikecollect.toml"
    path.write_text(
        f'data_dir = "{data}"\n[mail]\nhost = "localhost"\nsender = "a@example.org"\n'
        'to = ["b@example.org"]\npassword_file = "pass word"\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


def test_a_client_secret_beside_the_settings_is_a_credential(tmp_path: Path) -> None:
    """Like the mail password: the service's user need not be able to read it."""
    path = _with_a_password(tmp_path, "data")
    secret = tmp_path / "tdx-secret"
    secret.write_text("s3cret\n", encoding="utf-8")
    secret.chmod(0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(
            '[systems.tdx-tainan]\n[systems.tdx-tainan.oauth2]\nclient_id = "me"\n'
            'client_secret_file = "tdx-secret"\n'
        )
    show = ("--config", path, "schedule", "show", "--system-wide", "--format", "json")

    text = json.loads(bikecollect(*show).stdout)["text"]

    assert f"\nLoadCredential=tdx-secret:{secret}\n" in text
    assert f"\nLoadCredential=pass word:{tmp_path}/pass word\n" in text


needs_sysusers = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-sysusers") is None,
    reason="needs root, and systemd-sysusers",
)


@needs_sysusers
def test_a_new_service_gets_a_separate_user(tmp_path: Path) -> None:
    """It owns the folder, its group can read; unreadable files are reported."""
    path = _with_a_password(tmp_path, "data")

    process = _as_root_here(tmp_path, "--config", path, "schedule", "install", *WIDE)

    passwd = (tmp_path / "etc/passwd").read_text(encoding="utf-8")
    (line,) = [
        entry for entry in passwd.splitlines() if entry.startswith("bikecollect:")
    ]
    uid, gid = map(int, line.split(":")[2:4])
    about = (tmp_path / "data").stat()
    unit = tmp_path / "etc/systemd/system/bikecollect.service"
    assert process.returncode == 0, process.stderr
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (uid, gid, 0o750)
    assert uid < 1000
    assert "\nUser=bikecollect\n" in unit.read_text(encoding="utf-8")
    assert f"bikecollect cannot read {path}" in process.stdout
    assert "pass word" not in process.stdout


@needs_sysusers
def test_data_of_root_must_change_its_owner_first(
    tmp_path: Path,
) -> None:
    """No service is installed that could not write; the command is printed."""
    path = _with_a_password(tmp_path, "data")
    (tmp_path / "data/city").mkdir(parents=True)

    process = _as_root_here(tmp_path, "--config", path, "schedule", "install", *WIDE)

    assert process.returncode == 78
    assert f"chown -R bikecollect:bikecollect {tmp_path}/data" in process.stderr
    assert not (tmp_path / "etc/systemd/system/bikecollect.service").exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user may enter."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        yield Path(home)


def obstacles(program: Path, *files: Path, prefix: Path | None = None) -> list[str]:
    """Return why the user `daemon` cannot run *program* or read *files*.

    Its code is open to all, wherever the tests' own Python is.
    """
    code = [Path("/bin/sh")]
    return service_user.obstacles("daemon", program, files, code=code, prefix=prefix)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_the_service_cannot_read_is_named_with_the_remedy(
    open_folder: Path,
) -> None:
    """The printed command works."""
    path = open_folder / "bikecollect.toml"
    path.touch(0o600)

    (line,) = obstacles(Path("/bin/true"), path)
    message, _, command = line.partition("; run: ")
    subprocess.run(["sh", "-c", command], check=True)

    assert message == f"daemon cannot read {path}"
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (0, 0o640)
    assert obstacles(Path("/bin/true"), path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_program_that_the_service_cannot_reach_is_named(open_folder: Path) -> None:
    """One in root's home, which is closed to it, or installed with a umask of 077."""
    root = open_folder / "root"
    for folder in (root, root / "bin", root / "lib"):
        folder.mkdir(0o700)
    (root / "pyvenv.cfg").touch(0o600)
    (root / "password").touch(0o600)
    program = root / "bin" / "bikecollect"
    program.touch(0o700)

    (line,) = obstacles(program)

    text = f"daemon cannot run {program} (no access to {open_folder}/root)"
    assert line.startswith(f"{text}: install bikecollect where every user can run it")

    (line,) = obstacles(program, prefix=root)
    message, _, command = line.partition("; run: ")
    subprocess.run(["sh", "-c", command], check=True)

    assert message == text
    assert obstacles(program) == []
    assert (root / "password").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize(("group", "code"), [(54_322, 0), (54_399, 74)])
def test_members_of_the_service_s_group_can_read_the_data(
    open_folder: Path, group: int, code: int
) -> None:
    """Files written under its umask are readable for its group only.

    A member's `fetch` by mistake fails without an alert: the service collects.
    """
    path = open_folder / "bikecollect.toml"
    told = open_folder / "told"
    told.touch()
    told.chmod(0o666)
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, 54_321, 54_322)
    data.chmod(MODE)
    with LiveFeed(City(29), clock=time.time) as feed:
        path.write_text(
            f'data_dir = "{data}"\n[systems.city]\nfeed = "youbike"\n'
            f'url = "{feed.youbike_url}"\ntimezone = "Asia/Taipei"\n'
            f'[tell]\ncommand = ["/bin/sh", "-c", "echo told >> {told}"]\n',
            encoding="utf-8",
        )
        fetched = _as_user(54_321, 54_322, "--config", path, "fetch")
    if "error while loading shared libraries" in fetched.stderr:
        pytest.skip("other users cannot run this Python: its library is in /root")

    read = _as_user(12_345, group, "--config", path, "verify")
    state = open_folder / "state"
    state.mkdir()
    os.chown(state, 12_345, group)
    fetch = ("--config", path, "fetch")
    wrong = _as_user(12_345, group, *fetch, XDG_STATE_HOME=str(state))

    assert fetched.returncode == 0, fetched.stderr
    assert read.returncode == code, read.stderr
    assert wrong.returncode == (74 if code else 78)
    assert ("city: " in wrong.stderr) == (code == 0)
    assert (told.read_text(encoding="utf-8") == "") == (code == 0)


def _as_user(
    uid: int, group: int, *arguments: object, **env: str
) -> "subprocess.CompletedProcess[str]":
    """Run ``bikecollect`` *arguments* as *uid*, under the service's mask."""
    who = ("--reuid", uid, "--regid", group, "--clear-groups")
    command = ["setpriv", *who, sys.executable, "-m", "bikecollect", *arguments]
    return subprocess.run(
        [str(word) for word in command],
        text=True,
        capture_output=True,
        timeout=60,
        umask=0o027,
        cwd="/",
        check=False,
        env={**os.environ, "HOME": "/dev/null", **env},
    )


def test_a_system_wide_service_needs_a_named_folder() -> None:
    """It has no home for the default folder."""
    process = bikecollect("schedule", "show", "--system-wide")

    assert process.returncode == 78
    assert "data_dir" in process.stderr


def _analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(ANALYZE), *arguments],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
