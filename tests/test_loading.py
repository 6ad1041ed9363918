"""--weights: a checkpoint is loaded strictly, and all that stands against it is told before."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError, Problems
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.models.open import open_checkpoint
from paramtool.network import load_problems
from paramtool.network.strict_load import load
from paramtool.suggestion import did_you_mean
from tests.conftest import CONFIGS, Run

TIED = (
    "model: {Module: {a: {Linear: [2, 2, false]}, b: {Linear: [2, 2, false]}}}\ntie: {b.weight: a.weight}\n"
)


class Model(nn.Module):
    """Has a parameter, a buffer that is stored and one that is not, and a parameter in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("cache", torch.full((2,), 7.0), persistent=False)
        self.turned = nn.Parameter(torch.zeros(3, 5).t())


def save(tensors: dict[str, Tensor], tmp_path: Path) -> Checkpoint:
    """Return a checkpoint of the tensors, as torch saves it."""
    torch.save(tensors, tmp_path / "w.pt")
    return open_checkpoint(str(tmp_path / "w.pt"))


def state(**changed: Tensor | None) -> dict[str, Tensor]:
    """Return values for `Model`, with some of them changed or left out."""
    torch.manual_seed(0)
    tensors: dict[str, Tensor | None] = {
        "linear.weight": torch.randn(2, 3),
        "linear.bias": torch.randn(2),
        "mean": torch.randn(4),
        "turned": torch.randn(5, 3),
    }
    tensors.update({name.replace("_", "."): each for name, each in changed.items()})
    return {name: each for name, each in tensors.items() if each is not None}


def test_loading_is_load_state_dict(tmp_path: Path) -> None:
    """Parameters and stored buffers have the values that torch's strict loading gives them."""
    found, expected = Model(), Model()
    assert load(found, save(state(), tmp_path)) == []
    expected.load_state_dict(state())
    assert all(
        torch.equal(mine, its)
        for mine, its in zip(found.state_dict().values(), expected.state_dict().values(), strict=True)
    )
    assert found.get_buffer("cache").tolist() == [7, 7]


def test_everything_that_stands_against_it_is_told_first(tmp_path: Path) -> None:
    """Missing, unexpected and reshaped names come all at once, and nothing is loaded."""
    wrong = state(linear_bias=None, mean=torch.ones(5), more=torch.ones(1))
    wrong["linear.bais"] = torch.ones(2)
    model = Model()
    with pytest.raises(Problems) as caught:
        load(model, save(wrong, tmp_path))
    path = tmp_path / "w.pt"
    assert str(caught.value).splitlines() == [
        f"error: {path} lacks 'linear.bias' [2]",
        f"error: {path} has 'more' [1], which the model does not have",
        f"error: {path} has 'linear.bais' [2], which the model does not have; did you mean 'linear.bias'?",
        f"error: 'mean' is [4] in the model but [5] in {path}",
    ]
    assert model.get_buffer("mean").tolist() == [0, 0, 0, 0]


def test_a_prefix_is_pointed_out(tmp_path: Path) -> None:
    """A checkpoint of a DataParallel has the same names behind `module.`."""
    with pytest.raises(Problems) as caught:
        load(
            nn.Linear(1, 1), save({"module.weight": torch.ones(1, 1), "module.bias": torch.ones(1)}, tmp_path)
        )
    (only,) = caught.value.errors
    assert only.message.endswith("differ from the model's by the prefix 'module.'")
    assert only.hint == "--strip-prefix module. takes it off"


def test_casts_and_what_is_not_finite_are_told(tmp_path: Path) -> None:
    """A cast between floating-point dtypes is a note; NaN is loaded, and is one as well."""
    halves = {name: each.half() for name, each in state(mean=torch.tensor([1, 2, float("nan"), 4])).items()}
    model = Model()
    path = tmp_path / "w.pt"
    assert load(model, save(halves, tmp_path)) == [
        f"4 tensors are float16 in {path} and float32 in the model",
        f"mean of {path} has NaN or infinities",
    ]
    assert torch.equal(model.get_parameter("turned"), halves["turned"].float())


@pytest.mark.parametrize("tensor", [torch.ones(2, dtype=torch.complex64), torch.ones(2)])
def test_a_cast_that_loses_is_refused(tensor: Tensor, tmp_path: Path) -> None:
    """A complex tensor is not loaded as real, nor a fraction as an integer."""
    module = nn.Module()
    module.register_buffer("x", torch.zeros(2, dtype=torch.int64 if tensor.dtype == torch.float32 else None))
    with pytest.raises(Problems, match=r"'x' is .* in the model but .* in"):
        load(module, save({"x": tensor}, tmp_path))


def tied() -> nn.Module:
    """Return two names of one weight."""
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    return nn.Sequential(first, second)


@pytest.mark.parametrize("names", [("0.weight",), ("1.weight",), ("0.weight", "1.weight")])
def test_a_tied_weight_is_stored_under_any_of_its_names(names: tuple[str, ...], tmp_path: Path) -> None:
    """One name is enough, and equal values under both are fine, whether the file ties them or not."""
    value = torch.arange(4.0).reshape(2, 2)
    for tensors in (dict.fromkeys(names, value), {name: value.clone() for name in names}):
        module = tied()
        assert load(module, save(tensors, tmp_path)) == []
        assert torch.equal(module.get_parameter("0.weight"), value)
        assert module.get_parameter("0.weight") is module.get_parameter("1.weight")


def test_an_untied_file_does_not_go_into_a_tied_model(tmp_path: Path) -> None:
    """Where the file has two values for one weight, torch takes the last; here it is an error."""
    tensors = {"0.weight": torch.zeros(2, 2), "1.weight": torch.ones(2, 2)}
    with pytest.raises(ParamtoolError) as caught:
        load(tied(), save(tensors, tmp_path))
    assert str(caught.value) == (
        f"error: '0.weight' and '1.weight' are one tensor in the model but differ in {tmp_path / 'w.pt'};"
        " untie them in the model, or store only one of them"
    )


def document(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the rows of `inspect` by name."""
    result = run("inspect", *arguments, "--json")
    assert result.status == 0, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)["rows"]}


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2]
)
@pytest.mark.parametrize("value", [1.0, torch.nan])
def test_what_is_not_finite_is_told_in_every_dtype(dtype: torch.dtype, value: float, tmp_path: Path) -> None:
    """A NaN is told of, also in dtypes for which torch has little; large numbers are not."""
    model = nn.Module()
    model.register_buffer("x", torch.zeros(3, dtype=dtype))
    checkpoint = save({"x": torch.tensor([400.0, 400.0, value]).to(dtype)}, tmp_path)
    is_nan = math.isnan(value)
    assert load(model, checkpoint) == ([f"x of {checkpoint.name} has NaN or infinities"] if is_nan else [])
    assert model.get_buffer("x").float().isnan().tolist() == [False, False, is_nan]


def test_a_spec_is_inspected_with_its_weights(run: Run, tmp_path: Path) -> None:
    """The values are those of the file, the names, classes and ties those of the model."""
    spec, weights = tmp_path / "tied.yaml", str(tmp_path / "w.safetensors")
    spec.write_text(TIED)
    assert run("init", str(spec), "--pattern", "a", "--normal", "1", "-o", weights).status == 0
    found = document(run, str(spec), "--weights", weights, "--values")
    assert found["a.weight"]["values"] == document(run, weights, "--values")["a.weight"]["values"]
    assert (found["b.weight"]["tied_to"], found["b.weight"]["type"]) == ("a.weight", "Linear")
    other = str(tmp_path / "other.safetensors")
    safetensors.torch.save_file({"a.weight": torch.ones(3, 2)}, other)
    for options in ([], ["--stats"]):
        result = run("inspect", str(spec), "--weights", other, *options)
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr == f"error: 'a.weight' is [2, 2] in the model but [3, 2] in {other}\n"


def test_init_begins_with_the_weights(run: Run, tmp_path: Path) -> None:
    """Rules act on what the checkpoint holds; what they leave alone is written as it was."""
    weights, out = tmp_path / "w.pt", tmp_path / "out.safetensors"
    (tmp_path / "mlp.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}\n")
    mlp = str(tmp_path / "mlp.yaml")
    tensors = {"0.weight": torch.full((3, 4), 5.0), "0.bias": torch.ones(3)}
    torch.save({**tensors, "2.weight": torch.ones(1, 3), "2.bias": torch.ones(1)}, weights)
    options = ["--weights", str(weights), "--pattern", "0.weight", "--add", "1"]
    assert run("init", mlp, *options, "-o", str(out)).status == 0
    found = safetensors.torch.load_file(out)
    assert torch.equal(found["0.weight"], torch.full((3, 4), 6.0))
    assert torch.equal(found["2.weight"], torch.ones(1, 3))
    (row,) = json.loads(run("init", mlp, *options, "--json").stdout)["rows"]
    assert (row["mean_before"], row["mean"]) == (5, 6)
    result = run("init", mlp, "--weights", str(out.with_name("none.pt")), "--pattern", "0", "--ones")
    assert (result.status, result.stdout) == (2, "")


def test_weights_go_into_what_can_be_built(run: Run, tmp_path: Path) -> None:
    """A checkpoint or a snapshot takes no weights, and a spec is no weights."""
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"w": torch.ones(1)}, file)
    result = run("inspect", str(file), "--weights", str(file))
    assert (
        result.stderr == f"error: --weights loads into a spec or package.module:object; {file} is neither\n"
    )
    spec = str(CONFIGS / "mlp.yaml")
    result = run("inspect", spec, "--weights", spec)
    assert (result.status, result.stdout) == (2, "")
    assert "is not a checkpoint; e.g. weights.safetensors, a .pt file, or a folder of shards" in result.stderr
    result = run("init", str(file), "--pattern", "w", "--ones")
    assert result.stderr == (
        f"error: {file} holds tensors but no module;"
        f" this takes a spec or package.module:object, with --weights {file}\n"
    )


def test_hints_are_looked_for_where_they_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for what each of 20,000 names may have meant would take minutes, and 50 are shown."""
    looked: list[str] = []

    def counting(word: str, known: Iterable[str]) -> str | None:
        looked.append(word)
        return did_you_mean(word, known)

    monkeypatch.setattr(load_problems, "did_you_mean", counting)
    checkpoint = save({f"linear.wieght{each}": torch.ones(1) for each in range(20_000)}, tmp_path)
    with pytest.raises(Problems) as raised:
        load(Model(), checkpoint)
    errors = raised.value.errors
    assert (len(errors), looked) == (20_004, [])
    assert (errors[4].hint, looked) == ("did you mean 'linear.weight'?", ["linear.wieght0"])
