"""Trying and checking systems that have vehicles only."""

from pathlib import Path

import pytest
from publisher import publishing
from vehicles import publish, station, vehicle

from bikecollect.cli.commands.feeds import _trial_text
from bikecollect.setup import first_run, probe


def test_a_try_prints_the_settings_for_a_system_without_stations(
    tmp_path: Path,
) -> None:
    """They can be pasted."""
    with publishing(tmp_path) as city:
        publish(city, [vehicle(), vehicle("b"), vehicle("b")])
        trial = probe.try_feed(f"{city.base}/gbfs.json")
    text = _trial_text(trial)

    assert trial.counts == "2 vehicles"
    assert trial.oddities == (
        "no stations: set `vehicles = true` to collect the system's vehicles",
        "1 vehicle with an id of another: the first is used",
    )
    assert "vehicles = true\n" in text
    assert "vehicles:             2" in text


def test_init_writes_the_setting(tmp_path: Path) -> None:
    """The settings have what was tried."""
    with publishing(tmp_path) as city:
        publish(city, [vehicle()])
        new, text = first_run.try_feed(f"{city.base}/gbfs.json")

    assert new.system.vehicles is True
    assert "1 vehicle in" in text


def test_a_system_that_collects_both_is_tried_for_both(tmp_path: Path) -> None:
    """Like `fetch`."""
    with publishing(tmp_path, vehicles=True) as city:
        publish(city, [vehicle(), vehicle("b")], stations=[station()])
        trial = probe.try_system("city", city.settings.systems["city"])
        without = probe.try_feed(f"{city.base}/gbfs.json")

    assert trial.counts == "1 station, 2 vehicles"
    assert trial.has_stations
    assert "vehicles:             listed too: set `vehicles =" in _trial_text(without)


def test_the_doctor_knows_a_system_without_stations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting its vehicles are tried, without it is rejected."""
    with publishing(tmp_path, vehicles=True) as city:
        publish(city, [vehicle()])
        trial = probe.try_system("city", city.settings.systems["city"])
        city.more = {}
        with pytest.raises(Exception, match="set `vehicles = true`"):
            probe.try_system("city", city.settings.systems["city"])

    assert trial.counts == "1 vehicle"
    assert trial.oddities == (), "the setting is there"
