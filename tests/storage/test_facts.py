"""The facts of a system whose folder cannot be read."""

from pathlib import Path

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
