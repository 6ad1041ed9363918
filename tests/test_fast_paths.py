"""What is done at once for many names comes to the same as doing it one by one."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paramtool.module_tree import trees
from paramtool.name_parts import MOST_PARTS, is_below
from paramtool.operations.comparison import name_tree
from paramtool.operations.comparison.name_tree import NameNode
from paramtool.operations.comparison.renames import pair_names
from paramtool.operations.comparison.whole_modules import _sizes
from paramtool.records.column import columns_of
from paramtool.records.parameter import ParameterRow, Printed
from paramtool.render import blocks
from paramtool.render.cells import column_for_people, for_people
from paramtool.render.names import are_plain, shown

PARTS = ("h", "0", "1", "2", "3", "x3", "x4", "x5", "mlp", "experts", "w", "b")
NAMES = st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map(".".join), max_size=6)


def _row(name: str, **fields: Any) -> ParameterRow:
    usual: dict[str, Any] = {"type": None, "shape": (2,), "dtype": "float32", "numel": 2, "nbytes": 8}
    return ParameterRow(name=name, **{**usual, **fields}, requires_grad=None)


@settings(deadline=None)
@given(NAMES, NAMES, st.integers(1, 4), st.integers(1, 5), st.randoms(use_true_random=False))
def test_names_fold_at_once_as_part_by_part(
    inner: list[str], others: list[str], outer: int, count: int, random: Random
) -> None:
    names = [f"m.{i}.e.{j}.{name}" for i in range(outer) for j in range(count) for name in inner] + others
    names = list(dict.fromkeys(names))
    if random.random() < 0.3:
        random.shuffle(names)
    rows = [
        _row(
            name,
            shape=(random.choice((2, 2, 2, 2, 2, 2, 2, 2, 3)),),
            tied_to=random.choice(names) if random.random() < 0.03 else None,
            kind="buffer" if name.endswith("b") else "parameter",
        )
        for name in names
    ]
    fast = blocks.fold_blocks(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_is_without_numbers", lambda *_: False)
        cut = blocks.fold_blocks(rows)
        patch.setattr(blocks, "trees", lambda names, kinds, **_: trees(names, kinds, whole=True))
        plain = blocks.fold_blocks(rows)
    assert fast == cut == plain


@pytest.mark.parametrize("last", ["b.1.c b.2.c b.3.c", "w", "w b.1.c x"])
def test_names_beyond_the_deepest_level_fold_in_one_part(last: str) -> None:
    deep = "a." * MOST_PARTS
    names = [f"q.{i}.{deep}{each}" for i in range(3) for each in last.split()] + [
        f"q.{i}.w" for i in range(3)
    ]
    expected = [f"q.{{0..2}}.{deep}{each}" for each in last.split()] + ["q.{0..2}.w"]
    assert [row.name for row in blocks.fold_blocks(map(_row, names))] == expected


RULES = st.dictionaries(
    st.sampled_from(PARTS), st.sampled_from((*PARTS, "layers", "expert", "ffn")), max_size=4
)


@settings(deadline=None)
@given(NAMES, NAMES, st.integers(1, 4), RULES, st.sampled_from(("", "model.")))
def test_pairing_modules_whole_is_pairing_name_by_name(
    inner: list[str], others: list[str], count: int, rules: dict[str, str], prefix: str
) -> None:
    names = [f"m.h.{i}.{name}" for i in range(count) for name in inner] + others
    a = {name: PARTS.index(name.rpartition(".")[2]) % 3 for name in names}
    moved = {prefix + ".".join(rules.get(part, part) for part in name.split(".")): a[name] for name in a}
    removed = {name: key for name, key in a.items() if name not in moved}
    added = {name: key for name, key in moved.items() if name not in a}
    fast = pair_names(removed, added)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name_tree, "module_trees", lambda names, kinds, **_: trees(names, kinds, whole=True))
        made = pair_names(removed, added)
        patch.setattr(NameNode, "is_whole", False)
        plain = pair_names(removed, added)
    assert fast == made == plain


def test_parts_without_a_character_pair_as_any_do() -> None:
    old = {"a..w": 1, "a..b": 2, "a..c": 3}
    assert [(pair.was, pair.now) for pair in pair_names(old, {"b..w": 1, "b..b": 2, "b..d": 3})] == [
        ("a..w", "b..w"),
        ("a..b", "b..b"),
        ("a..c", "b..d"),
    ]


def test_a_stack_of_experts_with_every_module_renamed_keeps_its_order() -> None:
    old = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}.weight": 1
        for layer in range(3)
        for expert in range(12)
        for part in ("gate", "up", "down")
    }
    new = [
        name.replace("model.layers", "transformer.h").replace("experts", "expert").replace("mlp", "ffn")
        for name in old
    ]
    assert [pair.now for pair in pair_names(old, dict.fromkeys(new, 1))] == new


@given(st.lists(st.lists(st.sampled_from(("a", "a-", "a0", "a/", "b", "")), min_size=1, max_size=4)))
def test_names_in_a_module_stand_together_in_alphabetical_order(parts: list[list[str]]) -> None:
    names = {".".join(each) for each in parts}
    modules = {".".join(each[:count]) for each in parts for count in range(len(each) + 1)}
    plain = {module: sum(not module or is_below(name, module) for name in names) for module in modules}
    assert _sizes(names, modules) == plain


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))


@given(
    st.lists(CELLS, max_size=8),
    st.sampled_from(["mean", "nbytes", "name", "tied_to", "count"]),
    st.booleans(),
)
def test_a_column_at_once_has_the_cells_of_its_rows(values: list[Any], column: str, unicode: bool) -> None:
    if column == "name":
        values = [str(value) for value in values]
    if column in ("nbytes", "count"):
        values = [value for value in values if value is None or type(value) is int]
    if column == "count":
        values = [value for value in values if value is not None]
    rows = [_row("a", **{column: value}) if column != "name" else _row(value) for value in values]
    assert column_for_people(rows, column, unicode) == [for_people(row, column, unicode) for row in rows]


def test_equal_numbers_that_look_different_stay_so() -> None:
    rows = [_row("a", mean=value) for value in (0.0, -0.0, True, 1, 1.0)]
    assert column_for_people(rows, "mean") == ["0", "-0", "True", "1", "1"]
    printed = [_row("a", values=Printed(1, "1")), _row("a", values=None)]
    assert "values" in columns_of(ParameterRow)
    assert column_for_people(printed, "values") == [for_people(row, "values") for row in printed]


@given(st.lists(st.text(alphabet="a.:#\x1b\u202eé \n", max_size=6), max_size=5))
def test_names_that_are_plain_at_one_look_are_shown_as_they_are(names: list[str]) -> None:
    if are_plain(names):
        assert [shown(name) for name in names] == names
