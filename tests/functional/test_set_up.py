"""init, feeds, schedule, doctor: from nothing to a collector that runs."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mailserver import ME, MailServer

from bikecollect import catalogue, timetable
from bikecollect.config import load
from bikecollect.errors import SettingsError
from bikecollect.simulator.city import City
from bikecollect.simulator.server import LiveFeed
from bikecollect.timetable import Job

OTHERS = "# mine\nMAILTO=me@example.org\n1 2 * * * /bin/true 100\\%\n"


def bikecollect(
    *words: object,
    stdin: str = "",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bikecollect", *map(str, words)],
        text=True,
        capture_output=True,
        timeout=120,
        input=stdin,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
    )


@pytest.fixture
def feed() -> Iterator[LiveFeed]:
    """Serve a city."""
    with LiveFeed(City(30), clock=time.time) as served:
        yield served


def test_init_without_questions_makes_settings_that_collect(
    feed: LiveFeed, tmp_path: Path
) -> None:
    """From a URL to the first block, with two commands."""
    words = ("init", "--system", feed.gbfs_url, "--timezone", "Asia/Taipei", "--yes")
    done = bikecollect(*words, "--data-dir", tmp_path / "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "bikecollect.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (name,) = load(str(path)).systems
    assert bikecollect("fetch", cwd=tmp_path).returncode == 0
    assert list((tmp_path / "data" / name / "station_status").glob("*.csv"))


def test_init_asks_little_and_keeps_the_password_out_of_the_settings(
    tmp_path: Path,
) -> None:
    """A city by its name; the password goes into a file of its own."""
    answers = f"vienna\n{ME}\nsmtp.example.org\n465\nme\nhunter2-canary\n"
    done = bikecollect("init", "--no-try", "--no-cron", stdin=answers, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "bikecollect.toml").read_text(encoding="utf-8")
    assert "[systems.wienmobil-vienna]" in text
    assert "canary" not in text + done.stdout + done.stderr
    settings = load(str(tmp_path / "bikecollect.toml"))
    assert (settings.mail.security, settings.password()) == ("tls", "hunter2-canary")
    assert stat.S_IMODE((tmp_path / "smtp-password").stat().st_mode) == 0o600


def test_init_replaces_nothing_unless_told_to(tmp_path: Path) -> None:
    """Settings that are there are somebody's work."""
    path = tmp_path / "bikecollect.toml"
    path.write_text("# mine\n", encoding="utf-8")
    words = ("init", "--system", "velib-paris", "--no-try", "--yes")
    done = bikecollect(*words, cwd=tmp_path)
    assert (done.returncode, path.read_text(encoding="utf-8")) == (64, "# mine\n")
    assert bikecollect(*words, "--force", cwd=tmp_path).returncode == 0
    assert "velib-paris" in load(str(path)).systems


def test_init_refuses_a_feed_that_does_not_answer(tmp_path: Path) -> None:
    """Rather now than in a month; and nothing is written."""
    words = ("init", "--system", "http://127.0.0.1:9/gbfs.json", "--yes")
    done = bikecollect(*words, cwd=tmp_path)
    assert done.returncode == 69
    assert not (tmp_path / "bikecollect.toml").exists()


@pytest.mark.parametrize("dialect", ["gbfs", "youbike"])
def test_an_address_is_tried_and_its_settings_are_printed(
    feed: LiveFeed, tmp_path: Path, dialect: str
) -> None:
    """What is printed to be pasted works when it is."""
    url = feed.gbfs_url if dialect == "gbfs" else feed.youbike_url
    done = bikecollect("feeds", "try", url, "--timezone", "Asia/Taipei")
    assert done.returncode == 0, done.stderr
    assert "Stations   30;" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 80
    toml = done.stdout.partition("For your settings:")[2]
    path = tmp_path / "pasted.toml"
    path.write_text(toml, encoding="utf-8")
    (system,) = load(str(path)).systems.values()
    assert (system.feed, system.url) == (dialect, url)
    values = json.loads(bikecollect("feeds", "try", url, "--format", "json").stdout)
    assert (values["feed"], values["stations"]) == (dialect, 30)


def test_an_address_that_is_no_feed_is_said_by_each_dialect(
    feed: LiveFeed,
) -> None:
    """65, and why nobody understands it."""
    done = bikecollect("feeds", "try", feed.gbfs_url.replace("gbfs.json", "nothing"))
    assert done.returncode in {65, 69}
    assert done.stderr.startswith("bikecollect: ")
    assert bikecollect("feeds", "try", "atlantis").returncode == 64


def test_the_catalogue_is_sound() -> None:
    """Ids and zones that the settings accept, each once."""
    ids = [each.system_id for each in catalogue.CATALOGUE]
    assert len(ids) == len(set(ids)) > 40
    systems = "\n".join(f"[systems.{each}]" for each in ids)
    path = Path("all.toml")
    path.write_text(systems, encoding="utf-8")
    assert list(load(str(path)).systems) == ids
    found = bikecollect("feeds", "show", "velib-pariss")
    assert found.returncode == 64
    assert 'did you mean "velib-paris"?' in found.stderr
    assert len(bikecollect("feeds").stdout.splitlines()) == len(ids) + 1


def test_our_block_comes_and_goes_and_other_lines_stay() -> None:
    """Byte for byte; twice is as once (fault 93)."""
    ours = timetable.block(Job(["/opt/a b/bikecollect", "fetch", "50%"], 300))
    assert "*/5 * * * * '/opt/a b/bikecollect' fetch 50\\%" in ours
    once = timetable.installed(OTHERS, ours)
    assert timetable.installed(once, ours) == once
    assert once.startswith(OTHERS)
    assert timetable.removed(once) == OTHERS
    newer = timetable.block(Job(["bikecollect", "fetch"], 600))
    assert timetable.removed(timetable.installed(once, newer)) == OTHERS
    assert timetable.installed("no newline", ours) == f"no newline\n{ours}"


def test_an_interval_that_cron_cannot_keep_is_refused() -> None:
    """With the way that can."""
    with pytest.raises(SettingsError, match="--systemd"):
        timetable.expression(30)
    assert timetable.expression(7_200) == "0 */2 * * *"


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("crontab") is None,
    reason="needs root, for a spool of its own, and the program crontab",
)


@needs_root
def test_the_crontab_is_changed_through_its_own_program(tmp_path: Path) -> None:
    """Installed, shown, removed; the other lines are as before (fault 93)."""
    (tmp_path / "c.toml").write_text("[systems.velib-paris]\n", encoding="utf-8")
    (tmp_path / "others").write_text(OTHERS, encoding="utf-8")
    run = f"{sys.executable} -m bikecollect --config {tmp_path}/c.toml schedule"
    script = f"""
    set -e
    mount -t tmpfs none /var/spool/cron
    mkdir -m 1730 /var/spool/cron/crontabs
    {run} show; {run} install; {run} remove
    crontab {tmp_path}/others
    {run} install; {run} install; {run} show
    crontab -l > {tmp_path}/with
    {run} remove
    crontab -l > {tmp_path}/without
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "In the crontab: not installed" in done.stdout
    assert "The crontab has the lines already." in done.stdout
    assert "In the crontab: installed" in done.stdout
    assert (tmp_path / "without").read_text(encoding="utf-8") == OTHERS
    line = (tmp_path / "with").read_text(encoding="utf-8")
    assert line.startswith(OTHERS)
    assert f"--config {tmp_path}/c.toml fetch" in line


def test_a_timer_is_written_where_systemd_looks(tmp_path: Path) -> None:
    """And removed; where systemctl cannot start it, the command is said."""
    config = tmp_path / "c.toml"
    config.write_text('interval = "30s"\n[systems.velib-paris]\n', encoding="utf-8")
    units = tmp_path / "config/systemd/user"
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    words = ("--config", config, "schedule")
    done = bikecollect(*words, "install", "--systemd", env=home)
    assert done.returncode == 0, done.stderr
    text = (units / "bikecollect.timer").read_text(encoding="utf-8")
    assert "OnCalendar=*:*:0/30\n" in text
    service = (units / "bikecollect.service").read_text(encoding="utf-8")
    assert f"--config {config} fetch\n" in service
    shown = bikecollect(*words, "show", "--systemd", env=home)
    assert shown.stdout.count(": installed\n") == 2
    assert bikecollect(*words, "remove", "--systemd", env=home).returncode == 0
    assert list(units.iterdir()) == []


def test_units_are_what_systemd_understands(tmp_path: Path) -> None:
    """Its own verifier has nothing to say."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here")
    job = Job(["/bin/true"], 300)
    for name, text in {
        "a.service": timetable.service(job, [str(tmp_path)], user_unit=False),
        "a.timer": timetable.timer(300),
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [program, "verify", str(tmp_path / "a.timer")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert str(tmp_path) not in done.stderr


def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(
    feed: LiveFeed, tmp_path: Path
) -> None:
    """Feed and mail are well, the crontab is not (faults 60, 93, 112)."""
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
        done = bikecollect(*words)
    assert done.returncode == 1
    checks = [json.loads(line) for line in done.stdout.splitlines()]
    verdicts = {each["check"]: each["verdict"] for each in checks if each["text"]}
    assert verdicts["city: feed"] == "good"
    assert verdicts["city: disk"] in {"good", "note"}
    assert verdicts["mail"] == "good"
    assert verdicts["cron: line"] == "bad"
    assert all(each["remedy"] for each in checks if each["verdict"] != "good")
    assert mail.subjects() == ["a test: mails arrive"]
    shown = bikecollect("--config", config, "doctor", "--offline").stdout
    assert max(len(x) for x in shown.splitlines() if str(tmp_path) not in x) < 80


def test_the_doctor_names_files_that_are_not_ours(
    feed: LiveFeed, tmp_path: Path
) -> None:
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
    done = bikecollect("--config", config, "doctor", "--offline")
    assert f"{ledger} belongs to somebody else" in done.stdout.replace("\n      ", " ")
    assert "chown -R" in done.stdout
    (tmp_path / "data/city/.bikecollect").unlink()
    done = bikecollect("--config", config, "doctor", "--offline")
    assert "has no file .bikecollect" in done.stdout.replace("\n      ", " ")


def test_the_doctor_sees_what_cron_would(tmp_path: Path) -> None:
    """In an empty environment, by the very command of the crontab (faults 92, 93)."""
    config = tmp_path / "bikecollect.toml"
    config.write_text("[systems.velib-paris]\n", encoding="utf-8")
    words = ("--config", config, "doctor", "--as-cron", "--offline")
    done = bikecollect(*words, env={"MARK": "here"})
    assert done.returncode == 1
    assert f"settings: {config}" in done.stdout.replace("\n      ", " ")
