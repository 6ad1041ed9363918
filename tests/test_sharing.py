"""Names of one tensor are tied, tensors over common bytes aliased, and nothing else is shared."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

import paramtool
from paramtool.api.shared import shared as sharing
from paramtool.errors import NothingMatched
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.network import construction
from paramtool.network.listing import parameters
from paramtool.operations.listing.checkpoint import stored
from paramtool.operations.listing.selection import Selection
from paramtool.operations.sharing.checkpoint_layout import layout_of_checkpoint
from paramtool.operations.sharing.groups import share
from paramtool.patterns import compile_pattern
from paramtool.records.extent import Extent
from paramtool.records.layout import Layout
from paramtool.records.parameter import ParameterRow
from paramtool.records.sharing import SharedModule, SharingRow
from tests.conftest import CONFIGS, Run
from tests.specs import open_spec
from tests.strategies import trees


def groups(module: nn.Module, *, by_value: bool = False) -> list[tuple[str, list[str]]]:
    """Return the sort and the names of each group."""
    found: dict[int | str, tuple[str, list[str]]] = {}
    for row in sharing(module, by_value=by_value).rows:
        found.setdefault(row.group, (row.sharing, []))[1].append(row.name)
    return list(found.values())


def holder(**tensors: torch.Tensor) -> nn.Module:
    """Return a module that holds tensors: parameters are registered, buffers begin with ``buffer``."""
    module = nn.Module()
    for name, tensor in tensors.items():
        if name.startswith("buffer"):
            module.register_buffer(name, tensor)
        else:
            setattr(module, name, tensor)
    return module


def parameter(tensor: torch.Tensor) -> nn.Parameter:
    """Return a parameter over the memory of a tensor."""
    return nn.Parameter(tensor)


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[str], nn.Module]:
    """Build the structure of a spec from its text."""

    def build(text: str) -> nn.Module:
        path = tmp_path / "model.yaml"
        path.write_text(text)
        return construction.structure(open_spec(str(path))).module

    return build


def test_a_module_used_twice_is_one() -> None:
    """Of the notebook's net, net[0] is net[1]: one tensor under two names, and one module."""
    report = sharing(construction.structure(open_spec(str(CONFIGS / "shared.yaml"))).module)
    assert report.rows == (
        SharingRow(
            group=1, sharing="tied", name="0.weight", tied_to=None, kind="parameter", module="0",
            type="Linear", shape=(1, 1), dtype="float32", nbytes=4,
        ),
        SharingRow(
            group=1, sharing="tied", name="1.weight", tied_to="0.weight", kind="parameter", module="0",
            type="Linear", shape=(1, 1), dtype="float32", nbytes=4,
        ),
    )  # fmt: skip
    totals = report.totals
    assert totals.modules == (SharedModule(("0", "1"), "Linear"),)
    assert (totals.groups, totals.names, totals.tensors) == (1, 2, 1)
    assert (totals.nbytes, totals.saved_nbytes) == (4, 4)


def test_a_tied_parameter_leaves_its_modules_two() -> None:
    """GPT-2's head and embedding are two modules with one weight of 154 MB."""
    report = sharing(construction.structure(open_spec(str(CONFIGS / "gpt2.yaml"))).module)
    assert [(row.name, row.module) for row in report.rows] == [("wte.weight", None), ("lm_head.weight", None)]
    assert report.totals.saved_nbytes == 50_257 * 768 * 4
    assert report.totals.modules == ()


def test_only_anchors_and_ties_share(spec: Callable[[str], nn.Module]) -> None:
    """A define and a Repeat make copies; an anchor in a repeated block is one module in each copy."""
    module = spec(
        "define: {L: {Linear: {in_features: 2, out_features: 2, bias: false}}}\n"
        "model:\n  Module:\n    a: L\n    b: L\n"
        "    r: {Repeat: {times: 2, module: {Module: {x: &x L, y: *x, z: L}}}}\n"
        "    c: {Sequential: [&s {Linear: [2, 2]}, *s]}\n    d: {ModuleList: [*s]}\n"
        "tie: {b.weight: a.weight}\n"
    )
    assert groups(module) == [
        ("tied", ["a.weight", "b.weight"]),
        ("tied", ["r.0.x.weight", "r.0.y.weight"]),
        ("tied", ["r.1.x.weight", "r.1.y.weight"]),
        ("tied", ["c.0.weight", "c.1.weight", "d.0.weight"]),
        ("tied", ["c.0.bias", "c.1.bias", "d.0.bias"]),
    ]
    assert [each.paths for each in sharing(module).totals.modules] == [
        ("r.0.x", "r.0.y"), ("r.1.x", "r.1.y"), ("c.0", "c.1", "d.0"),
    ]  # fmt: skip


def test_what_lies_in_a_shared_module_is_not_told_again() -> None:
    """A block under two paths is told once, not with all it has; a part that is elsewhere too is told."""
    part = nn.Linear(2, 2)
    block = nn.Sequential(part, nn.ReLU(), nn.Sequential(nn.Linear(2, 2)))
    report = sharing(nn.ModuleDict({"a": block, "b": block, "c": part}))
    assert report.totals.modules == (
        SharedModule(("a", "b"), "Sequential"),
        SharedModule(("a.0", "b.0", "c"), "Linear"),
    )


def test_a_module_without_tensors_shares_nothing() -> None:
    """One ReLU in two places is no matter of parameters."""
    relu = nn.ReLU()
    report = sharing(nn.Sequential(nn.Linear(1, 1), relu, nn.Linear(1, 1), relu))
    assert report.rows == ()
    assert report.totals.modules == ()


def test_overlapping_slices_are_aliased_with_their_bytes() -> None:
    """Ranges are bytes within the storage, wherever the first tensor begins."""
    storage = torch.rand(100)
    module = holder(a=parameter(storage[10:20]), b=parameter(storage[15:30]), c=parameter(storage[30:]))
    report = sharing(module)
    assert [(row.name, row.sharing, row.start, row.stop) for row in report.rows] == [
        ("a", "aliased", 40, 80),
        ("b", "aliased", 60, 120),
    ]
    assert (report.totals.nbytes, report.totals.saved_nbytes) == (80, 20)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_overlap_is_of_bytes_and_not_of_storages(device: str) -> None:
    """On any device: slices and columns that are apart share nothing; what lies across joins them."""
    matrix = torch.empty(10, 10, device=device)
    flat = torch.empty(100, device=device)
    module = holder(
        col0=parameter(matrix[:, 0]), col1=parameter(matrix[:, 1]),
        left=parameter(flat[:50]), right=parameter(flat[50:]),
    )  # fmt: skip
    assert groups(module) == []
    module.row = parameter(matrix[3])
    assert groups(module) == [("aliased", ["col0", "col1", "row"])]


def test_a_finder_that_keeps_the_last_stop_would_miss_one() -> None:
    """{a[0:100], b[10:20], c[50:60]} is one group."""
    storage = torch.rand(100)
    module = holder(a=parameter(storage), b=parameter(storage[10:20]), c=parameter(storage[50:60]))
    assert groups(module) == [("aliased", ["a", "b", "c"])]


def test_a_tied_name_in_an_aliased_group_says_whose_it_is() -> None:
    """A group of two tensors under three names tells which two are one."""
    storage = torch.rand(4)
    module = holder(a=parameter(storage), view=parameter(storage.view(2, 2)))
    module.also_a = module.a
    report = sharing(module)
    assert [(row.name, row.sharing, row.tied_to) for row in report.rows] == [
        ("a", "aliased", None), ("also_a", "aliased", "a"), ("view", "aliased", None),
    ]  # fmt: skip
    assert (report.totals.tensors, report.totals.names, report.totals.saved_nbytes) == (2, 3, 32)


def test_two_storages_over_one_memory_are_aliased() -> None:
    """Tensors made apart from one bytearray have storages of their own and the same bytes."""
    memory = bytearray(16)
    one, other = (torch.frombuffer(memory, dtype=torch.float32) for _ in range(2))
    assert groups(holder(a=parameter(one), b=parameter(other[2:]))) == [("aliased", ["a", "b"])]


def test_two_dtypes_over_one_memory_are_aliased() -> None:
    """A view in another dtype is another tensor over the same bytes."""
    storage = torch.rand(4)
    module = holder(a=parameter(storage), buffer_bits=storage.view(torch.int32)[1:])
    report = sharing(module)
    assert [(row.name, row.kind, row.start, row.stop) for row in report.rows] == [
        ("a", "parameter", 0, 16), ("buffer_bits", "buffer", 4, 16),
    ]  # fmt: skip


def test_a_plain_tensor_counts_where_it_views_a_parameter() -> None:
    """A view of a parameter kept as an attribute is listed; plain tensors among themselves are not."""
    plain, weight = torch.rand(3), parameter(torch.rand(4, 2))
    module = holder(weight=weight, one=plain, other=plain, head=weight[0])
    report = sharing(module)
    assert [(row.name, row.kind) for row in report.rows] == [("weight", "parameter"), ("head", "tensor")]


def test_buffers_share_too() -> None:
    """One buffer in two modules is tied, persistent or not; a parameter that is a buffer as well, too."""
    mask = torch.ones(3, 3)
    weight = parameter(torch.rand(2))
    module = nn.ModuleList([holder(buffer_mask=mask), nn.Module(), holder(w=weight)])
    module[1].register_buffer("mask", mask, persistent=False)
    module[2].register_buffer("same", weight)
    assert groups(module) == [("tied", ["2.w", "2.same"]), ("tied", ["0.buffer_mask", "1.mask"])]


def test_nothing_has_no_bytes_to_share() -> None:
    """Empty tensors of one storage are no aliases; one empty tensor under two names is tied."""
    storage = torch.rand(4)
    module = holder(a=parameter(storage), b=parameter(storage[2:2]), c=parameter(storage[:0]))
    assert groups(module) == []
    module.also_c = module.c
    assert groups(module) == [("tied", ["c", "also_c"])]


def test_meta_tensors_have_storages_of_their_own() -> None:
    """On meta every address is 0, and yet two tensors share nothing."""
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert groups(module) == []


def test_lazy_parameters_have_no_memory_and_may_be_tied() -> None:
    """A lazy module under two paths is tied before it has a shape, and after."""
    lazy = nn.LazyLinear(2)
    module = nn.Sequential(lazy, nn.ReLU(), lazy, nn.LazyLinear(2))
    report = sharing(module)
    assert groups(module) == [("tied", ["0.weight", "2.weight"]), ("tied", ["0.bias", "2.bias"])]
    assert [row.nbytes for row in report.rows] == [None] * 4
    assert report.totals.nbytes == 0
    assert groups(module, by_value=True) == groups(module)
    module(torch.rand(3, 2))
    assert groups(module) == [("tied", ["0.weight", "2.weight"]), ("tied", ["0.bias", "2.bias"])]


def test_sparse_tensors_are_tied_and_never_aliased() -> None:
    """A sparse parameter has no storage to be compared."""
    sparse = parameter(torch.eye(3).to_sparse())
    assert groups(holder(a=sparse, b=sparse, c=parameter(torch.eye(3).to_sparse()))) == [("tied", ["a", "b"])]


def test_a_parametrized_module_has_its_originals_tied() -> None:
    """Parametrizing a shared module renames what is shared; on one side of a tie it leaves the tie."""
    linear = nn.Linear(2, 2, bias=False)
    module = nn.Sequential(linear, linear)
    weight_norm(linear)
    assert groups(module) == [
        ("tied", [f"{path}.parametrizations.weight.original0" for path in (0, 1)]),
        ("tied", [f"{path}.parametrizations.weight.original1" for path in (0, 1)]),
    ]
    one, other = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    other.weight = one.weight
    parametrize.register_parametrization(other, "weight", nn.Identity())
    assert groups(nn.Sequential(one, other)) == [("tied", ["0.weight", "1.parametrizations.weight.original"])]


def test_weight_norm_on_one_side_turns_a_tie_into_an_alias() -> None:
    """Two parameters replace the weight, and one of them is a view of what the other side still has."""
    one, other = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    other.weight = one.weight
    weight_norm(other)
    assert groups(nn.Sequential(one, other)) == [
        ("aliased", ["0.weight", "1.parametrizations.weight.original1"])
    ]


@pytest.mark.parametrize(
    "module", [nn.LSTM(3, 4, 2), nn.MultiheadAttention(4, 2), nn.TransformerEncoderLayer(4, 2)]
)
def test_modules_of_torch_share_nothing_of_themselves(module: nn.Module) -> None:
    """The weights of an LSTM or of attention, packed or not, are tensors of their own."""
    assert groups(module) == []
    assert len(groups(nn.ModuleList([module, module]))) == sum(1 for _ in module.parameters())


def test_copies_share_nothing_and_equal_values_are_found_on_request() -> None:
    """A deep copy ties nothing to its original; --by-value shows the tie that was lost."""
    linear = nn.Linear(3, 3)
    module = nn.Sequential(linear, copy.deepcopy(linear), nn.Linear(3, 3))
    assert groups(module) == []
    report = sharing(module, by_value=True)
    assert groups(module, by_value=True) == [
        ("equal", ["0.weight", "1.weight"]),
        ("equal", ["0.bias", "1.bias"]),
    ]
    totals = report.totals
    assert (totals.equal, totals.tied, totals.nbytes, totals.saved_nbytes) == (2, 0, 96, 0)
    assert totals.savable_nbytes == 48


def test_bytes_decide_what_is_equal() -> None:
    """NaN equals itself; 0 is not -0; another dtype or shape is another tensor; layout is no matter."""
    values = torch.tensor([[1.0, float("nan")], [0.0, 3.0]])
    module = holder(
        a=parameter(values), b=parameter(values.clone()), c=parameter(values.t().contiguous().t()),
        minus=parameter(torch.tensor([[1.0, float("nan")], [-0.0, 3.0]])),
        flat=parameter(values.reshape(-1).clone()),
        halved=parameter(values.half()), buffer=values.clone(), plain=values.clone(),
    )  # fmt: skip
    assert groups(module, by_value=True) == [("equal", ["a", "b", "c", "buffer"])]


def test_constants_are_not_compared() -> None:
    """Zero biases and norms of ones are no copies of each other; they are counted instead."""
    module = nn.Sequential(*(nn.LayerNorm(4) for _ in range(3)), nn.Embedding(1, 1), nn.Embedding(1, 1))
    report = sharing(module, by_value=True)
    assert report.rows == ()
    assert report.totals.constant == 6
    assert sharing(module).totals.constant is None


def test_long_tensors_that_differ_at_the_end_differ() -> None:
    """All bytes are compared, those of later blocks too, of one value but for the last as well."""
    long = torch.arange(2.5e6)
    other, ones, nearly = long.clone(), torch.ones(2_500_000), torch.ones(2_500_000)
    other[-1] = nearly[-1] = 0
    module = holder(a=parameter(long), b=parameter(other), c=parameter(long.clone()))
    assert groups(module, by_value=True) == [("equal", ["a", "c"])]
    module = holder(a=parameter(ones), b=parameter(nearly), c=parameter(nearly.clone()))
    assert groups(module, by_value=True) == [("equal", ["b", "c"])]


def test_equal_values_join_whole_groups() -> None:
    """A tensor with two names and a copy of it are one group, so that groups partition the names."""
    one = parameter(torch.rand(3))
    module = holder(a=one, same=one, copy=parameter(one.detach().clone()))
    assert groups(module, by_value=True) == [("equal", ["a", "same", "copy"])]
    totals = sharing(module, by_value=True).totals
    assert (totals.nbytes, totals.saved_nbytes, totals.savable_nbytes) == (24, 12, 12)


def test_values_on_meta_cannot_be_compared() -> None:
    """Equality needs values, and meta has none."""
    with torch.device("meta"), pytest.raises(ValueError, match="'weight' is on the meta device"):
        sharing(nn.Linear(2, 2), by_value=True)


def test_a_doubt_is_told() -> None:
    """Tensors that may overlap, and it takes too long to say, are aliased with a note."""
    row = ParameterRow(
        name="a", type=None, shape=None, dtype="uint8", numel=1, nbytes=1, requires_grad=None
    )  # fmt: skip
    rows = (row, replace(row, name="b"))
    generator = torch.Generator().manual_seed(0)
    strides = tuple(torch.randint(2**50, 2**51, (60,), generator=generator).tolist())
    hard = Extent("s", 0, 1, (2,) * 60, strides)
    extents = {"a": hard, "b": Extent("s", hard.stop // 2, 1)}
    listed = parameters(nn.Module())
    report = share(Layout(type(listed)("inspect", "m", rows, listed.totals, ()), extents))
    assert [(row.sharing, row.note) for row in report.rows] == [("aliased", "may overlap")] * 2


@given(trees())
def test_ties_are_those_of_the_objects(module: nn.Module) -> None:
    """Names are in one group exactly when torch gives one object for them; the rows add up."""
    by_object: dict[int, list[str]] = {}
    parameters, buffers = module.named_parameters, module.named_buffers
    for name, tensor in (*parameters(remove_duplicate=False), *buffers(remove_duplicate=False)):
        by_object.setdefault(id(tensor), []).append(name)
    expected = [("tied", names) for names in by_object.values() if len(names) > 1]
    assert groups(module) == expected
    report = sharing(module)
    assert [row.name for row in report.rows] == [name for _, names in expected for name in names]
    totals = report.totals
    assert sum(row.nbytes or 0 for row in report.rows) == totals.nbytes + totals.saved_nbytes
    assert (totals.names, totals.groups) == (len(report.rows), len(expected))
    objects: dict[int, list[str]] = {}
    for path, each in module.named_modules(remove_duplicate=False):
        objects.setdefault(id(each), []).append(path)
    several = {tuple(paths) for paths in objects.values() if len(paths) > 1}
    assert {each.paths for each in totals.modules} <= several
    assert {row.module for row in report.rows} <= {None, *(paths[0] for paths in several)}


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 3), st.booleans()), max_size=6)
)
def test_slices_group_on_meta_as_with_values(slices: list[tuple[int, int, int, bool]]) -> None:
    """Random slices of one matrix form the same groups, with the same ranges, on either device."""

    def rows(device: str) -> list[tuple[object, ...]]:
        matrix = torch.empty(8, 8, device=device)
        module = nn.Module()
        for index, (first, count, step, across) in enumerate(slices):
            part = matrix[:, first : first + count : step] if across else matrix[first : first + count : step]
            setattr(module, f"p{index}", parameter(part))
        return [(row.group, row.name, row.start, row.stop) for row in sharing(module).rows]

    assert rows("cpu") == rows("meta")


def test_a_selection_keeps_whole_groups() -> None:
    """A group with a name that is kept has all its names; a name that shares nothing keeps nothing."""
    module = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2), "c": nn.Embedding(2, 2)})
    module["b"].weight = module["a"].weight
    module["b"].bias = module["a"].bias

    def names(**given: object) -> list[str]:
        return [row.name for row in sharing(module, selection=Selection(**given)).rows]  # type: ignore[arg-type]

    assert names(patterns=[compile_pattern(r"b\.weight")]) == ["a.weight", "b.weight"]
    assert names(exclude=[compile_pattern("bias")]) == ["a.weight", "b.weight"]
    assert names(types=["Linear"]) == ["a.weight", "b.weight", "a.bias", "b.bias"]
    assert names(types=["Embedding"]) == []
    with pytest.raises(NothingMatched):
        names(patterns=[compile_pattern("nothing")])


def test_the_python_api_has_it() -> None:
    """`paramtool.shared` takes any module and `as_text` writes what it returns."""
    linear = nn.Linear(1, 1, bias=False)
    text = paramtool.as_text(paramtool.shared(nn.Sequential(linear, linear)), "csv")
    assert text.splitlines()[1] == '1,tied,0.weight,,parameter,0,Linear,"[1, 1]",float32,4,,,'


VIEWS = """
import torch
from torch import nn

class Views(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.Parameter(torch.rand(10, 4))
        self.first = nn.Parameter(self.flat.detach()[:, 0])
        self.rows = self.flat[2:4]
        apart = torch.rand(4, 4)
        self.left = nn.Parameter(apart[:, :2])
        self.right = nn.Parameter(apart[:, 2:])
"""


@pytest.fixture
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a distribution whose module makes views, and return a spec that names it."""
    info = tmp_path / "views" / "viewing-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: viewing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[paramtool.modules]\nViews = viewing_module:Views\n")
    (tmp_path / "views" / "viewing_module.py").write_text(VIEWS)
    monkeypatch.delitem(sys.modules, "viewing_module", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "views")
    path = tmp_path / "model.yaml"
    path.write_text("model: Views\n")
    return str(path)


@pytest.mark.parametrize("options", [(), ("--by-value",)])
def test_views_of_a_plugin_are_aliased(views: str, options: tuple[str, ...], run: Run) -> None:
    """A module from an installed distribution is seen through, built on meta or with values."""
    result = run("shared", views, "--json", *options)
    assert result.status == 0
    rows = json.loads(result.stdout)["rows"]
    assert [(row["name"], row["sharing"], row["kind"], row["start"], row["stop"]) for row in rows] == [
        ("flat", "aliased", "parameter", 0, 160),
        ("first", "aliased", "parameter", 0, 148),
        ("rows", "aliased", "tensor", 32, 64),
    ]
    assert run("shared", views, "--fail-on", "aliased").status == 1


def test_expectations_are_held_to(tmp_path: Path, run: Run) -> None:
    """What the spec expects to be shared or distinct is told with its place where it is not so."""
    path = tmp_path / "model.yaml"
    model = "model: {Sequential: [&a {Linear: [2, 2]}, *a, {Linear: [2, 2]}]}\n"
    path.write_text(f"{model}expect: {{shared: [[0.weight, 1.weight]], distinct: [[0.weight, 2.weight]]}}\n")
    assert run("shared", str(path)).status == 0
    path.write_text(
        f"{model}expect:\n  shared:\n  - [0.weight, 1.weight]\n  - [1.weight, 2.weight]\n"
        "  distinct: [[2.bias, 0.bias, 1.bias], [0.weight, 2.wieght]]\n"
    )
    result = run("shared", str(path), "--pattern", "bias")
    assert result.status == 1
    assert [line.removeprefix(f"{path}:") for line in result.stderr.splitlines() if "error" in line] == [
        "5:5: error: '1.weight' and '2.weight' share nothing, but are expected to be shared",
        "6:14: error: '0.bias' and '1.bias' are one tensor, but are expected to be distinct",
        "6:40: error: there is no parameter or buffer '2.wieght', expected to be distinct; did you mean"
        " '2.weight'?",
    ]
    assert "0.bias" in result.stdout
    assert "0.weight" not in result.stdout


def test_plain_tensors_share_to_both_commands(tmp_path: Path, run: Run) -> None:
    """`check` and `shared` agree on plain tensors, which only their expectations bring together."""
    path = tmp_path / "model.yaml"
    model = "model: {Module: {l: {Linear: [1, 1]}, a: &a {Tensor: [2]}, b: *a, c: {Tensor: [2]}}}\n"
    for expected, status in (
        ("{shared: [[a, b]], distinct: [[a, c], [c, l.bias]]}", 0),
        ("{shared: [[a, c]]}", 1),
        ("{distinct: [[c, a, b]]}", 1),
    ):
        path.write_text(f"{model}expect: {expected}\n")
        assert (expected, run("check", str(path)).status) == (expected, status)
        assert (expected, run("shared", str(path)).status) == (expected, status)


def test_equal_values_are_not_shared_to_an_expectation(tmp_path: Path, run: Run) -> None:
    """Copies are distinct, whatever --by-value lists."""
    path = tmp_path / "model.yaml"
    tensor = "{Parameter: {shape: [3], fill: arange}}"
    path.write_text(f"model: {{Module: {{a: {tensor}, b: {tensor}}}}}\nexpect: {{distinct: [[a, b]]}}\n")
    result = run("shared", str(path), "--by-value", "--json")
    assert result.status == 0
    assert json.loads(result.stdout)["totals"]["equal"] == 1
    path.write_text(path.read_text().replace("distinct", "shared"))
    assert run("shared", str(path), "--by-value").status == 1


def test_overlap_is_shared_to_an_expectation(views: str, run: Run) -> None:
    """An alias counts as shared, and is told where names are to be distinct."""
    expected = "{shared: [[flat, first]], distinct: [[flat, first], [left, right]]}"
    Path(views).write_text(f"model: Views\nexpect: {expected}\n")
    result = run("shared", views)
    assert result.status == 1
    assert result.stderr.splitlines()[0].endswith(
        "2:46: error: 'flat' and 'first' overlap in memory, but are expected to be distinct"
    )


@pytest.mark.parametrize(
    ("config", "fail_on", "status"),
    [("shared", "any", 1), ("shared", "aliased", 0), ("mlp", "any", 0), ("mlp", "aliased", 0)],
)
def test_fail_on_sets_the_exit_status(config: str, fail_on: str, status: int, run: Run) -> None:
    """The table comes in any case; one line on stderr says why the answer is no."""
    result = run("shared", str(CONFIGS / f"{config}.yaml"), "--fail-on", fail_on)
    assert result.status == status
    assert result.stdout.startswith(" group" if config == "shared" else " no tensor is shared")
    message = "error: 1 group is listed, but --fail-on any was given\n"
    assert result.stderr == (message if status else "")


def test_nothing_shared_is_an_answer(run: Run) -> None:
    """One sentence without a table, and exit status 0; JSON with no rows."""
    result = run("shared", str(CONFIGS / "mlp.yaml"))
    assert (result.status, result.stderr) == (0, "")
    assert result.stdout == " no tensor is shared\n"
    document = json.loads(run("shared", str(CONFIGS / "mlp.yaml"), "--json").stdout)
    assert document["rows"] == []
    assert document["totals"]["groups"] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no_such.yaml"], 2, "error: cannot read no_such.yaml: No such file or directory"),
        (["MLP", "--pattern", "nothing"], 2, "error: no parameter matches the selection"),
        (["MLP", "--pattern", "("], 2, "error: --pattern '(' is not a regular expression"),
        (["MLP", "--type", "Liner"], 2, "error: no parameter matches the selection; did you mean 'Linear'?"),
        (["MLP", "--format", "junit"], 2, "error: shared has no format junit"),
        (["MLP", "--fail-on", "tied"], 2, "error: --fail-on takes any or aliased, got 'tied'"),
        (["MLP", "--set", "modle=3"], 2, "--set modle=3: error: "),
    ],
)  # fmt: skip
def test_bad_input_is_told(arguments: list[str], status: int, message: str, run: Run) -> None:
    """Each wrong argument has its exit status and message, and nothing on stdout."""
    result = run("shared", *(str(CONFIGS / "mlp.yaml") if each == "MLP" else each for each in arguments))
    assert (result.status, result.stdout) == (status, "")
    assert message in result.stderr


def test_names_of_strangers_are_harmless(tmp_path: Path, run: Run) -> None:
    """A path with control characters or markup is shown as escapes, in the sentence on modules as well."""
    path = tmp_path / "model.yaml"
    path.write_text('model: {Module: {"a\\e[2J<b>": &a {Linear: [1, 1]}, c: *a}}\n')
    for format in ("table", "markdown", "csv"):
        text = run("shared", str(path), "--format", format).stdout
        assert "\x1b" not in text
        assert "x1b" in text
        assert format != "markdown" or "<b>" not in text.replace("\\<b\\>", "")
    assert json.loads(run("shared", str(path), "--json").stdout)["totals"]["modules"] == [
        {"paths": ["a\x1b[2J<b>", "c"], "type": "Linear"}
    ]


# checkpoints


def stored_tensor(name: str, storage: str | None, start: int, shape: tuple[int, ...], **more: Any) -> Stored:
    """Return a float32 tensor of a checkpoint that tells storages."""
    return Stored(
        name, "float32", shape, 4 * math.prod(shape), Path("w.pt"), 0, storage=storage, start=start, **more
    )


def test_a_file_of_ours_keeps_its_ties(tmp_path: Path, run: Run) -> None:
    """What `init -o` stores once under two names is tied in the file, without torch."""
    spec, path = tmp_path / "tied.yaml", tmp_path / "w.safetensors"
    spec.write_text(
        "model: {Module: {wte: {Embedding: [5, 2]}, head: {Linear: [2, 5, false]}, b: {Linear: [2, 2]}}}\n"
        "tie: {head.weight: wte.weight}\n"
    )
    assert run("init", str(spec), "--pattern", "w", "--normal", "1", "-o", str(path)).status == 0
    result = run("shared", str(path), "--format", "csv")
    assert result.stdout.splitlines()[1:] == [
        '1,tied,wte.weight,,stored,,,"[5, 2]",float32,40,,,',
        '1,tied,head.weight,wte.weight,stored,,,"[5, 2]",float32,40,,,',
    ]
    assert "kind" not in run("shared", str(path)).stdout


def test_a_tie_that_a_file_lost_is_found_by_its_values(tmp_path: Path, run: Run) -> None:
    """A checkpoint that stores a tied weight twice shares nothing, and --by-value shows it."""
    path = tmp_path / "w.safetensors"
    weight = torch.rand(1200, 1000)
    nearly = weight.clone()
    nearly[600, 500] += 1
    tensors = {"wte": weight, "head": weight.clone(), "other": nearly, "zeros": torch.zeros(1200, 1000)}
    safetensors.torch.save_file(tensors, path)
    assert json.loads(run("shared", str(path), "--json").stdout)["rows"] == []
    document = json.loads(run("shared", str(path), "--by-value", "--json").stdout)
    assert {row["name"] for row in document["rows"]} == {"wte", "head"}
    assert document["totals"]["savable_nbytes"] == 4_800_000
    assert run("shared", str(path), "--by-value", "--fail-on", "any").status == 1


def test_storages_of_a_checkpoint_tell_ties_and_overlaps() -> None:
    """One place and shape in a storage is one tensor; other places that have common bytes overlap."""
    checkpoint = Checkpoint(
        "w.pt",
        (
            stored_tensor("a", "0", 0, (10,)),
            stored_tensor("same", "0", 0, (10,)),
            stored_tensor("view", "0", 36, (2, 3)),
            stored_tensor("apart", "0", 60, (2,)),
            stored_tensor("column", "1", 0, (5,), strides=(2,)),
            stored_tensor("other", "1", 4, (5,), strides=(2,)),
            stored_tensor("alone", None, 0, (10,)),
            stored_tensor("empty", "2", 0, (0,)),
            stored_tensor("empty too", "2", 0, (0,)),
        ),
        {"third": "same"},
    )
    report = share(layout_of_checkpoint(checkpoint, stored(checkpoint)))
    assert [(row.name, row.sharing, row.tied_to, row.start, row.stop) for row in report.rows] == [
        ("a", "aliased", None, 0, 40),
        ("same", "aliased", "a", 0, 40),
        ("third", "aliased", "a", 0, 40),
        ("view", "aliased", None, 36, 60),
    ]
    assert (report.totals.tensors, report.totals.nbytes) == (2, 60)


def test_a_checkpoint_needs_no_torch_to_tell_what_is_shared(tmp_path: Path) -> None:
    """Only values are read with torch."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a": torch.rand(2), "b": torch.rand(2)}, path)
    code = (
        "import sys; from paramtool.cli.main import _run; "
        f"status = _run(['shared', {str(path)!r}]); print(status, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.bfloat16, torch.bool, torch.complex64])
def test_values_of_every_dtype_are_compared(dtype: torch.dtype) -> None:
    """Bytes are bytes, whatever they stand for; a conjugate is what it is, and not how it is kept."""
    values = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]).to(dtype)
    module = nn.Module()
    for name, each in (("a", values), ("b", values.clone()), ("c", values.clone().t())):
        module.register_buffer(name, each)
    if dtype.is_complex:
        module.register_buffer("d", values.clone().mul(1j))
        module.register_buffer("e", values.clone().mul(-1j).conj())
    expected = [("equal", ["a", "b"])]
    assert groups(module, by_value=True) == expected + [("equal", ["d", "e"])] * dtype.is_complex
