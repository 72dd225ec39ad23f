"""What counts as a secret, and its removal from texts."""

import json
import logging
import time
from base64 import b64encode
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from world import FakeClient, FakeFeed, World

from bikecollect.collect.collector import Collector
from bikecollect.collect.cycle import Cycle
from bikecollect.collect.fetching.fetcher import Fetcher
from bikecollect.core.payload import Getter, Memory, Payload
from bikecollect.core.process import Stop, Times
from bikecollect.core.secrets.names import (
    is_secret_name,
    of_address,
    of_capability,
    of_command,
    of_header,
    of_login,
)
from bikecollect.core.secrets.redact import Placeholders, redacted_json, redactor
from bikecollect.core.text import visible
from bikecollect.core.timeline.grid import Grid

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        *("key", "apiKey", "api_key", "APIKey", "apikey", "X-Api-Key", "accessKeyId"),
        *("token", "accesstoken", "Authorization", "Proxy-Authorization", "Cookie"),
        *("client_secret", "passwd", "password", "X-Amz-Signature", "sig", "auth"),
        *("Ocp-Apim-Subscription-Key", "X-Functions-Key", "jwt", "sessionid", "pwd"),
    ],
)
def test_names_that_mark_a_secret(name: str) -> None:
    """In each way of joining several words."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("size", "page", "limit", "contract", "keyword", "monkey", "author", "design"),
        *("lang", "format", "city", "Accept", "User-Agent", "stations", "sigma", "id"),
    ],
)
def test_names_that_do_not_mark_a_secret(name: str) -> None:
    """A parameter of another name is data."""
    assert not is_secret_name(name)


def test_a_page_size_and_a_city_are_no_secrets() -> None:
    """Only user info, and long values whose name marks them."""
    url = "https://api.example.org/f?page=0&size=1000&contract=toulouse&apiKey=short"

    assert of_address(url) == []
    assert of_address(f"{url}&token={KEY}") == [KEY]
    assert "bikes-token" in of_address("https://bikes-token@example.org/")
    assert of_address("http://[") == []


def test_a_secret_header_is_recognised_in_each_form() -> None:
    """Without its scheme, decoded, and as the pairs of a cookie."""
    basic = b64encode(b"me:hunter2").decode()

    assert of_header("Authorization", f"Bearer {KEY}") == [f"Bearer {KEY}", KEY]
    assert "hunter2" in of_header("Authorization", f"Basic {basic}")
    assert of_header("Authorization", f'Token token="{KEY}"')[-1] == KEY
    assert of_header("Cookie", f"lang=fr; SID=abc; x={KEY}")[1:] == ["abc", KEY]
    assert of_header("Accept-Language", "zh-TW") == []


def test_a_ping_s_address_is_a_secret_without_a_key() -> None:
    """Its path allows pinging; common words of the path are no secrets."""
    url = "https://hc.example.org/ping/5f3c1e70-aa11/backups"

    assert of_capability(url) == ["ping/5f3c1e70-aa11/backups", "5f3c1e70-aa11"]
    assert of_capability("https://hc.example.org/") == []


@pytest.mark.parametrize(
    ("words", "secrets"),
    [
        (["notify", "--token", KEY], [KEY]),
        (["notify", f"--api-key={KEY}"], [KEY]),
        (["curl", "-H", f"Authorization: Bearer {KEY}"], [KEY]),
        (["sh", "-c", f"API_KEY={KEY} notify"], [KEY]),
        (["curl", "-u", "me:hunter2", "https://example.org/"], ["hunter2"]),
        (
            ["curl", "https://hooks.example.org/services/T0/B01234567890123456"],
            ["B01234567890123456"],
        ),
        (["sh", "-c", 'echo "$KIND" >> /srv/told; notify --key "$API_KEY"'], []),
        (["notify", "--password-file", "smtp-password", "--key", "short"], []),
        (["/usr/bin/logger", "-t", "bikecollect"], []),
    ],
)
def test_a_command_s_secrets_are_found(words: list[str], secrets: list[str]) -> None:
    """By option, variable, header, login or address; files and variables are none."""
    assert of_command(words) == secrets


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"key={KEY}",
            f"'{KEY}'",
            f"%3D{KEY}%26",
            rf"\n{KEY}\n",
            rf"\x0a{KEY}",
            f"x:{KEY}.",
        ),
        *(f"{KEY}", f"a_{KEY}_b", f"Bearer {KEY}, and {KEY}"),
    ],
)
def test_a_secret_is_removed_behind_escapes(text: str) -> None:
    """Also after escape sequences of addresses and strings."""
    assert KEY not in redactor([KEY])(text)


@pytest.mark.parametrize("secret", ["a\\b\tc", "pa ss&<'\">", "päß/w?rd", "x=y+z=="])
def test_a_secret_is_removed_in_each_spelling(secret: str) -> None:
    """As in JSON, Python, addresses, HTML and our own messages."""
    redact = redactor([secret])
    written = [
        *(
            secret,
            repr(secret),
            json.dumps(secret),
            json.dumps(secret, ensure_ascii=False),
        ),
        visible(secret),
    ]

    assert [redact(f"({text})").strip("()\"'") for text in written] == ["***"] * 5


@pytest.mark.parametrize("secret", ["a", "ab", "abc", "a\tb", "\\", "1000"])
def test_a_short_secret_is_removed_as_a_whole_word_only(secret: str) -> None:
    """A value of a settings key is a secret at any length."""
    redact = redactor([secret])

    assert redact(f"was {secret}: wrong") == "was ***: wrong"
    assert redact("cabin 10000 habit") == "cabin 10000 habit"


def test_a_truncated_secret_is_removed() -> None:
    """A word with the same beginning is kept."""
    redact = redactor([KEY, "stations-of-taipei"])

    assert redact(f"it begins with '<p>{KEY[:10]}'") == "it begins with '<p>***'"
    assert redact(f"{KEY[:8]}...") == "***..."
    assert redact("the stations of a city") == "the stations of a city"
    assert redact("substations-of-t'") == "substations-of-t'"


def test_keys_in_any_address_are_removed() -> None:
    """A publisher's own tokens are not in the settings."""
    redact = redactor([])

    assert redact(f"https://x.org/s?size=10000000&token={KEY}&a=1 timed out") == (
        "https://x.org/s?size=10000000&token=*** timed out".replace("***", "***&a=1")
    )
    assert redact("https://me:pw@x.org/") == "https://***@x.org/"
    assert redact("a?page=10000000 b") == "a?page=10000000 b"


def test_only_texts_in_json_are_redacted() -> None:
    """Numbers and names are unchanged, and it is still JSON."""
    text = '{"stations": 1000, "1000": [1000, "1000 of 1000"]}\n{"rows": 1000}\n'

    assert redacted_json(text, redactor(["1000"])) == (
        '{"stations": 1000, "1000": [1000, "*** of ***"]}\n{"rows": 1000}\n'
    )


def test_a_redacted_address_is_restored_only_with_the_same_secrets() -> None:
    """With a changed key, or a foreign one, nothing is stored."""
    note = json.dumps({"url": f"https://x.org/?key={KEY}", "at": 1})
    mine = Placeholders([KEY])

    put = mine.put(note)

    assert put is not None
    assert KEY not in put
    assert mine.undone(put) == note
    assert Placeholders(["fedcba9876543210"]).undone(put) is None
    assert Placeholders([]).put(note) is None


def test_a_login_is_removed_in_its_encoded_form() -> None:
    """AUTH PLAIN and LOGIN send it in base64."""
    assert of_login("me", "pw") == ["pw", "cHc=", "AG1lAHB3"]
    assert of_login("me", "") == []


class EchoingFeed(FakeFeed):
    """A feed whose texts quote an address with a key."""

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Return a payload that has the key in each of its texts."""
        payload, text = super().fetch(get, memory), f"no answer from x.org/{KEY}/list"
        return replace(
            payload,
            documents=tuple(replace(item, url=text) for item in payload.documents),
            incomplete=text,
            beside=text,
            findings={"lost": text},
            notes={"address": text},
        )


def test_no_text_of_a_payload_is_stored_with_a_secret(tmp_path: Path) -> None:
    """Payloads are kept for days, and their texts become notices and notes."""
    world = World(tmp_path / "city")
    fetcher = Fetcher(
        EchoingFeed(world.clock),
        FakeClient(),
        world.ledger,
        world.clock,
        redact=redactor([KEY]),
        placeholders=Placeholders([KEY]),
    )

    payload = fetcher.fetch(world.begin())

    texts = [payload.incomplete, payload.beside, payload.findings["lost"]]
    texts += [payload.notes["address"], payload.documents[0].url]
    assert [text for text in texts if KEY in text or "***" not in text] == []


def test_a_bug_that_quotes_a_secret_is_recorded_without_it(tmp_path: Path) -> None:
    """Also if it prevents the cycle, which redacts its own run."""

    def bug(name: str, _seconds: float) -> Cycle:
        raise ZeroDivisionError(f"{name}: key {KEY}")

    collector = Collector(
        folders={"city": tmp_path},
        zones={"city": UTC},
        grids={"city": Grid.of(300)},
        hosts={"city": "x.org"},
        times=Times(time.time, time.monotonic, Stop()),
        seconds=60.0,
        workers=1,
        cycle=bug,
        alert=lambda _troubles, _runs: True,
        logs=lambda _folders: logging.NullHandler(),
        redact=redactor([KEY]),
    )

    (run,) = collector.dry()

    assert run.error == "ZeroDivisionError: city: key ***"
