"""Constructors: whatever they do, the values are those that Python would give."""

from __future__ import annotations

import copy
import ctypes
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils import dlpack

import paramtool
from paramtool import Rule
from paramtool.network.fill_record import Recording
from paramtool.network.sketch import Sketch
from paramtool.tensors import streams
from paramtool.tensors.fills import run_fills
from paramtool.tensors.scratch import Scratch


def _scripted(w: Tensor) -> None:
    w.mul_(0.5)


def _scripted_copy(w: Tensor, other: Tensor) -> None:
    w.copy_(other)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    scripted, scripted_copy = torch.jit.script(_scripted), torch.jit.script(_scripted_copy)
"""They write where no Python sees it."""


def by_optimizer(w: nn.Parameter, **options: bool) -> None:
    """Take one step."""
    with torch.enable_grad():
        (w * w).sum().backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD([w], lr=0.25, **options).step()
    w.grad = None


def by_address(w: nn.Parameter) -> None:
    """Write the memory itself."""
    ctypes.memset(w.data_ptr(), 0, w.nbytes)


def by_capsule(w: nn.Parameter) -> None:
    """Write through a capsule that torch does not see being made."""
    dlpack.from_dlpack(dlpack.to_dlpack(w.detach())).fill_(3)  # type: ignore[attr-defined]


def by_pickle(w: nn.Parameter) -> None:
    """Put copies of the copies in the place of the elements."""
    w.data = pickle.loads(pickle.dumps(w.data))


WRITES: dict[str, Callable[[nn.Parameter], object]] = {
    "numpy": lambda w: w.detach().numpy().__imul__(2),
    "array": lambda w: np.asarray(w.detach()).fill(0.5),
    "dlpack": lambda w: dlpack.from_dlpack(w.detach()).add_(1),
    "capsule": by_capsule,
    "address": by_address,
    "storage": lambda w: w.untyped_storage().fill_(0),  # type: ignore[attr-defined]
    "foreach": lambda w: torch._foreach_mul_([w], 0.5),
    "foreach alias": lambda w: torch._foreach_add_([w.data], 1.0),
    "aten": lambda w: torch.ops.aten.mul_(w, 0.25),
    "script": scripted,
    "script alias": lambda w: scripted(w.data),
    "script row": lambda w: scripted(w[:1]),
    "data": lambda w: setattr(w, "data", torch.full_like(w, 0.5)),
    "halved": lambda w: setattr(w, "data", w.data * 0.5),
    "vector": lambda w: nn.utils.vector_to_parameters(torch.full((w.numel(),), 0.5), [w]),
    "sgd": by_optimizer,
    "sgd foreach": lambda w: by_optimizer(w, foreach=True),
    "sgd fused": lambda w: by_optimizer(w, fused=True),
    "out": lambda w: torch.mul(w, 2, out=w.data),
    "item": lambda w: w.__setitem__((0, 0), 7.0),
    "mask": lambda w: w.masked_fill_(w > 0, 1.0),
    "pickle": by_pickle,
    "set": lambda w: w.set_(torch.ones(w.shape)),  # type: ignore[call-overload]
    "swap": lambda w: torch.utils.swap_tensors(  # type: ignore[no-untyped-call]
        w, nn.Parameter(torch.zeros(w.shape))
    ),
}
FILLS: dict[str, Callable[[nn.Parameter], object]] = {
    "constant": lambda w: nn.init.constant_(w, 2),
    "uniform": nn.init.uniform_,
    "normal": nn.init.normal_,
    "kaiming": nn.init.kaiming_uniform_,
    "normal alias": lambda w: w.data.normal_(0, 0.02),
    "trunc": lambda w: nn.init.trunc_normal_(w, std=0.02),
    "trunc tight": lambda w: nn.init.trunc_normal_(w, 0.1, 1.0, -0.5, 0.5),
    "xavier": nn.init.xavier_normal_,
    "kaiming normal": nn.init.kaiming_normal_,
}


class Net(nn.Module):
    """Two matrices, and a list of things that its constructor does to them."""

    def __init__(self, deeds: list[tuple[str, str]]) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(3, 4))
        self.b = nn.Parameter(torch.ones(3, 4))
        with torch.no_grad():
            for which, deed in deeds:
                weight, other = (self.a, self.b) if which == "a" else (self.b, self.a)
                if deed == "copy":
                    weight.copy_(other)
                elif deed == "script copy":
                    scripted_copy(weight, other)
                elif deed == "clone":
                    weight.data = other.detach().clone()
                elif deed == "double":
                    weight.copy_(2 * other)
                elif deed == "lerp":
                    torch._foreach_lerp_([weight], [other], 0.5)
                else:
                    (WRITES | FILLS)[deed](weight)


RELATIONS = ("copy", "script copy", "clone", "double", "lerp")


def drawn(deeds: list[tuple[str, str]]) -> dict[str, Tensor]:
    """Return the values with every random tensor that may be drawn from its stream."""
    torch.manual_seed(5)
    with Recording() as recording:
        module = Net(deeds)
    recording.redraw(module, 0)
    return {name: each.detach() for name, each in module.named_parameters()}


def plain(deeds: list[tuple[str, str]]) -> dict[str, Tensor]:
    """Return the values of plain Python."""
    torch.manual_seed(5)
    return {name: each.detach() for name, each in Net(deeds).named_parameters()}


which = st.sampled_from("ab")
certain = st.tuples(which, st.sampled_from([*WRITES, *RELATIONS, "constant"]))
any_deed = st.tuples(which, st.sampled_from([*WRITES, *RELATIONS, *FILLS]))


@settings(max_examples=80, deadline=None)
@given(st.lists(certain, max_size=6))
def test_where_nothing_is_random_the_values_are_those_of_python(deeds: list[tuple[str, str]]) -> None:
    """Any way to write gives the same bits; so does the meta device, where it claims to know."""
    expected = plain(deeds)
    found = drawn(deeds)
    assert all(torch.equal(found[name], each) for name, each in expected.items())
    check_sketch(deeds, expected)


@settings(max_examples=120, deadline=None)
@given(st.lists(any_deed, max_size=6))
@example([("b", "uniform"), ("a", "copy"), ("b", "clone")])
@example([("a", "pickle"), ("a", "uniform")])
def test_random_values_are_those_of_python_or_those_of_the_streams(deeds: list[tuple[str, str]]) -> None:
    """A tensor has Python's values, or those that the same fills draw from a stream; relations hold."""
    expected, found = plain(deeds), drawn(deeds)
    if all(torch.equal(found[name], each) for name, each in expected.items()):
        return check_sketch(deeds, found)
    assert torch.equal(expected["a"], expected["b"]) == torch.equal(found["a"], found["b"])
    for name, each in found.items():
        if not torch.equal(each, expected[name]):
            assert last_fill(deeds, name)
    return check_sketch(deeds, found)


def last_fill(deeds: list[tuple[str, str]], name: str) -> bool:
    """Return whether `name` ends with a fill of torch's, or a copy of one."""
    for at, (which, deed) in reversed([*enumerate(deeds)]):
        if which == name:
            return deed in FILLS or (
                deed in {"copy", "script copy", "clone"}
                and last_fill(deeds[:at], "b" if name == "a" else "a")
            )
    return False


def check_sketch(deeds: list[tuple[str, str]], expected: dict[str, Tensor]) -> None:
    """Hold what the meta device knows to the values in memory."""
    try:
        with Sketch() as sketch:
            module = Net(deeds)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, BufferError):
        return
    for name, fills in sketch.fills_by_name(module).items():
        block = torch.empty(12)
        run_fills(fills, block, 0, 0, Scratch())
        assert torch.equal(block, expected[name].flatten()), name


@pytest.mark.parametrize("deed", WRITES)
def test_a_write_after_a_fill_is_kept(deed: str) -> None:
    """Each way to write, after a random fill, leaves what Python has."""
    deeds = [("a", "normal"), ("a", deed)]
    assert torch.equal(drawn(deeds)["a"], plain(deeds)["a"])


@pytest.mark.parametrize("deed", FILLS)
def test_a_fill_of_torch_is_drawn_from_the_stream(deed: str) -> None:
    """Fills of torch.nn.init and of ``.data`` are those of the stream of the name, whatever came before."""
    found = drawn([("b", "normal"), ("a", "foreach"), ("a", deed)])
    assert torch.equal(found["a"], drawn([("a", deed)])["a"])


def test_what_numpy_kept_may_be_written_later() -> None:
    """Memory that was handed out once is not drawn again, even if a fill of torch comes after that."""

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.empty(4))
            array = self.w.detach().numpy()
            nn.init.normal_(self.w)
            array[:] = 7

    with Recording() as recording:
        module = Late()
    recording.redraw(module, 0)
    assert module.w.tolist() == [7.0] * 4


def test_memory_of_an_array_is_never_drawn_again() -> None:
    """A parameter over an array of NumPy keeps what is in that array at the end."""
    array = np.zeros(4, np.float32)
    with Recording() as recording:
        module = nn.ParameterList([nn.Parameter(torch.from_numpy(array))])
        nn.init.normal_(module[0])
        array[:] = 7
    recording.redraw(module, 0)
    assert module[0].tolist() == [7.0] * 4


def test_an_average_begins_as_its_model() -> None:
    """A copy of a layer that the model has is equal to it, and follows the stream of the layer."""

    class Averaged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 2)
            self.ema = AveragedModel(self.net)
            self.teacher = copy.deepcopy(self.net)

    with Recording() as recording:
        module = Averaged()
    recording.redraw(module, 0)
    alone = torch.empty(6).uniform_(-(3**-0.5), 3**-0.5, generator=streams.stream(0, "net.weight"))
    for each in (module.net, module.ema.get_submodule("module"), module.teacher):
        assert torch.equal(each.get_parameter("weight").detach().flatten(), alone)


def test_a_record_does_not_import_the_compiler() -> None:
    """Watching what scripts do must not load torch's compiler, which takes a second."""
    code = (
        "import sys, torch\n"
        "from paramtool.network.fill_record import Recording\n"
        "from paramtool.network.sketch import Sketch\n"
        "for mode in (Recording, Sketch):\n"
        "    with mode(): torch.nn.LSTM(3, 2)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_generator_of_the_code_keeps_its_values() -> None:
    """Who brings a generator wants its numbers."""
    expected = torch.randn(4, generator=torch.Generator().manual_seed(42))
    with Recording() as recording:
        module = nn.ParameterList([nn.Parameter(torch.empty(4)), nn.Parameter(torch.empty(4))])
        nn.init.normal_(module[0], generator=torch.Generator().manual_seed(42))
        module[1].data.normal_(generator=torch.Generator().manual_seed(42))
    recording.redraw(module, 0)
    assert all(torch.equal(each, expected) for each in module)


@pytest.mark.parametrize("deed", WRITES)
def test_a_file_has_the_values_of_memory(deed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init -o` takes real values where the constructor writes what no record shows."""
    (tmp_path / "written_net.py").write_text(
        "from test_constructor_values import Net\n"
        f"def net(): return Net([('a', 'normal'), ('b', 'kaiming'), ('a', {deed!r})])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delitem(sys.modules, "written_net", raising=False)
    target = tmp_path / "w.safetensors"
    paramtool.initialize("written_net:net", [Rule("add", {"value": 0}, pattern="a")], output=target)
    values = {row.name: row.values for row in paramtool.inspect("written_net:net", values=True).rows}
    for name, each in load_file(target).items():
        assert torch.equal(each, torch.tensor(values[name].values))  # type: ignore[union-attr]


ASKS: dict[str, Callable[[nn.Module], bool]] = {
    "device": lambda net: net.weight.device == torch.device("meta"),
    "type": lambda net: next(net.parameters()).device.type != "cpu",
    "is_meta": lambda net: bool(net.weight.is_meta),
    "is_cpu": lambda net: not net.weight.is_cpu,
    "probe": lambda net: torch.tensor([]).device.type == "meta",  # noqa: ARG005 - as transformers does
    "default": lambda net: torch.get_default_device().type == "meta",  # noqa: ARG005
}
"""How a constructor finds out that it needs no values."""


class Asks(nn.Linear):
    """Fills its bias with sevens, unless there is nothing to fill."""

    def __init__(self, how: str = "device") -> None:
        super().__init__(2, 3)
        if not ASKS[how](self):
            nn.init.constant_(self.bias, 7)


@pytest.mark.parametrize("how", ASKS)
def test_a_constructor_hears_of_no_meta_device(how: str, tmp_path: Path) -> None:
    """What it does where there are values is what a file has, by law and not from memory."""
    with Sketch() as sketch:
        module = Asks(how)
    assert set(sketch.fills_by_name(module)) == {"weight", "bias"}
    model = paramtool.open(f"{__name__}:Asks", arguments={"how": how})
    rule = Rule("constant", {"val": 0}, pattern="weight")
    paramtool.initialize(model, [rule], output=tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors")["bias"].tolist() == [7, 7, 7]
