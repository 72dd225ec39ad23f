"""A document that a fetch needs is refused: what is kept of it, and told."""

from pathlib import Path

import pytest
from publisher import Publisher, publishing
from served import Answer
from tokens import platform

from bikecollect.core.errors import Outcome
from bikecollect.core.payload import Payload
from bikecollect.core.run import payload_name
from bikecollect.storage.payload_store import read_payload

PAGE = b"<!doctype html><title>Log in</title>"
STATIONS = b'{"data": {"stations": [{"station_id": "7"}]}}'


def kept(publisher: Publisher, name: str) -> tuple[Payload, str]:
    """Return the rejected payload called *name*, and the reason beside it."""
    path = publisher.folder / "city/payloads/rejected" / name
    return read_payload(path), Path(f"{path}.reason.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PAGE, "a web page (HTML), not JSON"),
        (b"<kml/>", "XML, not JSON"),
        (b"", "/gbfs.json is empty"),
        (b"[]", "/gbfs.json has no data: url must be that of a gbfs.json"),
        (b'{"error": "busy"}', "url must be that of a gbfs.json (it has: {'error'"),
        (
            STATIONS,
            "/gbfs.json has no feeds but stations: url must be that of a gbfs.json",
        ),
    ],
)
def test_a_refused_gbfs_json_is_kept_like_a_refused_status(
    tmp_path: Path, body: bytes, reason: str
) -> None:
    """Its bytes with the reason, and in the run its status and size."""
    with publishing(tmp_path) as publisher:
        publisher.documents["/gbfs.json"] = Answer(body)

        run = publisher.fetch()

        payload, text = kept(publisher, payload_name(run))
        assert (run.outcome, run.http_status) == (Outcome.REJECTED, 200)
        assert (run.bytes, payload.body("gbfs")) == (len(body), body)
        assert reason in text
        assert reason in run.error


def status(**fields: object) -> dict[str, object]:
    """Return a status with one station of these *fields*."""
    return {"data": {"stations": [{"station_id": "7", **fields}]}}


@pytest.mark.parametrize(
    ("cause", "document"),
    [
        ("drift", status(bicis=3)),
        ("empty", Answer(b"")),
        ("filter", status(num_bikes_available=3)),
        ("no-stations", {"data": {"stations": []}}),
        ("not-json", Answer(PAGE)),
        ("shape", {"stops": [1]}),
        ("too-large", {"data": {"stations": [{}] * 100_001}}),
    ],
)
def test_a_status_is_rejected_with_the_word_for_what_is_wrong_with_it(
    tmp_path: Path, cause: str, document: object
) -> None:
    """And it is kept, with the reason beside it."""
    with publishing(tmp_path, only={"station_id": ["8"]}) as publisher:
        listed = [{"name": "station_status", "url": "BASE/status.json"}]
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": listed}}}
        publisher.documents["/status.json"] = document

        run = publisher.fetch()

        payload, text = kept(publisher, payload_name(run))
        assert (run.outcome, run.cause) == (Outcome.REJECTED, cause)
        assert payload.body("station_status") == publisher.answer("/status.json").body
        assert text.partition("\n")[0] in run.error


def test_a_refused_list_of_versions_is_kept_with_what_led_to_it(tmp_path: Path) -> None:
    """A fixed version is found by two documents: both are evidence."""
    with publishing(tmp_path, version="2.3") as publisher:
        listed = [{"name": "gbfs_versions", "url": "BASE/versions.json"}]
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": listed}}}
        publisher.documents["/versions.json"] = {"versions": []}

        run = publisher.fetch()

        payload, text = kept(publisher, payload_name(run))
        assert [document.name for document in payload.documents] == ["gbfs", "versions"]
        assert "/versions.json has no data.versions" in text


def test_a_document_that_is_too_large_says_that_it_is_not_kept(tmp_path: Path) -> None:
    """It is not received to its end; its status is that of the response."""
    with publishing(tmp_path, max_body="1MiB") as publisher:
        publisher.documents["/gbfs.json"] = Answer(b" " * 1_100_000)

        run = publisher.fetch()

    assert (run.outcome, run.http_status) == (Outcome.REJECTED, 200)
    assert "/gbfs.json is too large to be kept: more than 1" in run.error
    assert not (tmp_path / "city/payloads/rejected").exists()


def test_a_gbfs_json_without_stations_has_its_status_in_the_run(tmp_path: Path) -> None:
    """The feed responded, although it is of no use."""
    with publishing(tmp_path) as publisher:
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": []}}}

        run = publisher.fetch()

    assert (run.outcome, run.http_status) == (Outcome.UNAVAILABLE, 200)
    assert "/gbfs.json lists nothing, not station_status" in run.error


def test_the_answer_for_a_token_is_never_kept(tmp_path: Path) -> None:
    """It may have a secret, whatever else is wrong with it: its kind is told."""
    answer = b'{"access_token": "s3cret and more", "token_type": "Bearer"}'
    with platform(tmp_path) as server:
        server.token_reply = lambda: (200, {}, answer)

        run = server.fetch()

    assert run.outcome is Outcome.UNAVAILABLE
    assert "its response has no valid access_token" in run.error
    files = [path for path in (tmp_path / "city").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"s3cret" in path.read_bytes()]
