"""What a cast loses, counted block by block, against torch's own cast."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paramtool.elements.cast_losses import all_fit, extremes_fit, has_zero, loses, losses
from paramtool.elements.casts import cast
from paramtool.elements.dtypes import DTYPES, Array
from paramtool.elements.scratch import Scratch

FLOATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
SHORT = ("float32", "float16", "bfloat16", "float8_e5m2")


def counted(values: Array, old: str, new: str) -> tuple[int, int, int]:
    """Return what is counted for float64 `values` that are stored as `old`, and then as `new`."""
    scratch = Scratch()
    block = cast(values, DTYPES["float64"], DTYPES[old], Scratch()).copy()
    result = cast(block, DTYPES[old], DTYPES[new], Scratch())
    found = losses(block, DTYPES[old], DTYPES[new], result)
    if all_fit(block, DTYPES[old], DTYPES[new], scratch):
        assert (found.overflowed, found.vanished, found.nan) == (0, 0, 0)
        assert np.array_equal(cast(block, DTYPES[old], DTYPES[new], scratch, may_have_nan=False), result)
    if extremes_fit(block, DTYPES[old], DTYPES[new]):
        assert (found.overflowed, found.nan) == (0, 0)
        assert np.array_equal(cast(block, DTYPES[old], DTYPES[new], scratch, may_have_nan=False), result)
        assert has_zero(result) or not found.vanished
    return found.overflowed, found.vanished, found.nan or 0


@pytest.mark.parametrize("old", FLOATS)
@pytest.mark.parametrize("new", SHORT)
def test_counts_are_those_of_torchs_cast(old: str, new: str) -> None:
    """Finite values that torch makes infinite, and others than zero that it makes zero."""
    random = np.random.default_rng(0)
    for scale in (0, -20, 20, -140, 140):
        values = random.standard_normal(300) * 2.0 ** (scale + random.uniform(-12, 12, 300))
        values[:4] = 0.0, -0.0, 1.0, -1.0
        before = torch.from_numpy(values).to(getattr(torch, old))
        after = before.to(getattr(torch, new)).double()
        before = before.double()
        over = int((before.isfinite() & ~after.isfinite()).sum())
        gone = int(((before != 0) & (after == 0)).sum())
        expected = (over, gone) if loses(DTYPES[old], DTYPES[new]) else (0, 0)
        assert counted(values, old, new)[:2] == expected, scale
        assert (over, gone) == expected, "what can lose nothing loses nothing"


@pytest.mark.parametrize(
    ("values", "old", "new", "expected"),
    [
        ([448.0, 464.0, 465.0, -1e9], "float32", "float8_e4m3fn", (2, 0, 0)),  # it saturates
        ([np.inf, -np.inf, 1.0], "float32", "float8_e4m3fn", (2, 0, 0)),  # and has no infinity
        ([np.inf, np.nan, 1.0], "float32", "bfloat16", (0, 0, 1)),  # which others have
        ([300.0, -1.0, 0.5, 0.0, np.nan], "float32", "uint8", (3, 1, 1)),
        ([2.0**63, 2.0**62], "float64", "int64", (1, 0, 0)),
        ([300.0, 7.0], "int64", "int8", (1, 0, 0)),
        ([-1.0, 7.0], "int8", "uint64", (1, 0, 0)),
        ([70000.0, 1.0], "int32", "float16", (1, 0, 0)),
        ([0.5, 3.0], "float32", "bool", (0, 0, 0)),
        ([65504.0, 65280.0, 65536.0], "bfloat16", "float16", (2, 0, 0)),  # bfloat16 rounds the first up
    ],
)
def test_named_cases(values: list[float], old: str, new: str, expected: tuple[int, int, int]) -> None:
    """Values too large, values that become zero, and NaN."""
    given = np.array(values)
    found = counted(given, old, new) if loses(DTYPES[old], DTYPES[new]) else (0, 0, 0)
    assert found == expected


@pytest.mark.parametrize("new", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_the_quick_look_is_enough_for_usual_values(new: str) -> None:
    """Ordinary weights need no second look; one value that is lost among them does."""
    scratch, old = Scratch(), DTYPES["float32"]
    usual = np.random.default_rng(0).uniform(0.1, 1, 1000).astype(np.float32)
    usual[::2] *= -1
    assert extremes_fit(usual, old, DTYPES[new])
    assert not has_zero(cast(usual, old, DTYPES[new], scratch))
    for zero in (0.0, -0.0, 1e-42, -1e-42):
        assert has_zero(cast(np.append(usual, np.float32(zero)), old, DTYPES[new], scratch)), zero
    for lost in (np.inf, -np.inf, np.nan, 3.4028235e38, -3.4028235e38):
        assert not extremes_fit(np.append(usual, np.float32(lost)), old, DTYPES[new]), lost
