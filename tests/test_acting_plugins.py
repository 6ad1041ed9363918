"""Initializers with ``replaces = False``: they are given what is there, and act on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.initializers.registry import offers
from paramtool.language.catalog import shipped
from paramtool.language.rules import read_recipe
from paramtool.operations.initialization.rule_application import initialize
from paramtool.place import Text
from paramtool.tensors import streams
from tests.conftest import Run

LAWS = """\
import torch

def keep(tensor, above=5.0):
    tensor.mul_(tensor.abs() >= above)

keep.replaces = False

def noise(tensor):
    tensor.add_(torch.randn_like(tensor))

noise.replaces = False

def root(tensor):
    tensor.sqrt_()

root.replaces = False

def again(tensor):
    tensor.fill_(3)

again.replaces = True
"""

SPEC = """\
model: {Sequential: [{Linear: {in_features: 4, out_features: 3, bias: false}}]}
input: {shape: [1, 4], fill: ones}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec and the plugin, and blocks so small that tensors have several."""
    (tmp_path / "model.yaml").write_text(SPEC)
    (tmp_path / "laws.py").write_text(LAWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    monkeypatch.setattr(streams, "BLOCK", 5)
    return tmp_path


@pytest.fixture
def offered() -> Iterator[None]:
    """Offer the plugin until the test ends."""
    with ExitStack() as stack:
        stack.enter_context(offers.from_files(["laws.py"]))
        yield


def apply(tensor: Tensor, rules: str, rng: str = "streams") -> Tensor:
    """Return what rules make of a tensor."""
    module = nn.ParameterDict(
        {"w": nn.Parameter(tensor.clone(), requires_grad=tensor.dtype.is_floating_point)}
    )
    initialize(module, read_recipe(Text("r.yaml", rules), shipped()), rng=rng)
    return module.get_parameter("w").detach()


def rule(name: str) -> str:
    return f"{{pattern: ., {name}}}"


def row(run: Run, *options: str) -> dict[str, Any]:
    """Return the one row that `init` writes."""
    result = run("init", "model.yaml", "--plugin", "laws.py", "--json", *options)
    assert result.status == 0, result.stderr
    (found,) = json.loads(result.stdout)["rows"]
    return dict(found)


KEEP = ("-p", ".", "--with", "keep:above=0.25")


@pytest.mark.parametrize("rng", ["streams", "torch"])
def test_it_acts_on_what_the_constructor_drew(run: Run, rng: str) -> None:
    """Elements that it leaves are those of a run without it, bit for bit."""
    drawn = torch.tensor(row(run, "-p", ".", "--add=0", "--rng", rng, "--values")["values"])
    kept = torch.tensor(row(run, *KEEP, "--rng", rng, "--values")["values"])
    assert torch.equal(kept, drawn * (drawn.abs() >= 0.25))
    assert 0 < kept.count_nonzero() < drawn.numel()


@pytest.mark.parametrize("rng", ["streams", "torch"])
@pytest.mark.usefixtures("offered")
def test_it_acts_on_what_an_earlier_rule_left(rng: str) -> None:
    """A notebook's `w *= w.abs() >= 5` after `uniform_(w, -10, 10)` is two rules."""
    fill = rule("uniform: [-10, 10]")
    drawn = apply(torch.zeros(40, 40), f"[{fill}]", rng)
    assert torch.equal(
        apply(torch.zeros(40, 40), f"[{fill}, {rule('keep: ')}]", rng), drawn * (drawn.abs() >= 5)
    )


@pytest.mark.parametrize("fill", [(), ("-p", ".", "--normal", "1")], ids=["constructor", "rule"])
def test_a_file_has_what_memory_has(run: Run, fill: tuple[str, ...]) -> None:
    """-o constructs, or fills, what it then gives to the plugin."""
    rules = (*fill, *KEEP, "-p", ".", "--with", "noise", "-p", ".", "--add", "1")
    expected = torch.tensor(row(run, *rules, "--values")["values"])
    row(run, *rules, "-o", "w.safetensors")
    assert torch.equal(load_file("w.safetensors")["0.weight"], expected)


def test_it_shadows_nothing_and_is_shadowed(run: Run) -> None:
    """A plan runs what is before it, and skips it with all that, where a fill follows."""
    one = row(run, "-n", "-p", ".", "--normal", "1", *KEEP)
    assert (one["rule"], one["skipped"]) == ("normal(std=1), keep(above=0.25)", None)
    assert (one["expected_mean"], one["expected_std"]) == (None, None)
    other = row(run, "-n", "-p", ".", "--normal", "1", *KEEP, "-p", ".", "--with", "again")
    assert (other["rule"], other["skipped"]) == ("again()", "normal(std=1), keep(above=0.25)")


@pytest.mark.usefixtures("offered")
def test_a_tensor_that_it_acts_on_is_not_filled(run: Run, folder: Path) -> None:
    """`check --init complete` wants a fill; an initializer that says that it replaces is one."""
    for name, status in (("keep", 1), ("noise", 1), ("again", 0)):
        (folder / "spec.yaml").write_text(f"{SPEC}init: [{rule(name + ': ')}]\n")
        result = run("check", "spec.yaml", "--init", "complete")
        assert result.status == status, result.stderr


def test_a_gradient_is_of_what_it_left(run: Run) -> None:
    """grad runs the same rules: of Σy² it is 2y, and y is 4w at x = 1."""
    for more, expected in ((), 24), (("-p", ".", "--with", "root"), 8 * 3**0.5):
        typed = ("-p", ".", "--constant", "3", *more, "--loss", "square", "--json")
        result = run("grad", "model.yaml", "--plugin", "laws.py", *typed)
        assert result.status == 0, result.stderr
        found = json.loads(result.stdout)["rows"][0]
        assert found["abs_max"] == pytest.approx(expected)


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.complex128], ids=str
)
def test_what_it_leaves_keeps_every_bit(dtype: torch.dtype) -> None:
    """Wide numbers are not narrowed on the way, and narrow ones are computed in float32."""
    tensor = torch.randn(6, 7, dtype=torch.complex128 if dtype.is_complex else torch.float64).to(dtype)
    wide = tensor.to(torch.complex128) if dtype.is_complex else tensor.double()
    expected = torch.where(wide.abs() >= 0.5, wide, 0 * wide).to(dtype)
    found = apply(tensor, f"[{rule('keep: {above: 0.5}')}]")
    assert torch.equal(found.view(torch.uint8), expected.view(torch.uint8))


@pytest.mark.usefixtures("offered")
def test_its_noise_is_not_what_is_there() -> None:
    """The stream of the values themselves would double them; each noise has a stream of its own."""
    zero = torch.zeros(100, 100)
    normal, noise = rule("normal: "), rule("noise: ")
    values, once = apply(zero, f"[{normal}]"), apply(zero, f"[{normal}, {noise}]")
    first, second = once - values, apply(zero, f"[{normal}, {noise}, {noise}]") - once
    alone = apply(zero, f"[{noise}]")
    for one, other in ((values, first), (first, second), (values, second), (values, alone)):
        correlation = float((one * other).double().mean())
        assert abs(correlation) < 5 / 100  # 5 sigma of 10,000 products of variance 1
    assert torch.equal(apply(zero, f"[{normal}, {noise}]"), once)


@pytest.mark.usefixtures("offered")
def test_nan_that_it_makes_is_refused_and_nan_that_was_there_is_not() -> None:
    """The square root of what is negative is told with the number of elements."""
    with pytest.raises(ParamtoolError) as caught:
        apply(torch.tensor([4.0, -1.0, float("nan"), -2.0]), f"[{rule('root: ')}]")
    assert str(caught.value) == "r.yaml:1:2: error: root() made 2 of 4 elements of 'w' NaN"
    found = apply(torch.tensor([4.0, float("nan")]), f"[{rule('root: ')}]")
    assert found.nan_to_num(-1).tolist() == [2, -1]


@pytest.mark.parametrize("rng", ["streams", "torch"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('too odd')", "law() failed on 'w': ValueError: too odd"),
        ("tensor.resize_(9).fill_(1)", "law() did not fill 'w' in place"),
    ],
)
def test_what_it_does_wrong_is_told_as_of_any_other(folder: Path, body: str, said: str, rng: str) -> None:
    """What it raises, and another shape, is an error of its rule; one that does nothing is none."""
    (folder / "odd.py").write_text(f"def law(tensor):\n    {body}\nlaw.replaces = False\n")
    with offers.from_files(["odd.py"]), pytest.raises(ParamtoolError) as caught:
        apply(torch.ones(2, 3), f"[{rule('law: ')}]", rng)
    assert caught.value.message == said
    (folder / "idle.py").write_text("def idle(tensor): ...\nidle.replaces = False\n")
    with offers.from_files(["idle.py"]):
        assert torch.equal(apply(torch.ones(2, 3), f"[{rule('idle: ')}]", rng), torch.ones(2, 3))


def test_a_result_that_is_returned_and_not_filled_in_is_refused(folder: Path) -> None:
    """`return tensor * 2` would do nothing; what acts in place may return what it likes."""
    (folder / "laws.py").write_text(
        "def lost(tensor):\n    return tensor * 2\nlost.replaces = False\n"
        "def done(tensor):\n    tensor *= 2\n    return tensor > 0\ndone.replaces = False\n"
        "def sparse_done(tensor):\n    return tensor.fill_(4).to_sparse()\n"
    )
    with offers.from_files(["laws.py"]):
        assert torch.equal(apply(torch.ones(2, 3), f"[{rule('done: ')}]"), torch.full((2, 3), 2.0))
        assert torch.equal(apply(torch.ones(2, 3), f"[{rule('sparse_done: ')}]"), torch.full((2, 3), 4.0))
        with pytest.raises(ParamtoolError) as caught:
            apply(torch.ones(2, 3), f"[{rule('lost: ')}]")
    assert caught.value.message == "lost() returned a new tensor and left 'w' as it was"
    assert caught.value.hint == "it must fill its tensor in place"


@pytest.mark.parametrize(("value", "shown"), [("0", "0"), ("None", "None"), ("'no'", "'no'")])
@pytest.mark.parametrize("dry", [(), ("-n",)], ids=["act", "plan"])
def test_an_attribute_that_is_no_bool_names_the_plugin(
    run: Run, folder: Path, value: str, shown: str, dry: tuple[str, ...]
) -> None:
    """What is neither True nor False is refused before anything is filled."""
    (folder / "odd.py").write_text(f"def law(tensor): ...\nlaw.replaces = {value}\n")
    result = run("init", "model.yaml", "--plugin", "odd.py", "-p", ".", "--with", "law", *dry)
    assert (result.status, result.stdout) == (2, "")
    assert (
        "error: the attribute 'replaces' of the initializer 'law' of odd.py"
        f" must be bool, got {shown};"
        " @paramtool.initializer(replaces=False) means that it changes the present values"
    ) in result.stderr
