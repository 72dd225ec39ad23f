"""`doctor` and `feeds try` use the same settings and limits as `fetch`."""

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, good, moved
from in_process import bikecollect
from test_client import tls_server

from bikecollect.setup import loader
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

SECRET = 'headers = {Authorization = "Bearer swordfish-1234"}'


def stations() -> bytes:
    """Return a list of seven stations that was made now: a late one is not good."""
    return dialects.youbike(City(7), time.time())


def settings(folder: Path, url: str, more: str = "", feed: str = "youbike") -> Path:
    """Write the settings of one system; return their path."""
    path = folder / "bikecollect.toml"
    path.touch(0o600)
    path.write_text(
        f'data_dir = "data"\ninterval = "1min"\n[systems.city]\nfeed = "{feed}"\n'
        f'url = "{url}"\ntimezone = "Asia/Taipei"\n{more}\n',
        encoding="utf-8",
    )
    return path


def checked(path: Path) -> dict[str, str]:
    """Return the doctor's lines about the feed, by verdict."""
    process = bikecollect("--config", path, "doctor", "--format", "json")
    checks = [json.loads(line) for line in process.stdout.splitlines()]
    (feed,) = (
        e for e in checks if e["check"] == "city: feed" and "clock" not in e["text"]
    )
    return {feed["verdict"]: feed["text"]}


def tried(path: Path, *more: str) -> tuple[int, Any, str]:
    """Try the system of the settings; return the code, the JSON, and stderr."""
    words = ("feeds", "try", "city", "--format", "json", *more)
    process = bikecollect("--config", path, *words)
    return process.returncode, json.loads(process.stdout or "null"), process.stderr


def test_a_private_authority_and_headers_are_used(tmp_path: Path) -> None:
    """A feed behind ca_bundle works for the doctor, for try, and for fetch."""
    body = stations()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with tls_server("127.0.0.1", answer) as (url, authority):
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        path = settings(tmp_path, url, f'ca_bundle = "{tmp_path}/ca.pem"\n{SECRET}')
        assert "good" in checked(path)
        assert tried(path)[0] == 0
        assert bikecollect("--config", path, "fetch").returncode == 0

        without = settings(tmp_path, url)
        assert "bad" in checked(without)
        assert tried(without)[0] == 76


def test_redirects_and_headers_are_used(
    tmp_path: Path,
    host: Callable[..., Host],
) -> None:
    """A feed that moved within its site is read if the settings allow it."""
    home = host(
        moved("/new.json"), good(stations()), moved("/new.json"), good(stations())
    )
    path = settings(tmp_path, home.url, f'redirects = "same-site"\n{SECRET}')

    assert "good" in checked(path)
    assert tried(path)[1]["stations"] == 7
    assert all("swordfish" in request for request in home.requests)


def test_the_doctor_says_where_a_feed_has_moved(
    tmp_path: Path,
    host: Callable[..., Host],
) -> None:
    """The new address, if the redirect is not followed."""
    home = host(moved("/new.json", 301))
    address = home.url.replace("x.json", "new.json")

    assert address in checked(settings(tmp_path, home.url))["bad"]


def test_a_proxy_is_used(
    tmp_path: Path,
    host: Callable[..., Host],
) -> None:
    """The feed's name need not be resolved here."""
    proxy = host(good(stations()))
    more = f'proxy = "http://127.0.0.1:{proxy.port}"'
    path = settings(tmp_path, "http://feed.example.org/list", more)

    assert "good" in checked(path)
    assert "GET http://feed.example.org/list HTTP/1.1" in proxy.requests[0]


def test_a_mapped_feed_is_tried_too(
    tmp_path: Path,
    host: Callable[..., Host],
) -> None:
    """By the mapping of the settings."""
    stations = [{"id": "a", "bikes": 1, "free": 2}]
    home = host(good(json.dumps({"list": stations}).encode()))
    mapping = 'stations = "list", station_id = "id", num_vehicles_available = "bikes"'
    path = settings(tmp_path, home.url, f"mapping = {{{mapping}}}", "mapped")

    assert "1 station" in " ".join(checked(path).values())
    assert tried(path)[1]["stations"] == 1


def test_max_body_holds_for_a_try(
    tmp_path: Path,
    host: Callable[..., Host],
) -> None:
    """What fetch rejects as too large, try rejects."""
    home = host(good(stations() + b" " * 9_000))
    code, _, stderr = tried(settings(tmp_path, home.url, 'max_body = "8KiB"'))

    assert code == 65
    assert "max_body" in stderr


def test_a_header_can_be_given_to_a_try(
    tmp_path: Path,
    host: Callable[..., Host],
) -> None:
    """On the command line or in a file; the printed settings have its name."""
    (tmp_path / "headers").write_text("X-Api-Key: from-a-file\n", encoding="utf-8")
    home, other = host(good(stations())), host(good(stations()))
    words = ("feeds", "try", "--format", "json", home.url, "--header")
    process = bikecollect(*words, "X-Api-Key: swordfish")
    read = bikecollect(*words, f"@{tmp_path / 'headers'}")

    assert (process.returncode, read.returncode) == (0, 0)
    assert "X-Api-Key: swordfish" in home.requests[0]
    assert "X-Api-Key: from-a-file" in home.requests[-1]
    printed = json.loads(process.stdout)["settings"]
    (system,) = loader.parse(tomllib.loads(printed)).systems.values()
    assert system.headers == {"X-Api-Key": "..."}
    assert other.requests == []


@pytest.mark.parametrize("header", ["X-Api-Key", "X Key: a", "X-Key: \u7ad9", "@none"])
def test_an_invalid_header_is_reported(header: str) -> None:
    """78, before any network access."""
    url = "http://127.0.0.1:9/x"
    process = bikecollect("feeds", "try", url, "--header", header)

    assert (process.returncode, process.stdout) == (78, "")
    assert "--header" in process.stderr


def test_a_malformed_address_is_reported() -> None:
    """78, with the reason."""
    process = bikecollect("feeds", "try", "http://[")

    assert process.returncode == 78
    assert "the address is not an address" not in process.stderr
    assert "Invalid IPv6 URL" in process.stderr
