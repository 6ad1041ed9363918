"""``diff --values --spectrum``: the singular values of a change, held to those of torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import paramtool
from paramtool.elements import spectrum as spectra
from paramtool.errors import BadArgument
from paramtool.operations.comparison.module_differences import fold_depth
from paramtool.records.difference import DifferenceRow
from tests.conftest import Run
from tests.test_without_torch import hidden


def changed(a: Mapping[str, Tensor], b: Mapping[str, Tensor], **options: Any) -> dict[str, DifferenceRow]:
    """Return the rows of what changed from one state_dict to another, by name."""
    report = paramtool.diff(dict(a), dict(b), values=True, spectrum=True, **options)
    return {row.name: row for row in report}


def one(was: Tensor, now: Tensor) -> DifferenceRow:
    """Return the row of a single tensor."""
    return changed({"w": was}, {"w": now})["w"]


def whole(low: int, high: int, *shape: int) -> Tensor:
    """Return whole numbers, whose products and sums are exact."""
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(math.prod(shape)))


@pytest.mark.parametrize("rank", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(64, 48), (48, 64), (40, 40), (300, 9)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_merged_adapter_has_its_rank(rank: int, shape: tuple[int, int], dtype: torch.dtype) -> None:
    """W + BA differs from W by a matrix of exactly the rank of BA; its 8 largest directions hold it all."""
    was = whole(-4, 5, *shape).to(dtype)
    up, down = whole(-1, 2, shape[0], rank), whole(-1, 2, rank, shape[1])
    expected = int(torch.linalg.matrix_rank((up @ down).double()))
    row = one(was, was + (up @ down).to(dtype))
    assert (row.rank, row.top_8) == (expected, 1.0)
    assert row.effective_rank is not None
    assert 1 - 1e-9 <= row.effective_rank <= expected + 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rounding_does_not_count(dtype: torch.dtype) -> None:
    """Of weights as they are trained, a merged adapter of rank 4 has rank 4 after rounding too."""
    torch.manual_seed(0)
    was = (torch.randn(256, 192) * 0.02).to(dtype)
    now = (was.double() + torch.randn(256, 4).double() @ torch.randn(4, 192).double() * 0.01).to(dtype)
    row = one(was, now)
    assert row.rank == 4
    assert row.top_8 is not None
    assert row.top_8 > 0.99
    noise = one(now, (now.double() * (1 + torch.randn(256, 192).double() * 0.01)).to(dtype))
    assert noise.rank is not None
    assert noise.rank > 100 or dtype is torch.bfloat16  # whose rounding is as large


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (1, 6), (6, 1), (8, 4, 3, 3), (3, 1, 2)])
def test_the_numbers_are_those_of_the_singular_values(shape: tuple[int, ...]) -> None:
    """A tensor of more dimensions is the matrix of its first by all others."""
    torch.manual_seed(0)
    was, now = torch.randn(shape), torch.randn(shape)
    values = torch.linalg.svdvals((now.double() - was.double()).flatten(1))
    parts = values / values.sum()
    row = one(was, now)
    assert row.rank == len(values)
    assert row.effective_rank == pytest.approx(math.exp(-float((parts * parts.log()).sum())), rel=1e-9)
    assert row.top_1 == pytest.approx(float(values[0] ** 2 / (values**2).sum()), rel=1e-9)
    assert row.top_8 == pytest.approx(float((values[:8] ** 2).sum() / (values**2).sum()), rel=1e-9)


def test_equal_directions_have_all_of_the_rank() -> None:
    """n orthogonal directions of one size have an effective rank of n; one direction has 1."""
    row = one(torch.zeros(16, 16), torch.eye(16) * 3)
    assert (row.rank, row.top_1, row.top_8) == (16, 1 / 16, 0.5)
    assert row.effective_rank == pytest.approx(16, rel=1e-12)
    assert one(torch.zeros(4, 6), torch.ones(4, 6)).effective_rank == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150, 1e300])
def test_magnitudes_do_not_matter(scale: float) -> None:
    """Squares neither overflow nor vanish."""
    change = torch.diag(torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)) * scale
    row = one(torch.zeros(3, 3, dtype=torch.float64), change)
    assert row.rank == 3
    assert row.top_1 == pytest.approx(4 / 6)


@pytest.mark.parametrize("panel", [1, 7, 64, 100, 10**6])
@pytest.mark.parametrize("shape", [(6, 50), (50, 6)])
def test_panels_change_nothing(monkeypatch: pytest.MonkeyPatch, panel: int, shape: tuple[int, int]) -> None:
    """However few rows are held at a time, the Gram matrix is the same."""
    was, now = whole(-9, 9, *shape).double(), whole(-9, 9, 301).double()[:300].reshape(shape)
    expected = one(was, now)
    monkeypatch.setattr(spectra, "PANEL", max(panel, shape[1]))
    assert one(was, now) == expected


def test_complex_numbers_and_whole_ones_have_a_spectrum() -> None:
    """A complex difference keeps its phases, and integers are exact."""
    outer = torch.tensor([[1 + 1j], [2j]]) @ torch.tensor([[1.0, 1j, -1]], dtype=torch.complex64)
    assert one(torch.zeros(2, 3, dtype=torch.complex64), outer).rank == 1
    assert one(torch.zeros(3, 3, dtype=torch.int64), torch.eye(3, dtype=torch.int64)).rank == 3


def test_what_is_no_matrix_has_none() -> None:
    """A bias has no spectrum, and one that is not finite is named."""
    nan = torch.full((2, 2), math.nan)
    a, b = {"bias": torch.zeros(3), "odd": torch.zeros(2, 2)}, {"bias": torch.ones(3), "odd": nan}
    report = paramtool.diff(a, b, values=True, spectrum=True)
    assert [(row.rank, row.effective_rank, row.top_1) for row in report] == [(None, None, None)] * 2
    assert report.totals.without_spectrum == {"odd": "an element is not finite"}


def test_whole_numbers_that_float64_cannot_tell_apart_are_named() -> None:
    """They differ, but nothing is left of the difference."""
    was = torch.full((2, 2), 2**60)
    report = paramtool.diff({"w": was}, {"w": was + 1}, values=True, spectrum=True)
    assert [(row.differing, row.rank) for row in report] == [(4, None)]
    assert report.totals.without_spectrum == {"w": "the difference vanishes in float64"}


def test_a_matrix_that_is_too_large_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what the limit is; the other columns are there."""
    monkeypatch.setattr(spectra, "LARGEST_SIDE", 2)
    report = paramtool.diff({"w": torch.zeros(3, 3)}, {"w": torch.ones(3, 3)}, values=True, spectrum=True)
    assert [(row.differing, row.rank) for row in report] == [(9, None)]
    assert report.totals.without_spectrum == {"w": "its smaller side is 3, more than 2"}


def test_the_difference_is_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """No panel has more elements than the limit, unless a row has."""
    sizes = []
    monkeypatch.setattr(spectra, "PANEL", 64)

    def rows(start: int, stop: int) -> Any:
        sizes.append((stop - start) * 16)
        return np.ones((stop - start, 16))

    assert spectra.spectrum(rows, 10, 16) == spectra.spectrum(rows, 10, 16)
    assert max(sizes) <= 64


def test_torch_is_not_needed(tmp_path: Path) -> None:
    """Files are compared with NumPy alone."""
    names = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors")]
    for name, value in zip(names, (torch.zeros(3, 3), torch.eye(3)), strict=True):
        save_file({"w": value}, name)
    ((status, out, err),) = hidden(["diff", *names, "--values", "--spectrum", "--json"])
    assert (status, err, json.loads(out)["rows"][0]["rank"]) == (1, "", 3)


def test_the_columns_are_there_when_asked_for(tmp_path: Path, run: Run) -> None:
    """In every format, folded over blocks, and with a note for what has no spectrum."""
    a = {f"h.{index}.w": whole(-4, 5, 8, 6).float() for index in range(4)}
    b = {name: value + torch.ones(8, 6) for name, value in a.items()}
    save_file(a, tmp_path / "a.safetensors")
    save_file(b, tmp_path / "b.safetensors")
    names = (str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors"))
    told = run("diff", *names, "--values", "--spectrum")
    assert told.status == 1
    assert "h.{0..3}.w     ×4" in told.stdout
    assert "effective_rank" in told.stdout
    found = json.loads(run("diff", *names, "--values", "--spectrum", "--json").stdout)["rows"]
    assert [(row["rank"], row["top_1"]) for row in found] == [(1, 1.0)] * 4
    assert "rank" not in json.loads(run("diff", *names, "--values", "--json").stdout)["rows"][0]
    assert "rank 1" in run("diff", *names, "--values", "--spectrum", "--format", "tree").stdout


def test_depth_folds_into_modules(tmp_path: Path, run: Run) -> None:
    """A line for each kind of change in a module has the worst of its tensors; one alone stays as it is."""
    torch.manual_seed(0)
    a = {f"h.{at}.{part}.w": torch.zeros(6, 6) for at in range(3) for part in ("q", "k")}
    b = {name: value + torch.eye(6) * (at + 1) for at, (name, value) in enumerate(a.items())}
    b["h.2.k.w"] = torch.ones(6, 6)
    b |= {name: torch.ones(2) for name in ("h.0.bias", "h.0.q.b", "head")}
    for name, tensors in (("a", a), ("b", b)):
        save_file(tensors, tmp_path / f"{name}.safetensors")
    typed = ("diff", *(str(tmp_path / f"{name}.safetensors") for name in "ab"), "--values", "--spectrum")
    found = json.loads(run(*typed, "--depth", "2", "--json").stdout)
    rows = [(each["change"], each["name"], each["count"], each["now"]) for each in found["rows"]]
    values = {each["name"]: each for each in found["rows"] if each["change"] == "values"}
    assert sorted(rows) == [
        ("added", "h.0", 2, "[2] float32"),
        ("added", "head", 1, "[2] float32"),
        *(("values", f"h.{at}", 2, None) for at in range(3)),
    ]
    assert [each["max_abs"] for each in values.values()] == [2, 4, 5]
    assert (values["h.2"]["rank"], values["h.2"]["top_1"]) == (6, pytest.approx(1 / 6))
    assert found["totals"]["differences"] == 9
    assert "9 differences in 3 lines\n" in run(*typed, "--depth", "1").stdout


def test_depth_cuts_both_names_of_what_moved() -> None:
    """Modules that were renamed fold where both of their names agree so far."""
    a = {f"{name}.{part}.w": torch.full((2,), float(at)) for at, name in enumerate("xy") for part in "pq"}
    b = {name.replace("x.", "z.r."): value for name, value in a.items()}
    report = fold_depth(paramtool.diff(a, b), 1)
    assert [(row.change, row.name, row.now, row.count) for row in report] == [("renamed", "x", "z", 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spectrum",), "--spectrum requires --values"),
        (("--columns", "rank"), "the column 'rank' is not computed; add --values --spectrum"),
        (("--values", "--columns", "rank"), "the column 'rank' is not computed; add --spectrum"),
    ],
)
def test_it_needs_values(options: tuple[str, ...], message: str, run: Run) -> None:
    """One line says which options are missing."""
    result = run("diff", "configs/mlp.yaml", "configs/mlp.yaml", *options)
    assert (result.status, result.stderr) == (2, f"error: {message}\n")
    with pytest.raises(BadArgument, match="spectrum is about values"):
        paramtool.diff({}, {}, spectrum=True)
