"""What a careful reader of tables and trees would stumble over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import paramtool
from paramtool.operations.listing.gradient_groups import fold_depth
from paramtool.operations.listing.initializers import initializers as listed
from paramtool.records.column import Column
from paramtool.render.explanation import explanation
from paramtool.render.formats import render
from paramtool.render.layout import laid_out
from paramtool.render.screen import Screen
from tests.conftest import CONFIGS, Run


def test_a_tree_says_where_a_tied_module_is_counted(run: Run) -> None:
    shown = run("inspect", str(CONFIGS / "tiny_lm.yaml"), "--format", "tree").stdout
    assert "head: Linear  (tied, counted at embed.weight)\n" in shown
    assert "(0 parameters" not in shown


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_there_is_no_header_over_no_rows(run: Run, tmp_path: Path, format: str) -> None:
    spec = tmp_path / "relu.yaml"
    spec.write_text("model: ReLU")
    shown = run("inspect", str(spec), "--format", format).stdout
    assert "shape" not in shown
    assert "0 parameters in 0 tensors" in shown


def test_one_tensor_keeps_its_shape_when_folded() -> None:
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(3, 1))
    report = paramtool.gradients(net, [torch.ones(1, 2)])
    assert [(row.name, row.shape) for row in fold_depth(report, 1)] == [("0", (3, 2)), ("1", None)]


def test_few_texts_without_room_stand_below_the_table() -> None:
    columns = [
        Column("name", name="name"),
        Column("number", name="numel"),
        Column(shown="filled", drop=1, wraps=True, name="note"),
    ]
    note, other = "tied: head.weight too", "a norm layer"
    cells = [["embed.weight", "12", note], ["a", "3", ""], ["b", "4", other], ["c", "4", other]]
    shown = " ".join("".join(laid_out(columns, cells, Screen(30))).split())
    assert "note of embed.weight: tied: head.weight too" in shown
    assert "note of b and 1 more: a norm layer" in shown
    assert "not shown" not in shown
    cells = [[str(number), "1", f"{note} {number}"] for number in range(9)]
    assert "not shown: note; widen" in " ".join("".join(laid_out(columns, cells, Screen(20))).split())


def test_nan_stays_on_a_narrow_screen(tmp_path: Path) -> None:
    """Names break before a column of NaNs goes, and sizes and counts of elements go before it."""
    tensors = {f"model.layers.{i}.self_attn.q_proj.weight": torch.ones(8, 8) for i in range(3)}
    tensors["model.layers.1.self_attn.q_proj.weight"][0, :3] = torch.nan
    tensors["model.layers.2.self_attn.q_proj.weight"] = torch.arange(64.0).reshape(4, 16)
    torch.save(tensors, tmp_path / "w.pt")
    report = paramtool.open(tmp_path / "w.pt").listing(stats=True)
    for width in (80, 60):
        header, _, *_ = render(report, screen=Screen(width))
        assert "nan" in "".join(header).split(), width


@pytest.mark.parametrize("color", [False, True])
def test_a_very_long_cell_of_a_file_does_not_push_the_others_away(color: bool) -> None:
    columns = [Column("name", name="name"), Column(wraps=True, name="note"), Column("number", name="numel")]
    cells = [["a", "x" * 300, "1"], ["b", "y", "2"], ["c", "z", "3"]]
    lines = list(laid_out(columns, cells, Screen(color=color)))
    assert any("x" * 300 + "  " in line for line in lines)
    assert max(len(line) for line in lines if "x" * 300 not in line) < 60


@pytest.mark.parametrize(("width", "shown"), [(45, False), (50, False), (60, False), (200, True)])
def test_columns_that_say_the_same_leave_the_table_together(width: int, shown: bool) -> None:
    """A lone column of nan, with inf below the table, would look broken."""
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    text = "".join(render(paramtool.inspect(net, stats=True), "table", Screen(width)))
    header, _, rest = text.partition("\n")
    assert ("nan" in header.split(), "inf" in header.split()) == (shown, shown)
    assert shown or re.search(r"each line: [^:]*inf 0,\s+nan 0", rest)


def test_counts_of_nan_and_infinity_stay_longer_than_extremes() -> None:
    """The extremes go before the counts, which say why a row has no statistics."""
    first, last = nn.Linear(4, 3), nn.Linear(3, 1)
    for parameter in first.parameters():  # the widths of columns depend on the values
        nn.init.uniform_(parameter, -0.5, 0.4, generator=torch.Generator().manual_seed(0))
    nn.init.constant_(last.weight, torch.nan)
    nn.init.constant_(last.bias, torch.inf)
    net = nn.Sequential(first, last)
    header = next(iter(render(paramtool.inspect(net, stats=True), "table", Screen(50)))).partition("\n")[0]
    assert header.split() == ["name", "shape", "mean", "std", "nan", "inf"]


def test_modules_without_operations_have_no_percent() -> None:
    """Where the number is left out, so is its percent."""
    report = paramtool.cost(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), [torch.ones(2, 4)])
    text = "".join(render(report, "table", Screen(150)))
    assert "100.0" in text
    assert " 0.0" not in text


def test_a_docstring_fits_the_screen() -> None:
    """It goes on in the next line; what is to be typed does not."""
    report = listed("normal")
    text = "".join(explanation(report, Screen(50)))
    assert max(map(len, text.splitlines())) <= 50
    assert "--pattern weight --with normal:std=1.0\n" in text
    wide = "".join(explanation(report))
    assert text.split() == wide.split()
    assert "".join(explanation(report, Screen(200))) == wide
