"""Write a table as a workbook (.xlsx), row by row in constant memory."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import NotInstalled, StorageError, UsageError

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

SHEET_ROWS = 1_048_576
"""Maximum rows of a sheet; others are on further sheets with the same header."""
CELL_CHARACTERS = 32_767
OPTIONS = {
    "constant_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "nan_inf_to_errors": True,
}


def write(
    fd: int, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write *rows* under *header* to the open file *fd*, on sheets called *name*.

    A datetime is written as its local time, because workbooks have no UTC offsets.
    Texts remain texts, even if they look like a formula. Raises NotInstalled if
    XlsxWriter is missing, OSError, which names no file, if *fd* cannot be written.
    """
    try:
        import xlsxwriter  # an extra
        from xlsxwriter.exceptions import XlsxWriterException
    except ImportError as error:
        raise NotInstalled(
            "a workbook requires XlsxWriter; run: pip install 'bikecollect[excel]'"
        ) from error
    with (
        os.fdopen(fd, "w+b", closefd=False) as file,
        tempfile.TemporaryDirectory(prefix="bikecollect-") as folder,
    ):
        try:
            workbook = xlsxwriter.Workbook(file, {**OPTIONS, "tmpdir": folder})
            try:
                with _named(folder):
                    _fill(workbook, name, header, rows)
            finally:
                workbook.close()  # on an error it closes the temporary files
        except BaseException as error:  # also a signal
            _abandon(fd, error)
            if not isinstance(error, XlsxWriterException | OSError):
                raise
            if (first := _first(error)) is None:
                raise StorageError(f"cannot write the workbook: {error}") from error
            raise OSError(first.errno, first.strerror, first.filename) from error


@contextmanager
def _named(folder: str) -> Iterator[None]:
    """Name *folder* in an error of the temporary files, which names none."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or folder
        raise


def _first(error: BaseException | None) -> OSError | None:
    """Return the OSError that was raised first, before *error*; None if there is none.

    Closing the workbook after an error fails, too.
    """
    first = None
    while error is not None:
        first = error if isinstance(error, OSError) else first
        error = error.__context__
    return first


def _abandon(fd: int, error: BaseException | None) -> None:
    """Let what is still written to *fd* after *error* go to memory.

    The destructor of the unfinished ZIP file writes once more; it would fail again, and
    Python would print that.
    """
    memory = os.memfd_create("abandoned")
    os.dup2(memory, fd)
    os.close(memory)
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__context__


def _fill(
    workbook: "Workbook",
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    bold = workbook.add_format({"bold": True})
    formats: dict[type, Format] = {
        datetime: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        date: workbook.add_format({"num_format": "yyyy-mm-dd"}),
    }
    sheet, line, sheets = _sheet(workbook, name, header, bold), 1, 1
    for row in rows:
        if line == SHEET_ROWS:
            sheets += 1
            sheet, line = _sheet(workbook, f"{name} {sheets}", header, bold), 1
        for column, value in enumerate(row):
            _write_cell(sheet, (line, column), value, formats, header[column])
        line += 1


def _sheet(
    workbook: "Workbook", name: str, header: Sequence[str], bold: "Format"
) -> "Worksheet":
    """Add a sheet with the *header*, which remains visible when scrolling."""
    sheet = workbook.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    for column, title in enumerate(header):
        sheet.set_column(column, column, max(12, min(24, len(title) + 2)))
        sheet.write_string(0, column, title, bold)
    return sheet


def _write_cell(
    sheet: "Worksheet",
    place: tuple[int, int],
    value: Any,
    formats: Mapping[type, "Format"],
    title: str,
) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(*place, value)
    elif isinstance(value, int | float):
        sheet.write_number(*place, value)
    elif isinstance(value, datetime):
        sheet.write_datetime(*place, value.replace(tzinfo=None), formats[datetime])
    elif isinstance(value, date):
        sheet.write_datetime(*place, value, formats[date])
    elif len(text := str(value)) > CELL_CHARACTERS:
        raise UsageError(
            f"{title}: a text of {len(text):,} characters does not fit into a cell "
            f"({CELL_CHARACTERS:,}); use --format csv"
        )
    else:
        sheet.write_string(*place, text)
