"""``--columns``, ``--top``, ``--total``, and the statistics of modules: what of a report is shown."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import paramtool
from paramtool.errors import BadArgument, ParamtoolError
from paramtool.operations.listing.depth import fold_depth
from paramtool.records.moments import pooled_mean, pooled_std
from tests.conftest import Run
from tests.processes import watch

SPEC = """\
model:
  Sequential:
    - {Embedding: [10, 4]}
    - {Linear: [4, 4]}
    - {Linear: {in_features: 4, out_features: 10, bias: false}}
tie: {2.weight: 0.weight}
freeze: 1.bias
input: {shape: [2], fill: randint, high: 10}
init: [{pattern: weight, normal: 0.1}]
"""
MODEL = "m.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a spec the current one."""
    (tmp_path / MODEL).write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = {
    "inspect": (["inspect", MODEL], "numel,name"),
    "statistics": (["inspect", MODEL], "std,name,histogram,values"),
    "shared": (["shared", MODEL], "tied_to,name,start"),
    "diff": (["diff", MODEL, MODEL, "--set", "model.Sequential.1.Linear=[4, 5]"], "now,change"),
    "check": (["check", MODEL, "--parameters", "60", "--names", "."], "found,holds,place"),
    "init": (["init", MODEL, "--dry-run"], "rule,names,name"),
    "digests": (["init", MODEL], "sha256,name"),
    "grad": (["grad", MODEL, "--layers"], "norm,name,operation,numel"),
    "initializers": (["initializers"], "origin,name,spec"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_every_command_shows_the_columns_that_were_typed(case: str, run: Run) -> None:
    """Every format with columns has those that were typed, in this order, and no other."""
    arguments, typed = COMMANDS[case]
    columns = typed.split(",")
    results = {
        each: run(*arguments, "--columns", typed, "-f", each)
        for each in ("table", "markdown", "csv", "tsv", "json", "jsonl")
    }
    assert {each.status for each in results.values()} == {int(case == "diff")}
    rows = json.loads(results["json"].stdout)["rows"]
    assert rows and all(list(row) == columns for row in rows)
    assert [json.loads(line) for line in results["jsonl"].stdout.splitlines()] == rows
    assert next(csv.reader(io.StringIO(results["csv"].stdout))) == columns
    assert results["tsv"].stdout.splitlines()[0] == "\t".join(columns)
    assert results["table"].stdout.splitlines()[0].split() == columns
    assert results["markdown"].stdout.splitlines()[0] == f"| {' | '.join(columns)} |"
    if case in ("statistics", "digests"):
        assert all(row[columns[0]] is not None for row in rows)


def test_typed_columns_leave_a_narrow_terminal_from_the_right() -> None:
    """What was typed last is missed least, and is named below the table."""
    report = paramtool.inspect(MODEL).with_columns("name", "shape", "numel", "nbytes", "dtype")
    from paramtool.render.formats import render
    from paramtool.render.screen import Screen

    text = "".join(render(report, screen=Screen(width=30)))
    assert text.splitlines()[0].split() == ["name", "shape", "numel"]
    assert " not shown: nbytes;" in text
    assert "each line: dtype float32" in text


def test_a_report_has_columns_from_python() -> None:
    """``with_columns`` is what ``--columns`` is, with the same complaints."""
    report = paramtool.inspect(nn.Linear(4, 3)).with_columns("numel", "name")
    assert report.to_dicts() == [{"numel": 12, "name": "weight"}, {"numel": 3, "name": "bias"}]
    with pytest.raises(BadArgument, match="there is no column 'nmel'; did you mean 'numel'"):
        report.with_columns("nmel")


def test_columns_of_values_require_values(run: Run) -> None:
    """Differences of values are not shown as empty where nobody compared any."""
    result = run("diff", MODEL, MODEL, "--columns", "name,max_abs")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == (
        "error: the column 'max_abs' is about values, which are not compared; add --values\n"
    )


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("inspect --columns nu", ["numel"]),
        ("inspect --columns name,n", ["name,numel", "name,nbytes", "name,norm", "name,nan"]),
        ("diff --columns name,max", ["name,max_abs"]),
        ("check a.yaml --columns pl", ["place"]),
        ("inspect --total t", ["trainable", "tensors"]),
    ],
)
def test_columns_and_totals_are_completed(typed: str, offered: list[str], folder: Path) -> None:
    """The shell offers the columns of the command, also after a comma."""
    words = f"paramtool {typed}"
    env = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_PARAMTOOL_COMPLETE": "complete_bash"}
    ended = watch(folder=folder, env=env)
    assert (ended.stdout.split(), ended.stderr, ended.torch) == (offered, "", False)


# --top


def rows_of(run: Run, *options: str) -> list[Any]:
    return [json.loads(line) for line in run("inspect", MODEL, "-f", "jsonl", *options).stdout.splitlines()]


def test_top_shows_the_largest_and_adds_up_the_others(run: Run) -> None:
    """The largest come first, and a line says how many others there are and what they come to."""
    result = run("inspect", MODEL, "--top", "1")
    assert result.stdout.splitlines()[2].split()[:2] == ["0.weight", "Embedding"]
    assert " 3 other names with 20 elements, 80 B\n" in result.stdout  # a tied name counts once
    assert [row["name"] for row in rows_of(run, "--top", "2", "--sort", "name")] == ["0.weight", "1.bias"]
    assert [row["name"] for row in rows_of(run, "--top", "1", "--reverse")] == ["1.bias"]
    document = json.loads(run("inspect", MODEL, "--json", "--top", "1").stdout)
    assert document["others"] == {"names": 3, "numel": 20, "nbytes": 80}
    assert document["totals"]["parameters"] == 60
    everything = run("inspect", MODEL, "--top", "9").stdout
    assert "other name" not in everything


def test_percents_are_of_everything() -> None:
    """With --top the whole is still that of the model."""
    from paramtool.operations.listing.largest import largest
    from paramtool.render.formats import render
    from paramtool.render.screen import Screen

    report = largest(paramtool.inspect(MODEL), 3)
    text = "".join(render(report, screen=Screen(width=150)))
    assert [line.split()[5] for line in text.splitlines()[2:5] if "Embedding" in line] == ["40"]
    assert "66.7 ████████████" in text
    assert "26.7 ████▊" in text
    assert text.count("%") == 1
    assert "%" not in "".join(render(report, screen=Screen(width=90)))
    assert "66.7 ############" in "".join(render(report, screen=Screen(width=150, unicode=False)))


# --total


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ("--total", 60),
        ("--total m.yaml", 60),
        ("--total numel", 60),
        ("--total nbytes", 240),
        ("--total=nbytes", 240),
        ("--total trainable", 56),
        ("--total frozen", 4),
        ("--total tensors", 3),
        ("--total names", 4),
        ("--total --pattern 1", 20),
        ("--total nbytes --json", 240),
    ],
)
def test_a_total_is_one_number(options: str, number: int, run: Run) -> None:
    """Nothing is printed but the number, whatever the next word is."""
    model = () if MODEL in options else (MODEL,)
    result = run("inspect", *options.split(), *model)
    assert (result.status, result.stdout, result.stderr) == (0, f"{number}\n", "")


def test_a_total_says_what_it_does_not_know(run: Run, folder: Path) -> None:
    """A checkpoint does not say what is trainable, and a lazy parameter has no size yet."""
    save_file({"w": torch.zeros(2)}, folder / "w.safetensors")
    result = run("inspect", "w.safetensors", "--total", "trainable")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == "error: requires_grad is unknown; a checkpoint does not store it\n"
    (folder / "lazy.yaml").write_text("model: {LazyLinear: 3}")
    result = run("inspect", "lazy.yaml", "--total")
    assert (result.status, result.stdout) == (0, "0\n")
    assert result.stderr.endswith("note: 2 tensors uninitialized, not in the total\n")


# the statistics of modules


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-1e3, 1e3, width=32) | st.sampled_from([math.nan, math.inf]), max_size=9),
        min_size=1,
        max_size=6,
    )
)
def test_a_module_has_the_statistics_of_all_its_elements(parts: list[list[float]]) -> None:
    """Folded rows have what torch computes of all finite elements of the module, in float64."""
    state = {f"m.p{index}": torch.tensor(part, dtype=torch.float64) for index, part in enumerate(parts)}
    state["m.extra"] = torch.tensor([1.0], dtype=torch.float64)
    report = paramtool.inspect(state, stats=True)
    [row] = fold_depth(report.rows, 1, {})
    values = torch.cat(list(state.values()))
    finite = values[values.isfinite()]
    assert row.mean == pytest.approx(finite.mean().item(), rel=1e-12, abs=1e-12)
    if len(finite) > 1:
        assert row.std == pytest.approx(finite.std().item(), rel=1e-9, abs=1e-12)
    else:
        assert row.std is None
    assert (row.min, row.max) == (finite.min().item(), finite.max().item())
    assert row.norm == pytest.approx(finite.norm().item(), rel=1e-12)
    counts = [(finite == 0).sum().item(), values.isnan().sum().item(), values.isinf().sum().item()]
    assert [row.zeros, row.nan, row.inf] == counts


def test_moments_of_huge_parts_stay_in_range() -> None:
    """Nothing overflows on the way where the answer is a number."""
    assert pooled_mean([2, 2], [1.5e308, 1.5e308]) == 1.5e308
    assert pooled_std([2, 2], [1.0, 1.0], [1e200, 1e200]) == pytest.approx(1e200 * math.sqrt(2 / 3))
    assert pooled_mean([3, 0], [2.0, None]) == 2.0
    assert pooled_mean([3, 1], [2.0, None]) is None
    assert pooled_std([1, 1], [0.0, 2.0], [None, None]) == pytest.approx(math.sqrt(2))


def test_depth_and_stats_show_no_histogram_and_fold_no_blocks(run: Run, folder: Path) -> None:
    """Each module has its own line, and a tied tensor counts once."""
    blocks = {f"h.{index}.w": torch.full((4,), float(index)) for index in range(4)}
    save_file({**blocks, "h.0.b": torch.tensor([2.0, 4.0])}, folder / "h.safetensors")
    rows = [
        json.loads(line)
        for line in run("inspect", "h.safetensors", "-d", "2", "--stats", "-f", "jsonl").stdout.splitlines()
    ]
    assert [(row["name"], row["mean"], row["std"], row["count"]) for row in rows] == [
        ("h.0", 1.0, pytest.approx(torch.tensor([0.0, 0, 0, 0, 2, 4]).std().item()), 2),
        ("h.1", 1.0, 0.0, 1),
        ("h.2", 2.0, 0.0, 1),
        ("h.3", 3.0, 0.0, 1),
    ]
    assert "histogram" not in rows[0]
    table = run("inspect", "h.safetensors", "-d", "2", "--columns", "name,mean").stdout
    assert [line.split() for line in table.splitlines()[2:6]] == [
        ["h.0", "1"], ["h.1", "1"], ["h.2", "2"], ["h.3", "3"],
    ]  # fmt: skip


def test_a_complex_tensor_leaves_a_module_without_mean() -> None:
    """What has no order and no real mean makes that of its module unknown; the norm stays."""
    state = {"m.a": torch.tensor([3.0 + 4.0j]), "m.b": torch.tensor([12.0])}
    [row] = fold_depth(paramtool.inspect(state, stats=True).rows, 1, {})
    assert (row.mean, row.std, row.min, row.max, row.norm) == (None, None, None, None, 13.0)


def test_largest_refuses_what_is_no_field() -> None:
    """As --sort does."""
    from paramtool.operations.listing.largest import largest

    with pytest.raises(ParamtoolError, match="cannot sort by 'nmel'"):
        largest(paramtool.inspect(nn.Linear(1, 1)), 1, "nmel")
