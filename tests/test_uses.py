"""Split a gradient by use: who used the parameter, in which call, and what it added."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from paramtool.operations.gradients.backpropagation import gradients
from tests.gradient_check import Written, check, reals, split


class Times(torch.autograd.Function):
    """A custom function, which no function mode sees."""

    @staticmethod
    def forward(context: Any, x: Tensor, w: Tensor) -> Tensor:
        context.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, w = context.saved_tensors
        return gradient @ w.T, x.T @ gradient


def times(x: Tensor, w: Tensor) -> Any:
    return Times.apply(x, w)  # type: ignore[no-untyped-call]


def operations(forward: Callable[[Any, Tensor], Any]) -> list[str]:
    """Return the operations that use ``w`` in `forward`, which was checked against torch."""
    return [operation for _, _, operation in check(Written(forward), [reals(2, 3)])["w"]]


# what a use is


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda m, x: x @ m.w, ["matmul"]),
        (lambda m, x: x @ m.w + x @ m.w.T, ["matmul", "T"]),
        (lambda m, x: x @ m.w.t() + m.w[0] + m.w.sum(), ["t", "getitem", "sum"]),
        (lambda m, x: m.w * m.w * x[:1], ["mul"]),  # one call, though it takes the parameter twice
        (lambda m, x: torch.addmm(x, mat1=x, mat2=m.w), ["addmm"]),
        (lambda m, x: torch.cat([m.w, x, m.w]), ["cat"]),
        (lambda m, x: torch.stack((m.w * x[0], 2 * m.w)), ["mul", "mul"]),
        (lambda m, x: torch.einsum("bi,io->bo", x, m.w), ["einsum"]),
        (lambda m, x: (1 - m.w) * x[0], ["rsub"]),
        (lambda m, x: nn.functional.linear(x, m.w, m.w[0]), ["getitem", "linear"]),
        (lambda m, x: nn.functional.linear(x, weight=m.w), ["linear"]),
        (lambda m, x: nn.functional.layer_norm(x, (3,), m.w[0], m.w[1]), ["getitem", "getitem"]),
        (lambda m, x: x @ m.w.split(3)[0], ["split"]),
        (lambda m, x: x @ m.w.to(torch.float64).contiguous(), ["matmul"]),  # casts that do nothing
        (lambda m, x: x @ m.w.float().double(), ["float"]),
        (lambda m, x: torch.func.vmap(lambda row: row @ m.w)(x), ["mm"]),  # found in the graph
    ],
)
def test_a_use_is_one_call_of_an_operation_that_takes_the_parameter(
    forward: Callable[[Any, Tensor], Any], expected: list[str]
) -> None:
    """By position, by name and in lists, once or twice: each call is one use, by torch's name."""
    assert operations(forward) == expected


@pytest.mark.parametrize(
    "look",
    [
        lambda m: m.w.shape,
        lambda m: (m.w.dtype, m.w.device, m.w.is_leaf, m.w.grad, m.w.requires_grad, m.w.grad_fn),
        lambda m: (m.w.size(0), len(m.w), m.w.dim(), m.w.numel(), m.w.data_ptr(), m.w.is_contiguous()),
        lambda m: m.w.detach().sum() + m.w.data.sum(),
        lambda m: (m.w > 0).any(),
        lambda m: torch.zeros(9).view_as(m.w),
        lambda m: torch.zeros(3).expand_as(m.w),
        lambda m: repr(m.w),
        lambda m: m.w.requires_grad_(),
        lambda m: m.w.argmax().item(),
    ],
)
def test_a_look_at_the_parameter_is_no_use(look: Callable[[Any], Any]) -> None:
    """Its shape, its dtype, a detached copy and a comparison hand no gradient back."""

    def forward(module: Any, x: Tensor) -> Any:
        look(module)
        return x @ module.w

    assert operations(forward) == ["matmul"]


def test_an_operation_under_no_grad_is_no_use() -> None:
    """What runs without gradients adds none."""

    def forward(module: Any, x: Tensor) -> Any:
        with torch.no_grad():
            shift = (x @ module.w).mean()
        return x @ module.w - shift

    assert operations(forward) == ["matmul"]


def test_a_write_into_another_tensor_is_a_use() -> None:
    """``y[0] = w[0]`` returns nothing, and hands a gradient to w."""

    def forward(module: Any, x: Tensor) -> Any:
        y = x * 2
        y[0] = module.w.diagonal()
        y.add_(module.w[:2])
        z = torch.zeros_like(module.w)
        z[:] = module.w
        return y.sum() + z.square().sum()

    assert operations(forward) == ["diagonal", "getitem", "setitem"]


def test_a_use_that_the_loss_does_not_depend_on_has_no_gradient() -> None:
    """It is a use, to which nothing came back."""

    def forward(module: Any, x: Tensor) -> Any:
        module.unused = x @ module.w
        return x @ module.w

    gradient, uses = split(Written(forward), [reals(2, 3)])["w"]
    assert [each.gradient is None for each in uses] == [True, False]
    assert gradient is not None
    assert uses[1].gradient is not None
    assert torch.equal(uses[1].gradient, gradient)


def test_a_parameter_in_a_named_tuple_is_used() -> None:
    """Torch takes a tuple of any class for a list of tensors, and the parameter in it has its use."""

    class Both(NamedTuple):
        first: Tensor
        second: Tensor

    class Row(tuple[Tensor, ...]):
        """A tuple of a class of its own."""

    assert operations(lambda m, x: torch.cat(Both(m.w, x))) == ["cat"]
    assert operations(lambda m, x: torch.cat(Row((m.w, x)))) == ["cat"]


def test_a_hook_stays_on_the_parameter() -> None:
    """A hook that a forward registers sees the whole gradient, not that of one use."""
    seen: list[Tensor] = []

    def forward(module: Any, x: Tensor) -> Any:
        module.w.register_hook(seen.append)
        return x @ module.w + x @ module.w

    gradient, _ = split(Written(forward), [reals(2, 3)])["w"]
    assert len(seen) == 1
    assert gradient is not None
    assert torch.equal(seen[0], gradient)


@pytest.mark.parametrize("kind", ["gradient", "accumulated"])
def test_a_hook_that_changes_the_gradient_is_no_bug(kind: str) -> None:
    """The uses are what reached the hook, and a note says so; the gradient is what the hook left."""

    def double(parameter: Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad *= 2

    module = Written(lambda m, x: x @ m.w + x @ m.w)
    if kind == "gradient":
        module.w.register_hook(lambda gradient: gradient * 2)  # type: ignore[no-untyped-call]
    else:
        module.w.register_post_accumulate_grad_hook(double)  # type: ignore[no-untyped-call]
    report = gradients(module, [torch.ones(2, 3, dtype=torch.float64)])
    assert [each.abs_max for each in report.rows] == [8.0, 2.0, 2.0]
    assert report.totals.notes == (
        "'w' has a hook that may change its gradient: its uses add up to what reached the hook",
    )


def test_a_parameter_of_a_subclass_of_tensor_has_its_uses_once() -> None:
    """The view of such a parameter takes two nodes, and neither of them is a use of its own."""

    class Special(Tensor):
        pass

    module = Written(lambda m, x: x @ m.w + (x @ m.w).tanh())
    module.w = nn.Parameter(module.w.detach().as_subclass(Special))
    gradient, uses = split(module, [reals(2, 3)])["w"]
    assert [each.operation for each in uses] == ["matmul", "matmul"]
    assert gradient is not None
    torch.testing.assert_close(uses[0].gradient + uses[1].gradient, gradient)  # type: ignore[operator]


# what no mode sees


def test_a_custom_function_is_a_use_of_its_own_name_and_module() -> None:
    """Its node is found in the graph, and placed in the module that was running."""

    class Inner(Written):
        pass

    inner = Inner(lambda m, x: times(x, m.w) + x @ m.w)
    outer = nn.Sequential(nn.Linear(3, 3).double(), inner, inner)
    assert check(outer, [reals(2, 3)])["1.w"] == [
        ("1", 1, "Times"),
        ("1", 1, "matmul"),
        ("2", 1, "Times"),
        ("2", 1, "matmul"),
    ]


def test_a_plain_attribute_made_of_a_parameter_before_the_pass_is_found() -> None:
    """A transposed copy of the weight that a constructor kept hands its gradient to the weight."""
    module = Written(lambda m, x: x @ m.kept + x @ m.w)
    module.kept = module.w.t()
    uses = split(module, [reals(2, 3)])["w"][1]
    assert [(each.operation, each.gradient is not None) for each in uses] == [("t", True), ("matmul", True)]


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_runs_again_and_adds_what_it_added(reentrant: bool) -> None:
    """Both kinds of checkpoint run the module again in the backward pass; each use counts once."""

    def forward(module: Any, x: Tensor) -> Any:
        once = checkpoint(module.a, x * module.w[0], use_reentrant=reentrant)
        return module.a(checkpoint(module.a, once, use_reentrant=reentrant))

    module = Written(forward, a=nn.Linear(3, 3))
    uses = check(module, [reals(2, 3)])
    assert sorted(uses["a.weight"]) == [("a", 1, "linear"), ("a", 2, "linear"), ("a", 3, "linear")]


def again(function: Callable[..., Any], *inputs: Any) -> Any:
    return checkpoint(function, *inputs, use_reentrant=True)


@pytest.mark.filterwarnings("ignore:None of the inputs:UserWarning")
@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda m, x: again(lambda y: y @ m.w + m.w[0], x * m.w[0]) @ m.w, ["getitem", "matmul"] * 2),
        (lambda m, x: again(lambda y: again(lambda z: z @ m.w.T, y @ m.w), x * m.w[0]),
         ["getitem", "matmul", "T"]),
        (lambda m, x: again(lambda y: times(y, m.w) @ m.w, x * m.w[0]), ["Times", "getitem", "matmul"]),
        (lambda m, x: again(lambda y, w: y @ w + m.w[0], x * m.w[0], m.w),
         ["CheckpointFunction", "getitem", "getitem"]),
        (lambda m, x: again(lambda y: m.a(y) @ m.a.weight, x @ m.w), ["matmul"]),
    ],
)  # fmt: skip
def test_a_checkpoint_of_a_plain_function_is_seen_as_well(
    forward: Callable[[Any, Tensor], Any], expected: list[str]
) -> None:
    """What runs again in the backward pass, outside any module, is split as exactly."""
    module = Written(forward, a=nn.Linear(3, 3))
    assert sorted(each[2] for each in check(module, [reals(2, 3)])["w"]) == sorted(expected)


def test_what_a_checkpoint_runs_again_is_placed_where_it_was_called() -> None:
    """The backward pass of a block's checkpoint is inside of no call, and yet it belongs to the block."""
    block = Written(lambda m, x: again(lambda y: y @ m.w, x))
    uses = check(nn.Sequential(nn.Linear(3, 3).double(), block, block), [reals(2, 3)])
    assert uses["1.w"] == [("2", 1, "matmul"), ("1", 1, "matmul")]


def penalty(module: Any, x: Tensor) -> Any:
    """Return a loss with a gradient penalty: the backward pass runs through a backward pass."""
    y = (x @ module.w).tanh() @ module.w
    (slope,) = torch.autograd.grad(y.sum(), module.w, create_graph=True)
    return y.sum() + slope.square().sum()


@pytest.mark.parametrize(
    "forward",
    [
        penalty,
        lambda m, x: x @ (m.w - 0.1 * torch.autograd.grad((x @ m.w).tanh().sum(), m.w, create_graph=True)[0]),
        lambda m, x: ((x @ m.w).sum().backward(create_graph=True), x @ m.w)[1],
        lambda m, x: torch.func.functional_call(m.a, {"weight": m.w, "bias": m.w[0]}, (x,)) + m.a(x @ m.w),
        lambda m, x: torch.func.vmap(lambda row: row @ m.w + m.w[0])(x) + x @ m.w,
        lambda m, x: x @ torch.func.grad(lambda w: (x @ w).pow(3).sum())(m.w) + x @ m.w,
        lambda m, x: torch.func.jvp(lambda w: x @ w, (m.w,), (m.w,))[1] + x @ m.w,
        lambda m, x: torch.func.vjp(lambda w: x @ w, m.w)[0] + x @ m.w,
        lambda m, x: torch.func.jacrev(lambda y: (y @ m.w).tanh().sum())(x) + x @ m.w,
        lambda m, x: reverse(x @ m.w, lambda y: y @ m.w, m.w) @ m.w,
        lambda m, x: x @ m.w.unflatten(0, (3, 1))[:, 0] + x @ m.w,
        lambda m, x: (torch.autograd.graph.get_gradient_edge(m.w), x @ m.w)[1],
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # forward mode makes use of it
def test_the_uses_add_up_through_other_ways_of_autograd(forward: Callable[[Any, Tensor], Any]) -> None:
    """Penalties, inner steps, functional calls and transforms, and a function that differentiates itself."""
    check(Written(forward, a=nn.Linear(3, 3)), [reals(2, 3)])


class Reversed(torch.autograd.Function):
    """Runs forward again in the backward pass, and hands on what ``torch.autograd.grad`` gives."""

    @staticmethod
    def forward(context: Any, x: Tensor, function: Any, w: Tensor) -> Any:
        context.function, context.w = function, w
        context.save_for_backward(x)
        return function(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor]:
        with torch.enable_grad():
            x = context.saved_tensors[0].detach().requires_grad_()
            given = torch.autograd.grad(context.function(x), (x, context.w), gradient)
        return given[0], None, given[1]


def reverse(*given: Any) -> Any:
    return Reversed.apply(*given)  # type: ignore[no-untyped-call]


class Accumulating(torch.autograd.Function):
    """Adds to the gradient of its weight by itself, as code for training on many machines does."""

    @staticmethod
    def forward(context: Any, x: Tensor, w: Tensor) -> Tensor:
        context.w = w
        context.save_for_backward(x)
        return x @ w

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        own = context.saved_tensors[0].T @ gradient
        context.w.grad = own if context.w.grad is None else context.w.grad + own
        return gradient @ context.w.T, None


def accumulate(x: Tensor, w: Tensor) -> Any:
    return Accumulating.apply(x, w)  # type: ignore[no-untyped-call]


def doubled(module: Any, x: Tensor) -> Any:
    """Return two uses, and between their backward passes a hook doubles what gradient there is."""
    y = x @ module.w

    def hook(gradient: Tensor) -> Tensor:
        was = module.w.grad
        module.w.grad = torch.ones(3, 3, dtype=torch.float64) if was is None else was * 2
        return gradient

    y.register_hook(hook)
    return y + (y @ module.w).relu()


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: accumulate(x @ m.w, m.w) @ m.w,
        lambda m, x: accumulate(x @ m.a.weight, m.w),
        doubled,
        lambda m, x: ((x @ m.w).sum().backward(), m.zero_grad(), x @ m.w + x)[2],
    ],
)
def test_what_own_code_adds_in_the_backward_pass_is_a_rest_and_is_told(
    forward: Callable[[Any, Tensor], Any], steps: int
) -> None:
    """Where code of the model's own changes a gradient, rows still add up, and a note says which is whose."""
    module = Written(forward, a=nn.Linear(3, 3))
    report = gradients(module, [reals(2, 3)], steps=steps)
    whole, *rows = [row for row in report.rows if row.name == "w"]
    assert rows[-1].operation == "rest"
    assert whole.uses == len(rows) - 1
    assert sum(row.share or 0.0 for row in rows) == pytest.approx(1, rel=1e-12)
    said = "the model's own code changed gradients; the row 'rest' is its effect on 'w'"
    assert report.totals.notes == (said,)


def halved(module: Any, write: Callable[[Any], None]) -> None:
    """Let a hook of the node that adds to the gradient of ``w`` halve what is there, as DDP's do."""
    node = module.w.expand_as(module.w).grad_fn.next_functions[0][0]
    node.register_hook(lambda *_: write(module.w))
    module.node = node  # which goes with the last that refers to it


def halve(w: Any) -> None:
    w.grad.div_(2)


def set_half(w: Any) -> None:
    w.grad = w.grad / 2


@pytest.mark.parametrize("write", [halve, set_half])
def test_a_hook_of_the_node_below_a_parameter_is_no_bug(write: Callable[[Any], None]) -> None:
    """Of two uses, what it took is a rest; an only use is all that there is."""
    module = Written(lambda m, x: x @ m.w @ m.w)
    halved(module, write)
    whole, *rows = gradients(module, [reals(2, 3)], by_use=True).rows
    assert [row.operation for row in rows] == ["matmul", "matmul", "rest"]
    assert rows[-1].share == pytest.approx(-1)  # 2 + -1 is 1
    module.written = lambda m, x: x @ m.w
    whole, *rows = gradients(module, [reals(2, 3)], by_use=True).rows
    assert [(row.operation, row.norm) for row in rows] == [("matmul", whole.norm)]


@pytest.mark.parametrize(
    "write",
    [
        lambda m: m.w.grad is not None and m.w.grad.zero_(),
        lambda m: nn.utils.clip_grad_norm_([m.w], 0.01),
    ],
)
def test_a_forward_that_writes_the_gradient_of_the_pass_before_is_no_bug(write: Callable[[Any], Any]) -> None:
    """Who zeroes or clips there finds it as a rest."""
    report = gradients(Written(lambda m, x: (write(m), x @ m.w @ m.w)[1]), [reals(2, 3)], steps=2)
    rows = [row for row in report.rows if row.kind == "use"]
    assert [row.operation for row in rows] == ["matmul", "matmul", "rest"]
    assert sum(row.share or 0.0 for row in rows) == pytest.approx(1, rel=1e-12)


def test_modules_that_another_thread_calls_are_not_those_of_the_pass() -> None:
    """torch's global hooks see them; here they would be the innermost call, as nobody leaves it."""
    begun, over = Event(), Event()

    def wait(_: Any, x: Tensor) -> Tensor:
        begun.set()
        over.wait(10)
        return x

    other = Thread(target=Written(wait), args=[reals(3)])

    def forward(module: Any, x: Tensor) -> Any:
        other.start()
        begun.wait(10)
        y = module.a(x @ module.w) @ module.w
        over.set()
        other.join()
        return y

    report = gradients(Written(forward, a=nn.Linear(3, 3)), [reals(2, 3)], by_use=True, layers=True)
    assert [(row.name, row.module) for row in report.rows if row.kind == "use"] == [
        ("w", ""), ("w", ""), ("a.weight", "a"), ("a.bias", "a"),
    ]  # fmt: skip
    assert [row.name for row in report.rows if row.kind == "module"] == ["a", ""]


def test_a_parameter_that_answers_for_itself_is_asked() -> None:
    """A class of tensors with a ``__torch_function__`` of its own gets what it gets without us."""

    class Doubled(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            asked.append(func)
            with torch._C.DisableTorchFunctionSubclass():
                if func is nn.functional.linear:
                    return nn.functional.linear(args[0], args[1].as_subclass(Tensor) * args[1].factor)
                made = func(*args, **(kwargs or {}))
            return made.as_subclass(cls) if func is Tensor.detach else made

    asked: list[Any] = []
    module: Any = Written(lambda m, x: nn.functional.linear(x, m.w) + x @ m.w)
    module.w = nn.Parameter(reals(3, 3).as_subclass(Doubled))
    module.w.factor = 2.0
    whole, *uses = gradients(module, [torch.ones(2, 3, dtype=torch.float64)]).rows
    assert nn.functional.linear in asked
    assert sorted(each.abs_max or 0 for each in uses) == [2.0, 4.0]
    assert whole.abs_max == 6.0


def test_a_compiled_module_runs_as_it_was_written() -> None:
    """Its operations are split as those of any other; nothing is compiled for it."""
    inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()

    def compiler(*_: object) -> Any:
        raise AssertionError("compiled")

    module: Any = Written(lambda m, x: m.inner(m.inner(x @ m.w)) @ m.w)
    module.inner = torch.compile(inner, backend=compiler)
    report = gradients(module, [reals(2, 3)])
    assert [row.operation for row in report.rows if row.name == "w"] == [None, "matmul", "matmul"]
    assert [row.uses for row in report.rows if row.kind == "parameter"] == [2] * 5


# where a use is


def test_one_object_called_by_two_names_has_the_path_of_each_call() -> None:
    """In Sequential(a, ReLU, a) the calls are those of 0 and of 2, though they are one module."""
    shared = nn.Linear(3, 3).double()
    uses = check(nn.Sequential(shared, nn.ReLU(), shared), [reals(2, 3)])
    assert uses["0.weight"] == [("0", 1, "linear"), ("2", 1, "linear")]


def test_one_name_called_twice_counts_its_calls() -> None:
    """A loop over one layer makes call 1, call 2, call 3."""
    module = Written(lambda m, x: m.a(m.a(m.a(x))), a=nn.Linear(3, 3))
    assert check(module, [reals(2, 3)])["a.weight"] == [("a", number, "linear") for number in (1, 2, 3)]


def test_a_shared_block_is_named_by_who_calls_it() -> None:
    """A block inside two others, and beside them, has three paths; each call is at its own."""
    block = nn.Sequential(nn.Linear(3, 3)).double()
    module = nn.Sequential(nn.Sequential(block, nn.Tanh()), nn.Sequential(nn.Tanh(), block), block)
    assert check(module, [reals(2, 3)])["0.0.0.weight"] == [
        ("0.0.0", 1, "linear"),
        ("1.1.0", 1, "linear"),
        ("2.0", 1, "linear"),
    ]


def test_a_list_of_modules_is_looked_through() -> None:
    """Who calls the members of a ModuleList is the module that holds the list."""
    shared = nn.Linear(3, 3)
    module = Written(
        lambda m, x: m.layers[1](m.layers[0](x)) + m.inside(x),
        inside=nn.Sequential(shared),
        layers=nn.ModuleList([shared, shared]),
    )
    assert [path for path, _, _ in check(module, [reals(2, 3)])["inside.0.weight"]] == [
        "layers.0",
        "layers.1",
        "inside.0",
    ]


def test_the_projections_of_attention_are_uses_of_their_own() -> None:
    """MultiheadAttention calls no module for its out_proj, and yet it is seen."""
    uses = check(nn.MultiheadAttention(4, 2).double(), [reals(3, 2, 4)] * 3)
    assert {name: each for name, each in uses.items() if "weight" in name} == {
        "in_proj_weight": [("", 1, "linear")],
        "out_proj.weight": [("", 1, "linear")],
    }
    kinds = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True).double()
    uses = check(kinds, [reals(3, 2, 4), reals(3, 2, 3), reals(3, 2, 5)])
    assert uses["k_proj_weight"] == [("", 1, "linear")]
    assert uses["bias_k"] == [("", 1, "repeat")]


def test_a_recurrent_network_uses_each_weight_once_a_call() -> None:
    """Its weights go to torch in a list, and all time steps run in one operation."""
    module = Written(lambda m, x: m.rnn(m.rnn(x)[0])[0], rnn=nn.GRU(3, 3, num_layers=2))
    uses = check(module, [reals(4, 2, 3)])
    assert uses["rnn.weight_hh_l1"] == [("rnn", 1, "gru"), ("rnn", 2, "gru")]


def test_a_parametrized_weight_is_used_by_its_parametrization() -> None:
    """What is learned is the original; the forward uses what is made of it."""
    linear = parametrizations.weight_norm(nn.Linear(3, 3).double())
    uses = check(linear, [reals(2, 3)])
    assert uses["parametrizations.weight.original0"] == [("parametrizations.weight.0", 1, "_weight_norm")]
    old = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3).double(), "weight", Symmetric())
    with parametrize.cached():
        assert [each[2] for each in check(old, [reals(2, 3)])["parametrizations.weight.original"]] == [
            "triu",
            "triu",
        ]


class Symmetric(nn.Module):
    """Uses the original twice, once for each half."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).transpose(-1, -2)


def test_sparse_gradients_add_up() -> None:
    """An embedding with sparse gradients, alone and tied to a dense use."""
    shared = nn.Embedding(6, 3, sparse=True).double()
    tokens = torch.tensor([[1, 5, 1], [0, 5, 5]])

    class Twice(nn.Module):
        def __init__(self, dense: bool) -> None:
            super().__init__()
            self.first, self.second, self.dense = shared, shared, dense

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x) * 2 + self.second(x.flip(0))
            return nn.functional.linear(y, self.first.weight) if self.dense else y

    assert check(Twice(False), [tokens])["first.weight"] == [
        ("first", 1, "embedding"),
        ("second", 1, "embedding"),
    ]
    assert [each[2] for each in check(Twice(True), [tokens])["first.weight"]] == [
        "embedding",
        "embedding",
        "linear",
    ]


# laws


@st.composite
def expressions(draw: st.DrawFn) -> Callable[[Any, Tensor], Tensor]:
    """Draw an expression over x, and w of 3 by 3, which occurs any number of times."""
    steps = draw(st.lists(st.integers(0, 8), min_size=1, max_size=8))

    def forward(module: Any, x: Tensor) -> Any:
        w, y = module.w, torch.tanh(x @ module.w)
        kept = y
        for step in steps:
            if step == 0:
                y = nn.functional.linear(y, w, w[0])
            elif step == 1:
                y = y @ w.T
            elif step == 2:
                y = y * w.mean()
            elif step == 3:
                y = torch.cat([y, w]).tanh()[: len(x)]
            elif step == 4:
                y = times(y, w)
            elif step == 5:
                y, kept = kept + y @ w, y
            elif step == 6:
                y = nn.functional.layer_norm(y, (3,), w[1], w[2])
            elif step == 7:
                with torch.no_grad():
                    shift = (x @ w).mean()
                y = y + shift
            else:
                y = module.a(y)
        return torch.tanh(y)

    return forward


@settings(max_examples=60, deadline=None)
@given(expressions())
def test_the_uses_of_any_expression_add_up(forward: Callable[[Any, Tensor], Tensor]) -> None:
    """Whatever an expression does with a parameter, the uses sum to the gradient that torch gives."""
    torch.manual_seed(0)
    linear = nn.Linear(3, 3)
    linear.weight.data /= 2
    check(Written(forward, a=linear), [reals(2, 3)])
