"""What is written as a count allows exactly what rounds to it."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paramtool.quantities import COUNT_PATTERN, COUNTS, SIZE_PATTERN, SIZES, about, between, byte_size

GPT2 = 124_439_808


@pytest.mark.parametrize(
    ("written", "least", "most"),
    [
        ("19", 19, 19),
        ("0", 0, 0),
        ("007", 7, 7),
        ("124M", 123_500_000, 124_500_000),
        ("124.4M", 124_350_000, 124_450_000),
        ("124.440M", 124_439_500, 124_440_500),
        ("124.439808M", GPT2, GPT2),
        ("124.4398080M", GPT2, GPT2),
        ("1k", 500, 1500),
        ("1K", 500, 1500),
        ("0k", 0, 500),
        ("7B", 6_500_000_000, 7_500_000_000),
        ("7G", 6_500_000_000, 7_500_000_000),
        ("70.6B", 70_550_000_000, 70_650_000_000),
        ("1T", 500_000_000_000, 1_500_000_000_000),
    ],
)
def test_a_count_is_what_rounds_to_it(written: str, least: int, most: int) -> None:
    """The last written digit says how exact a count is, to half of it; digits alone are exact."""
    quantity = about(written, COUNTS)
    assert re.fullmatch(COUNT_PATTERN, written)
    assert str(quantity) == written
    assert quantity.most == most
    assert {least, most} <= {count for count in (least - 1, least, most, most + 1) if count in quantity}
    assert most + 1 not in quantity
    assert least - 1 not in quantity or least == 0


@pytest.mark.parametrize(
    ("written", "least", "most"),
    [
        ("76", 76, 76),
        ("76B", 76, 76),
        ("76 B", 76, 76),
        ("498M", 497_500_000, 498_500_000),
        ("498MB", 497_500_000, 498_500_000),
        ("497.8 MB", 497_750_000, 497_850_000),
        ("1kB", 500, 1500),
        ("1KB", 500, 1500),
        ("1KiB", 512, 1536),
        ("1.0KiB", 973, 1075),  # 1024 ± 51.2
        ("141.1 GB", 141_050_000_000, 141_150_000_000),
    ],
)
def test_a_size_is_what_rounds_to_it(written: str, least: int, most: int) -> None:
    """Bytes are written with the units of sizes, in which B is a byte."""
    quantity = about(written, SIZES)
    assert re.fullmatch(SIZE_PATTERN, written)
    assert (quantity.least, quantity.most) == (least, most)


@given(st.integers(0, 10**15 - 10**11))
def test_a_size_may_be_written_as_it_is_shown(nbytes: int) -> None:
    """What inspect prints as the bytes of a model is an expectation that the model keeps."""
    assert nbytes in about(byte_size(nbytes), SIZES)


@given(st.integers(0, 10**15), st.sampled_from(sorted(COUNTS)), st.integers(0, 12))
@example(1150, "k", 1)
def test_a_rounded_count_allows_what_was_counted(count: int, unit: str, decimals: int) -> None:
    """Whatever is counted, its rounded form allows it, and nothing that is farther than half a digit."""
    digit = Decimal(COUNTS[unit]).scaleb(-decimals)
    if digit < 1:  # finer than a count: a rounded form may be none
        return
    for rounding in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN):
        number = (Decimal(count) / COUNTS[unit]).quantize(Decimal(1).scaleb(-decimals), rounding)
        quantity = about(f"{number:f}{unit}", COUNTS)
        assert count in quantity
        assert quantity.least is not None
        assert quantity.most is not None
        value = number * COUNTS[unit]
        assert value - quantity.least <= digit / 2 < value - quantity.least + 1
        assert quantity.most - value <= digit / 2 < quantity.most - value + 1


@given(st.integers(0, 10**18))
def test_digits_are_exact(count: int) -> None:
    """A count in digits allows itself only."""
    quantity = about(str(count), COUNTS)
    assert (quantity.least, quantity.most) == (count, count)


@pytest.mark.parametrize(
    ("bounds", "written", "least", "most"),
    [
        ((None, "124M"), "max 124M", None, 124_000_000),
        (("1.5k", None), "min 1.5k", 1500, None),
        (("19", "19"), "min 19, max 19", 19, 19),
        (("1.0005k", "1.0005k"), "min 1.0005k, max 1.0005k", 1001, 1000),
    ],
)
def test_a_bound_is_the_number_that_it_says(
    bounds: tuple[str | None, str | None], written: str, least: int | None, most: int | None
) -> None:
    """A bound is not rounded: 124,439,808 is more than max 124M."""
    quantity = between(*bounds, COUNTS)
    assert (str(quantity), quantity.least, quantity.most) == (written, least, most)
    if most is not None and least is None:
        assert most in quantity
        assert most + 1 not in quantity


@pytest.mark.parametrize(
    "written", ["", "M", "1.M", ".5M", "1.5", "-1", "+1", "1e3", "1 M", "1m", "1P", "1MB", "1" * 21]
)
def test_a_count_is_written_so_and_not_otherwise(written: str) -> None:
    """What has no digits, a fraction without a suffix, or another suffix is no count."""
    assert not re.fullmatch(COUNT_PATTERN, written)


@pytest.mark.parametrize(
    "written", ["", "B", "1.5", "1.5B", "1kib", "1mB", "1MBs", "1  MB", "1Ki", "1GIB", "1Gb"]
)
def test_a_size_is_written_so_and_not_otherwise(written: str) -> None:
    """A fraction of a byte, bits and misspelt units are no sizes."""
    assert not re.fullmatch(SIZE_PATTERN, written)


def test_what_is_no_quantity_is_refused() -> None:
    """The patterns say what may be given; anything else is an error of the caller."""
    with pytest.raises(ValueError, match="'many' is not a quantity"):
        about("many", COUNTS)
