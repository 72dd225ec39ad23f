"""Names of a user's own columns: those in use are rejected, with the reason."""

from pathlib import Path

import pytest
from in_process import bikecollect

from bikecollect.collect.derived_columns import chosen


def troubles(tmp_path: Path, *functions: str) -> tuple[str, ...]:
    """Return the errors of a module of functions, each with the name of a column."""
    module = f"columns_{tmp_path.name}"
    lines = [
        f"def f{number}(row): return {{{name!r}: 1}}\n"
        for number, name in enumerate(functions)
    ]
    file = tmp_path / f"{module}.py"
    file.write_text("".join(lines), encoding="utf-8")
    file.chmod(0o644)
    names = [f"{module}:f{number}" for number in range(len(functions))]
    return chosen(["occupancy", *names], tmp_path).troubles


@pytest.mark.parametrize(
    "name",
    [
        *("Slot", "date", "minute_of_day", "system_id", "HOUR_OF_WEEK", "Capacity"),
        *("occupancy", "Occupancy", " x", "a\nb", "a\x1b[31m", "x" * 65),
    ],
)
def test_a_name_in_use_is_refused(tmp_path: Path, name: str) -> None:
    """In upper or lower case; the other columns are written."""
    (trouble,) = troubles(tmp_path, name)

    assert "the name " in trouble


def test_two_functions_cannot_share_a_name(tmp_path: Path) -> None:
    """The first one keeps it."""
    (trouble,) = troubles(tmp_path, "wind", "Wind")

    assert 'the name "Wind" is also used by' in trouble


@pytest.mark.parametrize("name", ["wind", "regen_mm", "Über 2 °C", "station", "hour"])
def test_other_names_are_accepted(tmp_path: Path, name: str) -> None:
    """Also with spaces and letters of other languages."""
    assert troubles(tmp_path, name) == ()


def test_the_settings_are_checked_with_the_functions_they_name(tmp_path: Path) -> None:
    """78, before anything is collected; `doctor` reports it, too."""
    (tmp_path / "mine_slot.py").write_text("def f(row): return {'Slot': 1}\n")
    settings = tmp_path / "b.toml"
    settings.write_text(
        'data_dir = "d"\n[systems.youbike-taipei]\ncolumns = ["mine_slot:f"]\n'
    )
    check = bikecollect("--config", settings, "config", "check")
    doctor = bikecollect("--config", settings, "doctor", "--offline")

    assert check.returncode == 78
    assert 'the name "Slot" is used by bikecollect' in check.stderr
    assert "youbike-taipei: columns" in doctor.stdout
