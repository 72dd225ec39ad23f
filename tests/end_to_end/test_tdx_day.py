"""A simulated day of a city by TDX: collected, compacted, verified, exported, shown."""

import csv
import io
import json
from pathlib import Path

import pytest
from app_pages import page_script, said, show_data_of
from in_process import bikecollect
from tokens import BEGIN, Platform, platform

from bikecollect.app.queries.service import DataService
from bikecollect.simulator.city import City

INTERVAL = 1_800


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Return a platform whose city was collected for a day, and a slot of the next."""
    folder = tmp_path_factory.mktemp("tdx")
    with pytest.MonkeyPatch.context() as patch:
        (folder / "home").mkdir()
        patch.setenv("HOME", str(folder / "home"))
        with platform(folder, city=City(15), interval="30min", lifetime=7_200) as own:
            for slot in range(49):
                own.clock.now = BEGIN + slot * INTERVAL - 300
                assert own.fetch().rows == 15
            file = folder / "bikecollect.toml"
            file.write_text(
                f'data_dir = "{folder}"\ninterval = "30min"\n[systems.city]\n'
                f'feed = "tdx"\nurl = "{own.settings.systems["city"].url}"\n'
                'timezone = "Asia/Taipei"\n[systems.city.oauth2]\n'
                f'token_url = "{own.base}/token"\nclient_id = "me"\n'
                'client_secret_file = "secret"\n'
            )
            file.chmod(0o600)
    return own


def _run(own: Platform, *arguments: str) -> str:
    config = str(own.folder / "bikecollect.toml")
    process = bikecollect("--config", config, *arguments)
    assert process.returncode == 0, process.stderr
    return str(process.stdout)


def test_tokens_were_renewed_before_they_expired(day: Platform) -> None:
    """Each is valid for two hours: a day needs about twelve, and none was rejected."""
    assert 12 <= len(day.issued) <= 16
    assert len(day.bearers) < 60


def test_the_rows_have_bikes_ebikes_and_capacity(day: Platform) -> None:
    """Counts are from the availability, names and capacity from the stations."""
    text = (day.folder / "city/station_status/2026-11-22.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    stations = (day.folder / "city/station_information.csv").read_text("utf-8")
    named = list(csv.DictReader(io.StringIO(stations)))

    assert len(rows) == 48 * 15
    assert rows[0]["station_id"] == "SIM990000001"
    assert int(rows[0]["num_ebikes_available"]) <= int(
        rows[0]["num_vehicles_available"]
    )
    assert rows[0]["last_reported"].endswith("+08:00")
    assert len(named) == 15
    assert (named[0]["capacity"], named[0]["name"][:3]) != ("", "")


def test_the_day_is_compacted_verified_exported_and_shown(day: Platform) -> None:
    """Each command is called like by a user."""
    _run(day, "compact")
    verified = _run(day, "verify")
    exported = _run(day, "export", "--since", "2026-11-22", "--until", "2026-11-22")
    status = json.loads(_run(day, "status", "--format", "json").splitlines()[0])

    assert (day.folder / "archive/station_status/system_id=city").is_dir()
    assert "city" in verified
    assert exported.count("\n") == 48 * 15 + 1
    assert status["system"] == "city"


@pytest.mark.filterwarnings("ignore")
def test_the_app_shows_the_stations_of_the_newest_slot(
    day: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is run by Streamlit's own AppTest."""
    testing = pytest.importorskip("streamlit.testing.v1")
    service = DataService(day.settings, clock=day.clock)
    show_data_of(service, monkeypatch)

    page = testing.AppTest.from_function(
        page_script, args=("now",), default_timeout=60
    ).run()
    service.close()

    assert list(page.exception) == []
    assert "15 of 15 stations shown" in said(page)


def test_token_and_secret_are_in_no_file_of_the_day(day: Platform) -> None:
    """Except the state folder, and the file with the secret."""
    for path in day.folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(day.folder / "home"):
            data = path.read_bytes()
            assert b"token-number" not in data
            assert path == day.secret_file or b"s3cret" not in data


def test_a_copy_of_the_settings_without_secret_file_only_reads(
    day: Platform, tmp_path: Path
) -> None:
    """What needs the secret names the key, the path, and the reason."""
    config = tmp_path / "c.toml"
    config.write_text((day.folder / "bikecollect.toml").read_text())
    config.chmod(0o600)

    status, check, fetch = (
        bikecollect("--config", str(config), *words)
        for words in (("status",), ("config", "check"), ("fetch", "--dry-run"))
    )

    assert (status.returncode, status.stderr) == (0, "")
    assert (check.returncode, fetch.returncode) == (78, 78)
    assert "systems.city.oauth2.client_secret_file: cannot read" in check.stderr
    assert "oauth2.client_secret_file: cannot read" in fetch.stderr
