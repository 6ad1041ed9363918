"""Sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramtool.errors import ParamtoolError
from paramtool.files.sizes import UNITS, byte_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5GB", 5 * 10**9),
        ("5 GB", 5 * 10**9),
        (" 1.5MB ", 1_500_000),
        ("0.1TB", 10**11),
        ("512MiB", 2**29),
        ("2GiB", 2**31),
        ("3KiB", 3072),
        ("7kB", 7000),
        ("7KB", 7000),
        ("9B", 9),
        ("123456789", 123456789),
    ],
)
def test_a_size_is_read_as_it_is_written(text: str, size: int) -> None:
    """Units are decimal, unless they have the i of the binary ones; a plain number is bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "5Gb", "5gb", "5 apples", "1e9", "1,5GB", "0", "0.1B", "٣GB"]
)
def test_what_is_no_size_is_told(text: str) -> None:
    """What is no size, might be bits, or is less than a byte is refused, and the text is in the message."""
    with pytest.raises(ParamtoolError, match=r"size|unit") as caught:
        parse_size(text)
    assert repr(text) in caught.value.message


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)))
def test_every_unit_multiplies(count: int, unit: str) -> None:
    """A whole number of any unit is that many times the unit."""
    assert parse_size(f"{count}{unit}") == count * UNITS[unit]


def test_bytes_are_told_in_decimal_units() -> None:
    """Sizes in messages have at most one digit after the point."""
    assert [byte_size(count) for count in (0, 76, 999_999, 497_800_000)] == [
        "0 B",
        "76 B",
        "1.0 MB",
        "497.8 MB",
    ]
