"""Hostile text from every source, searched for in every output."""

import json
import logging
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unicodedata import category

import pytest
from command import bikecollect
from json_shapes import documented
from rawserver import Misdeed, answers, misbehaving
from served import Answer, running, serving

from bikecollect.alerts.mail.smtp import Server, check
from bikecollect.cli.main import run
from bikecollect.cli.render.backfill import KEYS
from bikecollect.setup.loader import load
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.wiring.collection import collect

BEGIN = 1_795_276_800.0  # midnight in Taipei
FORGED = "2026-11-22T12:00:00+08:00 INFO    00000000 all is well"
EVIL = (
    f"\x1b]0;owned\x07\x1b[2J\r\n{FORGED}\r\n\x85{FORGED}\x9b2J\u2028\u202e\u2066\u200b"
)
HEADER = "\x1b[2J\x9b2J\u202e \x07".encode()
"""Of what a header may hold."""
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
CITY = City(20)
GOOD = dialects.youbike(CITY, BEGIN)


def changed(**more: object) -> bytes:
    """Return the city with *more* fields at each station."""
    return json.dumps([{**station, **more} for station in json.loads(GOOD)]).encode()


MISDEEDS: dict[str, Misdeed] = {
    "a field's name": answers(changed(**{EVIL: 1})),
    "a lost field, a new name": answers(
        GOOD.replace(b'"sno"', json.dumps(EVIL).encode())
    ),
    "a station's name": answers(changed(sna=EVIL, sarea=EVIL, ar=EVIL)),
    "a stamp": answers(changed(srcUpdateTime=EVIL, mday=EVIL, infoTime=EVIL)),
    "a count": answers(changed(available_rent_bikes=EVIL, Quantity=EVIL)),
    "the top": answers(json.dumps({EVIL: EVIL}).encode()),
    "a page of HTML": answers(f"<html>{EVIL}".encode()),
    "a refusal": answers(f"no: {EVIL}".encode(), "403 Forbidden"),
    "a status": answers(b"", "503 \x1b[2J\x07 \u0085\u009b2J", b"X-A: b\r\n"),
    "a redirect": answers(b"", "302 Found", b"Location: http://" + HEADER + b"/\r\n"),
    "another redirect": answers(b"", "301 Moved", b"Location: " + HEADER + b"\r\n"),
    "an encoding": answers(b"{}", "200 OK", b"Content-Encoding: " + HEADER + b"\r\n"),
    "a wait": answers(b"", "429 Later", b"Retry-After: " + HEADER + b"\r\n"),
}


def acts(text: str) -> list[str]:
    """Return the active characters of *text*, and the lines that it has forged."""
    hidden = {c for c in text if category(c) in HIDDEN and c != "\n"}
    forged = [line for line in text.split("\n") if line.startswith(FORGED)]
    return [*map(repr, sorted(hidden)), *forged]


@contextmanager
def posted(heard: list[str]) -> Iterator[str]:
    """Take the texts of POSTs on loopback into *heard*; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            heard.append(json.loads(self.rfile.read(length))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, running(server) as url:
        yield url


def settings(folder: Path, url: str, *more: str) -> Path:
    """Write settings for one system called city; return their path."""
    path = folder / "bikecollect.toml"
    lines = [
        f"data_dir = {json.dumps(str(folder / 'data'))}",
        '[systems.city]\nfeed = "youbike"\ntimezone = "Asia/Taipei"',
        f"url = {json.dumps(url)}",
        '[mail]\nhost = "127.0.0.1"\nport = 9\nsecurity = "none"',
        'sender = "a@example.org"\nto = ["b@example.org"]',
        *more,
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def collected(path: Path, slots: int) -> None:
    """Collect *slots* slots by the settings at *path*, with a simulated clock."""
    clock = Time(BEGIN)
    for number in range(slots):
        clock.now = BEGIN + 300 * number + 2
        collect(
            load(str(path)),
            clock=clock,
            monotonic=clock,
            stop=clock,
            uptime=lambda: 1e6,
        )


SCREENS = (
    ["status"],
    ["status", "--alert"],
    ["status", "--format", "json"],
    ["status", "--format", "prometheus"],
    ["runs"],
    ["runs", "--format", "json"],
    ["runs", "show", "2026-11-22 00:05"],
    ["runs", "show", "2026-11-22 00:05", "--format", "json"],
    ["backfill-report"],
    ["backfill-report", "--format", "json"],
    ["backfill", "--dry-run"],
    ["verify"],
    ["doctor", "--offline"],
)
OF_STATIONS = (
    ["query", "SELECT * FROM stations"],
    ["query", "--format", "json", "SELECT * FROM stations"],
    ["report", "changes"],
    ["report", "changes", "--format", "json"],
)
"""Those that only show the list of stations."""


Say = Callable[..., str]


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Iterator[Say]:
    """Yield a function that runs a command in this process, and returns its output."""
    logger = logging.getLogger("bikecollect")
    before = logger.handlers[:], logger.level, logger.propagate

    def output_of(*words: object) -> str:
        capfd.readouterr()
        run([str(word) for word in words])
        seen = capfd.readouterr()
        assert "Traceback" not in seen.out + seen.err
        return seen.out + seen.err

    yield output_of
    logger.handlers[:], logger.level, logger.propagate = before


def screens(
    say: Say, path: Path, commands: Sequence[Sequence[str]] = (*SCREENS, *OF_STATIONS)
) -> dict[str, str]:
    """Return the output of each of *commands*, by its words."""
    return {" ".join(words): say("--config", path, *words) for words in commands}


@pytest.mark.parametrize("source", MISDEEDS)
def test_control_characters_of_a_feed_are_escaped_everywhere(
    say: Say, tmp_path: Path, source: str
) -> None:
    """In logs, mails, webhooks, a command's stdin, reasons and output."""
    received: list[str] = []
    log = tmp_path / "told"
    with (
        misbehaving(answers(GOOD), MISDEEDS[source]) as (url, _),
        posted(received) as hook,
    ):
        command = json.dumps(["sh", "-c", f"cat >> {log}"])
        path = settings(
            tmp_path, url, f'[tell]\nwebhook = "{hook}"\ncommand = {command}'
        )
        collected(path, 5)
    data = tmp_path / "data/city"

    read = {"webhook": "\n".join(received)}
    files = [
        *tmp_path.glob("told"),
        *data.glob("*.log"),
        *data.rglob("*.txt"),
        *data.rglob("*.run"),
    ]
    read |= {file.name: file.read_bytes().decode("utf-8") for file in files}
    for eml in data.glob("outbox/*.eml"):
        mail = message_from_bytes(eml.read_bytes(), policy=policy.SMTP)
        read[eml.name] = str(mail["Subject"]) + mail.get_content().replace("\r\n", "\n")
    read |= screens(say, path, SCREENS)
    is_listed = b"owned" in (data / "station_information.csv").read_bytes()
    of_stations = screens(say, path, OF_STATIONS) if is_listed else {}
    read |= of_stations

    assert {where: acts(text) for where, text in read.items() if acts(text)} == {}
    assert all("owned" in text for text in of_stations.values())
    assert is_listed == (source == "a station's name")
    assert received or source in {"a station's name", "a stamp", "a count"}


def test_control_characters_of_system_information_are_escaped(
    say: Say, tmp_path: Path
) -> None:
    """Name, operator, version and addresses, in tries and in errors."""
    documents = dialects.gbfs(CITY, BEGIN, "http://127.0.0.1:9")

    def answer(asked: str) -> Answer:
        name = asked.removeprefix("/").removesuffix(".json")
        values = json.loads(documents.get(name, b"{}"))
        values["version"] = EVIL
        data = values.get("data", {})
        if name == "gbfs":
            for feed in data["en"]["feeds"]:
                feed["url"] = f"{url}/{feed['name']}.json"
            data["en"]["feeds"].append({"name": EVIL, "url": f"http://{EVIL}/"})
        if name == "system_information":
            data |= {"name": EVIL, "operator": EVIL, "system_id": EVIL}
            data["timezone"] = EVIL
        return Answer(json.dumps(values).encode())

    with serving(answer) as url:
        path = settings(tmp_path, url)
        tried = ["feeds", "try", f"{url}/gbfs.json"]
        output = screens(say, path, [tried, [*tried, "--format", "json"]])

    assert {words: acts(text) for words, text in output.items() if acts(text)} == {}


def test_control_characters_of_an_address_are_escaped(say: Say, tmp_path: Path) -> None:
    """In the error, the requests and the mail."""
    feeds = [
        {"name": name, "url": f"http://127.0.0.1:9/{EVIL}"}
        for name in ("station_status", "station_information")
    ]
    body = json.dumps({"data": {"en": {"feeds": feeds}}}).encode()
    with serving(lambda _: Answer(body)) as url:
        path = settings(tmp_path, f"{url}/gbfs.json")
        text = path.read_text(encoding="utf-8").replace("youbike", "gbfs")
        path.write_text(text, encoding="utf-8")
        collected(path, 2)
        output = screens(say, path)
    data = tmp_path / "data/city"
    output["log"] = (data / "bikecollect.log").read_text(encoding="utf-8")

    assert {where: acts(text) for where, text in output.items() if acts(text)} == {}


@contextmanager
def smtp(greeting: bytes) -> Iterator[int]:
    """Serve a mail server that sends *greeting* and disconnects; yield its port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peer.sendall(greeting)
                peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def test_control_characters_of_a_mail_server_are_escaped(
    say: Say, tmp_path: Path
) -> None:
    """In the doctor's lines, the log and the incident."""
    reply = b"554-\x1b[2J\x9b2J\x07\r\n554 " + FORGED.encode() + b"\x85\r\n"
    with smtp(reply) as port:
        error = check(Server("127.0.0.1", port, "none"))
        with serving(lambda _: Answer(b"", 500)) as url:
            path = settings(tmp_path, url)
            text = path.read_text(encoding="utf-8").replace(
                "port = 9", f"port = {port}"
            )
            path.write_text(text, encoding="utf-8")
            collected(path, 5)
            output = screens(say, path, [["status"], ["doctor"], ["runs"]])
    data = tmp_path / "data/city"
    output["log"] = (data / "bikecollect.log").read_text(encoding="utf-8")

    assert r"\x1b[2J" in error
    assert {where: acts(text) for where, text in output.items() if acts(text)} == {}
    assert FORGED in output["status"], "it is quoted, inside a line of ours"
    assert r"\x1b[2" not in output["runs"], "our own colours are no text of others"


def test_control_characters_of_another_archive_are_escaped(
    say: Say, tmp_path: Path
) -> None:
    """In its name, header and cells: rejected, imported, and read again."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    data, theirs = tmp_path / "data/city", tmp_path / "theirs"
    data.mkdir(parents=True)
    (data / ".bikecollect").touch()
    theirs.mkdir()
    foreign = theirs / f"{EVIL.replace('/', '')}.csv"
    row = f'2026-11-22T10:05:00+08:00,"{EVIL}",3\n'
    odd = f'"{EVIL}","{EVIL}","{EVIL}"\n'
    words = ["backfill", "city", "--from", str(theirs), "--map", "time=time"]
    words += ["--map", "station_id=id", "--map", "num_vehicles_available=bikes"]

    foreign.write_text(f'"{EVIL}",b,c\n{odd}', encoding="utf-8", newline="")
    outputs = {"unknown": say("--config", path, *words[:4])}
    foreign.write_text(f"time,id,bikes\n{odd}", encoding="utf-8", newline="")
    outputs["unread"] = say("--config", path, *words)
    foreign.write_text(f"time,id,bikes\n{row}", encoding="utf-8", newline="")
    outputs["absent"] = say("--config", path, *words[:3], f"/no/{EVIL}")
    outputs["filled"] = say("--config", path, *words, "--format", "json")
    sql = ["query", "SELECT station_id FROM station_status"]
    more = (*OF_STATIONS, sql, ["report", "reliability"])
    outputs |= screens(say, path, (*SCREENS, *more))

    assert {key: acts(text) for key, text in outputs.items() if acts(text)} == {}
    assert documented(outputs["filled"], KEYS)[0]["what"] == "filled"
    assert "owned" in outputs[" ".join(sql)]


@pytest.mark.parametrize(
    "line",
    [
        f"{json.dumps(EVIL)} = 1",
        f"interval = {json.dumps(EVIL)}",
        f"[tell]\nwebhook = {json.dumps(EVIL)}",
        f"[systems.{json.dumps(EVIL)}]",
        f"[systems.b]\nfeed = {json.dumps(EVIL)}",
        f"[systems.b]\ntimezone = {json.dumps(EVIL)}",
        f"[systems.b]\nfeed = 'mapped'\nurl = {json.dumps('http://a/' + EVIL)}",
        "broken = \x1b[2J\x9b",
    ],
)
def test_control_characters_of_the_settings_are_escaped(
    say: Say, tmp_path: Path, line: str
) -> None:
    """The error shows the value escaped."""
    path = settings(tmp_path, "http://127.0.0.1:9/", line)
    if not line.startswith("["):
        path.write_text(f"{line}\n{path.read_text('utf-8')}", encoding="utf-8")

    output = screens(say, path, [["status"], ["fetch"], ["doctor", "--offline"]])

    assert {words: acts(text) for words, text in output.items() if acts(text)} == {}


@pytest.mark.parametrize(
    "words",
    [
        ["status", EVIL],
        [EVIL],
        [f"--{EVIL}"],
        ["--config", f"/no/{EVIL}", "status"],
        ["runs", "show", EVIL],
        ["report", EVIL],
        ["feeds", "try", f"http://{EVIL}/"],
        ["feeds", "show", EVIL],
        ["query", f"SELECT '{EVIL}'::INT"],
        ["backfill-report", "--since", EVIL],
    ],
)
def test_control_characters_of_the_command_line_are_escaped(
    say: Say, words: list[str]
) -> None:
    """Errors show them, because another person may have given the command."""
    text = say(*words)

    assert text
    assert acts(text) == []


def test_a_list_of_choices_is_indented(say: Say) -> None:
    """By blanks: the tab of click's own text is nobody's control character."""
    assert say("rebuild").endswith("Choose from:\n  stations\n")


def test_csv_on_a_terminal_is_escaped(tmp_path: Path) -> None:
    """In a pipe the data are unchanged."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    sql = "SELECT chr(27) || '[2J' || chr(8238) || chr(155) AS name"
    command = ["--config", path, "query", "--format", "csv", sql]

    piped = bikecollect(*command, PYTHONUTF8="1").stdout
    seen = on_a_terminal(*map(str, command))

    assert piped == "name\n\x1b[2J\u202e\x9b\n"
    assert seen.replace("\r\n", "\n") == "name\n\\x1b[2J\\u202e\\x9b\n"


def on_a_terminal(*words: str) -> str:
    """Return what the command writes to a terminal that is its own."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bikecollect", *words],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUTF8": "1"},
    ):
        os.close(terminal)
        parts = []
        with suppress(OSError):
            while part := os.read(controller, 65_536):
                parts.append(part)
    os.close(controller)
    return b"".join(parts).decode("utf-8")
