"""Every named tensor is listed as torch itself lists it, with its ties and its oddities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations

from paramtool.network.listing import parameters
from paramtool.records.parameter import (
    COLUMNS,
    STATISTICS_COLUMNS,
    ParameterRow,
    ParameterTotals,
    Printed,
)
from paramtool.records.report import Report
from tests.strategies import trees

Listed = tuple[str, tuple[int, ...] | None, str, int | None, int | None, bool | None]


class Odd(nn.Module):
    """Every way in which a module holds a tensor, or might."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(2, 3))
        self.again = self.weight
        self.frozen = nn.Parameter(torch.zeros(4, dtype=torch.int8), requires_grad=False)
        self.narrow = nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
        self.complex = nn.Parameter(torch.zeros(3, dtype=torch.complex64))
        self.scalar = nn.Parameter(torch.tensor(1.0))
        self.empty = nn.Parameter(torch.empty(0, 7))
        self.register_parameter("nothing", None)
        self.register_buffer("kept", torch.zeros(3, dtype=torch.float64))
        self.register_buffer("passing", torch.zeros(5, dtype=torch.bool), persistent=False)
        self.register_buffer("no_buffer", None)
        self.plain = torch.ones(6)
        self.number = 3
        self.list_of_tensors = [torch.ones(2)]


def tied_at_two_depths() -> nn.Module:
    embedding, head = nn.Embedding(5, 2), nn.Linear(2, 5, bias=False)
    head.weight = embedding.weight
    return nn.Sequential(nn.ModuleDict({"embedding": embedding}), nn.ReLU(), head)


def module_twice() -> nn.Module:
    linear = nn.Linear(2, 2)
    return nn.Sequential(linear, nn.Sequential(nn.Tanh(), linear), nn.BatchNorm1d(2), linear)


def strange_names() -> nn.Module:
    module = nn.Module()
    for name in ("\x1b[31m", "a b ", "=1+1", "[x]", "0", "日本", "a/b", "\n"):
        module.register_parameter(name, nn.Parameter(torch.zeros(1)))
    return module


MODELS: dict[str, Callable[[], nn.Module]] = {
    "odd": Odd,
    "odd inside": lambda: nn.Sequential(Odd(), nn.Linear(1, 1), Odd()),
    "tied at two depths": tied_at_two_depths,
    "a module twice": module_twice,
    "no parameters": lambda: nn.Sequential(nn.ReLU(), nn.Flatten()),
    "None parameters": lambda: nn.Sequential(nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3, affine=False)),
    "lazy": lambda: nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.Linear(3, 1)),
    "meta": lambda: nn.Linear(70_000, 70_000, device="meta"),
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(2, 2)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    "LSTM": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
    "GRU": lambda: nn.GRU(3, 4, bias=False),
    "attention": lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "attention of other sizes": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
    "transformer": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2, None, False),
    "parameter list": lambda: nn.ParameterList([torch.zeros(2), nn.Parameter(torch.ones(3))]),
    "parameter dict": lambda: nn.ParameterDict({"b": torch.zeros(2), "a": torch.zeros(1)}),
    "strange names": strange_names,
}

every_model = pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))


def as_torch_lists(named: Iterable[tuple[str, torch.Tensor]]) -> list[Listed]:
    """Return what torch says of each tensor, in its order."""
    return [
        (
            name,
            None if is_lazy(each) else tuple(each.shape),
            str(each.dtype).removeprefix("torch."),
            None if is_lazy(each) else each.numel(),
            None if is_lazy(each) else each.numel() * each.element_size(),
            each.requires_grad,
        )
        for name, each in named
    ]


def as_listed(report: Report[ParameterRow, ParameterTotals], kind: str) -> list[Listed]:
    return [
        (row.name, row.shape, str(row.dtype), row.numel, row.nbytes, row.requires_grad)
        for row in report.rows
        if row.kind == kind
    ]


def tie_groups(report: Report[ParameterRow, ParameterTotals]) -> set[tuple[str, ...]]:
    """Return the parameter names of each tensor, in order, as the report has them."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in report.rows:
        if row.kind == "parameter":
            groups[row.tensor].append(row.name)
    assert all(names[0] == tensor for tensor, names in groups.items())
    return {tuple(names) for names in groups.values()}


def tie_groups_of_torch(module: nn.Module) -> set[tuple[str, ...]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for name, each in module.named_parameters(remove_duplicate=False):
        groups[id(each)].append(name)
    return {tuple(names) for names in groups.values()}


@every_model
def test_parameters_are_those_of_torch(make: Callable[[], nn.Module]) -> None:
    """Names, order, shapes, dtypes, sizes and requires_grad are those of named_parameters()."""
    module = make()
    expected = as_torch_lists(module.named_parameters(remove_duplicate=False))
    assert as_listed(parameters(module), "parameter") == expected


@every_model
def test_buffers_are_those_of_torch(make: Callable[[], nn.Module]) -> None:
    """Buffers are those of named_buffers(), and persistent exactly where the state_dict has them."""
    module = make()
    report = parameters(module)
    assert as_listed(report, "buffer") == as_torch_lists(module.named_buffers(remove_duplicate=False))
    saved = module.state_dict()
    for row in report.rows:
        assert row.persistent == (row.name in saved if row.kind == "buffer" else None)


@every_model
def test_the_owner_is_the_module_that_holds_the_tensor(make: Callable[[], nn.Module]) -> None:
    """`type` is the class of the module at the path before the last dot; `bases` begins with it."""
    module = make()
    report = parameters(module)
    for row in report.rows:
        owner = module.get_submodule(row.name.rpartition(".")[0])
        assert row.type == type(owner).__name__ == row.bases[0]
        assert row.bases[-1] == "Module"
        assert report.modules[row.name.rpartition(".")[0]] == row.type


@every_model
def test_one_tensor_is_one_group_of_names(make: Callable[[], nn.Module]) -> None:
    """Names are tied exactly where torch has one object under them, to the first of them."""
    module = make()
    assert tie_groups(parameters(module)) == tie_groups_of_torch(module)


@every_model
def test_totals_count_a_tensor_once(make: Callable[[], nn.Module]) -> None:
    """Totals are those of parameters() and buffers(), which torch gives without duplicates."""
    module = make()
    settled = [each for each in module.parameters() if not is_lazy(each)]
    totals = parameters(module).totals
    assert totals.names == len(list(module.named_parameters(remove_duplicate=False)))
    assert totals.tensors == len(list(module.parameters()))
    assert totals.uninitialized == totals.tensors - len(settled)
    assert totals.parameters == sum(each.numel() for each in settled)
    assert totals.trainable == sum(each.numel() for each in settled if each.requires_grad)
    assert totals.frozen == totals.parameters - totals.trainable
    assert totals.nbytes == sum(each.numel() * each.element_size() for each in settled)
    assert totals.buffers == sum(each.numel() for each in module.buffers() if not is_lazy(each))


@given(trees())
@settings(max_examples=80, deadline=None)
def test_random_trees_are_listed_as_torch_lists_them(module: nn.Module) -> None:
    """However modules and parameters are used again, names, ties and totals are those of torch."""
    report = parameters(module)
    assert as_listed(report, "parameter") == as_torch_lists(module.named_parameters(remove_duplicate=False))
    assert as_listed(report, "buffer") == as_torch_lists(module.named_buffers(remove_duplicate=False))
    groups = tie_groups(report)
    assert groups == tie_groups_of_torch(module)
    names = [name for group in groups for name in group]
    assert sorted(names) == sorted({row.name for row in report.rows if row.kind == "parameter"})
    assert report.totals.parameters == sum(each.numel() for each in module.parameters())
    assert report.totals.trainable == sum(each.numel() for each in module.parameters() if each.requires_grad)
    assert report.totals.buffers == sum(each.numel() for each in module.buffers())


def test_rows_stand_by_kind() -> None:
    """Parameters stand first, then buffers, then plain tensors, which are told apart by `kind`."""
    report = parameters(Odd())
    kinds = [row.kind for row in report.rows]
    assert kinds == ["parameter"] * 7 + ["buffer"] * 2 + ["tensor"]
    assert [row.name for row in report.rows if row.kind == "tensor"] == ["plain"]
    assert report.totals.plain_tensors == 1


def test_a_tie_names_the_first_name() -> None:
    """A tied name points at the first name of the tensor, and only the first one is counted."""
    rows = parameters(tied_at_two_depths()).rows
    assert [(row.name, row.tied_to, row.counted) for row in rows] == [
        ("0.embedding.weight", None, True),
        ("2.weight", "0.embedding.weight", False),
    ]


def test_a_plain_attribute_may_be_a_parameter_too() -> None:
    """A parameter that is a plain attribute as well is tied, and its elements count once."""
    module = nn.Linear(2, 2, bias=False)
    vars(module)["alias"] = module.weight
    report = parameters(module)
    assert [(row.name, row.kind, row.tied_to) for row in report.rows] == [
        ("weight", "parameter", None),
        ("alias", "tensor", "weight"),
    ]
    assert (report.totals.parameters, report.totals.plain_tensors) == (4, 1)


def test_views_and_copies_are_not_ties() -> None:
    """Parameters over one storage are two tensors; equal values are no tie either."""
    module = nn.Module()
    storage = torch.zeros(4)
    module.a, module.b = nn.Parameter(storage[:2]), nn.Parameter(storage[:2])
    assert [row.tied_to for row in parameters(module).rows] == [None, None]


def test_bases_are_the_superclasses() -> None:
    """The output projection of attention is a Linear, though its class has another name."""
    rows = {row.name: row for row in parameters(nn.MultiheadAttention(4, 2)).rows}
    assert rows["in_proj_weight"].bases == ("MultiheadAttention", "Module")
    assert rows["out_proj.weight"].type == "NonDynamicallyQuantizableLinear"
    assert rows["out_proj.weight"].bases == ("NonDynamicallyQuantizableLinear", "Linear", "Module")


@pytest.mark.parametrize("asked", ["stats", "values"])
def test_tensors_on_meta_have_no_values(asked: str) -> None:
    """Statistics and values of a tensor on the meta device are refused by its name."""
    module = nn.Sequential(nn.ReLU(), nn.Linear(2, 2, device="meta"))
    with pytest.raises(ValueError, match=r"'1\.weight' is on the meta device and has no values"):
        parameters(module, **{asked: True})  # type: ignore[arg-type]


def test_lazy_tensors_have_no_values_yet() -> None:
    """A lazy parameter stays without shape, statistics and values, and is no error."""
    rows = parameters(nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 1)), stats=True, values=True).rows
    lazy, settled = rows[0], rows[2]
    assert (lazy.name, lazy.shape, lazy.numel, lazy.norm, lazy.values) == ("0.weight", None, None, None, None)
    assert settled.norm is not None and settled.values is not None


def test_columns_are_what_was_asked_for() -> None:
    """Statistics and values are columns only where they were asked for."""
    module = nn.Linear(1, 1)
    assert parameters(module).columns == COLUMNS
    assert parameters(module, stats=True).columns == COLUMNS + STATISTICS_COLUMNS
    assert parameters(module, values=True).columns == (*COLUMNS, "values")
    assert parameters(module, stats=True, values=True).columns == (*COLUMNS, *STATISTICS_COLUMNS, "values")


def test_the_report_is_called_as_told() -> None:
    """The model is called by its class where no other name is given."""
    assert parameters(nn.Linear(1, 1)).model == "Linear"
    assert parameters(nn.Linear(1, 1), model="m.yaml").model == "m.yaml"


def test_values_are_those_of_the_tensor() -> None:
    """Values are the elements in nested tuples, and the text is what torch prints."""
    module = Odd()
    printed = {row.name: row.values for row in parameters(module, values=True).rows}
    assert printed["scalar"] == Printed(1.0, "tensor(1.)")
    assert printed["empty"] == Printed((), str(module.empty.detach()))
    assert printed["complex"] == Printed(((0.0, 0.0),) * 3, "tensor([0.+0.j, 0.+0.j, 0.+0.j])")
    assert printed["passing"] == Printed((False,) * 5, str(module.passing))
    assert printed["weight"] is printed["again"]
    assert printed["weight"] == Printed(
        tuple(tuple(row) for row in module.weight.tolist()), str(module.weight.detach())
    )


@pytest.mark.parametrize(("count", "has_values"), [(1000, True), (1001, False)])
def test_many_values_are_only_printed(count: int, has_values: bool) -> None:
    """Past 1,000 elements, where torch begins to summarize, machines get none."""
    module = nn.ParameterList([torch.zeros(count)])
    printed = parameters(module, values=True).rows[0].values
    assert printed is not None
    assert (printed.values is not None) == has_values
    assert ("..." in printed.text) == (not has_values)


def test_looking_changes_nothing() -> None:
    """The module keeps its tensors, their versions, its mode and its gradients."""
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), Odd())
    before = {name: (id(each), each._version) for name, each in module.state_dict(keep_vars=True).items()}
    state = torch.get_rng_state()
    parameters(module, stats=True, values=True)
    after = {name: (id(each), each._version) for name, each in module.state_dict(keep_vars=True).items()}
    assert after == before
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training and all(each.grad is None for each in module.parameters())
