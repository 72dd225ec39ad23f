"""Every test has its own home and cannot reach the network."""

import gc
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import covered_spool
import hypothesis
import pytest
import trail
from hosts import Host, listening
from s3server import Proxy, S3Server, faulty
from world import World

from bikecollect.alerts import space
from bikecollect.core import user_folders
from bikecollect.core.secrets import redact

hypothesis.settings.register_profile("ours", deadline=None)  # no test asserts a time
hypothesis.settings.load_profile("ours")
pytest_plugins = ["browser_fixtures", "doctest_files"]
LOCAL = ("127.", "::1", "localhost", "0.0.0.0")

# Collecting 4,000 tests makes objects that live to the end: to look for garbage among
# them again and again doubled the time. They are frozen when all are collected.
gc.disable()

trail.shorten()

# Shells start what runs in the background with SIGINT ignored, nohup starts it with
# SIGHUP ignored, and so would be ours.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Modes that tests do not set are those of most machines, also where it is 077.
os.umask(0o022)

# Each process that a test starts would compile the program again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

RAM_DISK = Path("/dev/shm")
ROOM = 2_000_000_000
"""Bytes that the RAM disk must have free before the tests' files go there."""
if (
    RAM_DISK.is_dir()
    and os.access(RAM_DISK, os.W_OK)
    and shutil.disk_usage(RAM_DISK).free > ROOM
):
    # A run syncs a dozen times: 3 ms each on a disk. That the calls are made, and in
    # which order, is asserted from traces, which a RAM disk does not change.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(RAM_DISK))

LONGEST = (
    "test_report_spark_command.py",
    "test_cron.py",
    "test_schedule.py",
    "test_browser.py",
    "test_commands_crash.py",
    "test_hostile_day.py",
    "test_recorded_taipei.py",
    "test_recorded_gaps.py",
    "test_odd_values.py",
    "test_secrets_kept.py",
    "test_mirror_live.py",
    "test_mirror.py",
    "test_recorded_figures.py",
    "test_mirror_readers.py",
    "test_gbfs_addresses.py",
    "test_query_bounds.py",
    "test_mirror_faults.py",
    "test_pages.py",
    "test_browser_live.py",
    "test_odd_history.py",
    "test_report_scripts.py",
    "test_reports.py",
    "test_logs.py",
    "test_compact.py",
    "test_streamed_reports.py",
    "test_backfill.py",
    "test_mirror_vehicles.py",
    "test_alerts.py",
    "test_fuzz.py",
    "test_crash.py",
    "test_vehicles_crash.py",
    "test_share.py",
    "test_hostile_text.py",
    "test_workers_crash.py",
    "test_mirror_standing.py",
    "test_fetch.py",
    "test_by_day.py",
    "test_pair_of_hosts.py",
    "test_hostile_payloads.py",
    "test_changed_settings.py",
    "test_behind_nginx.py",
    "test_output_file.py",
    "test_json_payload.py",
    "test_powerloss.py",
    "test_export.py",
    "test_vehicles_day.py",
    "test_definitions.py",
    "test_imports.py",
    "test_oauth2.py",
    "test_recorded_day.py",
    "test_status_all.py",
    "test_trouble_day.py",
)
"""The files that take longest, or wait for a minute: several workers end together."""
OUTSIDE = re.compile(
    r"^(?:from|import) (?:appserver|command|driver|forking|harness|hosts|hostile_day"
    r"|in_process|keeping|mailserver|ports|publisher|rawserver|s3server|series|served|socket|subprocess"
    r"|test_\w+|threading|trouble_day|bikecollect\.simulator\.server)\b"
    r"|importorskip\(\"(?:duckdb|playwright|pyspark|streamlit)|pytest\.mark\.slow",
    re.MULTILINE,
)
"""What a test module has that needs processes, servers, a browser or DuckDB."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make test-fast`."""
    parser.addoption(
        "--fast",
        action="store_true",
        help="skip modules that need processes, servers, a browser or DuckDB",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip with --fast what needs more than this process."""
    if not config.getoption("fast") or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    is_test = collection_path.name.startswith("test_")
    return True if is_test and OUTSIDE.search(text) else None


def pytest_configure(config: pytest.Config) -> None:
    """Let each worker begin to collect at another folder.

    Pytest compiles a test module where no worker has done so: all of them would
    compile all modules of a fresh checkout, side by side. A folder that is named is
    collected even if it is to be ignored: then all begin at the same one.
    """
    worker = getattr(config, "workerinput", None)
    is_whole = config.args == config.getini("testpaths")
    is_rotated = not any(map(config.getoption, ("fast", "ignore", "ignore_glob")))
    if worker and is_whole and is_rotated:
        tests, *others = config.args
        files = sorted(Path(tests).rglob("test_*.py"))
        places = [*dict.fromkeys(Path(*file.parts[:2]) for file in files)]
        workers = worker["workercount"]
        number = int(worker["workerid"][2:]) % workers  # one may replace another
        first = places.index(Path(*files[number * len(files) // workers].parts[:2]))
        config.args[:] = [*map(str, places[first:] + places[:first]), *others]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files come first, and in a file what waits for a real cron.

    All workers have one order.
    """
    order = {name: number for number, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> tuple[int, bool, Path]:
        place = order.get(item.path.name, len(LONGEST))
        waits_for_no_cron = place < len(LONGEST) and "real_cron" not in item.name
        return place, waits_for_no_cron, item.path

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but among new objects only."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tests' homes.

    Beside the tests' own folders, thousands of homes would slow down pytest's search
    for a free name.
    """
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(scope="session", autouse=True)
def _home_of_fixtures(homes: Path) -> Iterator[None]:
    """Give the fixtures of modules an empty home: the user's keeps its own state."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", tempfile.mkdtemp(dir=homes))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patched.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def no_crontab(homes: Path) -> Path:
    """Return a folder with a program `crontab` whose user has none, and keeps none.

    The lines that a developer has installed would be found by `status` and `doctor`.
    """
    program = homes / covered_spool.NO_CRONTAB / "crontab"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no crontab for a test >&2\nexit 1\n")
    program.chmod(0o755)
    return program.parent


@pytest.fixture(autouse=True)
def _home(homes: Path, no_crontab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test an empty home and crontab, and none of the machine's settings."""
    monkeypatch.setenv("PATH", str(no_crontab), prepend=os.pathsep)
    home = Path(tempfile.mkdtemp(dir=homes))
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("BIKECOLLECT_CONFIG", "TZ", "NETRC", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    # What a user without a home has there would outlast the tests.
    monkeypatch.setattr(user_folders, "VAR_TMP", home)
    # A process has one data folder, and tokens of its own; an earlier test had others.
    monkeypatch.setattr(user_folders, "_beside", [])
    monkeypatch.setattr(redact, "_learned", {})
    monkeypatch.chdir(home)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
HANDLERS = {signum: signal.getsignal(signum) for signum in SIGNALS}


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Restore what a signal does: a command in this process changes it, for its end.

    Also before the test: a fixture of its module may have run a command.
    """
    _restore_signals()
    yield
    _restore_signals()


def _restore_signals() -> None:
    for signum, handler in HANDLERS.items():
        signal.signal(signum, handler)


@pytest.fixture(autouse=True)
def _enough_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let alerts see a disk with enough space, on any machine."""
    monkeypatch.setattr(space, "measure", lambda _: space.Space(10**12, 10**12))


@pytest.fixture(autouse=True)
def _no_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anything but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host and not str(host).startswith(LOCAL):
            raise AssertionError(f"a test wanted to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder for data."""
    return tmp_path / "bikes"


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    """Return a maker of hosts that give some answers in turn."""
    with ExitStack() as stack:
        yield lambda *answers: stack.enter_context(listening(*answers))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Yield an S3 server for all tests of this process: each has a prefix of its own.

    To start one takes a second of CPU.
    """
    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3_proxy(s3_server: S3Server) -> Iterator[Proxy]:
    """Yield the proxy through which commands reach the S3 server."""
    with faulty(s3_server) as proxy:
        yield proxy


@pytest.fixture
def config(world: World, tmp_path: Path) -> Path:
    """Return the settings of *world*'s only system."""
    path = tmp_path / "bikecollect.toml"
    path.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n',
        encoding="utf-8",
    )
    return path
