"""Losses that compare the output with a target, and tensors from files, with torch as the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors.torch import save_file
from torch import Tensor, nn

from paramtool import gradients
from paramtool.errors import ParamtoolError
from paramtool.operations.gradients.losses import loss_of
from paramtool.records.gradient import LossFunction
from tests.conftest import Run

MODEL = "model: {Sequential: [{Linear: [4, 5]}, ReLU, {Linear: [5, 3]}]}\ninput: [2, 4]\n"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(MODEL)
    return "model.yaml"


def loss(run: Run, *arguments: str) -> float:
    result = run("grad", *arguments, "--json")
    assert result.status == 0, result.stderr
    found: float = json.loads(result.stdout)["totals"]["loss"]
    return found


def output(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), requires_grad=True)


def classes(count: int, *shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel()).remainder(count).reshape(shape)


# the numbers are torch's


@pytest.mark.parametrize(
    ("name", "shape", "target", "expected"),
    [
        ("cross_entropy", (2, 5), classes(5, 2), F.cross_entropy),
        ("cross_entropy", (5,), classes(5), F.cross_entropy),
        ("cross_entropy", (2, 7, 5), classes(5, 2, 7),
         lambda y, t: F.cross_entropy(y.flatten(0, 1), t.flatten())),
        ("cross_entropy", (2, 5, 7), classes(5, 2, 7), F.cross_entropy),
        ("cross_entropy", (2, 5, 3, 4), classes(5, 2, 3, 4), F.cross_entropy),
        ("cross_entropy", (2, 3, 4, 5), classes(5, 2, 3, 4),
         lambda y, t: F.cross_entropy(y.movedim(3, 1), t)),
        ("cross_entropy", (2, 5), torch.full((2, 5), 0.2), F.cross_entropy),
        ("cross_entropy", (2, 3, 5), torch.full((2, 3, 5), 0.2),
         lambda y, t: F.cross_entropy(y.flatten(0, 1), t.flatten(0, 1))),
        ("cross_entropy", (3, 5), torch.tensor([1, -100, 2]), F.cross_entropy),
        ("cross_entropy", (2, 5), torch.tensor([1, 2], dtype=torch.int32),
         lambda y, t: F.cross_entropy(y, t.long())),
        ("nll", (2, 5), classes(5, 2), F.nll_loss),
        ("mse", (2, 5), torch.ones(2, 5), F.mse_loss),
        ("mse", (2, 5), classes(3, 2, 5), lambda y, t: F.mse_loss(y, t.float())),
        ("l1", (2, 5), torch.ones(2, 5), F.l1_loss),
        ("smooth_l1", (2, 5), torch.ones(2, 5), F.smooth_l1_loss),
        ("bce_with_logits", (2, 5), torch.ones(2, 5).bool(),
         lambda y, t: F.binary_cross_entropy_with_logits(y, t.float())),
    ],
)  # fmt: skip
def test_a_loss_is_that_of_torch(
    name: str, shape: tuple[int, ...], target: Tensor, expected: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Classes are where torch has them; those of tokens come last."""
    y = output(*shape)
    torch.testing.assert_close(loss_of(name, [y], 0, target), expected(y, target), rtol=1e-6, atol=0)


def test_losses_of_half_precision_are_computed_in_float32() -> None:
    """As sums are."""
    y = output(2, 5).bfloat16()
    assert loss_of("mse", [y], 0, torch.ones(2, 5)) == F.mse_loss(y.float(), torch.ones(2, 5))


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("cross_entropy", (2, 5), "2 classes below 5 (dimension 1 of the output [2, 5])"),
        ("cross_entropy", (2, 7, 5), "14 classes below 5 (dimension 2 of the output [2, 7, 5])"),
        ("cross_entropy", (2, 5, 3, 4), "24 classes below 5 (dimension 1 of the output [2, 5, 3, 4])"),
        ("nll", (5,), "1 class below 5 (dimension 0 of the output [5])"),
        ("mse", (2, 5), "standard normal numbers [2, 5]"),
        ("bce_with_logits", (2, 5), "0 or 1 for each element of the output [2, 5]"),
    ],
)
def test_a_target_that_nobody_gave_is_drawn_and_told(name: str, shape: tuple[int, ...], said: str) -> None:
    """It follows from the seed alone."""
    notes: list[str] = []
    y = output(*shape)
    first = loss_of(name, [y], 0, None, notes.append)
    assert notes == [f"no target was given; {name} uses random ones from seed 0: {said}"]
    assert torch.equal(first, loss_of(name, [y], 0))
    if y.numel() > 5:
        assert not torch.equal(first, loss_of(name, [y], 1))


@pytest.mark.parametrize(
    ("name", "shape", "target", "message"),
    [
        ("cross_entropy", (2, 5), classes(5, 3), r"the target is \[3\], but cross_entropy of .* takes \[2\]"),
        ("cross_entropy", (2, 5), torch.tensor([0, 5]), "the class 5, but the output has 5 classes"),
        ("cross_entropy", (2, 5), torch.tensor([0, -1]), "the class -1, but"),
        ("cross_entropy", (), None, "takes an output with classes, but this is one number"),
        ("cross_entropy", (2, 0), None, "has no classes"),
        ("mse", (2, 5), torch.ones(5), r"the target is \[5\], but mse of the output \[2, 5\] takes \[2, 5\]"),
        ("sum", (2, 5), torch.ones(5), "the loss sum takes no target"),
    ],
)
def test_a_target_that_does_not_fit_is_told(
    name: str, shape: tuple[int, ...], target: Tensor | None, message: str
) -> None:
    """The line has both shapes; nothing is broadcast."""
    with pytest.raises(ParamtoolError, match=message):
        loss_of(name, [output(*shape)], 0, target)


def test_a_complex_output_has_no_cross_entropy() -> None:
    """Neither has it any other loss against a target."""
    with pytest.raises(ParamtoolError, match="mse takes real numbers, but the output is complex"):
        loss_of("mse", [torch.complex(output(2), output(2))], 0)


def test_the_first_output_is_compared() -> None:
    """Of an LSTM that is the sequence; a note says that there are others."""
    report = gradients(nn.LSTM(2, 3), [torch.rand(4, 2)], loss="mse", target=torch.zeros(4, 3))
    assert report.totals.notes == ("mse is of the first of 3 outputs that require grad",)


@pytest.mark.parametrize("function", list(LossFunction))
def test_every_loss_runs_as_an_option_and_in_a_spec(function: LossFunction, model: str, run: Run) -> None:
    """The same number either way, for each name that the schema lists."""
    typed = loss(run, model, "--loss", function.value)
    Path("spec.yaml").write_text(f"{MODEL}loss: {function.value}\n")
    assert loss(run, "spec.yaml") == typed


def test_python_takes_a_target_too() -> None:
    """A tensor, or a function of its shape."""
    torch.manual_seed(0)
    module, x = nn.Linear(4, 3), torch.rand(2, 4)
    F.cross_entropy(module(x), torch.tensor([2, 0])).backward()  # type: ignore[no-untyped-call]
    assert module.weight.grad is not None
    expected = float(module.weight.grad.norm())
    for target in (torch.tensor([2, 0]), lambda shape: torch.tensor([2, 0]).reshape(shape)):
        report = gradients(module, [x], loss="cross_entropy", target=target)
        assert report.rows[0].norm == pytest.approx(expected)


# files


@pytest.fixture
def files(model: str) -> dict[str, Tensor]:
    """Write one input of two samples, and their classes, in every format."""
    assert Path(model).is_file()
    x, y = torch.rand(2, 4), torch.tensor([2, 0])
    torch.save(x, "x.pt")
    torch.save([x], "list.pt")
    torch.save({"input": x, "labels": y}, "both.pt")
    torch.save(x.T.contiguous().T, "strided.pt")
    save_file({"x": x}, "x.safetensors")
    np.savez("x.npz", x.numpy())
    np.save("x.npy", x.numpy())
    np.save("double.npy", x.double().numpy())
    np.savez_compressed("packed.npz", x=x.numpy())
    torch.save({"a.b": x, "c": y}, "dotted.pt")
    torch.save({"epoch": 3}, "none.pt")
    return {"x": x, "y": y}


@pytest.mark.parametrize(
    "given",
    [
        "x.pt", "list.pt", "x.safetensors", "x.npz", "x.npy", "double.npy,dtype=float32", "both.pt:input",
        "input=both.pt:input", "strided.pt", "./x.pt",
    ],
)  # fmt: skip
def test_an_input_comes_from_a_file(given: str, files: dict[str, Tensor], model: str, run: Run) -> None:
    """The one tensor of any format, or the one that is named, with exactly the file's values."""
    torch.save({"input": files["x"]}, "input.pt")
    assert loss(run, model, "--input", given) == loss(run, model, "--input", "input=input.pt")
    values = json.dumps(files["x"].tolist())
    typed = loss(run, model, "--input", f"{{values: {values}}}")
    assert loss(run, model, "--input", given) == typed


def test_a_target_comes_from_a_file_or_a_fill(files: dict[str, Tensor], model: str, run: Run) -> None:
    """With a key of its own; a fill without sizes takes the shape that the loss needs."""
    assert files["y"].tolist() == [2, 0]
    options = (model, "--input", "x.pt", "--loss", "cross_entropy", "--target")
    file = loss(run, *options, "both.pt:labels")
    assert file == loss(run, *options, "{values: [2, 0]}")
    assert loss(run, *options, "fill=1") == loss(run, *options, "{values: [1, 1]}")
    assert loss(run, *options, "zeros") == loss(run, *options, "2,zeros")
    assert loss(run, *options, "randint=3") == loss(run, *options, "2,randint=3")


def test_a_lazy_model_takes_its_shapes_from_a_file(files: dict[str, Tensor], run: Run) -> None:
    """The values are not needed for that, and are there when the model runs."""
    del files
    Path("lazy.yaml").write_text("model: {Sequential: [{LazyLinear: 3}]}\n")
    result = run("grad", "lazy.yaml", "--input", "x.pt", "--json")
    assert [row["shape"] for row in json.loads(result.stdout)["rows"]] == [[3, 4], [3]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "absent.pt"], "--input absent.pt: error: cannot read absent.pt"),
        (["--input", "both.pt:inptu"], "both.pt has no tensor 'inptu'; did you mean 'input'?"),
        (["--input", "both.pt"], "unexpected keyword argument 'labels'"),
        (["--input", "a=both.pt"], "the file holds 2 tensors; both.pt:input is one of them"),
        (["--input", "dotted.pt"], "'a.b' is not the name of an argument; NAME=dotted.pt:a.b gives it one"),
        (["--input", "none.pt"], "none.pt"),
        (["--input", "packed.npz"], "compressed in its archive; numpy.savez writes it uncompressed"),
        (["--input", "x.pt,dtype=flaot32"], "unknown dtype 'flaot32'; did you mean 'float32'?"),
        (["--input", "double.npy"], "must have the same dtype"),
        (["--input", "model.yaml.pt"], "cannot read model.yaml.pt"),
        (["--input", "input=x.pt", "--input", "input=x.pt"], "'input' appears twice"),
        (["--target", "x.pt"], "the loss sum takes no target"),
        (["--target", "foo"], "--target foo: error: unknown 'foo'; e.g. labels.pt, randint=10, fill=0"),
        (["--target", ""], "e.g. labels.pt"),
        (["--loss", "mse", "--target", "both.pt"], "the file holds 2 tensors"),
        (["--loss", "cross_entropy", "--target", "fill=3"], "the target has the class 3"),
        (["--loss", "cross_entropy", "--target", "3,zeros"], "the target is [3], but cross_entropy"),
        (
            ["--loss", "cross_entropy", "--target", "999999999999,zeros"],
            "elements of the target need 4,000 GB",
        ),
        (["--loss", "cros_entropy"], "bce_with_logits, got 'cros_entropy'; type: paramtool"),
    ],
)
def test_a_file_or_a_target_that_is_wrong_is_a_line(
    arguments: list[str], message: str, files: dict[str, Tensor], model: str, run: Run
) -> None:
    """Status 2, no result and no traceback."""
    del files
    result = run("grad", model, *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: bytes(64), lambda _: b""])
def test_a_damaged_file_is_a_line(damage: Callable[[bytes], bytes], files: Any, model: str, run: Run) -> None:
    """Cut short, zeroed or empty, in each format."""
    del files
    for name in ("x.pt", "x.safetensors", "x.npz", "x.npy"):
        path = Path(name)
        path.write_bytes(damage(path.read_bytes()))
        result = run("grad", model, "--input", name)
        assert (result.status, result.stdout) == (2, ""), name
        assert "Traceback" not in result.stderr
