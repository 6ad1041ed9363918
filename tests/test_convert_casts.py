"""Convert, then read: the same bits as ``Tensor.to`` of the source, for every pair of dtypes."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import paramtool
from paramtool.elements.dtypes import DTYPES
from paramtool.operations.conversion import tasks

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
        bits = [every.contiguous().view(torch.uint8).view(*every.shape, every.itemsize) for every in parts]
        assert torch.equal(bits[0][~is_nan[0]], bits[1][~is_nan[0]]), name


@pytest.mark.parametrize(
    ("old", "new", "ending"),
    [
        ("float32", "bfloat16", "safetensors"), ("float32", "float16", "pt"),
        ("float64", "float32", "safetensors"), ("bfloat16", "float32", "safetensors"),
        ("float16", "float16", "pt"), ("int32", "int8", "safetensors"), ("float32", "int16", "pt"),
    ],
)  # fmt: skip
def test_small_tensors_are_converted_as_each_would_be_alone(
    old: str, new: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bits, and what each tensor loses: too large, too small, NaN, zeros of both signs, no element at all."""
    source, draw = tmp_path / "in.safetensors", torch.Generator().manual_seed(0)
    rare = torch.tensor(
        [0.0, -0.0, 1e-42, 1e39, 3e38, -3e38, torch.inf, torch.nan, 70000.0], dtype=torch.float64
    )
    tensors = {
        f"{at:02}": torch.cat((torch.randn(at, generator=draw).double() * 9, rare[at % 9 : at % 9 + at % 4]))
        for at in range(40)
    }
    if DTYPES[old].kind == "int":
        tensors = {name: each.nan_to_num().clamp(-(2.0**31), 2.0**31 - 1) for name, each in tensors.items()}
    save_file({name: each.to(getattr(torch, old)) for name, each in tensors.items()}, source)

    def converted(small: int) -> tuple[list[object], dict[str, Tensor]]:
        monkeypatch.setattr(tasks, "SMALL", small)
        path = tmp_path / f"out.{ending}"
        done = paramtool.convert(source, path, [("dtype", f".={new}")], force=True)
        return list(done.rows), load_file(path) if ending != "pt" else torch.load(path, weights_only=True)

    alone, expected = converted(0)
    together, found = converted(1 << 14)
    assert together == alone
    check(found, expected)
    if DTYPES[new].kind == "float":
        given = {name: each.to(getattr(torch, old)) for name, each in tensors.items()}
        check(found, {name: each.to(getattr(torch, new)) for name, each in given.items()})


def test_nan_is_counted_in_small_tensors_that_are_widened(tmp_path: Path) -> None:
    """To look for NaN leaves what is written as it is."""
    source, path = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    tensors = {f"{at:02}": torch.arange(1.0, at + 2).bfloat16() for at in range(20)}
    save_file(tensors, source)
    paramtool.convert(source, path, [("dtype", "float32")], fail_on=["nan"])
    check(load_file(path), {name: each.float() for name, each in tensors.items()})
    tensors["07"][3] = torch.nan
    save_file(tensors, source)
    with pytest.raises(paramtool.ParamtoolError, match="'07': 1 element is NaN"):
        paramtool.convert(source, path, [("dtype", "float32")], fail_on=["nan"], force=True)
