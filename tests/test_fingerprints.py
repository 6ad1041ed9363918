"""The fingerprint by which what was written is compared with what is read back."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paramtool.errors import ParamtoolError
from paramtool.files.writing.fingerprint import PART, fingerprint
from paramtool.files.writing.weights import Entry, WeightsWriter

PAGE = 4096
ROW = 8 * 509

sizes = st.sampled_from([0, 1, 7, ROW - 1, ROW, ROW + 1, 3 * ROW, 10 * PAGE, PART, PART + 1, 2 * PART + 99])


def content(size: int, seed: int = 0) -> bytearray:
    """Return random bytes."""
    return bytearray(random.Random(seed).randbytes(size))


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 2**40), st.integers(1, 255))
def test_a_byte_that_changes_is_noticed(size: int, at: int, by: int) -> None:
    """Whatever the size and the place, one other byte has another fingerprint."""
    before = content(size)
    after = bytearray(before)
    if size:
        after[at % size] ^= by
        assert fingerprint(before) != fingerprint(after)
    assert fingerprint(before) == fingerprint(bytes(before)) == fingerprint(memoryview(before))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255))
@example(0, 128)
def test_pages_that_change_places_or_are_lost_are_noticed(one: int, other: int) -> None:
    """Pages of a file in each other's place, and one that is all zero."""
    data = content(PART)
    first, second = (slice(PAGE * each, PAGE * (each + 1)) for each in (one, other))
    lost = bytearray(data)
    lost[first] = bytes(PAGE)
    assert fingerprint(lost) != fingerprint(data)
    if one != other:
        swapped = bytearray(data)
        swapped[first], swapped[second] = data[second], data[first]
        assert fingerprint(swapped) != fingerprint(data)


@given(st.integers(0, 2 * ROW))
def test_parts_one_after_the_other_are_the_whole(size: int) -> None:
    """Who reads a part at a time gets what who wrote everything at once has."""
    data = content(2 * PART + size)
    found = 0
    for start in range(0, len(data), PART):
        found = fingerprint(data[start : start + PART], found)
    assert found == fingerprint(data)


@pytest.mark.parametrize("size", [100, 3 * PART + 77])
@pytest.mark.parametrize("fault", ["byte", "page", "short"])
def test_what_changed_on_the_disk_is_refused(tmp_path: Path, size: int, fault: str) -> None:
    """Another byte, a page of zeros, and a file that was cut off; nothing is left then."""
    data = content(size)
    entries = [Entry("a", "uint8", (size,)), Entry("b", "uint8", (10,))]
    with (
        pytest.raises(ParamtoolError, match="differ from those written"),
        WeightsWriter(tmp_path / "w.safetensors", entries) as writer,
    ):
        writer.read_elements(2, digests=False)
        writer.write("a", 0, data)
        writer.write("b", 0, bytes(10))
        (temporary,) = tmp_path.iterdir()
        end = temporary.stat().st_size
        if fault == "short":
            os.truncate(temporary, end - 12)
        else:
            with temporary.open("r+b") as file:
                file.seek(end - 10 - size // 2)
                file.write(bytes(PAGE if fault == "page" and size > PAGE else 20))
    assert list(tmp_path.iterdir()) == []
