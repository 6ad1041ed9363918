"""Sizes as messages show them."""

from __future__ import annotations

from paramtool.quantities import byte_size


def test_bytes_are_told_in_decimal_units() -> None:
    """Sizes in messages have at most one digit after the point."""
    assert [byte_size(count) for count in (0, 76, 999_999, 497_800_000)] == [
        "0 B",
        "76 B",
        "1.0 MB",
        "497.8 MB",
    ]
