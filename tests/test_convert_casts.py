"""Convert, then read: the same bits as ``Tensor.to`` of the source, for every pair of dtypes."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import paramtool
from paramtool.elements.dtypes import DTYPES

HELD = [name for name in DTYPES if name not in ("float4_e2m1fn_x2", "complex32")]
"""What both torch and our reader take from a file of torch.save."""


def bit_patterns(name: str) -> Tensor:
    """Return elements of every size and kind: all patterns of small dtypes, random bits of others."""
    torch.manual_seed(1)
    dtype = getattr(torch, name)
    if name == "bool":
        return torch.tensor([True, False, True])
    count = 1 << (8 * min(dtype.itemsize, 2))
    if dtype.itemsize <= 2:
        return (
            torch.arange(count, dtype=torch.int32)
            .to(torch.uint8 if count == 256 else torch.uint16)
            .view(dtype)
        )
    raw = torch.randint(0, 256, (5000 * dtype.itemsize,), dtype=torch.uint8).view(dtype)
    near = torch.tensor(
        [0, 1, -1, 0.5, 2.5, 127, 128, 255.5, 448, 464, 465, 65504, 65520, 1e-8, 1e-40, 3.4e38]
    )
    return torch.cat([raw, near.to(dtype)])


def reached(source: Tensor, new: str) -> Tensor:
    """Return the elements whose cast C++ defines: whole numbers hold no infinity, NaN or larger values."""
    if DTYPES[new].kind != "int" or not (source.is_floating_point() or source.is_complex()):
        return source
    wide = (source.real if source.is_complex() else source).double()
    info = torch.iinfo(getattr(torch, new))
    return source[(wide > max(info.min, -(2**53)) - 1) & (wide < min(info.max, 2**53))]


@pytest.mark.parametrize("old", HELD)
def test_bits_are_those_of_torch(old: str, tmp_path: Path) -> None:
    """In a file of torch.save, which holds all of them, and in safetensors, where it has the dtype."""
    source = bit_patterns(old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is imaginary
        given = {new: reached(source, new).clone() for new in HELD}
        expected = {new: each.to(getattr(torch, new)) for new, each in given.items()}
    torch.save(given, tmp_path / "in.pt")
    rules = [("dtype", f"^{new}$={new}") for new in HELD]
    paramtool.convert(tmp_path / "in.pt", tmp_path / "out.pt", rules)
    check(torch.load(tmp_path / "out.pt", weights_only=True), expected)
    paramtool.convert(
        tmp_path / "in.pt", tmp_path / "out.safetensors", [("exclude", "complex128"), *rules[:-1]]
    )
    del expected["complex128"]
    check(load_file(tmp_path / "out.safetensors"), expected)


def check(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare bits; of NaN only that it is one: which, torch's vector and scalar code disagree on."""
    assert found.keys() == expected.keys()
    for name, each in found.items():
        meant = expected[name]
        assert (each.dtype, each.shape) == (meant.dtype, meant.shape), name
        parts = [torch.view_as_real(every) if every.is_complex() else every for every in (each, meant)]
        is_nan = [every.double().isnan() for every in parts]
        assert torch.equal(*is_nan), name
        bits = [every.contiguous().view(torch.uint8).view(*every.shape, -1) for every in parts]
        assert torch.equal(bits[0][~is_nan[0]], bits[1][~is_nan[0]]), name
