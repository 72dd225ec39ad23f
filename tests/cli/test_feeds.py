"""``bikecollect feeds``: the list, and a try of a feed, with nothing written."""

import json
import time
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from in_process import bikecollect
from json_shapes import documented
from served import Answer, serving

from bikecollect.cli.commands.feeds import TRIAL_KEYS
from bikecollect.cli.render import catalogue
from bikecollect.setup import first_run, loader
from bikecollect.setup.catalogue import lookup
from bikecollect.setup.catalogue.entry import WORLD, Entry
from bikecollect.setup.tables.toml_values import toml_value
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

MISSING = Answer(b"gone", 404)


def gbfs(*, folder: str = "", version: str = "2.3", age: int = 0) -> Any:
    """Return the answers of a small GBFS feed below *folder*."""

    def answer(path: str) -> Answer:
        name = path.removeprefix(folder).strip("/").removesuffix(".json")
        if not path.startswith(folder) or name not in FILES:
            return MISSING
        base = f"http://127.0.0.1:{answer.port}{folder}"  # type: ignore[attr-defined]
        data = json.loads(json.dumps(FILES[name]).replace("BASE", base))
        stamp = int(time.time()) - age
        about = {"last_updated": stamp, "ttl": 10, "version": version, "data": data}
        return Answer(json.dumps(about).encode())

    return answer


def tried(answer: Any, path: str, *more: str) -> tuple[int, Any, str]:
    """Try *path* of *answer*; return the code, the JSON, and stderr."""
    with serving(answer) as url:
        answer.port = url.rpartition(":")[2]
        process = bikecollect("feeds", "try", url + path, "--format", "json", *more)
    trials = documented(process.stdout, TRIAL_KEYS) if process.stdout else []
    trial = trials[0] if trials else None
    return process.returncode, trial, process.stderr


def always(body: bytes, status: int = 200) -> Callable[[str], Answer]:
    """Return a server that answers *body* to every request."""

    def answer(_path: str) -> Answer:
        return Answer(body, status)

    return answer


STATIONS = [
    {
        "station_id": str(n),
        "num_bikes_available": n,
        "num_docks_available": 9 - n,
        "is_renting": True,
        "last_reported": 1_795_000_000,
    }
    for n in range(8)
]
FILES: dict[str, Any] = {
    "gbfs": {
        "en": {
            "feeds": [
                {"name": name, "url": f"BASE/{name}.json"}
                for name in (
                    "system_information",
                    "station_information",
                    "station_status",
                )
            ]
        }
    },
    "system_information": {
        "system_id": "Tiny Town",
        "name": "Tiny Bikes",
        "operator": "Tiny Inc.",
        "timezone": "Europe/Oslo",
    },
    "station_information": {
        "stations": [
            {"station_id": str(n), "name": f"S{n}", "lat": 1, "lon": 2, "capacity": 9}
            for n in range(1, 10)
        ]
    },
    "station_status": {"stations": [*STATIONS, STATIONS[0], {"station_id": None}]},
}


def test_a_gbfs_feed_is_described_with_its_oddities() -> None:
    """Name, zone, version, counts; dropped, duplicate and unmatched stations."""
    code, trial, stderr = tried(gbfs(age=3600), "/gbfs.json")

    assert (code, stderr) == (0, "")
    assert trial["feed"] == "gbfs"
    assert (trial["version"], trial["ttl_s"]) == ("2.3", 10)
    assert (trial["name"], trial["operator"]) == ("Tiny Bikes", "Tiny Inc.")
    assert (trial["system"], trial["timezone"]) == ("tiny-town", "Europe/Oslo")
    assert trial["stations"] == 8
    assert trial["with"]["capacity"] == 7
    assert 3600 <= trial["age_s"] < 3660
    assert trial["oddities"] == [
        "1 of 10 stations have no id that can be read and are not stored, such as "
        "{'station_id': null}",
        "1 station with an id of another: the first is used",
        "the feed's own stamp is 60 min old",
        "1 station without station information",
        "2 stations without a status",
    ]


def test_places_without_towns_give_no_time_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Latitude and longitude may be exchanged: the zone is unknown, and it is said."""
    swapped = [{"station_id": str(n), "lat": -74, "lon": 40.7} for n in range(8)]
    monkeypatch.setitem(FILES, "station_information", {"stations": swapped})
    monkeypatch.delitem(FILES["system_information"], "timezone")

    code, trial, _ = tried(gbfs(), "/gbfs.json")

    assert (code, trial["timezone"]) == (0, None)
    about = [text for text in trial["oddities"] if "no town" in text]
    assert about == [
        "8 of 8 stations lie where no town is, such as -74.0, 40.7 (lat, lon): both "
        "may be exchanged; they are stored unchanged"
    ]


def test_stations_under_two_ids_are_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the first run, which would report it."""
    listed = [
        {
            "station_id": f"{kind}{n}",
            "name": f"S{n}",
            "lat": 59.9,
            "lon": 10.7 + n / 100,
        }
        for kind in "ab"
        for n in range(12)
    ]
    monkeypatch.setitem(FILES, "station_information", {"stations": listed})

    _, trial, _ = tried(gbfs(), "/gbfs.json")

    start = "12 of 24 stations have the name and place of another one"
    assert [text.startswith(start) for text in trial["oddities"]].count(True) == 1


def test_the_printed_settings_are_valid(tmp_path: Path) -> None:
    """Pasted into a file, they are read, and collect that feed."""
    _, trial, _ = tried(gbfs(), "/gbfs.json")

    settings = loader.parse(tomllib.loads(trial["settings"]))

    assert settings.systems["tiny-town"].url == trial["url"]
    assert settings.systems["tiny-town"].timezone == "Europe/Oslo"


def test_the_printed_settings_of_a_configured_system_are_complete(
    tmp_path: Path,
) -> None:
    """Pasted in place of its table, they collect the same columns and stations."""
    stations = [{"id": str(number), "n": 3, "size": 9} for number in range(3)]
    path = tmp_path / "bikecollect.toml"
    with serving(lambda _: Answer(json.dumps(stations).encode())) as url:
        table = {
            "feed": "mapped",
            "url": f"{url}/",
            "timezone": "UTC",
            "columns": ["weekday"],
            "only": {"station_id": ["1", "2"]},
            "mapping": {"station_id": "id", "num_vehicles_available": "n"},
            "max_body": "1MiB",
            "trust_env": True,
        }
        lines = (f"{key} = {toml_value(value)}\n" for key, value in table.items())
        path.write_text(f"[systems.any]\n{''.join(lines)}", encoding="utf-8")
        words = ("--config", path, "feeds", "try", "any")
        process = bikecollect(*words, "--format", "json")
        shown = bikecollect(*words).stdout

    printed = json.loads(process.stdout)["settings"]
    assert tomllib.loads(printed) == {"systems": {"any": table}}
    assert shown.endswith(printed)


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("/a", "/a/station_status.json"),
        ("/a", "/a/station_information.json"),
        ("", "/system_information.json"),
    ],
)
def test_any_file_of_a_gbfs_feed_leads_to_its_gbfs_json(folder: str, path: str) -> None:
    """The gbfs.json beside it is found."""
    code, trial, _ = tried(gbfs(folder=folder), path)

    assert code == 0
    assert trial["url"].endswith(f"{folder}/gbfs.json")
    assert trial["system"] == "tiny-town"


def test_a_gbfs_file_without_a_gbfs_json_names_the_expected_address() -> None:
    """65, and the address that is required."""
    body = json.dumps({"last_updated": 1, "ttl": 1, "data": {"bikes": []}}).encode()

    def answer(path: str) -> Answer:
        return Answer(body) if path == "/x/free_bike_status.json" else MISSING

    code, _, stderr = tried(answer, "/x/free_bike_status.json")

    assert code == 65
    assert "give the address of the gbfs.json" in stderr
    assert stderr.count("\n") == 1


def test_an_object_store_answers_403_for_a_missing_file() -> None:
    """The next guess is tried: the file itself was given without credentials."""
    good = gbfs()

    def answer(path: str) -> Answer:
        found = good(path.removeprefix("/en") if "status" in path else path)
        return (
            Answer(b"<Error>AccessDenied</Error>", 403) if found == MISSING else found
        )

    with serving(answer) as url:
        good.port = url.rpartition(":")[2]
        place = f"{url}/en/station_status.json"
        process = bikecollect("feeds", "try", place, "--format", "json")

    assert json.loads(process.stdout)["url"] == f"{url}/gbfs.json"


@pytest.mark.parametrize("data", [None, [{"id": 1, "bikes": 3}]])
def test_a_stamp_alone_makes_no_gbfs(data: object) -> None:
    """Other JSON has `last_updated` too; the hint is the mapping."""
    body = json.dumps({"last_updated": 1, "data": data, "places": [1]}).encode()

    code, _, stderr = tried(always(body), "/feed.json")

    assert code == 65
    assert 'feed = "mapped"' in stderr


@pytest.mark.parametrize(("status", "code"), [(401, 77), (500, 69)])
def test_only_a_missing_file_leads_to_another_guess(status: int, code: int) -> None:
    """Any other failure ends the try, without a further request."""
    requests: list[str] = []
    body = json.dumps({"last_updated": 1, "ttl": 1, "data": {"bikes": []}}).encode()

    def answer(path: str) -> Answer:
        requests.append(path)
        return Answer(body) if path == "/x/y/bikes.json" else Answer(b"", status)

    exit_code, _, _ = tried(answer, "/x/y/bikes.json")

    assert exit_code == code
    assert set(requests) == {"/x/y/bikes.json", "/x/y/gbfs.json"}


def test_a_try_makes_two_attempts_at_most() -> None:
    """A person waits: a permanent failure is reported soon."""
    requests: list[str] = []

    def answer(path: str) -> Answer:
        requests.append(path)
        return Answer(b"", 500)

    exit_code, _, _ = tried(answer, "/gbfs.json", "--feed", "gbfs")

    assert exit_code == 69
    assert requests == ["/gbfs.json"] * 2


def test_a_youbike_list_is_recognised() -> None:
    """Its zone is Taiwan's, and unused fields are named."""
    stations = json.loads(dialects.youbike(City(40), time.time()))
    body = json.dumps([{**station, "novelty": 1} for station in stations]).encode()

    code, trial, _ = tried(always(body), "/dotapp/youbike_immediate.json")

    assert code == 0
    assert (trial["feed"], trial["timezone"]) == ("youbike", "Asia/Taipei")
    assert (trial["system"], trial["stations"]) == ("youbike_immediate", 40)
    assert trial["oddities"] == ["fields that are not read: novelty"]


def test_a_zone_that_does_not_fit_is_not_in_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in those of `feeds try` nor of `init`: a list of Vancouver.

    The world list has no better one.
    """
    pytest.importorskip("tzfpy")
    now, place = time.time(), {"latitude": 49.3, "longitude": -123.1}
    local = datetime.fromtimestamp(now, ZoneInfo("America/Vancouver"))
    apart = timedelta(hours=8) - (local.utcoffset() or timedelta(0))
    stations = json.loads(dialects.youbike(City(40), now - apart.total_seconds()))
    body = json.dumps([{**station, **place} for station in stations]).encode()

    _, trial, _ = tried(always(body), "/dotapp/youbike_immediate.json")
    with serving(always(body)) as url:
        address = f"{url}/dotapp/youbike_immediate.json"
        new, notes = first_run.try_feed(address)
        zone = "Asia/Taipei"
        known = Entry(
            "own", "Own", "", "TW", "", zone, "youbike", address, source=WORLD
        )
        monkeypatch.setattr(lookup, "find", lambda _: known)
        listed, _ = first_run.try_feed(address)

    assert 'timezone = "America/Vancouver"' in trial["settings"]
    assert new.system.timezone == "America/Vancouver"
    assert (listed.system_id, listed.system.timezone) == ("own", "America/Vancouver")
    assert 'timezone = "Asia/Taipei" is probably wrong' in notes


def test_a_citybikes_network_is_recognised() -> None:
    """It has no zone: the settings have a placeholder for it."""
    station = {"id": "a", "free_bikes": 3, "empty_slots": 4}
    network = {"id": "tiny", "name": "Tiny", "stations": [station]}
    body = json.dumps({"network": network}).encode()

    code, trial, _ = tried(always(body), "/v2/networks/tiny")

    assert (code, trial["feed"], trial["name"]) == (0, "citybikes", "Tiny")
    assert trial["timezone"] is None
    assert 'timezone = "Area/City"  # unknown to the feed' in trial["settings"]


def test_an_address_without_json_is_named() -> None:
    """And what is there."""
    code, _, message = tried(always(b"<html><title>Bikes</title></html>"), "/map")

    assert code == 65
    assert "/map is a web page (HTML), not JSON" in message


def test_the_list_of_citybikes_networks_is_called_so() -> None:
    """It is no feed; the message says what the address of a network looks like."""
    body = json.dumps({"networks": [{"id": "tiny", "name": "Tiny"}]}).encode()

    code, _, message = tried(always(body), "/v2/networks")

    assert code == 65
    assert "/v2/networks is CityBikes' list of all networks" in message
    assert "such as /v2/networks/tiny" in message


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        (b"<html>hello</html>", 200, 65, "is a web page (HTML), not JSON; it begins"),
        (b'{"a": 1}', 200, 65, 'feed = "mapped"'),
        (b"[]", 200, 65, "no stations"),
        (b'{"network": {"stations": []}}', 200, 65, "no stations"),
        (b"", 404, 69, "answered HTTP 404"),
        (b"", 401, 77, "credentials"),
    ],
)
def test_what_cannot_be_collected_ends_with_its_code_and_one_line(
    body: bytes, status: int, code: int, word: str
) -> None:
    """One line that says why, and nothing on stdout."""
    exit_code, trial, stderr = tried(always(body, status), "/feed.json")

    assert (exit_code, trial) == (code, None)
    assert word in stderr
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr


def test_a_try_writes_nothing_and_fits_a_terminal() -> None:
    """No file in home or folder; lines of 80 columns at most."""
    answer = gbfs()
    with serving(answer) as url:
        answer.port = url.rpartition(":")[2]
        process = bikecollect("feeds", "try", f"{url}/gbfs.json")

    assert process.returncode == 0
    assert "[systems.tiny-town]" in process.stdout
    assert max(map(len, process.stdout.splitlines())) <= 80
    assert list(Path().rglob("*")) == []


@pytest.mark.parametrize(
    ("asked", "word"),
    [("bixi", "bixi-montreal"), ("ftp://x", "https://"), ("atlantis", "feeds")],
)
def test_an_unknown_name_is_reported_with_suggestions(asked: str, word: str) -> None:
    """78 before any network access (fault 90)."""
    process = bikecollect("feeds", "try", asked)

    assert process.returncode == 78
    assert word in process.stderr


def test_the_list_is_for_people_and_for_scripts() -> None:
    """One line per system, 80 columns at most; JSON has the addresses."""
    text = bikecollect("feeds").stdout
    found = bikecollect("feeds", "--find", "paris", "--format", "json").stdout
    entry, *_ = documented(found, catalogue.KEYS)

    assert max(map(len, text.splitlines())) <= 80
    assert "youbike-taipei" in text.splitlines()[1]
    assert entry["system"] == "velib-paris"
    assert entry["url"].startswith("https://")


def test_one_entry_is_shown_with_its_settings() -> None:
    """Its name is a complete setting; a similar name is suggested."""
    process = bikecollect("feeds", "show", "velib-paris")
    unknown = bikecollect("feeds", "show", "velib")

    assert process.stdout.endswith("[systems.velib-paris]\n")
    assert "Europe/Paris" in process.stdout
    assert unknown.returncode == 78
    assert "velib-paris" in unknown.stderr
