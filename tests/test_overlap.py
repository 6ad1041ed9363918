"""Extents of memory overlap exactly where they have a byte in common."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paramtool.operations.sharing import overlap
from paramtool.operations.sharing.overlap import Groups, overlaps
from paramtool.records import extent
from paramtool.records.extent import Extent, covered

MANY = 50_257


def bytes_of(extent: Extent) -> set[int]:
    """Return the positions that an extent covers, one by one."""
    if 0 in extent.shape:
        return set()
    positions = {extent.start}
    for size, stride in zip(extent.shape, extent.strides, strict=True):
        positions = {each + stride * index for each in positions for index in range(size)}
    return {each + offset for each in positions for offset in range(extent.itemsize)}


@st.composite
def extents(draw: st.DrawFn) -> Extent:
    """Draw any extent of small strides, overlapping itself or not, empty now and then."""
    ndim = draw(st.integers(0, 3))
    return Extent(
        draw(st.sampled_from("st")),
        draw(st.integers(0, 60)),
        draw(st.sampled_from((1, 2, 4, 8))),
        tuple(draw(st.integers(0, 4)) for _ in range(ndim)),
        tuple(draw(st.integers(0, 20)) for _ in range(ndim)),
    )


@given(st.lists(extents(), min_size=2, max_size=5))
@settings(max_examples=500)
def test_overlaps_are_those_of_the_bytes(drawn: list[Extent]) -> None:
    """Groups are the components of what has a byte of one space in common, and none is in doubt."""
    byte_sets = [bytes_of(each) for each in drawn]
    expected = Groups(range(len(drawn)))
    for one in range(len(drawn)):
        for other in range(len(drawn)):
            if drawn[one].space == drawn[other].space and byte_sets[one] & byte_sets[other]:
                expected.join(one, other)
    found = overlaps(dict(enumerate(drawn)))
    assert {frozenset(each) for each in found.groups} == {frozenset(each) for each in expected.of_several()}
    assert not found.doubtful


@given(st.lists(extents(), max_size=5))
def test_what_is_covered_is_counted_once(drawn: list[Extent]) -> None:
    """The bytes that extents of one space cover together are those of the union."""
    inside = [each for each in drawn if each.space == "s"]
    assert covered(inside) == len(set[int]().union(*map(bytes_of, inside)))


@given(extents())
def test_a_region_begins_and_ends_with_its_bytes(drawn: Extent) -> None:
    """Start is the first byte and stop the one after the last; unbroken is what has no gap."""
    positions = bytes_of(drawn)
    assert drawn.is_empty == (not positions)
    if positions:
        assert (drawn.start, drawn.stop) == (min(positions), max(positions) + 1)
    if not drawn.repeats:
        assert len(positions) == drawn.stop - drawn.start


def test_a_long_region_holds_several_that_are_apart() -> None:
    """a[0:100], b[10:20] and c[50:60] are one group; a finder that keeps the last stop has two."""
    found = overlaps({"a": Extent("s", 0, 100), "b": Extent("s", 10, 10), "c": Extent("s", 50, 10)})
    assert found.groups == (("a", "b", "c"),)


def test_neighbours_do_not_overlap() -> None:
    """Where one extent stops the next may start."""
    assert overlaps({"a": Extent("s", 0, 10), "b": Extent("s", 10, 10)}).groups == ()


def test_large_columns_are_decided_at_once() -> None:
    """Of a matrix of 150 MB the columns 0 and 1 are apart, 0:2 and 1:3 are not; no step is in doubt."""
    row = 768 * 4
    columns = {index: Extent("s", index * 4, 4, (MANY,), (row,)) for index in range(5)}
    assert overlaps(columns).groups == ()
    wide = {index: Extent("s", index * 4, 4, (MANY, 2), (row, 4)) for index in range(0, 3)}
    found = overlaps(wide)
    assert found.groups == ((0, 1, 2),)
    assert not found.doubtful
    assert covered(wide.values()) == 4 * MANY * 4


def test_a_stride_that_never_meets_is_told_by_its_divisors() -> None:
    """Every sixth byte from 0 and every fourth from 1 never meet; from 2 they do."""
    sixth = Extent("s", 0, 1, (10**9,), (6,))
    assert overlaps({"a": sixth, "b": Extent("s", 1, 1, (10**9,), (4,))}).groups == ()
    assert overlaps({"a": sixth, "b": Extent("s", 2, 1, (10**9,), (4,))}).groups == (("a", "b"),)


def test_what_takes_too_long_is_taken_to_overlap_and_said_to_be_in_doubt() -> None:
    """Strides that make a hard knapsack are given up on after a bounded number of steps."""
    numbers = random.Random(0)
    strides = tuple(numbers.randrange(2**50, 2**51) for _ in range(60))
    hard = Extent("s", 0, 1, (2,) * 60, strides)
    found = overlaps({"a": hard, "b": Extent("s", hard.stop // 2, 1), "c": Extent("s", hard.stop, 1)})
    assert found.groups == (("a", "b"),)
    assert found.doubtful == {"a", "b"}


def test_too_many_pairs_are_taken_to_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the work for a model is spent, what lies in one range of bytes is one group, in doubt."""
    columns = {index: Extent("s", index * 4, 4, (10,), (80,)) for index in range(20)}
    assert overlaps(columns).groups == ()
    monkeypatch.setattr(overlap, "MOST_WORK", 50)
    found = overlaps(columns)
    assert found.groups == (tuple(range(20)),)
    assert len(found.doubtful) == 20


def test_what_is_too_large_to_map_is_covered_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the size of the map, the bytes are those of all extents, or of their range if that is less."""
    pair = [Extent("s", 0, 4, (10, 2), (80, 4)), Extent("s", 4, 4, (10, 2), (80, 4))]
    assert covered(pair) == 120
    monkeypatch.setattr(extent, "MOST_UNITS", 10)
    assert covered(pair) == 160
    assert covered([*pair, Extent("s", 0, 80)]) == 240


def test_many_slices_of_one_storage_are_quick_to_tell() -> None:
    """A flat parameter, 20,000 slices of it and a strided view of it are one group."""
    slices: dict[object, Extent] = {index: Extent("s", index * 400, 400) for index in range(20_000)}
    slices["flat"] = Extent("s", 0, 400 * 20_000)
    slices["every"] = Extent("s", 0, 4, (3,), (40_000,))
    assert len(overlaps(slices).groups) == 1
    del slices["flat"], slices["every"]
    assert overlaps(slices).groups == ()
