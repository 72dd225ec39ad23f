"""TDX in the commands that set up: tried, written, and checked by doctor."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import bikecollect
from tokens import AVAILABILITY, SECRET, TOKEN, Platform, platform


@pytest.fixture
def own(folder: Path) -> Iterator[Platform]:
    """Return a platform on loopback, and its secret in a file."""
    with platform(folder) as served:
        _ = served.settings
        yield served


def test_a_feed_is_tried_with_client_id_and_secret(own: Platform) -> None:
    """By its address alone; the printed settings have the client."""
    process = bikecollect(
        *("feeds", "try", f"{own.base}{AVAILABILITY}?$format=JSON"),
        *("--client-id", "me", "--client-secret-file", str(own.secret_file)),
        *("--token-url", own.base + TOKEN),
    )

    assert process.returncode == 0, process.stderr
    table = tomllib.loads(process.stdout.partition("collect it:")[2])
    (system,) = table["systems"].values()
    assert system["feed"] == "tdx"
    assert system["oauth2"]["client_id"] == "me"
    assert system["oauth2"]["token_url"] == own.base + TOKEN
    assert SECRET not in process.stdout
    assert "token-number" not in process.stdout


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ((), "requires a client id and a client secret"),
        (("--client-id", "me"), "--client-id and --client-secret-file belong together"),
        (
            ("--client-id", "me", "--client-secret-file", "/none"),
            "oauth2.client_secret_file: cannot read /none",
        ),
    ],
)
def test_a_city_of_the_catalogue_says_what_it_requires(
    options: tuple[str, ...], error: str
) -> None:
    """Before any network access, with the options."""
    process = bikecollect("feeds", "try", "tdx-taichung", *options)

    assert process.returncode == 78
    assert error in " ".join(process.stderr.split())


def test_try_reports_a_refused_client(own: Platform) -> None:
    """Exit code 77, and no traceback."""
    own.secret_file.write_text("wrong")

    process = bikecollect(
        *("feeds", "try", f"{own.base}{AVAILABILITY}"),
        *("--client-id", "me", "--client-secret-file", str(own.secret_file)),
        *("--token-url", own.base + TOKEN),
    )

    assert process.returncode == 77
    assert "client id or secret rejected by 127.0.0.1" in " ".join(
        process.stderr.split()
    )


def test_init_writes_the_client_of_a_city(own: Platform, tmp_path: Path) -> None:
    """The file with the secret is named, not copied."""
    config = tmp_path / "bikecollect.toml"

    process = bikecollect(
        *("--config", str(config), "init", "--yes", "--no-try", "--no-cron"),
        *("--system", "tdx-tainan", "--client-id", "me"),
        *("--client-secret-file", str(own.secret_file)),
    )

    assert process.returncode == 0, process.stderr
    table = tomllib.loads(config.read_text())["systems"]["tdx-tainan"]
    assert table["oauth2"] == {
        "client_id": "me",
        "client_secret_file": str(own.secret_file),
    }


def test_doctor_checks_a_system_with_its_tokens(own: Platform, tmp_path: Path) -> None:
    """Like fetch; a rejected client is reported."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{tmp_path}/data"\n[systems.city]\nfeed = "tdx"\n'
        f'url = "{own.base}{AVAILABILITY}"\ntimezone = "Asia/Taipei"\n'
        f'[systems.city.oauth2]\ntoken_url = "{own.base}{TOKEN}"\nclient_id = "me"\n'
        f'client_secret_file = "{own.secret_file}"\n'
    )
    config.chmod(0o600)

    good = bikecollect("--config", str(config), "doctor")
    own.secret_file.write_text("wrong")
    bad = bikecollect("--config", str(config), "doctor")

    assert "12 stations" in good.stdout
    assert "client id or secret rejected by 127.0.0.1" in " ".join(bad.stdout.split())
