"""The facts of a system whose folder cannot be read."""

from pathlib import Path

import pytest

from bikecollect.storage.facts import facts_file
from bikecollect.storage.facts.system import system_folder

NAME_TOO_LONG = "a" * 300


def test_a_folder_that_cannot_be_read_has_the_facts_of_the_settings(
    tmp_path: Path,
) -> None:
    """A dead mount of one system does not end the command for the others."""
    folder = system_folder(
        tmp_path / NAME_TOO_LONG,
        timezone="Europe/Oslo",
        interval=300,
        columns=(),
        now=1_790_000_000,
    )

    assert folder.interval == 300
    assert str(folder.zone) == "Europe/Oslo"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("null", "it has no facts of a system"),
        ('{"facts": [1]}', "it has no facts of a system"),
        ("", "Expecting value"),
    ],
)
def test_a_file_that_has_no_facts_is_named_in_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, words: str
) -> None:
    """Not as a `NoneType`, and once by a run, which replaces it."""
    (tmp_path / "facts.json").write_text(text, encoding="utf-8")
    caplog.set_level("WARNING")

    folder = system_folder(
        tmp_path, timezone="Asia/Taipei", interval=300, columns=(), now=1_790_000_000
    )
    facts_file.record(folder)

    assert [r.getMessage().partition(words)[0] for r in caplog.records] == [
        f"cannot read {tmp_path}/facts.json: "
    ]
    assert facts_file.load(tmp_path) == list(folder.facts)
