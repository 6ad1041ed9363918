"""Identical numbered blocks fold into one, and nothing is lost in the fold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from paramtool.name_parts import MOST_PARTS
from paramtool.network.listing import parameters
from paramtool.operations.listing.depth import fold_depth
from paramtool.records.parameter import ParameterRow
from paramtool.records.totals import count_once
from paramtool.render.blocks import fold_blocks
from paramtool.render.formats import folded
from paramtool.render.names import first_of, parts_of
from tests.conftest import Run
from tests.strategies import trees

RANGE = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")


def row(name: str, tied_to: str | None = None, size: int = 2) -> ParameterRow:
    return ParameterRow(
        name=name,
        type="Linear",
        shape=(size,),
        dtype="float32",
        numel=size,
        nbytes=4 * size,
        requires_grad=True,
        tied_to=tied_to,
    )


def rows_of(names: str) -> list[ParameterRow]:
    """Return a row for each word: a name, and after ``=`` the name that it is tied to."""
    pairs = (word.partition("=") for word in names.split())
    return count_once([row(name, tied_to or None) for name, _, tied_to in pairs])


def names_of(rows: list[ParameterRow]) -> str:
    return " ".join(f"{row.name}={row.tied_to}" if row.tied_to else row.name for row in rows)


def numbered(pattern: str, count: int, start: int = 0) -> str:
    """Return `pattern` with its ``#`` as each of `count` numbers."""
    return " ".join(pattern.replace("#", str(number)) for number in range(start, start + count))


def expanded(row: ParameterRow) -> Iterator[tuple[str, str | None]]:
    """Yield each name that a folded row stands for, and what that one is tied to."""
    ranges = [range(int(first), int(last) + 1) for first, last in RANGE.findall(row.name)]
    for numbers in product(*ranges):
        yield _with(row.name, numbers), row.tied_to and _with(row.tied_to, numbers)


def _with(name: str, numbers: tuple[int, ...]) -> str:
    remaining = iter(numbers)
    return RANGE.sub(lambda _: str(next(remaining)), name)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (numbered("h.#.weight", 12), "h.{0..11}.weight"),
        (numbered("h.#.a h.#.b", 3), "h.{0..2}.a h.{0..2}.b"),
        (numbered("encoder_layer_#.weight", 12), "encoder_layer_{0..11}.weight"),
        (numbered("layer#.0.w", 4, start=1), "layer{1..4}.0.w"),
        (numbered("#.w", 3, start=9), "{9..11}.w"),
        ("in.w " + numbered("h.#.w", 3) + " out.w", "in.w h.{0..2}.w out.w"),
        (numbered("h.#.w", 3) + " " + numbered("h.#.w", 3, start=5), "h.{0..2}.w h.{5..7}.w"),
        ("h.0.w h.1.w", "h.0.w h.1.w"),
        ("h.0.w h.2.w h.4.w", "h.0.w h.2.w h.4.w"),
        ("h.0.w h.1.w h.2.w h.4.w", "h.{0..2}.w h.4.w"),
        ("h.00.w h.01.w h.02.w", "h.0{0..2}.w"),
        ("h08.w h09.w h10.w h11.w", "h08.w h09.w h10.w h11.w"),
        ("weight1 weight2 weight3", "weight1 weight2 weight3"),
        ("l.weight1 l.weight2 l.weight3", "l.weight1 l.weight2 l.weight3"),
        ("0 1 2 3", "0 1 2 3"),
        (numbered("h.#.x.#.w", 3), "h.0.x.0.w h.1.x.1.w h.2.x.2.w"),
        (" ".join(numbered(f"a.{i}.b.#.w", 3) for i in range(3)), "a.{0..2}.b.{0..2}.w"),
        (" ".join(numbered(f"{i}.b.#.w", i + 3) for i in range(3)), "0.b.{0..2}.w 1.b.{0..3}.w 2.b.{0..4}.w"),
        ("h.0.w h.1.v h.2.w h.3.w", "h.0.w h.1.v h.2.w h.3.w"),
        ("h.2.w h.0.w h.1.w", "h.{0..2}.w"),
        ("a.w h.2.w b.w h.0.w h.1.w", "a.w h.{0..2}.w b.w"),
    ],
)
def test_these_names_fold_to_those(names: str, expected: str) -> None:
    """Runs of three or more modules whose numbers follow each other fold, at every level."""
    assert names_of(fold_blocks(rows_of(names))) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (numbered("h.#.a h.#.b=h.#.a", 3), "h.{0..2}.a h.{0..2}.b=h.{0..2}.a"),
        (
            numbered("h.#.x.a h.#.x.b=h.#.x.a h.#.y.c=h.#.x.a", 3),
            "h.{0..2}.x.a h.{0..2}.x.b=h.{0..2}.x.a h.{0..2}.y.c=h.{0..2}.x.a",
        ),
        ("emb.w " + numbered("h.#.w=emb.w", 3), "emb.w h.{0..2}.w=emb.w"),
        (numbered("h.#.w", 3) + " head.w=h.1.w", "h.{0..2}.w head.w=h.1.w"),
        ("h.0.w " + numbered("h.#.w=h.0.w", 3, start=1), "h.0.w h.{1..3}.w=h.0.w"),
        (numbered("a.#.w ", 3) + numbered("b.#.w=a.#.w", 3), "a.{0..2}.w " + numbered("b.#.w=a.#.w", 3)),
        ("h.0.a h.0.b=h.0.a h.1.a h.1.b h.2.a h.2.b", "h.0.a h.0.b=h.0.a h.1.a h.1.b h.2.a h.2.b"),
    ],
)
def test_ties_fold_where_they_are_the_same(names: str, expected: str) -> None:
    """Ties within a block fold along; ties to one tensor outside do; ties that differ keep blocks apart."""
    assert names_of(fold_blocks(rows_of(names))) == expected


def test_modules_with_a_single_buffer_fold_beside_their_parameters() -> None:
    """What is a module for the parameters is one for the buffers, though each has only one of these."""
    blocks = [replace(each, count=12) for each in rows_of("h.0 h.1 h.2")]
    masks = [replace(each, kind="buffer") for each in rows_of("h.0 h.1 h.2")]
    assert names_of(fold_blocks(masks)) == "h.0 h.1 h.2"
    assert [(row.name, row.count) for row in fold_blocks([*blocks, *masks])] == [
        ("h.{0..2}", 36),
        ("h.{0..2}", 3),
    ]


DIFFERENCES: dict[str, Callable[[ParameterRow], ParameterRow]] = {
    "shape": lambda row: replace(row, shape=(1, 2)),
    "dtype": lambda row: replace(row, dtype="int32"),
    "requires_grad": lambda row: replace(row, requires_grad=False),
    "type": lambda row: replace(row, type="Bilinear"),
    "kind": lambda row: replace(row, kind="buffer"),
    "uninitialized": lambda row: replace(row, shape=None, numel=None, nbytes=None),
}


@pytest.mark.parametrize("change", DIFFERENCES.values(), ids=list(DIFFERENCES))
def test_a_block_that_differs_stays_apart(change: Callable[[ParameterRow], ParameterRow]) -> None:
    """One difference in one tensor of a block splits the run there."""
    rows = rows_of(numbered("h.#.a h.#.b", 7))
    rows[7] = change(rows[7])
    names = "h.{0..2}.a h.{0..2}.b h.3.a h.3.b h.{4..6}.a h.{4..6}.b"
    assert names_of(fold_blocks(rows)) == names


def test_a_block_in_the_middle_of_three_leaves_too_few() -> None:
    """Without the one that differs, what is left is not worth folding."""
    rows = rows_of(numbered("h.#.w", 5))
    rows[2] = replace(rows[2], dtype="float16")
    assert fold_blocks(rows) == rows


def test_parameters_and_buffers_fold_by_themselves() -> None:
    """A buffer that one block lacks does not keep its parameters apart."""
    rows = rows_of(numbered("h.#.w", 3))
    rows += [replace(each, kind="buffer") for each in rows_of("h.0.m h.2.m")]
    assert names_of(fold_blocks(rows)) == "h.{0..2}.w h.0.m h.2.m"


def test_a_folded_row_adds_up() -> None:
    """`count`, `numel` and `nbytes` are those of all blocks; the shape is of one."""
    (folded_row,) = fold_blocks(rows_of(" ".join(numbered(f"a.{i}.b.#.w", 4) for i in range(3))))
    assert (folded_row.count, folded_row.shape) == (12, (2,))
    assert (folded_row.numel, folded_row.nbytes) == (24, 96)


def test_uninitialized_blocks_fold() -> None:
    """Blocks without shapes are identical as well, and their sizes stay unknown."""
    (folded_row,) = fold_blocks([DIFFERENCES["uninitialized"](each) for each in rows_of("0.w 1.w 2.w")])
    assert (folded_row.name, folded_row.count, folded_row.numel) == ("{0..2}.w", 3, None)


def test_modules_folded_to_a_depth_fold_where_their_sizes_agree() -> None:
    """Of a module that is folded to a depth only sizes are left; where they differ, it stays apart."""
    names = [(f"layer{index}.{part}", 2 + (index == 5)) for index in range(6) for part in ("a", "b")]
    rows = fold_depth([row(name, size=size) for name, size in names], 1, {})
    assert [(each.name, each.numel) for each in fold_blocks(rows)] == [("layer{0..4}", 20), ("layer5", 6)]


def test_names_fold_as_written_in_torch() -> None:
    """A stack of layers, its tied head and its buffers fold in one report."""
    layers = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(4))
    emb, head = nn.Embedding(5, 2), nn.Linear(2, 5, bias=False)
    head.weight = emb.weight
    module = nn.ModuleDict({"emb": emb, "h": nn.ModuleList(layers), "head": head})
    assert names_of(list(folded(parameters(module)).rows)).split() == [
        "emb.weight",
        *(f"h.{{0..3}}.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias")),
        "head.weight=emb.weight",
        *(f"h.{{0..3}}.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")),
    ]


def test_one_module_many_times_is_many_names_of_one_tensor() -> None:
    """A module registered five times folds after the first, whose name the others are tied to."""
    report = folded(parameters(nn.Sequential(*[nn.Linear(1, 1, bias=False)] * 5)))
    assert names_of(list(report.rows)) == "0.weight {1..4}.weight=0.weight"
    assert report.totals.parameters == 1


@pytest.mark.parametrize("asked", ["stats", "values"])
def test_values_are_not_folded(asked: str) -> None:
    """No two blocks agree in their values, so a report that shows them is not folded."""
    module = nn.Sequential(*(nn.Linear(1, 1) for _ in range(5)))
    report = parameters(module, **{asked: True})  # type: ignore[arg-type]
    assert folded(report) is report


def test_parts_of_folded_names() -> None:
    """A folded name splits at its single dots, and its first name is that of the first block."""
    assert parts_of("h.{0..11}.x.{2..3}.w") == ["h", "{0..11}", "x", "{2..3}", "w"]
    assert parts_of("layer{0..11}.w") == ["layer{0..11}", "w"]
    assert first_of("h.{0..11}.x{2..3}.w") == "h.0.x2.w"


@st.composite
def blocks(draw: st.DrawFn) -> list[ParameterRow]:
    """Draw rows with many numbered blocks that are equal, or nearly, and some ties."""

    def block(depth: int) -> list[tuple[str, int]]:
        lines: list[tuple[str, int]] = []
        for letter in draw(st.sampled_from(("a", "ab", "abc"))):
            if depth == 0 or draw(st.booleans()):
                lines.append((letter, draw(st.integers(1, 2))))
                continue
            prefix = letter + draw(st.sampled_from((".", "", "_", "0")))
            same = block(depth - 1)
            for number in range(draw(st.sampled_from((0, 1, 8))), draw(st.integers(1, 11))):
                each = block(depth - 1) if draw(st.integers(0, 7)) == 0 else same
                lines += [(f"{prefix}{number}.{name}", size) for name, size in each]
        return lines

    rows: list[ParameterRow] = []
    for name, size in block(2):
        earlier = [each.name for each in rows if each.shape == (size,) and each.tied_to is None]
        is_tied = earlier and draw(st.integers(0, 9)) == 0
        rows.append(row(name, draw(st.sampled_from(earlier[-5:])) if is_tied else None, size))
    return count_once(rows)


def check_fold(rows: list[ParameterRow]) -> None:
    """Hold a fold of `rows` to what every fold keeps."""
    by_name = {(each.name, each.kind): each for each in rows}
    order = {key: index for index, key in enumerate(by_name)}
    result = fold_blocks(rows)
    found = {(name, each.kind): (each, tied_to) for each in result for name, tied_to in expanded(each)}
    assert sum(each.count for each in result) == len(found) == len(rows)
    assert found.keys() == by_name.keys()
    for key, (each, tied_to) in found.items():
        one = by_name[key]
        assert (each.type, each.shape, each.dtype, each.requires_grad) == (
            one.type,
            one.shape,
            one.dtype,
            one.requires_grad,
        )
        assert tied_to == one.tied_to
        assert each.counted == one.counted
    for counted in (True, False):
        assert _sizes(result, counted) == _sizes(rows, counted)
    stands = [min(order[name, each.kind] for name, _ in expanded(each)) for each in result]
    assert stands == sorted(stands)


def _sizes(rows: list[ParameterRow], counted: bool) -> tuple[int, int]:
    """Return the elements and bytes of the rows that the totals count, or of the others."""
    chosen = [each for each in rows if each.counted == counted]
    return sum(each.numel or 0 for each in chosen), sum(each.nbytes or 0 for each in chosen)


@given(blocks())
@settings(max_examples=80, deadline=None)
def test_a_fold_expands_to_the_names(rows: list[ParameterRow]) -> None:
    """Every {a..b} written out gives the names, ties, sizes and order that were there."""
    check_fold(rows)


@given(trees())
@settings(max_examples=60, deadline=None)
def test_a_fold_of_a_true_module_expands_to_its_names(module: nn.Module) -> None:
    """The same holds for modules of torch, with buffers, and with modules that are used again."""
    check_fold(list(parameters(module).rows))


@given(blocks(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_any_order_folds(rows: list[ParameterRow], random: Random) -> None:
    """Sorted rows fold as well, each standing where its first name stood."""
    random.shuffle(rows)
    check_fold(rows)


@pytest.mark.parametrize("format", ["table", "tree", "markdown"])
@pytest.mark.parametrize("options", [(), ("--all",)])
def test_names_of_any_depth_are_shown(
    format: str, options: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    """A stranger's name may have more parts than Python's stack has room; it is shown whole all the same."""
    deep = "a." * 5_000 + "weight"
    save_file({deep: torch.ones(1), "b": torch.ones(1)}, tmp_path / "w.safetensors")
    result = run("inspect", str(tmp_path / "w.safetensors"), "--format", format, *options)
    assert (result.status, result.stderr) == (0, "")
    assert format == "tree" or deep in result.stdout
    assert format != "tree" or f"{'a.' * (5_000 - MOST_PARTS)}weight" in result.stdout
