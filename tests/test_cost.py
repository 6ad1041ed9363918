"""``inspect --cost``: every number is that of a formula, of torch's own counter, or of a run on the CPU."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

import paramtool
from paramtool.errors import BadArgument, CannotAnswer, UserCodeFailed
from paramtool.operations.cost.attention import takes_flash
from paramtool.operations.cost.ledger import Saved
from paramtool.operations.cost.measurement import cost as measure
from paramtool.operations.cost.optimizers import state_nbytes
from paramtool.operations.listing.module_costs import fold_depth
from paramtool.records.cost import Costs, Optimizer


class Attention(nn.Module):
    """Self-attention of 4 heads over 16 places of width 32."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.qkv = nn.Linear(32, 96)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).reshape(2, 16, 3, 4, 8).permute(2, 0, 3, 1, 4)
        return scaled_dot_product_attention(query, key, value, **self.options)  # type: ignore[arg-type]


class Grouped(nn.Module):
    """Attention in which 4 heads of queries share 2 of keys and values, with a mask made on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(32, 64)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(x).reshape(2, 16, 8, 8).transpose(1, 2)
        mask = torch.ones(16, 16).tril().bool()
        query, key, value = heads[:, :4], heads[:, 4:6], heads[:, 6:]
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)


class Planes(nn.Module):
    """Attention without a dimension for heads, as some torch releases treat in another way than others."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        value = self.value(x)
        return scaled_dot_product_attention(value, value, value, torch.ones(5, 5))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)), lambda: torch.rand(2, 4)),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.GELU(),
            nn.Dropout(0.1), nn.ConvTranspose2d(8, 4, 3, stride=2),
        ),
        lambda: torch.rand(2, 4, 10, 10),
    ),
    "lstm": (lambda: nn.LSTM(8, 16, 2), lambda: torch.rand(5, 3, 8)),
    "gru": (lambda: nn.GRU(8, 16, 2, bidirectional=True), lambda: torch.rand(5, 3, 8)),
    "language": (
        lambda: nn.Sequential(nn.Embedding(10, 4), nn.LayerNorm(4), nn.Linear(4, 10), nn.Softmax(-1)),
        lambda: torch.randint(10, (2, 5)),
    ),
    "encoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2, enable_nested_tensor=False
        ),
        lambda: torch.rand(2, 16, 32),
    ),
    "attention": (lambda: Attention(is_causal=True), lambda: torch.rand(2, 16, 32)),
    "attention with dropout": (lambda: Attention(dropout_p=0.1), lambda: torch.rand(2, 16, 32)),
    "attention of three dimensions": (Planes, lambda: torch.rand(3, 5, 8)),
    "grouped attention": (Grouped, lambda: torch.rand(2, 16, 32)),
}  # fmt: skip


def made(name: str) -> tuple[nn.Module, Tensor]:
    """Return a model and an input of it."""
    model, given = MODELS[name]
    return model(), given()


@contextmanager
def without_onednn() -> Iterator[None]:
    """Run torch's own kernels."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def saved_on_the_cpu(module: nn.Module, given: Tensor) -> int:
    """Return the bytes that autograd saves in a real pass in training mode, each memory once."""
    own = {each.data_ptr() for each in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}
    kept = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        if tensor.untyped_storage().data_ptr() not in own:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        module.train()(given)
    return sum(found.values())


@pytest.mark.parametrize("name", MODELS)
def test_saved_activations_are_those_of_a_run_on_the_cpu(name: str) -> None:
    """What autograd saves without values is, to the byte, what it saves with them."""
    module, given = made(name)
    expected = given.to("cpu")
    report = paramtool.cost(module, [given])
    with without_onednn():  # which saves a workspace of an LSTM
        assert report.totals.activation_nbytes == saved_on_the_cpu(module, expected)
    assert sum(row.activation_nbytes for row in report) == report.totals.activation_nbytes
    assert report.totals.device == "meta"


@pytest.mark.parametrize("name", MODELS)
def test_every_module_is_as_on_the_cpu(name: str) -> None:
    """A run with values gives the same row for each module."""
    module, given = made(name)
    assert measure(module, [given]).rows == measure(module, [given], device="cpu").rows


@pytest.mark.parametrize("name", [each for each in MODELS if "attention" not in each and each != "encoder"])
def test_operations_are_those_of_torchs_counter(name: str) -> None:
    """FlopCounterMode counts two operations for each MAC; attention on the CPU it cannot count."""
    module, given = made(name)
    with without_onednn(), FlopCounterMode(display=False) as counter:
        module.eval()(given)
    assert paramtool.cost(module, [given]).totals.macs * 2 == counter.get_total_flops()


HIDDEN = 4 * 16
RECURRENT = 5 * 3 * ((8 * HIDDEN + 16 * HIDDEN) + (16 * HIDDEN + 16 * HIDDEN))
SCORES = 2 * 4 * (16 * 16 * 8) * 2
"""Queries times keys, and these scores times values: [batch, heads, 16, 16] of width 8."""

FORMULAS: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    "linear": (nn.Linear(4, 3), (2, 4), 2 * 4 * 3),
    "convolution": (nn.Conv2d(4, 8, 3), (2, 4, 10, 10), 2 * (8 * 8 * 8) * (4 * 3 * 3)),
    "groups": (nn.Conv2d(8, 16, 3, groups=4), (2, 8, 10, 10), 2 * (16 * 8 * 8) * (2 * 3 * 3)),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 10, 10), (8 * 8 * 8) * (3 * 3)),
    "transposed": (nn.ConvTranspose2d(8, 4, 3, stride=2), (1, 8, 5, 5), (8 * 5 * 5) * (4 * 3 * 3)),
    "lstm": (nn.LSTM(8, 16, 2), (5, 3, 8), RECURRENT),
    "bilinear is not": (nn.BatchNorm2d(3), (2, 3, 4, 4), 0),
    "attention": (Attention(), (2, 16, 32), 2 * 16 * 32 * 96 + SCORES),
    "grouped attention": (Grouped(), (2, 16, 32), 2 * 16 * 32 * 64 + SCORES),
    "multi-head": (
        nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
        (2, 16, 32),
        2 * 16 * (32 * 96 + 32 * 32 + 2 * 32 * 64) + SCORES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_operations_are_those_of_the_formula(name: str) -> None:
    """Each output element of a product takes as many MACs as it has terms."""
    module, shape, macs = FORMULAS[name]
    assert paramtool.cost(module, [torch.rand(shape)]).totals.macs == macs


def test_the_kernel_of_attention_is_the_one_that_torch_chooses() -> None:
    """Over random shapes, strides, masks and dtypes the choice is that of the CPU."""
    draw = random.Random(0)
    found = set()
    for _ in range(600):
        batch, heads, queries, keys = (draw.choice([1, 2, 3, 17]) for _ in range(4))
        kind = draw.choice([torch.float32, torch.float32, torch.bfloat16, torch.float64, torch.float16])
        query = torch.rand(batch, heads, queries, 8).to(kind)
        key = torch.rand(batch, draw.choice([heads, heads, 1, 2]), keys, 8).to(kind)
        value = torch.rand(*key.shape[:-1], draw.choice([8, 8, 4])).to(kind)
        query = draw.choice(
            [query, query, query[..., :0, :], query.mT.contiguous().mT, query[:, :1].squeeze(1)]
        )
        shapes = [(queries, keys), (1, keys), (batch, 1, queries, keys), (batch, heads, 1, keys), (keys,)]
        mask = draw.choice([None, None, torch.rand(draw.choice(shapes)).to(kind)])
        if mask is not None:
            mask = draw.choice([mask, mask > 0.5, mask.clone().requires_grad_()])
        dropout, grouped = draw.choice([0.0, 0.0, 0.1]), draw.random() < 0.3
        try:
            chosen = torch._fused_sdp_choice(query, key, value, mask, dropout, False, enable_gqa=grouped)
        except (RuntimeError, IndexError):  # arguments that do not go together
            continue
        is_flash = takes_flash(query, key, value, mask, dropout, grouped=grouped)  # asks with smaller ones
        assert is_flash == (chosen == 1), (query.shape, key.shape, value.shape, mask, dropout, grouped)
        found.add(is_flash)
    assert found == {True, False}


@pytest.mark.parametrize("optimizer", Optimizer)
def test_states_are_those_that_torch_allocates(optimizer: Optimizer) -> None:
    """After one step each optimizer holds as many bytes as the table says."""
    names = {each.lower(): each for each in dir(torch.optim)}
    kind = getattr(torch.optim, names[optimizer.value.partition("_")[0]])
    options = {"momentum": 0.9} if optimizer is Optimizer.sgd_momentum else {}
    for shape in ((), (5,), (3, 4), (1, 7), (2, 3, 4), (2, 3, 4, 5)):
        for dtype in (torch.float32, torch.bfloat16):
            parameter = nn.Parameter(torch.ones(shape, dtype=dtype))
            parameter.grad = torch.ones_like(parameter)
            made = kind([parameter], lr=0.1, **options)
            made.step()
            held = sum(each.nbytes for each in made.state[parameter].values() if isinstance(each, Tensor))
            assert state_nbytes(optimizer, shape, dtype.itemsize) == held, (shape, dtype)


def test_what_is_alive_at_once_is_counted() -> None:
    """Of a chain the input, one output and the next are alive together."""
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    totals = paramtool.cost(module, [torch.rand(2, 4)]).totals
    assert totals.inference.activations == 4 * (2 * 4 + 2 * 3 + 2 * 3)
    assert totals.inference.total == totals.inference.activations + 4 * 19


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_a_sparse_tensor_that_is_saved_counts_by_its_parts() -> None:
    """Indices of 8 bytes and values of 4: of COO two indices for each value, of CSR one, and 51 for rows."""
    for sparse, nbytes in ((torch.eye(50).to_sparse(), 1000), (torch.eye(50).to_sparse_csr(), 1008)):
        saved = Saved([], lambda: "adjacency")
        saved.pack(sparse)
        assert saved.nbytes == {"adjacency": nbytes}


def test_the_parts_of_training_add_up() -> None:
    """Frozen parameters have no gradient and no state; buffers count."""
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    module[0].requires_grad_(False)
    report = paramtool.cost(module, [torch.rand(2, 4)], optimizers=["adamw", "sgd_momentum"])
    adamw, momentum = report.totals.training
    assert (adamw.parameters, adamw.buffers) == (4 * (20 + 8), 4 * 8 + 8)
    assert (adamw.gradients, adamw.states, momentum.states) == (32, 2 * 32 + 2 * 4, 32)
    assert adamw.total == adamw.parameters + adamw.buffers + 32 + 72 + report.totals.activation_nbytes


def test_a_module_that_is_called_twice_counts_twice() -> None:
    """Under each of two names once, under one name two times; its parameters count once."""
    layer = nn.Linear(4, 4)
    report = paramtool.cost(nn.Sequential(layer, layer), [torch.rand(2, 4)])
    assert [(row.name, row.calls, row.macs, row.parameters) for row in report] == [
        ("", 1, 0, 0), ("0", 1, 32, 20), ("1", 1, 32, 0),
    ]  # fmt: skip

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            twice: Tensor = self.layer(self.layer(x))
            return twice

    assert [(row.name, row.calls, row.macs) for row in paramtool.cost(Twice(), [torch.rand(2, 4)])] == [
        ("", 1, 0), ("layer", 2, 64),
    ]  # fmt: skip


def test_a_dtype_casts_the_model_and_its_input() -> None:
    """Half the bytes for everything but what an optimizer counts steps with; the module stays as it was."""
    module = nn.Linear(4, 3)
    whole, half = (paramtool.cost(module, [torch.rand(2, 4)], dtype=each).totals for each in (None, "bf16"))
    assert half.dtype == "bfloat16"
    assert half.inference.total * 2 == whole.inference.total
    assert half.activation_nbytes * 2 == whole.activation_nbytes
    assert half.training[0].states - 8 == (whole.training[0].states - 8) // 2
    assert module.weight.dtype is torch.float32


class Choosy(nn.Module):
    """A forward that looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum().item() > 0 else x


def test_a_forward_that_needs_values_runs_on_the_cpu() -> None:
    """The note names the module; what was there stays."""
    module = Choosy()
    before = module.layer.weight.clone()
    report = paramtool.cost(module, [torch.ones(2, 4)])
    assert (report.totals.device, report.totals.macs) == ("cpu", 24)
    assert report.totals.notes[0].startswith("run on the CPU, since without values the model (Choosy) fails")
    assert module.layer.weight.equal(before)
    assert module.layer.weight.grad is None


def test_a_model_without_values_cannot_have_them() -> None:
    """A module on the meta device fails with what its own forward said."""
    with pytest.raises(UserCodeFailed, match="Choosy"):
        paramtool.cost(Choosy().to("meta"), [torch.ones(2, 4)])


class _Product(nn.Module):
    """A weight without a layer: mm, and mv for a vector."""

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*size))

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(x, self.weight)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
@pytest.mark.parametrize(
    ("module", "size"),
    [
        (nn.Linear(4, 2), (3, 4)),
        (nn.Linear(4, 2, bias=False), (3, 4)),
        (nn.Conv1d(1, 2, 3, bias=False), (1, 1, 4)),
        (nn.Conv2d(1, 2, 3), (1, 1, 4, 4)),
        (_Product(4, 2), (3, 4)),
        (_Product(4), (3, 4)),
    ],
)
def test_an_input_of_a_dtype_that_torch_refuses_has_no_cost(
    module: nn.Module, size: tuple[int, ...], dtype: torch.dtype
) -> None:
    """The meta device alone takes it, also in a model that is there only."""
    with pytest.raises(RuntimeError):
        module(torch.ones(size, dtype=dtype))
    for each in (module, copy.deepcopy(module).to("meta")):
        with pytest.raises(UserCodeFailed, match="fails on"):
            paramtool.cost(each, [torch.ones(size, dtype=dtype)])


def test_autocast_may_mix_dtypes_of_floating_point() -> None:
    """It casts the factors, so the forward runs, and without values too."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.layer(x)

    given = [torch.ones(3, 4, dtype=torch.bfloat16)]
    Mixed()(*given)
    totals = paramtool.cost(Mixed(), given).totals
    assert (totals.device, totals.macs) == ("meta", 24)


def test_a_model_that_cannot_be_copied_runs_itself() -> None:
    """A lock, as a tokenizer holds one, stops the copy and not the answer."""
    module = nn.Sequential(nn.Linear(4, 3))
    module.lock = threading.Lock()  # type: ignore[assignment]
    totals = paramtool.cost(module, [torch.ones(2, 4)]).totals
    assert (totals.device, totals.macs, totals.activation_nbytes) == ("cpu", 24, 32)
    assert totals.notes[0].startswith("run on the CPU, since without values the model cannot be copied")


def test_a_compiled_model_costs_what_it_wraps() -> None:
    """Without a note about our own hooks."""
    totals = paramtool.cost(torch.compile(nn.Linear(4, 3), backend="eager"), [torch.ones(2, 4)]).totals  # type: ignore[arg-type]
    assert (totals.device, totals.macs, totals.notes) == ("meta", 24, ())


def test_a_forward_that_needs_values_has_them_in_another_dtype() -> None:
    """The cast is of a copy, with its values."""
    module = Choosy()
    totals = paramtool.cost(module, [torch.ones(2, 4)], dtype="float64").totals
    assert (totals.device, totals.macs, totals.inference.parameters) == ("cpu", 24, 8 * 15)
    assert module.layer.weight.dtype is torch.float32


def test_a_large_forward_that_needs_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which module needs them, and why it does not get them."""
    monkeypatch.setattr("paramtool.models.forward_cost.MOST_VALUES", 10)
    with pytest.raises(UserCodeFailed, match="Choosy") as caught:
        paramtool.cost(Choosy(), [torch.ones(2, 4)])
    assert "without values" in (caught.value.hint or "")


def test_a_module_is_left_as_it_was() -> None:
    """Neither mode, statistics, gradients nor random numbers change."""
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout()).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    paramtool.cost(module, [torch.ones(2, 4)])
    assert not module.training
    assert all(value.equal(before[name]) for name, value in module.state_dict().items())
    assert torch.get_rng_state().equal(state)


def test_rows_folded_by_depth_add_up_to_the_totals() -> None:
    """However deep, no operation, byte or parameter is lost."""
    module, given = made("encoder")
    report = paramtool.cost(module, [given])
    for depth in (1, 2, 3, 9):
        rows = fold_depth(report, depth).rows
        assert sum(row.macs for row in rows) == report.totals.macs
        assert sum(row.activation_nbytes for row in rows) == report.totals.activation_nbytes
        assert sum(row.parameters for row in rows) == report.totals.parameters
        assert sum(row.count for row in rows) == len(report)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizers": ["adamW"]}, "unknown optimizer 'adamW'"),
        ({"dtype": "int8"}, "cannot compute in the dtype 'int8'"),
        ({"inputs": torch.ones(2, 4)}, "inputs is a list or tuple"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, object], message: str) -> None:
    """Each with what is there instead."""
    with pytest.raises(BadArgument, match=message) as caught:
        paramtool.cost(nn.Linear(4, 3), **{"inputs": [torch.ones(2, 4)], **options})  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_batch_of_one_in_batch_norm_has_its_hint() -> None:
    """It cannot be trained on, and the hint names no option that there is not."""
    with pytest.raises(UserCodeFailed, match="more than 1 value") as caught:
        paramtool.cost(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), [torch.ones(1, 4)])
    assert caught.value.hint == "use a batch of 2 or more: training is counted too"


def test_what_is_no_module_cannot_be_run() -> None:
    """A state_dict and a listing only describe one."""
    with pytest.raises(BadArgument):
        paramtool.cost({"weight": torch.ones(2)}, [torch.ones(2)])
    with pytest.raises(CannotAnswer):
        paramtool.cost(paramtool.inspect(nn.Linear(4, 3)), [torch.ones(2, 4)])


def test_the_report_reads_as_a_table() -> None:
    """Identical blocks are one line, and the line below says how many modules there are."""
    module = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(4)))
    report: Costs = paramtool.cost(module, [torch.rand(2, 4)], optimizers=["sgd"])
    text = str(report)
    assert "{1..3}.0" in text  # the first saves its input as well, which the others have from a ReLU
    assert "128 MACs from [2, 4] float32 to [2, 4] float32" in text
    assert "13 modules in 7 lines" in text
