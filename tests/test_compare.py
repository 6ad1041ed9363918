"""Two models are compared name by name: every change has one class, and a load does what is said."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import paramtool
from paramtool.api.diff import diff as compare
from paramtool.elements.changed_values import ChangedValues
from paramtool.elements.elements import BLOCK
from paramtool.errors import CannotAnswer
from paramtool.network.listing import parameters
from paramtool.operations.comparison import renames
from paramtool.operations.comparison.differences import differences
from paramtool.operations.comparison.renames import MOST_COMPARISONS, pair_names
from paramtool.records.difference import DifferenceRow, Differences
from paramtool.records.parameter import COLUMNS, Listing, ParameterRow
from paramtool.records.report import Report
from paramtool.records.totals import count_once, totals
from paramtool.render.difference_fold import fold_differences
from paramtool.tensors.elements import ModuleElements
from tests.strategies import trees


def row(name: str, shape: tuple[int, ...] = (2,), **fields: Any) -> ParameterRow:
    known: dict[str, Any] = {"type": "Linear", "dtype": "float32", "numel": 2, "nbytes": 8}
    return ParameterRow(name=name, shape=shape, **{**known, "requires_grad": True, **fields})


def listing(*rows: ParameterRow) -> Listing:
    counted = count_once(rows)
    return Report("inspect", "model", tuple(counted), totals(counted), COLUMNS)


def told(report: Differences) -> list[tuple[object, ...]]:
    """Return the rows as what they say, without what is empty."""
    cells = ((each.change, each.name, each.was, each.now, each.tied_to) for each in report.rows)
    return [tuple(cell for cell in row if cell is not None) for row in cells]


def changed(a: nn.Module | Listing, b: nn.Module | Listing, **options: Any) -> list[tuple[object, ...]]:
    return told(compare(a, b, **options))


class Tied(nn.Module):
    """Three names, of which the first and last are one tensor where it is asked for."""

    def __init__(self, tie: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.body = nn.Linear(3, 3)
        self.head = nn.Linear(3, 5, bias=False)
        if tie:
            self.head.weight = self.embed.weight


# one class a change


def test_what_is_new_and_what_is_gone() -> None:
    """A name of one side only is added or removed, with what it is."""
    a, b = nn.Linear(3, 2), nn.Linear(3, 2, bias=False)
    assert changed(a, b) == [("removed", "bias", "[2] float32")]
    assert changed(b, a) == [("added", "bias", "[2] float32")]


def test_another_shape_and_another_dtype() -> None:
    """A tensor may be reshaped and retyped at once, and each is told."""
    assert changed(nn.Linear(3, 2), nn.Linear(4, 2)) == [("reshaped", "weight", (2, 3), (2, 4))]
    assert changed(nn.Linear(3, 2), nn.Linear(4, 2).half())[:2] == [
        ("reshaped", "weight", (2, 3), (2, 4)),
        ("retyped", "weight", "float32", "float16"),
    ]


def test_frozen_and_not() -> None:
    """A parameter without gradient is frozen; the other way round it is unfrozen."""
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    b.weight.requires_grad_(False)
    assert changed(a, b) == [("frozen", "weight")]
    assert changed(b, a) == [("unfrozen", "weight")]


def test_ties_made_broken_and_moved() -> None:
    """A tie that is gone names both, and a tie that moves is one broken and one made."""
    assert changed(Tied(tie=True), Tied()) == [("untied", "head.weight", "embed.weight")]
    assert changed(Tied(), Tied(tie=True)) == [("tied", "head.weight", "embed.weight")]
    a = listing(row("a"), row("b"), row("c", tied_to="a"))
    b = listing(row("a"), row("b"), row("c", tied_to="b"))
    assert told(differences(a, b)) == [("untied", "c", "a"), ("tied", "c", "b")]


def test_a_tensor_of_many_names_is_told_once() -> None:
    """What changes in a tied tensor changes once, however many names it has."""
    b = Tied(tie=True)
    b.embed.weight.requires_grad_(False)
    assert changed(Tied(tie=True), b) == [("frozen", "embed.weight")]


def test_the_kind_and_the_persistence() -> None:
    """A parameter that becomes a buffer, and a buffer that leaves the state_dict, are told."""
    a, b = nn.Module(), nn.Module()
    a.x, b.y = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    a.register_buffer("y", torch.zeros(3))
    b.register_buffer("x", torch.zeros(2), persistent=False)
    assert changed(a, b) == [("kind", "x", "parameter", "buffer"), ("kind", "y", "buffer", "parameter")]
    c = copy.deepcopy(a)
    c._non_persistent_buffers_set.add("y")
    assert changed(a, c) == [("persistence", "y", "persistent", "not persistent")]


def test_what_a_side_does_not_tell_is_no_difference() -> None:
    """A checkpoint knows no class, kind or gradient, and holds nothing that is not stored."""
    b = nn.BatchNorm1d(4)
    b.register_buffer("cache", torch.zeros(9), persistent=False)
    b.plain = torch.zeros(2)
    unknown: dict[str, Any] = {"type": None, "requires_grad": None, "kind": "stored", "persistent": None}
    rows = [replace(each, **unknown) for each in parameters(b).rows if each.name not in ("cache", "plain")]
    assert told(differences(listing(*rows), parameters(b))) == []
    assert told(differences(parameters(b), listing(*rows))) == []


def test_a_listing_without_buffers_tells_nothing_of_them() -> None:
    """A listing that counts buffers and lists none, as a snapshot may, does not miss them."""
    b = parameters(nn.BatchNorm1d(4))
    a = replace(b, rows=tuple(each for each in b.rows if each.kind == "parameter"))
    for one, other in ((a, b), (b, a)):
        report = differences(one, other)
        assert (report.rows, report.totals.loads) == ((), True)
    assert len(differences(replace(a, totals=totals(a.rows)), b).rows) == 3


def test_a_model_of_python_and_a_listing_of_it_compare() -> None:
    """`paramtool.diff` takes modules and reports; only modules have values."""
    report = paramtool.diff(nn.Linear(2, 2), paramtool.inspect(nn.Linear(2, 3)))
    assert [each.change for each in report.rows] == ["reshaped", "reshaped"]
    with pytest.raises(CannotAnswer, match="has no values"):
        compare(nn.Linear(2, 2), parameters(nn.Linear(2, 2)), values=True)
    with pytest.raises(ValueError, match="'weight' is on the meta device"):
        compare(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"), values=True)


# renames


def keyed(text: str) -> dict[str, str]:
    """Return names and keys from words as ``h.0.weight:key``; `#` stands for each of 0 to 3."""
    words = [word.replace("#", str(i)) for word in text.split() for i in range(4 if "#" in word else 1)]
    return {name: key for name, _, key in (word.partition(":") for word in words)}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("0.w:1 0.b:2", "stem.w:1 stem.b:2", "0.w=stem.w 0.b=stem.b"),
        ("h.#.w:1 h.#.b:2", "layers.#.w:1 layers.#.b:2", "h.#.w=layers.#.w h.#.b=layers.#.b"),
        ("h.#.ln.w:1", "m.layers.#.norm.w:1", "h.#.ln.w=m.layers.#.norm.w"),
        ("h.#.w:1", "model.h.#.w:1 head.w:1", "h.#.w=model.h.#.w"),
        ("model.e.w:1 model.h.#.w:2", "e.w:1 h.#.w:2", "model.e.w=e.w model.h.#.w=h.#.w"),
        ("h.#.ln_1.w:1 h.#.ln_2.w:1", "h.#.norm1.w:1 h.#.norm2.w:1",
         "h.#.ln_1.w=h.#.norm1.w h.#.ln_2.w=h.#.norm2.w"),
        ("q.w:1 k.w:1 v.w:1", "query.w:1 key.w:1 value.w:1", "q.w=query.w k.w=key.w v.w=value.w"),
        ("attn_q.w:1 attn_k.w:1", "k_attn.w:1 q_attn.w:1", "attn_q.w=q_attn.w attn_k.w=k_attn.w"),
        ("fc.w:1 fc.b:2", "fc.base.w:1 fc.base.b:2 fc.lora.w:3", "fc.w=fc.base.w fc.b=fc.base.b"),
        ("#.0.w:1 #.1.w:2", "x.#.0.w:1 x.#.1.w:2", "#.0.w=x.#.0.w #.1.w=x.#.1.w"),
        ("a.gamma:1", "a.weight:1", "a.gamma=a.weight"),
        ("old.deep.w:1 x.w:2", "y.v:3 new.v:1", "old.deep.w=new.v"),
        ("a.w:1 b.w:1", "x.w:1 y.w:1 z.w:1", ""),
        ("w:1 b:2", "x.w:1 x.b:2 y.w:1 y.b:2", ""),
        ("a.w:1", "b.w:2", ""),
        ("", "b.w:2", ""),
    ],
)  # fmt: skip
def test_these_names_pair(a: str, b: str, expected: str) -> None:
    """A renamed module explains all names in it, order helps among equals, the ambiguous is left alone."""
    pairs: dict[str, str] = dict(word.split("=") for word in expected.split())
    full = {
        was.replace("#", str(i)): now.replace("#", str(i)) for was, now in pairs.items() for i in range(4)
    }
    assert {pair.was: pair.now for pair in pair_names(keyed(a), keyed(b))} == full


NAMES = st.lists(st.sampled_from(("a", "b", "ab", "h", "0", "1", "2", "w_1", "w_2")), min_size=1, max_size=4)
SIDES = st.dictionaries(NAMES.map(".".join), st.sampled_from("123"), max_size=12)


@given(SIDES, SIDES)
@settings(max_examples=300, deadline=None)
def test_pairs_turn_around(a: dict[str, str], b: dict[str, str]) -> None:
    """Names pair one to one, by equal keys, and the same when the sides are exchanged."""
    removed = {name: key for name, key in a.items() if name not in b}
    added = {name: key for name, key in b.items() if name not in a}
    pairs = {pair.was: pair.now for pair in pair_names(removed, added)}
    assert len(set(pairs.values())) == len(pairs)
    assert all(removed[was] == added[now] for was, now in pairs.items())
    assert {pair.now: pair.was for pair in pair_names(added, removed)} == pairs


def test_many_names_pair_without_comparing_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 names on both sides are paired within the comparisons that are allowed."""
    calls = 0

    def counted(*_: str) -> float:
        nonlocal calls
        calls += 1
        return 0.0

    monkeypatch.setattr(renames, "name_likeness", counted)
    stack = {f"h.{i}.x.{j}.weight": (i % 7,) for i in range(2000) for j in range(10)}
    moved = {f"model.layers{name[1:]}": key for name, key in stack.items()}
    assert len(pair_names(stack, moved)) == 20_000
    flat = {f"p{i}": 1 for i in range(20_000)}
    assert len(pair_names(flat, {f"q{i}": 1 for i in range(20_000)})) == 20_000
    odd = {f"a{i // 300}.m{i}.w": i % 5 for i in range(20_000)}
    pair_names(odd, {f"b{i // 300}.n{i}.v": i % 4 for i in range(20_000)})
    assert calls <= MOST_COMPARISONS


def test_a_name_of_many_parts_needs_no_deep_stack() -> None:
    """A name with 100,000 dots, as a file may have, is compared like any other."""
    deep = ".".join("a" * 100_000)
    assert [pair.now for pair in pair_names({deep: 1}, {f"x.{deep}": 1})] == [f"x.{deep}"]


def test_values_tell_which_is_which() -> None:
    """With values, layers that look alike pair by their elements, whatever their order is."""
    a = nn.ModuleDict({"x": nn.Linear(2, 2), "y": nn.Linear(2, 2)})
    b = nn.ModuleDict({"p": copy.deepcopy(a["y"]), "q": copy.deepcopy(a["x"])})
    pairs = {each.name: (each.now, each.because) for each in compare(a, b, values=True).rows}
    assert pairs == {
        "x.weight": ("q.weight", "same values"),
        "x.bias": ("q.bias", "same values"),
        "y.weight": ("p.weight", "same values"),
        "y.bias": ("p.bias", "same values"),
    }


# laws


@given(trees())
@settings(max_examples=60, deadline=None)
def test_a_model_does_not_differ_from_itself(module: nn.Module) -> None:
    """Nothing differs, values and all, and the model loads what it saves."""
    report = compare(module, module, values=True)
    assert report.rows == ()
    assert report.totals.loads


@given(trees(), trees())
@settings(max_examples=60, deadline=None)
def test_what_was_added_was_removed_the_other_way(a: nn.Module, b: nn.Module) -> None:
    """Every class of difference has its reverse, of the same names."""
    reverse = {"added": "removed", "removed": "added", "frozen": "unfrozen", "unfrozen": "frozen"}
    reverse |= {"tied": "untied", "untied": "tied"}
    there = {(each.change, each.name, each.new_name) for each in compare(a, b).rows}
    back = {(each.change, each.name, each.new_name) for each in compare(b, a).rows}
    simple = {
        each for each in there if each[0] not in ("tied", "untied", "added", "removed", "frozen", "unfrozen")
    }
    assert {(change, now, was) for change, was, now in simple} <= back
    for change in ("added", "removed"):
        names = {name for each, name, _ in there if each == change}
        assert names == {name for each, name, _ in back if each == reverse[change]}
    for change in ("tied", "untied"):
        count = sum(each[0] == change for each in there)
        assert count == sum(each[0] == reverse[change] for each in back)


EDITS: Mapping[str, Callable[[ParameterRow], list[ParameterRow]]] = {
    "removed": lambda _: [],
    "retyped": lambda each: [replace(each, dtype="bfloat16")],
    "frozen": lambda each: [replace(each, requires_grad=False)],
    "reshaped": lambda each: [replace(each, shape=(*each.shape, 99))] if each.shape else [],
    "renamed": lambda each: [replace(each, name=f"new{each.name}")],
    "added": lambda each: [each, replace(each, name=f"more.{each.name}", shape=(7, 7))],
    "kind": lambda each: [replace(each, kind="buffer", persistent=True)],
}


@given(st.integers(0, 30), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_edits_are_found_and_nothing_else(count: int, random: Random) -> None:
    """Each edit of a model whose shapes are all different is one row of its class."""
    before = [row(f"m{i}.{random.choice('abc')}.weight", (i + 1,)) for i in range(count)]
    after: list[ParameterRow] = []
    expected = set()
    for each in before:
        edit = random.choice([*EDITS, None, None])
        after += EDITS[edit](each) if edit else [each]
        if edit:
            expected.add((edit, f"more.{each.name}" if edit == "added" else each.name))
    random.shuffle(after)
    report = differences(listing(*before), listing(*after))
    assert {(each.change, each.name) for each in report.rows} == expected
    assert report.totals.differences == len(report.rows) == len(expected)
    assert sum(report.totals.changes.values()) == len(expected)


# folding


@given(trees(), trees())
@settings(max_examples=80, deadline=None)
def test_folding_loses_nothing(a: nn.Module, b: nn.Module) -> None:
    """The lines of a fold count as many differences of each class as there are."""
    rows = compare(a, b).rows
    folded = fold_differences(rows)
    for change in {each.change for each in rows}:
        count = sum(each.count for each in folded if each.change == change)
        assert count == sum(each.change == change for each in rows)


def difference(name: str, **fields: Any) -> DifferenceRow:
    return DifferenceRow(
        **{"change": "renamed", "because": "order", "name": name, "new_name": name, **fields}
    )


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("h.#.a.w=layers.#.b.w", "h.{0..3}.a.w=layers.{0..3}.b.w"),
        ("h.#.0.w=l.#.0.w h.#.2.w=l.#.2.w", "h.{0..3}.0.w=l.{0..3}.0.w h.{0..3}.2.w=l.{0..3}.2.w"),
        ("layer#.w=stage#.w", "layer{0..3}.w=stage{0..3}.w"),
        ("h.#.w=x.w", "h.{0..3}.w=x.w"),
        (" ".join(f"h.{i}.#.w=l.{i}.#.w" for i in range(3)), "h.{0..2}.{0..3}.w=l.{0..2}.{0..3}.w"),
        ("h.0.w=x.0.w h.1.w=x.1.w", "h.0.w=x.0.w h.1.w=x.1.w"),
        ("h.0.w=x.0.w h.1.w=x.1.w h.2.w=x.5.w", "h.0.w=x.0.w h.1.w=x.1.w h.2.w=x.5.w"),
    ],
)  # fmt: skip
def test_these_renames_fold(pairs: str, expected: str) -> None:
    """Both names of a renamed tensor fold over the same number, and stay apart where they do not."""
    words = [word.replace("#", str(i)) for word in pairs.split() for i in range(4 if "#" in word else 1)]
    rows = [difference(word.split("=")[0], now=word.split("=")[1]) for word in words]
    assert " ".join(f"{each.name}={each.now}" for each in fold_differences(rows)) == expected


def test_a_change_of_eighty_layers_is_one_line() -> None:
    """Whole modules that are renamed, retyped or frozen fold, and so do numbered ones; the worst is shown."""
    a = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)) for _ in range(80)))
    b = nn.ModuleDict({"layers": copy.deepcopy(a)})
    assert [(each.name, each.now, each.count) for each in fold_differences(compare(a, b).rows)] == [
        ("*", "layers.*", 320)
    ]
    half = copy.deepcopy(a).half()
    (line,) = fold_differences(compare(a, half).rows)
    assert (line.change, line.name, line.was, line.now) == ("retyped", "*", "float32", "float16")
    frozen = copy.deepcopy(a)
    for number in range(5):
        frozen.get_submodule(f"{number}.1").requires_grad_(False)
    assert [(each.name, each.count) for each in fold_differences(compare(a, frozen).rows)] == [
        ("{0..4}.1.*", 10)
    ]
    more = copy.deepcopy(a)
    with torch.no_grad():
        for number in range(80):
            more.get_parameter(f"{number}.1.bias").add_(number + 1)
    (line,) = fold_differences(compare(a, more, values=True).rows)
    assert (line.name, line.count, line.differing, line.max_abs) == ("{0..79}.1.bias", 80, 160, 80.0)


# values


ODD = (0.0, -0.0, 1.0, 1.1, -3.0, 1e30, math.nan, math.inf, -math.inf)


@given(
    st.lists(st.sampled_from(ODD), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
    st.sampled_from((0.0, 0.05, 1.0)),
    st.sampled_from((0.0, 0.05, 1.0)),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_close_is_what_torch_calls_close(
    elements: list[float], random: Random, atol: float, rtol: float
) -> None:
    """Tensors differ exactly where ``torch.allclose(a, b, equal_nan=True)`` is false."""
    a = torch.tensor(elements, dtype=torch.float64)
    b = torch.tensor([random.choice(elements) for _ in elements], dtype=torch.float64)
    close = torch.isclose(a, b, atol=atol, rtol=rtol, equal_nan=True)
    change = ChangedValues(One(a), One(b), atol=atol, rtol=rtol).change("x", "x")
    assert (change.differing if change else 0) == int((~close).sum())


class One(ModuleElements):
    """The elements of one tensor, whatever it is called."""

    def __init__(self, tensor: torch.Tensor) -> None:
        module = nn.Module()
        module.register_buffer("x", tensor)
        super().__init__(module)


def test_how_far_values_are_is_measured() -> None:
    """The measures are those of plain torch, over blocks, with NaN and infinity left out."""
    torch.manual_seed(0)
    a, noise = torch.randn(BLOCK + 7), torch.randn(BLOCK + 7) * 0.1
    b = a + noise
    change = ChangedValues(One(a), One(b)).change("x", "x")
    assert change is not None
    distance = (a.double() - b.double()).abs()
    assert change.differing == int((a != b).sum())
    assert change.max_abs == float(distance.max())
    assert change.relative_rms == pytest.approx(float(distance.norm() / a.double().norm()), rel=1e-12)
    assert change.cosine == pytest.approx(
        float(torch.cosine_similarity(a.double(), b.double(), 0)), rel=1e-12
    )
    odd = ChangedValues(One(torch.tensor([1.0, math.nan])), One(torch.tensor([2.0, 0.0]))).change("x", "x")
    assert odd is not None
    assert odd.differing == 2
    assert all(math.isnan(each or 0) for each in (odd.max_abs, odd.relative_rms, odd.cosine))


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("a", "b", "max_abs", "relative_rms", "cosine"),
    [
        ([NAN, 1.0], [1.0, 1.0], NAN, NAN, NAN),
        ([1.0, 1.0], [NAN, 1.0], NAN, NAN, NAN),
        ([NAN, 1.0], [NAN, 2.0], 1.0, 1.0, 1.0),
        ([INF, 1.0], [0.0, 1.0], INF, INF, NAN),
        ([INF, 1.0], [-INF, 1.0], INF, INF, NAN),
        ([INF, 1.0], [INF, 3.0], 2.0, 2.0, 1.0),
        ([1e308, 0.0], [0.0, 1e308], 1e308, math.sqrt(2), 0.0),
        ([1e308, 1e308], [-1e308, 1e308], INF, math.sqrt(2), 0.0),
        ([3e-200, 0.0], [3e-200, 4e-200], 4e-200, 4 / 3, 0.6),
        ([1e200, 0.0], [1e-200, 0.0], 1e200, 1.0, 1.0),
        ([1e-200, 1.0], [1e200, 1.0], 1e200, 1e200, 1e-200),
        ([0.0, 0.0], [1e300, 0.0], 1e300, INF, None),
        ([1e-300, 0.0], [1e300, 1e-300], 1e300, INF, 1.0),
        ([0.0, 1.0], [-0.0, 1.0], None, None, None),
    ],
)
def test_no_extreme_misleads(
    a: list[float], b: list[float], max_abs: float, relative_rms: float, cosine: float | None
) -> None:
    """NaN and infinity on one side leave no ratio, and squares that leave float64 change none."""
    tensors = [torch.tensor(each, dtype=torch.float64) for each in (a, b)]
    change = ChangedValues(*map(One, tensors)).change("x", "x")
    if max_abs is None:
        assert change is None
        return
    assert change is not None
    close = [
        each if each is None else pytest.approx(each, nan_ok=True) for each in (max_abs, relative_rms, cosine)
    ]
    assert [change.max_abs, change.relative_rms, change.cosine] == close


@pytest.mark.parametrize(
    ("a", "b", "differing"),
    [
        (torch.tensor([2**60, 1]), torch.tensor([2**60 + 1, 1]), 1),
        (torch.tensor([True, False]), torch.tensor([True, True]), 1),
        (torch.tensor([1 + 2j, 3j]), torch.tensor([1 + 2j, -3j]), 1),
        (torch.tensor([1 + 2j]), torch.tensor([1.0]), 0),
        (torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2], dtype=torch.bfloat16), 0),
        (torch.tensor([0.1]), torch.tensor([0.1]).to(torch.float8_e4m3fn), 0),
        (torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([1.0, 2.5]), 1),
        (torch.zeros(0), torch.zeros(0), 0),
        (torch.zeros(2, 3).T, torch.zeros(3, 2), 0),
    ],
)
def test_every_dtype_is_compared_as_it_would_be_loaded(
    a: torch.Tensor, b: torch.Tensor, differing: int
) -> None:
    """A's elements are cast to B's dtype, as a load does, and then compared exactly."""
    change = ChangedValues(One(a), One(b)).change("x", "x")
    assert (change.differing if change else 0) == differing


# the verdict


def loads(a: nn.Module, b: nn.Module) -> bool:
    """Tell what torch itself does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            copy.deepcopy(b).load_state_dict(a.state_dict(), strict=True)
        except RuntimeError:
            return False
    return True


@given(trees(), trees(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_verdict_is_what_torch_does(a: nn.Module, b: nn.Module, random: Random) -> None:
    """A strict load works exactly where the verdict says so, of other models and of edited copies."""
    near = copy.deepcopy(a)
    for module in near.modules():
        if random.random() < 0.2:
            _edit(module, random)
    for one, other in ((a, b), (a, near), (near, a)):
        report = compare(one, other)
        assert report.totals.loads == loads(one, other)
        assert report.totals.loads == (report.totals.reasons == ())
        if not report.totals.loads:
            assert any(each.breaks for each in report.rows)


def _edit(module: nn.Module, random: Random) -> None:
    """Change a module in one of the ways that a load may or may not mind."""
    edit = random.randrange(5)
    if edit == 0:
        module.register_buffer("extra", torch.zeros(1), persistent=random.random() < 0.5)
    elif edit == 1:
        module.half()
    elif edit == 2 and isinstance(module, nn.Linear):
        module.weight = nn.Parameter(torch.zeros(3, 3))
    elif edit == 3:
        module._non_persistent_buffers_set.update(module._buffers)
    elif edit == 4:
        module.scalar = nn.Parameter(torch.tensor(1.0) if random.random() < 0.5 else torch.ones(1))


def test_a_vector_of_one_loads_into_a_scalar() -> None:
    """Torch takes [1] for [] as of its version 0.3, and not the other way round."""
    vector, scalar = nn.ParameterList([torch.ones(1)]), nn.ParameterList([torch.tensor(1.0)])
    assert compare(vector, scalar).totals.loads
    assert loads(vector, scalar)
    assert not compare(scalar, vector).totals.loads
    assert not loads(scalar, vector)


def test_a_lazy_parameter_takes_what_comes() -> None:
    """An uninitialized parameter loads any shape, and cannot be loaded into one that has one."""
    lazy, settled = nn.LazyLinear(3), nn.Linear(4, 3)
    assert compare(settled, lazy).totals.loads
    assert loads(settled, lazy)
    assert not compare(lazy, settled).totals.loads


def test_what_a_load_does_silently_is_told() -> None:
    """A cast, and a tied tensor of which the last one loaded wins, are warnings."""
    a, b = Tied(), Tied(tie=True).half()
    with torch.no_grad():
        a.head.weight.fill_(7)
    report = compare(a, b)
    assert report.totals.loads
    assert report.totals.warnings == (
        "casts float32 to float16: embed.weight, and 3 more",
        "loads head.weight over embed.weight, two tensors in A but one in B: the last one wins",
    )
    b.load_state_dict(a.state_dict())
    assert b.embed.weight.eq(7).all()
    assert compare(Tied(tie=True), Tied(tie=True)).totals.warnings == ()


def test_a_bare_file_may_lack_what_a_batch_norm_counts() -> None:
    """Torch adds num_batches_tracked to a state_dict without metadata, and so does the verdict."""
    b = nn.BatchNorm1d(3)
    rows = [replace(each, kind="stored", persistent=None) for each in parameters(b).rows]
    report = differences(listing(*rows[:-1]), parameters(b))
    assert told(report) == [("added", "num_batches_tracked", "[] int64 buffer")]
    assert report.totals.loads
    bare = {name: tensor for name, tensor in b.state_dict().items() if "num" not in name}
    b.load_state_dict(bare, strict=True)
