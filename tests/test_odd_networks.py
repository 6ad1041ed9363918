"""Networks that do odd things: their gradients are torch's, and each use of a parameter has its own row."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, scaled_dot_product_attention
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.nn.utils.parametrize import cached
from torch.utils.checkpoint import checkpoint

from paramtool.operations.gradients.backpropagation import gradients
from tests.gradient_check import Written, check, reals
from tests.test_folded_uses import assert_equal

Uses = list[tuple[str, int, str]]

TOKENS = torch.tensor([[1, 1, 2], [3, 1, 8]])


def written_between(module: Any, x: Tensor) -> Any:
    """Use the weight, double it in place, and use it again; torch gives the first view another node."""
    first = x @ module.w
    with torch.no_grad():
        module.w.mul_(2)
    second = x @ module.w
    with torch.no_grad():
        module.w.mul_(2)
    return torch.tanh(first) * second


def embedded(module: Any, tokens: Tensor) -> Any:
    return module.e(tokens) * module.e(tokens.flip(0)).sum()


def packed(module: Any, x: Tensor) -> tuple[Tensor, ...]:
    lengths = torch.tensor([5, 3])
    sequence = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    output, (hidden, cell) = module.lstm(sequence)
    again, _ = module.lstm(x.flip(1), (hidden, cell))
    return output.data, again


def in_cache(module: Any, x: Tensor) -> Any:
    with cached():
        return module.l(torch.tanh(module.l(x)))


def attended(module: Any, x: Tensor) -> Any:
    query, key, value = (x @ module.w).unflatten(-1, (3, 1)).unbind(-2)
    return scaled_dot_product_attention(query, key, value, is_causal=True) @ module.w[:1]


def penalized(module: Any, x: Tensor) -> Any:
    x = x.clone().requires_grad_()
    value = (torch.tanh(x @ module.w) @ module.w).square().sum()
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    return gradient.square().sum() + value


def tied_convolution(module: Any, x: Tensor) -> Any:
    return conv_transpose2d(module.bn(module.c(x)), module.c.weight)


def doubled(module: Any, x: Tensor) -> Any:
    called = torch.func.functional_call(module.l, {"weight": module.l.weight * 2}, (x,))
    return called + module.l(x)


def replayed(module: Any, x: Tensor) -> Any:
    return checkpoint(lambda h: torch.tanh(module.l(h)), module.l(x), use_reentrant=True)


def hooked(layer: nn.Linear) -> nn.Linear:
    """Return a layer that multiplies its input by its weight, and its output by its bias, in hooks."""
    layer.register_forward_pre_hook(lambda module, given: (given[0] @ module.weight,))
    layer.register_forward_hook(lambda module, _, output: output * module.bias)
    return layer


def old_weight_norm(layer: nn.Linear) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and in many models
        return nn.utils.weight_norm(layer)


def twice(module: Any, x: Tensor) -> Any:
    return module.l(torch.tanh(module.l(x)))


def linear() -> nn.Linear:
    return nn.Linear(3, 3)


ODD: dict[str, tuple[Callable[[], nn.Module], Tensor, str, int]] = {
    "written between": (lambda: Written(written_between), reals(2, 3), "w", 2),
    "max_norm": (lambda: Written(embedded, e=nn.Embedding(9, 4, max_norm=0.5)), TOKENS, "e.weight", 2),
    "sparse": (lambda: Written(embedded, e=nn.Embedding(9, 4, sparse=True)), TOKENS, "e.weight", 2),
    "sparse bag": (
        lambda: Written(embedded, e=nn.EmbeddingBag(9, 4, sparse=True, max_norm=0.5, mode="sum")),
        TOKENS, "e.weight", 2,
    ),
    "packed": (
        lambda: Written(packed, lstm=nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True, dropout=0.3)),
        reals(2, 5, 4), "lstm.weight_hh_l1_reverse", 2,
    ),
    "weight_norm": (
        lambda: Written(twice, l=weight_norm(linear())),
        reals(2, 3), "l.parametrizations.weight.original1", 2,
    ),
    "cached weight_norm": (
        lambda: Written(in_cache, l=weight_norm(linear())),
        reals(2, 3), "l.parametrizations.weight.original1", 1,
    ),
    "old weight_norm": (lambda: Written(twice, l=old_weight_norm(linear())), reals(2, 3), "l.weight_v", 2),
    "spectral_norm": (
        lambda: Written(twice, l=spectral_norm(linear())),
        reals(2, 3), "l.parametrizations.weight.original", 4,
    ),
    "orthogonal": (
        lambda: Written(twice, l=orthogonal(linear())),
        reals(2, 3), "l.parametrizations.weight.original", 2,
    ),
    "attention": (lambda: Written(attended), reals(2, 4, 3), "w", 2),
    "gradient penalty": (lambda: Written(penalized), reals(2, 3), "w", 2),
    "tied convolution": (
        lambda: Written(tied_convolution, c=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4)),
        reals(2, 3, 6, 6), "c.weight", 2,
    ),
    "functional_call": (lambda: Written(doubled, l=linear()), reals(2, 3), "l.weight", 2),
    "reentrant checkpoint": (lambda: Written(replayed, l=linear()), reals(2, 3), "l.weight", 2),
    "hooks": (lambda: Written(twice, l=hooked(linear())), reals(2, 3), "l.weight", 4),
    "backward hook": (lambda: Written(lambda m, x: tripled(x @ m.w) @ m.w), reals(2, 3), "w", 2),
    "DataParallel": (lambda: Written(twice, l=nn.DataParallel(linear())), reals(2, 3), "l.module.weight", 2),
    "expanded": (lambda: Written(lambda m, x: m.w.sum() + x.sum() * m.w.sum(0).sum()), reals(3), "w", 2),
}  # fmt: skip


def tripled(x: Tensor) -> Tensor:
    x.register_hook(lambda gradient: gradient * 3)  # type: ignore[no-untyped-call]
    return x


@pytest.mark.parametrize("name", ODD)
def test_an_odd_network_has_the_gradients_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each use that counts hands back what it added, none is found only in the graph under another name."""
    make, given, parameter, count = ODD[name]
    torch.manual_seed(0)
    module = make()
    inputs = (given,)
    assert len(check(module, inputs)[parameter]) == count
    report = assert_equal(module, inputs, monkeypatch)
    shares = [row.share for row in report.rows if row.kind == "use" and row.name == parameter]
    assert len(shares) == count
    assert None not in shares
    assert sum(filter(None, shares)) == pytest.approx(1)


def test_a_write_between_two_uses_leaves_them_their_names() -> None:
    """A parameter that is written gives the views made before another node; the first one is watched."""
    module = Written(embedded, e=nn.Embedding(9, 4, max_norm=0.5))
    expected: Uses = [("e", 1, "embedding"), ("e", 2, "embedding")]
    assert check(module, [TOKENS])["e.weight"] == expected
    assert check(Written(written_between), [reals(2, 3)])["w"] == [("", 1, "matmul")] * 2


def test_a_view_that_lost_its_node_is_let_go() -> None:
    """What watches the node does not keep it, so that nothing of a pass stays in memory."""
    import gc
    import weakref

    module = Written(written_between)
    gradients(module, [reals(2, 3)], by_use=True)
    gone = weakref.ref(module.w)
    del module
    gc.collect()
    assert gone() is None


def test_autocast_casts_each_use_by_itself() -> None:
    """Plain torch casts a weight once for all uses, and so adds them in bfloat16: the same up to rounding."""
    layer = nn.Linear(32, 32)

    def forward(_: Any, x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return layer(torch.relu(layer(x))).float()

    module = Written(forward).float()
    module.l = layer
    given = torch.rand(8, 32)
    report = gradients(module, [given], by_use=True)
    plain = gradients(module, [given], by_use=False)
    assert {row.uses for row in report.rows if row.name == "l.weight"} == {2, None}
    for row in plain.rows:
        found = next(each for each in report.rows if each.name == row.name)
        assert found.norm == (row.norm and pytest.approx(row.norm, rel=0.01))
