"""``feeds update`` and ``feeds search``: the world's systems, on request."""

import csv
import io
import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from in_process import bikecollect
from json_shapes import documented
from served import Answer, serving

from bikecollect.cli.completion import complete_system
from bikecollect.cli.render import catalogue
from bikecollect.setup import loader

HEADER = (
    "Country Code,Name,Location,System ID,URL,Auto-Discovery URL,Supported Versions,"
    "Authentication Info URL,Authentication Type,Authentication Parameter Name\n"
)
ROWS = """\
NL,Fietsen,"Amsterdam, NL",fietsen,https://www.rondje.example,https://f.nl/g.json,2.3,,,
FR,Vélos de Nîmes,Nîmes,nimes,https://velos.example,https://n.fr/g.json,1.1 ; 3.0,,,
FR,Clé,Brest,brest,,https://b.fr/g.json,2.3,https://cle.example/key,2,X-Api-Key
DE,nextbike Berlin,Berlin,nextbike_bn,,https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_bn/gbfs.json,2.3,,,
"""
SAVED = Path(".local/share/bikecollect/catalogue.json")


def saved(rows: str = ROWS) -> CompletedProcess[str]:
    """Update the catalogue from a local file with *rows*."""
    Path("systems.csv").write_text(HEADER + rows, encoding="utf-8")
    return bikecollect("feeds", "update", "--from", "systems.csv")


def searched(*arguments: str) -> list[str]:
    """Return the ids that a search finds."""
    process = bikecollect("feeds", "search", *arguments, "--format", "json")
    return [json.loads(line)["system"] for line in process.stdout.splitlines()]


def test_a_list_is_saved_with_its_source() -> None:
    """Nothing but that file is written."""
    process = saved()

    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.splitlines() == [
        "4 systems, 4 new, 0 gone",
        "from: systems.csv",
        f"saved: {SAVED.absolute()}",
    ]
    assert list(SAVED.parent.iterdir()) == [SAVED]
    assert json.loads(SAVED.read_text())["source"] == "systems.csv"


def test_a_list_is_fetched_from_an_address() -> None:
    """The skipped rows are listed; a key in the address is saved nowhere."""
    body = (HEADER + ROWS + "DE,Bad,Bonn,bad,,javascript:x,,,,\n").encode()
    with serving(lambda _path: Answer(body)) as url:
        process = bikecollect(
            *("feeds", "update", "--format", "json"),
            *("--from", f"{url}/systems.csv?token=abcdefgh12345"),
        )
    (result,) = documented(process.stdout, catalogue.UPDATE_KEYS)

    assert (result["systems"], result["added"], result["removed"]) == (4, 4, 0)
    assert result["skipped"] == [{"line": 6, "reason": '"bad": not an http(s) address'}]
    assert "abcdefgh12345" not in SAVED.read_text()


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["amsterdam"], ["fietsen"]),
        (["AMSTERDAM", "fiets"], ["fietsen"]),
        (["nimes"], ["nimes"]),
        (["\uff2e\uff29\uff2d\uff25\uff33"], ["nimes"]),
        (["rondje.example"], ["fietsen"]),
        (["nextbike_bn"], ["nextbike_bn"]),
        (["nextbike", "berlin"], ["nextbike-berlin"]),
        (["atlantis"], []),
    ],
)
def test_a_system_is_found_by_its_words(words: list[str], ids: list[str]) -> None:
    """Case, accents and width are ignored; one feed is listed once."""
    saved()

    assert searched(*words) == ids


def test_a_country_can_be_chosen() -> None:
    """In lower case too, with the built-in systems."""
    saved()

    assert searched("--country", "fr") == [
        "velib-paris",
        "velov-lyon",
        "velotoulouse",
        "nimes",
        "brest",
    ]


def test_a_search_without_a_result_ends_with_1() -> None:
    """With what to do; without any words it is a usage error."""
    near = bikecollect("feeds", "search", "Pariss")
    assert (near.returncode, near.stderr) == (
        1,
        "bikecollect: did you mean velib-paris?\n",
    )
    assert bikecollect("feeds", "search", "atlantis").returncode == 1
    assert "feeds update" in bikecollect("feeds", "search", "atlantis").stdout
    assert bikecollect("feeds", "search").returncode == 64


def test_the_result_is_a_table_json_or_csv() -> None:
    """Each with all systems; no cell is a formula."""
    saved(ROWS.replace("Fietsen", "=cmd|x"))
    text = bikecollect("feeds", "search", "fietsen").stdout
    listed = bikecollect("feeds", "search", "fietsen", "--format", "csv").stdout
    (row,) = csv.DictReader(io.StringIO(listed))

    assert text.splitlines()[0].split() == ["id", "city", "in", "name"]
    assert row["system"] == "fietsen"
    assert row["name"] == "'=cmd|x"
    assert (row["country"], row["versions"], row["list"]) == ("NL", "2.3", "world")


def test_an_entry_is_shown_with_settings_that_load() -> None:
    """Written in full: another list changes no settings."""
    saved()
    process = bikecollect("feeds", "show", "nimes")
    settings = loader.parse(
        tomllib.loads(process.stdout[process.stdout.index("[systems") :])
    )

    assert "versions:  1.1, 3.0" in process.stdout
    assert settings.systems["nimes"].url == "https://n.fr/g.json"
    assert settings.systems["nimes"].timezone == "Europe/Paris"


def test_a_feed_with_a_key_shows_where_it_goes() -> None:
    """The settings have a place for the header."""
    saved()
    process = bikecollect("feeds", "show", "brest")
    init = bikecollect("init", "--here", "--yes", "--no-try", "--system", "brest")
    text = Path("bikecollect.toml").read_text()

    assert 'headers = {"X-Api-Key" = "KEY"}; get one at https://cle' in process.stdout
    assert init.returncode == 0
    assert "# a key in a header" in text
    assert loader.load("bikecollect.toml").systems["brest"].headers == {
        "X-Api-Key": "..."
    }


def test_completion_knows_the_entries() -> None:
    """Those of both lists."""
    saved()

    completions = complete_system(None, None, "NI")  # type: ignore[arg-type]

    assert [item.value for item in completions] == ["nimes"]


@pytest.mark.parametrize(
    ("body", "status", "code", "what"),
    [
        (b"<html>moved</html>", 200, 65, "HTML page"),
        (b"a,b\n1,2\n", 200, 65, "no columns"),
        (b"", 404, 69, "404"),
        (b"x" * 17_000_000, 200, 65, "too large|larger|bytes"),
    ],
    ids=["html", "other", "404", "huge"],
)
def test_a_failed_update_keeps_the_list(
    body: bytes, status: int, code: int, what: str
) -> None:
    """One line has the reason."""
    saved()
    before = SAVED.read_bytes()
    with serving(lambda _path: Answer(body, status)) as url:
        process = bikecollect("feeds", "update", "--from", f"{url}/systems.csv")

    assert process.returncode == code
    assert any(word in process.stderr for word in what.split("|"))
    assert len(process.stderr.splitlines()) == 1
    assert SAVED.read_bytes() == before


@pytest.mark.parametrize("source", ["ftp://x/s.csv", "absent.csv", ".", "pipe"])
def test_what_is_neither_file_nor_address_is_a_usage_error(source: str) -> None:
    """64; a FIFO is not waited for."""
    os.mkfifo("pipe")

    assert bikecollect("feeds", "update", "--from", source).returncode == 64


def test_a_list_without_most_systems_needs_force() -> None:
    """A much shorter list is probably truncated."""
    saved()
    cut = saved(ROWS.splitlines(keepends=True)[0])
    forced = bikecollect("feeds", "update", "--from", "systems.csv", "--force")

    assert cut.returncode == 65
    assert "--force" in cut.stderr
    assert forced.stdout.startswith("1 system, 0 new, 3 gone")


def test_a_damaged_list_is_reported_and_the_built_in_one_used() -> None:
    """And the next update replaces it."""
    saved()
    SAVED.write_text('{"systems": [{"a": 1}]}')
    process = bikecollect("feeds", "search", "velib")

    assert "velib-paris" in process.stdout
    assert "feeds update" in process.stderr
    assert saved().returncode == 0


def test_a_user_without_a_home_keeps_the_built_in_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An update says what to set."""
    saved()
    process = bikecollect("feeds", "update", "--from", "systems.csv", HOME="relative")

    assert process.returncode == 78
    assert "XDG_DATA_HOME" in process.stderr
    monkeypatch.setenv("HOME", "relative")
    assert bikecollect("feeds", "search", "velib").returncode == 0


def feeds_of(port: Callable[[], str]) -> Callable[[str], Answer]:
    """Return a server of three systems: with stations, without, and an empty list."""

    def answer(path: str) -> Answer:
        _, name, document = path.split("/")
        base = f"{port()}/{name}"
        names = {"free": ["free_bike_status"]}.get(name, ["station_information"])
        listed: list[dict[str, Any]] = [
            {"name": n, "url": f"{base}/{n}"} for n in names
        ]
        station = {"station_id": "1", "name": "S", "lat": 60.39, "lon": 5.32}
        stations = [station] if name == "docked" else []
        if document == "gbfs.json":
            data: dict[str, Any] = {"en": {"feeds": listed}}
        else:
            data = {"stations": stations}
        body = {"last_updated": 1, "ttl": 0, "version": "2.3", "data": data}
        return Answer(json.dumps(body).encode(), 500 if name == "down" else 200)

    return answer


def test_systems_with_stations_are_found_by_one_request() -> None:
    """Unreadable feeds are skipped and counted; the answers are stored."""
    requests: list[str] = []
    address: list[str] = []

    def answer(path: str) -> Answer:
        requests.append(path)
        return feeds_of(lambda: address[0])(path)

    with serving(answer) as url:
        address.append(url)
        names = ("docked", "free", "empty", "down")
        rows = "".join(f"XX,{n},Here,{n},,{url}/{n}/gbfs.json,2.3,,,\n" for n in names)
        saved(rows)
        first = bikecollect("feeds", "search", "--country", "xx", "--stations")
        number = len(requests)
        again = searched("--country", "xx", "--stations")

    assert [line.split()[0] for line in first.stdout.splitlines()] == ["id", "docked"]
    assert "1 feeds could not be read" in first.stderr
    assert again == ["docked"]
    assert requests[number:] == ["/down/gbfs.json"]


def test_a_list_that_is_updated_during_a_search_is_kept() -> None:
    """The search saves its answers in the new list, not in the one it began with."""
    address: list[str] = []

    def answer(path: str) -> Answer:
        saved(f"{rows}XX,new,Here,new,,{address[0]}/free/gbfs.json,2.3,,,\n")
        return feeds_of(lambda: address[0])(path)

    with serving(answer) as url:
        address.append(url)
        rows = f"XX,docked,Here,docked,,{url}/docked/gbfs.json,2.3,,,\n"
        saved(rows)
        searched("--country", "xx", "--stations")

    assert searched("--country", "xx") == ["docked", "new"]
    assert list(json.loads(SAVED.read_text())["stations"]) == [
        f"{address[0]}/docked/gbfs.json"
    ]


def test_a_foreign_list_cannot_lead_to_private_hosts() -> None:
    """Such as a router: only a list from the own network may name one."""
    requests: list[str] = []

    def answer(path: str) -> Answer:
        requests.append(path)
        return Answer(b"{}")

    with serving(answer) as url:
        saved(f"XX,N,Here,router,,{url}/gbfs.json,2.3,,,\n")
        values = json.loads(SAVED.read_text())
        SAVED.write_text(json.dumps({**values, "source": "https://list.example/s.csv"}))
        process = bikecollect("feeds", "search", "router", "--stations")

    assert requests == []
    assert process.returncode == 1


def test_init_accepts_a_system_of_the_list() -> None:
    """By its id; the zone is that of its stations if the feed has none."""
    address: list[str] = []

    def answer(path: str) -> Answer:
        name = path.strip("/").removesuffix(".json")
        names = ("station_information", "station_status")
        documents: dict[str, Any] = {
            "gbfs": {
                "en": {
                    "feeds": [{"name": n, "url": f"{address[0]}/{n}"} for n in names]
                }
            },
            "station_information": {
                "stations": [
                    {"station_id": "1", "name": "S", "lat": 60.39, "lon": 5.32}
                ]
            },
            "station_status": {
                "stations": [{"station_id": "1", "num_bikes_available": 3}]
            },
        }
        if name not in documents:
            return Answer(b"", 404)
        body = {"last_updated": 1, "ttl": 0, "version": "2.3", "data": documents[name]}
        return Answer(json.dumps(body).encode())

    with serving(answer) as url:
        address.append(url)
        saved(f"US,Coastal,Somewhere,coastal_bikes,,{url}/gbfs.json,2.3,,,\n")
        process = bikecollect("init", "--here", "--yes", "--system", "coastal_bikes")
    system = loader.load("bikecollect.toml").systems["coastal_bikes"]

    assert process.returncode == 0
    assert (system.feed, system.url) == ("gbfs", f"{url}/gbfs.json")
    assert system.timezone == "Europe/Oslo"
