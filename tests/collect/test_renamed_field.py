"""A renamed field: rejected, reported with the lines to paste, and nothing lost."""

import json
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from mailserver import MailServer
from publisher import Publisher, publishing
from served import Answer

from bikecollect.core.errors import Outcome, SettingsError
from bikecollect.core.process import Times
from bikecollect.setup.loader import parse
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.wiring.backfilling import backfiller

CITY = City(40)


def youbike(publisher: Publisher, **renames: str) -> None:
    """Serve the city at this slot's moment, with fields that have other names."""
    stations = json.loads(dialects.youbike(CITY, publisher.clock.now + 300))
    publisher.documents["/list"] = [
        {renames.get(key, key): value for key, value in station.items()}
        for station in stations
    ]


def backfill(publisher: Publisher) -> list[str]:
    """Fill what can be filled; return the result of each slot."""
    settings, clock = publisher.settings, publisher.clock
    times = Times(clock, clock, clock)
    span = (0, int(clock.now) + 1)
    work = backfiller(settings, "city", times, span=span, dry=False)  # type: ignore[arg-type]
    return [slot.what for slot in work.fill_from_payloads()]


def pasted(text: str) -> dict[str, str]:
    """Return the table of fields to paste, from a mail."""
    lines = [line.strip() for line in text.splitlines()]
    begin = lines.index("[systems.city.fields]")
    end = next(i for i in range(begin, len(lines)) if not lines[i])
    table: dict[str, Any] = tomllib.loads("\n".join(lines[begin:end]))
    fields: dict[str, str] = table["systems"]["city"]["fields"]
    return fields


@pytest.mark.parametrize(
    "renames",
    [
        {"available_rent_bikes": "rentable"},
        {"available_rent_bikes": "a", "available_return_bikes": "b", "Quantity": "c"},
        {"sno": "number"},
        {"available_return_bikes": "spaces_left", "sna": "title"},
    ],
)
def test_the_lines_of_the_mail_fix_a_renamed_field_and_no_slot_is_lost(
    tmp_path: Path, renames: dict[str, str]
) -> None:
    """Renamed, rejected, reported; the lines pasted; backfilled."""
    server = MailServer.new(tmp_path / "mail")
    with (
        publishing(tmp_path / "bikes", feed="youbike", path="/list") as city,
        server.up(),
    ):
        city.top = {"mail": server.settings(), "tell": {"mute": ["clock"]}}
        youbike(city)
        assert city.fetch().outcome is Outcome.COLLECTED
        for _ in range(3):
            youbike(city, **renames)
            assert city.fetch().outcome is Outcome.REJECTED
        (mail,) = server.mails()
        city.more = {**city.more, "fields": pasted(str(mail.get_content()))}
        youbike(city, **renames)
        after = city.fetch()
        filled = backfill(city)

        assert (
            pasted(str(mail.get_content())).items()
            >= {NAMES[old]: new for old, new in renames.items()}.items()
        )
        assert after.outcome is Outcome.COLLECTED
        assert filled.count("filled") == 3
        rows = city.all_rows()
        assert len(rows) == 5 * 40
        assert {row["capacity"] == "" for row in rows} == {False}
        assert {row["num_vehicles_available"] == "" for row in rows} == {False}


NAMES = {
    "available_rent_bikes": "num_vehicles_available",
    "available_return_bikes": "num_docks_available",
    "Quantity": "capacity",
    "sno": "station_id",
    "sna": "name",
}


@pytest.mark.parametrize("options", [("--dry-run",), ()])
def test_backfill_prints_the_lines_of_the_mail(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Those of the newest payload that is not understood, by the new name."""
    path = tmp_path / "bikecollect.toml"
    with publishing(tmp_path / "bikes", feed="youbike", path="/list") as city:
        youbike(city)
        city.fetch()
        youbike(city, available_rent_bikes="rentable")
        assert city.fetch().outcome is Outcome.REJECTED
    path.write_text(
        f'data_dir = "{city.folder}"\n[systems.city]\nfeed = "youbike"\n'
        f'url = "{city.base}/list"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )

    renamed = bikecollect("--config", path, "rename", "city", "town")
    process = bikecollect("--config", path, "backfill", *options)

    assert (renamed.returncode, process.returncode) == (0, 65)
    assert "\n  in the newest of these payloads, of 20" in process.stdout
    assert "\n\n[systems.town.fields]\n" in process.stdout
    assert '\nnum_vehicles_available = "rentable"\n' in process.stdout
    command = r'"rentable"\n\n  then run:\n +\S*bikecollect .*backfill town\n'
    assert re.search(command, process.stdout), process.stdout


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [("Quantity", "dock_total", "capacity"), ("latitude", "breite", "lat")],
)
def test_an_optional_renamed_field_is_reported_with_its_new_name(
    tmp_path: Path, old: str, new: str, column: str
) -> None:
    """The slot is collected; the notice has the lines and the share of equal values.

    Coordinates may have a decimal comma.
    """
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        for renames in ({}, {old: new}):
            youbike(city, **renames)
            stations: Any = city.documents["/list"]
            for station in stations:
                name = renames.get(old, old)
                station[name] = str(station[name]).replace(".", ",")
            run = city.fetch()

    texts = [notice.text for notice in run.notices if notice.kind == "fields"]
    assert run.outcome is Outcome.COLLECTED
    assert texts == [
        f"most likely a field was renamed: {old} is now {new} "
        "(40 of 40 stations have the same value)",
        "to continue, put these lines at the end of the settings file:",
        "[systems.city.fields]",
        f'{column} = "{new}"',
        "then run: bikecollect backfill city",
    ]


@pytest.mark.parametrize(
    ("more", "unread", "condition", "place", "new"),
    [
        ({}, "zz", "zz is its", "", "zz"),
        (
            {"yy": "1"},
            "zz, yy",
            "one of them is the",
            ", with it in place of NEW_NAME,",
            "NEW_NAME",
        ),
    ],
)
def test_a_new_name_that_nothing_supports_is_for_the_user_to_judge(
    tmp_path: Path,
    *,
    more: dict[str, str],
    unread: str,
    condition: str,
    place: str,
    new: str,
) -> None:
    """If the values differ, the fields are listed; the only one is in the lines."""
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        youbike(city)
        city.fetch()
        youbike(city, available_rent_bikes="zz")
        stations: Any = city.documents["/list"]
        for station in stations:
            station.update(more, zz="unknown")
        run = city.fetch()

    texts = [notice.text for notice in run.notices if notice.kind == "fields"]
    assert run.outcome is Outcome.REJECTED
    assert texts == [
        "it is unclear which field is now num_vehicles_available; unread fields: "
        f"{unread}",
        f"if {condition} new name, put these lines{place} at the end of the settings "
        "file:",
        "[systems.city.fields]",
        f'num_vehicles_available = "{new}"',
        "then run: bikecollect backfill city",
    ]


def test_without_earlier_values_similar_names_are_suggested(
    tmp_path: Path,
) -> None:
    """The very first payload is renamed: sbi_now is like sbi."""
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        youbike(city, available_rent_bikes="sbi_now")
        run = city.fetch()

    texts = [notice.text for notice in run.notices if notice.kind == "fields"]
    assert texts[-3:-1] == [
        "[systems.city.fields]",
        'num_vehicles_available = "sbi_now"',
    ]


def test_the_fields_of_a_gbfs_feed_can_be_named_too(tmp_path: Path) -> None:
    """A status and a list of stations with unusual names."""
    with publishing(
        tmp_path, fields={"num_vehicles_available": "bikes.free", "capacity": "size"}
    ) as city:
        feeds = [
            {"name": name, "url": f"BASE/{name}"}
            for name in ("station_status", "station_information")
        ]
        status = {"station_id": "a", "bikes": {"free": 3}, "num_docks_available": 1}
        names = {"station_id": "a", "name": "Hall", "size": 12}
        city.documents = {
            "/gbfs.json": {"data": {"feeds": feeds}},
            "/station_status": {"data": {"stations": [status]}},
            "/station_information": {"data": {"stations": [names]}},
        }
        run = city.fetch()

        (row,) = city.rows()
        assert run.outcome is Outcome.COLLECTED
        assert (row["num_vehicles_available"], row["capacity"]) == ("3", "12")


def test_a_gbfs_field_that_vanishes_is_reported_with_the_existing_table(
    tmp_path: Path,
) -> None:
    """The lines include the fields of the settings: they replace that table."""
    with publishing(tmp_path, fields={"capacity": "size"}) as city:
        feeds = [{"name": "station_status", "url": "BASE/station_status"}]
        stations = [
            {"station_id": str(n), "num_bikes_available": n, "num_docks_available": 9}
            for n in range(20)
        ]
        city.documents = {
            "/gbfs.json": {"data": {"feeds": feeds}},
            "/station_status": {"data": {"stations": stations}},
        }
        city.fetch()
        for station in stations:
            station["free"] = station.pop("num_bikes_available")
        run = city.fetch()

    texts = [notice.text for notice in run.notices if notice.kind == "fields"]
    assert run.outcome is Outcome.REJECTED
    assert "in place of that table" in texts[1]
    assert texts[2:] == [
        "[systems.city.fields]",
        'capacity = "size"',
        'num_vehicles_available = "free"',
        "then run: bikecollect backfill city",
    ]


def test_the_known_spelling_is_read_besides_a_configured_one(tmp_path: Path) -> None:
    """No slot is lost when a publisher reverts its rename."""
    fields = {"num_vehicles_available": "rentable"}
    with publishing(tmp_path, feed="youbike", path="/list", fields=fields) as city:
        youbike(city)
        assert city.fetch().outcome is Outcome.COLLECTED
        youbike(city, available_rent_bikes="rentable")
        assert city.fetch().outcome is Outcome.COLLECTED


def test_stamps_of_another_form_can_be_named(tmp_path: Path) -> None:
    """stamp_format is strptime's; a notice reported the empty column."""
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        youbike(city)
        stations: Any = city.documents["/list"]
        for station in stations:
            station["infoTime"] = "11/22/2026 00:04:00"
        first = city.fetch()
        city.more = {**city.more, "fields": {"stamp_format": "%m/%d/%Y %H:%M:%S"}}
        city.fetch()

        assert [n.kind for n in first.notices if "last_reported" in n.text] == ["drift"]
        assert city.rows()[0]["last_reported"] == "2026-11-22T00:04:00+08:00"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"capcity": "size"}, 'unknown column "capcity" in systems.city.fields, did'),
        ({"capacity": ""}, "systems.city.fields.capacity is empty"),
        ({"capacity": 3}, "systems.city.fields"),
        (
            {"stamp_format": f"%{'1' * 5_000}d"},
            "systems.city.fields.stamp_format is too long: 5002 characters, more than",
        ),
        ({"stamp_format": "%a %d.%m. %H:%M"}, "has no year"),
        ({"stamp_format": "%d.%m.%Y %I:%M"}, "hours of 12 without AM or PM"),
    ],
)
def test_a_wrong_table_of_fields_is_a_settings_error(
    fields: dict[str, object], words: str
) -> None:
    """Before any network access, with the nearest column."""
    system = {"feed": "youbike", "url": "http://localhost/", "timezone": "Asia/Taipei"}

    with pytest.raises(SettingsError, match=words):
        parse({"systems": {"city": {**system, "fields": fields}}})


def test_a_large_city_is_compared_quickly(tmp_path: Path) -> None:
    """Comparing three fields of 1,700 stations does not lose a slot."""
    big = City(1700)
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        city.documents["/list"] = Answer(dialects.youbike(big, city.clock.now + 300))
        city.fetch()
        stations = json.loads(dialects.youbike(big, city.clock.now + 300))
        renames = {"sno": "no", "Quantity": "q", "available_rent_bikes": "r"}
        city.documents["/list"] = [
            {renames.get(k, k): v for k, v in station.items()} for station in stations
        ]
        began = time.process_time()
        run = city.fetch()

    assert run.outcome is Outcome.REJECTED
    assert time.process_time() - began < 5.0
