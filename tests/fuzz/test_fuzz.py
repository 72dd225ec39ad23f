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

BUILD = Path(__file__).parents[2] / "build/fuzz"
FOUND = Path(__file__).with_name("found")
"""Inputs that once broke a promise, by target."""
CALLS, CALLS_PER_BYTE = 60_000, 60
BYTES, BYTES_PER_BYTE = 3_000_000, 200
EXAMPLES = {"table": 25, "day": 60, "payload": 80}


class Input(bytes):
    """Bytes that are shown in short; failing ones are saved as build/fuzz/NAME."""

    def __repr__(self) -> str:
        """Return its size and its beginning."""
        return f"<{len(self)} bytes: {self[:60]!r}>"


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> Input:
    """Draw one of *seeds* with pieces removed, doubled, replaced, or inserted."""
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
    return Input(data)


def keeps_its_promises(name: str, data: bytes) -> bool:
    """Let the target *name* read *data*; return whether its work is in proportion.

    What is imported on the way counts too, but not when it is done once more.
    """
    return any(_in_proportion(name, data) for _ in range(2))


def _in_proportion(name: str, data: bytes) -> bool:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    tracemalloc.start()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        TARGETS[name](data)
    finally:
        sys.setprofile(before)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    few = calls <= CALLS + CALLS_PER_BYTE * len(data)
    return few and peak <= BYTES + BYTES_PER_BYTE * len(data)


@contextmanager
def kept(path: Path, data: bytes) -> Iterator[None]:
    """Keep *data* at *path* if the block fails."""
    try:
        yield
    except Exception:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        raise


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_input_is_read(name: str) -> None:
    """The seeds of the damaged inputs keep every promise themselves."""
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_input_keeps_the_promises(name: str) -> None:
    """Only our errors, rows read back equal, work and memory in proportion."""

    @settings(max_examples=EXAMPLES.get(name, 120))
    @given(damaged(SEEDS[name]))
    def holds(data: Input) -> None:
        with kept(BUILD / name / "broken", data):
            assert keeps_its_promises(name, data)

    holds()


@pytest.mark.parametrize(
    "path", sorted(FOUND.glob("*/*")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_inputs_that_once_failed_keep_the_promises(path: Path) -> None:
    """Regressions found by fuzzing."""
    assert keeps_its_promises(path.parent.name, path.read_bytes())
