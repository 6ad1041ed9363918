"""Sizes that are typed mean what they mean in a spec."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramtool.errors import ParamtoolError
from paramtool.language.option_values import read_size
from paramtool.quantities import SIZES
from tests.conftest import Run


def size_of(text: str) -> int:
    return read_size("--max-shard-size", text, "init")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5GB", 5 * 10**9),
        ("5G", 5 * 10**9),
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
        ("1.0005kB", 1000),
    ],
)
def test_a_size_is_read_as_it_is_written(text: str, size: int) -> None:
    """Units are decimal, unless they have the i of the binary ones; a plain number is bytes."""
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["0", "0B", "0.0004kB"])
def test_less_than_a_byte_is_no_room(text: str) -> None:
    """A size that is nothing is refused, at the option."""
    with pytest.raises(ParamtoolError, match=f"^--max-shard-size {text}: error: the size '{text}' is less"):
        size_of(text)


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "5Gb", "5gb", "5 apples", "1e9", "1,5GB", "1.5", "0.1B", "٣GB", "9" * 21]
)
def test_what_is_no_size_is_told_alike_everywhere(text: str, run: Run, tmp_path: Path) -> None:
    """A shard and an expectation of bytes refuse the same texts with the same words."""
    spec = tmp_path / "model.yaml"
    spec.write_text("model: {Linear: [1, 1]}\n")
    said = []
    for arguments, name in (
        (["check", str(spec), f"--bytes={text}"], "bytes' of expect"),
        (
            ["init", str(spec), "-p", ".", "--ones", "-o", "x", f"--max-shard-size={text}"],
            "max-shard-size' of init",
        ),
    ):
        result = run(*arguments)
        assert (result.status, result.stdout) == (2, "")
        _, found, after = result.stderr.partition(f"error: '{name} must be a size, got ")
        assert found, result.stderr
        said.append(after)
    assert said[0] == said[1]
    assert said[0].endswith("; e.g. 500MB or 476MiB\n")


@given(st.integers(1, 10**6), st.sampled_from(sorted(SIZES)))
def test_every_unit_multiplies(count: int, unit: str) -> None:
    """A whole number of any unit is that many times the unit."""
    assert size_of(f"{count}{unit}") == count * SIZES[unit]
