"""``bikecollect status --all``: systems of several settings files and of mirrors."""

import json
import os
import time
from pathlib import Path

import pytest
from in_process import bikecollect
from json_shapes import documented
from keeping import two_past_days
from mirrored import City, mirrored_city
from s3server import Proxy
from served import serving
from test_fetch import GOOD, settings
from world import World

from bikecollect.cli.render.programs import status_json
from bikecollect.cli.surveying.several import MIRRORED_KEYS


def place(folder: Path, name: str, url: str) -> Path:
    """Return the settings file of the host *name*."""
    (folder / name).mkdir()
    config = folder / name / "bikecollect.toml"
    config.write_bytes(settings(folder / name, url, interval="1h").read_bytes())
    return config


@pytest.fixture
def hosts(tmp_path: Path) -> list[Path]:
    """Return the settings of two hosts; the first one has never run."""
    configs = []
    with serving(lambda _: GOOD) as url:
        for name in ("a", "b"):
            configs.append(place(tmp_path, name, url))
            if name == "b":
                process = bikecollect("--config", configs[-1], "fetch")
                assert process.returncode == 0, process.stderr
    old = time.time() - 200_000
    os.utime(configs[0], (old, old))
    return configs


def test_each_system_of_several_files_is_a_line_trouble_first(
    hosts: list[Path],
) -> None:
    """The name has its folder, as all hosts may collect a system of the same name."""
    process = bikecollect("status", "--all", *reversed(hosts))

    lines = process.stdout.splitlines()
    assert process.returncode == 0, process.stderr
    text = " ".join(process.stdout.split())
    assert text.index(f"{hosts[0].parent}: ") < text.index(f"{hosts[1].parent}: ")
    assert "late" in text
    assert "all is well" in text
    assert len(lines) >= 2


def test_a_folder_stands_for_the_settings_in_it(hosts: list[Path]) -> None:
    """Of the folder itself, or of the folders in it; each once."""
    above = hosts[0].parent.parent
    process = bikecollect(
        *("status", "--all", "--format", "json", above, hosts[1].parent, hosts[1])
    )

    rows = documented(process.stdout, status_json.KEYS)
    assert [row["settings"] for row in rows] == [str(path) for path in hosts]
    assert [row["late"] for row in rows] == [True, False]
    assert all("interval_s" in row for row in rows)


def test_alert_names_what_is_late_and_ends_with_1(hosts: list[Path]) -> None:
    """Nothing is printed for a host where all is well."""
    process = bikecollect("status", "--all", "--alert", *hosts)
    well = bikecollect("status", "--all", "--alert", hosts[1])

    assert process.returncode == 1
    assert str(hosts[0].parent) in process.stdout
    assert str(hosts[1].parent) not in process.stdout
    assert (well.returncode, well.stdout) == (0, "")


@pytest.mark.parametrize("broken", ["[nonsense", "data_dir = 3"])
def test_unreadable_settings_do_not_hide_the_others(
    hosts: list[Path], broken: str
) -> None:
    """They are named, and the exit code is theirs."""
    hosts[0].write_text(broken)

    process = bikecollect("status", "--all", *hosts)

    assert process.returncode == 78
    assert str(hosts[0]) in process.stderr
    assert "all is well" in process.stdout
    assert "Traceback" not in process.stderr


def test_a_place_without_settings_is_an_error(tmp_path: Path) -> None:
    """An empty folder, a file that does not exist, or no place at all."""
    (tmp_path / "empty").mkdir()
    empty = bikecollect("status", "--all", tmp_path / "empty")
    absent = bikecollect("status", "--all", tmp_path / "absent.toml")
    none = bikecollect("status", "--all")

    assert empty.returncode == 74
    assert f"there is no bikecollect.toml in {tmp_path / 'empty'}" in empty.stderr
    assert absent.returncode == 78
    assert none.returncode == 64
    assert "--all requires settings files" in none.stderr


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two days long past."""
    for name in ("duckdb", "obstore", "moto"):
        pytest.importorskip(name)
    return two_past_days(folder)


@pytest.fixture
def city(world: World, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the world with a mirror that has its two days."""
    city = mirrored_city(world.folder, config, s3_proxy, tmp_path)
    city.run("compact", "--csv-days", "0")
    return city


def test_the_systems_of_a_mirror_are_shown(city: City) -> None:
    """With their archived days; nothing new for two days is late."""
    process = city.run("status", "--all", "--format", "json", city.address)
    alert = city.run("status", "--all", "--alert", city.address)

    (row,) = documented(process.stdout, MIRRORED_KEYS)
    assert process.returncode == 0, process.stderr
    assert (row["mirror"], row["system"]) == (city.address, "city")
    assert (row["days"], row["late"]) == (2, True)
    assert (row["first_day"], row["last_day"]) == ("2024-06-05", "2024-06-06")
    assert alert.returncode == 1
    assert f"{city.address}: city: late: data " in alert.stdout


def test_the_copied_ledger_of_a_mirror_has_newer_data(city: City) -> None:
    """`push --live` brings slots of today, which no certificate has."""
    with serving(lambda _: GOOD) as url:
        text = city.config.read_text()
        old = next(line for line in text.splitlines() if line.startswith("url = "))
        city.config.write_text(text.replace(old, f'url = "{url}"'))
        fetched = city.run("fetch")
    pushed = city.run("push", "--live")
    process = city.run("status", "--all", "--format", "json", city.address)

    assert (fetched.returncode, pushed.returncode) == (0, 0), pushed.stderr
    row = json.loads(process.stdout)
    assert row["late"] is False
    assert row["behind_s"] < 86_400


def test_a_mirror_that_cannot_be_reached_is_an_error(city: City) -> None:
    """Other places are shown all the same."""
    process = city.run(*("status", "--all", city.address, "s3://no-such-bucket-here/x"))
    assert process.returncode != 0
    assert "s3://no-such-bucket-here/x" in process.stderr
    assert "city" in process.stdout
