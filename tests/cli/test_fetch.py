"""``bikecollect fetch`` as a process: its output, its files, its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import pytest
from command import on_terminal, run_command
from json_shapes import documented
from served import Answer, serving
from small_disk import needs_namespaces

from bikecollect.archive.query.duckdb_engine import connect
from bikecollect.cli.commands.fetch import fetch
from bikecollect.cli.options import Shared
from bikecollect.collect.reporting.run_lines import RUN_KEYS
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.setup.settings import Settings
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.storage.ledger_reader import History

GOOD = Answer(dialects.youbike(City(20), time.time()))


def settings(
    folder: Path,
    url: str,
    *,
    feed: str = "youbike",
    interval: str = "1min",
    more: str = "",
) -> Path:
    """Write settings for one system called city; return their path."""
    path = folder / "bikecollect.toml"
    path.write_text(
        f'data_dir = "data"\ninterval = "{interval}"\n'
        f'[systems.city]\nfeed = "{feed}"\nurl = "{url}"\n'
        f'timezone = "Asia/Taipei"\n{more}\n',
        encoding="utf-8",
    )
    return path


def bikecollect(
    *arguments: object, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a separate process, with *env* as its environment."""
    environment = dict(os.environ) if env is None else env
    return run_command([*map(str, arguments)], "", environment)


def test_success_is_quiet_and_fills_the_day(tmp_path: Path) -> None:
    """Exit 0, nothing printed, one row per station."""
    with serving(lambda _: GOOD) as url:
        process = bikecollect("--config", settings(tmp_path, url), "fetch")

    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    (file,) = (tmp_path / "data/city/station_status").iterdir()
    assert len(file.read_text(encoding="utf-8").splitlines()) == 21


def test_settings_that_cannot_be_read_in_time_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm is set before: they may be on a disk that hangs (fault 59)."""
    left: list[float] = []
    load = Shared.settings_for_fetch

    def noted(shared: Shared) -> Settings:
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        return load(shared)

    monkeypatch.setattr(Shared, "settings_for_fetch", noted)
    with pytest.raises(SettingsError):
        fetch.main([], obj=Shared(str(tmp_path / "none.toml")), standalone_mode=False)

    assert [270 < seconds < 290 for seconds in left] == [True]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_fetch_imports_only_what_it_needs(tmp_path: Path) -> None:
    """Imports for other commands and rare settings would slow down every slot."""
    with serving(lambda _: GOOD) as url:
        command = ["-X", "importtime", "-m", "bikecollect", "--config"]
        path = settings(tmp_path, url)
        process = subprocess.run(
            [sys.executable, *command, path, "fetch"],
            capture_output=True,
            text=True,
            check=True,
        )

    lines = process.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "bikecollect.collect.cycle" in imported
    assert not imported & {
        *("click.shell_completion", "decimal", "duckdb", "multiprocessing", "smtplib"),
        *("statistics", "bikecollect.alerts.mail", "bikecollect.archive"),
        *("bikecollect.reports", "bikecollect.collect.parallel.workers"),
        *("chardet.enums", "charset_normalizer.api", "bikecollect.collect.remedy"),
        *("bikecollect.feeds.gbfs", "bikecollect.feeds.http.oauth2"),
        *("bikecollect.alerts.delivery", "bikecollect.collect.reporting.ping"),
    }


def test_commands_on_stored_data_do_not_import_the_collector() -> None:
    """It would nearly double their start; only some repairs need it."""
    names = ("compact", "forget", "push", "query", "rebuild", "report", "verify")
    modules = ", ".join(f"bikecollect.cli.commands.{name}" for name in names)
    code = (
        f"import sys, {modules}\nprint('bikecollect.wiring.collection' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert process.stdout == "False\n"


def test_the_list_of_commands_is_shown_without_the_modules_of_any() -> None:
    """Each command imports the storage by itself; `--help` has no data to read."""
    code = "import sys, bikecollect.cli\nprint('bikecollect.storage' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert process.stdout == "False\n"


def test_five_machines_collect_each_system_once(tmp_path: Path) -> None:
    """With the same settings, by their shards; an empty shard is no error."""
    with serving(lambda _: GOOD) as url:
        config = settings(tmp_path, url)
        more = (
            f'[systems.s{n}]\nfeed = "youbike"\nurl = "{url}"\ntimezone = "UTC"\n'
            for n in range(7)
        )
        config.write_text(config.read_text(encoding="utf-8") + "".join(more), "utf-8")
        of_shard = {}
        for number in range(1, 6):
            shard = f"{number}/5"
            command = (
                "--config",
                config,
                "fetch",
                "--shard",
                shard,
                "--format",
                "json",
            )
            process = bikecollect(*command)
            assert process.returncode == 0, process.stderr
            lines = process.stdout.splitlines()
            of_shard[shard] = [json.loads(line)["system"] for line in lines]
        status = bikecollect("--config", config, "--shard", "1/5", "status")

    assert of_shard == {
        "1/5": ["city", "s1", "s3"],
        "2/5": [],
        "3/5": [],
        "4/5": ["s5", "s6"],
        "5/5": ["s0", "s2", "s4"],
    }
    assert status.returncode == 0


@pytest.mark.parametrize(
    ("shard", "why"),
    [
        ("5", '"5" is not of the form K/N, such as 2/5'),
        ("0/5", '"0/5": K must be from 1 to N'),
        ("6/5", '"6/5": K must be from 1 to N'),
        ("a/b", '"a/b" is not of the form K/N, such as 2/5'),
    ],
)
def test_an_invalid_shard_is_an_error(tmp_path: Path, shard: str, why: str) -> None:
    """The error has an example, and nothing is fetched."""
    config = settings(tmp_path, "http://127.0.0.1:9/")
    process = bikecollect("--config", config, "fetch", "--shard", shard)

    assert (process.returncode, process.stderr) == (
        64,
        f"bikecollect: --shard: {why}\n",
    )


def test_json_has_one_object_per_system(tmp_path: Path) -> None:
    """The shape on which scripts rely."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        process = bikecollect("--config", path, "fetch", "--format", "json")

    (run,) = documented(process.stdout, RUN_KEYS)
    assert run["system"] == "city"
    assert run["slot"].endswith("+08:00")
    assert (run["outcome"], run["cause"], run["attempts"]) == ("collected", None, 1)
    assert (run["http_status"], run["stations"], run["rows"]) == (200, 20, 20)
    assert run["exit_code"] == 0
    stages = ["fetch", "accept", "heal", "read", "rows", "append", "ledger"]
    assert list(run["seconds"]) == stages
    assert run["file"].startswith("station_status/")


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """The feed is fetched and read, and no file created.

    The slot is printed in the time zone of its system, as everywhere else.
    """
    with serving(lambda _: GOOD) as url:
        process = bikecollect("--config", settings(tmp_path, url), "fetch", "--dry-run")

    assert process.returncode == 0
    assert "+08:00: dry-run, 20 rows" in process.stdout
    assert "HTTP 200" in process.stdout
    assert not (tmp_path / "data").exists()


def dry_run(path: Path) -> dict[str, Any]:
    """Return what a dry run with the settings at *path* prints as JSON."""
    words = ("--config", path, "fetch", "--dry-run", "--format", "json")
    (run,) = documented(in_process.bikecollect(*words).stdout, RUN_KEYS)
    return run


def test_a_dry_run_names_a_mapped_column_that_no_station_has(tmp_path: Path) -> None:
    """It may be misspelt; a first run names it, too, but has stored the stations."""
    stations = [{"id": str(number), "n": 3} for number in range(3)]
    mapping = '{station_id = "id", num_vehicles_available = "n", name = "nmae"}'
    path = tmp_path / "bikecollect.toml"
    with serving(lambda _: Answer(json.dumps(stations).encode())) as url:
        path.write_text(
            f'data_dir = "data"\n[systems.any]\nfeed = "mapped"\nurl = "{url}/"\n'
            f'timezone = "UTC"\nmapping = {mapping}\n',
            encoding="utf-8",
        )
        tried = in_process.bikecollect("--config", path, "fetch", "--dry-run")
        run = in_process.bikecollect("--config", path, "fetch")

    text = 'any: drift: no station has a value for mapping.name = "nmae"'
    assert text in tried.stderr
    assert "any: drift" not in tried.stdout
    assert text in run.stderr


def test_a_dry_run_that_fails_has_the_requests_that_it_made(tmp_path: Path) -> None:
    """Their number, the status of the last one, and the time that they took."""
    with serving(lambda _: Answer(b"", 404)) as url:
        path = settings(tmp_path, url, interval="1s")

        run = dry_run(path)

    assert (run["outcome"], run["exit_code"]) == ("unavailable", 69)
    assert (run["attempts"], run["http_status"]) == (1, 404)
    assert run["seconds"].keys() == {"fetch"}


def test_a_payload_that_a_dry_run_cannot_read_was_received(tmp_path: Path) -> None:
    """It is rejected, after a response."""
    with serving(lambda _: Answer(b"[]")) as url:
        run = dry_run(settings(tmp_path, url, interval="1s"))

    assert (run["outcome"], run["cause"]) == ("rejected", "no-stations")
    assert (run["attempts"], run["http_status"]) == (1, 200)
    assert run["seconds"].keys() == {"fetch", "read"}


def test_a_dry_run_has_the_rows_and_flags_that_a_run_would_have(tmp_path: Path) -> None:
    """The filter of the settings applies, and what the payload lacks is flagged."""
    stations = json.loads(GOOD.body)
    first = stations[0]["sno"]
    lame = Answer(json.dumps([*stations, {"sna": "no id"}]).encode())
    more = f'only = {{station_id = ["{first}"]}}'
    with serving(lambda _: lame) as url:
        path = settings(tmp_path, url, more=more)

        tried = dry_run(path)
        words = ("--config", path, "fetch", "--format", "json")
        run = json.loads(in_process.bikecollect(*words).stdout)

    keys = ("rows", "stations", "http_status", "attempts")
    assert [tried[key] for key in keys] == [1, 2, 200, 1]
    assert [run[key] for key in keys] == [1, 2, 200, 1]
    assert "partial" in tried["flags"]
    assert "partial" in run["flags"]


def test_verbose_prints_each_stage(tmp_path: Path) -> None:
    """One line per stage and one for the run to stderr, none to stdout."""
    with serving(lambda _: GOOD) as url:
        process = bikecollect("-v", "--config", settings(tmp_path, url), "fetch")

    assert "collected, 20 rows of 20 stations" in process.stderr
    assert process.stderr.count("\n") == 8
    assert process.stdout == ""


@pytest.mark.parametrize(
    ("answer", "code", "word"),
    [
        (Answer(b"<html>down</html>"), 65, "not JSON"),
        (Answer(b"[]"), 65, "no stations"),
        (Answer(b"gone", 404), 69, "answered HTTP 404"),
        (Answer(b"", 500), 69, "answered HTTP 500"),
        (Answer(b"", 302, {"Location": "file:///etc/passwd"}), 76, "redirects"),
        (Answer(b"", 403), 77, "credentials"),
        (Answer(b"", 429, {"Retry-After": "3000"}), 75, "retry in 50 min"),
    ],
)
def test_each_failure_has_its_code_and_one_line(
    tmp_path: Path, answer: Answer, code: int, word: str
) -> None:
    """One line on stderr, and no traceback (faults 29, 31)."""
    with serving(lambda _: answer) as url:
        path = settings(tmp_path, url, interval="2s")
        process = bikecollect("--config", path, "fetch")

    assert process.returncode == code
    assert word in process.stderr
    assert process.stderr.count("\n") == 1
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["fetsch"], 64, 'did you mean "fetch"?'),
        (["fetch", "--formt"], 64, "No such option"),
        (["fetch", "--config=x"], 64, "command: bikecollect --config FILE fetch\n"),
        (["fetch", "-v"], 64, "before the command: bikecollect -v fetch\n"),
        (["feeds", "try", "--shard", "1/2"], 64, "bikecollect --shard K/N feeds try\n"),
        (["--config", "nowhere.toml", "fetch"], 78, "nowhere.toml does not exist"),
        (["fetch", "atlantis"], 78, 'unknown system "atlantis"'),
        (["fetch", "youbike-taipe"], 78, 'did you mean "youbike-taipei"?'),
    ],
)
def test_a_wrong_call_fails_before_any_network_access(
    arguments: list[str], code: int, word: str
) -> None:
    """Usage ends with 64, settings with 78."""
    process = bikecollect(*arguments)

    assert process.returncode == code
    assert word in process.stderr
    assert "Traceback" not in process.stderr


def test_a_closed_port_is_unavailable(tmp_path: Path) -> None:
    """Connection refused ends with 69 (fault 1)."""
    path = settings(tmp_path, "http://127.0.0.1:9/", interval="2s")
    process = bikecollect("--config", path, "fetch")

    assert process.returncode == 69
    assert "connect" in process.stderr


def test_verbose_counts_the_requests_per_document(tmp_path: Path) -> None:
    """A GBFS system has several documents; one of them was requested twice."""
    city = City(20)
    answers = iter([Answer(b"", 503)])

    def answer(path: str) -> Answer:
        if path == "/station_status.json" and (failed := next(answers, None)):
            return failed
        name = path.strip("/").removesuffix(".json")
        documents = dialects.gbfs(city, time.time(), base[0])
        return Answer(documents[name]) if name in documents else Answer(b"", 404)

    base: list[str] = []
    with serving(answer) as url:
        base.append(url)
        path = settings(tmp_path, f"{url}/gbfs.json", feed="gbfs")
        process = bikecollect("--config", path, "-v", "fetch")

    (line,) = (line for line in process.stderr.splitlines() if "HTTP 200" in line)
    assert "; 7 requests for 6 documents, HTTP 200" in line


def test_a_terminal_shows_each_attempt_and_the_result(tmp_path: Path) -> None:
    """From cron the same run prints nothing."""
    answers = iter([Answer(b"", 503), GOOD])
    with serving(lambda _: next(answers)) as url:
        text = on_terminal("--config", settings(tmp_path, url), "fetch")

    assert re.search(
        r"city: retry 1 in \d+ s, \d+ s left: the feed answered HTTP 503", text
    )
    last = text.rstrip().rpartition("\x1b[K")[2]
    assert last.startswith("bikecollect: city 2")
    assert ": collected, 20 rows of 20 stations" in last
    assert "\n" not in last


def test_the_reason_of_a_retry_fits_the_line(tmp_path: Path) -> None:
    """The end of it is what was wrong."""
    path = settings(
        tmp_path, "http://127.0.0.1:9/a/long/way/to/gbfs.json", interval="9s"
    )

    text = on_terminal("--config", path, "fetch")

    assert re.search(r"left: cannot connect: connection refused\x1b", text)


def test_a_dumb_terminal_gets_no_control_sequences(tmp_path: Path) -> None:
    """TERM=dumb is set by editors that cannot show them."""
    path = settings(tmp_path, "http://127.0.0.1:9/", interval="2s")

    text = on_terminal("--config", path, "fetch", TERM="dumb")

    assert "unavailable" in text
    assert "\x1b" not in text


def test_an_unwritable_folder_is_74(tmp_path: Path) -> None:
    """A file in place of a folder is a disk error, with its path (fault 56)."""
    (tmp_path / "data").write_text("", encoding="utf-8")
    with serving(lambda _: GOOD) as url:
        process = bikecollect("--config", settings(tmp_path, url), "fetch")

    assert process.returncode == 74
    assert str(tmp_path / "data") in process.stderr


def test_systems_are_isolated_from_each_other(tmp_path: Path) -> None:
    """A broken feed does not lose the other system's slot; the worst code wins."""
    more = '[systems.other]\nfeed = "youbike"\nurl = "http://127.0.0.1:9/"\n'
    with serving(lambda _: GOOD) as url:
        path = settings(
            tmp_path, url, interval="2s", more=more + 'timezone = "Asia/Taipei"'
        )
        process = bikecollect("--config", path, "fetch", "--format", "json")

    outcomes = [json.loads(line)["outcome"] for line in process.stdout.splitlines()]
    assert outcomes == ["collected", "unavailable"]
    assert process.returncode == 69


def test_a_users_own_function_makes_columns(tmp_path: Path) -> None:
    """A module beside the settings is found, and its columns are in the file.

    One that is not there, or ends the process, costs its own columns alone.
    """
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        "def score(row):\n    return {'score': row['num_vehicles_available'] * 2}\n",
        encoding="utf-8",
    )
    more = 'columns = ["mine:score", "missing_module:f", "leaving:f"]'
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url, more=more)
        process = bikecollect("-v", "--config", path, "fetch")

    assert process.returncode == 0
    assert '"missing_module:f" is skipped' in process.stderr
    assert '"leaving:f" is skipped: SystemExit: 0' in process.stderr
    (file,) = (tmp_path / "data/city/station_status").iterdir()
    header, first, *_ = file.read_text(encoding="utf-8").splitlines()
    assert header.endswith(",score")
    assert int(first.split(",")[-1]) == 2 * int(first.split(",")[3])


@pytest.mark.parametrize("days", [999_999, 10**20])
def test_any_number_of_days_means_forever(tmp_path: Path, days: int) -> None:
    """Of payloads and of the CSV of archived days: no such date exists."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        keep = f"[keep]\npayload_days = {days}\ncsv_days = {days}\n"
        path.write_text(path.read_text(encoding="utf-8") + keep, encoding="utf-8")
        process = bikecollect("--config", path, "fetch")

    assert (process.returncode, process.stderr) == (0, "")


def _with_stdout_full(command: list[str]) -> int:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        return subprocess.run(command, stdout=full, stderr=full, check=False).returncode


def _with_closed_descriptors(command: list[str]) -> int:
    line = " ".join(command) + " <&- >&- 2>&-"
    return subprocess.run(["/bin/sh", "-c", line], check=False).returncode


@pytest.mark.parametrize("run", [_with_stdout_full, _with_closed_descriptors])
def test_output_that_cannot_be_written_changes_nothing(
    tmp_path: Path, run: Callable[[list[str]], int]
) -> None:
    """Full or closed descriptors change neither data nor code (faults 70, 71)."""
    with serving(lambda _: GOOD) as url:
        path = str(settings(tmp_path, url))
        command = [sys.executable, "-m", "bikecollect", "-v", "--config", path]
        code = run([*command, "fetch", "--format", "json"])

    assert code == 0
    (file,) = (tmp_path / "data/city/station_status").iterdir()
    assert len(file.read_text(encoding="utf-8").splitlines()) == 21


@needs_namespaces
def test_it_works_in_crons_empty_environment(tmp_path: Path) -> None:
    """No PATH, HOME, LANG: one row per station, in UTF-8 (fault 92).

    Also in a folder whose name is not UTF-8, in which nothing can be archived. The home
    in /etc/passwd is used: here that of the test, not the real one of this user.
    """
    folder = tmp_path / os.fsdecode(b"stra\xdfe")
    folder.mkdir()
    passwd, home = tmp_path / "passwd", tmp_path / "home"
    home.mkdir()
    passwd.write_text(f"root:x:0:0::{home}:/bin/sh\n", encoding="utf-8")
    script = 'mount --bind "$1" /etc/passwd && shift && exec env -i "$@"'
    with serving(lambda _: GOOD) as url:
        command = sys.executable, "-m", "bikecollect", "--config", settings(folder, url)
        process = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", script, "sh", passwd, *command, "fetch"],
            check=False,
            capture_output=True,
            encoding="utf-8",
        )

    assert (process.returncode, process.stderr) == (0, "")
    text = (folder / "data/city/station_information.csv").read_text(encoding="utf-8")
    assert "模擬" in text
    assert len(History("city", folder / "data/city").runs()) == 1
    with pytest.raises(StorageError, match="DuckDB requires UTF-8 in names"):
        connect(folder)
    assert (home / ".local/state/bikecollect/folders").exists()


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)],
)
def test_a_signal_during_the_fetch_ends_the_run_at_once(
    tmp_path: Path, signum: int, code: int
) -> None:
    """The wait for a feed without an answer ends; the run is recorded (fault 69)."""
    over = threading.Event()

    def hang(_: str) -> Answer:
        os.kill(process.pid, signum)
        over.wait(60)
        return GOOD

    with serving(hang) as url:
        path = settings(tmp_path, url)
        command = [sys.executable, "-m", "bikecollect", "--config", str(path), "fetch"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        process.communicate(timeout=50)  # meanwhile the feed does not answer
        over.set()

    assert process.returncode == code


def test_a_secret_in_the_address_is_in_no_output(tmp_path: Path) -> None:
    """Nor in any file (fault 108)."""
    with serving(lambda _: Answer(b"", 500)) as url:
        path = settings(tmp_path, f"{url}/x?key=CANARY", interval="2s")
        process = bikecollect("-vv", "--config", path, "fetch", "--format", "json")

    files = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
    assert "CANARY" not in process.stdout + process.stderr
    assert files != []
    assert not any(b"CANARY" in file.read_bytes() for file in files)


def test_the_paged_feed_is_read_to_its_end(tmp_path: Path) -> None:
    """New Taipei's pages are read until one is short: 2,300 of 2,300."""
    stations = json.loads(dialects.youbike(City(2300), 1.8e9))

    def page(path: str) -> Answer:
        number = int(path.partition("page=")[2].partition("&")[0])
        return Answer(json.dumps(stations[number * 1000 :][:1000]).encode())

    with serving(page) as url:
        path = settings(tmp_path, f"{url}/json?page=0&size=1000")
        process = bikecollect("--config", path, "fetch", "--format", "json")

    assert json.loads(process.stdout)["rows"] == 2300


def test_too_few_descriptors_end_the_run_in_order(tmp_path: Path) -> None:
    """EMFILE is a disk or network error, never a traceback (fault 58)."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url, interval="2s")
        command = f"{sys.executable} -m bikecollect --config {path} fetch"
        process = subprocess.run(
            ["/bin/sh", "-c", f"ulimit -n 7; exec {command}"],
            check=False,
            capture_output=True,
            text=True,
        )

    assert process.returncode in {69, 74, 78}
    assert "Traceback" not in process.stderr


def test_a_file_that_may_not_grow_is_a_disk_error(tmp_path: Path) -> None:
    """EFBIG by a limit on file sizes: 74, and the next run continues (fault 52)."""
    with serving(lambda _: Answer(dialects.youbike(City(900), 1.8e9))) as url:
        path = settings(tmp_path, url)
        command = f"{sys.executable} -m bikecollect --config {path} fetch"
        limited = ["/bin/sh", "-c", f"ulimit -f 90; exec {command}"]
        first = subprocess.run(limited, check=False, capture_output=True, text=True)
        second = bikecollect("--config", path, "fetch")

    assert first.returncode == 74
    assert "Traceback" not in first.stderr
    assert second.returncode == 0


def test_damage_that_was_repaired_is_reported_once(tmp_path: Path) -> None:
    """A lost ledger ends with 0 and one line, the next run is quiet (fault 64)."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        bikecollect("--config", path, "fetch")
        (tmp_path / "data/city/ledger.sqlite3").write_bytes(b"no ledger at all" * 99)
        process = bikecollect("--config", path, "fetch")
        quiet = bikecollect("--config", path, "fetch")

    assert process.returncode == quiet.returncode == 0
    assert "the ledger was damaged" in process.stderr
    assert quiet.stderr == ""


@needs_namespaces
def test_a_machine_whose_proc_is_not_mounted_collects(tmp_path: Path) -> None:
    """As in a chroot: how much memory is used is unknown (faults 74, 92)."""
    script = 'mount -t tmpfs none /proc && exec "$@"'
    with serving(lambda _: GOOD) as url:
        command = sys.executable, "-m", "bikecollect", "--config"
        words = *command, settings(tmp_path, url), "fetch"
        process = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", script, "sh", *words],
            check=False,
            capture_output=True,
            encoding="utf-8",
        )

    assert (process.returncode, process.stderr) == (0, "")
    assert len(History("city", tmp_path / "data/city").runs()) == 1


def test_a_machine_without_a_thread_left_for_the_watch_collects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watches of hanging disks are not needed (faults 59, 74)."""
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if isinstance(thread, threading.Timer) or "_watch" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        collected = in_process.bikecollect("--config", path, "fetch")
        shown = in_process.bikecollect("--config", path, "backfill-report")

    assert (collected.returncode, shown.returncode) == (0, 0)
    assert "No gaps" in shown.stdout
