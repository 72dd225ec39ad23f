"""Commands over several systems skip one that cannot be read, and say so."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import bikecollect
from quiet_settings import write_settings
from world import World


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return settings of two systems; the city is the first."""
    for name in ("city", "town"):
        World(tmp_path / "data" / name).fetch({"a": 1, "b": 2})
        (tmp_path / "data" / name / ".bikecollect").touch()
    path = tmp_path / "bikecollect.toml"
    return write_settings(path, tmp_path / "data", "city", "town")


def a_file_in_place_of_the_folder(city: Path) -> None:
    """Replace the folder."""
    shutil.rmtree(city)
    city.write_text("no folder", encoding="utf-8")


def a_ledger_in_a_loop(city: Path) -> None:
    """Replace the ledger."""
    (city / "ledger.sqlite3").unlink()
    (city / "ledger.sqlite3").symlink_to("ledger.sqlite3")


SPOILED = [
    a_file_in_place_of_the_folder,
    a_ledger_in_a_loop,
]
COMMANDS = [
    ("export",),
    ("report", "availability", "--format", "csv"),
    ("query", "SELECT system_id, count(*) FROM station_status GROUP BY 1"),
    ("verify",),
    ("backfill",),
]


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_other_systems_are_processed(
    config: Path, command: tuple[str, ...], spoil: Callable[[Path], None]
) -> None:
    """The skipped one is named on stderr, and the exit code is not 0."""
    spoil(config.with_name("data") / "city")

    process = bikecollect("--config", config, *command)

    assert "town" in process.stdout
    assert "city: skipped: " in process.stderr
    assert "Errno" not in process.stderr
    assert process.returncode in {74, 78}


@pytest.mark.parametrize(("name", "code"), [("town", 64), ("city", 74)])
def test_a_report_of_nothing_has_the_code_of_what_was_skipped(
    config: Path, name: str, code: int
) -> None:
    """A system that was skipped may have had rows in the range."""
    a_ledger_in_a_loop(config.with_name("data") / "city")
    names = sorted({name, "town"})

    process = bikecollect(
        "--config", config, "report", "days", *names, "--until", "2020-01-01"
    )

    assert process.returncode == code
    assert "no data in that range" in process.stderr


LEDGER_READERS = [
    ("runs", "--since", "2026-11-01"),
    ("runs", "show", "2026-11-22T12:00"),
    ("backfill-report", "--since", "2026-11-01"),
    ("backfill-report", "--stations", "--format", "csv"),
    ("query", "SELECT DISTINCT system_id FROM station_status"),
    ("report", "availability", "--format", "csv"),
]


def test_an_empty_ledger_is_not_taken_for_no_data(config: Path) -> None:
    """SQLite would read a file of 0 bytes as a ledger without tables."""
    ledger = config.with_name("data") / "city" / "ledger.sqlite3"
    for file in ledger.parent.glob(f"{ledger.name}*"):
        file.write_bytes(b"")

    process = bikecollect("--config", config, *LEDGER_READERS[-1])
    verdict = bikecollect("--config", config, "verify", "city")

    assert "city: skipped: ledger.sqlite3 is empty; the next fetch" in process.stderr
    assert process.returncode == 74
    assert "city ledger.sqlite3: is empty" in verdict.stdout
    assert "bikecollect fetch city" in verdict.stdout.replace(f" --config {config}", "")


@pytest.mark.parametrize("command", LEDGER_READERS, ids=" ".join)
def test_a_lost_ledger_is_not_taken_for_no_runs(
    config: Path, command: tuple[str, ...]
) -> None:
    """The next fetch rebuilds it; those of the other system are printed."""
    (config.with_name("data") / "city" / "ledger.sqlite3").unlink()

    process = bikecollect("--config", config, *command)

    assert "town" in process.stdout
    assert "city" not in process.stdout.replace(str(config), "")
    lost = "city: skipped: ledger.sqlite3 is missing; the next fetch rebuilds it"
    assert lost in process.stderr
    assert process.returncode == 74


def test_verify_says_which_systems_it_did_not_verify(config: Path) -> None:
    """What agrees is only the other; with none left there is no verdict."""
    a_ledger_in_a_loop(config.with_name("data") / "city")
    one = bikecollect("--config", config, "verify").stdout
    a_ledger_in_a_loop(config.with_name("data") / "town")
    none = bikecollect("--config", config, "verify").stdout

    assert one.endswith(": all agree; not verified: city\n")
    assert none == ""


def test_an_unreadable_list_of_stations_is_taken_from_the_ledger(config: Path) -> None:
    """No system is skipped for it."""
    path = config.with_name("data") / "city" / "station_information.csv"
    path.unlink()
    path.symlink_to(path.name)

    process = bikecollect(
        "--config",
        config,
        "query",
        "SELECT DISTINCT system_id FROM stations ORDER BY 1",
    )

    assert process.stdout.split() == ["system_id", "city", "town"]
    assert str(path) in process.stderr
    assert process.returncode == 0


def test_what_a_report_rests_on_is_in_the_order_of_its_rows(config: Path) -> None:
    """The systems in the order of their names, not in that of the call."""
    words = ("report", "reliability", "town", "city", "--since", "2026-11-22")

    lines = bikecollect("--config", config, *words).stdout.splitlines()

    named = [line.split()[0] for line in lines if ": 2026-11-22 to " in line]
    assert named == ["city:", "town:"]
