"""Bearer tokens: cached, renewed, shared, and sent nowhere else."""

import json
import sqlite3
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Answer, serving
from tokens import AVAILABILITY, SECRET, STATIONS, TOKEN, Platform, platform

from bikecollect.core.errors import Outcome, SettingsError
from bikecollect.simulator.city import City
from bikecollect.storage.data_folder import state_home


@pytest.fixture
def own(folder: Path) -> Iterator[Platform]:
    """Return a platform whose tokens are valid for a day."""
    with platform(folder) as served:
        yield served


def test_a_token_serves_many_runs(own: Platform) -> None:
    """It is requested once, by the client's id and secret."""
    runs = [own.fetch() for _ in range(3)]

    assert [run.rows for run in runs] == [12, 12, 12]
    assert own.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "me",
            "client_secret": SECRET,
        }
    ]


def test_a_token_is_kept_where_only_its_user_can_read_it(own: Platform) -> None:
    """In the state folder, with mode 0600 in a folder of mode 0700."""
    own.fetch()

    (file,) = (state_home() / "tokens").glob("*.json")

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert SECRET not in file.read_text()


def test_a_token_is_renewed_before_it_expires(own: Platform) -> None:
    """A tenth of its life before: of 1000 s, the fourth slot is at 900 s."""
    own.lifetime = 1_000

    for _ in range(4):
        assert own.fetch().rows == 12

    assert own.issued == ["token-number-0", "token-number-1"]
    assert "401" not in str(own.bearers)


@pytest.mark.parametrize("lifetime", [None, "soon", -5, 0, True, 1e400, {}])
def test_an_invalid_lifetime_counts_as_ten_minutes(
    own: Platform, lifetime: object
) -> None:
    """The token of the first slot is valid for the second, not for the third."""
    own.lifetime = lifetime

    for _ in range(3):
        assert own.fetch().rows == 12

    assert len(own.issued) == 2


def test_a_token_that_is_refused_early_is_renewed_once(own: Platform) -> None:
    """The platform rotated its keys: the slot is not lost."""
    own.fetch()
    own.valid.clear()

    run = own.fetch()

    assert run.rows == 12
    assert own.issued == ["token-number-0", "token-number-1"]


@pytest.mark.parametrize("failures", [1, 99])
def test_a_renewal_that_fails_is_tried_again(own: Platform, failures: int) -> None:
    """The slot was lost, and the client's credentials were blamed."""
    own.fetch()
    own.valid.clear()
    left = failures

    def fail() -> tuple[int, dict[str, str], bytes]:
        nonlocal left
        left -= 1
        own.token_reply = fail if left else None
        return 503, {}, b""

    own.token_reply = fail
    run = own.fetch()

    expected = (12, "") if failures == 1 else (0, "http-503")
    assert (run.rows, run.cause) == expected


def test_a_feed_that_refuses_every_token_is_a_credentials_error(own: Platform) -> None:
    """One new token is tried, no more."""
    own.replies[AVAILABILITY] = lambda: (401, {}, b"{}")

    run = own.fetch()

    assert run.outcome is Outcome.CREDENTIALS
    assert f"{own.base}{AVAILABILITY} answered HTTP 401" in run.error
    assert len(own.issued) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_client_is_reported_with_the_host(own: Platform, status: int) -> None:
    """The message names the host and the settings, and no secret."""
    body = b'{"error": "invalid_client", "error_description": "s3cret-of-the-client"}'
    own.token_reply = lambda: (status, {}, body)

    run = own.fetch()

    assert (run.outcome, run.exit_code) == (Outcome.CREDENTIALS, 77)
    assert run.error == (
        f"client id or secret rejected by 127.0.0.1 (HTTP {status}, invalid_client): "
        "check oauth2.client_id and the secret in oauth2.client_secret_file"
    )
    assert own.bearers == []


def test_a_refused_secret_is_sent_once_a_minute(own: Platform) -> None:
    """Other systems of the client, and other attempts, do not send it again."""
    own.names = ("a", "b", "c", "d")
    own.token_reply = lambda: (401, {}, b"{}")

    runs = own.fetch_all()

    assert {run.outcome for run in runs} == {Outcome.CREDENTIALS}
    assert len(own.forms) == 1


def test_a_new_secret_is_tried_at_once(own: Platform) -> None:
    """The rejection of the old one does not apply to it."""
    _ = own.settings.secrets
    own.secret_file.write_text("wrong\n")
    own.fetch()
    own.secret_file.write_text(f"{SECRET}\n")

    assert own.fetch().rows == 12


def test_a_secret_that_cannot_be_read_costs_only_its_system(own: Platform) -> None:
    """The slot is in its ledger with the reason; nothing is sent."""
    _ = own.settings.secrets
    own.secret_file.write_text("two\nlines\n")

    run = own.fetch()

    assert (run.outcome, run.exit_code) == (Outcome.SETTINGS, 78)
    assert run.error.startswith("oauth2.client_secret_file: ")
    assert run.error.endswith("must hold exactly one line: the secret")
    assert (own.forms, own.bearers) == ([], [])
    ledger = sqlite3.connect(own.folder / "city/ledger.sqlite3")
    assert ledger.execute("SELECT outcome FROM runs").fetchall() == [("settings",)]
    ledger.close()


@pytest.mark.parametrize(
    ("reply", "outcome", "error"),
    [
        ((500, {}, b"oops"), Outcome.UNAVAILABLE, "/token answered HTTP 500"),
        ((200, {}, b"oops"), Outcome.UNAVAILABLE, "no valid access_token"),
        ((200, {}, b"[" * 60_000), Outcome.UNAVAILABLE, "no valid access_token"),
        ((200, {}, b'{"access_token": 7}'), Outcome.UNAVAILABLE, "no valid access"),
        (
            (200, {}, b'{"access_token": "a b\\r\\nX: y"}'),
            Outcome.UNAVAILABLE,
            "no valid access_token",
        ),
        (
            (200, {}, b'{"access_token": "a", "token_type": "mac"}'),
            Outcome.UNAVAILABLE,
            "not a bearer token",
        ),
        ((200, {}, b"x" * 200_000), Outcome.UNAVAILABLE, "its response is too large"),
        ((302, {"Location": "/other"}, b""), Outcome.PROTOCOL, "set token_url to"),
    ],
)
def test_a_token_server_that_gives_no_token_is_reported(
    own: Platform,
    reply: tuple[int, dict[str, str], bytes],
    outcome: Outcome,
    error: str,
) -> None:
    """With the reason; the feed is not requested without a token."""
    own.token_reply = lambda: reply

    run = own.fetch()

    assert run.outcome is outcome
    assert error in run.error
    assert SECRET not in run.error
    assert own.bearers == []


def test_a_token_server_that_limits_the_rate_is_left_alone(own: Platform) -> None:
    """Its Retry-After holds as a feed's does: one request, none in the next slots."""
    own.token_reply = lambda: (429, {"Retry-After": "1000"}, b"")
    runs = [own.fetch(), own.fetch()]

    assert [run.cause for run in runs] == ["rate-limited", "rate-limited"]
    assert "token_url" in runs[0].error
    assert len(own.forms) == 1


def test_a_redirect_gets_no_secret(own: Platform) -> None:
    """Even if the settings follow redirects of the feed."""
    requests: list[str] = []

    def other(path: str) -> Answer:
        requests.append(path)
        return Answer(b"{}")

    with serving(other) as elsewhere:
        own.more["redirects"] = True
        own.token_reply = lambda: (307, {"Location": f"{elsewhere}/token"}, b"")
        run = own.fetch()

    assert run.outcome is Outcome.PROTOCOL
    assert requests == []


def test_a_token_server_that_hangs_costs_the_slot_only(own: Platform) -> None:
    """The attempt ends at its deadline, and the next slot is collected."""
    release = threading.Event()

    def hang() -> tuple[int, dict[str, str], bytes]:
        release.wait(20)
        return 503, {}, b""

    own.interval = "5s"
    own.token_reply = hang
    run = own.fetch()
    release.set()
    own.token_reply = None

    assert run.outcome is Outcome.UNAVAILABLE
    assert own.fetch().rows == 12


def test_systems_of_one_client_share_its_token(own: Platform) -> None:
    """Twenty that run at once request one."""
    own.names = tuple(f"city{number}" for number in range(20))

    runs = own.fetch_all()

    assert [run.rows for run in runs] == [12] * 20
    assert len(own.forms) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "x"}', "\0" * 99_999])
def test_a_damaged_cache_is_ignored(own: Platform, text: str) -> None:
    """Another token is requested."""
    own.fetch()
    (file,) = (state_home() / "tokens").glob("*.json")
    file.write_text(text)

    assert own.fetch().rows == 12
    assert len(own.issued) == 2


def test_a_cache_that_others_can_read_is_not_used(own: Platform) -> None:
    """The token may be known to others: another is requested."""
    own.fetch()
    (file,) = (state_home() / "tokens").glob("*.json")
    file.chmod(0o644)

    assert own.fetch().rows == 12
    assert len(own.issued) == 2
    assert file.stat().st_mode & 0o777 == 0o600


def test_after_a_clock_set_back_a_new_token_is_requested(own: Platform) -> None:
    """The age of the stored one is unknown then."""
    own.fetch()
    own.clock.now -= 86_400

    assert own.fetch().rows == 12
    assert len(own.issued) == 2


def test_other_hosts_get_no_token(own: Platform) -> None:
    """A redirect to another host is followed without it."""
    requests: list[str] = []
    own.more["redirects"] = True
    with platform(own.folder / "other") as other:
        place = other.base.replace("127.0.0.1", "localhost")
        own.replies[AVAILABILITY] = lambda: (302, {"Location": place + "/x"}, b"")
        own.fetch()
        requests += [bearer for _, bearer in other.bearers]

    assert requests
    assert set(requests) == {""}


def test_credential_hosts_get_the_token(own: Platform) -> None:
    """They are named in the settings."""
    own.more |= {"redirects": True, "credential_hosts": ["localhost"]}
    with platform(own.folder / "other") as other:
        place = other.base.replace("127.0.0.1", "localhost")
        own.replies[AVAILABILITY] = lambda: (302, {"Location": place + "/x"}, b"")
        own.fetch()

    tokens = [bearer for _, bearer in other.bearers]
    assert tokens[:2] == ["Bearer token-number-0", "Bearer token-number-1"]


def test_token_and_secret_are_in_no_other_file(own: Platform) -> None:
    """Even if a feed echoes the token in its errors."""
    own.replies[AVAILABILITY] = lambda: (
        302,
        {"Location": f"/login?next={own.issued[-1]}"},
        b"",
    )
    first = own.fetch()
    own.replies[AVAILABILITY] = lambda: (200, {}, f"<p>{own.issued[-1]}".encode())
    second = own.fetch()

    texts = [
        path.read_bytes()
        for path in own.folder.rglob("*")
        if path.is_file() and path.suffix != ".zip" and path != own.secret_file
    ]
    assert "***" in first.error
    assert second.outcome is Outcome.REJECTED
    for text in (*texts, first.error.encode(), second.error.encode()):
        assert b"token-number" not in text
        assert SECRET.encode() not in text


def test_gbfs_systems_have_tokens_too(own: Platform) -> None:
    """The same table serves any dialect."""
    status = {
        "last_updated": int(own.clock.now),
        "data": {"stations": [{"station_id": "a", "num_bikes_available": 3}]},
    }
    feeds = [{"name": "station_status", "url": f"{own.base}/status.json"}]

    def document(value: object) -> tuple[int, dict[str, str], bytes]:
        bearer = own.bearers[-1][1].removeprefix("Bearer ")
        return (200 if bearer in own.valid else 401), {}, json.dumps(value).encode()

    own.replies["/gbfs.json"] = lambda: document({"data": {"en": {"feeds": feeds}}})
    own.replies["/status.json"] = lambda: document(status)
    own.more |= {"feed": "gbfs", "url": f"{own.base}/gbfs.json"}

    assert own.fetch().rows == 1


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"oauth2": {"client_id": "me"}}, "city.oauth2.client_secret_file is missing"),
        ({"oauth2": {"client_secret_file": "x"}}, "city.oauth2.client_id is missing"),
        (
            {"oauth2": {"clientid": "x"}},
            'unknown setting "systems.city.oauth2.clientid"',
        ),
        ({"oauth2": {}}, r'feed = "tdx" requires \[systems.city.oauth2\]'),
        ({"headers": {"authorization": "x"}}, "own Authorization header"),
        ({"url": "http://me@127.0.0.1/Bike/Station/X"}, "own Authorization header"),
        (
            {"url": "http://example.org/Bike/Station/X"},
            "city.url must begin with https",
        ),
        ({"url": "https://example.org/x"}, "requires a url such as"),
    ],
)
def test_a_client_that_cannot_be_used_is_a_settings_error(
    own: Platform, more: dict[str, object], error: str
) -> None:
    """The error says what is missing or contradictory, before any network access."""
    own.more |= more

    with pytest.raises(SettingsError, match=error):
        _ = own.settings


@pytest.mark.parametrize(
    "url", ["http://example.org/token", "http://10.0.0.1/token", "ftp://a.org/t"]
)
def test_a_secret_is_not_sent_in_clear_text(own: Platform, url: str) -> None:
    """Except to this machine."""
    own.more["oauth2"] = {
        "token_url": url,
        "client_id": "me",
        "client_secret_file": str(own.secret_file),
    }

    with pytest.raises(
        SettingsError, match=r"token_url (must begin|is not an address)"
    ):
        _ = own.settings


def test_a_missing_list_of_stations_is_reported(own: Platform) -> None:
    """The counts are collected; the list of stations is tried again later."""
    own.replies[STATIONS] = lambda: (500, {}, b"")
    first = own.fetch()
    del own.replies[STATIONS]
    runs = [own.fetch() for _ in range(2)]

    assert (first.rows, first.flags) == (12, ("partial",))
    assert [run.flags for run in runs] == [("partial",), ()]
    assert TOKEN not in str(own.bearers)


def test_the_secret_may_be_a_credential_of_the_service(
    own: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systemd's copy is used instead of the file that only root can read."""
    settings = own.settings
    credential = tmp_path / "credentials" / own.secret_file.name
    credential.parent.mkdir()
    own.secret_file.rename(credential)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))

    assert settings.systems["city"].client_secret() == SECRET


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622])
def test_a_secret_that_others_can_read_is_refused(own: Platform, mode: int) -> None:
    """By the rules of the mail password, with the command that helps."""
    settings = own.settings
    own.secret_file.chmod(mode)

    with pytest.raises(SettingsError, match=r"oauth2.client_secret_file: .*chmod"):
        settings.systems["city"].client_secret()


def test_a_server_that_requires_basic_gets_the_client_in_the_header(
    folder: Path,
) -> None:
    """Id and secret are encoded as in a form; the form has only the grant."""
    answer = b'{"access_token": "token-of-basic", "token_type": "bearer"}'
    oauth2 = {"client_auth": "basic", "client_id": "me:too"}
    with platform(folder, oauth2=oauth2) as own:
        own.token_reply = lambda: (200, {}, answer)
        own.valid.add("token-of-basic")
        run = own.fetch()

        assert run.rows == 12
        assert own.forms == [{"grant_type": "client_credentials"}]
        login = own.logins[0].removeprefix("Basic ")
        assert b64decode(login) == f"me%3Atoo:{SECRET}".encode()
        assert {bearer for _, bearer in own.bearers} == {"Bearer token-of-basic"}


def test_a_server_that_requires_basic_is_reported_with_the_remedy(
    own: Platform,
) -> None:
    """It says so in a header of its 401."""
    own.token_reply = lambda: (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}")
    run = own.fetch()

    assert run.outcome is Outcome.CREDENTIALS
    assert run.error.endswith(
        'oauth2.client_secret_file, or set oauth2.client_auth = "basic"'
    )


def test_an_unknown_client_auth_is_an_error(folder: Path) -> None:
    """The message has the two valid values."""
    with (
        platform(folder, oauth2={"client_auth": "jwt"}) as own,
        pytest.raises(SettingsError, match='client_auth must be "form" or "basic"'),
    ):
        _ = own.fetch()


def test_a_token_without_a_type_is_a_bearer_token(own: Platform) -> None:
    """Some servers write null."""
    own.token_reply = lambda: (200, {}, b'{"access_token": "a", "token_type": null}')
    own.valid.add("a")

    assert own.fetch().rows == 12


def test_a_token_that_ends_within_a_run_is_renewed_once_for_twenty_systems(
    folder: Path,
) -> None:
    """The token expires after some answers: no system loses its slot."""
    names = tuple(f"city-{number}" for number in range(20))
    with platform(folder, names=names) as own:
        own.fetch_all()
        own.valid.clear()
        runs = own.fetch_all()

        assert [run.rows for run in runs] == [12] * 20
        assert own.issued == ["token-number-0", "token-number-1"]


@pytest.mark.parametrize("top", ["$top=30", "%24top=30"])
def test_an_address_with_top_gives_all_stations(folder: Path, top: str) -> None:
    """TDX's own page gives such an address: counts and names of all 75 are kept."""
    with platform(folder, city=City(75), obeys_top=True) as own:
        own.more["url"] = f"{own.base}{AVAILABILITY}?{top}&$format=JSON"
        run = own.fetch()
        own.fetch()
        lists = [path for path, _ in own.bearers if path == STATIONS]

    lines = (folder / "city/station_information.csv").read_text("utf-8").splitlines()
    assert (run.rows, run.flags, len(lines)) == (75, (), 76)
    assert len(lists) == 2
