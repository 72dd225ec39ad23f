"""The exit code says whether an error of a query is the user's or the disk's."""

from typing import Any

import pytest

from bikecollect.cli import main, printing
from bikecollect.cli.commands import query
from bikecollect.core.errors import ExitCode

duckdb = pytest.importorskip("duckdb")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (duckdb.OutOfMemoryException("Out of Memory Error: Allocation failure"), 74),
        (duckdb.IOException("IO Error: Could not read: Input/output error"), 74),
        (duckdb.IOException('IO Error: No files found that match "x.csv"'), 64),
        (duckdb.CatalogException("Catalog Error: no such table"), 64),
    ],
)
def test_a_disk_that_cannot_be_read_is_no_mistake_in_the_query(
    error: Any, code: ExitCode
) -> None:
    """74 for a disk error, 64 for one in the SQL (fault 55)."""
    assert query._failure(error).exit_code == code


def test_an_unknown_table_is_answered_with_the_known_ones() -> None:
    """Not with one of DuckDB's own, which a query may not read."""
    lines = ("Table with name slos does not exist!", 'Did you mean "pg_enum"?', "", "L")
    error = duckdb.CatalogException("Catalog Error: " + "\n".join(lines))

    text = str(query._failure(error))

    assert "slots, coverage" in text
    assert "pg_enum" not in text


def test_an_error_of_several_lines_has_no_blank_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The lines below the first one are indented, those with a caret keep its place."""
    printing.complain("Binder Error: no x\n\nLINE 1: SELECT x\n               ^\n \n")

    assert capsys.readouterr().err.split("\n") == [
        "bikecollect: Binder Error: no x",
        "  LINE 1: SELECT x",
        "                 ^",
        "",
    ]


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "not enough memory; raise"),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: Allocation failure\nx"),
            "not enough memory: Out of Memory Error: Allocation failure; raise",
        ),
    ],
)
def test_too_little_memory_is_no_bug(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    what: str,
) -> None:
    """For any command: 74, and what to do."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("bikecollect.cli.cli.main", fail)

    assert main.run(["export"]) == 74
    assert what in capsys.readouterr().err


def test_an_interrupted_query_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends any command with 130, in silence."""

    def stop(*_: object, **__: object) -> None:
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("bikecollect.cli.cli.main", stop)

    assert main.run(["export"]) == 130
    assert capsys.readouterr().err == ""
