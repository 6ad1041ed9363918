"""A model after a look at its gradients is, to the last bit, the model before."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from paramtool.errors import ParamtoolError
from paramtool.operations.gradients.backpropagation import gradients
from tests.gradient_check import Written, reals, state


def quietly(write: Callable[[Any], Any]) -> Callable[[Any, Tensor], Any]:
    """Return a forward pass that first writes under ``no_grad``, then uses ``w`` twice."""

    def forward(module: Any, x: Tensor) -> Any:
        with torch.no_grad():
            write(module)
        return x @ module.w + x @ module.w.detach()

    return forward


def written(write: Callable[[Any], Any]) -> Callable[[Any, Tensor], Any]:
    """Return a forward pass that writes, with gradients on, and then uses ``w``."""

    def forward(module: Any, x: Tensor) -> Any:
        write(module)
        return x @ module.w + (x @ module.w).tanh()

    return forward


ROWS = torch.tensor([0, 1, 2])
WRITES: dict[str, Callable[[Any, Tensor], Any]] = {
    "max_norm of a bare weight": lambda m, x: nn.functional.embedding(ROWS, m.w, max_norm=0.1) @ x.T,
    "max_norm of a bag": lambda m, x: nn.functional.embedding_bag(ROWS[None], m.w, max_norm=0.1) + x,
    "data.clamp_": written(lambda m: m.w.data.clamp_(0, 0.3)),
    "detach().zero_": written(lambda m: m.w.detach().zero_()),
    "data =": written(lambda m: setattr(m.w, "data", torch.ones(3, 3, dtype=torch.float64))),
    "data = of another dtype": lambda m, x: x.float() @ replaced(m.w, torch.ones(3, 3)),
    "set_": quietly(lambda m: m.w.set_(reals(3, 3) + 1)),
    "copy_": quietly(lambda m: m.w.copy_(torch.ones(3, 3))),
    "setitem": quietly(lambda m: m.w.__setitem__(0, 1.0)),
    "imul": quietly(lambda m: m.w.__imul__(2)),
    "out=": quietly(lambda m: torch.mul(m.w, 2, out=m.w)),
    "a view's fill_": quietly(lambda m: m.w.view(-1)[2:4].fill_(9)),
    "NaN": quietly(lambda m: m.w[0, 0].fill_(float("nan"))),
    "foreach": quietly(lambda m: torch._foreach_mul_([m.w], 2)),
    "fused": quietly(
        lambda m: torch._fused_sgd_(
            [m.w], [m.w * 1], [], weight_decay=0.0, momentum=0.0, lr=0.1, dampening=0.0, nesterov=False,
            maximize=False, is_first_step=True,
        )
    ),
    "init": quietly(lambda m: nn.init.normal_(m.w)),
    "init by name": quietly(lambda m: nn.init.orthogonal_(tensor=m.w)),
    "inplace=True": quietly(lambda m: nn.functional.relu(m.w.sub_(1), inplace=True)),
    "an operator of aten": quietly(lambda m: torch.ops.aten.mul_.Scalar(m.w, 2)),
    "a packet of aten": quietly(lambda m: torch.ops.aten.copy_(m.w, m.w * 2)),
    "numpy": quietly(lambda m: m.w.detach().numpy().__setitem__(0, 7.0)),
    "a custom function": lambda m, x: Scaling.apply(x, m.w) @ m.w,  # type: ignore[no-untyped-call]
    "running statistics": lambda m, x: normalized(x @ m.w, m.w.data[0], m.w.data[1]),
    "a buffer": quietly(lambda m: m.counter.add_(1)),
    "a plain tensor": quietly(lambda m: m.plain.add_(1)),
    "a tensor in a list": quietly(lambda m: m.listed[0].add_(1)),
    "an optimizer's step in a hook": written(lambda m: m.w.register_post_accumulate_grad_hook(step)),
    "a write in a hook": lambda m, x: hooked(x @ m.w, lambda: m.w.data.mul_(2)),
    "a write in a checkpoint": lambda m, x: checkpoint(
        lambda y: (m.w.data.mul_(1.5), y @ m.w)[1], x @ m.w, use_reentrant=True
    ),
    "the input": lambda m, x: x.mul_(2) @ m.w,
    "another parameter": written(lambda m: m.__setattr__("w", nn.Parameter(reals(3, 3) * 2))),
    "another buffer": written(lambda m: setattr(m, "counter", torch.ones(2))),
    "a child more": written(lambda m: m.add_module("more", nn.Linear(2, 2))),
    "attributes": written(lambda m: (vars(m).update(calls=1), vars(m).pop("plain", 0), m.listed.append(1))),
    "a hook of a module": written(lambda m: m.register_forward_hook(lambda *_: None)),
    "a hook of the parameter": written(lambda m: m.w.register_hook(lambda gradient: gradient * 2)),
    "freezing": lambda m, x: (x @ m.w + m.extra, m.extra.requires_grad_(False))[0],
    "the mode": written(lambda m: m.eval()),
    "random numbers": written(lambda m: (torch.rand(2), random.random(), np.random.rand(), m.dice.seed())),
    "threads": written(lambda _: torch.set_num_threads(torch.get_num_threads() + 1)),
    "the default dtype": written(lambda _: torch.set_default_dtype(torch.float64)),
    "determinism": written(lambda _: torch.use_deterministic_algorithms(True)),
    "its own backward": lambda m, x: ((x @ m.w).sum().backward(), x @ m.w)[1],
    "nothing": lambda m, x: x @ m.w,
}  # fmt: skip


class Scaling(torch.autograd.Function):
    """Writes its weight while it runs forward, and again backward."""

    @staticmethod
    def forward(context: Any, x: Tensor, w: Tensor) -> Tensor:
        context.w = w
        w.data.mul_(2)
        return x @ w

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        context.w.data.mul_(2)
        return gradient @ context.w.T, None


def step(parameter: Tensor) -> None:
    optimizer = torch.optim.Adam([parameter])
    optimizer.step()
    optimizer.zero_grad()


def hooked(tensor: Tensor, action: Callable[[], object]) -> Tensor:
    def hook(gradient: Tensor) -> Tensor:
        action()
        return gradient

    tensor.register_hook(hook)  # type: ignore[no-untyped-call]
    return tensor


def normalized(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return nn.functional.batch_norm(x, mean, variance, training=True)


def replaced(parameter: Any, data: Tensor) -> Any:
    parameter.data = data
    return parameter


def model(forward: Callable[[Any, Tensor], Any]) -> Any:
    module: Any = Written(forward)
    module.register_buffer("counter", torch.zeros(2))
    module.plain, module.listed = torch.zeros(2), [torch.zeros(2)]
    module.extra = nn.Parameter(reals(3))
    module.dice = torch.Generator()
    return module


@pytest.mark.parametrize("by_use", [None, False])
@pytest.mark.parametrize("name", WRITES)
def test_what_a_pass_writes_is_put_back(name: str, by_use: bool | None) -> None:
    """Values, gradients, hooks, flags, attributes, inputs and the process are as before; two passes ran."""
    module, x = model(WRITES[name]), reals(2, 3)
    held = torch.ones(3, 3, dtype=torch.float64)
    module.w.grad = held
    caller = (module.w * module.w).sum()  # a graph of the caller's, which saved the weight
    before = state(module, x)
    report = gradients(module, [x], steps=2, by_use=by_use)
    assert state(module, x) == before
    assert module.w.grad is held
    assert not any("not as it was" in note for note in report.totals.notes)
    caller.backward()


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_counts_as_it_does_in_torch(name: str) -> None:
    """Being watched changes nothing: the gradients after a write are those that plain torch gives."""
    if name in ("an optimizer's step in a hook", "its own backward"):
        pytest.skip("torch's own loop leaves other gradients behind: the hook's or the forward's")
    watched, plain = model(WRITES[name]), model(WRITES[name])
    report = gradients(watched, [reals(2, 3)])
    original = plain.w
    with torch.random.fork_rng(devices=[]):
        threads, drawn = torch.get_num_threads(), random.getstate()
        try:
            plain(reals(2, 3)).sum().backward()
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(torch.float32)
            torch.use_deterministic_algorithms(False)
            random.setstate(drawn)
    expected = 0.0 if original.grad is None else float(torch.linalg.vector_norm(original.grad.double()))
    if name in ("init", "init by name"):
        assert report.rows[0].verdict == "ok"  # other random numbers
    else:
        assert (report.rows[0].norm or 0.0) == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_a_weight_that_nothing_writes_is_not_copied() -> None:
    """A pass over a large model takes no more memory for being undisturbed."""
    copied: list[int] = []

    def clone(storage: Any, original: Any = torch.UntypedStorage.clone) -> Any:
        copied.append(storage.nbytes())
        return original(storage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.UntypedStorage, "clone", clone)
        module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.LayerNorm(4), nn.Linear(4, 4))
        gradients(module, [torch.rand(3, 4)], steps=2)
        assert copied == [16, 16, 8]  # the statistics of the batch norm
        gradients(nn.Embedding(8, 2, max_norm=1.0), [ROWS], steps=2)
        assert copied[3:] == [64]  # once


def test_leaves_that_are_no_parameters_keep_their_gradients() -> None:
    """An input that requires grad, and a tensor that the forward takes from elsewhere."""
    elsewhere, x = nn.Parameter(reals(3, 3)), reals(2, 3).requires_grad_()
    x.grad = torch.ones(2, 3, dtype=torch.float64)
    gradients(Written(lambda m, x: x @ m.w @ elsewhere), [x], steps=2)
    assert elsewhere.grad is None
    assert torch.equal(x.grad, torch.ones(2, 3, dtype=torch.float64))


def test_tied_and_overlapping_weights_come_back() -> None:
    """Two parameters over one memory, and one of another layout, are written through each other."""
    memory = reals(3, 6)
    module = Written(written(lambda m: m.w.data.mul_(2)))
    module.w, module.across = nn.Parameter(memory[:, :3]), nn.Parameter(memory.T)
    before = memory.clone()
    gradients(module, [reals(2, 3)])
    assert torch.equal(memory, before)
    assert torch.equal(module.across.detach().T, before)


def test_what_a_subclass_writes_behind_the_modes_is_put_back() -> None:
    """A class of tensors that answers for itself runs where no mode is on, so its tensors are copied."""

    class Special(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            with torch._C.DisableTorchFunctionSubclass():
                if func is torch.Tensor.__rmatmul__ or func is torch.Tensor.matmul:
                    args[-1].data.mul_(2)
                made = func(*args, **(kwargs or {}))
            return made.as_subclass(cls) if func is Tensor.detach else made

    module = Written(lambda m, x: nn.functional.embedding(ROWS, m.w, max_norm=0.1) + x @ m.w)
    module.w = nn.Parameter(module.w.detach().as_subclass(Special))
    before = module.w.detach().as_subclass(Tensor).clone()
    gradients(module, [reals(3, 3)])
    assert torch.equal(module.w.detach().as_subclass(Tensor), before)


@pytest.mark.parametrize("counted", [True, False])
def test_what_a_scripted_function_writes_cannot_be_put_back(counted: bool) -> None:
    """Its operations are seen by no mode; a note says so where torch counted the write."""
    with pytest.warns((DeprecationWarning, FutureWarning)):
        script: Any = torch.jit.script(increase)
    module = Written(quietly(lambda m: script(m.w if counted else m.w.data)))
    before = module.w.detach().clone()
    notes = gradients(module, [reals(2, 3)]).totals.notes
    assert torch.equal(module.w, before + 1)
    assert notes == (
        ("'w' was changed by an operation that was not seen, and cannot be restored",) if counted else ()
    )


def increase(w: Tensor) -> Tensor:
    return w.add_(1)


def test_it_is_put_back_when_the_pass_fails() -> None:
    """An error after a write, forward or backward, leaves nothing behind either."""

    def fail() -> None:
        raise RuntimeError("enough")

    def forward(module: Any, x: Tensor) -> Any:
        module.w.data.mul_(2)
        module.calls = 1
        return hooked(x @ module.w, fail) if module.late else fail()

    for late in (True, False):
        module, x = model(forward), reals(2, 3)
        module.late = late
        before = state(module, x)
        with pytest.raises(ParamtoolError, match="enough"):
            gradients(module, [x])
        assert state(module, x) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("by_use", [None, True, False])
def test_a_scripted_module_is_left_as_it_was(frozen: bool, by_use: bool | None) -> None:
    """Its parameters and statistics are in no attribute; a frozen one has not even a mode."""
    script: Any = torch.jit.script(nn.BatchNorm1d(3).double())
    child = torch.jit.freeze(script.eval()) if frozen else script
    module = nn.Sequential(nn.Linear(3, 3).double(), child)
    before, x = state(module), reals(4, 3)
    report = gradients(module, [x], by_use=by_use)
    assert state(module) == before
    names = {row.name for row in report.rows if row.kind == "parameter"}
    assert names == {name for name, _ in module.named_parameters()}
