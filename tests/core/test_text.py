"""Foreign text, stored and shown."""

import json

import pytest

from bikecollect.alerts.escalation import step
from bikecollect.core.errors import (
    BikecollectError,
    FeedUnavailable,
    PayloadError,
    RateLimited,
    SettingsError,
)
from bikecollect.core.incidents import Signal
from bikecollect.core.payload import Attempt
from bikecollect.core.run import Notice, Result, Run, from_json
from bikecollect.core.slots import Slot
from bikecollect.core.text import (
    clean,
    mail_address_error,
    message,
    visible,
    visible_json,
)
from bikecollect.core.timeline.grid import Grid

HOSTILE = "a\x1b]0;t\x07\r\nb\x7f\x85\x9b2J\u2028\u2029\u202ec\u2066\u200b\ufeff\udc80"
SHOWN = (
    r"a\x1b]0;t\x07\x0d\x0ab\x7f\x85\x9b2J\u2028\u2029\u202ec\u2066\u200b\ufeff\udc80"
)


def test_invisible_characters_are_escaped() -> None:
    """C0, DEL, C1, line and paragraph separators, bidi, zero width, surrogates."""
    assert visible(HOSTILE) == SHOWN


def test_escaping_twice_changes_nothing() -> None:
    """A text may pass through several layers."""
    assert visible(SHOWN) == SHOWN


@pytest.mark.parametrize(
    "text", ["Gare de l'Est", "捷運市政府站(3號出口)", "a\u00a0b\u3000c", "ö", "🚲", ""]
)
def test_printable_text_is_unchanged(text: str) -> None:
    """Letters of any script, spaces of any width, symbols."""
    assert visible(text) == text
    assert clean(text) == text


def test_an_invisible_tag_character_is_escaped() -> None:
    """Tags can carry a whole hidden message (U+E0000)."""
    assert visible("a\U000e0041") == r"a\U000e0041"
    assert visible_json("a\U000e0041") == r'"a\udb40\udc41"'


def test_escaped_json_parses_to_the_same_value() -> None:
    """Only its spelling changes."""
    values = {"name": HOSTILE.removesuffix("\udc80"), "more": ["站", 1]}

    text = visible_json(values)

    assert json.loads(text) == values
    assert text.isprintable()


def test_a_stored_name_has_no_controls_and_no_bidi() -> None:
    """Controls and separators become spaces, bidi marks are removed, joiners kept."""
    assert clean("a\x1b[2J\x9bb\u2028c\u202ed\u2066e\u200ff") == "a [2J b cdef"
    assert clean("👩\u200d🚒") == "👩\u200d🚒"


@pytest.mark.parametrize(
    "error",
    [
        BikecollectError(HOSTILE),
        SettingsError(HOSTILE),
        PayloadError(HOSTILE, cause="shape"),
        FeedUnavailable(HOSTILE, http_status=500),
        RateLimited(HOSTILE, not_before=1.0),
    ],
)
def test_an_error_is_one_visible_line(error: BikecollectError) -> None:
    """For every error class, and any quoted text."""
    assert str(error) == SHOWN


def test_texts_of_a_run_are_escaped() -> None:
    """Its error, notices and attempts, also those read from a ledger."""
    tries = (Attempt(f"http://x/{HOSTILE}", 0.0, 0.0, error=HOSTILE),)
    run = Run("r", "city", Slot(0), 0.0, attempts=tries, result=Result(error=HOSTILE))

    run = run.noticed(Notice("drift", HOSTILE))

    assert run.error == SHOWN
    assert run.notices == (Notice("drift", SHOWN),)
    assert run.attempts[0].url == f"http://x/{SHOWN}"
    assert run.attempts[0].error == SHOWN
    assert from_json(run.to_json()) == run


def test_texts_of_an_incident_are_escaped() -> None:
    """Except the line ends between notices."""
    (incident,), _ = step(
        (), Slot(300), {"mail": Signal("mail", HOSTILE)}, Grid.of(300)
    )

    assert incident.text == SHOWN.replace(r"\x0a", "\n")


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    """The middle is cut, because both ends are informative."""
    text = message("cannot be read: " + "word " * 1_000_000 + "; it is kept in /srv/x")

    assert len(text) < 1_100
    assert text.startswith("cannot be read: word word")
    assert text.endswith("; it is kept in /srv/x")
    assert "letters left out]" in text


def test_a_long_message_cuts_no_word() -> None:
    """Half of a secret would not be recognised."""
    words = [f"secret-{number}" for number in range(1_000)]
    left = message(" ".join(words)).split(" ")

    assert {word for word in left if word.startswith("s")} <= set(words)


@pytest.mark.parametrize(
    "text", ["o'brien@b.c", "a+b@[IPv6:::1]", '"a b;c"@b.c', "a@b"]
)
def test_unusual_mail_addresses_are_left_to_the_server(text: str) -> None:
    """It knows best; `localhost` may have mailboxes."""
    assert mail_address_error(text) == ""


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("Me <me@b.c>", '; write "me@b.c"'),
        ("me@b.c, you@b.c", '; write "me@b.c", "you@b.c"'),
        ("me@b.c;you@b.c", '; write "me@b.c", "you@b.c"'),
        ("mailto:me@b.c", '; write "me@b.c"'),
        ("me@b.c ", '; write "me@b.c"'),
        ("jürgen@b.c", "is not in ASCII"),
        ("root", "is not a mail address"),
    ],
)
def test_what_is_no_mail_address_has_a_remedy(text: str, remedy: str) -> None:
    """As it is copied from a mail program; a server would reject it each time."""
    assert mail_address_error(text).endswith(remedy)
