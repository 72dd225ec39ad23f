"""What the doctor says to do about a feed that cannot be fetched or read."""

from pathlib import Path

import pytest
from publisher import publishing
from served import Answer

from bikecollect.core.errors import RateLimited
from bikecollect.setup.checks import remedies
from bikecollect.setup.checks.services import check_feed
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import System


def system(url: str, **more: object) -> System:
    """Return the settings of a GBFS system at *url*."""
    table = {"feed": "gbfs", "url": url, "timezone": "Asia/Taipei", **more}
    return parse({"systems": {"city": table}}).systems["city"]


@pytest.mark.parametrize(
    ("answer", "error", "remedy"),
    [
        (Answer(b"<html>"), "not JSON", "check url and feed in [systems.city]"),
        (Answer(b"", 403), "HTTP 403", "check the key in [systems.city]"),
        (Answer(b"", 404), "HTTP 404", "check url and the other keys in [systems."),
        (Answer(b"", 500), "HTTP 500", "if it does not pass, check url in [systems."),
        (Answer(b"", 301), "redirects", "set url to the new address, or redirects,"),
    ],
    ids=["web page", "refused", "gone", "broken", "moved"],
)
def test_the_doctor_does_not_only_send_a_person_to_the_same_error(
    tmp_path: Path, answer: Answer, error: str, remedy: str
) -> None:
    """The remedy of a feed says what to check; `feeds try` would repeat the error."""
    with publishing(tmp_path) as publisher:
        publisher.documents["/gbfs.json"] = answer

        (check,) = check_feed("city", system(f"{publisher.base}/gbfs.json"))

    assert error in check.text
    assert check.remedy.startswith(remedy)
    assert "feeds try" not in check.remedy


def test_a_secret_that_cannot_be_read_is_a_matter_of_the_settings(
    tmp_path: Path,
) -> None:
    """The feed is not asked; the error names the file."""
    oauth2 = {
        "token_url": "http://127.0.0.1:9/token",
        "client_id": "me",
        "client_secret_file": str(tmp_path / "absent"),
    }

    (check,) = check_feed("city", system("http://127.0.0.1:9/", oauth2=oauth2))

    assert f"{tmp_path}/absent" in check.text
    assert check.remedy.startswith("correct [systems.city] of the settings")


def test_a_rate_limit_needs_patience() -> None:
    """Nothing is wrong with the address."""
    limited = RateLimited("retry in 30 s", not_before=30.0)

    assert remedies.for_feed("city", limited).startswith("wait;")
