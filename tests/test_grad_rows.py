"""Which rows `grad` shows, in which order, folded how; and when it fails."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paramtool import gradients
from paramtool.cli.typed_rules import Typed, without_narrowing
from paramtool.operations.listing import gradient_groups
from paramtool.operations.listing.selection import Selection
from paramtool.patterns import compile_pattern
from paramtool.records.gradient import GradientRow
from paramtool.render.formats import as_text, folded
from tests.conftest import CONFIGS, Run

MLP = str(CONFIGS / "mlp.yaml")
SHARED = str(CONFIGS / "shared.yaml")

BLOCKS = """
model:
  Sequential:
    - Linear: [4, 8]
    - Repeat: {times: 5, module: {Sequential: {norm: {LayerNorm: 8}, up: {Linear: [8, 8]}}}}
    - Linear: [8, 3]
input: [6, 4]
loss: projection
"""


@pytest.fixture
def blocks(tmp_path: Path) -> str:
    path = tmp_path / "model.yaml"
    path.write_text(BLOCKS)
    return str(path)


def rows(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("grad", *arguments, "--json")
    assert result.status == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return found


def names(run: Run, *arguments: str) -> list[str]:
    return [row["name"] for row in rows(run, *arguments) if row["kind"] == "parameter"]


# narrowed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--only", "weight"], ["0.weight", "2.weight"]),
        (["--only", "^0", "--only", "2.b"], ["0.weight", "0.bias", "2.bias"]),
        (["--module", "0"], ["0.weight", "0.bias"]),
        (["-m", "0", "-m", "2"], ["0.weight", "0.bias", "2.weight", "2.bias"]),
        (["--name", "2.bias"], ["2.bias"]),
        (["--only", "bias", "--module", "0"], ["0.bias"]),
        (["--pattern", "weight", "--normal", "1", "--module", "0"], ["0.weight", "0.bias"]),
        (["--module", "0", "--normal", "1", "--name", "2.bias"], ["2.bias"]),
    ],
)
def test_rows_are_narrowed_by_name_and_module(arguments: list[str], expected: list[str], run: Run) -> None:
    """A --name or --module that no initializer follows is no rule: it says what to show."""
    assert names(run, MLP, *arguments) == expected


def test_the_totals_are_those_of_the_rows_that_are_shown(run: Run) -> None:
    """Of two tensors with 15 elements, two uses are counted."""
    found = json.loads(run("grad", MLP, "--module", "0", "--json").stdout)["totals"]
    assert (found["tensors"], found["parameters"], found["uses"], found["verdicts"]["ok"]) == (2, 15, 2, 2)


def test_a_tied_parameter_is_kept_by_any_of_its_names(run: Run) -> None:
    """So are its uses, which stand below it."""
    found = rows(run, SHARED, "--only", "^1")
    assert [(row["kind"], row["name"]) for row in found] == [
        ("parameter", "0.weight"), ("use", "0.weight"), ("use", "0.weight"),
    ]  # fmt: skip


def test_layers_are_those_of_the_parameters_that_are_kept(run: Run) -> None:
    """The call of a module stands beside the parameters that are in it."""
    found = rows(run, MLP, "--layers", "--only", "2.weight")
    assert [(row["kind"], row["name"]) for row in found] == [("parameter", "2.weight"), ("module", "2")]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--only", "wieght"], 2, "no parameter matches the selection; there are 4 names"),
        (["--name", "0.wieght"], 2, "no parameter matches the selection; did you mean '0.weight'?"),
        (["--module", "9"], 2, "no parameter matches the selection"),
        (["--only", "("], 2, "--only"),
        (["--pattern", "weight"], 2, "no initializer follows it"),
        (["--module", "0", "--pattern", "weight"], 2, "--only narrows rows"),
        (["--sort", "nrom"], 2, "cannot sort by 'nrom'; type: paramtool grad "),
        (["--sort", "output_std"], 2, "cannot sort by 'output_std', which is of modules; add --layers"),
        (["--sort", "share", "--no-by-use"], 2, "which is of uses; leave out --no-by-use"),
        (["--depth", "1", "--by-use"], 2, "--depth folds parameters together"),
        (["--depth", "0"], 2, "Invalid value for '--depth'"),
    ],
)
def test_what_cannot_be_shown_is_a_line(arguments: list[str], status: int, message: str, run: Run) -> None:
    """Nothing is printed, and the line says what would do."""
    result = run("grad", MLP, *arguments)
    assert (result.status, result.stdout) == (status, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_selector_behind_the_last_initializer_narrows() -> None:
    """Only if there is nothing but names and modules."""
    typed = [
        Typed("pattern", "w", ""),
        Typed("zeros", None, ""),
        Typed("name", "a", ""),
        Typed("module", "b", ""),
    ]
    rules, narrowing = without_narrowing(typed)
    assert (rules, narrowing.names, narrowing.modules) == (typed[:2], ("a",), ("b",))
    mixed = [*typed, Typed("ndim", "2", "")]
    assert without_narrowing(mixed)[0] == mixed
    assert without_narrowing([])[0] == []


# sorted


def test_rows_are_sorted_with_their_uses(run: Run) -> None:
    """Largest first, and --reverse the other way; each use stays below its parameter."""
    norms = [row["norm"] for row in rows(run, MLP, "--sort", "norm")]
    assert norms == sorted(norms, reverse=True)
    up = [row["norm"] for row in rows(run, MLP, "--sort", "norm", "--reverse")]
    assert up == norms[::-1]
    found = rows(run, MLP, "--by-use", "--sort", "name", "--reverse")
    assert [row["name"] for row in found] == ["2.weight", "2.weight", "2.bias", "2.bias", "0.weight",
                                              "0.weight", "0.bias", "0.bias"]  # fmt: skip
    assert [row["kind"] for row in found] == ["parameter", "use"] * 4
    assert names(run, MLP, "--reverse") == names(run, MLP)[::-1]


def test_numbers_that_are_unknown_come_last() -> None:
    """NaN has no place in an order, and None neither."""
    made = [GradientRow(kind="parameter", name=name, norm=norm) for name, norm in
            (("a", math.nan), ("b", 1.0), ("c", None), ("d", 2.0))]  # fmt: skip
    assert [row.name for row in gradient_groups.sort(made, "norm")] == ["d", "b", "a", "c"]
    assert [row.name for row in gradient_groups.sort(made, "norm", reverse=True)] == ["b", "d", "a", "c"]


# folded


def test_depth_folds_into_the_norm_of_one_vector(blocks: str, run: Run) -> None:
    """The norm, and that of the parameters in the ratio, are of all tensors together."""
    whole = rows(run, blocks)
    parts = {row["name"]: row for row in rows(run, blocks, "--depth", "1")}
    assert list(parts) == ["0", "1", "2"]
    inside = [row for row in whole if row["name"].startswith("1.")]
    norm = math.hypot(*(row["norm"] for row in inside))
    weights = math.hypot(*(row["norm"] / row["ratio"] for row in inside if row["ratio"]))
    assert parts["1"]["norm"] == pytest.approx(norm)
    assert parts["1"]["ratio"] == pytest.approx(norm / weights)
    assert parts["1"]["abs_max"] == max(row["abs_max"] for row in inside)
    assert parts["1"]["numel"] == sum(row["numel"] for row in inside)
    assert parts["1"]["verdict"] == "ok"


def test_the_verdict_of_a_fold_is_the_worst() -> None:
    """One NaN in a module is the module's."""
    made = [GradientRow(kind="parameter", name=f"a.{each}", verdict=each, norm=1.0, abs_max=1.0) for each in
            ("ok", "zero", "vanishing", "nan")]  # fmt: skip
    report = gradients(nn.Linear(1, 1), [torch.ones(1, 1)])
    object.__setattr__(report, "rows", tuple(made))
    (row,) = gradient_groups.fold_depth(report, 1).rows
    assert (row.name, row.verdict, row.norm) == ("a", "nan", 2.0)


def test_numbered_blocks_fold_as_in_inspect(blocks: str, run: Run) -> None:
    """Five blocks are a line each tensor, with the norm of all; --all shows each."""
    table = run("grad", blocks, "--no-by-use").stdout
    assert "1.{0..4}.up.weight" in table
    assert "24 names in 8 lines; --all shows each" in table
    assert "1.3.up.weight" in run("grad", blocks, "--no-by-use", "--all").stdout
    assert len(rows(run, blocks)) == 24  # machines get all
    root = run("grad", blocks, "--format", "tree").stdout.splitlines()[0]
    assert root == run("grad", blocks, "--format", "tree", "--all").stdout.splitlines()[0]


def test_what_differs_in_its_verdict_does_not_fold() -> None:
    """A dead block stands by itself, and so does a parameter whose uses are listed."""
    layers = [nn.Linear(8, 8) for _ in range(6)]
    module = nn.Sequential(*layers)
    inputs = [torch.rand(3, 8)]
    report = folded(gradients(module, inputs, values=False))
    assert [row.name for row in report.rows] == ["{0..5}.weight", "{0..5}.bias"]
    norms = [row.norm for row in gradients(module, inputs).rows if row.name.endswith("weight")]
    assert report.rows[0].norm == pytest.approx(math.hypot(*(each for each in norms if each is not None)))
    nn.init.zeros_(layers[5].weight)  # nothing comes through
    report = folded(gradients(module, inputs, values=False))
    assert [row.name for row in report.rows] == [
        "{0..4}.weight", "{0..4}.bias", "5.weight", "5.bias",
    ]  # fmt: skip
    by_use = gradients(module, inputs, values=False, by_use=True)
    assert folded(by_use) is by_use
    assert "5.weight" in as_text(by_use)


def test_an_output_is_short_unless_gradients_are_printed(run: Run, tmp_path: Path) -> None:
    """Of more than ten elements it is a line with its shape; --values prints it whole."""
    path = tmp_path / "model.yaml"
    path.write_text("model: {Linear: [4, 30, false]}\ninput: [2, 4]\n")
    short = run("grad", str(path)).stdout
    assert "output [2, 30] float32, grad_fn=<MmBackward0>\n" in short
    assert "tensor([[" not in short
    assert len(json.loads(run("grad", str(path), "--json").stdout)["totals"]["outputs"][0]["values"][0]) == 30
    path.write_text("model: {Linear: [4, 20, false]}\ninput: [2, 4]\n")
    assert "output [2, 20] float32\ntensor([[" in run("grad", str(path), "--values").stdout


# failures


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("norm<1e-30", 0),
        ("norm > 1", 1),
        ("norm>=2", 1),
        ("norm > 2", 0),
        ("abs_max == 2", 1),
        ("numel=1", 1),
        ("uses != 1", 0),
        ("nan, norm<inf", 1),
        ("vanishing,exploding", 0),
        ("sensitivity<1e-9", 0),
        ("ratio>-1", 1),
    ],
)
def test_a_condition_sets_the_status(condition: str, status: int, run: Run) -> None:
    """The last bias of the network has a gradient of 2, for two samples."""
    result = run("grad", MLP, "--only", "2.", "--fail-on", condition)
    assert (result.status, bool(result.stderr)) == (status, status == 1)
    if status:
        assert result.stderr.startswith("error: --fail-on: '2.")
    assert "2.bias" in result.stdout


def test_a_condition_on_uses_and_modules_names_them(run: Run) -> None:
    """A share below 0.6 is found in both uses of a shared layer."""
    result = run("grad", SHARED, "--fail-on", "share<0.6")
    assert result.status == 1
    assert result.stderr == (
        "error: --fail-on: '0.weight' by linear in '0' (share 0.5), '0.weight' by linear in '1' (share 0.5)\n"
    )
    assert run("grad", MLP, "--layers", "--fail-on", "output_std>1e9").status == 0


def test_nan_passes_no_gate(run: Run, tmp_path: Path) -> None:
    """Neither < nor > holds for NaN, and a gate that let it through would be none."""
    path = tmp_path / "model.yaml"
    path.write_text("model: {Linear: [1, 1, false]}\ninput: {values: [[.nan]]}\n")
    assert run("grad", str(path), "--fail-on", "norm<1e-9").status == 1
    assert run("grad", str(path), "--fail-on", "norm>1e9").status == 1


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("ratio<", "'ratio<' must end with a number, got ''"),
        ("ratio<x", "must end with a number, got 'x'; e.g. 'ratio<1e-6'"),
        ("ratio<nan", "must end with a number"),
        ("rtio<1", "no column 'rtio' with numbers; did you mean 'ratio'?"),
        ("dtype<1", "no column 'dtype' with numbers; use one of numel"),
        ("ratio", "unknown verdict 'ratio'"),
        ("ratio<1<2", "must end with a number, got '1<2'"),
        ("gradient_std<1", "'gradient_std' is of modules; add --layers"),
        ("vanshing", "did you mean 'vanishing'?"),
        ("ratio<1,", "unknown verdict ''"),
    ],
)
def test_a_condition_that_is_wrong_is_a_line(condition: str, message: str, run: Run) -> None:
    """It is refused before anything runs."""
    result = run("grad", MLP, "--fail-on", condition)
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert run("grad", MLP, "--no-by-use", "--fail-on", "uses>1").status == 2


def test_selection_takes_excluded_names_too() -> None:
    """The API's own selection serves here as it does in a listing."""
    report = gradients(nn.Linear(2, 2), [torch.ones(1, 2)])
    found = gradient_groups.select(report, Selection(exclude=[compile_pattern("bias")]))
    assert [row.name for row in found.rows] == ["weight"]
    assert gradient_groups.select(report, Selection()) is report
