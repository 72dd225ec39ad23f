"""Whose a file is, at the end of a message that access to it was denied."""

import os
from pathlib import Path

import pytest

from bikecollect.cli.printing import complain


def test_of_two_paths_in_a_message_the_owner_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands between them is part of neither."""
    aside = tmp_path / "rejected folder" / "x.csv"
    aside.parent.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "geteuid", lambda: 65_534)

    complain(
        f"cannot keep {tmp_path}/x.csv in {aside.parent}: Permission denied: '{aside}'"
    )

    assert capsys.readouterr().err.endswith(", this user is nobody\n")
