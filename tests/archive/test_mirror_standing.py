"""`status`, `doctor` and mails report how far the mirror has the history."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from command import forked
from in_process import bikecollect
from json_shapes import documented
from keeping import archived_past_days, two_past_days
from mailserver import MailServer
from mirrored import CERTIFICATE, renewed
from world import World

from bikecollect.archive.mirror.record import MirrorRecord
from bikecollect.cli.render.programs import status_json
from bikecollect.core.process import Stop, Times
from bikecollect.setup.loader import load
from bikecollect.wiring.mirror import MirrorCopying

pytest.importorskip("duckdb")
pytest.importorskip("obstore")

WITHOUT_OBSTORE = (
    "import sys; sys.modules['obstore'] = None\n"
    "from bikecollect.__main__ import main\n"
    "main()"
)


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two days long past."""
    return two_past_days(folder)


@pytest.fixture
def archived(world: World) -> World:
    """Return the world with both days archived."""
    return renewed(archived_past_days, world.folder.parent)


@pytest.fixture
def nas(config: Path, tmp_path: Path) -> Path:
    """Return the folder that is the mirror of the world."""
    place = tmp_path / "nas"
    add(config, f'[archive]\nmirror = "file://{place}/bikes"\n')
    return place


def add(config: Path, text: str) -> None:
    """Add *text* to the settings."""
    with config.open("a", encoding="utf-8") as out:
        out.write(text)


def without_obstore(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python where obstore cannot be imported."""
    program = config.with_name("without_obstore.py")
    program.write_text(WITHOUT_OBSTORE, encoding="utf-8")
    words = ["--config", str(config), *arguments]
    return forked(words, "", os.environ, program=str(program))


def mirror_line(config: Path) -> str:
    """Return the line about the mirror that `status` prints."""
    lines = bikecollect("--config", config, "status").stdout.splitlines()
    return "".join(line.strip() for line in lines if line.startswith("  Mirror"))


def checks(config: Path) -> dict[str, str]:
    """Return the verdicts of the doctor."""
    process = bikecollect("--config", config, "doctor", "--offline", "--format", "json")
    found = [json.loads(line) for line in process.stdout.splitlines()]
    return {c["check"]: c["verdict"] for c in found}


def mirror_checks(config: Path) -> dict[str, str]:
    """Return the verdicts of the doctor about the mirror."""
    return {name: v for name, v in checks(config).items() if "mirror" in name}


def with_mail(config: Path, tmp_path: Path) -> MailServer:
    """Return a mail server that gets the mails of *config*."""
    mail = MailServer.new(tmp_path / "mail")
    lines = [f"{key} = {json.dumps(value)}" for key, value in mail.settings().items()]
    add(config, "[mail]\n" + "\n".join(lines) + "\n")
    return mail


@pytest.mark.usefixtures("archived")
def test_without_a_mirror_it_is_not_mentioned(config: Path) -> None:
    """Neither text, JSON, metrics nor the doctor."""
    process = bikecollect("--config", config, "status", "--format", "json")
    metrics = bikecollect("--config", config, "status", "--format", "prometheus")

    assert "mirror" not in json.loads(process.stdout)
    assert "bikecollect_mirror" not in metrics.stdout
    assert mirror_line(config) == ""
    assert mirror_checks(config) == {}


@pytest.mark.usefixtures("archived", "nas")
def test_a_complete_mirror_has_no_days_waiting(config: Path) -> None:
    """Text, JSON, metrics and the doctor say so."""
    bikecollect("--config", config, "compact")

    text = bikecollect("--config", config, "status", "--format", "json").stdout
    values = documented(text, status_json.KEYS)[0]["mirror"]
    metrics = bikecollect("--config", config, "status", "--format", "prometheus").stdout

    assert "Mirror       0 days waiting, last copied" in mirror_line(config)
    assert (values["days_waiting"], values["error"], values["behind"]) == (
        0,
        None,
        False,
    )
    assert 'bikecollect_mirror_days_waiting{system="city"} 0\n' in metrics
    good = {"mirror": "good", "city: mirror": "good"}
    assert mirror_checks(config) == {**good, "mirror: open days": "note"}
    bikecollect("--config", config, "push", "--live")
    assert mirror_checks(config) == good


def test_an_archive_that_nobody_verifies_is_noted(
    config: Path, archived: World
) -> None:
    """A part of it does not count, nor is a new archive long unverified."""
    place = archived.folder.parent / "archive/station_status/system_id=city"
    early = checks(config)
    for day in range(10, 25):
        (place / f"date=2020-01-{day}").mkdir()
    bikecollect("--config", config, "verify", "--since", "2020-01-01")

    late = checks(config)
    bikecollect("--config", config, "verify")

    assert "archive: verify" not in early
    assert late["archive: verify"] == "note"
    assert "archive: verify" not in checks(config)


@pytest.mark.usefixtures("archived")
def test_days_archived_before_the_mirror_was_set_are_waiting(
    config: Path, tmp_path: Path
) -> None:
    """No push has run yet: nothing was ever copied; overdue after two days."""
    add(config, f'[archive]\nmirror = "file://{tmp_path}/nas"\n')
    fresh = mirror_line(config), mirror_checks(config)["city: mirror"]
    certificates = list(tmp_path.rglob("certificates/system_id=city/*.json"))
    for path in certificates:
        os.utime(path, (1, 1))

    alert = bikecollect("--config", config, "status", "--alert")

    assert fresh == ("Mirror       2 days waiting, never copied", "note")
    assert len(certificates) == 2
    assert "city: mirror: 2 days waiting, never copied\n" in alert.stdout
    assert alert.returncode == 1


@pytest.mark.usefixtures("nas")
def test_a_day_archived_again_is_waiting(archived: World, config: Path) -> None:
    """Its certificate is newer than the last copy, and has other content."""
    bikecollect("--config", config, "compact")
    path = archived.folder.parent / CERTIFICATE
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    assert mirror_line(config).startswith("Mirror       1 day waiting, last copied")


@pytest.mark.usefixtures("archived")
def test_the_error_of_the_last_attempt_is_shown(config: Path, nas: Path) -> None:
    """With the days that wait, until a push succeeds."""
    nas.write_text("a file where the mirror's folder should be", encoding="utf-8")
    bikecollect("--config", config, "compact")
    broken = mirror_line(config)
    alert = bikecollect("--config", config, "status", "--alert").stdout
    verdict = mirror_checks(config)["city: mirror"]
    nas.unlink()

    bikecollect("--config", config, "push")

    assert broken.startswith("Mirror       2 days waiting, never copied, error: cannot")
    assert "city: mirror: 2 days waiting, never copied, error: cannot" in alert
    assert verdict == "bad"
    assert mirror_line(config).startswith("Mirror       0 days waiting, last copied")


@pytest.mark.usefixtures("archived")
def test_the_last_live_copy_is_shown(config: Path, nas: Path) -> None:
    """Its time and its error are those of `push --live`, not of the archive."""
    bikecollect("--config", config, "compact")
    never = mirror_line(config)
    bikecollect("--config", config, "push", "--live")
    copied = mirror_line(config)
    nas.rename(nas.with_name("gone"))
    nas.write_text("a file where the mirror's folder should be", encoding="utf-8")

    bikecollect("--config", config, "push", "--live")

    values = json.loads(
        bikecollect("--config", config, "status", "--format", "json").stdout
    )["mirror"]
    assert "open days" not in never
    assert "; open days: last copied" in copied
    assert "error" not in copied
    assert (values["error"], values["behind"]) == (None, False)
    assert values["live_copied"] is not None
    assert "cannot" in values["live_error"]
    assert mirror_checks(config)["city: mirror"] == "bad"


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize("name", ["nas", "nas/bikes/archive"])
def test_a_failed_push_writes_its_record_once(
    config: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the push, or by its caller if the mirror cannot be opened."""
    add(config, f'[archive]\nmirror = "file://{tmp_path}/nas/bikes"\n')
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("a file where a folder should be", encoding="utf-8")
    errors: list[str] = []
    monkeypatch.setattr(
        MirrorRecord, "save", lambda record: errors.append(record.state.error)
    )

    times = Times(time.time, time.monotonic, Stop())
    list(MirrorCopying(load(str(config)), ["city"], times).run())

    assert [error[:6] for error in errors] == ["cannot"]


@pytest.mark.usefixtures("nas")
def test_compact_without_the_library_archives_and_mails(
    world: World, config: Path, tmp_path: Path
) -> None:
    """Exit code 69; both days are archived, and a mail of the kind mirror is sent."""
    mail = with_mail(config, tmp_path)
    with mail.up():
        process = without_obstore(config, "compact")
        without_obstore(config, "compact")

    archive = world.folder.parent / "archive" / "station_status" / "system_id=city"
    assert process.returncode == 69
    assert "a mirror needs obstore; run: " in process.stderr
    assert len(list(archive.glob("date=*/part.parquet"))) == 2
    assert len(mail.subjects()) == 1
    assert "mirror behind" in mail.subjects()[0]
    assert "obstore" in mail.mails()[0].get_content()
    assert "error: a mirror needs" in mirror_line(config)


@pytest.mark.usefixtures("world", "nas")
def test_the_doctor_names_the_missing_library(config: Path) -> None:
    """With the command that installs it."""
    process = without_obstore(config, "doctor", "--offline")

    assert process.returncode == 1
    assert "obstore is not installed" in process.stdout
    assert "[cloud]" in process.stdout


@pytest.mark.usefixtures("world")
def test_a_wrong_profile_is_mailed_and_archives(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the files of the AWS tools is one of the mirror, not of `compact`."""
    add(config, '[archive]\nmirror = "s3://bikes/history"\n')
    mail = with_mail(config, tmp_path)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with mail.up():
        process = bikecollect("--config", config, "compact")

    assert process.returncode == 78
    assert 'AWS_PROFILE: unknown profile "nobody"' in process.stderr
    assert "city 2024-06-05: 2 rows archived" in process.stdout
    assert "mirror behind" in mail.subjects()[0]
