"""Write a table as a workbook (.xlsx), row by row in constant memory."""

import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, tzinfo
from decimal import Decimal
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

from bikecollect.cli.render.table import width
from bikecollect.core.errors import NotInstalled, StorageError, UsageError
from bikecollect.core.timeline.zones import named

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

SHEET_ROWS = 1_048_576
"""Maximum rows of a sheet; others are on further sheets with the same header."""
CELL_CHARACTERS = 32_767
MIN_WIDTH, MAX_WIDTH = 12, 40
"""Of a column, in characters; a longer text is shown in part."""
TIME_WIDTH = 20
"""Of a column with times: a narrower one shows them as ######."""
EXACT = 10**15
"""Spreadsheets round numbers of more digits, such as ids: these are texts."""
TIME, DAY = "yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd"
PERCENT, TENTHS = "[>=0.9995]0.0####%;[<0.0005]0.0####%;0.0%", "0.0"
"""Formats of shares, and of means. Shares that one decimal would round to 100 % or to 0
have more of them; a format may have two conditions (ECMA-376, part 1, 18.8.31)."""
FILTER = 4
"""Characters that the button of the filter covers in a header."""
OPTIONS = {
    "constant_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}


def write(
    fd: int,
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    zones: Mapping[str, tzinfo],
    formats: Mapping[str, str],
) -> None:
    """Write *rows* under *header* to the open file *fd*, on sheets called *name*.

    A datetime is written as its local time, because workbooks have no UTC offsets: if
    there are any, a last sheet has the time zone of each system, of *zones*. *formats*
    are those of columns with fractions. Texts remain texts, even if they look like a
    formula. Raises NotInstalled if XlsxWriter is missing, OSError, which names no file,
    if *fd* cannot be written.
    """
    try:
        import xlsxwriter  # an extra
    except ImportError as error:
        raise NotInstalled(
            "a workbook requires XlsxWriter; run: pip install 'bikecollect[excel]'"
        ) from error
    with (
        os.fdopen(fd, "w+b", closefd=False) as file,
        tempfile.TemporaryDirectory(prefix="bikecollect-") as folder,
        _abandoned_on_error(fd),
        # On an error, too: that closes the temporary files.
        closing(xlsxwriter.Workbook(file, {**OPTIONS, "tmpdir": folder})) as workbook,
        _named(folder),
    ):
        book = _Book(workbook, formats)
        book.fill(name, header, rows)
        if book.has_times:
            names = [(system, named(zone)) for system, zone in zones.items()]
            book.fill("time zones", ("system_id", "time_zone"), names)


@contextmanager
def _abandoned_on_error(fd: int) -> Iterator[None]:
    """Abandon the unfinished workbook in *fd* on any error, also that of a signal.

    Raises the first OSError instead of one of its consequences, and StorageError for
    another error of XlsxWriter.
    """
    from xlsxwriter.exceptions import XlsxWriterException

    try:
        yield
    except BaseException as error:
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


class _Sheet:
    """A sheet of *workbook* with its *header*, columns as wide as their widest cell.

    The header remains visible when scrolling, and has buttons that filter and sort.
    """

    def __init__(self, workbook: "Workbook", name: str, header: Sequence[str]) -> None:
        self.sheet = workbook.add_worksheet(name)
        self._header = header
        self._widths = [max(MIN_WIDTH, len(title) + FILTER) for title in header]
        self.lines = 1
        self.sheet.freeze_panes(1, 0)
        bold = workbook.add_format({"bold": True})
        for column, title in enumerate(header):
            self.sheet.write_string(0, column, title, bold)

    def add(self, sizes: Iterable[int]) -> None:
        """Count a row whose cells need the widths *sizes*."""
        for column, size in enumerate(sizes):
            self._widths[column] = max(self._widths[column], size)
        self.lines += 1

    def finish(self) -> None:
        """Set what needs to know all rows."""
        for column, size in enumerate(self._widths):
            self.sheet.set_column(column, column, min(size, MAX_WIDTH))
        self.sheet.autofilter(0, 0, self.lines - 1, len(self._header) - 1)


class _Book:
    """The sheets of *workbook*, whose columns with fractions have *formats* by title.

    *has_times* says whether any cell is a local time.
    """

    def __init__(self, workbook: "Workbook", formats: Mapping[str, str]) -> None:
        self._workbook = workbook
        self._formats: dict[str, Format] = {
            form: workbook.add_format({"num_format": form})
            for form in {TIME, DAY, *formats.values()}
        }
        self._fractions = formats
        self.has_times = False

    def fill(
        self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Write *rows* under *header*, on as many sheets as they need."""
        sheet, sheets = _Sheet(self._workbook, name, header), 1
        for row in rows:
            if sheet.lines == SHEET_ROWS:
                sheet.finish()
                sheets += 1
                sheet = _Sheet(self._workbook, f"{name} {sheets}", header)
            line, sizes = sheet.lines, list[int]()
            for column, value in enumerate(row):
                place, title = (line, column), header[column]
                sizes.append(self._write_cell(sheet.sheet, place, value, title))
            sheet.add(sizes)
        sheet.finish()

    def _write_cell(
        self, sheet: "Worksheet", place: tuple[int, int], value: Any, title: str
    ) -> int:
        """Write *value* as its type; return the width it needs, 0 for a usual one."""
        if value is None:
            return 0
        if isinstance(value, bool):
            sheet.write_boolean(*place, value)
            return 0
        is_id = isinstance(value, int) and abs(value) >= EXACT
        if isinstance(value, int | float | Decimal) and not is_id:
            if math.isfinite(value):  # a workbook has no other numbers
                is_whole = isinstance(value, int)
                form = "" if is_whole else self._fractions.get(title, "")
                sheet.write_number(*place, value, self._formats.get(form))
            return 0
        if isinstance(value, datetime):
            self.has_times = True
            local = value.replace(tzinfo=None)
            sheet.write_datetime(*place, local, self._formats[TIME])
            return TIME_WIDTH
        if isinstance(value, date):
            sheet.write_datetime(*place, value, self._formats[DAY])
            return 0
        if len(text := str(value)) > CELL_CHARACTERS:
            raise UsageError(
                f"{title}: a text of {len(text):,} characters does not fit into a cell "
                f"({CELL_CHARACTERS:,}); use --format csv"
            )
        sheet.write_string(*place, text)
        return width(text)
