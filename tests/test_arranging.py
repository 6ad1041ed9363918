"""Rows are chosen, sorted, folded to a depth and added up, and the sums agree at every step."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.network.listing import parameters
from paramtool.operations.listing.depth import fold_depth
from paramtool.operations.listing.selection import SORT_KEYS, Selection, select, sort
from paramtool.quantities import byte_size
from paramtool.records.parameter import ParameterRow
from paramtool.records.totals import count_once, totals
from paramtool.render.blocks import fold_blocks
from paramtool.render.formats import as_text, folded
from tests.conftest import Run
from tests.strategies import trees


class Tagger(nn.Module):
    """Two towers over one embedding, which is the head's weight too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.tower = nn.TransformerEncoderLayer(4, 2, 8)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 10)
        self.head.weight = self.embedding.weight
        self.norm.requires_grad_(False)


@pytest.fixture(scope="module")
def rows() -> list[ParameterRow]:
    return list(parameters(Tagger()).rows)


def compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(each) for each in patterns]


def chosen(
    rows: list[ParameterRow], *patterns: str, exclude: tuple[str, ...] = (), types: tuple[str, ...] = ()
) -> list[str]:
    """Return the names that a selection keeps."""
    return [row.name for row in select(rows, Selection(compiled(patterns), compiled(exclude), types))]


# selection


def test_a_pattern_is_searched_like_grep(rows: list[ParameterRow]) -> None:
    """A pattern is found anywhere in a name, and anchors hold it."""
    assert chosen(rows, "norm1") == ["tower.norm1.weight", "tower.norm1.bias"]
    assert chosen(rows, r"^norm\.w", r"^head") == ["norm.weight", "head.weight", "head.bias"]
    assert chosen(rows, "(?i)EMB") == ["embedding.weight"]


def test_any_pattern_is_enough_and_any_exclude_too_many(rows: list[ParameterRow]) -> None:
    """A name is kept by any of the patterns, and left out by any of the excludes."""
    assert chosen(rows, r"^head", r"^emb", exclude=("bias",)) == ["embedding.weight", "head.weight"]
    assert chosen(rows, r"^head", exclude=("bias", "zzz")) == ["head.weight"]
    assert chosen(rows, exclude=("tower", "norm", "head")) == ["embedding.weight"]


def test_a_type_is_that_of_the_owner_or_its_base(rows: list[ParameterRow]) -> None:
    """A class matches what its subclasses own: Linear has the output projection of attention."""
    linear = chosen(rows, types=("Linear",))
    assert "tower.self_attn.out_proj.weight" in linear and "tower.self_attn.in_proj_weight" not in linear
    assert chosen(rows, types=("MultiheadAttention",)) == [
        "tower.self_attn.in_proj_weight",
        "tower.self_attn.in_proj_bias",
    ]
    assert chosen(rows, types=("Module",)) == [row.name for row in rows]
    assert chosen(rows, "weight", types=("Embedding", "LayerNorm")) == [
        "embedding.weight",
        "tower.norm1.weight",
        "tower.norm2.weight",
    ]


def test_a_selection_is_true_where_it_asks_for_anything() -> None:
    """An empty selection keeps every row, and says that it is empty."""
    assert not Selection()
    assert all([Selection(types=("A",)), Selection([re.compile("a")]), Selection((), [re.compile("a")])])
    with pytest.raises(NothingMatched, match="there are no parameters"):
        select([], Selection(types=("A",)))


@pytest.mark.parametrize(
    ("selection", "hint"),
    [
        (Selection([re.compile("wieght")]), "there are 20 names, the first is 'embedding.weight'"),
        (Selection(types=("Liner",)), "did you mean 'Linear'?"),
        (
            Selection(types=("Conv2d",)),
            "the classes are BatchNorm1d, Embedding, LayerNorm, Linear, MultiheadAttention",
        ),
        (Selection((), [re.compile("")]), "there are 20 names, the first is 'embedding.weight'"),
        (
            Selection([re.compile("bias")], (), ("Embedding",)),
            "there are 20 names, the first is 'embedding.weight'",
        ),
    ],
    ids=["pattern", "near type", "other type", "all excluded", "both"],
)
def test_nothing_matched_is_told_with_a_hint(
    rows: list[ParameterRow], selection: Selection, hint: str
) -> None:
    """Where nothing is left the answer is no, with what there would be."""
    with pytest.raises(NothingMatched) as caught:
        select(rows, selection)
    assert (caught.value.message, caught.value.hint) == ("no parameter matches the selection", hint)
    assert caught.value.status == 2


def test_of_one_name_the_hint_is_that_name(rows: list[ParameterRow]) -> None:
    """Where there is one name it is told, and not counted."""
    with pytest.raises(NothingMatched) as caught:
        select(rows[:1], Selection([re.compile("nothing")]))
    assert caught.value.hint == "the only name is 'embedding.weight'"


# order


def test_numbers_are_sorted_from_the_largest(rows: list[ParameterRow]) -> None:
    """Numbers stand with the largest first, equal ones in the order of the model."""
    by_size = sort(rows, "numel")
    assert [row.numel for row in by_size] == sorted((row.numel or 0 for row in rows), reverse=True)
    equal = [row.name for row in by_size if row.numel == 40]
    assert equal == ["embedding.weight", "head.weight"]


def test_words_are_sorted_from_a_to_z(rows: list[ParameterRow]) -> None:
    """Words stand from A to Z."""
    assert [row.name for row in sort(rows, "name")] == sorted(row.name for row in rows)
    assert [row.type or "" for row in sort(rows, "type")] == sorted(row.type or "" for row in rows)


def test_what_is_not_known_stands_last(rows: list[ParameterRow]) -> None:
    """Rows without a value stand last, in either direction."""
    for reverse in (False, True):
        assert sort(rows, "tied_to", reverse)[0].name == "head.weight"
        assert [row.name for row in sort(rows, "mean", reverse)] == [row.name for row in rows]
    lazy = list(parameters(nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 1))).rows)
    for reverse in (False, True):
        assert [row.shape is None for row in sort(lazy, "numel", reverse)] == [False, False, True, True]


@pytest.mark.parametrize("key", SORT_KEYS)
def test_every_field_sorts_both_ways(rows: list[ParameterRow], key: str) -> None:
    """Reversed, the known values stand in the opposite order."""
    forth = [getattr(row, key) for row in sort(rows, key)]
    back = [getattr(row, key) for row in sort(rows, key, reverse=True)]
    known = [value for value in forth if value is not None]
    assert back == known[::-1] + [None] * (len(forth) - len(known))
    assert len(forth) == len(rows)


def test_sorting_by_what_is_no_field_is_refused(rows: list[ParameterRow]) -> None:
    """An unknown field is an error, with the nearest one or with all of them."""
    with pytest.raises(ParamtoolError, match=r"cannot sort by 'nume'; did you mean 'numel'\?"):
        sort(rows, "nume")
    with pytest.raises(ParamtoolError, match="one of name, type, shape, dtype, numel"):
        sort(rows, "zzz")
    assert {"name", "shape", "numel", "std", "requires_grad"} < set(SORT_KEYS)
    assert set(SORT_KEYS) < {each.name for each in fields(ParameterRow)}


# totals


def test_a_tied_tensor_counts_once(rows: list[ParameterRow]) -> None:
    """The embedding is the head's weight as well, and its 40 elements count once."""
    sums = totals(rows)
    module = Tagger()
    assert sums.parameters == sum(each.numel() for each in module.parameters())
    assert (sums.names, sums.tensors) == (17, 16)
    assert sums.frozen == 8 and sums.trainable == sums.parameters - 8
    assert (sums.buffers, sums.buffer_nbytes) == (9, 4 * 8 + 8)


@pytest.mark.parametrize("name", ["embedding.weight", "head.weight"])
def test_a_tied_tensor_counts_under_either_name(rows: list[ParameterRow], name: str) -> None:
    """Whichever of its names is selected, the tensor counts, and where both are, with the first."""
    kept = select(rows, Selection([re.compile(f"^{name}")]))
    assert (totals(kept).parameters, totals(kept).tensors, totals(kept).names) == (40, 1, 1)
    assert [row.counted for row in kept] == [True]
    both = select(rows, Selection([re.compile(r"(embedding|head)\.weight")]))
    assert (totals(both).parameters, totals(both).tensors, totals(both).names) == (40, 1, 2)
    assert [row.counted for row in both] == [True, False]


def test_nothing_adds_up_to_nothing() -> None:
    """The totals of no rows are zeros."""
    found = dict(vars(totals([])))
    assert (found.pop("elements"), found.pop("dtypes")) == (None, {})
    assert set(found.values()) == {0}


def test_kinds_count_apart() -> None:
    """One tensor as a parameter and as a plain attribute is one of each."""
    row = parameters(nn.Linear(2, 3, bias=False)).rows[0]
    both = count_once([row, replace(row, name="alias", kind="tensor", tied_to="weight")])
    assert [each.counted for each in both] == [True, True]
    assert (totals(both).parameters, totals(both).plain_tensors) == (6, 1)


# depth


def test_modules_fold_to_a_depth(rows: list[ParameterRow]) -> None:
    """Names keep their first parts; a module of one tensor keeps its shape, another adds up."""
    found = [
        (row.name, row.kind, row.type, row.shape, row.count, row.numel, row.requires_grad, row.tied_to)
        for row in fold_depth(rows, 1, parameters(Tagger()).modules)
    ]
    assert found == [
        ("embedding", "parameter", "Embedding", (10, 4), 1, 40, True, None),
        ("tower", "parameter", "TransformerEncoderLayer", None, 12, 172, True, None),
        ("norm", "parameter", "BatchNorm1d", None, 2, 8, False, None),
        ("head", "parameter", "Linear", None, 2, 10, True, None),
        ("norm", "buffer", "BatchNorm1d", None, 3, 9, False, None),
    ]


def test_what_a_folded_module_has_in_common_is_kept() -> None:
    """A dtype or flag that all tensors of a module share is that of its row; else it is unknown."""
    module = nn.Sequential(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).bfloat16()), nn.Linear(1, 1))
    module[1].bias.requires_grad_(False)
    mixed, plain = fold_depth(parameters(module).rows, 1, {})
    assert (mixed.dtype, mixed.requires_grad, mixed.nbytes) == (None, True, 12)
    assert (plain.dtype, plain.requires_grad, plain.type) == ("float32", None, None)


def test_a_depth_beyond_every_name_changes_nothing(rows: list[ParameterRow]) -> None:
    """At the depth of the longest name each name is a row of its own."""
    assert fold_depth(rows, 4, {}) == rows


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    """Draw patterns over the names that random trees have, the selection of everything included."""
    patterns = st.lists(
        st.sampled_from(["weight", "bias", "0", r"^[01]", "block", r"block1.*weight"]), max_size=2
    )
    return Selection(compiled(draw(patterns)), compiled(draw(patterns)))


@given(trees(), selections(), st.integers(1, 4), st.sampled_from(("", "name", "numel")), st.booleans())
@settings(max_examples=120, deadline=None)
def test_the_rows_add_up_to_the_totals(
    module: nn.Module, selection: Selection, depth: int, key: str, reverse: bool
) -> None:
    """Selected, folded and sorted in any way, rows and tree add up to what is in the totals."""
    report = parameters(module)
    try:
        kept = select(report.rows, selection)
    except NothingMatched:
        return
    sums = totals(kept)
    tensors = dict(module.named_parameters(remove_duplicate=False))
    names = [row.name for row in kept if row.kind == "parameter"]
    distinct = {id(tensors[name]): tensors[name].numel() for name in names}
    assert (sums.names, sums.tensors) == (len(names), len(distinct))
    assert sums.parameters == sum(distinct.values())
    arranged = fold_depth(kept, depth, report.modules)
    arranged = sort(arranged, key, reverse) if key else arranged
    for each in (kept, arranged, fold_blocks(arranged)):
        counted = [row for row in each if row.counted and row.kind == "parameter"]
        assert sum(row.numel or 0 for row in counted) == sums.parameters
        assert sum(row.nbytes or 0 for row in counted) == sums.nbytes
        assert sum(row.numel or 0 for row in each if row.counted and row.kind == "buffer") == sums.buffers
        assert sum(row.count for row in each) == len(kept)
        tree = as_text(replace(report, rows=tuple(each), totals=sums), "tree").splitlines()[0]
        noun = "parameter" if sums.parameters == 1 else "parameters"
        assert tree.endswith(f"  ({sums.parameters:,} {noun}, {byte_size(sums.nbytes)})")


@given(trees(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_untied_rows_add_up_for_a_script(module: nn.Module, depth: int) -> None:
    """Who adds `numel` over the rows that are tied to none gets the total, folded or not."""
    report = parameters(module)
    for rows in (
        report.rows,
        fold_depth(report.rows, depth, report.modules),
        folded(report).rows,
    ):
        own = [row.numel or 0 for row in rows if row.kind == "parameter" and row.tied_to is None]
        assert sum(own) == report.totals.parameters


def test_a_folded_tensor_has_the_class_of_its_new_name(run: Run, tmp_path: Path) -> None:
    """--depth shows a module with one tensor under its own class, not that of the layer inside."""
    (tmp_path / "m.yaml").write_text("model: {Module: {a: {Sequential: [{Linear: [2, 2, false]}]}}}\n")
    result = run("inspect", str(tmp_path / "m.yaml"), "--depth", "1", "--format", "csv")
    assert result.stdout.splitlines()[1].startswith('a,1,Sequential,"[2, 2]"')
