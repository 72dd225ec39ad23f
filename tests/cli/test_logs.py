"""The log file in the system's folder; no secret in it, or in any other output."""

import json
import logging
import shutil
import smtpd
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from in_process import bikecollect
from json_shapes import documented
from mailserver import MailServer
from served import Answer, serving

from bikecollect.collect.reporting.run_lines import RUN_KEYS, end_lines
from bikecollect.core.errors import Outcome
from bikecollect.core.logs import JSON_KEYS, NAME, Json, RunLogs, Text, of_run
from bikecollect.core.run import Run
from bikecollect.core.secrets.redact import redactor
from bikecollect.core.slots import Slot
from bikecollect.setup.tables.sections import Log
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.runs.failed_calls import hand_over
from bikecollect.wiring.alerting import failed_calls_path

CANARY = "canary-3f9a1c"
GOOD = Answer(dialects.youbike(City(20), 1_795_276_800.0))


def settings(folder: Path, url: str, more: str = "", interval: str = "12s") -> Path:
    """Write settings for one system called city; return their path."""
    path = folder / "bikecollect.toml"
    path.write_text(
        f'data_dir = "data"\ninterval = "{interval}"\n'
        '[systems.city]\nfeed = "youbike"\n'
        f'url = "{url}"\ntimezone = "Asia/Taipei"\n{more}\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


def test_each_run_leaves_one_line_with_its_numbers(tmp_path: Path) -> None:
    """Time, run, outcome, rows and durations."""
    with serving(lambda _: GOOD) as url:
        bikecollect("--config", settings(tmp_path, url), "fetch")
    lines = (tmp_path / "data/city" / NAME).read_text(encoding="utf-8").splitlines()
    mine = [line for line in lines if "collected" in line]
    assert len(mine) == 1
    assert "20 rows of 20 stations" in mine[0]
    assert "; 1 request, HTTP 200" in mine[0]


def test_the_page_about_the_log_names_its_file_and_its_limits() -> None:
    """Where it is, when the next one begins, and how many are kept."""
    page = Path(__file__).parents[2] / "docs/how-to/check-the-status.md"
    text = " ".join(page.read_text(encoding="utf-8").split())

    assert f"`<data_dir>/<system>/{NAME}`" in text
    assert f"At {Log().max_bytes // 1_000_000} MB the file becomes `{NAME}.1`" in text
    assert (Log().files, "four older ones are kept" in text) == (4, True)


def test_json_lines_have_the_numbers_as_values(tmp_path: Path) -> None:
    """For a log shipper."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        bikecollect("--config", path, "--log-format", "json", "fetch")
    text = (tmp_path / "data/city" / NAME).read_text(encoding="utf-8")
    values = documented(text, {**RUN_KEYS, **JSON_KEYS})
    (run,) = [value for value in values if value.get("outcome") == "collected"]
    assert (run["system"], run["rows"], run["exit_code"]) == ("city", 20, 0)
    assert run["run_id"]


def test_the_size_of_the_log_is_limited(tmp_path: Path) -> None:
    """A number of files with a maximum size; the newest lines are kept."""
    handler = RunLogs({"city": tmp_path}, max_bytes=1_000, files=2)
    handler.setFormatter(Text())
    with of_run("city", "0123abcd"):
        for number in range(200):
            handler.emit(
                logging.LogRecord(
                    "b", logging.INFO, "", 0, f"line {number}", None, None
                )
            )
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [NAME, f"{NAME}.1", f"{NAME}.2"]
    assert all(path.stat().st_size < 1_200 for path in tmp_path.iterdir())
    assert "line 199" in (tmp_path / NAME).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["the settings have changed", "city: late", "city 2"])
def test_a_line_for_cron_names_its_system_once(text: str) -> None:
    """Of twelve systems, cron's mail would not say which one is meant."""
    record = logging.LogRecord("b", logging.WARNING, "", 0, text, None, None)
    with of_run("city", "0123abcd"):
        line = Text(times=False).format(record)
    assert line.startswith("bikecollect: city")
    assert line.count("city") == 1
    assert Text(times=False).format(record) == f"bikecollect: {text}"


def test_a_huge_number_of_log_files_does_not_hang_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only files that exist are renamed; "keep all" is written as a huge number."""
    renamed: list[Path] = []
    rename = Path.rename

    def noted(path: Path, target: Path) -> Path:
        renamed.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", noted)
    handler = RunLogs({"city": tmp_path}, max_bytes=1, files=500)
    handler.setFormatter(Text())
    with of_run("city", "0123abcd"):
        for number in range(4):
            text = f"line {number}"
            handler.emit(logging.LogRecord("b", 20, "", 0, text, None, None))
    for number, name in enumerate((f"{NAME}.3", f"{NAME}.2", f"{NAME}.1", NAME)):
        assert f"line {number}" in (tmp_path / name).read_text(encoding="utf-8")
    assert len(renamed) == 1 + 2 + 3


def test_a_line_is_kept_while_another_process_starts_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has set the full one aside, and not yet written its own line."""
    handler = RunLogs({"city": tmp_path}, max_bytes=10, files=2)
    handler.setFormatter(Text())
    record = partial(logging.LogRecord, "b", logging.INFO, "", 0)
    with of_run("city", "0123abcd"):
        handler.emit(record("line 1", None, None))
        set_aside = (tmp_path / NAME).rename
        monkeypatch.setattr("fcntl.flock", lambda *_: set_aside(tmp_path / f"{NAME}.1"))
        handler.emit(record("line 2", None, None))
    assert "line 2" in (tmp_path / NAME).read_text(encoding="utf-8")


def test_lines_without_a_run_are_in_no_file(tmp_path: Path) -> None:
    """A missing folder is no error."""
    handler = RunLogs({"city": tmp_path / "gone"}, max_bytes=1_000, files=2)
    record = logging.LogRecord("b", logging.INFO, "", 0, "line", None, None)
    handler.emit(record)
    with of_run("city", "0123abcd"):
        handler.emit(record)
    assert not (tmp_path / "gone").exists()


def test_the_end_of_a_run_has_its_own_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A call ends with its slowest system; the others were collected before."""
    ended = datetime(2026, 11, 22, 12, 0, 4, tzinfo=UTC)
    run = Run("0123abcd", "city", Slot(0), 0.0, finished=ended.timestamp())
    files = RunLogs({"city": tmp_path}, max_bytes=1_000, files=0)
    files.setFormatter(Text())
    caplog.set_level(logging.INFO, "bikecollect")
    for line in end_lines(run.ended(Outcome.DISK, "disk", "no space"), UTC):
        line.log(logging.getLogger("bikecollect"), files)

    lines = (tmp_path / NAME).read_text(encoding="utf-8").splitlines()
    assert [datetime.fromisoformat(line.split()[0]) for line in lines] == [ended] * 2


@pytest.mark.parametrize("formatter", [Text, Json])
def test_a_traceback_is_redacted_too(formatter: type[Text] | type[Json]) -> None:
    """Texts of exceptions often contain secrets."""
    try:
        int(f"https://example.org/?key={CANARY}")
    except ValueError:
        record = logging.LogRecord(
            "b", logging.ERROR, "", 0, "went wrong", None, sys.exc_info()
        )
    text = formatter(redactor([CANARY])).format(record)
    assert "Traceback" in text
    assert CANARY not in text


@pytest.mark.parametrize("misdeed", ["refused", "echoed", "garbage", "bad-login"])
def test_no_secret_is_in_any_output_or_file(tmp_path: Path, misdeed: str) -> None:
    """A feed's key, a password, a webhook: even when everything fails (fault 108)."""
    mail = MailServer.new(tmp_path / "mail")
    secret = mail.folder / "password"
    password = f"{CANARY}-password"
    secret.write_text(password, encoding="utf-8")
    values = mail.settings()
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    more = (
        f'headers = {{ X-Api-Key = "{CANARY}-header" }}\n'
        "[mail]\n" + "\n".join(lines) + "\n"
        f'[ping]\nurl = "http://127.0.0.1:9/{CANARY}-ping"\n'
        f'[tell]\nwebhook = "http://127.0.0.1:9/{CANARY}-hook"\n'
    )

    def answer(path: str) -> Answer:
        if misdeed == "refused":
            return Answer(f"no such key: {CANARY}-header {path}".encode(), 403)
        if misdeed == "echoed":
            return Answer(f'{{"{CANARY}-header": "{path}"}}'.encode())
        if misdeed == "garbage":
            return Answer(f"<html>{CANARY}-header {path}".encode())
        return Answer(b"", 500)

    with serving(answer) as url, mail.up():
        path = settings(tmp_path, f"{url}/feed?key={CANARY}-query", more, "4s")
        outputs = []
        for words in (
            ["-vv", "fetch", "--format", "json"],
            ["--log-format", "json", "-vv", "fetch", "--dry-run"],
            ["status"],
            ["status", "--format", "json"],
            ["runs", "--format", "json"],
            ["doctor", *([] if misdeed == "echoed" else ["--offline"])],
            ["feeds", "try", "city"] if misdeed == "refused" else ["feeds"],
        ):
            process = bikecollect("--config", path, *words)
            assert "Traceback" not in process.stdout
            outputs += [process.stdout, process.stderr]
    assert CANARY not in "".join(outputs)
    for file in (tmp_path / "data").rglob("*"):
        # The payload is the publisher's bytes, untouched: what it says, it says.
        if file.is_file() and file.suffix != ".zip":
            assert CANARY.encode() not in file.read_bytes(), file
    assert smtpd.PASSWORD not in "".join(outputs)


AS_A_SERVICE = """
export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)
exec "$0" -m bikecollect --config "$1" fetch
"""


def test_fetch_prints_a_line_only_if_no_mail_can_be_queued(
    tmp_path: Path,
) -> None:
    """Cron's MAILTO sends no second mail, and every failure is reported.

    The journal of systemd mails nothing, and says why a service failed.
    """
    mail = MailServer.new(tmp_path / "mail")
    lines = [f"{key} = {json.dumps(value)}" for key, value in mail.settings().items()]
    table = "[mail]\n" + "\n".join(lines)
    with serving(lambda _: Answer(b"", 403)) as url:
        path = settings(tmp_path, url, table, "4s")
        inherited = {"JOURNAL_STREAM": "1:1"}  # by cron, of its service
        process = bikecollect("--config", path, "fetch", **inherited)
        assert (process.returncode, process.stderr) == (77, "")
        assert list((tmp_path / "data/city/outbox").glob("*.eml"))
        service = subprocess.run(
            ["sh", "-c", AS_A_SERVICE, sys.executable, path],
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
        assert service.returncode == 77
        assert service.stderr.count("HTTP 403") == 1
        path = settings(tmp_path, url, interval="4s")
        process = bikecollect("--config", path, "fetch")
    assert process.returncode == 77
    assert process.stderr.count("\n") == 1


def test_unusable_settings_are_mailed_once_and_so_is_their_repair(
    tmp_path: Path,
) -> None:
    """If the mail settings in them can be read (fault 90)."""
    mail = MailServer.new(tmp_path / "mail")
    lines = [f"{key} = {json.dumps(value)}" for key, value in mail.settings().items()]
    table = "[mail]\n" + "\n".join(lines)
    with serving(lambda _: GOOD) as url, mail.up():
        path = settings(tmp_path, url, f'columnz = ["hour"]\n{table}')
        for _ in range(3):
            process = bikecollect("--config", path, "fetch")
            assert process.returncode == 78
            assert "columnz" in process.stderr
    (subject,) = mail.subjects()
    assert subject.startswith("settings: settings wrong since ")
    assert "columnz" in mail.mails()[0].get_content()


def test_slots_that_wrong_settings_cost_have_that_cause(tmp_path: Path) -> None:
    """No report says of them that cron did not start a run (fault 90).

    The first run after them knows; its folder must be there, as a disk may not be
    mounted.
    """
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        sound = path.read_text(encoding="utf-8")
        assert bikecollect("--config", path, "fetch").returncode == 0
        path.write_text(f"[[{sound}", encoding="utf-8")
        assert bikecollect("--config", path, "fetch").returncode == 78
        path.write_text(sound, encoding="utf-8")
        calls = failed_calls_path(str(path))
        call = json.loads(calls.read_text(encoding="utf-8"))
        early = json.dumps({**call, "started": call["started"] - 60})
        calls.write_text(f"{early}\ndamaged\n", encoding="utf-8")
        copy, mount, zone = tmp_path / "copy", tmp_path / "mount", ZoneInfo("UTC")
        shutil.copy(calls, copy)
        mount.mkdir()
        hand_over(copy, [SystemFolder("city", mount, zone, 300)])
        assert list(mount.iterdir()) == []
        assert bikecollect("--config", path, "fetch").returncode == 0
    process = bikecollect("--config", path, "backfill-report", "--format", "json")
    first, *_ = json.loads(process.stdout)["gaps"]
    assert (first["slots"], first["cause"]) == (1, "settings")
    assert not calls.exists()
