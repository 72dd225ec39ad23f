"""Rows are text from which the published values are read back."""

import csv
import io
import math
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import silent

from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import (
    CAPACITY,
    FLAGS,
    StationInformation,
    StationStatus,
)
from bikecollect.core.text import clean
from bikecollect.storage.csv_format import (
    DERIVED,
    Derived,
    Format,
    Row,
    derived,
    information_lines,
    read_information,
)

TAIPEI = ZoneInfo("Asia/Taipei")
SLOT = Slot(1_795_312_800)
TEXT = st.text(st.characters(), max_size=20)
COUNT = st.none() | st.integers(0, 99_999)
FLAG = st.none() | st.booleans()
STATUS = st.builds(
    StationStatus,
    *(TEXT, *[COUNT] * CAPACITY, *[FLAG] * len(FLAGS)),
    st.none() | st.integers(1_100_000_000, 4_000_000_000),
)
INFORMATION = st.builds(
    StationInformation,
    station_id=TEXT.filter(bool),
    name=st.none() | TEXT.filter(bool),
    short_name=st.none(),
    address=st.none() | TEXT.filter(bool),
    region=st.none(),
    post_code=st.none(),
    name_en=st.none(),
    address_en=st.none(),
    region_en=st.none(),
    lat=st.none() | st.floats(-90, 90),
    lon=st.none() | st.floats(-180, 180),
    capacity=COUNT,
    is_virtual_station=FLAG,
    is_listed=st.booleans(),
)


@given(st.lists(STATUS, max_size=5))
def test_every_row_is_read_back(statuses: list[StationStatus]) -> None:
    """A CSV reader gets the values of the snapshot (faults 40, 45, 46)."""
    block = Format(TAIPEI).block(SLOT, SLOT + 2.0, statuses, {})

    rows = list(csv.reader(io.StringIO(block.text.decode("utf-8"), newline="")))
    assert [row[2:12] for row in rows] == [
        [_cell(value) for value in status[:10]] for status in statuses
    ]
    assert block.text.count(b"\n") == len(statuses) == block.rows
    assert b"\r" not in block.text


@given(INFORMATION)
def test_station_information_is_read_back(version: StationInformation) -> None:
    """A version of a station is the same after a rebuild from its file."""
    line = information_lines(SLOT, TAIPEI, [version]).decode("utf-8")
    (cells,) = csv.reader(io.StringIO(line, newline=""))

    same = version._replace(
        station_id=clean(version.station_id),
        name=version.name and clean(version.name),
        address=version.address and clean(version.address),
    )
    assert read_information(cells) == same


def test_a_capacity_of_the_station_list_moves_no_other_value() -> None:
    """It fills its own column, whichever columns are beside it."""
    status = silent("a")._replace(num_docks_disabled=3, is_installed=True)
    known = {"a": StationInformation("a", capacity=28)}
    occupancy = (DERIVED["occupancy"],)
    block = Format(TAIPEI, occupancy).block(SLOT, SLOT, [status], known)

    header = Format(TAIPEI, occupancy).header
    (row,) = csv.DictReader(io.StringIO((header + block.text).decode()))
    filled = {name: cell for name, cell in row.items() if cell}
    assert list(filled)[3:] == ["num_docks_disabled", "capacity", "is_installed"]
    assert list(filled.values())[3:] == ["3", "28", "true"]


def test_missing_is_empty_and_never_zero() -> None:
    """A station without values has empty cells."""
    form = Format(TAIPEI, (DERIVED["occupancy"],))
    block = form.block(SLOT, SLOT, [silent("a")], {})

    head = b"2026-11-22T10:00:00+08:00,2026-11-22T10:00:00+08:00,a"
    assert block.text == head + b"," * (form.header.count(b",") - 2) + b"\n"


def test_the_derived_columns_have_their_values() -> None:
    """Occupancy, weekday, hour, is_empty and is_full of one station."""
    station = silent("a")._replace(
        num_vehicles_available=7, num_docks_available=0, capacity=28
    )
    names = ("occupancy", "weekday", "hour", "is_empty", "is_full")
    form = Format(TAIPEI, tuple(derived(name) for name in names))

    (row,) = csv.reader(form.block(SLOT, SLOT, [station], {}).text.decode().split())
    assert row[-5:] == ["0.25", "7", "10", "false", "true"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyError("fee"), "KeyError: 'fee'"), (SystemExit(3), "SystemExit: 3")],
)
def test_a_users_column_that_fails_leaves_the_others(
    error: BaseException, said: str
) -> None:
    """The row keeps its other columns, and the error is reported."""

    def broken(row: Row) -> Row:
        raise error

    form = Format(TAIPEI, (Derived(("fee",), broken), DERIVED["hour"]))
    station = silent("a")
    block = form.block(SLOT, SLOT, [station], {})

    assert block.text.endswith(b",,10\n")
    assert block.troubles == (f"column fee failed: {said}",)


class Unprintable:
    """A value of a user's function that cannot be shown."""

    def __repr__(self) -> str:
        """Fail."""
        raise LookupError


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x" * 1_025, "ValueError: a text of 1,025 characters; at most 1,024"),
        (10**5_000, "ValueError: an integer must be between -2**63 and 2**63"),
        (math.nan, "ValueError: nan is no number; what is unknown is None"),
        ([1], "TypeError: a column must be text, a number or a bool, not [1]"),
        (
            Unprintable(),
            "TypeError: a column must be text, a number or a bool, not <Unprintable in",
        ),
    ],
    ids=["long text", "large number", "nan", "list", "unprintable"],
)
def test_a_value_that_no_reader_would_take_leaves_its_cell_empty(
    value: object, said: str
) -> None:
    """Python's csv module refuses long cells; a NaN would make each mean a NaN.

    The other columns of the same function are kept.
    """

    def own(row: Row) -> dict[str, Any]:
        return {"id": row["station_id"], "own": value}

    form = Format(TAIPEI, (Derived(("id", "own"), own), DERIVED["hour"]))
    block = form.block(SLOT, SLOT, [silent("a")], {})

    assert block.text.endswith(b",a,,10\n")
    (trouble,) = block.troubles
    assert trouble.partition("stance at")[0] == f"column own failed: {said}"


def test_an_unknown_derived_column_names_the_nearest() -> None:
    """The error for a mistyped column suggests the right one."""
    with pytest.raises(SettingsError, match='did you mean "occupancy"'):
        derived("ocupancy")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean(str(value))


def test_an_id_is_text_with_its_leading_zeros() -> None:
    """0001 and 00A1 are unchanged (fault 47)."""
    stations = [silent(station_id) for station_id in ("0001", "00A1")]
    block = Format(TAIPEI).block(SLOT, SLOT, stations, {})

    assert [row.split(b",")[2] for row in block.text.split()] == [b"0001", b"00A1"]


@pytest.mark.parametrize("zone", ["Asia/Taipei", "America/St_Johns", "Africa/Monrovia"])
def test_rows_are_the_same_with_and_without_an_id_in_quotes(zone: str) -> None:
    """The faster way, which needs plain ids, writes the bytes of the csv module."""
    writer = Format(ZoneInfo(zone), (derived("occupancy"),))
    moments = (None, 0, 59, 60, 1_795_320_059, 1_795_320_060, -7, 1 << 60)
    plain = [
        silent(f"s{i}")._replace(
            num_vehicles_available=i,
            num_docks_available=0,
            num_vehicles_disabled=998,
            num_docks_disabled=2,
            capacity=i % 3 or None,
            is_installed=True,
            is_renting=False,
            last_reported=m,
        )
        for i, m in enumerate(moments)
    ]
    quoted = plain[0]._replace(station_id="a,b")

    fast = writer.block(Slot(60), 61.5, plain, {}).text
    slow = writer.block(Slot(60), 61.5, [*plain, quoted], {}).text

    assert slow.startswith(fast)
    assert slow[len(fast) :].count(b'"a,b"') == 1
