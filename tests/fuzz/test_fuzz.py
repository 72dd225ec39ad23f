"""Every reader of foreign bytes, on good inputs that were damaged at random."""

import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import SEEDS, TARGETS, TOKENS

FOUND = Path(__file__).with_name("found")
"""Inputs that once broke a promise, by target."""
CALLS, CALLS_PER_BYTE = 60_000, 60
BYTES, BYTES_PER_BYTE = 3_000_000, 200
EXAMPLES = {"table": 25, "day": 60, "payload": 80}


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Draw one of *seeds* with pieces removed, doubled, replaced, or put in."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        piece = draw(
            st.sampled_from(TOKENS)
            | st.binary(max_size=8)
            | st.just(data[start:end] * 2)
        )
        data = data[:start] + piece + data[end:]
    return data


@contextmanager
def bounded(size: int) -> Iterator[None]:
    """Check that what is done within is in proportion to an input of *size* bytes."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    tracemalloc.start()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert calls <= CALLS + CALLS_PER_BYTE * size
    assert peak <= BYTES + BYTES_PER_BYTE * size


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_input_is_read(name: str) -> None:
    """What the damaged ones are made of keeps every promise itself."""
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_input_keeps_the_promises(name: str) -> None:
    """Only our errors, rows read back equal, work and memory in proportion."""

    @settings(max_examples=EXAMPLES.get(name, 120))
    @given(damaged(SEEDS[name]))
    def holds(data: bytes) -> None:
        with bounded(len(data)):
            TARGETS[name](data)

    holds()


@pytest.mark.parametrize(
    "path", sorted(FOUND.glob("*/*")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_an_input_that_was_found_once_keeps_the_promises(path: Path) -> None:
    """What broke a promise before does so no more."""
    data = path.read_bytes()

    with bounded(len(data)):
        TARGETS[path.parent.name](data)
