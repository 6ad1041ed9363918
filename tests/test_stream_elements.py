"""The values of a spec are made when they are read: those that building gives, never all in memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import paramtool
from paramtool.elements.digests import digest
from paramtool.elements.elements import BLOCK
from paramtool.errors import ParamtoolError, Problems
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.models.built import BuiltModel
from paramtool.models.spec import SpecModel
from paramtool.place import Text
from tests.conftest import CONFIGS, Run
from tests.processes import watch
from tests.spec_strategies import FLOATS, PATTERNS, calls, networks

RULES = (
    "normal: {std: 0.5}", "uniform: {a: -1, b: 1}", "trunc_normal: {std: 0.1}", "constant: 2", "zeros: ",
    "orthogonal: ", "xavier_uniform: ", "mul: {value: 0.5}", "add: {value: 1}", "eye: ",
    "sparse: {sparsity: 0.5}",
)  # fmt: skip
LARGE_CONFIGS = ("bert_base", "gpt2", "llama3_70b", "vit_b16")
CHOSEN = [path for path in sorted(CONFIGS.glob("*.yaml")) if path.stem not in LARGE_CONFIGS]


def read(text: str) -> Spec | None:
    """Return the spec, or None for one that the language refuses."""
    try:
        return read_spec(Text("m.yaml", text), shipped())
    except Problems:
        return None


def built(model: BuiltModel) -> BuiltModel:
    """Return the model with its values in memory."""
    model.network()
    return model


def answers(model: BuiltModel) -> Any:
    """Return everything that values are read for, or how it is refused."""
    try:
        listed = model.listing(stats=True, values=True)
        elements = model.elements()
        names = [row.name for row in listed.rows if row.shape is not None]
        digests = {name: digest(elements.blocks(name)) for name in names}
        edges = {name: (elements.outline(name).shape, elements.outline(name).tobytes()) for name in names}
        return repr(listed), digests, edges, model.layout(by_value=True).equal
    except ParamtoolError as error:
        return type(error), str(error)


def initialized(model: BuiltModel) -> BuiltModel:
    """Return the model after its own rules."""
    found = model.initialized()
    assert isinstance(found, BuiltModel)
    return found


@st.composite
def specs(draw: st.DrawFn) -> str:
    """Draw the text of a spec with rules, a seed and a dtype."""
    text = draw(networks() | calls().map(lambda call: f"model: {{Sequential: [{call}, *x]}}"))
    if "*x]" in text:
        text = text.replace(", *x]", draw(st.sampled_from(["]", ", {Linear: [4, 4]}]"])))
    if not text.startswith("dtype"):
        text = f"dtype: {draw(st.sampled_from(FLOATS))}\n{text}"
    rule = st.tuples(st.sampled_from([*PATTERNS[:5], "."]), st.sampled_from(RULES))
    rules = [f"  - {{pattern: '{pattern}', {fill}}}" for pattern, fill in draw(st.lists(rule, max_size=3))]
    return (
        text + f"\nseed: {draw(st.integers(0, 3))}\n" + ("init:\n" + "\n".join(rules) if rules else "") + "\n"
    )


@given(specs())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_specs_have_the_values_of_the_built_model(text: str) -> None:
    """Statistics, histograms, printed values, digests and equal tensors, before the rules and after them."""
    spec = read(text)
    if spec is None:
        return
    for after in (lambda model: model, initialized):
        made, there = after(SpecModel(spec)), SpecModel(spec)
        try:
            expected = answers(built(after(there)))
        except ParamtoolError as error:
            expected = type(error), str(error)
        assert answers(made) == expected


@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.stem)
def test_configs_have_the_values_of_the_built_model(path: Path) -> None:
    """Each of them is read without being built."""
    for after in (lambda model: model, initialized):
        made, there = after(_open(path)), built(after(_open(path)))
        assert answers(made) == answers(there)
        assert not any(network.has_values or name for name, network in made._networks.items())


def _open(path: Path) -> BuiltModel:
    found = paramtool.open(str(path))
    assert isinstance(found, BuiltModel)
    return found


LARGE = """
model:
  Sequential:
    - Linear: [1100, 2000]
    - {Linear: [7, 3]}
init:
  - {pattern: '0.weight', %s}
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("rule", ["normal: {std: 0.5}", "mul: {value: 0.5}", "sparse: {sparsity: 0.5}"])
def test_every_part_of_a_tensor_of_several_blocks_is_that_of_the_file(
    tmp_path: Path, rule: str, dtype: str
) -> None:
    """From any element to any other, as `init -o` writes them."""
    path = tmp_path / "model.yaml"
    path.write_text(f"dtype: {dtype}\nseed: 5\n{LARGE % rule}")
    paramtool.initialize(str(path), output=tmp_path / "w.safetensors")
    whole = load_file(tmp_path / "w.safetensors")["0.weight"].reshape(-1)
    elements = _open(path).initialized().elements()
    size, step = whole.numel(), 1 << 17
    for start, stop in (
        (0, None),
        (1 << 20, None),
        (3 * step, 9 * step + 5),
        (12345, 1_234_567),
        (size - 1, size),
    ):
        blocks = [block.tobytes() for block in elements.blocks("0.weight", start, stop)]
        expected = whole[start:stop].view(torch.uint8).numpy().tobytes()
        assert b"".join(blocks) == expected
        assert {len(each) for each in blocks[:-1]} <= {BLOCK * whole.itemsize}
    report = paramtool.diff(str(path), str(tmp_path / "w.safetensors"), values=True)
    assert (report.rows, report.totals.loads) == ((), True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_read_into_a_spec_in_blocks(tmp_path: Path, dtype: str) -> None:
    """In the dtype of the spec, with the buffers that no file has, and a note on what is not finite."""
    path = tmp_path / "model.yaml"
    path.write_text(
        f"dtype: {dtype}\n"
        "model: {Module: {a: {Linear: [1100, 2000]}, n: {BatchNorm1d: 3},"
        " t: {Buffer: {shape: [3], fill: rand, persistent: false}}}}"
    )
    state = paramtool.open(str(path)).network().module.state_dict()
    state = {
        name: tensor.float().add(1) if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    state["a.bias"][3] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    made, there = (_open(path).with_weights(str(tmp_path / "w.safetensors")) for _ in range(2))
    assert isinstance(made, BuiltModel)
    assert isinstance(there, BuiltModel)
    assert answers(made) == answers(built(there))
    assert made._may_stream()
    assert sorted(made.notes) == sorted(there.notes)
    assert any("NaN" in note for note in made.notes)


def test_rules_run_once_whatever_is_asked_first(tmp_path: Path) -> None:
    """A rule that changes what is there, as `mul`, would change it twice."""
    path = tmp_path / "model.yaml"
    path.write_text("model: {Linear: [2, 2]}\ninput: [1, 2]\ninit: [{pattern: weight, mul: {value: 0.5}}]\n")
    model = _open(path)
    expected = initialized(_open(path)).listing(stats=True)
    paramtool.check(model, {"gradients": "reach-all", "finite": True})
    paramtool.check(model, {"gradients": "reach-all", "finite": True})
    assert initialized(model).listing(stats=True) == expected


def test_values_that_somebody_changed_in_memory_are_read_there() -> None:
    """An open model whose module was handed out has the values of that module."""
    model = _open(CONFIGS / "mlp.yaml")
    with torch.no_grad():
        model.network().module.get_parameter("0.bias").fill_(7)
    assert {row.name: row.mean for row in model.listing(stats=True).rows}["0.bias"] == 7


FACTORY = """
from torch import nn

def net():
    return nn.Sequential(nn.Linear(1000000, 1000000), nn.Linear(2, 2))
"""


def test_an_object_that_does_not_fit_in_memory_is_read(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code runs once more, to find the laws; one that fits runs once."""
    (tmp_path / "large_net.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    found = run("inspect", "large_net:net", "--stats", "--module", "1", "--json")
    assert found.status == 0, found.stderr
    expected = paramtool.inspect(nn.Sequential(nn.Linear(2, 2)), stats=True).columns
    assert set(json.loads(found.stdout)["rows"][0]) >= {"mean", "std", "histogram"} & set(expected)
    assert run("diff", "large_net:net", "large_net:net").status == 0
    few = {"1.weight": torch.ones(2, 2)}
    save_file(few, "w.safetensors")
    assert run("diff", "w.safetensors", "large_net:net", "--values", "--name", "1.weight").status == 1


QUESTIONS = (
    ("inspect", "m.yaml", "--stats"),
    ("check", "m.yaml", "--finite"),
    ("shared", "m.yaml", "--by-value"),
    ("diff", "m.yaml", "m.yaml", "--values"),
)


@pytest.mark.parametrize("command", QUESTIONS, ids=" ".join)
def test_memory_does_not_grow_with_the_tensors(tmp_path: Path, command: tuple[str, ...]) -> None:
    """80 MB of values, in two tensors, take the memory of 0.8 MB, but for the two buffers of each thread."""
    peaks = []
    for width in (100, 10_000):
        text = f"model: {{Repeat: {{times: 2, module: {{Linear: [1000, {width}, false]}}}}}}\n"
        (tmp_path / "m.yaml").write_text(f"{text}init: [{{pattern: ., normal: {{std: 1}}}}]\n")
        ended = watch(*command, folder=tmp_path)
        assert ended.status == 0
        peaks.append(ended.megabytes)
    assert peaks[1] - peaks[0] < 40


def test_what_does_not_fit_in_memory_is_read(tmp_path: Path, run: Run) -> None:
    """Of a terabyte only the edges are made, and of one module only its own tensors."""
    (tmp_path / "m.yaml").write_text(
        "model: {Sequential: [{Linear: [1000000, 1000000]}, {Linear: [2, 2]}]}\n"
    )
    path = str(tmp_path / "m.yaml")
    shown = run("inspect", path, "--values")
    assert (shown.status, shown.stderr) == (0, "")
    few = run("inspect", path, "--stats", "--module", "1", "--json")
    assert [row["numel"] for row in json.loads(few.stdout)["rows"]] == [4, 2]
    assert all(np.isfinite(row["mean"]) for row in json.loads(few.stdout)["rows"])
